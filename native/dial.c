/*
 * The only attempt to connect that is made for a caller: begun, connected at the end of the turn, ready.
 *
 * corpproxy/net/engine/dialling.py and attempt.py say what is done here and why, and have the twins.  What fails
 * is told by them, in Python; so is what has an address of its own to connect from.
 */
#define _GNU_SOURCE
#include "dial.h"
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static const unsigned long READABLE = EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP;
static const unsigned long ENDING = EPOLLHUP | EPOLLERR | EPOLLRDHUP;

#define THE_NAME(name, text) PyObject *dial_name_##name;
DIAL_NAMES(THE_NAME)
#undef THE_NAME

typedef struct {
    PyObject_HEAD
    PyObject *engine, *address, *socket, *transport, *caller, *problem;
} Dial;

PyTypeObject *dial_type;

/* The classes in Python of attempts and of transports. */
PyTypeObject *dial_class, *transport_class;

/* ---- What is asked of a socket: of one of ours without a call into Python ---- */

static int is_own(PyObject *connection)
{
    return PyObject_TypeCheck(connection, own_socket_type);
}

/* The descriptor of a socket; -1 with an exception. */
static int descriptor_of(PyObject *connection)
{
    if (is_own(connection)) return ((Socket *)connection)->fd;
    PyObject *number = PyObject_CallMethodNoArgs(connection, NAMED(fileno));
    int fd = number ? (int)PyLong_AsLong(number) : -1;
    Py_XDECREF(number);
    return fd;
}

