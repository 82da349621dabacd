/*
 * Who dials for callers: to one place each, and where connections lead to is kept once.
 *
 * corpproxy/net/engine/dialling.py says what is done here and why, and has the twin.
 */
#include "dial.h"
#include <stddef.h>

/* How many places are remembered. */
static int most_places;

typedef struct {
    PyObject_HEAD
    PyObject *engine, *make_socket, *places;
} Dialler;

/* Where a connection leads to: all that lead to one place keep one. */
static PyObject *place_of(Dialler *self, PyObject *host, PyObject *port)
{
    PyObject *places = self->places, *place = PyTuple_Pack(2, host, port);
    if (!place) return NULL;
    if (PyDict_GET_SIZE(places) >= most_places) PyDict_Clear(places);
    PyObject *kept = PyDict_SetDefault(places, place, place);
    Py_XINCREF(kept);
    Py_DECREF(place);
    return kept;
}

/* dial_one(address, port, caller, timeout, bind) */
static PyObject *dial_one(Dialler *self, PyObject *const *words, Py_ssize_t many)
{
    int is_usual = many == 5 && PyUnicode_CheckExact(words[0]) && PyLong_CheckExact(words[1]) && words[4] == Py_None;
    if (!is_usual || !dial_class || !self->engine || !self->make_socket || !self->places ||
        !PyDict_CheckExact(self->places)) {
        PyObject *in_python = PyObject_GetAttr((PyObject *)self, NAMED(dial_in_python));
        PyObject *dial = in_python ? PyObject_Vectorcall(in_python, words, (size_t)many, NULL) : NULL;
        Py_XDECREF(in_python);
        return dial;
    }
    PyObject *place = place_of(self, words[0], words[1]);
    PyObject *dial = place ? begin_dial(self->engine, self->make_socket, place, words[2], words[3]) : NULL;
    Py_XDECREF(place);
    return dial;
}

static int dialler_traverse(Dialler *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->engine);
    Py_VISIT(self->make_socket);
    Py_VISIT(self->places);
    return 0;
}

static int dialler_clear(Dialler *self)
{
    Py_CLEAR(self->engine);
    Py_CLEAR(self->make_socket);
    Py_CLEAR(self->places);
    return 0;
}

static void dialler_dealloc(Dialler *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    dialler_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef dialler_methods[] = {
    {"dial_one", (PyCFunction)(void (*)(void))dial_one, METH_FASTCALL,
     "Connect to the only address that a caller has; it hears of the end later than this returns."},
    {NULL, NULL, 0, NULL},
};

#define MEMBER(name, member) {name, T_OBJECT_EX, offsetof(Dialler, member), 0, NULL}

static PyMemberDef dialler_members[] = {
    MEMBER("_engine", engine),
    MEMBER("_make_socket", make_socket),
    MEMBER("_places", places),
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot dialler_slots[] = {
    {Py_tp_doc, "Dials for callers."},
    {Py_tp_traverse, dialler_traverse},
    {Py_tp_clear, dialler_clear},
    {Py_tp_dealloc, dialler_dealloc},
    {Py_tp_methods, dialler_methods},
    {Py_tp_members, dialler_members},
    {0, NULL},
};

PyType_Spec dialler_spec = {
    .name = "corpproxy._wire.Dialler",
    .basicsize = sizeof(Dialler),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = dialler_slots,
};

PyObject *set_dial(PyObject *module, PyObject *args)
{
    PyTypeObject *dial, *transport;
    if (!PyArg_ParseTuple(args, "O!O!i", &PyType_Type, &dial, &PyType_Type, &transport, &most_places)) return NULL;
    if (!PyType_IsSubtype(dial, dial_type) || !PyType_IsSubtype(transport, transport_type)) {
        PyErr_SetString(PyExc_TypeError, "these are no classes of attempts and of transports");
        return NULL;
    }
    Py_XSETREF(dial_class, (PyTypeObject *)Py_NewRef(dial));
    Py_XSETREF(transport_class, (PyTypeObject *)Py_NewRef(transport));
    Py_RETURN_NONE;
}
