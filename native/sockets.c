/*
 * Sockets that do not block: what is asked of each is one call of the kernel.
 *
 * corpproxy/net/engine/sockets.py says what is done here and why, and does what is asked seldom.  The calls never
 * wait, so the lock of the interpreter is kept: see wire.c.
 */
#define _GNU_SOURCE
#include "wire.h"
#include <structmember.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

PyTypeObject *own_socket_type;
/* What is made: own_socket_type, or the class in Python below it. */
static PyTypeObject *made_type;

static PyObject *failed(void)
{
    return PyErr_SetFromErrno(PyExc_OSError);
}

PyObject *new_socket(int fd, int family)
{
    PyTypeObject *type = made_type ? made_type : own_socket_type;
    Socket *made = (Socket *)type->tp_alloc(type, 0);
    if (!made) {
        close(fd);
        return NULL;
    }
    made->fd = fd;
    made->family = family;
    return (PyObject *)made;
}

PyObject *set_socket(PyObject *module, PyObject *type)
{
    if (!PyType_Check(type) || !PyType_IsSubtype((PyTypeObject *)type, own_socket_type)) {
        PyErr_SetString(PyExc_TypeError, "this is no class of sockets");
        return NULL;
    }
    Py_XSETREF(made_type, (PyTypeObject *)Py_NewRef(type));
    Py_RETURN_NONE;
}

/* Give a number of a call, of which there are some. */
static int number_at(PyObject *const *words, Py_ssize_t many, Py_ssize_t at, int *number)
{
    long value = at < many ? PyLong_AsLong(words[at]) : *number;
    if (value == -1 && PyErr_Occurred()) return -1;
    *number = (int)value;
    return 0;
}

static int are_so_many(Py_ssize_t many, Py_ssize_t least, Py_ssize_t most)
{
    if (least <= many && many <= most) return 0;
    PyErr_Format(PyExc_TypeError, "%zd to %zd arguments are expected", least, most);
    return -1;
}

PyObject *stream_socket(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? failed() : new_socket(fd, family);
}

PyObject *make_socket(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    int family = AF_INET, type = SOCK_STREAM;
    if (are_so_many(many, 2, 2) || number_at(words, many, 0, &family) || number_at(words, many, 1, &type)) return NULL;
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? failed() : new_socket(fd, family);
}

static PyObject *socket_recv(Socket *self, PyObject *const *words, Py_ssize_t many)
{
    int size = 0, flags = 0;
    if (are_so_many(many, 1, 2) || number_at(words, many, 0, &size) || number_at(words, many, 1, &flags)) return NULL;
    PyObject *data = PyBytes_FromStringAndSize(NULL, size);
    if (!data) return NULL;
    ssize_t came = recv(self->fd, PyBytes_AS_STRING(data), (size_t)size, flags | MSG_DONTWAIT);
    if (came < 0) {
        failed();
        Py_DECREF(data);
        return NULL;
    }
    if (came < size) _PyBytes_Resize(&data, came);
    return data;
}

static PyObject *socket_send(Socket *self, PyObject *data)
{
    Py_buffer octets;
    if (PyObject_GetBuffer(data, &octets, PyBUF_SIMPLE)) return NULL;
    ssize_t sent = send(self->fd, octets.buf, (size_t)octets.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    int number = errno;
    PyBuffer_Release(&octets);
    errno = number;
    return sent < 0 ? failed() : PyLong_FromSsize_t(sent);
}

/* The number of what is in the way of a connection, as with sockets of Python, or 0. */
PyObject *socket_connect(Socket *self, PyObject *address)
{
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } to = {.six = {0}};
    const char *host;
    int port;
    if (!PyTuple_Check(address)) return PyErr_Format(PyExc_TypeError, "an address and a port are expected");
    if (!PyArg_ParseTuple(address, "si", &host, &port)) return NULL;
    if (port < 0 || port > UINT16_MAX) return PyErr_Format(PyExc_OverflowError, "a port is at most 65535");
    int is_six = self->family == AF_INET6;
    if (inet_pton(self->family, host, is_six ? (void *)&to.six.sin6_addr : &to.four.sin_addr) != 1)
        return PyObject_CallMethod((PyObject *)self, "_connect_in_python", "(O)", address);
    to.any.sa_family = (sa_family_t)self->family;
    *(is_six ? &to.six.sin6_port : &to.four.sin_port) = htons((uint16_t)port);
    int refused = connect(self->fd, &to.any, is_six ? sizeof to.six : sizeof to.four);
    return PyLong_FromLong(refused ? errno : 0);
}