/* A number that was given for a call of the kernel, which is taken over; -1 with an exception. */
static int number_in(PyObject *given, int *number)
{
    long value = given ? PyLong_AsLong(given) : -1;
    Py_XDECREF(given);
    *number = (int)value;
    return value == -1 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *socket_for(PyObject *make, PyObject *host)
{
    int family = PyUnicode_FindChar(host, ':', 0, PyUnicode_GET_LENGTH(host), 1) >= 0 ? AF_INET6 : AF_INET;
    if (PyCFunction_Check(make) && PyCFunction_GET_FUNCTION(make) == (PyCFunction)(void (*)(void))make_socket)
        return stream_socket(family);
    return PyObject_CallFunction(make, "ii", family, SOCK_STREAM | SOCK_NONBLOCK);
}

/* Begin to connect: the number of what is in the way, or 0; -1 with an exception. */
static int begin_to_connect(PyObject *connection, PyObject *address, int *number)
{
    PyObject *given = is_own(connection) ? socket_connect((Socket *)connection, address)
                                         : PyObject_CallMethodOneArg(connection, NAMED(connect_ex), address);
    if (given || !PyErr_ExceptionMatches(PyExc_OSError)) return number_in(given, number);
    PyObject *problem = take_exception();
    PyObject *why = problem ? PyObject_GetAttr(problem, NAMED(number)) : NULL;
    Py_XDECREF(problem);
    if (why == Py_None) {
        Py_DECREF(why);
        *number = EINPROGRESS;
        return 0;
    }
    int failed = number_in(why, number);
    if (!failed && !*number) *number = EINPROGRESS;
    return failed;
}

/* What became of a connection: 0, or the number of what was in the way. */
static int outcome_of(PyObject *connection, int *number)
{
    if (!is_own(connection)) {
        PyObject *words[] = {connection, PyLong_FromLong(SOL_SOCKET), PyLong_FromLong(SO_ERROR)};
        PyObject *given = words[1] && words[2] ? PyObject_VectorcallMethod(NAMED(option), words, 3, NULL) : NULL;
        Py_XDECREF(words[1]);
        Py_XDECREF(words[2]);
        return number_in(given, number);
    }
    socklen_t octets = sizeof *number;
    if (!getsockopt(((Socket *)connection)->fd, SOL_SOCKET, SO_ERROR, number, &octets)) return 0;
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
}

/* ---- An attempt ---- */

static int tell_refused(Dial *self, int number)
{
    PyObject *written = PyLong_FromLong(number);
    int failed = written ? tell((PyObject *)self, NAMED(refused), written) : -1;
    Py_XDECREF(written);
    return failed;
}

/* Whether it was begun, and knows who dials where; else an exception says so. */
static int is_begun(const Dial *self)
{
    if (self->engine && self->address) return 1;
    PyErr_SetString(PyExc_AttributeError, "this attempt has not begun");
    return 0;
}

static int connect_now(Dial *self)
{
    if (!is_there(self->socket)) return 0; /* it was given up in the same turn */
    if (!is_begun(self)) return -1;
    PyObject *connection = Py_NewRef(self->socket);
    int number, failed = begin_to_connect(connection, self->address, &number);
    if (!failed) {
        if (number && number != EINPROGRESS)
            failed = tell_refused(self, number);
        else
            failed = engine_join(self->engine, descriptor_of(connection), (PyObject *)self);
    }
    Py_DECREF(connection);
    return failed;
}

static int begin(Dial *self, PyObject *make, PyObject *seconds)
{
    PyObject *connection = socket_for(make, PyTuple_GET_ITEM(self->address, 0));
    if (!connection) {
        if (!PyErr_ExceptionMatches(PyExc_OSError)) return -1;
        PyObject *problem = take_exception();
        int failed = problem ? tell((PyObject *)self, NAMED(not_made), problem) : -1;
        Py_XDECREF(problem);
        return failed;
    }
    Py_XSETREF(self->socket, connection);
    PyObject *patience = PyObject_GetAttr(self->engine, NAMED(patience));
    int failed = patience ? patience_wait(patience, (PyObject *)self, seconds) : -1;
    Py_XDECREF(patience);
    if (failed) return -1;
    int fd = descriptor_of(connection);
    if (fd == -1 && PyErr_Occurred()) return -1;
    /* A member before the kernel knows it: the engine may stop first. */
    if (engine_put(self->engine, fd, (PyObject *)self)) return -1;
    return engine_at_end(self->engine, (PyObject *)self, CALL);
}

PyObject *begin_dial(PyObject *engine, PyObject *make, PyObject *place, PyObject *caller, PyObject *seconds)
{
    Dial *self = (Dial *)dial_class->tp_alloc(dial_class, 0);
    if (!self) return NULL;
    self->engine = Py_NewRef(engine);
    self->address = Py_NewRef(place);
    self->socket = Py_NewRef(Py_None);
    self->transport = Py_NewRef(Py_None);
    self->caller = Py_NewRef(caller);
    if (begin(self, make, seconds)) Py_CLEAR(self);
    return (PyObject *)self;
}

/* Bring the protocol that a caller makes and a transport together. */
static Transport *bring_together(Dial *self, PyObject *connection, PyObject *protocol)
{
    int fd = descriptor_of(connection);
    if (fd == -1 && PyErr_Occurred()) return NULL;
    Transport *transport = (Transport *)transport_class->tp_alloc(transport_class, 0);
    if (!transport) return NULL;
    transport->fd = fd;
    transport->direct = is_direct(connection);
    transport->hurry = 1; /* small writes are not held back */
    fill_transport(transport, self->engine, connection, self->address);
    take_over(transport);
    transport->protocol = Py_NewRef(protocol);
    Py_XSETREF(self->transport, Py_NewRef(transport));
    if (!engine_put(self->engine, fd, (PyObject *)transport) && !connection_made(protocol, transport))
        return transport;
    Py_DECREF(transport);
    return NULL;
}

static int connected(Dial *self, PyObject *connection, unsigned long events)
{
    if (!is_there(self->caller)) {
        PyErr_SetString(PyExc_AssertionError, "an attempt knows who waits for it");
        return -1;
    }
    PyObject *caller = Py_NewRef(self->caller);
    int is_reach = is_reaching(caller), failed = 0;
    PyObject *protocol = is_reach ? reaching_build(caller, NULL) : PyObject_CallMethodNoArgs(caller, NAMED(build));
    Transport *transport = protocol ? bring_together(self, connection, protocol) : NULL;
    if (transport) {
        Py_XSETREF(self->socket, Py_NewRef(Py_None));
        Py_XSETREF(self->transport, Py_NewRef(Py_None));
        Py_XSETREF(self->caller, Py_NewRef(Py_None));
        failed = is_reach ? reaching_arrived(caller, protocol) : tell(caller, NAMED(arrived), protocol);
        if (!failed && (events & READABLE)) failed = tell_of_events((PyObject *)transport, events);
    }
    Py_XDECREF(protocol);
    Py_DECREF(caller);
    if (!transport) return -1;
    Py_DECREF(transport);
    return failed;
}

int dial_happened(PyObject *attempt, unsigned long events)
{
    Dial *self = (Dial *)attempt;
    if (!is_there(self->socket)) return 0;
    if (!is_begun(self)) return -1;
    PyObject *connection = Py_NewRef(self->socket);
    /* The kernel says so when it failed, or when the server closed at once. */
    int number = 0, failed = events & ENDING ? outcome_of(connection, &number) : 0;
    if (!failed && number) {
        failed = tell_refused(self, number);
    } else if (!failed) {
        PyObject *patience = PyObject_GetAttr(self->engine, NAMED(patience));
        failed = !patience || patience_over(patience, (PyObject *)self) || connected(self, connection, events);
        Py_XDECREF(patience);
    }
    Py_DECREF(connection);
    return failed ? -1 : 0;
}

PyObject *dial_ready(PyObject *self, PyObject *what)
{
    unsigned long events = PyLong_AsUnsignedLong(what);
    if (events == (unsigned long)-1 && PyErr_Occurred()) return NULL;
    return done(dial_happened(self, events));
}

static PyObject *dial_connect(Dial *self, PyObject *ignored)
{
    return connect_now(self) ? NULL : Py_NewRef(Py_None);
}

/* The engine calls it at the end of the turn. */
static PyObject *dial_call(Dial *self, PyObject *args, PyObject *names)
{
    return dial_connect(self, NULL);
}

static int dial_traverse(Dial *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->engine);
    Py_VISIT(self->address);
    Py_VISIT(self->socket);
    Py_VISIT(self->transport);
    Py_VISIT(self->caller);
    Py_VISIT(self->problem);
    return 0;
}

