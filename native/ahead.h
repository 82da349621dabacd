/*
 * What sending ahead of the road and taking the answer have in common: the classes in Python, where their members
 * lie, and what stands for the road until there is one.
 */
#ifndef CORPPROXY_AHEAD_H
#define CORPPROXY_AHEAD_H
#include "module.h"
#include "slots.h"

/* Seen by the two files of this part alone, so that they reach it as they reach what is static. */
#pragma GCC visibility push(hidden)

/* ---- The classes in Python, and where their members lie ---- */

/* Class, member, name of the member. */
#define MEMBERS(M)                                                                                                     \
    M(downstream, exchange, "exchange")                                                                                \
    M(downstream, pins, "pins")                                                                                        \
    M(downstream, proxy, "proxy")                                                                                      \
    M(downstream, run, "run")                                                                                          \
    M(downstream, transport, "transport")                                                                              \
    M(downstream, upstream, "upstream")                                                                                \
    M(upstream, address, "address")                                                                                    \
    M(upstream, asked_at, "asked_at")                                                                                  \
    M(upstream, asker, "asker")                                                                                        \
    M(upstream, challenges, "challenges")                                                                              \
    M(upstream, deadline, "deadline")                                                                                  \
    M(upstream, deadlines, "deadlines")                                                                                \
    M(upstream, gone, "gone")                                                                                          \
    M(upstream, interim_octets, "_interim_octets")                                                                     \
    M(upstream, keep, "keep")                                                                                          \
    M(upstream, method, "_method")                                                                                     \
    M(upstream, reader, "_reader")                                                                                     \
    M(upstream, received, "received")                                                                                  \
    M(upstream, sent, "sent")                                                                                          \
    M(upstream, sink, "sink")                                                                                          \
    M(upstream, timeouts, "timeouts")                                                                                  \
    M(upstream, transport, "transport")                                                                                \
    M(exchange, account, "account")                                                                                    \
    M(exchange, answered, "answered")                                                                                  \
    M(exchange, client, "client")                                                                                      \
    M(exchange, decision, "decision")                                                                                  \
    M(exchange, destination, "destination")                                                                            \
    M(exchange, first_octet_seconds, "first_octet_seconds")                                                            \
    M(exchange, head, "head")                                                                                          \
    M(exchange, held, "held")                                                                                          \
    M(exchange, identity, "identity")                                                                                  \
    M(exchange, in_force, "in_force")                                                                                  \
    M(exchange, keep, "keep")                                                                                          \
    M(exchange, known, "known")                                                                                        \
    M(exchange, listener, "listener")                                                                                  \
    M(exchange, method, "method")                                                                                      \
    M(exchange, result, "result")                                                                                      \
    M(exchange, started, "started")                                                                                    \
    M(exchange, status, "status")                                                                                      \
    M(exchange, up_received, "up_received")                                                                            \
    M(exchange, up_sent, "up_sent")                                                                                    \
    M(exchange, upstream, "upstream")                                                                                  \
    M(account, received, "received")                                                                                   \
    M(account, sent, "sent")                                                                                           \
    M(in_force, grants, "grants")                                                                                      \
    M(in_force, limiting, "limiting")                                                                                  \
    M(in_force, needs_answer, "needs_answer")                                                                          \
    M(in_force, policy, "policy")                                                                                      \
    M(in_force, sections, "sections")                                                                                  \
    M(in_force, via, "via")                                                                                            \
    M(known, addresses, "addresses")                                                                                   \
    M(known, again, "again")                                                                                           \
    M(known, decision, "decision")                                                                                     \
    M(known, destination, "destination")                                                                               \
    M(known, dial, "dial")                                                                                             \
    M(known, fields, "fields")                                                                                         \
    M(known, identity, "identity")                                                                                     \
    M(known, lasts, "lasts")                                                                                           \
    M(known, leeway, "leeway")                                                                                         \
    M(known, sections, "sections")                                                                                     \
    M(leeway, all, "_all")                                                                                             \
    M(leeway, down, "down")                                                                                            \
    M(leeway, is_noted, "is_noted")                                                                                    \
    M(leeway, is_over, "is_over")                                                                                      \
    M(leeway, lent, "lent")                                                                                            \
    M(leeway, note, "_note")                                                                                           \
    M(leeway, received, "received")                                                                                    \
    M(leeway, sent, "sent")                                                                                            \
    M(leeway, term, "term")                                                                                            \
    M(leeway, up, "up")                                                                                                \
    M(leeway, used_at, "used_at")                                                                                      \
    M(term, shifts, "shifts")                                                                                          \
    M(term, since, "since")                                                                                            \
    M(term, standings, "standings")                                                                                    \
    M(term, until, "until")                                                                                            \
    M(standings, shifts, "shifts")                                                                                     \
    M(bucket, rate, "rate")                                                                                            \
    M(bucket, seen, "seen")                                                                                            \
    M(bucket, tokens, "tokens")                                                                                        \
    M(stock, until, "until")                                                                                           \
    M(destination, categories, "categories")                                                                           \
    M(destination, host, "host")                                                                                       \
    M(destination, matches, "matches")                                                                                 \
    M(destination, path, "path")                                                                                       \
    M(destination, port, "port")                                                                                       \
    M(destination, scheme, "scheme")                                                                                   \
    M(host, name, "name")                                                                                              \
    M(fields, outline, "outline")                                                                                      \
    M(fields, section, "section")                                                                                      \
    M(outline, known, "known")                                                                                         \
    M(outline, notes, "notes")                                                                                         \
    M(reader, held, "held")                                                                                            \
    M(reader, limits, "limits")                                                                                        \
    M(reader, rest, "rest")                                                                                            \
    M(facts, at, "at")                                                                                                 \
    M(facts, path, "path")                                                                                             \
    M(limits, fields, "fields")                                                                                        \
    M(limits, head_octets, "head_octets")                                                                              \
    M(timeouts, answer, "answer")

