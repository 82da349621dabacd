/*
 * What sending ahead of the road and taking the answer have in common: the classes in Python, where their members
 * lie, and what stands for the road until there is one.
 */
#ifndef CORPPROXY_AHEAD_H
#define CORPPROXY_AHEAD_H
#include "module.h"
#include "slots.h"

/* Seen by the files of this part alone, so that they reach it as they reach what is static. */
#pragma GCC visibility push(hidden)

/* ---- The classes in Python, and where their members lie ---- */

/* Class, member, name of the member. */
#define MEMBERS(M)                                                                                                     \
    M(downstream, abort_at_end, "abort_at_end")                                                                        \
    M(downstream, address, "address")                                                                                  \
    M(downstream, began, "_began")                                                                                     \
    M(downstream, closing, "closing")                                                                                  \
    M(downstream, deadline, "deadline")                                                                                \
    M(downstream, deadlines, "deadlines")                                                                              \
    M(downstream, exchange, "exchange")                                                                                \
    M(downstream, feeding, "_feeding")                                                                                 \
    M(downstream, full, "full")                                                                                        \
    M(downstream, gone, "gone")                                                                                        \
    M(downstream, held, "held")                                                                                        \
    M(downstream, listener, "listener")                                                                                \
    M(downstream, mode, "mode")                                                                                        \
    M(downstream, on_hold, "on_hold")                                                                                  \
    M(downstream, pins, "pins")                                                                                        \
    M(downstream, proxy, "proxy")                                                                                      \
    M(downstream, reader, "_reader")                                                                                   \
    M(downstream, run, "run")                                                                                          \
    M(downstream, sink, "sink")                                                                                        \
    M(downstream, timeouts, "timeouts")                                                                                \
    M(downstream, transport, "transport")                                                                              \
    M(downstream, tunnel, "tunnel")                                                                                    \
    M(downstream, upload, "upload")                                                                                    \
    M(downstream, upstream, "upstream")                                                                                \
    M(downstream, when_late, "when_late")                                                                              \
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
    M(exchange, body, "body")                                                                                          \
    M(exchange, client, "client")                                                                                      \
    M(exchange, decision, "decision")                                                                                  \
    M(exchange, destination, "destination")                                                                            \
    M(exchange, fields, "fields")                                                                                      \
    M(exchange, first_octet_seconds, "first_octet_seconds")                                                            \
    M(exchange, head, "head")                                                                                          \
    M(exchange, held, "held")                                                                                          \
    M(exchange, identity, "identity")                                                                                  \
    M(exchange, in_force, "in_force")                                                                                  \
    M(exchange, keep, "keep")                                                                                          \
    M(exchange, known, "known")                                                                                        \
    M(exchange, leeway, "leeway")                                                                                      \
    M(exchange, listener, "listener")                                                                                  \
    M(exchange, method, "method")                                                                                      \
    M(exchange, opened, "opened")                                                                                      \
    M(exchange, result, "result")                                                                                      \
    M(exchange, splices, "splices")                                                                                    \
    M(exchange, started, "started")                                                                                    \
    M(exchange, status, "status")                                                                                      \
    M(exchange, up_received, "up_received")                                                                            \
    M(exchange, up_sent, "up_sent")                                                                                    \
    M(exchange, upstream, "upstream")                                                                                  \
    M(account, received, "received")                                                                                   \
    M(account, sent, "sent")                                                                                           \
    M(in_force, connections, "connections")                                                                            \
    M(in_force, grants, "grants")                                                                                      \
    M(in_force, limiting, "limiting")                                                                                  \
    M(in_force, needs_answer, "needs_answer")                                                                          \
    M(in_force, policy, "policy")                                                                                      \
    M(in_force, safe_search, "safe_search")                                                                            \
    M(in_force, sections, "sections")                                                                                  \
    M(in_force, timeouts, "timeouts")                                                                                  \
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
    M(bucket, hungry, "hungry")                                                                                        \
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
    M(outline, closes, "closes")                                                                                       \
    M(outline, is_plain, "is_plain")                                                                                   \
    M(outline, known, "known")                                                                                         \
    M(outline, notes, "notes")                                                                                         \
    M(reader, held, "held")                                                                                            \
    M(reader, limits, "limits")                                                                                        \
    M(reader, rest, "rest")                                                                                            \
    M(facts, at, "at")                                                                                                 \
    M(facts, path, "path")                                                                                             \
    M(limits, fields, "fields")                                                                                        \
    M(limits, head_octets, "head_octets")                                                                              \
    M(limits, target_octets, "target_octets")                                                                          \
    M(timeouts, answer, "answer")                                                                                      \
    M(timeouts, head, "head")                                                                                          \
    M(timeouts, idle, "idle")                                                                                          \
    M(held, octets_held, "octets_held")                                                                                \
    M(heads, reader, "_reader")                                                                                        \
    M(heads, sections, "_sections")                                                                                    \
    M(request_reader, held, "held")                                                                                    \
    M(request_reader, limits, "limits")                                                                                \
    M(request_reader, rest, "rest")                                                                                    \
    M(request_reader, sections, "_sections")                                                                           \
    M(references, count, "_count")                                                                                     \
    M(references, prefix, "_prefix")                                                                                   \
    M(references, second, "_second")                                                                                   \
    M(admission, by_address, "_by_address")                                                                            \
    M(admission, by_person, "_by_person")                                                                              \
    M(admission, connections, "connections")                                                                           \
    M(admission, elsewhere, "elsewhere")                                                                               \
    M(admission, proxy, "_proxy")                                                                                      \
    M(admission, tunnels, "tunnels")                                                                                   \
    M(admission, tunnels_by_address, "_tunnels_by_address")                                                            \
    M(admission, tunnels_by_person, "_tunnels_by_person")                                                              \
    M(connection_limits, per_address, "per_address")                                                                   \
    M(connection_limits, per_person, "per_person")                                                                     \
    M(connection_limits, total, "total")                                                                               \
    M(connection_limits, tunnels_per_address, "tunnels_per_address")                                                   \
    M(connection_limits, tunnels_per_person, "tunnels_per_person")                                                     \
    M(recipe, cut, "_cut")                                                                                             \
    M(recipe, template, "_template")                                                                                   \
    M(identity, name, "name")

