/*
 * Reaching a server for an exchange: dialling its only address, and the birth of the connection to it.
 *
 * corpproxy/net/reach.py and upstream.py say what is done here and why, and have the twins.  Whatever has to wait
 * for a name, has several addresses or one that may not be dialled is left to them.
 */
#include "dial.h"

PyTypeObject *reaching_type;

/* ---- What the classes in Python are, and where their members lie ---- */

static PyTypeObject *reaching_class, *host_class, *upstream_class, *pool_class;
static PyObject *make_upstream, *gone;
static PyObject *classes_of, *written_of; /* what is remembered of addresses: their class; as they are recorded */

#define MEMBERS(M)                                                                                                     \
    M(reaching, allowed, "_allowed")                                                                                   \
    M(reaching, began, "_began")                                                                                       \
    M(reaching, exchange, "_exchange")                                                                                 \
    M(reaching, pending, "_pending")                                                                                   \
    M(reaching, pooled, "_pooled")                                                                                     \
    M(reaching, proxy, "_proxy")                                                                                       \
    M(reaching, server, "_server")                                                                                     \
    M(reaching, wanted, "_wanted")                                                                                     \
    M(host, address, "address")                                                                                        \
    M(host, name, "name")                                                                                              \
    M(upstream, address, "address")                                                                                    \
    M(upstream, address_class, "address_class")                                                                        \
    M(upstream, deadlines, "deadlines")                                                                                \
    M(upstream, keeper, "keeper")                                                                                      \
    M(upstream, sink, "sink")                                                                                          \
    M(upstream, transport, "transport")                                                                                \
    M(pool, kept, "_kept")                                                                                             \
    M(pool, most, "_most")                                                                                             \
    M(pool, opened, "opened")

#define A_MEMBER(class, member, text) static Py_ssize_t class##_##member;
MEMBERS(A_MEMBER)
#undef A_MEMBER

int is_reaching(PyObject *caller)
{
    return reaching_class && PyObject_TypeCheck(caller, reaching_class);
}

/* Whether all is set that the calls here look at; else an exception says so. */
static int is_begun(PyObject *self)
{
    if (is_reaching(self) && OF(reaching, self, exchange) && OF(reaching, self, proxy) && OF(reaching, self, server) &&
        OF(reaching, self, began) && OF(reaching, self, allowed) && OF(reaching, self, pooled) &&
        OF(reaching, self, wanted))
        return 1;
    PyErr_SetString(PyExc_AttributeError, "this attempt has not begun");
    return 0;
}

/* ---- The birth of a connection ---- */

/* What a connection is made with, from the server on; gives -1 with an exception.  Nobody keeps that of a tunnel. */
static int ask_words(PyObject *self, int pooled, PyObject **words)
{
    PyObject *proxy = OF(reaching, self, proxy);
    PyObject *in_force = PyObject_GetAttr(OF(reaching, self, exchange), NAMED(in_force));
    if (!in_force) return -1;
    words[0] = Py_NewRef(OF(reaching, self, server));
    words[1] = pooled ? PyObject_GetAttr(proxy, NAMED(pool)) : Py_NewRef(Py_None);
    words[2] = words[1] ? PyObject_GetAttr(proxy, NAMED(deadlines)) : NULL;
    words[3] = words[2] ? PyObject_GetAttr(in_force, NAMED(timeouts)) : NULL;
    words[4] = words[3] ? PyObject_GetAttr(in_force, NAMED(limits)) : NULL;
    Py_DECREF(in_force);
    return words[4] ? 0 : -1;
}

PyObject *reaching_build(PyObject *self, PyObject *ignored)
{
    if (!is_begun(self)) return NULL;
    PyObject *words[5] = {NULL};
    int pooled = PyObject_IsTrue(OF(reaching, self, pooled));
    PyObject *made = pooled < 0 || ask_words(self, pooled, words) ? NULL : PyObject_Vectorcall(make_upstream, words, 5, NULL);
    for (size_t i = 0; i < 5; i++) Py_XDECREF(words[i]);
    if (made && !Py_IS_TYPE(made, upstream_class)) {
        PyErr_SetString(PyExc_TypeError, "this is no connection to a server");
        Py_CLEAR(made);
    }
    return made;
}

