/*
 * Tunnels as objects: how two connections become one, and the module.
 *
 * corpproxy/net/splice.py has the twin.
 */
#include "tunnel.h"
#include <math.h>
#include <stddef.h>

/* What one way carries before the kernel moves what follows; the twin hands it in. */
static float copied_octets = 64 * 1024;

static int fill(Tunnel *self, PyObject *downstream, PyObject *upstream, PyObject *timeouts)
{
    double now;
    if (!are_usual(downstream, upstream) || !IS(timeouts, timeouts)) {
        PyErr_SetString(PyExc_TypeError, "a tunnel has a client and a server");
        return -1;
    }
    PyObject *idle = OF(timeouts, timeouts, tunnel_idle), *life = OF(timeouts, timeouts, tunnel_life);
    if (read_now(downstream, &now) || !is_set(idle) || !is_set(life)) return -1;
    self->idle = PyFloat_AsDouble(idle);
    self->until = now + PyFloat_AsDouble(life);
    if (PyErr_Occurred()) return -1;
    self->deadline = INFINITY;
    self->place = -1;
    self->left = self->left_inward = copied_octets;
    Py_XSETREF(self->downstream, Py_NewRef(downstream));
    Py_XSETREF(self->upstream, Py_NewRef(upstream));
    Py_XSETREF(self->pumps, PyTuple_New(0));
    return 0;
}

static int tunnel_init(Tunnel *self, PyObject *args, PyObject *names)
{
    PyObject *downstream, *upstream, *timeouts;
    if (!PyArg_ParseTuple(args, "OOO", &downstream, &upstream, &timeouts)) return -1;
    return fill(self, downstream, upstream, timeouts);
}

int join(PyObject *downstream, PyObject *upstream)
{
    PyObject *in_force = OF(exchange, OF(downstream, downstream, exchange), in_force);
    PyObject *timeouts = IS(in_force, in_force) ? OF(in_force, in_force, timeouts) : NULL;
    Tunnel *made = (Tunnel *)tunnel_class->tp_alloc(tunnel_class, 0);
    if (!made) return -1;
    int failed = fill(made, downstream, upstream, timeouts);
    if (!failed) {
        PUT(downstream, downstream, tunnel, Py_NewRef(made));
        failed = start_tunnel(made);
    }
    Py_DECREF(made);
    return failed;
}

static PyObject *tunnel_ended(Tunnel *self, void *ignored)
{
    PyObject *side = self->ended == CLIENT ? self->downstream : self->ended == SERVER ? self->upstream : NULL;
    return Py_NewRef(side ? side : Py_None);
}

/* Whether nobody but the server's connection refers to the sink inside, and that leads to its tunnel besides. */
static int is_sink_of_server(Tunnel *self)
{
    PyObject *inward = (PyObject *)&self->inward, *downstream = self->downstream, *upstream = self->upstream;
    if (Py_REFCNT(inward) != 1 || !IS(downstream, downstream) || !IS(upstream, upstream)) return 0;
    if (OF(wire, upstream, sink) != inward || OF(wire, upstream, source) != downstream) return 0;
    return OF(downstream, downstream, tunnel) == (PyObject *)self;
}

static int tunnel_traverse(Tunnel *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    /* What the sink refers to is counted as if the tunnel did: who reaches that connection reaches the tunnel. */
    if (is_sink_of_server(self)) Py_VISIT(self);
    Py_VISIT(self->downstream);
    Py_VISIT(self->upstream);
    Py_VISIT(self->pumps);
    return 0;
}

static int tunnel_clear(Tunnel *self)
{
    Py_CLEAR(self->downstream);
    Py_CLEAR(self->upstream);
    Py_CLEAR(self->pumps);
    return 0;
}

