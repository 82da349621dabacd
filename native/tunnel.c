/*
 * A tunnel at work.
 *
 * corpproxy/net/splice.py says what is done here and why, and has the twin.  Taken here is what nearly all tunnels do:
 * octets both ways, one side that ends after the other.  What is held back, moved by the kernel or reset is for the
 * twin.
 */
#include "tunnel.h"
#include <math.h>
#include <stddef.h>

#define A_CLASS(class) PyTypeObject *class##_class;
#define A_MEMBER(class, member, text) Py_ssize_t class##_##member;
#define A_NAME(name, text) PyObject *name_##name;
CLASSES(A_CLASS)
MEMBERS(A_MEMBER)
NAMES(A_NAME)
PyObject *gone, *never;
PyTypeObject *tunnel_class, *tunnel_type;

PyTypeObject *inward_type;

static Tunnel *tunnel_of(PyObject *inward)
{
    return (Tunnel *)((char *)inward - offsetof(Tunnel, inward));
}

PyObject *inward_of(Tunnel *self)
{
    PyObject *inward = (PyObject *)&self->inward;
    if (Py_REFCNT(inward)) return Py_NewRef(inward);
    Py_INCREF(self);
    return PyObject_Init(inward, inward_type);
}

void inward_dealloc(PyObject *inward)
{
    PyTypeObject *type = Py_TYPE(inward);
    Py_DECREF(tunnel_of(inward));
    Py_DECREF(type);
}

/* ---- What is as ever ---- */

int are_usual(PyObject *downstream, PyObject *upstream)
{
    if (!IS(downstream, downstream) || !IS(upstream, upstream)) return 0;
    if (!IS(deadlines, OF(wire, downstream, deadlines))) return 0;
    PyObject *exchange = OF(downstream, downstream, exchange);
    return IS(exchange, exchange) && IS(account, OF(exchange, exchange, account));
}

static PyObject *account_of(const Tunnel *self)
{
    return OF(exchange, OF(downstream, self->downstream, exchange), account);
}

static PyObject *watched_by(PyObject *wire)
{
    return OF(deadlines, OF(wire, wire, deadlines), watched);
}

int read_now(PyObject *wire, double *now)
{
    PyObject *at = OF(deadlines, OF(wire, wire, deadlines), now);
    *now = is_set(at) ? PyFloat_AsDouble(at) : -1.0;
    return *now == -1.0 && PyErr_Occurred() ? -1 : 0;
}

static int watch(PyObject *watched, PyObject *one)
{
    return PyDict_SetDefault(watched, one, Py_None) ? 0 : -1;
}

/* Look at one no more, if it was looked at. */
static int drop(PyObject *watched, PyObject *one)
{
    if (!PyDict_DelItem(watched, one)) return 0;
    if (!PyErr_ExceptionMatches(PyExc_KeyError)) return -1;
    PyErr_Clear();
    return 0;
}

static PyObject *line_of(const Tunnel *self)
{
    PyObject *line = OF(deadlines, OF(wire, self->downstream, deadlines), line);
    if (line && PyList_CheckExact(line)) return line;
    PyErr_SetString(PyExc_TypeError, "tunnels stand in a list");
    return NULL;
}

/* Look at a tunnel from now on: the twin is `Deadlines.line_up`. */
static int line_up(Tunnel *self)
{
    PyObject *line = line_of(self);
    if (!line || PyList_Append(line, (PyObject *)self)) return -1;
    self->place = (int)PyList_GET_SIZE(line) - 1;
    return 0;
}

static int put_place(PyObject *tunnel, int place)
{
    if (PyObject_TypeCheck(tunnel, tunnel_type)) {
        ((Tunnel *)tunnel)->place = place;
        return 0;
    }
    PyObject *number = PyLong_FromLong(place);
    int failed = !number || PyObject_SetAttr(tunnel, name_place, number);
    Py_XDECREF(number);
    return failed ? -1 : 0;
}

