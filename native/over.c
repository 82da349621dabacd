/*
 * A client comes and leaves, and its exchanges end.
 *
 * corpproxy/net/over.py says what is done here and why, and has the twins.  Where an exchange was ended by a bug, or
 * its tunnel only begins, it is for them.
 */
#include "ahead.h"

/* Put a moment that lies so long after now in the place of a deadline. */
static int wait_for(PyObject *self, Py_ssize_t timeout)
{
    PyObject *timeouts = OF(downstream, self, timeouts);
    PyObject *now = IS(timeouts, timeouts) ? member_of(OF(downstream, self, deadlines), name_now) : NULL;
    PyObject *until = now ? PyNumber_Add(now, *slot(timeouts, timeout)) : NULL;
    Py_XDECREF(now);
    if (until) PUT(downstream, self, deadline, until);
    else if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "these are no timeouts");
    return until ? 0 : -1;
}

static int is_stopping(PyObject *proxy)
{
    PyObject *found = PROXY(proxy, stopping);
    int truth = found ? PyObject_IsTrue(found) : -1;
    Py_XDECREF(found);
    return truth;
}

/* ---- It comes, and leaves ---- */

static int take_address(PyObject *self)
{
    PyObject *transport = OF(downstream, self, transport);
    PyObject *peer = is_set(transport) ? PyObject_CallMethodNoArgs(transport, name_get_peer) : NULL;
    PyObject *host = peer ? PyObject_GetAttr(peer, name_host) : NULL;
    Py_XDECREF(peer);
    if (host) PUT(downstream, self, address, host);
    return host ? 0 : -1;
}

static int register_producer(PyObject *self)
{
    PyObject *words[] = {OF(downstream, self, transport), self, Py_True};
    PyObject *told = PyObject_VectorcallMethod(name_register_producer, words, 3, NULL);
    Py_XDECREF(told);
    return told ? 0 : -1;
}

static int made(PyObject *self)
{
    if (!IS(downstream, self)) return 0;
    if (take_address(self) || register_producer(self)) return -1;
    if (call_method(OF(downstream, self, deadlines), name_watch, self) || wait_for(self, timeouts_head)) return -1;
    PyObject *admission = PROXY(OF(downstream, self, proxy), admission);
    int failed = admission ? admission_opened(admission, self) : -1;
    Py_XDECREF(admission);
    return failed ? -1 : 1;
}

/* Part with what refers to it: nothing comes of this connection any more. */
static void let_go(PyObject *self)
{
    if (OF(downstream, self, sink) == object_gone) return;
    PUT(downstream, self, sink, Py_NewRef(object_gone));
    PUT(downstream, self, held, NULL);
}

static int is_gone(PyObject *self, PyObject *reason)
{
    if (!IS(downstream, self)) return 0;
    PyObject *admission = PROXY(OF(downstream, self, proxy), admission);
    int failed = admission ? admission_closed(admission, self) : -1;
    Py_XDECREF(admission);
    PyObject *words[] = {self, reason};
    PyObject *told = failed ? NULL : PyObject_Vectorcall(object_wire_lost, words, 2, NULL);
    if (!told) return -1;
    Py_DECREF(told);
    PyObject *pins = OF(downstream, self, pins);
    if (pins != Py_None && call_method(pins, name_close, NULL)) return -1;
    if (OF(downstream, self, run) == Py_None && OF(downstream, self, tunnel) == Py_None) let_go(self);
    return 1;
}

/* ---- An exchange ends ---- */

/* What moved over the server's connection is taken down, and the connection let go of. */
static int part(PyObject *self, PyObject *exchange)
{
    PyObject *upstream = Py_NewRef(OF(downstream, self, upstream));
    int failed = 0;
    if (upstream != Py_None) {
        PyObject *nought = PyLong_FromLong(0);
        failed = !nought || add_to(slot(exchange, exchange_up_sent), OF(upstream, upstream, sent)) ||
                 add_to(slot(exchange, exchange_up_received), OF(upstream, upstream, received));
        if (!failed) {
            PUT(upstream, upstream, sent, Py_NewRef(nought));
            PUT(upstream, upstream, received, Py_NewRef(nought));
            PUT(downstream, self, upstream, Py_NewRef(Py_None));
            failed = call_method(upstream, name_release, Py_False);
        }
        Py_XDECREF(nought);
    }
    Py_DECREF(upstream);
    return failed;
}

