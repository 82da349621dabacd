/*
 * How a transport begins and ends.
 *
 * corpproxy/net/engine/life.py says what is done here and why, and has the twin, which is given all that is not as
 * expected.
 */
#define _GNU_SOURCE
#include "life.h"
#include <errno.h>
#include <sys/socket.h>

static PyObject *name_connection_lost, *name_read_lost, *name_make_connection, *name_stop;
static PyObject *name_stop_producing, *name_register_in_python, *name_ended_in_python, *name_end_in_python;
static PyObject *name_lost_failed, *name_read_on, *name_closed, *name_end_writing;

/* The class of addresses, the reason of an end that is none, and of which classes protocols hear of half an end. */
static PyObject *address_type, *connection_done, *half_closes, *tcp;

PyObject *set_ends(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    if (many != 3 || !PyType_Check(words[0]) || !PyType_IsSubtype((PyTypeObject *)words[0], &PyTuple_Type) ||
        !PyDict_CheckExact(words[2]))
        return PyErr_Format(PyExc_TypeError, "set_ends(class of addresses, reason, classes)");
    Py_XSETREF(address_type, Py_NewRef(words[0]));
    Py_XSETREF(connection_done, Py_NewRef(words[1]));
    Py_XSETREF(half_closes, Py_NewRef(words[2]));
    Py_RETURN_NONE;
}

/* Whether what was written waits for the kernel. */
static int waits(const Transport *self)
{
    return is_there(self->out) && PyObject_Size(self->out) != 0;
}

static PyObject *lacks(const char *member)
{
    return PyErr_Format(PyExc_AttributeError, "a transport without %s", member);
}

/* ---- Its beginning ---- */

PyObject *transport_start(Transport *self, PyObject *protocol)
{
    if (!self->engine) return lacks("an engine");
    Py_XSETREF(self->protocol, Py_NewRef(protocol));
    if (engine_join(self->engine, self->fd, (PyObject *)self)) return NULL;
    return done(tell_of_transport(protocol, name_make_connection, (PyObject *)self));
}

PyObject *transport_register(Transport *self, PyObject *const *words, Py_ssize_t many, PyObject *names)
{
    if (many == 2 && !names && words[1] == Py_True && self->connected && !is_there(self->producer)) {
        Py_XSETREF(self->producer, Py_NewRef(words[0]));
        Py_RETURN_NONE;
    }
    PyObject *twin = PyObject_GetAttr((PyObject *)self, name_register_in_python);
    PyObject *told = twin ? PyObject_Vectorcall(twin, words, (size_t)many, names) : NULL;
    Py_XDECREF(twin);
    return told;
}

PyObject *transport_unregister(Transport *self, PyObject *ignored)
{
    self->producer_paused = 0;
    Py_XSETREF(self->producer, Py_NewRef(Py_None));
    Py_RETURN_NONE;
}

PyObject *transport_address(Transport *self, void *ignored)
{
    if (!self->peer) return lacks("a peer");
    return PyUnicode_CheckExact(self->peer) ? Py_BuildValue("Oi", self->peer, (int)self->peer_port) : Py_NewRef(self->peer);
}

PyObject *transport_peer(Transport *self, PyObject *ignored)
{
    if (!address_type || !self->peer) return lacks("a peer");
    int is_short = PyUnicode_CheckExact(self->peer);
    PyObject *host = is_short ? Py_NewRef(self->peer) : PySequence_GetItem(self->peer, 0), *port = NULL;
    if (host) port = is_short ? PyLong_FromLong(self->peer_port) : PySequence_GetItem(self->peer, 1);
    PyTypeObject *type = (PyTypeObject *)address_type;
    PyObject *made = port ? type->tp_alloc(type, 3) : NULL;
    if (!made) {
        Py_XDECREF(host);
        Py_XDECREF(port);
        return NULL;
    }
    PyTuple_SET_ITEM(made, 0, Py_NewRef(tcp));
    PyTuple_SET_ITEM(made, 1, host);
    PyTuple_SET_ITEM(made, 2, port);
    return made;
}

/* ---- Held back, and read again ---- */

PyObject *transport_pause(Transport *self, PyObject *ignored)
{
    self->paused = 1;
    Py_RETURN_NONE;
}

PyObject *transport_resume(Transport *self, PyObject *ignored)
{
    if (!self->paused) Py_RETURN_NONE;
    self->paused = 0;
    /* Not now: who resumes us is in the middle of something. */
    if (!self->readable || !self->connected) Py_RETURN_NONE;
    if (!self->engine) return lacks("an engine");
    return done(engine_soon(self->engine, (PyObject *)self, READ_ON));
}

static int read_on(Transport *self)
{
    return self->connected && self->readable && !self->paused ? read_again(self) : 0;
}

PyObject *transport_read_on(Transport *self, PyObject *ignored)
{
    return done(read_on(self));
}

/* ---- Its end ---- */

