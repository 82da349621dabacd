/*
 * The transport of one socket: what is done for each read and write.
 *
 * corpproxy/net/engine/read_write.py says what is done here and why, and has the twin.  The rest of
 * a transport is Python, in a class below this one: it sees the members here as its own attributes.
 *
 * Sockets never wait (MSG_DONTWAIT), so the lock of the interpreter is kept: to let it go for a call of a few
 * microseconds is to stand in line behind the thread that writes records.
 */
#define _GNU_SOURCE
#include "dial.h"
#include "life.h"
#include <structmember.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { FIRST_READ = 64 * 1024 };

static const uint32_t READABLE = EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP;
static const uint32_t ENDING = EPOLLHUP | EPOLLERR | EPOLLRDHUP;
static const uint32_t WRITABLE = EPOLLOUT | EPOLLERR | EPOLLHUP;

/* Names of what is called for each event, made once. */
PyObject *name_ready;
static PyObject *name_data_received, *name_broken;
static PyObject *name_can_write, *name_write_rest, *name_run, *name_read_paced;
static PyObject *name_ready_in_python, *name_read_in_python, *name_write_in_python, *name_leave_in_python;
static PyObject *name_leave;

/*
 * How much is read at a time: at first, when there is more, and in one turn; and what of that which is written
 * in a turn leaves at its end.  The twin hands it in.
 */
static int read_octets = 16 * 1024, bulk_octets = 256 * 1024, turn_octets = 1024 * 1024, held_octets = 16 * 1024;

/* Call a method of an object that somebody may let go meanwhile; gives -1 when it raised. */
int tell(PyObject *whom, PyObject *name, PyObject *what)
{
    Py_INCREF(whom);
    PyObject *words[] = {whom, what};
    PyObject *told = PyObject_VectorcallMethod(name, words, what ? 2 : 1, NULL);
    Py_DECREF(whom);
    if (!told) return -1;
    Py_DECREF(told);
    return 0;
}

/* Tell of the error that the kernel has just given. */
int broke(Transport *self)
{
    PyErr_SetFromErrno(PyExc_OSError);
    PyObject *type, *problem, *trace;
    PyErr_Fetch(&type, &problem, &trace);
    PyErr_NormalizeException(&type, &problem, &trace);
    int told = problem ? tell((PyObject *)self, name_broken, problem) : -1;
    Py_XDECREF(type);
    Py_XDECREF(problem);
    Py_XDECREF(trace);
    return told;
}

/* Call a method with a number. */
int tell_number(PyObject *whom, PyObject *name, unsigned long number)
{
    PyObject *written = PyLong_FromUnsignedLong(number);
    int told = written ? tell(whom, name, written) : -1;
    Py_XDECREF(written);
    return told;
}

static int read_on_soon(Transport *self)
{
    return self->engine ? engine_soon(self->engine, (PyObject *)self, READ_ON) : 0;
}

/* Octets from the kernel as bytes: NULL with an exception, or without one where `errno` says why not. */
static PyObject *receive(Transport *self, int size)
{
    static char first[FIRST_READ]; /* what is in it was copied before anybody else is called */
    if (size <= FIRST_READ) {
        ssize_t came = recv(self->fd, first, (size_t)size, MSG_DONTWAIT);
        return came < 0 ? NULL : PyBytes_FromStringAndSize(first, came);
    }
    PyObject *data = PyBytes_FromStringAndSize(NULL, size);
    if (!data) return NULL;
    ssize_t came = recv(self->fd, PyBytes_AS_STRING(data), (size_t)size, MSG_DONTWAIT);
    if (came < 0) {
        int number = errno;
        Py_DECREF(data);
        errno = number;
        return NULL;
    }
    if (came < size && _PyBytes_Resize(&data, came)) return NULL;
    return data;
}

static int wants(const Transport *self)
{
    return !self->paused && !self->closing && self->connected && !self->half;
}

static int read_all(Transport *self)
{
    if (is_there(self->pump)) return tell(self->pump, name_run, NULL);
    if (is_there(self->pace)) return tell((PyObject *)self, name_read_paced, self->pace);
    int size = read_octets;
    Py_ssize_t turn = turn_octets;
    while (wants(self)) {
        PyObject *data = receive(self, size);
        if (!data) {
            if (PyErr_Occurred()) return -1;
            if (errno != EAGAIN && errno != EINTR) return broke(self);
            self->readable = 0;
            return 0;
        }
        Py_ssize_t came = PyBytes_GET_SIZE(data);
        if (!came) {
            Py_DECREF(data);
            return ended(self);
        }
        /* A short read means that nothing is left; an end that came with it is told by the event. */
        int is_all = came < size && !self->hung;
        if (is_all) self->readable = 0;
        if (!self->protocol) {
            Py_DECREF(data);
            PyErr_SetString(PyExc_AttributeError, "protocol");
            return -1;
        }
        int told = tell_of_octets(self->protocol, name_data_received, data);
        Py_DECREF(data);
        if (told) return -1;
        if (is_all) return 0;
        turn -= came;
        if (is_there(self->pump) || is_there(self->pace) || turn <= 0) return read_on_soon(self);
        size = bulk_octets;
    }
    return 0;
}

