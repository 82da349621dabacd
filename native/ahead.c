/*
 * Requests that are sent ahead of their road, and their answers.
 *
 * corpproxy/net/ahead.py says what is done here and why, and has the twins.  What is taken here is what nearly all
 * exchanges like one before are: a known decision, a kept connection, an answer that came whole and whose head
 * came before.  All else is for the twin.
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include "form.h"
#include "slots.h"
#include <stddef.h>
#include <string.h>

enum { VERSION = 11, AUTHORITY = 7 /* where it begins in an absolute target: behind http:// */ };

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
    M(known, sections, "sections")                                                                                     \
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
    C(reader) C(facts) C(limits) C(timeouts)

#define A_CLASS(class) static PyTypeObject *class##_class;
#define A_MEMBER(class, member, text) static Py_ssize_t class##_##member;
CLASSES(A_CLASS)
MEMBERS(A_MEMBER)

/* A member of an object whose class was looked at; borrowed. */
#define OF(class, object, member) (*slot((object), class##_##member))
#define PUT(class, object, member, value) put_slot((object), class##_##member, (value))
#define IS(class, object) ((object) && Py_IS_TYPE((object), class##_class))

static PyTypeObject *request_head_class, *server_class, *ahead_class;
static PyObject *read_response, *result_forwarded, *no_octets;

/* Names of members and methods; made once. */
#define NAMES(N)                                                                                                       \
    N(admission, "admission") N(check_person, "check_person") N(pool, "pool") N(take, "take") N(reactor, "reactor")    \
    N(seconds, "seconds") N(now, "now") N(write, "write") N(decide, "decide") N(release, "release") N(ended, "ended")  \
    N(octets_in_python, "_octets_in_python") N(same, "same answer")

#define A_NAME(name, text) static PyObject *name_##name;
NAMES(A_NAME)

/* ---- Stands for the road of an exchange until there is one ---- */

typedef struct {
    PyObject_HEAD
    PyObject *downstream, *upstream;
} Ahead;

/* What Python says where a member was never set. */
static int is_set(PyObject *object)
{
    if (!object && !PyErr_Occurred()) PyErr_SetString(PyExc_AttributeError, "a member that is not set");
    return object != NULL;
}

static PyObject *member_of(PyObject *object, PyObject *name)
{
    return is_set(object) ? PyObject_GetAttr(object, name) : NULL;
}

static int call_method(PyObject *object, PyObject *name, PyObject *word)
{
    if (!is_set(object)) return -1;
    PyObject *told = word ? PyObject_CallMethodOneArg(object, name, word) : PyObject_CallMethodNoArgs(object, name);
    Py_XDECREF(told);
    return told ? 0 : -1;
}

static PyObject *reactor_seconds(PyObject *proxy)
{
    PyObject *reactor = member_of(proxy, name_reactor);
    PyObject *now = reactor ? PyObject_CallMethodNoArgs(reactor, name_seconds) : NULL;
    Py_XDECREF(reactor);
    return now;
}

/* Put the sum of a whole number and another one into the place of the first. */
static int add_to(PyObject **number, PyObject *more)
{
    PyObject *sum = is_set(*number) && is_set(more) ? PyNumber_Add(*number, more) : NULL;
    if (!sum) return -1;
    Py_SETREF(*number, sum);
    return 0;
}

static PyObject *joined(PyObject *one, PyObject *other)
{
    Py_ssize_t first = PyBytes_GET_SIZE(one), second = PyBytes_GET_SIZE(other);
    PyObject *octets = PyBytes_FromStringAndSize(NULL, first + second);
    if (!octets) return NULL;
    memcpy(PyBytes_AS_STRING(octets), PyBytes_AS_STRING(one), (size_t)first);
    memcpy(PyBytes_AS_STRING(octets) + first, PyBytes_AS_STRING(other), (size_t)second);
    return octets;
}

static int same_octets(PyObject *one, PyObject *other)
{
    if (one == other) return 1;
    if (!one || !other || !PyBytes_CheckExact(one) || !PyBytes_CheckExact(other)) return 0;
    Py_ssize_t many = PyBytes_GET_SIZE(one);
    return many == PyBytes_GET_SIZE(other) && !memcmp(PyBytes_AS_STRING(one), PyBytes_AS_STRING(other), (size_t)many);
}