#define CLASSES(C)                                                                                                     \
    C(downstream) C(upstream) C(exchange) C(account) C(in_force) C(known) C(destination) C(host) C(fields) C(outline)  \
    C(reader) C(facts) C(limits) C(timeouts) C(leeway) C(term) C(standings) C(bucket) C(stock) C(held) C(heads)        \
    C(recipe) C(request_reader) C(references) C(admission) C(connection_limits) C(identity)

#define A_CLASS(class) extern PyTypeObject *class##_class;
#define A_MEMBER(class, member, text) extern Py_ssize_t class##_##member;
CLASSES(A_CLASS)
MEMBERS(A_MEMBER)
#undef A_CLASS
#undef A_MEMBER

/* What all connections share; its class is made after the others, and told by itself. */
#define PROXY_MEMBERS(M)                                                                                               \
    M(admission) M(books) M(deadlines) M(heads) M(in_force) M(now) M(pool) M(reactor) M(references) M(rounds)          \
    M(stopping)

#define A_MEMBER(member) extern Py_ssize_t proxy_##member;
extern PyTypeObject *proxy_class;
PROXY_MEMBERS(A_MEMBER)
#undef A_MEMBER

#define IS(class, object) ((object) && Py_IS_TYPE((object), class##_class))

/* What reads the head of an answer; the result of an exchange that was forwarded; b"" and "". */
extern PyObject *read_response, *result_forwarded, *no_octets, *no_text;

