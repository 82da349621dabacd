/*
 * A tunnel far below its limits: each read of its two connections takes what it moves off its person's leeway.
 *
 * corpproxy/net/below.py says what is done here and why, and has the twins.  How it goes on where there is not
 * enough is for the class in Python below this one.
 */
#include "ahead.h"
#include <stddef.h>

/* What one way moves before the tunnel is held to its limits; the twin hands it in. */
static Py_ssize_t below_octets = 64 * 1024;

typedef struct {
    PyObject_HEAD
    PyObject *downstream, *upstream, *leeway;
    Py_ssize_t received, sent;
} Below;

typedef struct {
    PyObject_HEAD
    PyObject *below;
} Upward;

static PyTypeObject *below_type, *upward_type;

/* ---- What is read ---- */

/* The time by the clock of paces; -1 with an exception. */
static int read_clock(PyObject *downstream, PyObject **now)
{
    PyObject *pacer = IS(downstream, downstream) ? member_of(OF(downstream, downstream, proxy), name_pacer) : NULL;
    *now = pacer ? PyObject_CallMethodNoArgs(pacer, name_seconds) : NULL;
    Py_XDECREF(pacer);
    if (!*now && !PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "this is no client");
    return *now ? 0 : -1;
}

/* How much may be moved one way; 0 where the twin says how it goes on, -1 with an exception. */
static Py_ssize_t may_move(Below *self, enum Way way, Py_ssize_t moved)
{
    PyObject *now;
    if (moved >= below_octets) return 0;
    if (read_clock(self->downstream, &now)) return -1;
    Py_ssize_t octets = leeway_ready(self->leeway, way, now);
    Py_DECREF(now);
    return octets;
}

static PyObject *ask(Below *self, enum Way way, Py_ssize_t moved)
{
    if (!self->downstream || self->downstream == Py_None) return PyLong_FromLong(0);
    Py_ssize_t octets = may_move(self, way, moved);
    if (octets > 0) return PyLong_FromSsize_t(octets);
    PyObject *number = octets < 0 ? NULL : PyLong_FromLong(way), *left = NULL;
    if (number) {
        Py_INCREF(self);
        left = PyObject_CallMethodOneArg((PyObject *)self, name_go_on, number);
        Py_DECREF(self);
        Py_DECREF(number);
    }
    return left;
}

/* Octets were read: they are taken off at once. */
static PyObject *took(Below *self, enum Way way, PyObject *octets)
{
    Py_ssize_t many = PyLong_AsSsize_t(octets);
    if (many == -1 && PyErr_Occurred()) return NULL;
    if (way == UP) self->received += many;
    else self->sent += many;
    PyObject *nought = PyLong_FromLong(0);
    int failed = !nought || leeway_charge(self->leeway, way == UP ? octets : nought, way == UP ? nought : octets);
    Py_XDECREF(nought);
    if (failed) return NULL;
    Py_RETURN_NONE;
}

static PyObject *below_ask(Below *self, PyObject *ignored)
{
    return ask(self, DOWN, self->sent);
}

static PyObject *below_took(Below *self, PyObject *octets)
{
    return took(self, DOWN, octets);
}

static PyObject *below_ask_upward(Below *self, PyObject *ignored)
{
    return ask(self, UP, self->received);
}

static PyObject *below_took_upward(Below *self, PyObject *octets)
{
    return took(self, UP, octets);
}

static Below *below_of(Upward *self)
{
    if (self->below && PyObject_TypeCheck(self->below, below_type)) return (Below *)self->below;
    PyErr_SetString(PyExc_TypeError, "a pace of a client has that of its server");
    return NULL;
}

static PyObject *upward_ask(Upward *self, PyObject *ignored)
{
    Below *below = below_of(self);
    return below ? ask(below, UP, below->received) : NULL;
}

static PyObject *upward_took(Upward *self, PyObject *octets)
{
    Below *below = below_of(self);
    return below ? took(below, UP, octets) : NULL;
}