int transport_happened(Transport *self, unsigned long events)
{
    if (!self->direct) return tell_number((PyObject *)self, name_ready_in_python, events);
    if ((events & WRITABLE) && (is_there(self->out) || is_there(self->feeder)))
        if (tell((PyObject *)self, name_can_write, NULL)) return -1;
    if (!(events & READABLE)) return 0;
    self->readable = 1;
    if (events & ENDING) self->hung = 1;
    return !self->paused && self->connected && !self->closing ? read_all(self) : 0;
}

PyObject *transport_ready(Transport *self, PyObject *what)
{
    unsigned long events = PyLong_AsUnsignedLong(what);
    if (events == (unsigned long)-1 && PyErr_Occurred()) return NULL;
    return done(transport_happened(self, events));
}

int read_again(Transport *self)
{
    return self->direct ? read_all(self) : tell((PyObject *)self, name_read_in_python, NULL);
}

static PyObject *transport_read(Transport *self, PyObject *ignored)
{
    return done(read_again(self));
}

/* A peer that is gone already cannot be asked: that is told when it is read. */
static void hurry_up(Transport *self)
{
    int on = 1;
    if (self->hurry++ == 1) return; /* nothing that was sent before holds the first one back */
    self->hurry = 0;
    setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Send octets now; gives -1 with an exception. */
static int send_now(Transport *self, PyObject *data)
{
    Py_ssize_t octets = PyBytes_GET_SIZE(data);
    if (self->hurry) hurry_up(self);
    ssize_t sent = send(self->fd, PyBytes_AS_STRING(data), (size_t)octets, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent == octets) return 0;
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) return broke(self);
        sent = 0;
    }
    PyObject *many = PyLong_FromSsize_t(sent);
    if (!many) return -1;
    PyObject *words[] = {(PyObject *)self, data, many};
    PyObject *told = PyObject_VectorcallMethod(name_write_rest, words, 3, NULL);
    Py_DECREF(many);
    if (!told) return -1;
    Py_DECREF(told);
    return 0;
}

/* Send what was written in this turn. */
static int leave(Transport *self)
{
    if (!is_there(self->held)) return 0;
    if (!PyBytes_CheckExact(self->held)) return tell((PyObject *)self, name_leave_in_python, NULL);
    PyObject *held = self->held;
    self->held = Py_NewRef(Py_None);
    int failed = self->connected ? send_now(self, held) : 0;
    Py_DECREF(held);
    return failed;
}

/* Keep octets until the turn is over; gives 0 where none is under way, -1 with an exception. */
static int keep(Transport *self, PyObject *data)
{
    if (!self->engine || PyBytes_GET_SIZE(data) > held_octets) return 0;
    PyObject *leaving = engine_leaving(self->engine);
    if (!leaving) return -1;
    int kept = 0;
    if (PyList_CheckExact(leaving)) {
        kept = PyList_Append(leaving, (PyObject *)self) ? -1 : 1;
        if (kept == 1) Py_XSETREF(self->held, Py_NewRef(data));
    }
    Py_DECREF(leaving);
    return kept;
}

static PyObject *transport_write(Transport *self, PyObject *data)
{
    if (!self->connected || self->writing_over) Py_RETURN_NONE;
    if (!self->direct || is_there(self->out) || !PyBytes_CheckExact(data))
        return done(tell((PyObject *)self, name_write_in_python, data));
    if (is_there(self->held)) {
        if (leave(self)) return NULL;
        return transport_write(self, data); /* the kernel may not have taken it all */
    }
    int kept = keep(self, data);
    if (kept) return done(kept < 0);
    return done(send_now(self, data));
}

static PyObject *transport_leave(Transport *self, PyObject *ignored)
{
    if (!self->direct) return done(tell((PyObject *)self, name_leave_in_python, NULL));
    return done(leave(self));
}

static PyMethodDef transport_methods[] = {
    {"ready", (PyCFunction)transport_ready, METH_O, "The kernel has something to read, or takes something again."},
    {"_read", (PyCFunction)transport_read, METH_NOARGS, "Read until nothing is left, or nothing more is wanted."},
    {"write", (PyCFunction)transport_write, METH_O,
     "Send octets, at the end of the turn; what the kernel does not take is sent later."},
    {"leave", (PyCFunction)transport_leave, METH_NOARGS, "Send what was written in this turn."},
    LIFE_METHODS,
    {NULL, NULL, 0, NULL},
};

