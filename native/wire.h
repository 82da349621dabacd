/*
 * What the files of the part `wire` know of each other.
 */
#ifndef CORPPROXY_WIRE_H
#define CORPPROXY_WIRE_H
#include "module.h"

#pragma GCC visibility push(hidden)

/* A socket that does not block; -1 once it is closed. */
typedef struct {
    PyObject_HEAD
    int fd, family;
} Socket;

/* The transport of a socket. */
typedef struct {
    PyObject_HEAD
    PyObject *engine, *socket, *peer, *out, *held, *producer, *pump, *feeder, *pace, *protocol;
    Py_ssize_t out_octets;
    int fd;
    /* Whether `socket` is a socket of the kernel; another one is for the twin. */
    char direct;
    char producer_paused, paused, readable, hung, closing, writing_over, half, connected, disconnecting;
} Transport;

/* Whether the calls of the kernel can be made for a socket. */
char is_direct(PyObject *connection);

/* Give a new transport what it serves; `fd` and `direct` are set by who knows them. */
void fill_transport(Transport *self, PyObject *engine, PyObject *connection, PyObject *peer);

extern PyTypeObject *own_socket_type, *transport_type;
extern PyType_Spec socket_spec;

/* See `functions` of wire.c. */
PyObject *set_socket(PyObject *module, PyObject *type);
PyObject *accept_one(PyObject *module, PyObject *listening);
PyObject *make_socket(PyObject *module, PyObject *const *words, Py_ssize_t many);
PyObject *stream_socket(int family);
PyObject *socket_connect(Socket *self, PyObject *address);

PyObject *turn(PyObject *module, PyObject *args);
PyObject *leave_all(PyObject *module, PyObject *const *words, Py_ssize_t many);
PyObject *watch(PyObject *module, PyObject *const *words, Py_ssize_t many);

static inline int is_there(PyObject *object)
{
    return object && object != Py_None;
}

/* Call a method of an object that somebody may let go meanwhile; gives -1 when it raised. */
int tell(PyObject *whom, PyObject *name, PyObject *what);

/* Send what a transport has kept until the end of the turn; gives -1 when it raised. */
int leave_turn(PyObject *one);

extern PyObject *name_ready;

#pragma GCC visibility pop

#endif
