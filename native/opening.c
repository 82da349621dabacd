/*
 * A tunnel that is opened ahead of its road: its server is reached, its first octets come, it is joined.
 *
 * corpproxy/net/tunnel_ahead.py says what is done here and why, and has the twin.  Taken here is a tunnel that begins
 * with a ClientHello for the name that was decided on; all else is for the twin.
 */
#include "tunnel.h"

/* What the twin hands in. */
static PyObject *established, *result_tunnelled, *any_content, *read_server_name;
/* What an open tunnel has in the place of its head, its target and its method. */
static PyObject *no_head, *no_target, *method_connect;
/* The status; the length of what is written. */
static PyObject *status_ok, *established_octets;

/* Whether the tunnel is as it was when its server was dialled. */
static int as_dialled(PyObject *self, PyObject *upstream)
{
    PyObject *downstream = OF(opening, self, downstream), *exchange = OF(opening, self, exchange);
    if (!are_usual(downstream, upstream) || OF(downstream, downstream, exchange) != exchange) return 0;
    if (OF(downstream, downstream, run) != self || !IS(timeouts, OF(downstream, downstream, timeouts))) return 0;
    PyObject *held = OF(downstream, downstream, held), *ahead = IS(held, held) ? OF(held, held, octets_held) : NULL;
    return ahead && PyBytes_CheckExact(ahead);
}

/* Of its head the User-Agent alone stays; the twin is `Exchange.forget_head`. */
static int forget_head(PyObject *exchange)
{
    PyObject *fields = OF(exchange, exchange, fields), *outline = IS(fields, fields) ? OF(fields, fields, outline) : NULL;
    PyObject *agent = IS(outline, outline) ? OF(outline, outline, agent) : NULL;
    if (!IS(fields, agent)) return call_method(exchange, name_forget_head, NULL);
    PUT(exchange, exchange, head, Py_NewRef(no_head));
    PUT(exchange, exchange, target, Py_NewRef(no_target));
    PUT(exchange, exchange, method, Py_NewRef(method_connect));
    PUT(exchange, exchange, facts, Py_NewRef(Py_None));
    PUT(exchange, exchange, fields, Py_NewRef(agent));
    return 0;
}

/* Tell the client that its tunnel stands, and the books. */
static int tell(PyObject *downstream, PyObject *exchange)
{
    PUT(exchange, exchange, status, Py_NewRef(status_ok));
    PUT(exchange, exchange, opened, Py_NewRef(Py_True));
    PUT(exchange, exchange, answered, Py_NewRef(Py_True));
    if (add_to(slot(OF(exchange, exchange, account), account_sent), established_octets)) return -1;
    if (call_method(OF(wire, downstream, transport), name_write, established)) return -1;
    PyObject *proxy = OF(downstream, downstream, proxy);
    PyObject *books = is_set(proxy) ? PyObject_GetAttr(proxy, name_books) : NULL;
    int failed = !books || call_method(books, name_opened, exchange);
    Py_XDECREF(books);
    return failed ? -1 : forget_head(exchange);
}

/* Whether a tunnel may carry anything; -1 with an exception. */
static int may_carry_any(PyObject *exchange)
{
    PyObject *decision = OF(exchange, exchange, decision);
    PyObject *safety = is_set(decision) ? PyObject_GetAttr(decision, name_safety) : NULL;
    PyObject *content = safety ? PyObject_GetAttr(safety, name_tunnel_content) : NULL;
    int may = content ? content == any_content : -1;
    Py_XDECREF(safety);
    Py_XDECREF(content);
    return may;
}

/* An exception that is set is a bug: it ends this exchange alone. */
static int tell_bug(PyObject *downstream)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return -1;
    PyObject *type, *bug, *trace;
    PyErr_Fetch(&type, &bug, &trace);
    PyErr_NormalizeException(&type, &bug, &trace);
    if (bug && trace) PyException_SetTraceback(bug, trace);
    int told = bug ? call_method(downstream, name_not_joined, bug) : -1;
    Py_XDECREF(type);
    Py_XDECREF(bug);
    Py_XDECREF(trace);
    return told;
}

/* Whether limits may hold for a tunnel: the twin in Python begins with them. */
static int may_be_limited(PyObject *exchange)
{
    PyObject *in_force = OF(exchange, exchange, in_force);
    if (OF(exchange, exchange, held) != Py_None || !IS(in_force, in_force)) return 1;
    return OF(in_force, in_force, limiting) != Py_None;
}

/* The octets move from now on; the twin is `TunnelAhead._join`, and what follows it. */
static int join_now(PyObject *self, PyObject *downstream, PyObject *exchange)
{
    PUT(wire, downstream, deadline, Py_NewRef(never));
    PUT(exchange, exchange, result, Py_NewRef(result_tunnelled));
    PUT(exchange, exchange, splices, Py_NewRef(Py_True));
    PyObject *upstream = OF(downstream, downstream, upstream);
    if (may_be_limited(exchange) || !are_usual(downstream, upstream) || !tunnel_class)
        return call_method(downstream, name_ended, Py_None);
    PUT(downstream, downstream, run, Py_NewRef(Py_None));
    Py_INCREF(upstream);
    int failed = join(downstream, upstream) ? tell_bug(downstream) : 0;
    Py_DECREF(upstream);
    return failed;
}