/* The address of the server as it is recorded, and its class. */
static int put_address(PyObject *upstream, PyObject *place)
{
    PyObject *known = Py_XNewRef(PyDict_GetItemWithError(written_of, place));
    if (!known && !PyErr_Occurred()) known = PyObject_GetItem(written_of, place);
    if (!known) return -1;
    if (!PyTuple_CheckExact(known) || PyTuple_GET_SIZE(known) != 2) {
        Py_DECREF(known);
        PyErr_SetString(PyExc_TypeError, "an address is recorded with its class");
        return -1;
    }
    PUT(upstream, upstream, address, Py_NewRef(PyTuple_GET_ITEM(known, 0)));
    PUT(upstream, upstream, address_class, Py_NewRef(PyTuple_GET_ITEM(known, 1)));
    Py_DECREF(known);
    return 0;
}

int connection_made(PyObject *protocol, Transport *transport)
{
    if (!upstream_class || !Py_IS_TYPE(protocol, upstream_class) || !OF(upstream, protocol, deadlines))
        return tell(protocol, NAMED(make_connection), (PyObject *)transport);
    PUT(upstream, protocol, transport, Py_NewRef(transport));
    Py_XSETREF(transport->producer, Py_NewRef(protocol));
    return tell(OF(upstream, protocol, deadlines), NAMED(watch), protocol) || put_address(protocol, transport->peer);
}

/* ---- The connection is there ---- */

/* How long connecting took, as records have it: whole milliseconds. */
static int measure(PyObject *self)
{
    PyObject *reactor = PyObject_GetAttr(OF(reaching, self, proxy), NAMED(reactor));
    PyObject *now = reactor ? PyObject_CallMethodNoArgs(reactor, NAMED(seconds)) : NULL;
    PyObject *took = now ? PyNumber_Subtract(now, OF(reaching, self, began)) : NULL;
    double seconds = took ? PyFloat_AsDouble(took) : -1;
    Py_XDECREF(reactor);
    Py_XDECREF(now);
    Py_XDECREF(took);
    PyObject *rounded = PyErr_Occurred() ? NULL : PyLong_FromDouble(seconds * 1000 + 0.5);
    int failed = rounded ? PyObject_SetAttr(OF(reaching, self, exchange), NAMED(connect_ms), rounded) : -1;
    Py_XDECREF(rounded);
    return failed;
}

/* Nothing is pending any more. */
static int end(PyObject *self)
{
    PyObject *over = PyFloat_FromDouble(-1.0);
    if (!over) return -1;
    PUT(reaching, self, pending, Py_NewRef(Py_None));
    PUT(reaching, self, began, over);
    return 0;
}

static int is_wanted(PyObject *self)
{
    return PyObject_IsTrue(OF(reaching, self, wanted));
}

/* The pool counts the connection of a tunnel, which never comes there: the twin is `Pool.opened_tunnel`. */
static int count_tunnel(PyObject *pool)
{
    static PyObject *one;
    if (!one && !(one = PyLong_FromLong(1))) return -1;
    int is_usual = Py_IS_TYPE(pool, pool_class) && is_set(OF(pool, pool, kept)) && is_set(OF(pool, pool, most));
    Py_ssize_t kept = is_usual ? PyObject_Size(OF(pool, pool, kept)) : 0;
    Py_ssize_t most = is_usual ? PyLong_AsSsize_t(OF(pool, pool, most)) : 0;
    if (PyErr_Occurred()) return -1;
    return is_usual && kept <= most ? add_to(slot(pool, pool_opened), one) : tell(pool, NAMED(opened_tunnel), NULL);
}

/* The pool counts it, and who waits for it has it. */
static int hand_over(PyObject *self, PyObject *upstream)
{
    int is_pooled = PyObject_IsTrue(OF(reaching, self, pooled));
    PyObject *pool = is_pooled < 0 ? NULL : PyObject_GetAttr(OF(reaching, self, proxy), NAMED(pool));
    if (!pool) return -1;
    int failed = is_pooled ? tell(pool, NAMED(opened_one), upstream) : count_tunnel(pool);
    Py_DECREF(pool);
    int wanted = failed ? -1 : is_wanted(self);
    return wanted > 0 ? tell(self, NAMED(reached), upstream) : wanted;
}

/* Tell `whom` of the exception that is set, by a method; what is no Exception goes on. */
static int tell_problem(PyObject *whom, PyObject *name)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return -1;
    PyObject *problem = take_exception();
    int failed = problem ? tell(whom, name, problem) : -1;
    Py_XDECREF(problem);
    return failed;
}

int reaching_arrived(PyObject *self, PyObject *upstream)
{
    if (!is_begun(self) || measure(self) || end(self)) return -1;
    if (!hand_over(self, upstream)) return 0;
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return -1;
    PyObject *bug = take_exception();
    int wanted = bug ? is_wanted(self) : -1;
    int failed = wanted > 0 ? tell(self, NAMED(not_reached), bug) : wanted;
    Py_XDECREF(bug);
    return failed;
}

