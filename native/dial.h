/*
 * What dial.c, patience.c and reach.c know of each other.
 */
#ifndef CORPPROXY_DIAL_H
#define CORPPROXY_DIAL_H
#include "wire.h"
#include "slots.h"

#pragma GCC visibility push(hidden)

extern PyType_Spec patience_spec, dial_spec, dialler_spec, reaching_spec, server_end_spec;
extern PyTypeObject *patience_type, *dial_type, *reaching_type;

/* The classes in Python of attempts and of transports, once they are there. */
extern PyTypeObject *dial_class, *transport_class;

/* Begin to connect to a place, for a caller. */
PyObject *begin_dial(PyObject *engine, PyObject *make, PyObject *place, PyObject *caller, PyObject *seconds);

/* See `functions` of wire.c. */
PyObject *set_dial(PyObject *module, PyObject *args);
PyObject *set_reaching(PyObject *module, PyObject *args);

/* Make the names and the classes of these files. */
int add_dialling(PyObject *module);

/* Names of members and methods; made once. */
#define DIAL_NAMES(N)                                                                                                  \
    N(arrived, "arrived") N(begin, "_begin") N(build, "build")                       \
    N(deadlines, "deadlines") N(dial, "_dial")                      \
    N(dial_in_python, "_dial_one_in_python") N(dial_one, "dial_one")        \
    N(failed, "failed") N(fileno, "fileno") N(limits, "limits") N(look_up, "_look_up")           \
    N(make_connection, "makeConnection") N(not_made, "_not_made") N(not_reached, "not_reached")  \
    N(opened_one, "opened_one") N(opened_tunnel, "opened_tunnel") N(over, "over") N(patience, "patience")              \
    N(pool, "pool") N(reached, "reached") N(refused, "_refused") N(seconds, "seconds")        \
    N(option, "getsockopt") N(connect_ex, "connect_ex")                   \
    N(timeouts, "timeouts") N(wait, "wait") N(watch, "watch") N(addresses, "addresses") N(connect, "connect")          \
    N(connector, "connector") N(names, "names") N(reactor, "reactor") N(number, "errno") N(in_force, "in_force")       \
    N(connect_ms, "connect_ms") N(resolve_seconds, "resolve_seconds") N(closed, "closed")

#define A_NAME(name, text) extern PyObject *dial_name_##name;
DIAL_NAMES(A_NAME)
#undef A_NAME
#define NAMED(name) dial_name_##name

/* ---- How long attempts may take ---- */

/* Tell one after so many seconds; need not tell it any more.  They give -1 with an exception. */
int patience_wait(PyObject *patience, PyObject *one, PyObject *seconds);
int patience_over(PyObject *patience, PyObject *one);

/* ---- Reaching for an exchange, as the caller of a dial ---- */

int is_reaching(PyObject *caller);
PyObject *reaching_build(PyObject *self, PyObject *ignored);

/* Tell a protocol of its new transport. */
int connection_made(PyObject *protocol, Transport *transport);

/* The connection is there; gives -1 with an exception. */
int reaching_arrived(PyObject *self, PyObject *upstream);

#pragma GCC visibility pop

/* Take the exception that is set, whole; NULL where there is none. */
static inline PyObject *take_exception(void)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (value && trace) PyException_SetTraceback(value, trace);
    Py_XDECREF(type);
    Py_XDECREF(trace);
    return value;
}

#endif