static int dial_clear(Dial *self)
{
    Py_CLEAR(self->engine);
    Py_CLEAR(self->address);
    Py_CLEAR(self->socket);
    Py_CLEAR(self->transport);
    Py_CLEAR(self->caller);
    Py_CLEAR(self->problem);
    return 0;
}

static void dial_dealloc(Dial *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    dial_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef dial_methods[] = {
    {"ready", dial_ready, METH_O, "The attempt is over, one way or the other."},
    {"_connect", (PyCFunction)dial_connect, METH_NOARGS, "Connect, unless it was given up in the same turn."},
    {NULL, NULL, 0, NULL},
};

#define MEMBER(name, member) {name, T_OBJECT_EX, offsetof(Dial, member), 0, NULL}

static PyMemberDef dial_members[] = {
    MEMBER("_engine", engine),
    MEMBER("_address", address),
    MEMBER("_socket", socket),
    MEMBER("_transport", transport),
    MEMBER("_caller", caller),
    MEMBER("_problem", problem),
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot dial_slots[] = {
    {Py_tp_doc, "The only attempt to connect that is made for a caller."},
    {Py_tp_call, dial_call},
    {Py_tp_traverse, dial_traverse},
    {Py_tp_clear, dial_clear},
    {Py_tp_dealloc, dial_dealloc},
    {Py_tp_methods, dial_methods},
    {Py_tp_members, dial_members},
    {0, NULL},
};

PyType_Spec dial_spec = {
    .name = "corpproxy._wire.Dial",
    .basicsize = sizeof(Dial),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = dial_slots,
};

int add_dialling(PyObject *module)
{
#define KEEP(name, text)                                                                                               \
    if (keep_name(&NAMED(name), text)) return -1;
    DIAL_NAMES(KEEP)
#undef KEEP
    return add_type(module, &patience_spec, &patience_type) || add_type(module, &dial_spec, &dial_type) ||
           add_type(module, &dialler_spec, NULL) || add_type(module, &reaching_spec, &reaching_type) ||
           add_type(module, &server_end_spec, NULL);
}