static int close_tunnel(PyObject *exchange, PyObject *self, PyObject *proxy)
{
    if (OF(exchange, exchange, opened) != Py_True && !is_connect(OF(exchange, exchange, method))) return 0;
    PyObject *admission = PROXY(proxy, admission);
    int failed = admission ? admission_tunnel_closed(admission, self) : -1;
    Py_XDECREF(admission);
    return failed;
}

/* Whether the connection outlives its exchange; -1 with an exception. */
static int is_kept(PyObject *self, PyObject *exchange, PyObject *proxy)
{
    if (OF(exchange, exchange, keep) != Py_True || OF(downstream, self, gone) != Py_False) return 0;
    int stopping = is_stopping(proxy);
    return stopping < 0 ? -1 : !stopping;
}

/* Nobody comes after this exchange to count what the client sent ahead. */
static int count_rest(PyObject *self, PyObject *exchange)
{
    PyObject *held = OF(downstream, self, held), *octets = IS(held, held) ? OF(held, held, octets_held) : NULL;
    if (!is_set(octets)) return -1;
    if (PyBytes_CheckExact(octets) && !PyBytes_GET_SIZE(octets)) return 0;
    PyObject *many = PyLong_FromSsize_t(PyObject_Size(octets));
    int failed = !many || add_to(slot(OF(exchange, exchange, account), account_received), many);
    Py_XDECREF(many);
    PUT(held, held, octets_held, Py_NewRef(no_octets));
    return failed;
}

static int close_books(PyObject *proxy, PyObject *exchange)
{
    PyObject *books = PROXY(proxy, books);
    int failed = books ? call_method(books, name_close, exchange) : -1;
    Py_XDECREF(books);
    return failed;
}

/* Wait for the next head, where none has come ahead: the twin is `_next`. */
static int wait_for_next(PyObject *self, PyObject *proxy)
{
    PyObject *held = OF(downstream, self, held), *octets = IS(held, held) ? OF(held, held, octets_held) : NULL;
    int is_quiet = octets && PyBytes_CheckExact(octets) && !PyBytes_GET_SIZE(octets) &&
                   OF(downstream, self, full) == Py_False && OF(downstream, self, feeding) == Py_False;
    PyObject *in_force = is_quiet ? PROXY(proxy, in_force) : NULL;
    if (is_quiet && !in_force) return -1;
    is_quiet = IS(in_force, in_force) && OF(in_force, in_force, timeouts) && OF(downstream, self, on_hold) &&
               !PyObject_IsTrue(OF(downstream, self, on_hold));
    if (is_quiet) PUT(downstream, self, timeouts, Py_NewRef(OF(in_force, in_force, timeouts)));
    Py_XDECREF(in_force);
    if (!is_quiet) return call_method(self, name_next_head, NULL);
    PUT(downstream, self, sink, Py_NewRef(self));
    return wait_for(self, timeouts_idle);
}

static int go_on(PyObject *self, PyObject *proxy, int keep)
{
    if (keep) {
        /* An idle connection keeps nothing of it: its head alone is as large as all the rest. */
        PUT(downstream, self, exchange, NULL);
        return wait_for_next(self, proxy);
    }
    if (OF(downstream, self, gone) == Py_True) {
        let_go(self);
        return 0;
    }
    if (OF(downstream, self, abort_at_end) == Py_True) return call_method(self, name_abort, NULL);
    return OF(downstream, self, closing) == Py_True ? 0 : call_method(self, name_close, NULL);
}