/* Look at one no more, the last one takes its place: the twin is `Deadlines.step_out`. */
static int step_out(Tunnel *self)
{
    Py_ssize_t place = self->place, last;
    PyObject *line = line_of(self);
    self->place = -1;
    if (!line) return -1;
    last = PyList_GET_SIZE(line) - 1;
    if (place < 0 || place > last) return 0;
    PyObject *moves = Py_NewRef(PyList_GET_ITEM(line, last));
    int failed = PyList_SetSlice(line, last, last + 1, NULL);
    if (!failed && place < last) failed = PyList_SetItem(line, place, Py_NewRef(moves)) || put_place(moves, (int)place);
    Py_DECREF(moves);
    return failed ? -1 : 0;
}

static PyObject *done(int failed)
{
    if (failed) return NULL;
    Py_RETURN_NONE;
}

/* ---- Octets ---- */

static int move_deadline(Tunnel *self)
{
    double now;
    if (read_now(self->downstream, &now)) return -1;
    double deadline = now + self->idle;
    self->deadline = deadline < self->until ? deadline : self->until;
    return 0;
}

/* Octets moved one way, of which so many were left to be copied. */
static int moved(Tunnel *self, float *left, Py_ssize_t octets, PyObject *pump)
{
    if (move_deadline(self)) return -1;
    *left -= (float)octets;
    if (*left >= 0 || self->over) return 0;
    *left = INFINITY;
    return call_method((PyObject *)self, pump, NULL);
}

static int pass_outward(Tunnel *self, PyObject *data)
{
    PyObject *many = PyLong_FromSsize_t(PyBytes_GET_SIZE(data));
    if (!many) return -1;
    int failed = add_to(slot(account_of(self), account_received), many) ||
                 add_to(slot(self->upstream, upstream_sent), many);
    Py_DECREF(many);
    if (failed || call_method(OF(wire, self->upstream, transport), name_write, data)) return -1;
    return moved(self, &self->left, PyBytes_GET_SIZE(data), name_pump_outward);
}

static int pass_inward(Tunnel *self, PyObject *data)
{
    PyObject *many = PyLong_FromSsize_t(PyBytes_GET_SIZE(data));
    if (!many) return -1;
    int failed = add_to(slot(self->upstream, upstream_received), many) ||
                 add_to(slot(account_of(self), account_sent), many);
    Py_DECREF(many);
    if (failed) return -1;
    PUT(exchange, OF(downstream, self->downstream, exchange), answered, Py_NewRef(Py_True));
    if (call_method(OF(wire, self->downstream, transport), name_write, data)) return -1;
    return moved(self, &self->left_inward, PyBytes_GET_SIZE(data), name_pump_inward);
}

static int is_for_twin(const Tunnel *self, PyObject *data)
{
    return !PyBytes_CheckExact(data) || !are_usual(self->downstream, self->upstream);
}

static PyObject *tunnel_octets(Tunnel *self, PyObject *data)
{
    Py_INCREF(self);
    int failed = is_for_twin(self, data) ? call_method((PyObject *)self, name_octets_in_python, data)
                                         : pass_outward(self, data);
    Py_DECREF(self);
    return done(failed);
}

static PyObject *inward_octets(PyObject *inward, PyObject *data)
{
    Tunnel *self = tunnel_of(inward);
    Py_INCREF(self);
    int failed = is_for_twin(self, data) ? call_method((PyObject *)self, name_inward_in_python, data)
                                         : pass_inward(self, data);
    Py_DECREF(self);
    return done(failed);
}

static PyObject *tunnel_moved(Tunnel *self, PyObject *ignored)
{
    if (!are_usual(self->downstream, self->upstream)) {
        PyErr_SetString(PyExc_TypeError, "a tunnel has a client and a server");
        return NULL;
    }
    return done(move_deadline(self));
}

/* ---- The beginning ---- */

