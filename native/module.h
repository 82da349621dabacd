/*
 * How each part ends: its module, with its form and its functions.
 */
#ifndef CORPPROXY_MODULE_H
#define CORPPROXY_MODULE_H
#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* A digest of all sources: corpproxy/form.py says what it is for. */
#ifndef CORPPROXY_FORM
#error "setup.py gives the form"
#endif

/* Make a name of a member or method once, however often the part is taken. */
static inline int keep_name(PyObject **name, const char *text)
{
    if (!*name) *name = PyUnicode_InternFromString(text);
    return *name ? 0 : -1;
}

/* Make a class of the module; `kept`, unless it is NULL, holds it on. */
static inline int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **kept)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (!type) return -1;
    int added = PyModule_AddType(module, (PyTypeObject *)type);
    if (kept)
        Py_XSETREF(*kept, (PyTypeObject *)type);
    else
        Py_DECREF(type);
    return added;
}

static inline int nothing_more(PyObject *module)
{
    return 0;
}

/* The module corpproxy._NAME of the table `functions`; `more` puts into it what else it has. */
#define PART(name, about, more)                                                                                        \
    static int begin_part(PyObject *module)                                                                            \
    {                                                                                                                  \
        return PyModule_AddStringConstant(module, "FORM", CORPPROXY_FORM) ? -1 : more(module);                            \
    }                                                                                                                  \
    static PyModuleDef_Slot part_slots[] = {{Py_mod_exec, begin_part}, {0, NULL}};                                     \
    static struct PyModuleDef part = {                                                                                 \
        .m_base = PyModuleDef_HEAD_INIT,                                                                               \
        .m_name = "corpproxy._" #name,                                                                                 \
        .m_doc = about,                                                                                                \
        .m_methods = functions,                                                                                        \
        .m_slots = part_slots,                                                                                         \
    };                                                                                                                 \
    PyMODINIT_FUNC PyInit__##name(void)                                                                                \
    {                                                                                                                  \
        return PyModuleDef_Init(&part);                                                                                \
    }

#endif