static PyObject *arrived(PyObject *self, PyObject *upstream)
{
    return reaching_arrived(self, upstream) ? NULL : Py_NewRef(Py_None);
}

/* ---- Dialling ---- */

/* The addresses of a host: a tuple, or what will give them. */
static PyObject *addresses_of(PyObject *proxy, PyObject *host)
{
    if (!Py_IS_TYPE(host, host_class) || !OF(host, host, name) || !OF(host, host, address)) {
        PyErr_SetString(PyExc_TypeError, "a host is expected");
        return NULL;
    }
    if (OF(host, host, address) != Py_None) return PyTuple_Pack(1, OF(host, host, name));
    PyObject *names = PyObject_GetAttr(proxy, NAMED(names));
    PyObject *found = names ? PyObject_CallMethodOneArg(names, NAMED(addresses), OF(host, host, name)) : NULL;
    Py_XDECREF(names);
    return found;
}

/* Whether there is one address, known to be of a class that may be dialled; -1 with an exception. */
static int may_dial(PyObject *addresses, PyObject *allowed)
{
    if (PyTuple_GET_SIZE(addresses) != 1 || !PyFrozenSet_CheckExact(allowed)) return 0;
    PyObject *kind = PyDict_GetItemWithError(classes_of, PyTuple_GET_ITEM(addresses, 0));
    if (!kind) return PyErr_Occurred() ? -1 : 0;
    return PySet_Contains(allowed, kind);
}

/* How long connecting may take, as is in force for the exchange. */
static PyObject *timeout_of(PyObject *exchange)
{
    PyObject *in_force = PyObject_GetAttr(exchange, NAMED(in_force));
    PyObject *timeouts = in_force ? PyObject_GetAttr(in_force, NAMED(timeouts)) : NULL;
    PyObject *seconds = timeouts ? PyObject_GetAttr(timeouts, NAMED(connect)) : NULL;
    Py_XDECREF(in_force);
    Py_XDECREF(timeouts);
    return seconds;
}

/* Dial the only address there is; NULL with an exception. */
static PyObject *dial_only(PyObject *self, PyObject *dial_one, PyObject *address)
{
    PyObject *server = OF(reaching, self, server);
    if (!PyTuple_Check(server) || PyTuple_GET_SIZE(server) != 2) {
        PyErr_SetString(PyExc_TypeError, "a server is expected");
        return NULL;
    }
    PyObject *seconds = timeout_of(OF(reaching, self, exchange));
    if (!seconds) return NULL;
    PyObject *words[] = {address, PyTuple_GET_ITEM(server, 1), self, seconds, Py_None};
    PyObject *dialling = PyObject_Vectorcall(dial_one, words, 5, NULL);
    Py_DECREF(seconds);
    return dialling;
}

/* Whether it is still under way: what came of it at once was told already. */
static int is_under_way(PyObject *self)
{
    PyObject *began = OF(reaching, self, began);
    return began && PyFloat_CheckExact(began) && PyFloat_AS_DOUBLE(began) >= 0;
}

/* Dial what was found; gives -1 with an exception. */
static int dial(PyObject *self, PyObject *addresses)
{
    int may = may_dial(addresses, OF(reaching, self, allowed));
    if (may < 0) return -1;
    PyObject *connector = may ? PyObject_GetAttr(OF(reaching, self, proxy), NAMED(connector)) : NULL;
    PyObject *dial_one = connector ? PyObject_GetAttr(connector, NAMED(dial_one)) : NULL;
    Py_XDECREF(connector);
    if (!dial_one) {
        /* Several, or none that may be; or a reactor, which dials otherwise. */
        if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_AttributeError)) return -1;
        PyErr_Clear();
        return tell(self, NAMED(dial), addresses);
    }
    PyObject *dialling = dial_only(self, dial_one, PyTuple_GET_ITEM(addresses, 0));
    Py_DECREF(dial_one);
    if (!dialling) return tell_problem(self, NAMED(failed));
    if (is_under_way(self))
        PUT(reaching, self, pending, dialling);
    else
        Py_DECREF(dialling);
    return 0;
}

static int begin(PyObject *self, PyObject *server)
{
    PyObject *reactor = PyObject_GetAttr(OF(reaching, self, proxy), NAMED(reactor));
    PyObject *now = reactor ? PyObject_CallMethodNoArgs(reactor, NAMED(seconds)) : NULL;
    Py_XDECREF(reactor);
    if (!now) return -1;
    PUT(reaching, self, server, Py_NewRef(server));
    PUT(reaching, self, began, now);
    return 0;
}