/* Whether octets are a whole ClientHello for the host that was decided on; -1 with an exception. */
static int is_for_host(PyObject *exchange, PyObject *data)
{
    PyObject *destination = OF(exchange, exchange, destination);
    PyObject *host = IS(destination, destination) ? OF(destination, destination, host) : NULL;
    PyObject *name = IS(host, host) ? OF(host, host, name) : NULL;
    if (!name || !PyUnicode_CheckExact(name)) return 0;
    PyObject *read = PyObject_CallOneArg(read_server_name, data);
    if (!read) {
        if (!PyErr_ExceptionMatches(PyExc_LookupError)) return -1;
        PyErr_Clear();
        return 0;
    }
    int same = read != Py_None ? PyObject_RichCompareBool(read, name, Py_EQ) : 0;
    Py_DECREF(read);
    if (same > 0) PUT(exchange, exchange, server_name, Py_NewRef(name));
    return same;
}

/* The first octets: 0 where they are for the twin, -1 with an exception. */
static int take_first(PyObject *self, PyObject *data)
{
    PyObject *downstream = OF(opening, self, downstream), *exchange = OF(opening, self, exchange);
    if (!PyBytes_CheckExact(data) || !IS(downstream, downstream)) return 0;
    if (!as_dialled(self, OF(downstream, downstream, upstream))) return 0;
    int is_hello = is_for_host(exchange, data);
    if (is_hello <= 0) return is_hello;
    PUT(held, OF(downstream, downstream, held), octets_held, Py_NewRef(data));
    return join_now(self, downstream, exchange) ? -1 : 1;
}

/* Whether the members lie where they are looked for. */
static int is_opening(PyObject *self)
{
    if (opening_class && PyObject_TypeCheck(self, opening_class)) return 1;
    PyErr_SetString(PyExc_TypeError, "this opens no tunnel");
    return 0;
}

static PyObject *opening_octets(PyObject *self, PyObject *data)
{
    if (!is_opening(self)) return NULL;
    Py_INCREF(self);
    PyObject *downstream = Py_XNewRef(OF(opening, self, downstream)), *exchange = Py_XNewRef(OF(opening, self, exchange));
    int taken = take_first(self, data);
    PyObject *told = taken > 0 ? Py_NewRef(Py_None) : NULL;
    if (!taken) told = PyObject_CallMethodOneArg(self, name_octets_in_python, data);
    Py_XDECREF(downstream);
    Py_XDECREF(exchange);
    Py_DECREF(self);
    return told;
}

/* Wait for the first octets, of which some may have come ahead. */
static int await_first(PyObject *self, PyObject *downstream)
{
    double now;
    PyObject *first = OF(timeouts, OF(downstream, downstream, timeouts), tunnel_first), *held = OF(downstream, downstream, held);
    double seconds = is_set(first) ? PyFloat_AsDouble(first) : -1.0;
    if (PyErr_Occurred() || read_now(downstream, &now)) return -1;
    PyObject *deadline = PyFloat_FromDouble(now + seconds);
    if (!deadline) return -1;
    PUT(wire, downstream, deadline, deadline);
    PUT(wire, downstream, sink, Py_NewRef(self));
    if (!PyBytes_GET_SIZE(OF(held, held, octets_held))) return 0;
    PyObject *ahead = PyObject_CallMethodNoArgs(held, name_take);
    PyObject *told = ahead ? opening_octets(self, ahead) : NULL;
    Py_XDECREF(ahead);
    Py_XDECREF(told);
    return told ? 0 : -1;
}

static int reached(PyObject *self, PyObject *upstream, PyObject *downstream, PyObject *exchange)
{
    PUT(downstream, downstream, upstream, Py_NewRef(upstream));
    PUT(exchange, exchange, upstream, Py_XNewRef(OF(upstream, upstream, address)));
    if (tell(downstream, exchange)) return -1;
    int any = may_carry_any(exchange);
    if (any) return any < 0 ? -1 : join_now(self, downstream, exchange);
    return await_first(self, downstream);
}

static PyObject *opening_reached(PyObject *self, PyObject *upstream)
{
    PyObject *told;
    if (!is_opening(self)) return NULL;
    Py_INCREF(self);
    if (as_dialled(self, upstream)) {
        PyObject *downstream = Py_NewRef(OF(opening, self, downstream)), *exchange = Py_NewRef(OF(opening, self, exchange));
        told = reached(self, upstream, downstream, exchange) ? NULL : Py_NewRef(Py_None);
        Py_DECREF(downstream);
        Py_DECREF(exchange);
    } else {
        told = PyObject_CallMethodOneArg(self, name_reached_in_python, upstream);
    }
    Py_DECREF(self);
    return told;
}

PyObject *set_opening(PyObject *module, PyObject *args)
{
    PyObject *written, *tunnelled, *any, *server_name, *head, *target, *method;
    if (!PyArg_ParseTuple(args, "SOOO(OOO)", &written, &tunnelled, &any, &server_name, &head, &target, &method))
        return NULL;
    Py_XSETREF(established, Py_NewRef(written));
    Py_XSETREF(result_tunnelled, Py_NewRef(tunnelled));
    Py_XSETREF(any_content, Py_NewRef(any));
    Py_XSETREF(read_server_name, Py_NewRef(server_name));
    Py_XSETREF(no_head, Py_NewRef(head));
    Py_XSETREF(no_target, Py_NewRef(target));
    Py_XSETREF(method_connect, Py_NewRef(method));
    Py_XSETREF(status_ok, PyLong_FromLong(200));
    Py_XSETREF(established_octets, PyLong_FromSsize_t(PyBytes_GET_SIZE(written)));
    if (!status_ok || !established_octets) return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef opening_methods[] = {
    {"reached", opening_reached, METH_O, "The server is connected: the client is told."},
    {"octets", opening_octets, METH_O, "Look at the first octets."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot opening_slots[] = {
    {Py_tp_doc, "Opens a tunnel ahead of its road."},
    {Py_tp_methods, opening_methods},
    {0, NULL},
};

/* It has no members of its own: those of the classes below it are Python's. */
PyType_Spec opening_spec = {
    .name = "corpproxy._tunnel.Opening",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = opening_slots,
};