/* ---- As objects ---- */

static int below_init(Below *self, PyObject *args, PyObject *names)
{
    PyObject *downstream, *upstream, *leeway;
    if (!PyArg_ParseTuple(args, "OOO", &downstream, &upstream, &leeway)) return -1;
    Py_XSETREF(self->downstream, Py_NewRef(downstream));
    Py_XSETREF(self->upstream, Py_NewRef(upstream));
    Py_XSETREF(self->leeway, Py_NewRef(leeway));
    self->received = self->sent = 0;
    return 0;
}

static int below_traverse(Below *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->downstream);
    Py_VISIT(self->upstream);
    Py_VISIT(self->leeway);
    return 0;
}

static int below_clear(Below *self)
{
    Py_CLEAR(self->downstream);
    Py_CLEAR(self->upstream);
    Py_CLEAR(self->leeway);
    return 0;
}

static void below_dealloc(Below *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    below_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static int upward_init(Upward *self, PyObject *args, PyObject *names)
{
    PyObject *below;
    if (!PyArg_ParseTuple(args, "O!", below_type, &below)) return -1;
    Py_XSETREF(self->below, Py_NewRef(below));
    return 0;
}

static int upward_traverse(Upward *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->below);
    return 0;
}

static int upward_clear(Upward *self)
{
    Py_CLEAR(self->below);
    return 0;
}

static void upward_dealloc(Upward *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    upward_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef below_methods[] = {
    {"ask", (PyCFunction)below_ask, METH_NOARGS, "How many octets of the server may be read now."},
    {"took", (PyCFunction)below_took, METH_O, "Octets of the server were read."},
    {"ask_upward", (PyCFunction)below_ask_upward, METH_NOARGS, "How many octets of the client may be read now."},
    {"took_upward", (PyCFunction)below_took_upward, METH_O, "Octets of the client were read."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef below_members[] = {
    {"downstream", T_OBJECT, offsetof(Below, downstream), 0, NULL},
    {"upstream", T_OBJECT, offsetof(Below, upstream), 0, NULL},
    {"leeway", T_OBJECT_EX, offsetof(Below, leeway), 0, NULL},
    {"received", T_PYSSIZET, offsetof(Below, received), 0, NULL},
    {"sent", T_PYSSIZET, offsetof(Below, sent), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot below_slots[] = {
    {Py_tp_doc, "Takes what a tunnel moves off a leeway."},
    {Py_tp_init, below_init},
    {Py_tp_traverse, below_traverse},
    {Py_tp_clear, below_clear},
    {Py_tp_dealloc, below_dealloc},
    {Py_tp_methods, below_methods},
    {Py_tp_members, below_members},
    {0, NULL},
};

static PyType_Spec below_spec = {
    .name = "corpproxy._ahead.Below",
    .basicsize = sizeof(Below),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = below_slots,
};

static PyMethodDef upward_methods[] = {
    {"ask", (PyCFunction)upward_ask, METH_NOARGS, "How many octets may be read now."},
    {"took", (PyCFunction)upward_took, METH_O, "Octets were read."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef upward_members[] = {
    {"below", T_OBJECT_EX, offsetof(Upward, below), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot upward_slots[] = {
    {Py_tp_doc, "The pace of the client of a tunnel."},
    {Py_tp_init, upward_init},
    {Py_tp_traverse, upward_traverse},
    {Py_tp_clear, upward_clear},
    {Py_tp_dealloc, upward_dealloc},
    {Py_tp_methods, upward_methods},
    {Py_tp_members, upward_members},
    {0, NULL},
};

static PyType_Spec upward_spec = {
    .name = "corpproxy._ahead.Upward",
    .basicsize = sizeof(Upward),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = upward_slots,
};

int add_below(PyObject *module)
{
    return add_type(module, &below_spec, &below_type) || add_type(module, &upward_spec, &upward_type) ? -1 : 0;
}
