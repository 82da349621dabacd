/*
 * Requests that are sent ahead of their road.
 *
 * corpproxy/net/ahead.py says what is done here and why, and has the twins.  What is taken here is what nearly all
 * exchanges like one before are: a known decision, a kept connection.  All else is for the twin.
 */
#include "ahead.h"
#include <string.h>

enum { AUTHORITY = 7 /* where it begins in an absolute target: behind http:// */ };

#define A_CLASS(class) PyTypeObject *class##_class;
#define A_MEMBER(class, member, text) Py_ssize_t class##_##member;
#define A_NAME(name, text) PyObject *name_##name;
#define AN_OBJECT(name) PyObject *object_##name;
CLASSES(A_CLASS)
MEMBERS(A_MEMBER)
NAMES(A_NAME)
OBJECTS(AN_OBJECT)
PyObject *read_response, *result_forwarded, *no_octets, *no_text;
PyTypeObject *request_head_class;

static PyTypeObject *server_class, *ahead_class;

#define A_PROXY_MEMBER(member) Py_ssize_t proxy_##member;
PyTypeObject *proxy_class;
PROXY_MEMBERS(A_PROXY_MEMBER)

int is_asked(PyObject *exchange, Asked *asked, int is_authority)
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
    /* The target of a tunnel is its authority. */
    asked->path = asked->end;
    if (is_authority) return 1;
    if (asked->end - asked->target <= AUTHORITY) return 0;
    asked->path = memchr(asked->target + AUTHORITY, '/', (size_t)(asked->end - asked->target - AUTHORITY));
    return asked->path != NULL;
}

PyObject *look_up(PyObject *exchange, const Asked *asked)
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

int recall(PyObject *exchange, PyObject *known, const Asked *asked)
{
    PyObject *identity = identity_again(OF(known, known, again), OF(exchange, exchange, started));
    if (!identity) return -1;
    Py_DECREF(identity);
    if (identity != OF(known, known, identity)) return 0;
    PyObject *path = PyUnicode_DecodeLatin1(asked->path, asked->end - asked->path, NULL);
    if (!path) return -1;
    int holds = still_decided(exchange, known, path);
    if (holds > 0) {
        PyObject *like = OF(known, known, destination);
        /* That of a tunnel is the same for all. */
        PyObject *destination = asked->path == asked->end ? Py_NewRef(like) : destination_to(like, path);
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
        pool = PROXY(proxy, pool);
    }
    if (pool) {
        PyObject *words[] = {pool, server, OF(known, known, addresses)};
        taken = PyObject_VectorcallMethod(name_take, words, 3, NULL);
    }
    Py_XDECREF(pool);
    Py_XDECREF(server);
    return taken;
}

/* The fields for the server: the twin is `Recipe.write`. */
static PyObject *write_fields(PyObject *recipe, PyObject *section)
{
    PyObject *template = IS(recipe, recipe) ? OF(recipe, recipe, template) : NULL;
    if (!template || !OF(recipe, recipe, cut)) return PyObject_CallMethodOneArg(recipe, name_write, section);
    PyObject *pieces = PyObject_CallOneArg(OF(recipe, recipe, cut), section);
    PyObject *fields = pieces ? PyNumber_Remainder(template, pieces) : NULL;
    Py_XDECREF(pieces);
    return fields;
}