#define MEMBER(name, type, member) {name, type, offsetof(Transport, member), 0, NULL}

static PyMemberDef transport_members[] = {
    MEMBER("_engine", T_OBJECT_EX, engine),
    MEMBER("_out", T_OBJECT_EX, out),
    MEMBER("_held", T_OBJECT_EX, held),
    MEMBER("_producer", T_OBJECT_EX, producer),
    MEMBER("_pump", T_OBJECT_EX, pump),
    MEMBER("_feeder", T_OBJECT_EX, feeder),
    MEMBER("pace", T_OBJECT_EX, pace),
    MEMBER("protocol", T_OBJECT_EX, protocol),
    MEMBER("_out_octets", T_PYSSIZET, out_octets),
    MEMBER("_fd", T_INT, fd),
    MEMBER("_hurry", T_BYTE, hurry),
    MEMBER("_producer_paused", T_BOOL, producer_paused),
    MEMBER("_paused", T_BOOL, paused),
    MEMBER("_readable", T_BOOL, readable),
    MEMBER("_hung", T_BOOL, hung),
    MEMBER("_closing", T_BOOL, closing),
    MEMBER("_writing_over", T_BOOL, writing_over),
    MEMBER("_half", T_BOOL, half),
    MEMBER("connected", T_BOOL, connected),
    MEMBER("disconnecting", T_BOOL, disconnecting),
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject *socket_type;
PyTypeObject *transport_type;

char is_direct(PyObject *connection)
{
    return (char)(PyObject_TypeCheck(connection, own_socket_type) || PyObject_TypeCheck(connection, socket_type));
}

void fill_transport(Transport *self, PyObject *engine, PyObject *connection, PyObject *peer)
{
    Py_XSETREF(self->engine, Py_NewRef(engine));
    Py_XSETREF(self->socket, Py_NewRef(connection));
    Py_XSETREF(self->peer, Py_NewRef(peer));
    Py_XSETREF(self->out, Py_NewRef(Py_None));
    Py_XSETREF(self->held, Py_NewRef(Py_None));
    Py_XSETREF(self->producer, Py_NewRef(Py_None));
    Py_XSETREF(self->pump, Py_NewRef(Py_None));
    Py_XSETREF(self->feeder, Py_NewRef(Py_None));
    Py_XSETREF(self->pace, Py_NewRef(Py_None));
    self->connected = 1;
}

static int transport_init(Transport *self, PyObject *args, PyObject *names)
{
    PyObject *engine, *connection, *peer;
    if (!PyArg_ParseTuple(args, "OOO", &engine, &connection, &peer)) return -1;
    if (PyObject_TypeCheck(connection, own_socket_type)) {
        self->fd = ((Socket *)connection)->fd;
    } else {
        PyObject *number = PyObject_CallMethod(connection, "fileno", NULL);
        if (!number) return -1;
        self->fd = (int)PyLong_AsLong(number);
        Py_DECREF(number);
        if (self->fd == -1 && PyErr_Occurred()) return -1;
    }
    self->direct = is_direct(connection);
    fill_transport(self, engine, connection, peer);
    return 0;
}

static int transport_traverse(Transport *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->engine);
    Py_VISIT(self->socket);
    Py_VISIT(self->peer);
    Py_VISIT(self->out);
    Py_VISIT(self->held);
    Py_VISIT(self->producer);
    Py_VISIT(self->pump);
    Py_VISIT(self->feeder);
    Py_VISIT(self->pace);
    Py_VISIT(self->protocol);
    return 0;
}

static int transport_clear(Transport *self)
{
    Py_CLEAR(self->engine);
    Py_CLEAR(self->socket);
    Py_CLEAR(self->peer);
    Py_CLEAR(self->out);
    Py_CLEAR(self->held);
    Py_CLEAR(self->producer);
    Py_CLEAR(self->pump);
    Py_CLEAR(self->feeder);
    Py_CLEAR(self->pace);
    Py_CLEAR(self->protocol);
    return 0;
}

