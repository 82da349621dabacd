/*
 * How a transport begins and ends: the methods that life.c has for the class in wire.c.
 */
#ifndef CORPPROXY_LIFE_H
#define CORPPROXY_LIFE_H
#include "wire.h"

#pragma GCC visibility push(hidden)

PyObject *transport_start(Transport *self, PyObject *protocol);
PyObject *transport_register(Transport *self, PyObject *const *words, Py_ssize_t many, PyObject *names);
PyObject *transport_unregister(Transport *self, PyObject *ignored);
PyObject *transport_pause(Transport *self, PyObject *ignored);
PyObject *transport_resume(Transport *self, PyObject *ignored);
PyObject *transport_peer(Transport *self, PyObject *ignored);
PyObject *transport_address(Transport *self, void *ignored);
PyObject *transport_ended(Transport *self, PyObject *ignored);
PyObject *transport_lose_connection(Transport *self, PyObject *ignored);
PyObject *transport_lose_write(Transport *self, PyObject *ignored);
PyObject *transport_end_writing(Transport *self, PyObject *ignored);
PyObject *transport_closed(Transport *self, PyObject *ignored);
PyObject *transport_lose(Transport *self, PyObject *reason);
PyObject *transport_read_on(Transport *self, PyObject *ignored);

/* See wire.c. */
int broke(Transport *self);
int read_again(Transport *self);
/* The peer sends no more. */
int ended(Transport *self);

#pragma GCC visibility pop

#define LIFE_METHODS                                                                                                   \
    {"start", (PyCFunction)transport_start, METH_O, "Begin to serve a protocol, and join the engine."},                \
    {"registerProducer", (PyCFunction)(void (*)(void))transport_register, METH_FASTCALL | METH_KEYWORDS,               \
     "Pause and resume whoever writes, as the kernel takes it."},                                                      \
    {"unregisterProducer", (PyCFunction)transport_unregister, METH_NOARGS, "Pause nobody any more."},                  \
    {"pauseProducing", (PyCFunction)transport_pause, METH_NOARGS, "Read no more for now."},                            \
    {"resumeProducing", (PyCFunction)transport_resume, METH_NOARGS, "Read again."},                                    \
    {"getPeer", (PyCFunction)transport_peer, METH_NOARGS, "The address on the other side."},                           \
    {"loseConnection", (PyCFunction)transport_lose_connection, METH_NOARGS, "Close once all is written."},             \
    {"loseWriteConnection", (PyCFunction)transport_lose_write, METH_NOARGS,                                            \
     "Send the end of the stream once all is written, and go on reading."},                                            \
    {"_ended", (PyCFunction)transport_ended, METH_NOARGS, "The peer sends no more."},                                  \
    {"_end_writing", (PyCFunction)transport_end_writing, METH_NOARGS, "Send the end of the stream."},                  \
    {"_closed", (PyCFunction)transport_closed, METH_NOARGS, "All is written: close."},                                 \
    {"_lose", (PyCFunction)transport_lose, METH_O, "The connection is over."},                                         \
    {"_read_on", (PyCFunction)transport_read_on, METH_NOARGS, "Read on after others had their turn."}

#endif