/* The head for the server. */
static PyObject *write_head(PyObject *known, const Asked *asked)
{
    static const char version[] = " HTTP/1.1";
    PyObject *fields = write_fields(OF(known, known, fields), asked->section);
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
    PyObject *admission = PROXY(proxy, admission);
    int failed = admission ? admission_check_person(admission, downstream) : -1;
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

/* Whether nothing more is decided: the twin begins with the same question. */
static int may_go(PyObject *downstream, PyObject *in_force)
{
    return IS(in_force, in_force) && OF(in_force, in_force, limiting) &&
           OF(in_force, in_force, needs_answer) == Py_False && OF(downstream, downstream, pins) == Py_None;
}

int is_below_limits(PyObject *exchange, PyObject *in_force, PyObject *known)
{
    if (OF(in_force, in_force, limiting) == Py_None) return 1;
    PyObject *leeway = OF(known, known, leeway);
    if (!leeway || leeway == Py_None) return FOR_THE_TWIN;
    int may = leeway_may_begin(leeway, OF(exchange, exchange, started));
    if (may > 0) PUT(exchange, exchange, leeway, Py_NewRef(leeway));
    return may ? may : FOR_THE_TWIN;
}

/* Whether what is known is whole, and of what is in force now. */
static int is_usable(PyObject *known, PyObject *in_force)
{
    return IS(known, known) && OF(known, known, sections) == OF(in_force, in_force, sections) &&
           OF(known, known, fields) != Py_None && IS(host, OF(known, known, dial)) && OF(known, known, addresses) &&
           IS(destination, OF(known, known, destination));
}

/* Send a request like one before; 0 where its road begins first, -1 with an exception. */
static int send_request(PyObject *downstream, PyObject *exchange)
{
    PyObject *in_force = OF(exchange, exchange, in_force);
    Asked asked;
    if (!may_go(downstream, in_force)) return 0;
    if (!is_asked(exchange, &asked, 0)) return PyErr_Occurred() ? -1 : FOR_THE_TWIN;
    PyObject *known = Py_XNewRef(look_up(exchange, &asked));
    int sent = PyErr_Occurred() ? -1 : 0;
    if (!sent && known && is_usable(known, in_force)) {
        sent = recall(exchange, known, &asked);
        if (sent == 1) sent = is_below_limits(exchange, in_force, known);
        if (sent == 1) sent = send_known(downstream, exchange, known, &asked);
    }
    Py_XDECREF(known);
    return sent;
}

int is_connect(PyObject *method)
{
    return method && PyBytes_CheckExact(method) && PyBytes_GET_SIZE(method) == 7 && !memcmp(PyBytes_AS_STRING(method), "CONNECT", 7);
}

/* Send a request, or open a tunnel; in Python what is not as expected. */
static int go_in_c(PyObject *downstream, PyObject *exchange)
{
    if (!IS(downstream, downstream) || !IS(exchange, exchange) || !OF(exchange, exchange, method)) return FOR_THE_TWIN;
    int is_tunnel = is_connect(OF(exchange, exchange, method));
    return is_tunnel ? open_known(downstream, exchange) : send_request(downstream, exchange);
}

int go_known(PyObject *downstream, PyObject *exchange)
{
    int gone = go_in_c(downstream, exchange);
    if (gone != FOR_THE_TWIN) return gone;
    PyObject *words[] = {downstream, exchange};
    PyObject *went = PyObject_Vectorcall(object_go_in_python, words, 2, NULL);
    gone = went ? PyObject_IsTrue(went) : -1;
    Py_XDECREF(went);
    return gone;
}

/* ---- The module ---- */

static PyObject *go(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    if (many != 2) {
        PyErr_SetString(PyExc_TypeError, "go(downstream, exchange)");
        return NULL;
    }
    int gone = go_known(words[0], words[1]);
    return gone < 0 ? NULL : PyBool_FromLong(gone);
}

static PyObject *reference(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    if (many == 2) return next_reference(words[0], words[1]);
    PyErr_SetString(PyExc_TypeError, "reference(references, at)");
    return NULL;
}

static PyObject *may_begin(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    if (many != 2) {
        PyErr_SetString(PyExc_TypeError, "may_begin(leeway, at)");
        return NULL;
    }
    int may = leeway_may_begin(words[0], words[1]);
    return may < 0 ? NULL : PyBool_FromLong(may);
}

static PyObject *takes(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    if (many != 4) {
        PyErr_SetString(PyExc_TypeError, "takes(leeway, received, sent, now)");
        return NULL;
    }
    int taken = leeway_takes(words[0], words[1], words[2], words[3]);
    return taken < 0 ? NULL : PyBool_FromLong(taken);
}

static PyObject *set_twins(PyObject *module, PyObject *args)
{
    PyObject *classes, *response, *forwarded;
    if (!PyArg_ParseTuple(args, "O!OOdd", &PyDict_Type, &classes, &response, &forwarded, &piece_octets, &burst_seconds))
        return NULL;
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

static PyObject *set_proxy(PyObject *module, PyObject *type)
{
    if (!PyType_Check(type)) return PyErr_Format(PyExc_TypeError, "this is no class");
#define TAKE_PROXY_MEMBER(member)                                                                                      \
    if ((proxy_##member = offset_of((PyTypeObject *)type, #member)) < 0) return NULL;
    PROXY_MEMBERS(TAKE_PROXY_MEMBER)
    Py_XSETREF(proxy_class, (PyTypeObject *)Py_NewRef(type));
    Py_RETURN_NONE;
}

static PyObject *set_objects(PyObject *module, PyObject *objects)
{
    if (!PyDict_Check(objects)) {
        PyErr_SetString(PyExc_TypeError, "objects come by their names");
        return NULL;
    }
#define TAKE_OBJECT(name)                                                                                              \
    {                                                                                                                  \
        PyObject *found = PyDict_GetItemString(objects, #name);                                                        \
        if (!found) return PyErr_Format(PyExc_TypeError, "there is no %s", #name);                                     \
        Py_XSETREF(object_##name, Py_NewRef(found));                                                                   \
    }
    OBJECTS(TAKE_OBJECT)
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"go", (PyCFunction)(void (*)(void))go, METH_FASTCALL,
     "go(downstream, exchange)\n\nSend the request of an exchange like one before, or open its tunnel; False where\n"
     "its road begins first."},
    {"reference", (PyCFunction)(void (*)(void))reference, METH_FASTCALL,
     "reference(references, at)\n\nThe twin of their `next`."},
    {"set_objects", set_objects, METH_O, "set_objects(objects)\n\nSay by their names here what is called and given."},
    {"set_proxy", set_proxy, METH_O, "set_proxy(class)\n\nSay which class has what all connections share."},
    {"set_recognition", set_recognition, METH_VARARGS,
     "set_recognition(classes, again, source)\n\nSay which classes there are, what recalls credentials in Python, and the\n"
     "source of identities that were proven by a password."},
    {"set_twins", set_twins, METH_VARARGS,
     "set_twins(classes, response, forwarded, piece, burst)\n\nSay which classes there are, by their names here; what\n"
     "reads the head of an answer; the result of an exchange that was forwarded; the octets that are worth a turn;\n"
     "and how many seconds of its rate a bucket holds."},
    {"may_begin", (PyCFunction)(void (*)(void))may_begin, METH_FASTCALL,
     "may_begin(leeway, at)\n\nThe twin of its method."},
    {"takes", (PyCFunction)(void (*)(void))takes, METH_FASTCALL,
     "takes(leeway, received, sent, now)\n\nThe twin of its method."},
    {NULL, NULL, 0, NULL},
};

static int add_names_and_ahead(PyObject *module)
{
#define KEEP_NAME(name, text)                                                                                          \
    if (keep_name(&name_##name, text)) return -1;
    NAMES(KEEP_NAME)
    if (!no_octets && !(no_octets = PyBytes_FromStringAndSize(NULL, 0))) return -1;
    if (!no_text && !(no_text = PyUnicode_New(0, 0))) return -1;
    if (PyModule_AddObjectRef(module, "NOTE", name_same)) return -1;
    if (PyModule_AddObjectRef(module, "NOTE_AT_END", name_same_at_end)) return -1;
    if (add_type(module, &beginning_spec, NULL) || add_type(module, &admission_spec, NULL)) return -1;
    if (add_type(module, &over_spec, NULL) || add_type(module, &clients_spec, NULL)) return -1;
    if (add_below(module) || add_recognition(module)) return -1;
    return add_type(module, &ahead_spec, NULL);
}

PART(ahead, "Requests sent ahead of their road.", add_names_and_ahead)
