/*
 * Connections that clients make: each is taken, and given a transport and a protocol.
 *
 * corpproxy/net/engine/listening.py says what is done here and why, and has the twin of `serve`; sockets.py has that
 * of `accept`.
 */
#define _GNU_SOURCE
#include "life.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

static PyObject *name_accept, *name_socket, *name_engine, *name_factory, *name_fresh, *name_open, *name_build, *name_close;
static PyObject *name_cannot_accept, *name_peer_name;

/* ---- Who is on the other side ---- */

/* Write an octet as a number; gives where the next may stand. */
static char *write_octet(char *at, unsigned octet)
{
    if (octet >= 100) *at++ = (char)('0' + octet / 100);
    if (octet >= 10) *at++ = (char)('0' + octet / 10 % 10);
    *at++ = (char)('0' + octet % 10);
    return at;
}

/* As inet_ntop writes it, which goes through printf. */
static void write_four(char *text, const struct in_addr *address)
{
    const unsigned char *octets = (const unsigned char *)&address->s_addr;
    for (int number = 0; number < 4; number++) {
        text = write_octet(text, octets[number]);
        *text++ = number < 3 ? '.' : '\0';
    }
}

/*
 * Clients that were here last: a browser opens some connections one after another.  Texts of addresses are one for all
 * their connections anyhow, and these spare the search for them.
 */
enum { LAST = 64 };
static struct {
    uint32_t address;
    PyObject *text;
} last[LAST];

static PyObject *host_of_four(const struct in_addr *address)
{
    unsigned place = (address->s_addr * 2654435761u) >> 26;
    if (last[place].text && last[place].address == address->s_addr) return Py_NewRef(last[place].text);
    char text[INET_ADDRSTRLEN];
    write_four(text, address);
    PyObject *host = PyUnicode_InternFromString(text);
    if (host) {
        last[place].address = address->s_addr;
        Py_XSETREF(last[place].text, Py_NewRef(host));
    }
    return host;
}

static PyObject *host_of_six(const struct in6_addr *address)
{
    char text[INET6_ADDRSTRLEN] = "";
    inet_ntop(AF_INET6, address, text, sizeof text);
    return PyUnicode_InternFromString(text);
}

/* A connection that was taken.  `host` is NULL where its text is not all of the address: that of a link has a scope. */
typedef struct {
    PyObject *socket, *host;
    unsigned short port;
} Taken;

static int take_peer(Taken *taken, const struct sockaddr_storage *peer)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)peer;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)peer;
    if (peer->ss_family == AF_INET) {
        taken->port = ntohs(four->sin_port);
        taken->host = host_of_four(&four->sin_addr);
    } else if (peer->ss_family == AF_INET6 && !six->sin6_scope_id) {
        taken->port = ntohs(six->sin6_port);
        taken->host = host_of_six(&six->sin6_addr);
    } else {
        return 0;
    }
    return taken->host ? 0 : -1;
}

