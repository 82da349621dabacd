/*
 * Members of Python's objects, where they lie: those that a class names in its __slots__.
 *
 * Who takes a member this way has looked at the class of the object before.
 */
#ifndef CORPPROXY_SLOTS_H
#define CORPPROXY_SLOTS_H
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

static inline PyObject **slot(PyObject *object, Py_ssize_t offset)
{
    return (PyObject **)((char *)object + offset);
}

/* Put a member into its place; takes `value` over. */
static inline void put_slot(PyObject *object, Py_ssize_t offset, PyObject *value)
{
    PyObject **there = slot(object, offset), *before = *there;
    *there = value;
    Py_XDECREF(before);
}

/* Where instances of a class keep a member of its __slots__; -1 with an exception where it has none. */
static inline Py_ssize_t offset_of(PyTypeObject *type, const char *name)
{
    PyObject *found = PyObject_GetAttrString((PyObject *)type, name);
    if (!found) return -1;
    Py_ssize_t offset = -1;
    if (Py_IS_TYPE(found, &PyMemberDescr_Type)) {
        PyMemberDef *member = ((PyMemberDescrObject *)found)->d_member;
        if (member->type == T_OBJECT_EX) offset = member->offset;
    }
    Py_DECREF(found);
    if (offset < 0) PyErr_Format(PyExc_TypeError, "%s has no slot %s", type->tp_name, name);
    return offset;
}

/*
 * A new object with the members of another one, which are counted: as Python would make it that sets each.
 *
 * It is for classes of which `is_copied` is true: nothing is in their objects but members of __slots__, and the
 * place of weak references.
 */
static inline PyObject *copy_of(PyObject *template)
{
    PyTypeObject *type = Py_TYPE(template);
    PyObject *made = type->tp_alloc(type, 0);
    if (!made) return NULL;
    for (Py_ssize_t offset = sizeof(PyObject); offset < type->tp_basicsize; offset += sizeof(PyObject *))
        if (offset != type->tp_weaklistoffset) *slot(made, offset) = Py_XNewRef(*slot(template, offset));
    return made;
}

/* Whether `copy_of` copies objects of a class whole. */
static inline int is_copied(PyTypeObject *type)
{
    if (type->tp_dictoffset || type->tp_itemsize) return 0;
    Py_ssize_t members = type->tp_weaklistoffset > 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(type->tp_mro); i++) {
        PyObject *names = ((PyTypeObject *)PyTuple_GET_ITEM(type->tp_mro, i))->tp_dict, *name, *found;
        for (Py_ssize_t at = 0; PyDict_Next(names, &at, &name, &found);)
            members += Py_IS_TYPE(found, &PyMemberDescr_Type) &&
                       ((PyMemberDescrObject *)found)->d_member->type == T_OBJECT_EX;
    }
    return type->tp_basicsize == (Py_ssize_t)(sizeof(PyObject) + (size_t)members * sizeof(PyObject *));
}

#endif
