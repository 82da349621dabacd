/*
 * Tunnels that are opened ahead of their road, up to where they are dialled.
 *
 * corpproxy/net/tunnel_ahead.py says what is done here and why, and has the twin.
 */
#include "ahead.h"

/* The host to connect to: another one only where somebody is held to strict searches. */
static PyObject *host_to_dial(PyObject *exchange, PyObject *in_force)
{
    PyObject *entries = member_of(OF(in_force, in_force, safe_search), name_entries);
    if (!entries) return NULL;
    int is_strict = PyObject_IsTrue(entries);
    Py_DECREF(entries);
    if (is_strict < 0) return NULL;
    if (is_strict) return PyObject_CallOneArg(object_dial_host, exchange);
    PyObject *host = OF(destination, OF(exchange, exchange, destination), host);
    return is_set(host) ? Py_NewRef(host) : NULL;
}

/* The server as all tunnels to it have it. */
static PyObject *server_at(PyObject *exchange, PyObject *host)
{
    PyObject *name = IS(host, host) ? OF(host, host, name) : NULL;
    PyObject *port = OF(destination, OF(exchange, exchange, destination), port);
    PyObject *place = is_set(name) && is_set(port) ? PyTuple_Pack(2, name, port) : NULL;
    PyObject *server = place ? PyObject_GetItem(object_servers, place) : NULL;
    Py_XDECREF(place);
    return server;
}

/* Stand for the road of a tunnel. */
static PyObject *stand_for_road(PyObject *downstream, PyObject *exchange)
{
    PyObject *safety = member_of(OF(exchange, exchange, decision), name_safety);
    PyObject *addresses = safety ? PyObject_GetAttr(safety, name_addresses) : NULL, *ahead = NULL;
    Py_XDECREF(safety);
    if (addresses) {
        PyObject *words[] = {OF(downstream, downstream, proxy), exchange, addresses, downstream};
        ahead = PyObject_Vectorcall(object_new_tunnel_ahead, words, 4, NULL);
        Py_DECREF(addresses);
    }
    if (ahead) PUT(downstream, downstream, run, Py_NewRef(ahead));
    return ahead;
}

static int dial(PyObject *downstream, PyObject *exchange, PyObject *in_force)
{
    PyObject *host = host_to_dial(exchange, in_force), *server = host ? server_at(exchange, host) : NULL;
    PyObject *ahead = server ? stand_for_road(downstream, exchange) : NULL, *begun = NULL;
    if (ahead) {
        PyObject *words[] = {ahead, server, host};
        begun = PyObject_VectorcallMethod(name_connect, words, 3, NULL);
    }
    Py_XDECREF(host);
    Py_XDECREF(server);
    Py_XDECREF(ahead);
    Py_XDECREF(begun);
    return begun ? 1 : -1;
}

/* Count the tunnel for its client and its person. */
static int admit(PyObject *downstream)
{
    PyObject *admission = PROXY(OF(downstream, downstream, proxy), admission);
    int failed = !admission || admission_check_person(admission, downstream) || admission_open_tunnel(admission, downstream);
    Py_XDECREF(admission);
    return failed ? -1 : 1;
}

int open_known(PyObject *downstream, PyObject *exchange)
{
    PyObject *in_force = OF(exchange, exchange, in_force);
    if (!IS(in_force, in_force) || !OF(in_force, in_force, limiting)) return FOR_THE_TWIN;
    Asked asked;
    if (!is_asked(exchange, &asked, 1)) return PyErr_Occurred() ? -1 : FOR_THE_TWIN;
    PyObject *known = Py_XNewRef(look_up(exchange, &asked));
    int opened = PyErr_Occurred() ? -1 : 0;
    if (known && IS(known, known) && OF(known, known, sections) == OF(in_force, in_force, sections) &&
        IS(destination, OF(known, known, destination)))
        opened = recall(exchange, known, &asked);
    if (opened > 0) opened = is_below_limits(exchange, in_force, known);
    Py_XDECREF(known);
    if (opened == 1) opened = admit(downstream);
    if (opened != 1) return opened;
    PUT(exchange, exchange, keep, Py_NewRef(Py_False));
    return dial(downstream, exchange, in_force);
}