/* Names of members and methods; made once. */
#define NAMES(N)                                                                                                       \
    N(abort, "abort") N(accepts, "accepts") N(addresses, "addresses") N(admission, "admission")                        \
    N(begin_in_python, "_begin_in_python") N(books, "books") N(by_address, "by_address") N(by_person, "by_person")     \
    N(check_person, "check_person") N(check_person_in_python, "_check_person_in_python") N(close, "close")             \
    N(closed, "closed") N(closed_in_python, "_closed_in_python") N(connect, "connect") N(deadlines, "deadlines")       \
    N(decide, "decide")                                                                                                \
    N(ended, "ended") N(ended_in_python, "_ended_in_python") N(entries, "entries") N(get_peer, "getPeer")              \
    N(go_on, "go_on") N(heads, "heads") N(host, "host") N(identity, "identity") N(in_force, "in_force")                \
    N(late, "late")                                                                                                    \
    N(lost_in_python, "_connectionLost_in_python") N(made_in_python, "_connectionMade_in_python") N(next, "next")      \
    N(next_head, "_next") N(now, "now") N(octets_in_python, "_octets_in_python") N(open_tunnel, "open_tunnel")         \
    N(open_tunnel_in_python, "_open_tunnel_in_python") N(opened, "opened") N(opened_in_python, "_opened_in_python")    \
    N(over_in_python, "_over_in_python") N(pool, "pool") N(reactor, "reactor") N(references, "references")             \
    N(pacer, "pacer") N(refusal, "refusal") N(refusal_in_python, "_refusal_in_python") N(register_producer, "registerProducer")\
    N(release, "release") N(rounds, "rounds") N(safety, "safety") N(same, "same answer")                               \
    N(same_at_end, "same last answer") N(seconds, "seconds") N(since, "since") N(stopping, "stopping")                 \
    N(take, "take") N(take_road, "_take_road") N(timeouts, "timeouts") N(total, "total")                               \
    N(tunnel_closed, "tunnel_closed")                                                                                  \
    N(tunnel_closed_in_python, "_tunnel_closed_in_python") N(tunnels_by_address, "tunnels_by_address")                 \
    N(tunnels_by_person, "tunnels_by_person") N(turn_away, "_turn_away") N(watch, "watch") N(write, "write")           \
    N(write_in_python, "_write_in_python")                                                                             

#define A_NAME(name, text) extern PyObject *name_##name;
NAMES(A_NAME)
#undef A_NAME

/* Stands for the road of an exchange until there is one. */
typedef struct {
    PyObject_HEAD
    PyObject *downstream, *upstream;
} Ahead;

extern PyType_Spec ahead_spec, beginning_spec, admission_spec, clients_spec, over_spec;

/* ---- Who sent credentials that were checked before, in recognition.c ---- */

/* Who it is now, None where nobody: by what a known exchange has to say so. */
PyObject *identity_again(PyObject *again, PyObject *now);

/* See `functions` of ahead.c. */
PyObject *set_recognition(PyObject *module, PyObject *args);
int add_recognition(PyObject *module);

/* Functions of Python that are called, and objects that are given; `set_objects` takes them by these names. */
#define OBJECTS(O)                                                                                                     \
    O(dial_host) O(go_in_python) O(gone) O(is_plain) O(never) O(new_exchange) O(new_tunnel_ahead) O(no_body)           \
    O(nobody) O(read_request) O(refusal) O(servers) O(wire_lost)

#define AN_OBJECT(name) extern PyObject *object_##name;
OBJECTS(AN_OBJECT)
#undef AN_OBJECT

enum { VERSION = 11 /* of HTTP */, FOR_THE_TWIN = 2 /* in the place of a truth: it is not as expected */ };

/* ---- What is known of an exchange like one before, in ahead.c ---- */

/* What a request asks for: its method, its authority with http:// before it, its path. */
typedef struct {
    PyObject *method, *section, *outline;
    const char *target, *path, *end;
} Asked;

extern PyTypeObject *request_head_class;

/* Take apart what is asked for; 0 where it is not as expected. */
int is_asked(PyObject *exchange, Asked *asked, int is_authority);

