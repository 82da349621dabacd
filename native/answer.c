/*
 * Answers to requests that were sent ahead of their road.
 *
 * corpproxy/net/ahead.py says what is done here and why, and has the twin.  Taken here is an answer that came whole
 * and whose head came before; all else is for the twin.
 */
#include "ahead.h"
#include <stddef.h>
#include <string.h>

static PyObject *joined(PyObject *one, PyObject *other)
{
    Py_ssize_t first = PyBytes_GET_SIZE(one), second = PyBytes_GET_SIZE(other);
    PyObject *octets = PyBytes_FromStringAndSize(NULL, first + second);
    if (!octets) return NULL;
    memcpy(PyBytes_AS_STRING(octets), PyBytes_AS_STRING(one), (size_t)first);
    memcpy(PyBytes_AS_STRING(octets) + first, PyBytes_AS_STRING(other), (size_t)second);
    return octets;
}

static int same_octets(PyObject *one, PyObject *other)
{
    if (one == other) return 1;
    if (!one || !other || !PyBytes_CheckExact(one) || !PyBytes_CheckExact(other)) return 0;
    Py_ssize_t many = PyBytes_GET_SIZE(one);
    return many == PyBytes_GET_SIZE(other) && !memcmp(PyBytes_AS_STRING(one), PyBytes_AS_STRING(other), (size_t)many);
}

/* What `Ahead._note` keeps of an answer that went as it came. */
enum { NOTED_METHOD, NOTED_VIA, NOTED_KEEP, NOTED_LENGTH, NOTED_STATUS, NOTED_KEPT, NOTED_HEAD, NOTED };

/* The note of an answer that is to this request as the one before was to its; borrowed, NULL for the twin. */
static PyObject *noted(PyObject *exchange, PyObject *head, PyObject *content)
{
    PyObject *fields = PyTuple_GET_ITEM(head, 3), *outline = IS(fields, fields) ? OF(fields, fields, outline) : NULL;
    PyObject *notes = IS(outline, outline) ? OF(outline, outline, notes) : NULL;
    /* Clients that stay and clients that leave may have the same answers in turn. */
    PyObject *name = OF(exchange, exchange, keep) == Py_True ? name_same : name_same_at_end;
    PyObject *note = notes && PyDict_CheckExact(notes) ? PyDict_GetItemWithError(notes, name) : NULL;
    if (!note || !PyTuple_CheckExact(note) || PyTuple_GET_SIZE(note) != NOTED) return NULL;
    PyObject *in_force = OF(exchange, exchange, in_force);
    if (!IS(in_force, in_force) || PyTuple_GET_ITEM(note, NOTED_VIA) != OF(in_force, in_force, via)) return NULL;
    if (!same_octets(PyTuple_GET_ITEM(note, NOTED_METHOD), OF(exchange, exchange, method))) return NULL;
    if (PyTuple_GET_ITEM(note, NOTED_KEEP) != OF(exchange, exchange, keep)) return NULL;
    Py_ssize_t length = PyLong_AsSsize_t(PyTuple_GET_ITEM(note, NOTED_LENGTH));
    if (length != PyBytes_GET_SIZE(content) || !PyBytes_CheckExact(PyTuple_GET_ITEM(note, NOTED_HEAD))) return NULL;
    return note;
}

/* Take what moved off the limits: 0 where there is not so much left below them, -1 with an exception. */
static int take_off(PyObject *exchange, PyObject *sent, PyObject *now)
{
    PyObject *in_force = OF(exchange, exchange, in_force), *leeway = OF(exchange, exchange, leeway);
    if (OF(in_force, in_force, limiting) == Py_None) return 1;
    PyObject *received = OF(account, OF(exchange, exchange, account), received);
    if (!leeway || leeway == Py_None || !received) return 0;
    return leeway_takes(leeway, received, sent, now);
}

