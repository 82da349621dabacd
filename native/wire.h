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
    PyObject *engine, *peer, *out, *held, *producer, *pump, *feeder, *pace, *protocol;
    /* NULL while `owns`: see transport_socket. */
    PyObject *socket;
    Py_ssize_t out_octets;
    int fd;
    /* Where `peer` is but the address of a client, its port: two objects less for each. */
    unsigned short peer_port;
    /* Whether `socket` is a socket of the kernel; another one is for the twin. */
    char direct;
    /* Whether `fd` is nobody's but this one's, who closes it: thousands of connections keep no socket besides. */
    char owns;
    /* Whether small writes are to be sent at once from the second one on; see hurry_up in wire.c. */
    char hurry;
    char producer_paused, paused, readable, hung, closing, writing_over, half, connected, disconnecting;
} Transport;

/* Whether the calls of the kernel can be made for a socket. */
char is_direct(PyObject *connection);

/* Give a new transport what it serves; `fd` and `direct` are set by who knows them. */
void fill_transport(Transport *self, PyObject *engine, PyObject *connection, PyObject *peer);
/* Let it have the descriptor of its socket for itself, if that is one of ours; nobody else may use that socket. */
void take_over(Transport *self);
/* The socket of a transport, made when it is asked for; what is to be set in its place; closed, once. */
PyObject *transport_socket(Transport *self, void *ignored);
int set_transport_socket(Transport *self, PyObject *socket, void *ignored);
int close_transport(Transport *self);

extern PyTypeObject *own_socket_type, *transport_type;
extern PyType_Spec socket_spec;

/* See `functions` of wire.c. */
PyObject *set_socket(PyObject *module, PyObject *type);
/* A socket of a descriptor, which it takes over. */
PyObject *new_socket(int fd, int family);
void close_own(Socket *self);
PyObject *make_socket(PyObject *module, PyObject *const *words, Py_ssize_t many);
PyObject *stream_socket(int family);
PyObject *socket_connect(Socket *self, PyObject *address);

/* See turn.c: all that gives a number gives -1 where something raised. */
int take_turn(int descriptor, void *loop, int most, PyObject *failed);
int leave_each(PyObject *leaving, PyObject *failed);
int watch_one(int epoll, int descriptor, uint32_t events);
/* The exception that was raised, taken; NULL where it is no Exception, and goes on. */
PyObject *caught(void);

/*
 * What is done for a transport before the engine sleeps again, and not at once: no bound method is made for it.
 * CALL is for whatever can be called.
 */
enum deed { CALL, READ_ON, CLOSE, END_WRITING };

/* See engine.c: an engine that is no Loop is told in Python. */
int add_engine(PyObject *module);
/* Who is told of a descriptor: borrowed, NULL where nobody is. */
PyObject *member_of(void *loop, int fd);
/* A member is told from now on: the kernel knows of the descriptor, or will; with `join` it does. */
int engine_put(PyObject *engine, int fd, PyObject *member);
int engine_join(PyObject *engine, int fd, PyObject *member);
int engine_leave(PyObject *engine, int fd);
/* Those with octets that leave at the end of the turn, a list; None between turns. */
PyObject *engine_leaving(PyObject *engine);
int engine_soon(PyObject *engine, PyObject *who, enum deed deed);
int engine_at_end(PyObject *engine, PyObject *who, enum deed deed);

/* See life.c. */
int add_life(PyObject *module);
int do_deed(PyObject *transport, enum deed deed);
PyObject *name_of_deed(PyObject *transport, enum deed deed);
PyObject *set_ends(PyObject *module, PyObject *const *words, Py_ssize_t many);

/* See accept.c. */
int add_accept(PyObject *module);
PyObject *accept_one(PyObject *module, PyObject *listening);
PyObject *serve(PyObject *module, PyObject *const *words, Py_ssize_t many);

/* See names.c. */
int add_names(PyObject *module);
PyObject *set_names(PyObject *module, PyObject *const *words, Py_ssize_t many);

/* See sides.c. */
int add_sides(PyObject *module);
PyObject *set_side(PyObject *module, PyObject *const *words, Py_ssize_t many);
/* The connection is gone, for a reason, NULL for none that broke anything. */
int side_lost(PyObject *self, PyObject *reason);

static inline int is_there(PyObject *object)
{
    return object && object != Py_None;
}

static inline PyObject *done(int failed)
{
    if (failed) return NULL;
    Py_RETURN_NONE;
}

/* Call a method of an object that somebody may let go meanwhile; gives -1 when it raised. */
int tell(PyObject *whom, PyObject *name, PyObject *what);

/* The same with a number. */
int tell_number(PyObject *whom, PyObject *name, unsigned long number);

/* Send what a transport has kept until the end of the turn; gives -1 when it raised. */
int leave_turn(PyObject *one);

extern PyObject *name_ready;

/* Classes that were looked at, and whether a method of theirs is a function of ours: see ours.c. */
enum { SEEN = 4 };
typedef struct {
    struct seen {
        PyTypeObject *type;
        unsigned version;
        int is_ours;
    } classes[SEEN];
    unsigned next;
} Seen;

/* Whether the method that an object has by this name is the function. */
int is_ours(PyObject *object, PyObject *name, PyCFunction function, Seen *seen);

/* Tell a member of the engine of events, a protocol of octets and of its transport; they give -1 where it raised. */
int tell_of_events(PyObject *member, unsigned long events);
int tell_of_octets(PyObject *protocol, PyObject *name, PyObject *octets);
int tell_of_transport(PyObject *protocol, PyObject *name, PyObject *transport);

/* What is called of it without being looked for; each gives -1 with an exception. */
PyObject *transport_ready(Transport *self, PyObject *events);
int transport_happened(Transport *self, unsigned long events);
PyObject *dial_ready(PyObject *self, PyObject *events);
int dial_happened(PyObject *self, unsigned long events);

#pragma GCC visibility pop

#endif