/* What is known of such a request; borrowed, NULL where nothing is. */
PyObject *look_up(PyObject *exchange, const Asked *asked);

/* Take over what is known; 0 where it does not hold, -1 with an exception. */
int recall(PyObject *exchange, PyObject *known, const Asked *asked);

/* Whether nothing of the limits bites: `FOR_THE_TWIN` where it may, -1 with an exception. */
int is_below_limits(PyObject *exchange, PyObject *in_force, PyObject *known);

/* Send a request like one before, or open its tunnel; 0 where its road begins first, -1 with an exception. */
int go_known(PyObject *downstream, PyObject *exchange);

int is_connect(PyObject *method);

/* Open a tunnel like one before, in open.c; as above, and `FOR_THE_TWIN`. */
int open_known(PyObject *downstream, PyObject *exchange);

/* Tell the client's connection that the exchange is over; an exception that is set says why. */
int tell_ended(PyObject *downstream, int failed);

/* The next reference of an exchange that begins at a moment, in begin.c. */
PyObject *next_reference(PyObject *references, PyObject *at);

/* ---- Who may have how much open, in admission.c ---- */

/* Each tells its twin in Python what is too much; -1 with an exception, which may be a refusal. */
int admission_opened(PyObject *admission, PyObject *downstream);
int admission_check_person(PyObject *admission, PyObject *downstream);
int admission_open_tunnel(PyObject *admission, PyObject *downstream);
int admission_tunnel_closed(PyObject *admission, PyObject *downstream);
int admission_closed(PyObject *admission, PyObject *downstream);

/* Whether an exchange may begin; 0 where the twin says why not. */
int admission_may_begin(PyObject *admission, PyObject *exchange);

/* ---- What exchanges may move below their limits, in leeway.c ---- */

/* The least that is worth a turn, in octets; how many seconds of its rate a bucket holds. */
extern double piece_octets, burst_seconds;

/* Whether an exchange may begin at this time; -1 with an exception. */
int leeway_may_begin(PyObject *leeway, PyObject *at);

/* The ways of octets, as corpproxy/accounting/sharing.py has them. */
enum Way { DOWN, UP };

/* How much may be moved at once one way; 0 where that is not worth a turn, -1 with an exception. */
Py_ssize_t leeway_ready(PyObject *leeway, enum Way way, PyObject *now);

/* So much moved, just after it was asked what may be moved. */
int leeway_charge(PyObject *leeway, PyObject *received, PyObject *sent);

/* Take so much out of all buckets, if it is there; -1 with an exception. */
int leeway_takes(PyObject *leeway, PyObject *received, PyObject *sent, PyObject *now);

/* ---- Tunnels below their limits, in below.c ---- */

int add_below(PyObject *module);

#pragma GCC visibility pop

static inline PyObject *member_of(PyObject *object, PyObject *name)
{
    return is_set(object) ? PyObject_GetAttr(object, name) : NULL;
}

/* A member of what all connections share, or of what stands for it in a test. */
static inline PyObject *of_proxy(PyObject *proxy, Py_ssize_t member, PyObject *name)
{
    PyObject *found = IS(proxy, proxy) ? *slot(proxy, member) : NULL;
    return found ? Py_NewRef(found) : member_of(proxy, name);
}

#define PROXY(proxy, member) of_proxy((proxy), proxy_##member, name_##member)

static inline int call_method(PyObject *object, PyObject *name, PyObject *word)
{
    if (!is_set(object)) return -1;
    PyObject *told = word ? PyObject_CallMethodOneArg(object, name, word) : PyObject_CallMethodNoArgs(object, name);
    Py_XDECREF(told);
    return told ? 0 : -1;
}

static inline PyObject *reactor_seconds(PyObject *proxy)
{
    PyObject *reactor = PROXY(proxy, reactor);
    PyObject *now = reactor ? PyObject_CallMethodNoArgs(reactor, name_seconds) : NULL;
    Py_XDECREF(reactor);
    return now;
}

#endif