/*
 * Send a whole answer; the exchange has nothing more to do then.  0 where it is more than its limits let through at
 * once, and nothing was sent; -1 with an exception.
 */
static int deliver(Ahead *self, PyObject *exchange, PyObject *note, PyObject *content, PyObject *came)
{
    PyObject *downstream = self->downstream, *upstream = self->upstream, *account = OF(exchange, exchange, account);
    PyObject *octets = joined(PyTuple_GET_ITEM(note, NOTED_HEAD), content);
    PyObject *now = octets ? reactor_seconds(OF(downstream, downstream, proxy)) : NULL;
    PyObject *waited = now ? PyNumber_Subtract(now, OF(upstream, upstream, asked_at)) : NULL;
    PyObject *sent = waited ? PyLong_FromSsize_t(PyBytes_GET_SIZE(octets)) : NULL;
    int may = sent ? take_off(exchange, sent, now) : -1;
    int failed = may <= 0 || add_to(slot(account, account_sent), sent) ||
                 add_to(slot(exchange, exchange_up_sent), OF(upstream, upstream, sent)) ||
                 add_to(slot(exchange, exchange_up_received), came);
    if (!failed) {
        PUT(exchange, exchange, first_octet_seconds, Py_NewRef(waited));
        PUT(exchange, exchange, status, Py_NewRef(PyTuple_GET_ITEM(note, NOTED_STATUS)));
        PUT(exchange, exchange, answered, Py_NewRef(Py_True));
        PUT(upstream, upstream, keep, Py_NewRef(PyTuple_GET_ITEM(note, NOTED_KEPT)));
        PUT(upstream, upstream, challenges, Py_NewRef(Py_False));
        PUT(upstream, upstream, received, Py_NewRef(came));
        PUT(upstream, upstream, sink, Py_NewRef(upstream));
        PUT(upstream, upstream, asker, Py_NewRef(Py_None));
        failed = call_method(OF(downstream, downstream, transport), name_write, octets);
    }
    if (!failed) {
        PUT(downstream, downstream, upstream, Py_NewRef(Py_None));
        failed = call_method(upstream, name_release, Py_True);
        PUT(exchange, exchange, result, Py_NewRef(result_forwarded));
    }
    Py_XDECREF(octets);
    Py_XDECREF(now);
    Py_XDECREF(waited);
    Py_XDECREF(sent);
    return may == 0 ? 0 : failed ? -1 : 1;
}

/* Tell the client's connection that the exchange is over; an exception that is set says why. */
int tell_ended(PyObject *downstream, int failed)
{
    if (!failed) return call_method(downstream, name_ended, Py_None);
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return -1;
    PyObject *type, *bug, *trace;
    PyErr_Fetch(&type, &bug, &trace);
    PyErr_NormalizeException(&type, &bug, &trace);
    if (bug && trace) PyException_SetTraceback(bug, trace);
    int told = bug ? call_method(downstream, name_ended, bug) : -1;
    Py_XDECREF(type);
    Py_XDECREF(bug);
    Py_XDECREF(trace);
    return told;
}

/* Whether all is as it was when the request was sent. */
static int as_sent(const Ahead *self)
{
    PyObject *downstream = self->downstream, *upstream = self->upstream;
    if (!IS(downstream, downstream) || !IS(upstream, upstream)) return 0;
    if (OF(downstream, downstream, run) != (PyObject *)self || OF(downstream, downstream, upstream) != upstream) return 0;
    if (OF(upstream, upstream, asker) != (PyObject *)self || OF(upstream, upstream, gone) != Py_False) return 0;
    PyObject *exchange = OF(downstream, downstream, exchange);
    return IS(exchange, exchange) && OF(exchange, exchange, held) == Py_None && IS(account, OF(exchange, exchange, account));
}

