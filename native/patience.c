/*
 * How long attempts to connect may take: what is done for each.
 *
 * corpproxy/net/engine/patience.py says what is done here and why, and has the twin and all else.
 */
#include "dial.h"
#include <stddef.h>

typedef struct {
    PyObject_HEAD
    PyObject *reactor, *seconds, *waiting, *call;
} Patience;

PyTypeObject *patience_type;

static int wait(Patience *self, PyObject *one, PyObject *seconds)
{
    if (!self->seconds || !self->waiting || !PyDict_CheckExact(self->waiting)) {
        PyErr_SetString(PyExc_AttributeError, "_waiting");
        return -1;
    }
    PyObject *now = PyObject_CallNoArgs(self->seconds);
    PyObject *until = now ? PyNumber_Add(now, seconds) : NULL;
    Py_XDECREF(now);
    int failed = until ? PyDict_SetItem(self->waiting, one, until) : -1;
    Py_XDECREF(until);
    if (failed || is_there(self->call)) return failed;
    return tell((PyObject *)self, NAMED(begin), NULL);
}

static int over(Patience *self, PyObject *one)
{
    if (!self->waiting || !PyDict_CheckExact(self->waiting)) {
        PyErr_SetString(PyExc_AttributeError, "_waiting");
        return -1;
    }
    int waits = PyDict_Contains(self->waiting, one);
    return waits > 0 ? PyDict_DelItem(self->waiting, one) : waits;
}

int patience_wait(PyObject *patience, PyObject *one, PyObject *seconds)
{
    if (PyObject_TypeCheck(patience, patience_type)) return wait((Patience *)patience, one, seconds);
    PyObject *words[] = {patience, one, seconds};
    PyObject *told = PyObject_VectorcallMethod(NAMED(wait), words, 3, NULL);
    Py_XDECREF(told);
    return told ? 0 : -1;
}

int patience_over(PyObject *patience, PyObject *one)
{
    if (PyObject_TypeCheck(patience, patience_type)) return over((Patience *)patience, one);
    return tell(patience, NAMED(over), one);
}

static PyObject *method_wait(Patience *self, PyObject *const *words, Py_ssize_t many)
{
    if (many != 2) {
        PyErr_SetString(PyExc_TypeError, "wait(one, seconds)");
        return NULL;
    }
    return wait(self, words[0], words[1]) ? NULL : Py_NewRef(Py_None);
}

static PyObject *method_over(Patience *self, PyObject *one)
{
    return over(self, one) ? NULL : Py_NewRef(Py_None);
}

static int patience_traverse(Patience *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->reactor);
    Py_VISIT(self->seconds);
    Py_VISIT(self->waiting);
    Py_VISIT(self->call);
    return 0;
}

static int patience_clear(Patience *self)
{
    Py_CLEAR(self->reactor);
    Py_CLEAR(self->seconds);
    Py_CLEAR(self->waiting);
    Py_CLEAR(self->call);
    return 0;
}

static void patience_dealloc(Patience *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    patience_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef patience_methods[] = {
    {"wait", (PyCFunction)(void (*)(void))method_wait, METH_FASTCALL,
     "Tell this one after so many seconds, or up to a tick later."},
    {"over", (PyCFunction)method_over, METH_O, "It need not be told any more."},
    {NULL, NULL, 0, NULL},
};

#define MEMBER(name, member) {name, T_OBJECT_EX, offsetof(Patience, member), 0, NULL}

static PyMemberDef patience_members[] = {
    MEMBER("_reactor", reactor),
    MEMBER("_seconds", seconds),
    MEMBER("_waiting", waiting),
    MEMBER("_call", call),
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot patience_slots[] = {
    {Py_tp_doc, "What is done for each attempt to connect."},
    {Py_tp_traverse, patience_traverse},
    {Py_tp_clear, patience_clear},
    {Py_tp_dealloc, patience_dealloc},
    {Py_tp_methods, patience_methods},
    {Py_tp_members, patience_members},
    {0, NULL},
};

PyType_Spec patience_spec = {
    .name = "corpproxy._wire.Patience",
    .basicsize = sizeof(Patience),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = patience_slots,
};