#define CLASSES(C)                                                                                                     \
    C(downstream) C(upstream) C(exchange) C(account) C(in_force) C(known) C(destination) C(host) C(fields) C(outline)  \
    C(reader) C(facts) C(limits) C(timeouts) C(leeway) C(term) C(standings) C(bucket) C(stock)

#define A_CLASS(class) extern PyTypeObject *class##_class;
#define A_MEMBER(class, member, text) extern Py_ssize_t class##_##member;
CLASSES(A_CLASS)
MEMBERS(A_MEMBER)
#undef A_CLASS
#undef A_MEMBER

/* A member of an object whose class was looked at; borrowed. */
#define OF(class, object, member) (*slot((object), class##_##member))
#define PUT(class, object, member, value) put_slot((object), class##_##member, (value))
#define IS(class, object) ((object) && Py_IS_TYPE((object), class##_class))

/* What reads the head of an answer; the result of an exchange that was forwarded; b"". */
extern PyObject *read_response, *result_forwarded, *no_octets;

/* Names of members and methods; made once. */
#define NAMES(N)                                                                                                       \
    N(admission, "admission") N(check_person, "check_person") N(pool, "pool") N(take, "take") N(reactor, "reactor")    \
    N(seconds, "seconds") N(now, "now") N(write, "write") N(decide, "decide") N(release, "release") N(ended, "ended")  \
    N(octets_in_python, "_octets_in_python") N(same, "same answer") N(same_at_end, "same last answer")

#define A_NAME(name, text) extern PyObject *name_##name;
NAMES(A_NAME)
#undef A_NAME

/* Stands for the road of an exchange until there is one. */
typedef struct {
    PyObject_HEAD
    PyObject *downstream, *upstream;
} Ahead;

extern PyType_Spec ahead_spec;

/* ---- What exchanges may move below their limits, in leeway.c ---- */

/* The least that is worth a turn, in octets; how many seconds of its rate a bucket holds. */
extern double piece_octets, burst_seconds;

/* Whether an exchange may begin at this time; -1 with an exception. */
int leeway_may_begin(PyObject *leeway, PyObject *at);

/* Take so much out of all buckets, if it is there; -1 with an exception. */
int leeway_takes(PyObject *leeway, PyObject *received, PyObject *sent, PyObject *now);

#pragma GCC visibility pop

/* What Python says where a member was never set. */
static inline int is_set(PyObject *object)
{
    if (!object && !PyErr_Occurred()) PyErr_SetString(PyExc_AttributeError, "a member that is not set");
    return object != NULL;
}

/* Put the sum of a number and another one into the place of the first. */
static inline int add_to(PyObject **number, PyObject *more)
{
    PyObject *sum = is_set(*number) && is_set(more) ? PyNumber_Add(*number, more) : NULL;
    if (!sum) return -1;
    Py_SETREF(*number, sum);
    return 0;
}

static inline PyObject *member_of(PyObject *object, PyObject *name)
{
    return is_set(object) ? PyObject_GetAttr(object, name) : NULL;
}

static inline int call_method(PyObject *object, PyObject *name, PyObject *word)
{
    if (!is_set(object)) return -1;
    PyObject *told = word ? PyObject_CallMethodOneArg(object, name, word) : PyObject_CallMethodNoArgs(object, name);
    Py_XDECREF(told);
    return told ? 0 : -1;
}

static inline PyObject *reactor_seconds(PyObject *proxy)
{
    PyObject *reactor = member_of(proxy, name_reactor);
    PyObject *now = reactor ? PyObject_CallMethodNoArgs(reactor, name_seconds) : NULL;
    Py_XDECREF(reactor);
    return now;
}

#endif
