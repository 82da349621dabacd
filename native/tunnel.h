/*
 * What the files of the part `tunnel` know of each other: the classes in Python, and where their members lie.
 */
#ifndef CORPPROXY_TUNNEL_H
#define CORPPROXY_TUNNEL_H
#include "module.h"
#include "slots.h"

#pragma GCC visibility push(hidden)

/* Class, member, name of the member. */
#define MEMBERS(M)                                                                                                     \
    M(wire, deadline, "deadline")                                                                                      \
    M(wire, deadlines, "deadlines")                                                                                    \
    M(wire, full, "full")                                                                                              \
    M(wire, gone, "gone")                                                                                              \
    M(wire, on_hold, "on_hold")                                                                                        \
    M(wire, pace, "pace")                                                                                              \
    M(wire, sink, "sink")                                                                                              \
    M(wire, source, "source")                                                                                          \
    M(wire, transport, "transport")                                                                                    \
    M(downstream, exchange, "exchange")                                                                                \
    M(downstream, held, "held")                                                                                        \
    M(downstream, proxy, "proxy")                                                                                      \
    M(downstream, run, "run")                                                                                          \
    M(downstream, timeouts, "timeouts")                                                                                \
    M(downstream, tunnel, "tunnel")                                                                                    \
    M(downstream, upstream, "upstream")                                                                                \
    M(upstream, address, "address")                                                                                    \
    M(upstream, keeper, "keeper")                                                                                      \
    M(upstream, received, "received")                                                                                  \
    M(upstream, sent, "sent")                                                                                          \
    M(held, octets_held, "octets_held")                                                                                \
    M(exchange, account, "account")                                                                                    \
    M(exchange, answered, "answered")                                                                                  \
    M(exchange, decision, "decision")                                                                                  \
    M(exchange, destination, "destination")                                                                            \
    M(exchange, facts, "facts")                                                                                        \
    M(exchange, fields, "fields")                                                                                      \
    M(exchange, head, "head")                                                                                          \
    M(exchange, held, "held")                                                                                          \
    M(exchange, in_force, "in_force")                                                                                  \
    M(exchange, method, "method")                                                                                      \
    M(exchange, opened, "opened")                                                                                      \
    M(exchange, result, "result")                                                                                      \
    M(exchange, server_name, "server_name")                                                                            \
    M(exchange, splices, "splices")                                                                                    \
    M(exchange, status, "status")                                                                                      \
    M(exchange, target, "target")                                                                                      \
    M(exchange, up_received, "up_received")                                                                            \
    M(exchange, up_sent, "up_sent")                                                                                    \
    M(exchange, upstream, "upstream")                                                                                  \
    M(account, received, "received")                                                                                   \
    M(account, sent, "sent")                                                                                           \
    M(destination, host, "host")                                                                                       \
    M(fields, outline, "outline")                                                                                      \
    M(host, name, "name")                                                                                              \
    M(in_force, limiting, "limiting")                                                                                  \
    M(in_force, timeouts, "timeouts")                                                                                  \
    M(timeouts, tunnel_first, "tunnel_first")                                                                          \
    M(timeouts, tunnel_idle, "tunnel_idle")                                                                            \
    M(timeouts, tunnel_life, "tunnel_life")                                                                            \
    M(deadlines, line, "line")                                                                                         \
    M(deadlines, now, "now")                                                                                           \
    M(deadlines, watched, "_watched")                                                                                  \
    M(opening, downstream, "_downstream")                                                                              \
    M(opening, exchange, "_exchange")                                                                                  \
    M(outline, agent, "agent")

#define CLASSES(C)                                                                                                     \
    C(wire) C(downstream) C(upstream) C(held) C(exchange) C(account) C(destination) C(host) C(in_force) C(timeouts)    \
    C(deadlines) C(opening) C(fields) C(outline)

#define A_CLASS(class) extern PyTypeObject *class##_class;
#define A_MEMBER(class, member, text) extern Py_ssize_t class##_##member;
CLASSES(A_CLASS)
MEMBERS(A_MEMBER)
#undef A_CLASS
#undef A_MEMBER

#define IS(class, object) ((object) && Py_IS_TYPE((object), class##_class))

/* Names of members and methods; made once. */
#define NAMES(N)                                                                                                       \
    N(write, "write") N(write_no_more, "loseWriteConnection") N(end_writing, "end_writing") N(discard, "discard")      \
    N(close, "close") N(tunnel_over, "tunnel_over") N(go_on, "go_on") N(fed_no_more, "fed_no_more") N(take, "take")    \
    N(pump_outward, "pump_outward") N(pump_inward, "pump_inward") N(break_off, "_break")                               \
    N(start_in_python, "_start_in_python") N(octets_in_python, "_octets_in_python")                                    \
    N(inward_in_python, "_octets_inward_in_python") N(part_in_python, "_part_in_python")                                      \
    N(reached_in_python, "_reached_in_python") N(ended, "ended") N(not_joined, "not_joined") N(books, "books")         \
    N(opened, "opened") N(forget_head, "forget_head") N(safety, "safety") N(tunnel_content, "tunnel_content")          \
    N(over, "_over") N(place, "place")

#define A_NAME(name, text) extern PyObject *name_##name;
NAMES(A_NAME)
#undef A_NAME

enum Side { NEITHER, CLIENT, SERVER };

/*
 * The sink of the server has its place inside that of the client: a thousand idle tunnels keep a thousand objects less.
 * While anybody refers to it, it refers to its tunnel; the memory is the tunnel's.  The collector sees that
 * reference by `tunnel_traverse` alone.
 */
typedef struct {
    PyObject_HEAD
} Inward;

typedef struct {
    PyObject_HEAD
    Inward inward;
    PyObject *downstream, *upstream, *pumps;
    double deadline, idle, until;
    float left, left_inward;
    int place;
    char ended, over;
} Tunnel;

extern PyTypeObject *inward_type;
extern PyMethodDef tunnel_methods[], inward_methods[];

PyObject *inward_of(Tunnel *self);
void inward_dealloc(PyObject *inward);
int start_tunnel(Tunnel *self);

/* The sink of what is gone; the deadline of what rests; what the twin in Python hands in. */
extern PyObject *gone, *never;
/* What makes tunnels, a class in Python, NULL where that has nothing compiled; what is compiled of it. */
extern PyTypeObject *tunnel_class, *tunnel_type;

/* Whether both sides are as they are of a tunnel, and what counts their octets. */
int are_usual(PyObject *downstream, PyObject *upstream);

/* Join two sides that are usual, of an exchange that no limit holds; -1 with an exception. */
int join(PyObject *downstream, PyObject *upstream);

/* Moments of the tick, as numbers; -1 with an exception. */
int read_now(PyObject *wire, double *now);

extern PyType_Spec opening_spec;
PyObject *set_opening(PyObject *module, PyObject *args);

#pragma GCC visibility pop

/* Call a method of an object that somebody may let go meanwhile. */
static inline int call_method(PyObject *object, PyObject *name, PyObject *word)
{
    if (!is_set(object)) return -1;
    PyObject *words[] = {Py_NewRef(object), word};
    PyObject *told = PyObject_VectorcallMethod(name, words, word ? 2 : 1, NULL);
    Py_DECREF(object);
    Py_XDECREF(told);
    return told ? 0 : -1;
}

static inline int is_nought(PyObject *number)
{
    return number && PyLong_CheckExact(number) && !Py_SIZE(number);
}

#endif