/* What `Ahead._note` keeps of an answer that went as it came. */
enum { NOTED_METHOD, NOTED_VIA, NOTED_KEEP, NOTED_LENGTH, NOTED_STATUS, NOTED_KEPT, NOTED_HEAD, NOTED };

/* The note of an answer that is to this request as the one before was to its; borrowed, NULL for the twin. */
static PyObject *noted(PyObject *exchange, PyObject *head, PyObject *content)
{
    PyObject *fields = PyTuple_GET_ITEM(head, 3), *outline = IS(fields, fields) ? OF(fields, fields, outline) : NULL;
    PyObject *notes = IS(outline, outline) ? OF(outline, outline, notes) : NULL;
    PyObject *note = notes && PyDict_CheckExact(notes) ? PyDict_GetItemWithError(notes, name_same) : NULL;
    if (!note || !PyTuple_CheckExact(note) || PyTuple_GET_SIZE(note) != NOTED) return NULL;
    PyObject *in_force = OF(exchange, exchange, in_force);
    if (!IS(in_force, in_force) || PyTuple_GET_ITEM(note, NOTED_VIA) != OF(in_force, in_force, via)) return NULL;
    if (!same_octets(PyTuple_GET_ITEM(note, NOTED_METHOD), OF(exchange, exchange, method))) return NULL;
    if (PyTuple_GET_ITEM(note, NOTED_KEEP) != OF(exchange, exchange, keep)) return NULL;
    Py_ssize_t length = PyLong_AsSsize_t(PyTuple_GET_ITEM(note, NOTED_LENGTH));
    if (length != PyBytes_GET_SIZE(content) || !PyBytes_CheckExact(PyTuple_GET_ITEM(note, NOTED_HEAD))) return NULL;
    return note;
}

/* Send a whole answer; the exchange has nothing more to do then. */
static int deliver(Ahead *self, PyObject *exchange, PyObject *note, PyObject *content, PyObject *came)
{
    PyObject *downstream = self->downstream, *upstream = self->upstream, *account = OF(exchange, exchange, account);
    PyObject *octets = joined(PyTuple_GET_ITEM(note, NOTED_HEAD), content);
    PyObject *now = octets ? reactor_seconds(OF(downstream, downstream, proxy)) : NULL;
    PyObject *waited = now ? PyNumber_Subtract(now, OF(upstream, upstream, asked_at)) : NULL;
    PyObject *sent = waited ? PyLong_FromSsize_t(PyBytes_GET_SIZE(octets)) : NULL;
    int failed = !sent || add_to(slot(account, account_sent), sent) ||
                 add_to(slot(exchange, exchange_up_sent), OF(upstream, upstream, sent)) ||
                 add_to(slot(exchange, exchange_up_received), came);
    if (!failed) {
        PUT(exchange, exchange, first_octet_seconds, Py_NewRef(waited));
        PUT(exchange, exchange, status, Py_NewRef(PyTuple_GET_ITEM(note, NOTED_STATUS)));
        PUT(exchange, exchange, answered, Py_NewRef(Py_True));
        PUT(upstream, upstream, keep, Py_NewRef(PyTuple_GET_ITEM(note, NOTED_KEPT)));
        PUT(upstream, upstream, challenges, Py_NewRef(Py_False));
        PUT(upstream, upstream, received, Py_NewRef(came));
        PUT(upstream, upstream, sink, Py_NewRef(upstream));
        PUT(upstream, upstream, asker, Py_NewRef(Py_None));
        failed = call_method(OF(downstream, downstream, transport), name_write, octets);
    }
    if (!failed) {
        PUT(downstream, downstream, upstream, Py_NewRef(Py_None));
        failed = call_method(upstream, name_release, Py_True);
        PUT(exchange, exchange, result, Py_NewRef(result_forwarded));
    }
    Py_XDECREF(octets);
    Py_XDECREF(now);
    Py_XDECREF(waited);
    Py_XDECREF(sent);
    return failed ? -1 : 0;
}