static int found_at_once(PyObject *self, PyObject *addresses)
{
    static PyObject *nothing; /* one for all: an open tunnel keeps it */
    if (!nothing && !(nothing = PyFloat_FromDouble(0.0))) return -1;
    int failed = PyObject_SetAttr(OF(reaching, self, exchange), NAMED(resolve_seconds), nothing);
    return failed ? -1 : dial(self, addresses);
}

/* connect(server, host) */
static PyObject *connect_to(PyObject *self, PyObject *const *words, Py_ssize_t many)
{
    if (many != 2) return PyErr_Format(PyExc_TypeError, "connect(server, host)");
    if (!is_reaching(self) || !OF(reaching, self, proxy) || begin(self, words[0]) || !is_begun(self)) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_AttributeError, "this attempt was not made");
        return NULL;
    }
    PyObject *addresses = addresses_of(OF(reaching, self, proxy), words[1]);
    if (!addresses) return NULL;
    int failed = PyTuple_CheckExact(addresses) ? found_at_once(self, addresses) : tell(self, NAMED(look_up), addresses);
    Py_DECREF(addresses);
    return failed ? NULL : Py_NewRef(Py_None);
}

static PyMethodDef reaching_methods[] = {
    {"connect", (PyCFunction)(void (*)(void))connect_to, METH_FASTCALL,
     "Connect to a server; what becomes of it may be told at once."},
    {"build", (PyCFunction)reaching_build, METH_NOARGS, "Make the protocol of the connection."},
    {"arrived", (PyCFunction)arrived, METH_O, "The connection is there."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot reaching_slots[] = {
    {Py_tp_doc, "What is done for each server that is reached for; what it knows are members of classes below."},
    {Py_tp_methods, reaching_methods},
    {0, NULL},
};

PyType_Spec reaching_spec = {
    .name = "corpproxy._wire.Reaching",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = reaching_slots,
};

/* ---- The end of a connection ---- */

static int server_lost(PyObject *self, PyObject *reason)
{
    PyObject *keeper = OF(upstream, self, keeper);
    if (!is_set(keeper) || (keeper != Py_None && tell(keeper, NAMED(closed), self)) || side_lost(self, reason)) return -1;
    if (OF(upstream, self, sink) == self) PUT(upstream, self, sink, Py_NewRef(gone));
    return 0;
}

static PyObject *connection_lost(PyObject *self, PyObject *const *words, Py_ssize_t many)
{
    if (many > 1 || !upstream_class || !PyObject_TypeCheck(self, upstream_class))
        return PyErr_Format(PyExc_TypeError, "connectionLost(reason), of a connection to a server");
    return server_lost(self, many ? words[0] : NULL) ? NULL : Py_NewRef(Py_None);
}

static PyMethodDef server_end_methods[] = {
    {"connectionLost", (PyCFunction)(void (*)(void))connection_lost, METH_FASTCALL, "The connection is gone."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot server_end_slots[] = {
    {Py_tp_doc, "How the connection to a server is lost; what it knows are members of classes below."},
    {Py_tp_methods, server_end_methods},
    {0, NULL},
};

PyType_Spec server_end_spec = {
    .name = "corpproxy._wire.ServerEnd",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = server_end_slots,
};

/* ---- The classes in Python ---- */

/* set_reaching(classes, upstream, kinds, recorded, gone) */
PyObject *set_reaching(PyObject *module, PyObject *args)
{
    PyObject *classes, *upstream, *kinds, *recorded, *is_gone;
    if (!PyArg_ParseTuple(args, "O!OO!O!O", &PyDict_Type, &classes, &upstream, &PyDict_Type, &kinds, &PyDict_Type,
                          &recorded, &is_gone))
        return NULL;
    if (take_class(&reaching_class, classes, "reaching") || take_class(&host_class, classes, "host") ||
        take_class(&upstream_class, classes, "upstream") || take_class(&pool_class, classes, "pool"))
        return NULL;
#define FIND(class, member, text)                                                                                      \
    if ((class##_##member = offset_of(class##_class, text)) < 0) return NULL;
    MEMBERS(FIND)
#undef FIND
    Py_XSETREF(make_upstream, Py_NewRef(upstream));
    Py_XSETREF(gone, Py_NewRef(is_gone));
    Py_XSETREF(classes_of, Py_NewRef(kinds));
    Py_XSETREF(written_of, Py_NewRef(recorded));
    Py_RETURN_NONE;
}