/* Whether nothing came of either side that waits, or is held back. */
static int nothing_waits(PyObject *downstream, PyObject *upstream)
{
    /* The connection of a tunnel is its own sink until something comes. */
    if (OF(wire, upstream, sink) != upstream || OF(upstream, upstream, keeper) != Py_None) return 0;
    if (!IS(held, OF(downstream, downstream, held))) return 0;
    if (!is_nought(OF(wire, downstream, on_hold)) || !is_nought(OF(wire, upstream, on_hold))) return 0;
    if (OF(wire, downstream, full) != Py_False || OF(wire, upstream, full) != Py_False) return 0;
    PyObject *ahead = OF(held, OF(downstream, downstream, held), octets_held);
    return ahead && PyBytes_CheckExact(ahead) && PyDict_CheckExact(watched_by(downstream));
}

int start_tunnel(Tunnel *self)
{
    PyObject *downstream = self->downstream, *upstream = self->upstream;
    if (!are_usual(downstream, upstream) || !nothing_waits(downstream, upstream))
        return call_method((PyObject *)self, name_start_in_python, NULL);
    PyObject *watched = watched_by(downstream);
    if (line_up(self) || drop(watched, downstream) || drop(watched, upstream)) return -1;
    PUT(wire, downstream, deadline, Py_NewRef(never));
    PUT(wire, upstream, deadline, Py_NewRef(never));
    PUT(wire, downstream, source, Py_NewRef(upstream));
    PUT(wire, upstream, source, Py_NewRef(downstream));
    PUT(wire, downstream, sink, Py_NewRef(self));
    PyObject *ahead = Py_NewRef(OF(held, OF(downstream, downstream, held), octets_held));
    PUT(downstream, downstream, held, NULL);
    int failed = PyBytes_GET_SIZE(ahead) ? pass_outward(self, ahead) : move_deadline(self);
    Py_DECREF(ahead);
    if (!failed && !self->over) PUT(wire, upstream, sink, inward_of(self));
    return failed;
}

static PyObject *tunnel_start(Tunnel *self, PyObject *ignored)
{
    return done(start_tunnel(self));
}

/* ---- The end ---- */

/* Nothing more comes from the source of a connection. */
static int fed_no_more(PyObject *wire)
{
    PyObject *source = OF(wire, wire, source);
    int is_held = IS(downstream, source) || IS(upstream, source) ? !is_nought(OF(wire, source, on_hold)) : source != Py_None;
    if (is_held) return call_method(wire, name_fed_no_more, NULL);
    PUT(wire, wire, source, Py_NewRef(Py_None));
    return 0;
}

/* Take down what moved over the server's connection: the twin is `Downstream.part`. */
static int take_down(PyObject *downstream, PyObject *upstream)
{
    PyObject *exchange = OF(downstream, downstream, exchange), *nought = PyLong_FromLong(0);
    if (!nought || add_to(slot(exchange, exchange_up_sent), OF(upstream, upstream, sent)) ||
        add_to(slot(exchange, exchange_up_received), OF(upstream, upstream, received))) {
        Py_XDECREF(nought);
        return -1;
    }
    PUT(upstream, upstream, sent, Py_NewRef(nought));
    PUT(upstream, upstream, received, nought);
    PUT(downstream, downstream, upstream, Py_NewRef(Py_None));
    return 0;
}

static int part(Tunnel *self)
{
    PyObject *downstream = self->downstream, *upstream = self->upstream;
    int is_plain = are_usual(downstream, upstream) && self->pumps && PyTuple_CheckExact(self->pumps) &&
                   !PyTuple_GET_SIZE(self->pumps) && OF(downstream, downstream, upstream) == upstream &&
                   PyDict_CheckExact(watched_by(downstream));
    if (!is_plain) return call_method((PyObject *)self, name_part_in_python, NULL);
    self->over = 1;
    PyObject *watched = watched_by(downstream);
    if (step_out(self)) return -1;
    if (OF(wire, downstream, gone) == Py_False && watch(watched, downstream)) return -1;
    if (OF(wire, upstream, gone) == Py_False && watch(watched, upstream)) return -1;
    if (fed_no_more(downstream) || fed_no_more(upstream)) return -1;
    PUT(wire, downstream, sink, Py_NewRef(gone));
    PUT(wire, upstream, sink, Py_NewRef(gone));
    return take_down(downstream, upstream);
}