/* Tell the client's connection that the exchange is over; an exception that is set says why. */
static int end(PyObject *downstream, int failed)
{
    if (!failed) return call_method(downstream, name_ended, Py_None);
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return -1;
    PyObject *type, *bug, *trace;
    PyErr_Fetch(&type, &bug, &trace);
    PyErr_NormalizeException(&type, &bug, &trace);
    if (bug && trace) PyException_SetTraceback(bug, trace);
    int told = bug ? call_method(downstream, name_ended, bug) : -1;
    Py_XDECREF(type);
    Py_XDECREF(bug);
    Py_XDECREF(trace);
    return told;
}

/* Whether all is as it was when the request was sent. */
static int as_sent(const Ahead *self)
{
    PyObject *downstream = self->downstream, *upstream = self->upstream;
    if (!IS(downstream, downstream) || !IS(upstream, upstream)) return 0;
    if (OF(downstream, downstream, run) != (PyObject *)self || OF(downstream, downstream, upstream) != upstream) return 0;
    if (OF(upstream, upstream, asker) != (PyObject *)self || OF(upstream, upstream, gone) != Py_False) return 0;
    PyObject *exchange = OF(downstream, downstream, exchange);
    return IS(exchange, exchange) && OF(exchange, exchange, held) == Py_None && IS(account, OF(exchange, exchange, account));
}

/* Read a head that came whole; NULL, without an exception where it is for the twin. */
static PyObject *read_head(PyObject *reader, PyObject *data)
{
    if (!IS(reader, reader) || OF(reader, reader, held) != Py_None) return NULL;
    PyObject *limits = OF(reader, reader, limits), *rest = OF(reader, reader, rest);
    if (!IS(limits, limits) || !rest || !PyBytes_CheckExact(rest) || PyBytes_GET_SIZE(rest)) return NULL;
    PyObject *words[] = {reader, data, OF(limits, limits, head_octets), OF(limits, limits, fields)};
    PyObject *head = PyObject_Vectorcall(read_response, words, 4, NULL);
    if (head == Py_None) Py_CLEAR(head);
    return head;
}

/* Take an answer that came whole; 0 where it is for the twin, -1 with an exception. */
static int take_whole(Ahead *self, PyObject *data)
{
    if (!PyBytes_CheckExact(data) || !as_sent(self)) return 0;
    PyObject *reader = OF(upstream, self->upstream, reader), *exchange = OF(downstream, self->downstream, exchange);
    PyObject *head = read_head(reader, data);
    if (!head) return PyErr_Occurred() ? -1 : 0;
    PyObject *content = Py_NewRef(OF(reader, reader, rest));
    PUT(reader, reader, rest, Py_NewRef(no_octets));
    PyObject *note = Py_XNewRef(noted(exchange, head, content));
    int taken = PyErr_Occurred() ? -1 : 0;
    if (note) {
        PyObject *came = PyLong_FromSsize_t(PyBytes_GET_SIZE(data)), *downstream = Py_NewRef(self->downstream);
        Py_INCREF(exchange);
        int failed = came ? deliver(self, exchange, note, content, came) : -1;
        taken = end(downstream, failed) ? -1 : 1;
        Py_DECREF(exchange);
        Py_DECREF(downstream);
        Py_XDECREF(came);
    }
    Py_XDECREF(note);
    Py_DECREF(content);
    Py_DECREF(head);
    return taken;
}

static PyObject *ahead_octets(Ahead *self, PyObject *data)
{
    Py_INCREF(self);
    int taken = take_whole(self, data);
    PyObject *told = NULL;
    if (taken > 0) told = Py_NewRef(Py_None);
    if (!taken) told = PyObject_CallMethodOneArg((PyObject *)self, name_octets_in_python, data);
    Py_DECREF(self);
    return told;
}

static int ahead_init(Ahead *self, PyObject *args, PyObject *names)
{
    PyObject *downstream, *upstream;
    if (!PyArg_ParseTuple(args, "OO", &downstream, &upstream)) return -1;
    Py_XSETREF(self->downstream, Py_NewRef(downstream));
    Py_XSETREF(self->upstream, Py_NewRef(upstream));
    return 0;
}

static int ahead_traverse(Ahead *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->downstream);
    Py_VISIT(self->upstream);
    return 0;
}