/* What Python's `protocol.connectionLost` raised is the fault of that one. */
static int tell_lost(Transport *self, PyObject *protocol, PyObject *reason)
{
    if (!tell(protocol, name_connection_lost, reason)) return 0;
    PyObject *problem = caught();
    if (!problem) return -1;
    int told = tell((PyObject *)self, name_lost_failed, problem);
    Py_DECREF(problem);
    return told;
}

/* Take a member that is told of the end, if there is one. */
static int tell_taken(PyObject **member, PyObject *name)
{
    PyObject *taken = *member;
    if (!is_there(taken)) return 0;
    *member = Py_NewRef(Py_None);
    int told = tell(taken, name, NULL);
    Py_DECREF(taken);
    return told;
}

static int lose(Transport *self, PyObject *reason)
{
    if (!self->connected) return 0;
    if (!self->engine) {
        lacks("an engine");
        return -1;
    }
    if (is_there(self->held) && leave_turn((PyObject *)self)) return -1;
    self->connected = 0;
    if (engine_leave(self->engine, self->fd) || close_transport(self)) return -1;
    Py_XSETREF(self->out, Py_NewRef(Py_None));
    /* A pump parts with both its transports itself. */
    if (is_there(self->pump) && tell(self->pump, name_stop, NULL)) return -1;
    if (is_there(self->feeder) && tell(self->feeder, name_stop, NULL)) return -1;
    if (tell_taken(&self->producer, name_stop_producing)) return -1;
    PyObject *protocol = self->protocol;
    self->protocol = NULL;
    if (!protocol) {
        lacks("a protocol");
        return -1;
    }
    int told = tell_lost(self, protocol, reason);
    Py_DECREF(protocol);
    return told;
}

PyObject *transport_lose(Transport *self, PyObject *reason)
{
    return done(lose(self, reason));
}

static int end_writing(Transport *self)
{
    if (!self->connected || waits(self)) return 0;
    if (!self->direct) return tell((PyObject *)self, name_end_in_python, NULL);
    return shutdown(self->fd, SHUT_WR) ? broke(self) : 0;
}

PyObject *transport_end_writing(Transport *self, PyObject *ignored)
{
    return done(end_writing(self));
}

static int closed(Transport *self)
{
    return waits(self) ? 0 : lose(self, connection_done);
}

PyObject *transport_closed(Transport *self, PyObject *ignored)
{
    return done(closed(self));
}

int ended(Transport *self)
{
    PyObject *type = self->protocol ? (PyObject *)Py_TYPE(self->protocol) : NULL;
    PyObject *is_told = type && half_closes ? PyDict_GetItemWithError(half_closes, type) : NULL;
    if (!is_told) return PyErr_Occurred() ? -1 : tell((PyObject *)self, name_ended_in_python, NULL);
    self->readable = 0;
    self->half = 1;
    return is_told == Py_True ? tell(self->protocol, name_read_lost, NULL) : lose(self, connection_done);
}

PyObject *transport_ended(Transport *self, PyObject *ignored)
{
    return done(ended(self));
}

PyObject *transport_lose_connection(Transport *self, PyObject *ignored)
{
    if (!self->connected || self->closing) Py_RETURN_NONE;
    self->closing = self->disconnecting = 1;
    if (waits(self)) Py_RETURN_NONE;
    if (!self->engine) return lacks("an engine");
    return done(engine_soon(self->engine, (PyObject *)self, CLOSE));
}

PyObject *transport_lose_write(Transport *self, PyObject *ignored)
{
    if (!self->connected || self->writing_over) Py_RETURN_NONE;
    self->writing_over = 1;
    if (waits(self)) Py_RETURN_NONE;
    if (!self->engine) return lacks("an engine");
    return done(engine_at_end(self->engine, (PyObject *)self, END_WRITING));
}

/* ---- What is done later ---- */

int do_deed(PyObject *transport, enum deed deed)
{
    Transport *self = (Transport *)transport;
    if (deed == READ_ON) return read_on(self);
    return deed == CLOSE ? closed(self) : end_writing(self);
}

PyObject *name_of_deed(PyObject *transport, enum deed deed)
{
    PyObject *name = deed == READ_ON ? name_read_on : deed == CLOSE ? name_closed : name_end_writing;
    return PyObject_GetAttr(transport, name);
}

static const struct {
    PyObject **name;
    const char *text;
} names[] = {
    {&name_connection_lost, "connectionLost"},
    {&name_read_lost, "readConnectionLost"},
    {&name_make_connection, "makeConnection"},
    {&name_stop, "stop"},
    {&name_stop_producing, "stopProducing"},
    {&name_register_in_python, "_register_in_python"},
    {&name_ended_in_python, "_ended_in_python"},
    {&name_end_in_python, "_end_in_python"},
    {&name_lost_failed, "_lost_failed"},
    {&name_read_on, "_read_on"},
    {&name_closed, "_closed"},
    {&name_end_writing, "_end_writing"},
    {&tcp, "TCP"},
};

int add_life(PyObject *module)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (keep_name(names[i].name, names[i].text)) return -1;
    return 0;
}
