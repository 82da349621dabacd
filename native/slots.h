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

/* A member of an object whose class was looked at, borrowed; what is put there is taken over. */
#define OF(class, object, member) (*slot((object), class##_##member))
#define PUT(class, object, member, value) put_slot((object), class##_##member, (value))

/* What Python says where a member was never set. */
static inline int is_set(PyObject *object)
{
    if (!object && !PyErr_Occurred()) PyErr_SetString(PyExc_AttributeError, "a member that is not set");
    return object != NULL;
}

/* Put the sum of a number and another one into the place of the first. */
static inline int add_to(PyObject **number, PyObject *more)
{
    PyObject *sum = is_set(*number) && is_set(more) ? PyNumber_Add(*number, more) : NULL;
    if (!sum) return -1;
    Py_SETREF(*number, sum);
    return 0;
}

/* Take a class out of those that Python tells, by its name there. */
static inline int take_class(PyTypeObject **kept, PyObject *classes, const char *name)
{
    PyObject *found = PyDict_GetItemString(classes, name);
    if (!found || !PyType_Check(found)) {
        PyErr_Format(PyExc_TypeError, "%s is no class", name);
        return -1;
    }
    Py_XSETREF(*kept, (PyTypeObject *)Py_NewRef(found));
    return 0;
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
 * A new object that has the members of another one, whose class has nothing but __slots__ (see native/born.c).  What
 * refers to that other one, as a connection that is its own sink does, refers to the new one.
 */
static inline PyObject *copy_slots(PyObject *like)
{
    PyTypeObject *type = Py_TYPE(like);
    PyObject *made = type->tp_alloc(type, 0);
    if (!made) return NULL;
    /* References by others, which die with their object, are none of its members. */
    Py_ssize_t weak = type->tp_weaklistoffset;
    for (Py_ssize_t at = sizeof(PyObject); at < type->tp_basicsize; at += sizeof(PyObject *)) {
        PyObject *member = at == weak ? NULL : *slot(like, at);
        *slot(made, at) = Py_XNewRef(member == like ? made : member);
    }
    return made;
}

#endif