static int ahead_clear(Ahead *self)
{
    Py_CLEAR(self->downstream);
    Py_CLEAR(self->upstream);
    return 0;
}

static void ahead_dealloc(Ahead *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    ahead_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef ahead_methods[] = {
    {"octets", (PyCFunction)ahead_octets, METH_O, "Take octets of the answer."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef ahead_members[] = {
    {"_downstream", T_OBJECT_EX, offsetof(Ahead, downstream), 0, NULL},
    {"_upstream", T_OBJECT_EX, offsetof(Ahead, upstream), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot ahead_slots[] = {
    {Py_tp_doc, "Takes the answer to a request that was sent ahead of its road."},
    {Py_tp_init, ahead_init},
    {Py_tp_traverse, ahead_traverse},
    {Py_tp_clear, ahead_clear},
    {Py_tp_dealloc, ahead_dealloc},
    {Py_tp_methods, ahead_methods},
    {Py_tp_members, ahead_members},
    {0, NULL},
};

static PyType_Spec ahead_spec = {
    .name = "corpproxy._ahead.Ahead",
    .basicsize = sizeof(Ahead),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = ahead_slots,
};

/* ---- Sending ---- */

/* What a request asks for: its method, its authority with http:// before it, its path. */
typedef struct {
    PyObject *method, *section, *outline;
    const char *target, *path, *end;
} Asked;

static int is_asked(PyObject *exchange, Asked *asked)
{
    PyObject *head = OF(exchange, exchange, head);
    if (!head || !Py_IS_TYPE(head, request_head_class)) return 0;
    PyObject *target = PyTuple_GET_ITEM(head, 1), *fields = PyTuple_GET_ITEM(head, 3);
    asked->method = PyTuple_GET_ITEM(head, 0);
    if (!PyBytes_CheckExact(asked->method) || !PyBytes_CheckExact(target) || !IS(fields, fields)) return 0;
    if (PyLong_AsLong(PyTuple_GET_ITEM(head, 2)) != VERSION) return 0;
    asked->section = OF(fields, fields, section);
    asked->outline = OF(fields, fields, outline);
    if (!PyBytes_CheckExact(asked->section) || !IS(outline, asked->outline)) return 0;
    asked->target = PyBytes_AS_STRING(target);
    asked->end = asked->target + PyBytes_GET_SIZE(target);
    if (asked->end - asked->target <= AUTHORITY) return 0;
    asked->path = memchr(asked->target + AUTHORITY, '/', (size_t)(asked->end - asked->target - AUTHORITY));
    return asked->path != NULL;
}

/* What is known of such a request; borrowed, NULL where nothing is. */
static PyObject *look_up(PyObject *exchange, const Asked *asked)
{
    PyObject *remembered = OF(outline, asked->outline, known), *known = NULL;
    PyObject *authority = PyBytes_FromStringAndSize(asked->target, asked->path - asked->target);
    PyObject *key = authority ? PyTuple_Pack(4, asked->method, authority, OF(exchange, exchange, client),
                                             OF(exchange, exchange, listener))
                              : NULL;
    if (key && remembered && PyDict_CheckExact(remembered)) known = PyDict_GetItemWithError(remembered, key);
    Py_XDECREF(authority);
    Py_XDECREF(key);
    return known;
}

/* Whether a decision still holds for this path: 0 where not, -1 with an exception. */
static int still_decided(PyObject *exchange, PyObject *known, PyObject *path)
{
    PyObject *lasts = OF(known, known, lasts), *now = OF(exchange, exchange, started);
    if (!PyTuple_Check(lasts) || PyTuple_GET_SIZE(lasts) != 3) return 0;
    PyObject *facts = PyTuple_GET_ITEM(lasts, 2);
    if (facts == Py_None) {
        double at = PyFloat_AsDouble(now), since = PyFloat_AsDouble(PyTuple_GET_ITEM(lasts, 0));
        double until = PyFloat_AsDouble(PyTuple_GET_ITEM(lasts, 1));
        if (PyErr_Occurred()) return -1;
        return since <= at && at < until;
    }
    if (!IS(facts, facts)) return 0;
    PyObject *in_force = OF(exchange, exchange, in_force);
    PUT(facts, facts, path, Py_NewRef(path));
    PUT(facts, facts, at, Py_NewRef(now));
    PyObject *words[] = {OF(in_force, in_force, policy), facts, OF(in_force, in_force, grants)};
    PyObject *decision = PyObject_VectorcallMethod(name_decide, words, 3, NULL);
    if (!decision) return -1;
    Py_DECREF(decision);
    return decision == OF(known, known, decision);
}

static PyObject *destination_to(PyObject *like, PyObject *path)
{
    PyObject *made = destination_class->tp_alloc(destination_class, 0);
    if (!made) return NULL;
    PUT(destination, made, host, Py_XNewRef(OF(destination, like, host)));
    PUT(destination, made, port, Py_XNewRef(OF(destination, like, port)));
    PUT(destination, made, scheme, Py_XNewRef(OF(destination, like, scheme)));
    PUT(destination, made, categories, Py_XNewRef(OF(destination, like, categories)));
    PUT(destination, made, matches, Py_XNewRef(OF(destination, like, matches)));
    PUT(destination, made, path, Py_NewRef(path));
    return made;
}

/* Take over what is known; 0 where it does not hold, -1 with an exception. */
static int recall(PyObject *exchange, PyObject *known, const Asked *asked)
{
    PyObject *identity = PyObject_CallOneArg(OF(known, known, again), OF(exchange, exchange, started));
    if (!identity) return -1;
    Py_DECREF(identity);
    if (identity != OF(known, known, identity)) return 0;
    PyObject *path = PyUnicode_DecodeLatin1(asked->path, asked->end - asked->path, NULL);
    if (!path) return -1;
    int holds = still_decided(exchange, known, path);
    if (holds > 0) {
        PyObject *destination = destination_to(OF(known, known, destination), path);
        if (destination) {
            PUT(exchange, exchange, known, Py_NewRef(known));
            PUT(exchange, exchange, identity, Py_NewRef(identity));
            PUT(exchange, exchange, decision, Py_NewRef(OF(known, known, decision)));
            PUT(exchange, exchange, destination, destination);
        } else {
            holds = -1;
        }
    }
    Py_DECREF(path);
    return holds;
}

/* A kept connection to the server, None without one. */
static PyObject *take_kept(PyObject *proxy, PyObject *known)
{
    PyObject *server = server_class->tp_alloc(server_class, 2), *pool = NULL, *taken = NULL;
    if (server) {
        PyTuple_SET_ITEM(server, 0, Py_NewRef(OF(host, OF(known, known, dial), name)));
        PyTuple_SET_ITEM(server, 1, Py_NewRef(OF(destination, OF(known, known, destination), port)));
        pool = member_of(proxy, name_pool);
    }
    if (pool) {
        PyObject *words[] = {pool, server, OF(known, known, addresses)};
        taken = PyObject_VectorcallMethod(name_take, words, 3, NULL);
    }
    Py_XDECREF(pool);
    Py_XDECREF(server);
    return taken;
}

/* The head for the server. */
static PyObject *write_head(PyObject *known, const Asked *asked)
{
    static const char version[] = " HTTP/1.1";
    PyObject *fields = PyObject_CallMethodOneArg(OF(known, known, fields), name_write, asked->section);
    if (!fields) return NULL;
    if (!PyBytes_CheckExact(fields)) {
        Py_DECREF(fields);
        PyErr_SetString(PyExc_TypeError, "a head is octets");
        return NULL;
    }
    size_t method = (size_t)PyBytes_GET_SIZE(asked->method), path = (size_t)(asked->end - asked->path);
    size_t rest = (size_t)PyBytes_GET_SIZE(fields), line_end = sizeof version - 1;
    PyObject *head = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(method + 1 + path + line_end + rest));
    if (head) {
        char *at = PyBytes_AS_STRING(head);
        memcpy(at, PyBytes_AS_STRING(asked->method), method);
        at[method] = ' ';
        memcpy(at + method + 1, asked->path, path);
        memcpy(at + method + 1 + path, version, line_end);
        memcpy(at + method + 1 + path + line_end, PyBytes_AS_STRING(fields), rest);
    }
    Py_DECREF(fields);
    return head;
}

/* The moment until which an answer is waited for. */
static PyObject *answer_deadline(PyObject *upstream)
{
    PyObject *timeouts = OF(upstream, upstream, timeouts), *until = NULL;
    PyObject *now = member_of(OF(upstream, upstream, deadlines), name_now);
    if (now && IS(timeouts, timeouts)) until = PyNumber_Add(now, OF(timeouts, timeouts, answer));
    else if (now) PyErr_SetString(PyExc_TypeError, "these are no timeouts");
    Py_XDECREF(now);
    return until;
}

/* Ask for the answer over a kept connection: the twin is `Upstream.ask`. */
static int ask(PyObject *downstream, PyObject *exchange, PyObject *upstream, PyObject *head)
{
    Ahead *ahead = (Ahead *)ahead_class->tp_alloc(ahead_class, 0);
    PyObject *until = ahead ? answer_deadline(upstream) : NULL;
    PyObject *now = until ? reactor_seconds(OF(downstream, downstream, proxy)) : NULL;
    PyObject *sent = now ? PyLong_FromSsize_t(PyBytes_GET_SIZE(head)) : NULL;
    PyObject *nought = sent ? PyLong_FromLong(0) : NULL;
    int failed = !nought;
    if (!failed) {
        ahead->downstream = Py_NewRef(downstream);
        ahead->upstream = Py_NewRef(upstream);
        PUT(downstream, downstream, run, Py_NewRef((PyObject *)ahead));
        PUT(upstream, upstream, asked_at, Py_NewRef(now));
        PUT(upstream, upstream, asker, Py_NewRef((PyObject *)ahead));
        PUT(upstream, upstream, sink, Py_NewRef((PyObject *)ahead));
        PUT(upstream, upstream, method, Py_NewRef(OF(exchange, exchange, method)));
        PUT(upstream, upstream, interim_octets, Py_NewRef(nought));
        PUT(upstream, upstream, received, Py_NewRef(nought));
        PUT(upstream, upstream, sent, Py_NewRef(sent));
        PUT(upstream, upstream, deadline, Py_NewRef(until));
        failed = call_method(OF(upstream, upstream, transport), name_write, head);
    }
    Py_XDECREF((PyObject *)ahead);
    Py_XDECREF(until);
    Py_XDECREF(now);
    Py_XDECREF(sent);
    Py_XDECREF(nought);
    return failed;
}

static int check_person(PyObject *proxy, PyObject *downstream)
{
    PyObject *admission = member_of(proxy, name_admission);
    int failed = admission ? call_method(admission, name_check_person, downstream) : -1;
    Py_XDECREF(admission);
    return failed;
}

/* Send over a kept connection what is known to be allowed; 0 without one, -1 with an exception. */
static int send_known(PyObject *downstream, PyObject *exchange, PyObject *known, const Asked *asked)
{
    PyObject *proxy = OF(downstream, downstream, proxy);
    if (check_person(proxy, downstream)) return -1;
    PyObject *upstream = take_kept(proxy, known);
    if (!upstream) return -1;
    if (upstream == Py_None) {
        Py_DECREF(upstream);
        return 0;
    }
    if (!IS(upstream, upstream)) {
        Py_DECREF(upstream);
        PyErr_SetString(PyExc_TypeError, "this is no connection to a server");
        return -1;
    }
    PUT(downstream, downstream, upstream, Py_NewRef(upstream));
    PUT(exchange, exchange, upstream, Py_NewRef(OF(upstream, upstream, address)));
    PyObject *head = write_head(known, asked);
    int failed = !head || ask(downstream, exchange, upstream, head);
    Py_XDECREF(head);
    Py_DECREF(upstream);
    return failed ? -1 : 1;
}

/* Whether nothing has to be waited for and nothing more is decided: the twin begins with the same question. */
static int may_go(PyObject *downstream, PyObject *in_force)
{
    return IS(in_force, in_force) && OF(in_force, in_force, limiting) == Py_None &&
           OF(in_force, in_force, needs_answer) == Py_False && OF(downstream, downstream, pins) == Py_None;
}

/* Whether what is known is whole, and of what is in force now. */
static int is_usable(PyObject *known, PyObject *in_force)
{
    return IS(known, known) && OF(known, known, sections) == OF(in_force, in_force, sections) &&
           OF(known, known, fields) != Py_None && IS(host, OF(known, known, dial)) && OF(known, known, addresses) &&
           IS(destination, OF(known, known, destination));
}

static PyObject *send(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    if (many != 2) {
        PyErr_SetString(PyExc_TypeError, "send(downstream, exchange)");
        return NULL;
    }
    PyObject *downstream = words[0], *exchange = words[1];
    if (!IS(downstream, downstream) || !IS(exchange, exchange)) Py_RETURN_NONE;
    PyObject *in_force = OF(exchange, exchange, in_force);
    Asked asked;
    if (!may_go(downstream, in_force)) Py_RETURN_FALSE;
    if (!is_asked(exchange, &asked)) return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    PyObject *known = Py_XNewRef(look_up(exchange, &asked));
    int sent = PyErr_Occurred() ? -1 : 0;
    if (!sent && known && is_usable(known, in_force)) {
        sent = recall(exchange, known, &asked);
        if (sent > 0) sent = send_known(downstream, exchange, known, &asked);
    }
    Py_XDECREF(known);
    return sent < 0 ? NULL : PyBool_FromLong(sent);
}

/* ---- The module ---- */

static int take_class(PyTypeObject **kept, PyObject *classes, const char *name)
{
    PyObject *found = PyDict_GetItemString(classes, name);
    if (!found || !PyType_Check(found)) {
        PyErr_Format(PyExc_TypeError, "%s is no class", name);
        return -1;
    }
    Py_XSETREF(*kept, (PyTypeObject *)Py_NewRef(found));
    return 0;
}

static PyObject *set_twins(PyObject *module, PyObject *args)
{
    PyObject *classes, *response, *forwarded;
    if (!PyArg_ParseTuple(args, "O!OO", &PyDict_Type, &classes, &response, &forwarded)) return NULL;
#define TAKE_CLASS(class)                                                                                              \
    if (take_class(&class##_class, classes, #class)) return NULL;
    CLASSES(TAKE_CLASS)
    if (take_class(&request_head_class, classes, "request_head")) return NULL;
    if (take_class(&server_class, classes, "server")) return NULL;
    if (take_class(&ahead_class, classes, "ahead")) return NULL;
#define TAKE_MEMBER(class, member, text)                                                                               \
    if ((class##_##member = offset_of(class##_class, text)) < 0) return NULL;
    MEMBERS(TAKE_MEMBER)
    Py_XSETREF(read_response, Py_NewRef(response));
    Py_XSETREF(result_forwarded, Py_NewRef(forwarded));
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"send", (PyCFunction)(void (*)(void))send, METH_FASTCALL,
     "send(downstream, exchange)\n\nSend the request of an exchange like one before; False where its road begins\n"
     "first, None for what is left to the twin."},
    {"set_twins", set_twins, METH_VARARGS,
     "set_twins(classes, response, forwarded)\n\nSay which classes there are, by their names here; what reads the head\n"
     "of an answer; and the result of an exchange that was forwarded."},
    {NULL, NULL, 0, NULL},
};

static int begin(PyObject *module)
{
    if (PyModule_AddIntConstant(module, "FORM", CORPPROXY_FORM)) return -1;
#define MAKE_NAME(name, text)                                                                                          \
    if (!name_##name && !(name_##name = PyUnicode_InternFromString(text))) return -1;
    NAMES(MAKE_NAME)
    if (!no_octets && !(no_octets = PyBytes_FromStringAndSize(NULL, 0))) return -1;
    if (PyModule_AddObjectRef(module, "NOTE", name_same)) return -1;
    PyObject *type = PyType_FromModuleAndSpec(module, &ahead_spec, NULL);
    if (!type) return -1;
    int added = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return added;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, begin},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "corpproxy._ahead", "Requests sent ahead of their road.", 0, functions, module_slots, NULL,
    NULL, NULL,
};

PyMODINIT_FUNC PyInit__ahead(void)
{
    return PyModuleDef_Init(&definition);
}