/* Read a head that came whole; NULL, without an exception where it is for the twin. */
static PyObject *read_head(PyObject *reader, PyObject *data)
{
    if (!IS(reader, reader) || OF(reader, reader, held) != Py_None) return NULL;
    PyObject *limits = OF(reader, reader, limits), *rest = OF(reader, reader, rest);
    if (!IS(limits, limits) || !rest || !PyBytes_CheckExact(rest) || PyBytes_GET_SIZE(rest)) return NULL;
    PyObject *words[] = {reader, data, OF(limits, limits, head_octets), OF(limits, limits, fields)};
    PyObject *head = PyObject_Vectorcall(read_response, words, 4, NULL);
    if (head == Py_None) Py_CLEAR(head);
    return head;
}

/* Take an answer that came whole; 0 where it is for the twin, -1 with an exception. */
static int take_whole(Ahead *self, PyObject *data)
{
    if (!PyBytes_CheckExact(data) || !as_sent(self)) return 0;
    PyObject *reader = OF(upstream, self->upstream, reader), *exchange = OF(downstream, self->downstream, exchange);
    PyObject *head = read_head(reader, data);
    if (!head) return PyErr_Occurred() ? -1 : 0;
    PyObject *content = Py_NewRef(OF(reader, reader, rest));
    PUT(reader, reader, rest, Py_NewRef(no_octets));
    PyObject *note = Py_XNewRef(noted(exchange, head, content));
    int taken = PyErr_Occurred() ? -1 : 0;
    if (note) {
        PyObject *came = PyLong_FromSsize_t(PyBytes_GET_SIZE(data)), *downstream = Py_NewRef(self->downstream);
        Py_INCREF(exchange);
        int sent = came ? deliver(self, exchange, note, content, came) : -1;
        if (sent) taken = tell_ended(downstream, sent < 0) ? -1 : 1;
        Py_DECREF(exchange);
        Py_DECREF(downstream);
        Py_XDECREF(came);
    }
    Py_XDECREF(note);
    Py_DECREF(content);
    Py_DECREF(head);
    return taken;
}

static PyObject *ahead_octets(Ahead *self, PyObject *data)
{
    Py_INCREF(self);
    int taken = take_whole(self, data);
    PyObject *told = NULL;
    if (taken > 0) told = Py_NewRef(Py_None);
    if (!taken) told = PyObject_CallMethodOneArg((PyObject *)self, name_octets_in_python, data);
    Py_DECREF(self);
    return told;
}

static int ahead_init(Ahead *self, PyObject *args, PyObject *names)
{
    PyObject *downstream, *upstream;
    if (!PyArg_ParseTuple(args, "OO", &downstream, &upstream)) return -1;
    Py_XSETREF(self->downstream, Py_NewRef(downstream));
    Py_XSETREF(self->upstream, Py_NewRef(upstream));
    return 0;
}

static int ahead_traverse(Ahead *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->downstream);
    Py_VISIT(self->upstream);
    return 0;
}

static int ahead_clear(Ahead *self)
{
    Py_CLEAR(self->downstream);
    Py_CLEAR(self->upstream);
    return 0;
}

static void ahead_dealloc(Ahead *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    ahead_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef ahead_methods[] = {
    {"octets", (PyCFunction)ahead_octets, METH_O, "Take octets of the answer."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef ahead_members[] = {
    {"_downstream", T_OBJECT_EX, offsetof(Ahead, downstream), 0, NULL},
    {"_upstream", T_OBJECT_EX, offsetof(Ahead, upstream), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot ahead_slots[] = {
    {Py_tp_doc, "Takes the answer to a request that was sent ahead of its road."},
    {Py_tp_init, ahead_init},
    {Py_tp_traverse, ahead_traverse},
    {Py_tp_clear, ahead_clear},
    {Py_tp_dealloc, ahead_dealloc},
    {Py_tp_methods, ahead_methods},
    {Py_tp_members, ahead_members},
    {0, NULL},
};

PyType_Spec ahead_spec = {
    .name = "corpproxy._ahead.Ahead",
    .basicsize = sizeof(Ahead),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = ahead_slots,
};