static PyObject *socket_set_option(Socket *self, PyObject *const *words, Py_ssize_t many)
{
    int level = 0, name = 0, value = 0;
    if (are_so_many(many, 3, 3) || number_at(words, many, 0, &level) || number_at(words, many, 1, &name)) return NULL;
    int set;
    if (PyBytes_CheckExact(words[2])) {
        set = setsockopt(self->fd, level, name, PyBytes_AS_STRING(words[2]), (socklen_t)PyBytes_GET_SIZE(words[2]));
    } else {
        if (number_at(words, many, 2, &value)) return NULL;
        set = setsockopt(self->fd, level, name, &value, sizeof value);
    }
    return set ? failed() : Py_NewRef(Py_None);
}

static PyObject *socket_option(Socket *self, PyObject *const *words, Py_ssize_t many)
{
    int level = 0, name = 0, value = 0;
    socklen_t octets = sizeof value;
    if (are_so_many(many, 2, 2) || number_at(words, many, 0, &level) || number_at(words, many, 1, &name)) return NULL;
    return getsockopt(self->fd, level, name, &value, &octets) ? failed() : PyLong_FromLong(value);
}

static PyObject *socket_shutdown(Socket *self, PyObject *how)
{
    long which = PyLong_AsLong(how);
    if (which == -1 && PyErr_Occurred()) return NULL;
    return shutdown(self->fd, (int)which) ? failed() : Py_NewRef(Py_None);
}

void close_own(Socket *self)
{
    int fd = self->fd;
    self->fd = -1;
    if (fd >= 0) close(fd);
}

/* ---- Sockets of transports ---- */

void take_over(Transport *self)
{
    if (!self->socket || !PyObject_TypeCheck(self->socket, own_socket_type)) return;
    ((Socket *)self->socket)->fd = -1;
    Py_CLEAR(self->socket);
    self->owns = 1;
}

/*
 * What is asked of a socket beyond reading, writing and closing is asked of few: one is made then, and has the
 * descriptor from there on.
 */
PyObject *transport_socket(Transport *self, void *ignored)
{
    if (!self->socket && self->direct) {
        int family = AF_INET, fd = self->owns ? self->fd : -1;
        socklen_t octets = sizeof family;
        if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &octets)) return failed();
        self->owns = 0; /* where none can be made, the descriptor is closed */
        self->socket = new_socket(fd, family);
        if (!self->socket) return NULL;
    }
    if (self->socket) return Py_NewRef(self->socket);
    PyErr_SetString(PyExc_AttributeError, "_socket");
    return NULL;
}

int set_transport_socket(Transport *self, PyObject *socket, void *ignored)
{
    if (self->owns) {
        PyErr_SetString(PyExc_AttributeError, "it has a descriptor of its own");
        return -1;
    }
    Py_XINCREF(socket);
    Py_XSETREF(self->socket, socket);
    return 0;
}

int close_transport(Transport *self)
{
    PyObject *connection = self->socket;
    if (self->owns) {
        self->owns = 0;
        close(self->fd);
    } else if (connection && PyObject_TypeCheck(connection, own_socket_type)) {
        close_own((Socket *)connection);
    } else if (connection) {
        PyObject *told = PyObject_CallMethod(connection, "close", NULL);
        Py_XDECREF(told);
        return told ? 0 : -1;
    }
    return 0;
}

static PyObject *socket_close(Socket *self, PyObject *ignored)
{
    close_own(self);
    Py_RETURN_NONE;
}

static PyObject *socket_fileno(Socket *self, PyObject *ignored)
{
    return PyLong_FromLong(self->fd);
}

static void socket_dealloc(Socket *self)
{
    PyTypeObject *type = Py_TYPE(self);
    close_own(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

#define FAST(name, call, about) {name, (PyCFunction)(void (*)(void))call, METH_FASTCALL, about}

static PyMethodDef socket_methods[] = {
    FAST("recv", socket_recv, "recv(size, flags=0)\n\nOctets that have come."),
    {"send", (PyCFunction)socket_send, METH_O, "Send octets; how many the kernel took."},
    {"connect_ex", (PyCFunction)socket_connect, METH_O, "Begin to connect; the number of what is in the way, or 0."},
    FAST("setsockopt", socket_set_option, "setsockopt(level, name, value)\n\nSet an option, a number or octets."),
    FAST("getsockopt", socket_option, "getsockopt(level, name)\n\nAn option that is a number."),
    {"shutdown", (PyCFunction)socket_shutdown, METH_O, "End one way."},
    {"close", (PyCFunction)socket_close, METH_NOARGS, "Close it, once."},
    {"fileno", (PyCFunction)socket_fileno, METH_NOARGS, "The descriptor; -1 once it is closed."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef socket_members[] = {
    {"family", T_INT, offsetof(Socket, family), READONLY, "AF_INET or AF_INET6."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot socket_slots[] = {
    {Py_tp_doc, "A socket that does not block."},
    {Py_tp_dealloc, socket_dealloc},
    {Py_tp_methods, socket_methods},
    {Py_tp_members, socket_members},
    {0, NULL},
};

PyType_Spec socket_spec = {
    .name = "corpproxy._wire.Socket",
    .basicsize = sizeof(Socket),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = socket_slots,
};
