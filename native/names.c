/*
 * The addresses of a host that is known.
 *
 * corpproxy/net/names.py says what is done here and why, and has the twin, which is given whatever has to be looked
 * for, or has failed.
 */
#include "wire.h"
#include "slots.h"

/* Class, member, name of the member. */
#define MEMBERS(M)                                                                                                     \
    M(names, hosts_due, "_hosts_due")                                                                                  \
    M(names, known, "_known")                                                                                          \
    M(names, remembered, "remembered")                                                                                 \
    M(names, seconds, "_seconds")                                                                                      \
    M(names, written, "_written")                                                                                      \
    M(known, addresses, "addresses")                                                                                   \
    M(known, until, "until")

static PyTypeObject *names_class, *known_class;
#define A_MEMBER(class, member, text) static Py_ssize_t class##_##member;
MEMBERS(A_MEMBER)
#undef A_MEMBER

static PyObject *name_in_python, *name_move, *one;

/* What the clock says; -1 with an exception. */
static double now_of(PyObject *self)
{
    PyObject *seconds = OF(names, self, seconds);
    PyObject *now = is_set(seconds) ? PyObject_CallNoArgs(seconds) : NULL;
    double at = now ? PyFloat_AsDouble(now) : -1;
    Py_XDECREF(now);
    return at;
}

/* The addresses out of the cache; NULL without an exception where they are for the twin. */
static PyObject *remembered(PyObject *self, PyObject *host, double now)
{
    PyObject *all = OF(names, self, known);
    PyObject *known = all && PyODict_CheckExact(all) ? PyDict_GetItemWithError(all, host) : NULL;
    if (!known || !Py_IS_TYPE(known, known_class)) return NULL;
    PyObject *until = OF(known, known, until), *addresses = OF(known, known, addresses);
    if (!until || !PyFloat_CheckExact(until) || now >= PyFloat_AS_DOUBLE(until)) return NULL;
    if (!addresses || !PyTuple_CheckExact(addresses) || !PyTuple_GET_SIZE(addresses)) return NULL;
    Py_INCREF(addresses);
    PyObject *moved = add_to(slot(self, names_remembered), one) ? NULL : PyObject_CallMethodOneArg(all, name_move, host);
    if (!moved) Py_CLEAR(addresses);
    Py_XDECREF(moved);
    return addresses;
}

/* The addresses that are there at once; NULL without an exception where they are for the twin. */
static PyObject *at_once(PyObject *self, PyObject *host)
{
    if (!names_class || !PyObject_TypeCheck(self, names_class) || !PyUnicode_CheckExact(host)) return NULL;
    double now = now_of(self);
    if (now == -1 && PyErr_Occurred()) return NULL;
    PyObject *due = OF(names, self, hosts_due), *written = OF(names, self, written);
    if (!due || !PyFloat_CheckExact(due) || now >= PyFloat_AS_DOUBLE(due)) return NULL;
    if (!written || !PyDict_CheckExact(written)) return NULL;
    PyObject *found = PyDict_GetItemWithError(written, host);
    if (found) return Py_NewRef(found);
    return PyErr_Occurred() ? NULL : remembered(self, host, now);
}

static PyObject *names_addresses(PyObject *self, PyObject *host)
{
    PyObject *found = at_once(self, host);
    return found || PyErr_Occurred() ? found : PyObject_CallMethodOneArg(self, name_in_python, host);
}

static PyMethodDef names_methods[] = {
    {"addresses", names_addresses, METH_O,
     "Give the addresses of a host: a tuple where they are known, a Deferred where they are looked for."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot names_slots[] = {
    {Py_tp_doc, "The addresses of hosts that are known."},
    {Py_tp_methods, names_methods},
    {0, NULL},
};

/* It has no members of its own: those of the class below it are Python's. */
static PyType_Spec names_spec = {
    .name = "corpproxy._wire.Names",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = names_slots,
};

/* set_names(names, known) */
PyObject *set_names(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    if (many != 2 || !PyType_Check(words[0]) || !PyType_Check(words[1]))
        return PyErr_Format(PyExc_TypeError, "set_names(class, class of what is known)");
    PyTypeObject *names_type = (PyTypeObject *)words[0], *known_type = (PyTypeObject *)words[1];
    /* All of them, or none: where one is missing those of before hold on. */
#define FIND(class, member, text)                                                                                      \
    Py_ssize_t new_##class##_##member = offset_of(class##_type, text);                                                 \
    if (new_##class##_##member < 0) return NULL;
#define TAKE(class, member, text) class##_##member = new_##class##_##member;
    MEMBERS(FIND)
    MEMBERS(TAKE)
    Py_XSETREF(names_class, (PyTypeObject *)Py_NewRef(words[0]));
    Py_XSETREF(known_class, (PyTypeObject *)Py_NewRef(words[1]));
    Py_RETURN_NONE;
}

int add_names(PyObject *module)
{
    if (keep_name(&name_in_python, "_addresses_in_python") || keep_name(&name_move, "move_to_end")) return -1;
    if (!one && !(one = PyLong_FromLong(1))) return -1;
    return add_type(module, &names_spec, NULL);
}