/* Take a connection: 0 where nobody waits, -1 with an exception. */
static int take(int listening, Taken *taken)
{
    struct sockaddr_storage peer;
    socklen_t octets = sizeof peer;
    int fd = accept4(listening, (struct sockaddr *)&peer, &octets, SOCK_NONBLOCK | SOCK_CLOEXEC);
    *taken = (Taken){0};
    if (fd < 0) {
        if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return 0;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    if (!(taken->socket = new_socket(fd, peer.ss_family))) return -1;
    if (!take_peer(taken, &peer)) return 1;
    Py_CLEAR(taken->socket);
    return -1;
}

/* The address and the port of a peer, as the library has them. */
static PyObject *peer_of(const Taken *taken)
{
    if (taken->host) return Py_BuildValue("Oi", taken->host, (int)taken->port);
    PyObject *name = PyObject_CallMethodNoArgs(taken->socket, name_peer_name);
    PyObject *peer = name ? PySequence_GetSlice(name, 0, 2) : NULL;
    Py_XDECREF(name);
    return peer;
}

static void let_go(Taken *taken)
{
    Py_CLEAR(taken->socket);
    Py_CLEAR(taken->host);
}

PyObject *accept_one(PyObject *module, PyObject *listening)
{
    Taken taken;
    int descriptor = PyObject_AsFileDescriptor(listening);
    if (descriptor < 0) return NULL;
    int came = take(descriptor, &taken);
    if (came <= 0) return done(came);
    PyObject *peer = peer_of(&taken), *both = peer ? PyTuple_Pack(2, taken.socket, peer) : NULL;
    Py_XDECREF(peer);
    let_go(&taken);
    return both;
}

/* ---- A listening port ---- */

/* What it takes connections from and what it makes for them; `fresh` is None, or makes protocols for whoever comes. */
typedef struct {
    PyObject *port, *accept, *listening, *engine, *factory, *fresh;
    PyTypeObject *type;
} Port;

static int cannot_accept(const Port *port)
{
    if (!PyErr_ExceptionMatches(PyExc_OSError)) return -1;
    PyObject *problem = caught();
    int told = problem ? tell(port->port, name_cannot_accept, problem) : -1;
    Py_XDECREF(problem);
    return told;
}

static int start(PyObject *made, PyObject *protocol)
{
    PyObject *told = made ? transport_start((Transport *)made, protocol) : NULL;
    Py_XDECREF(told);
    return told ? 0 : -1;
}

static PyObject *protocol_for(const Port *port, PyObject *peer)
{
    if (port->fresh != Py_None) return PyObject_CallNoArgs(port->fresh);
    return PyObject_CallMethodOneArg(port->factory, name_build, peer);
}

/* Serve a connection that was taken in another way than ours. */
static int serve_other(const Port *port, PyObject *connection, PyObject *peer)
{
    PyObject *protocol = protocol_for(port, peer);
    if (!protocol) return -1;
    int failed;
    if (protocol == Py_None) {
        failed = tell(connection, name_close, NULL);
    } else {
        PyObject *words[] = {port->engine, connection, peer};
        PyObject *made = PyObject_Vectorcall((PyObject *)port->type, words, 3, NULL);
        failed = start(made, protocol);
        Py_XDECREF(made);
    }
    Py_DECREF(protocol);
    return failed;
}

static PyObject *new_transport(const Port *port, const Taken *taken)
{
    Transport *made = (Transport *)port->type->tp_alloc(port->type, 0);
    if (!made) return NULL;
    made->fd = ((Socket *)taken->socket)->fd;
    made->direct = 1;
    made->peer_port = taken->port;
    fill_transport(made, port->engine, taken->socket, taken->host);
    take_over(made);
    return (PyObject *)made;
}

static int serve_taken(const Port *port, const Taken *taken)
{
    if (!taken->host || port->fresh == Py_None) {
        PyObject *peer = peer_of(taken);
        int failed = peer ? serve_other(port, taken->socket, peer) : -1;
        Py_XDECREF(peer);
        return failed;
    }
    PyObject *protocol = PyObject_CallNoArgs(port->fresh), *made = protocol ? new_transport(port, taken) : NULL;
    int failed = start(made, protocol);
    Py_XDECREF(made);
    Py_XDECREF(protocol);
    return failed;
}

/* Take a connection and serve it: 0 where nobody waits, -1 with an exception. */
static int serve_one(const Port *port, int listening)
{
    Taken taken;
    int came = take(listening, &taken);
    if (came <= 0) return came < 0 && cannot_accept(port) ? -1 : 0;
    int failed = serve_taken(port, &taken);
    let_go(&taken);
    return failed ? -1 : 1;
}

/* The same with what a port accepts with in Python. */
static int serve_one_in_python(const Port *port)
{
    PyObject *taken = PyObject_CallOneArg(port->accept, port->listening);
    if (!taken) return cannot_accept(port) ? -1 : 0;
    int failed = 0, is_there = taken != Py_None;
    if (is_there && PyTuple_CheckExact(taken) && PyTuple_GET_SIZE(taken) == 2) {
        failed = serve_other(port, PyTuple_GET_ITEM(taken, 0), PyTuple_GET_ITEM(taken, 1));
    } else if (is_there) {
        PyErr_SetString(PyExc_TypeError, "a connection and its peer are expected");
        failed = -1;
    }
    Py_DECREF(taken);
    return failed ? -1 : is_there;
}

static int is_open(const Port *port)
{
    PyObject *open = PyObject_GetAttr(port->port, name_open);
    int is = open ? PyObject_IsTrue(open) : -1;
    Py_XDECREF(open);
    return is;
}

static int serve_all(const Port *port, long most)
{
    int is_ours = PyCFunction_Check(port->accept) && PyCFunction_GET_FUNCTION(port->accept) == accept_one;
    int listening = is_ours ? PyObject_AsFileDescriptor(port->listening) : -1;
    if (is_ours && listening < 0) return cannot_accept(port);
    while (most-- > 0) {
        int served = is_ours ? serve_one(port, listening) : serve_one_in_python(port);
        if (served <= 0) return served;
        int open = is_open(port);
        if (open <= 0) return open;
    }
    return 0;
}

PyObject *serve(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    if (many != 3 || !PyType_Check(words[1]) || !PyType_IsSubtype((PyTypeObject *)words[1], transport_type))
        return PyErr_Format(PyExc_TypeError, "serve(port, class of transports, most)");
    long most = PyLong_AsLong(words[2]);
    if (most == -1 && PyErr_Occurred()) return NULL;
    Port port = {.port = words[0], .type = (PyTypeObject *)words[1]};
    int failed = !(port.accept = PyObject_GetAttr(port.port, name_accept)) ||
                 !(port.listening = PyObject_GetAttr(port.port, name_socket)) ||
                 !(port.engine = PyObject_GetAttr(port.port, name_engine)) ||
                 !(port.factory = PyObject_GetAttr(port.port, name_factory)) ||
                 !(port.fresh = PyObject_GetAttr(port.port, name_fresh)) || serve_all(&port, most);
    Py_XDECREF(port.accept);
    Py_XDECREF(port.listening);
    Py_XDECREF(port.engine);
    Py_XDECREF(port.factory);
    Py_XDECREF(port.fresh);
    return done(failed);
}

static const struct {
    PyObject **name;
    const char *text;
} names[] = {
    {&name_accept, "_accept"},
    {&name_build, "buildProtocol"},
    {&name_cannot_accept, "_cannot_accept"},
    {&name_close, "close"},
    {&name_engine, "_engine"},
    {&name_factory, "_factory"},
    {&name_fresh, "_fresh"},
    {&name_open, "_open"},
    {&name_peer_name, "getpeername"},
    {&name_socket, "_socket"},
};

int add_accept(PyObject *module)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (keep_name(names[i].name, names[i].text)) return -1;
    return 0;
}