/* Close the connection to the server: the twin is `Upstream.discard`. */
static int discard(PyObject *upstream)
{
    int is_plain = IS(upstream, upstream) && OF(wire, upstream, pace) == Py_None &&
                   OF(wire, upstream, source) == Py_None && OF(upstream, upstream, keeper) == Py_None;
    if (!is_plain) return call_method(upstream, name_discard, NULL);
    PUT(wire, upstream, sink, Py_NewRef(gone));
    return call_method(upstream, name_close, NULL);
}

/* No failure ended it: the twin is `Downstream.tunnel_over`. */
static int end_exchange(PyObject *downstream)
{
    return call_method(downstream, IS(downstream, downstream) ? name_over : name_tunnel_over, Py_None);
}

static int finish(Tunnel *self)
{
    if (part(self) || discard(self->upstream) || call_method(self->downstream, name_close, NULL)) return -1;
    return end_exchange(self->downstream);
}

static int side_ended(Tunnel *self, enum Side side)
{
    if (self->over || self->ended == (char)side) return 0;
    if (self->ended != NEITHER) return finish(self);
    self->ended = (char)side;
    PyObject *other = side == CLIENT ? self->upstream : self->downstream;
    int is_usual = IS(downstream, other) || IS(upstream, other);
    if (!is_usual) return call_method(other, name_end_writing, NULL);
    return call_method(OF(wire, other, transport), name_write_no_more, NULL);
}

static int side_lost(Tunnel *self, enum Side side, PyObject *clean)
{
    if (self->over) return 0;
    int is_clean = PyObject_IsTrue(clean);
    if (is_clean < 0) return -1;
    if (is_clean) return finish(self);
    return call_method((PyObject *)self, name_break_off, side == CLIENT ? self->downstream : self->upstream);
}

#define HELD(self, made)                                                                                               \
    Py_INCREF(self);                                                                                                   \
    int failed = (made);                                                                                               \
    Py_DECREF(self);                                                                                                   \
    return done(failed);

static PyObject *tunnel_half_closed(Tunnel *self, PyObject *ignored)
{
    HELD(self, side_ended(self, CLIENT))
}

static PyObject *tunnel_lost(Tunnel *self, PyObject *clean)
{
    HELD(self, side_lost(self, CLIENT, clean))
}

static PyObject *tunnel_part(Tunnel *self, PyObject *ignored)
{
    HELD(self, part(self))
}

static PyObject *inward_half_closed(PyObject *inward, PyObject *ignored)
{
    Tunnel *self = tunnel_of(inward);
    HELD(self, side_ended(self, SERVER))
}

static PyObject *inward_lost(PyObject *inward, PyObject *clean)
{
    Tunnel *self = tunnel_of(inward);
    HELD(self, side_lost(self, SERVER, clean))
}

static PyObject *tunnel_inward(Tunnel *self, PyObject *ignored)
{
    return inward_of(self);
}

PyMethodDef tunnel_methods[] = {
    {"start", (PyCFunction)tunnel_start, METH_NOARGS, "Join the two, first with what the client sent ahead."},
    {"octets", (PyCFunction)tunnel_octets, METH_O, "Pass octets of the client on."},
    {"half_closed", (PyCFunction)tunnel_half_closed, METH_NOARGS, "The client ended its stream."},
    {"lost", (PyCFunction)tunnel_lost, METH_O, "The client is gone."},
    {"moved", (PyCFunction)tunnel_moved, METH_NOARGS, "Octets moved: the idle time begins anew."},
    {"_inward", (PyCFunction)tunnel_inward, METH_NOARGS, "The sink of the server."},
    {"_part", (PyCFunction)tunnel_part, METH_NOARGS, "Part with both connections."},
    {NULL, NULL, 0, NULL},
};

PyMethodDef inward_methods[] = {
    {"octets", inward_octets, METH_O, "Pass octets of the server on."},
    {"half_closed", inward_half_closed, METH_NOARGS, "The server ended its stream."},
    {"lost", inward_lost, METH_O, "The server is gone."},
    {NULL, NULL, 0, NULL},
};