static void transport_dealloc(Transport *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->owns) close_transport(self);
    transport_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyGetSetDef transport_computed[] = {
    {"_socket", (getter)transport_socket, (setter)set_transport_socket, "The socket that is served.", NULL},
    {"_peer", (getter)transport_address, NULL, "The address and the port on the other side.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot transport_slots[] = {
    {Py_tp_doc, "What is done for each read and write of a socket."},
    {Py_tp_init, transport_init},
    {Py_tp_traverse, transport_traverse},
    {Py_tp_clear, transport_clear},
    {Py_tp_dealloc, transport_dealloc},
    {Py_tp_methods, transport_methods},
    {Py_tp_members, transport_members},
    {Py_tp_getset, transport_computed},
    {0, NULL},
};

static PyType_Spec transport_spec = {
    .name = "corpproxy._wire.Transport",
    .basicsize = sizeof(Transport),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = transport_slots,
};

int leave_turn(PyObject *one)
{
    int is_own = PyObject_TypeCheck(one, transport_type) && ((Transport *)one)->direct;
    return is_own ? leave((Transport *)one) : tell(one, name_leave, NULL);
}

static PyObject *set_sizes(PyObject *module, PyObject *args)
{
    int first, bulk, whole, held;
    if (!PyArg_ParseTuple(args, "iiii", &first, &bulk, &whole, &held)) return NULL;
    if (first < 1 || bulk < 1 || whole < 1 || held < 1) {
        PyErr_SetString(PyExc_ValueError, "sizes are above 0");
        return NULL;
    }
    read_octets = first;
    bulk_octets = bulk;
    turn_octets = whole;
    held_octets = held;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"accept", accept_one, METH_O,
     "accept(listening)\n\nTake a connection from a listening socket, and its peer: an address and a port.  None where\n"
     "nobody waits."},
    {"socket", (PyCFunction)(void (*)(void))make_socket, METH_FASTCALL, "socket(family, type)\n\nMake a socket."},
    {"set_socket", set_socket, METH_O, "set_socket(type)\n\nSay of which class sockets are made."},
    {"serve", (PyCFunction)(void (*)(void))serve, METH_FASTCALL,
     "serve(port, class, most)\n\nGive each connection that waits a transport of the class, and a protocol of the port's\n"
     "factory."},
    {"set_ends", (PyCFunction)(void (*)(void))set_ends, METH_FASTCALL,
     "set_ends(class, reason, classes)\n\nSay what addresses are, why a connection ends that does not break, and of which\n"
     "classes protocols hear that their peer sends no more."},
    {"set_side", (PyCFunction)(void (*)(void))set_side, METH_FASTCALL,
     "set_side(class, deadlines, clean, reason, seconds, gone)\n\nSay where members of a wire lie, why it ends that does\n"
     "not break, how long one that was closed may linger, and what the sink of one that is gone is."},
    {"set_dial", set_dial, METH_VARARGS,
     "set_dial(dial, transport, places)\n\nSay of which classes attempts and transports are made, and how many\n"
     "places are remembered."},
    {"set_reaching", set_reaching, METH_VARARGS,
     "set_reaching(classes, upstream, kinds, recorded, gone)\n\nSay which classes there are, what makes connections, what\n"
     "is remembered of addresses, and what the sink of a connection that is gone is."},
    {"set_names", (PyCFunction)(void (*)(void))set_names, METH_FASTCALL,
     "set_names(class, known)\n\nSay where members of the names lie, and of what is known of each."},
    {"set_sizes", set_sizes, METH_VARARGS,
     "set_sizes(first, bulk, turn, held)\n\nHow much is read of a socket: at first, when there is more, in one turn;\n"
     "and what of that which is written in a turn leaves at its end."},
    {NULL, NULL, 0, NULL},
};

static const struct {
    PyObject **name;
    const char *text;
} names[] = {
    {&name_data_received, "dataReceived"},
    {&name_ready, "ready"},
    {&name_run, "run"},
    {&name_read_paced, "_read_paced"},
    {&name_broken, "_broken"},
    {&name_can_write, "_can_write"},
    {&name_write_rest, "_write_rest"},
    {&name_ready_in_python, "_ready_in_python"},
    {&name_read_in_python, "_read_in_python"},
    {&name_write_in_python, "_write_in_python"},
    {&name_leave_in_python, "_leave_in_python"},
    {&name_leave, "leave"},
};

static int add_transport(PyObject *module)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (keep_name(names[i].name, names[i].text)) return -1;
    if (!socket_type) {
        PyObject *sockets = PyImport_ImportModule("_socket");
        if (!sockets) return -1;
        socket_type = (PyTypeObject *)PyObject_GetAttrString(sockets, "socket");
        Py_DECREF(sockets);
        if (!socket_type) return -1;
    }
    if (add_type(module, &socket_spec, &own_socket_type) || add_type(module, &transport_spec, &transport_type)) return -1;
    return add_engine(module) || add_life(module) || add_accept(module) || add_names(module) || add_sides(module) || add_dialling(module) ? -1 : 0;
}

PART(wire, "The transport of one socket.", add_transport)