static int end_exchange(PyObject *self, PyObject *exchange, PyObject *proxy)
{
    int is_joined = OF(downstream, self, tunnel) != Py_None;
    PUT(downstream, self, tunnel, Py_NewRef(Py_None));
    PUT(downstream, self, when_late, Py_NewRef(Py_None));
    PUT(downstream, self, deadline, Py_NewRef(object_never));
    if (part(self, exchange)) return -1;
    PyObject *held = OF(exchange, exchange, held);
    if (held != Py_None && call_method(held, name_close, NULL)) return -1;
    if (close_tunnel(exchange, self, proxy)) return -1;
    int keep = is_kept(self, exchange, proxy);
    if (keep < 0 || (!keep && !is_joined && count_rest(self, exchange))) return -1;
    return close_books(proxy, exchange) || go_on(self, proxy, keep) ? -1 : 1;
}

/* An exchange that no bug ended is over; 0 for the twin, -1 with an exception. */
static int over(PyObject *self)
{
    if (!IS(downstream, self)) return 0;
    PyObject *exchange = OF(downstream, self, exchange), *upstream = OF(downstream, self, upstream);
    if (!IS(exchange, exchange) || !IS(account, OF(exchange, exchange, account))) return 0;
    if (!upstream || (upstream != Py_None && !IS(upstream, upstream)) || !OF(downstream, self, proxy)) return 0;
    Py_INCREF(exchange);
    PyObject *proxy = Py_NewRef(OF(downstream, self, proxy));
    int done = end_exchange(self, exchange, proxy);
    Py_DECREF(exchange);
    Py_DECREF(proxy);
    return done;
}

/* ---- The methods ---- */

static PyObject *told(PyObject *self, int done, PyObject *twin, PyObject *word)
{
    if (done < 0) return NULL;
    if (done) Py_RETURN_NONE;
    return word ? PyObject_CallMethodOneArg(self, twin, word) : PyObject_CallMethodNoArgs(self, twin);
}

static PyObject *connection_made(PyObject *self, PyObject *ignored)
{
    return told(self, made(self), name_made_in_python, NULL);
}

static PyObject *connection_lost(PyObject *self, PyObject *reason)
{
    return told(self, is_gone(self, reason), name_lost_in_python, reason);
}

static PyObject *exchange_over(PyObject *self, PyObject *error)
{
    return told(self, error == Py_None ? over(self) : 0, name_over_in_python, error);
}

static PyObject *road_ended(PyObject *self, PyObject *error)
{
    PyObject *exchange = IS(downstream, self) ? OF(downstream, self, exchange) : NULL;
    if (error != Py_None || !IS(exchange, exchange) || OF(exchange, exchange, splices) != Py_False)
        return PyObject_CallMethodOneArg(self, name_ended_in_python, error);
    PUT(downstream, self, run, Py_NewRef(Py_None));
    return exchange_over(self, error);
}

static PyObject *write_octets(PyObject *self, PyObject *data)
{
    PyObject *exchange = IS(downstream, self) ? OF(downstream, self, exchange) : NULL;
    PyObject *account = IS(exchange, exchange) ? OF(exchange, exchange, account) : NULL;
    if (!IS(account, account) || !PyBytes_CheckExact(data))
        return PyObject_CallMethodOneArg(self, name_write_in_python, data);
    PyObject *many = PyLong_FromSsize_t(PyBytes_GET_SIZE(data));
    PUT(exchange, exchange, answered, Py_NewRef(Py_True));
    int failed = !many || add_to(slot(account, account_sent), many);
    Py_XDECREF(many);
    if (failed || call_method(OF(downstream, self, transport), name_write, data)) return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef over_methods[] = {
    {"connectionMade", connection_made, METH_NOARGS, "A client connected."},
    {"connectionLost", connection_lost, METH_O, "The connection is gone."},
    {"ended", road_ended, METH_O, "The road is over."},
    {"_over", exchange_over, METH_O, "The exchange is over."},
    {"write", write_octets, METH_O, "Send octets to the client, and count them."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot over_slots[] = {
    {Py_tp_doc, "How a client comes and leaves, and its exchanges end."},
    {Py_tp_methods, over_methods},
    {0, NULL},
};

PyType_Spec over_spec = {
    .name = "corpproxy._ahead.Over",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = over_slots,
};