static void tunnel_dealloc(Tunnel *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    tunnel_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

#define MEMBER(name, type, member, flags) {name, type, offsetof(Tunnel, member), flags, NULL}

static PyMemberDef tunnel_members[] = {
    MEMBER("downstream", T_OBJECT_EX, downstream, READONLY),
    MEMBER("upstream", T_OBJECT_EX, upstream, READONLY),
    MEMBER("deadline", T_DOUBLE, deadline, 0),
    MEMBER("over", T_BOOL, over, 0),
    MEMBER("place", T_INT, place, 0),
    MEMBER("_pumps", T_OBJECT_EX, pumps, 0),
    MEMBER("_idle", T_DOUBLE, idle, READONLY),
    MEMBER("_until", T_DOUBLE, until, READONLY),
    MEMBER("_left", T_FLOAT, left, 0),
    MEMBER("_left_inward", T_FLOAT, left_inward, 0),
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef tunnel_computed[] = {
    {"_ended", (getter)tunnel_ended, NULL, "The side that has ended its stream, while the other has not.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot tunnel_slots[] = {
    {Py_tp_doc, "Two connections joined."},
    {Py_tp_init, tunnel_init},
    {Py_tp_traverse, tunnel_traverse},
    {Py_tp_clear, tunnel_clear},
    {Py_tp_dealloc, tunnel_dealloc},
    {Py_tp_methods, tunnel_methods},
    {Py_tp_members, tunnel_members},
    {Py_tp_getset, tunnel_computed},
    {0, NULL},
};

PyType_Spec tunnel_spec = {
    .name = "corpproxy._tunnel.Tunnel",
    .basicsize = sizeof(Tunnel),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = tunnel_slots,
};

static PyType_Slot inward_slots[] = {
    {Py_tp_doc, "The sink of a tunnel's server."},
    {Py_tp_dealloc, inward_dealloc},
    {Py_tp_methods, inward_methods},
    {0, NULL},
};

static PyType_Spec inward_spec = {
    .name = "corpproxy._tunnel.Inward",
    .basicsize = sizeof(Inward),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = inward_slots,
};

/* ---- The module ---- */

static PyObject *set_twins(PyObject *module, PyObject *args)
{
    PyObject *classes, *is_gone, *rests;
    if (!PyArg_ParseTuple(args, "O!OOf", &PyDict_Type, &classes, &is_gone, &rests, &copied_octets)) return NULL;
#define TAKE_CLASS(class)                                                                                              \
    if (take_class(&class##_class, classes, #class)) return NULL;
    CLASSES(TAKE_CLASS)
    if (take_class(&tunnel_class, classes, "tunnel")) return NULL;
    /* Where the twin in Python runs, it makes the tunnels. */
    if (!PyType_IsSubtype(tunnel_class, tunnel_type)) Py_CLEAR(tunnel_class);
#define TAKE_MEMBER(class, member, text)                                                                               \
    if ((class##_##member = offset_of(class##_class, text)) < 0) return NULL;
    MEMBERS(TAKE_MEMBER)
    Py_XSETREF(gone, Py_NewRef(is_gone));
    Py_XSETREF(never, Py_NewRef(rests));
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"set_twins", set_twins, METH_VARARGS,
     "set_twins(classes, gone, never, copied)\n\nSay which classes there are, by their names here; the sink of what is\n"
     "gone, the deadline of what rests, and what one way carries before the kernel moves what follows."},
    {"set_opening", set_opening, METH_VARARGS,
     "set_opening(established, tunnelled, any, server_name, forgotten)\n\nSay what is written when a tunnel is\n"
     "established, the result of one, which content may be any, what reads a server name, and what stands in the place\n"
     "of the head, the target and the method of one that is open."},
    {NULL, NULL, 0, NULL},
};

static int add_names_and_types(PyObject *module)
{
#define KEEP_NAME(name, text)                                                                                          \
    if (keep_name(&name_##name, text)) return -1;
    NAMES(KEEP_NAME)
    if (add_type(module, &tunnel_spec, &tunnel_type) || add_type(module, &inward_spec, &inward_type)) return -1;
    return add_type(module, &opening_spec, NULL);
}

PART(tunnel, "Tunnels.", add_names_and_types)
