/*
 * What makes the protocol of each client of a listener, with what is in force when it comes.
 *
 * corpproxy/net/listening.py has the twin.
 */
#include "ahead.h"
#include <stddef.h>

/* `make` is called with the deadlines and the time limits of the proxy. */
typedef struct {
    PyObject_HEAD
    PyObject *proxy, *make;
    vectorcallfunc call;
} Clients;

static PyObject *timeouts_in_force(PyObject *proxy)
{
    PyObject *in_force = PROXY(proxy, in_force), *timeouts = NULL;
    if (IS(in_force, in_force))
        timeouts = Py_XNewRef(is_set(OF(in_force, in_force, timeouts)) ? OF(in_force, in_force, timeouts) : NULL);
    else if (in_force)
        timeouts = PyObject_GetAttr(in_force, name_timeouts);
    Py_XDECREF(in_force);
    return timeouts;
}

static PyObject *clients_call(PyObject *object, PyObject *const *words, size_t flags, PyObject *names)
{
    Clients *self = (Clients *)object;
    if (PyVectorcall_NARGS(flags) || names) return PyErr_Format(PyExc_TypeError, "nothing is to be said of a client");
    PyObject *deadlines = PROXY(self->proxy, deadlines), *timeouts = deadlines ? timeouts_in_force(self->proxy) : NULL;
    PyObject *given[] = {deadlines, timeouts};
    PyObject *made = timeouts ? PyObject_Vectorcall(self->make, given, 2, NULL) : NULL;
    Py_XDECREF(deadlines);
    Py_XDECREF(timeouts);
    return made;
}

static PyObject *clients_new(PyTypeObject *type, PyObject *words, PyObject *names)
{
    static char *known[] = {"proxy", "make", NULL};
    PyObject *proxy, *make;
    if (!PyArg_ParseTupleAndKeywords(words, names, "OO", known, &proxy, &make)) return NULL;
    Clients *self = (Clients *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->proxy = Py_NewRef(proxy);
    self->make = Py_NewRef(make);
    self->call = clients_call;
    return (PyObject *)self;
}

static int clients_traverse(Clients *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->proxy);
    Py_VISIT(self->make);
    return 0;
}

static void clients_dealloc(Clients *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->proxy);
    Py_CLEAR(self->make);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMemberDef clients_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Clients, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* As with a tuple, its members stay as they are: a cycle through it ends elsewhere. */
static PyType_Slot clients_slots[] = {
    {Py_tp_doc, "Clients(proxy, make)\n\nMakes the protocol of each client."},
    {Py_tp_new, clients_new},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_traverse, clients_traverse},
    {Py_tp_dealloc, clients_dealloc},
    {Py_tp_members, clients_members},
    {0, NULL},
};

PyType_Spec clients_spec = {
    .name = "corpproxy._ahead.Clients",
    .basicsize = sizeof(Clients),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = clients_slots,
};
