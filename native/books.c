/*
 * The books of exchanges and tunnels that went as nearly all go: named, counted and recorded in one call.
 *
 * corpproxy/backends/at_once.py says what is taken here.  The twins of the records are `like` and `Decided.record`
 * in corpproxy/backends/alike.py, and `Recorded.opened` and `ended` in recorded.py.
 */
#include "books.h"
#include "moment.h"

#define A_CLASS(class) PyTypeObject *class##_class;
#define A_MEMBER(class, member, text) Py_ssize_t class##_##member;
CLASSES(A_CLASS)
MEMBERS(A_MEMBER)

static Py_ssize_t record_fields, short_path;
static PyObject *result_forwarded, *result_tunnelled, *kind_closing;

static int is_empty_text(PyObject *object)
{
    return object && PyUnicode_CheckExact(object) && !PyUnicode_GET_LENGTH(object);
}

static int is_empty_tuple(PyObject *object)
{
    return object && PyTuple_CheckExact(object) && !PyTuple_GET_SIZE(object);
}

/* Whether a path is recorded as it is, as most are: the twin is `is_short`. */
static int is_short(PyObject *path)
{
    if (!path || !PyUnicode_CheckExact(path) || PyUnicode_READY(path)) return 0;
    Py_ssize_t letters = PyUnicode_GET_LENGTH(path);
    if (letters >= short_path || PyUnicode_KIND(path) != PyUnicode_1BYTE_KIND) return 0;
    const Py_UCS1 *each = PyUnicode_1BYTE_DATA(path);
    for (Py_ssize_t i = 0; i < letters; i++)
        if (each[i] == '?' || each[i] == ';' || each[i] == '#') return 0;
    return 1;
}

/* ---- Records of the record of one like it ---- */

/* A copy of a record: it has its fields one behind the other, and nothing else. */
static PyObject *copied(PyObject *record)
{
    PyObject *made = PyObject_New(PyObject, record_class);
    if (!made) return NULL;
    PyObject **to = slot(made, sizeof(PyObject)), **from = slot(record, sizeof(PyObject));
    for (Py_ssize_t i = 0; i < record_fields; i++) to[i] = Py_XNewRef(from[i]);
    return made;
}

/* Put what was made into its place; `value` is NULL where that could not be made. */
static int put(PyObject *record, Py_ssize_t offset, PyObject *value)
{
    if (!value) return -1;
    put_slot(record, offset, value);
    return 0;
}

/* Put what an exchange has into its place. */
static int put_same(PyObject *record, Py_ssize_t offset, PyObject *value)
{
    return put(record, offset, Py_XNewRef(value));
}

#define SAME(member, value) put_same(record, record_##member, (value))

/* Milliseconds as an exchange has them, or None where they were not measured. */
static PyObject *measured(PyObject *ms)
{
    long number = ms && PyLong_CheckExact(ms) ? PyLong_AsLong(ms) : -1;
    if (!ms || !PyLong_CheckExact(ms) || (number < 0 && PyErr_Occurred())) return NULL;
    return Py_NewRef(number < 0 ? Py_None : ms);
}

static int put_times(PyObject *record, PyObject *exchange, double now)
{
    PyObject *started = OF(exchange, exchange, started);
    if (put(record, record_at, moment_text(started))) return -1;
    if (put(record, record_seconds, seconds_taken(now - PyFloat_AS_DOUBLE(started)))) return -1;
    if (put(record, record_connect_ms, measured(OF(exchange, exchange, connect_ms)))) return -1;
    return put(record, record_resolve_ms, milliseconds(OF(exchange, exchange, resolve_seconds)));
}

static int put_octets(PyObject *record, PyObject *exchange)
{
    PyObject *account = OF(exchange, exchange, account);
    return SAME(received, OF(account, account, received)) || SAME(sent, OF(account, account, sent)) ||
           SAME(up_sent, OF(exchange, exchange, up_sent)) || SAME(up_received, OF(exchange, exchange, up_received));
}

/* The record of an exchange that is like another one: the twin is `like`. */
static PyObject *like(PyObject *other, PyObject *exchange, double now)
{
    PyObject *record = copied(other);
    if (!record) return NULL;
    if (put_times(record, exchange, now) || put_octets(record, exchange) ||
        SAME(id, OF(exchange, exchange, reference)) || SAME(upstream, OF(exchange, exchange, upstream)))
        Py_CLEAR(record);
    return record;
}

/* Put in what each answer has for itself; takes the record over, and gives it: the twin is `_forwarded`. */
static PyObject *forwarded(PyObject *record, PyObject *exchange, PyObject *path)
{
    if (record && (SAME(path, path) || SAME(status, OF(exchange, exchange, status)) ||
                   put(record, record_first_octet_ms, milliseconds(OF(exchange, exchange, first_octet_seconds)))))
        Py_CLEAR(record);
    return record;
}

/* The closing record of a tunnel, made of an opening one. */
static PyObject *closing(PyObject *opening, PyObject *exchange, double now)
{
    PyObject *record = like(opening, exchange, now);
    if (record && (SAME(kind, kind_closing) || SAME(result, result_tunnelled) ||
                   SAME(status, OF(exchange, exchange, status)) ||
                   SAME(server_name, OF(exchange, exchange, server_name))))
        Py_CLEAR(record);
    return record;
}

/* ---- Of which only the decision came before ---- */

/* Whether nothing is known of it but what all have: the twin is `is_common`. */
static int is_common(PyObject *exchange)
{
    PyObject *decision = OF(exchange, exchange, decision), *granted = OF(decision, decision, granted);
    return is_empty_text(OF(exchange, exchange, failure)) && is_empty_text(OF(exchange, exchange, phase)) &&
           is_empty_tuple(OF(exchange, exchange, limited)) && OF(exchange, exchange, opened) == Py_False &&
           is_empty_text(OF(decision, decision, category)) && granted && PyFloat_CheckExact(granted) &&
           PyFloat_AS_DOUBLE(granted) == 0 && OF(exchange, exchange, ended) == Py_None &&
           OF(exchange, exchange, held) == Py_None && OF(exchange, exchange, answer) == Py_None &&
           OF(exchange, exchange, address_classes) == Py_None && OF(exchange, exchange, addresses) == Py_None &&
           OF(exchange, exchange, countries) == Py_None && OF(exchange, exchange, asns) == Py_None;
}

/* The record that is known of the decision; borrowed, NULL where there is none. */
static PyObject *record_of_decision(PyObject *exchange, PyObject *decided)
{
    PyObject *known = OF(decided, decided, known), *destination = OF(exchange, exchange, destination);
    PyObject *listener = OF(exchange, exchange, listener), *method = OF(exchange, exchange, method);
    PyObject *scheme = OF(destination, destination, scheme);
    if (!known || !PyDict_CheckExact(known) || !listener || !method || !scheme) return NULL;
    /* As id() has it. */
    PyObject *number = PyLong_FromVoidPtr(OF(exchange, exchange, decision));
    PyObject *key = number ? PyTuple_Pack(5, number, listener, method, scheme,
                                          OF(destination, destination, categories))
                           : NULL;
    PyObject *found = key ? PyDict_GetItemWithError(known, key) : NULL;
    Py_XDECREF(number);
    Py_XDECREF(key);
    if (!found || !PyTuple_CheckExact(found) || PyTuple_GET_SIZE(found) != 2) return NULL;
    return IS(record, PyTuple_GET_ITEM(found, 1)) ? PyTuple_GET_ITEM(found, 1) : NULL;
}

/* The User-Agent as it is recorded: noted with the section, or asked of the twin, which notes it. */
static PyObject *agent_of(PyObject *exchange, PyObject *decided)
{
    PyObject *agent = OF(decided, decided, agent);
    return agent ? PyObject_CallOneArg(agent, exchange) : NULL;
}

static int put_person(PyObject *record, PyObject *exchange)
{
    PyObject *identity = OF(exchange, exchange, identity);
    return SAME(client, OF(exchange, exchange, client)) || SAME(user, OF(identity, identity, name)) ||
           SAME(groups, OF(identity, identity, groups)) || SAME(groups_from, OF(identity, identity, groups_from)) ||
           SAME(source, OF(identity, identity, source)) || SAME(exemption, OF(identity, identity, exempt_by));
}

/* The record of another person, perhaps, to another host: the twin is `Decided.record`. */
static PyObject *as_decided(PyObject *exchange, double now, PyObject *decided)
{
    PyObject *destination = OF(exchange, exchange, destination), *path = OF(destination, destination, path);
    if (!IS(decided, decided) || OF(decided, decided, in_force) != OF(exchange, exchange, in_force)) return NULL;
    PyObject *known = is_short(path) ? Py_XNewRef(record_of_decision(exchange, decided)) : NULL;
    PyObject *record = known ? like(known, exchange, now) : NULL;
    Py_XDECREF(known);
    if (record && (put_person(record, exchange) || SAME(port, OF(destination, destination, port)) ||
                   SAME(host, OF(host, OF(destination, destination, host), name)) ||
                   put(record, record_agent, agent_of(exchange, decided))))
        Py_CLEAR(record);
    return forwarded(record, exchange, path);
}

/* ---- What is taken here ---- */

/* Whether the record says all: neither discretion nor a moment that cannot be told is in the way. */
static int is_plain(PyObject *exchange)
{
    PyObject *in_force = OF(exchange, exchange, in_force), *started = OF(exchange, exchange, started);
    PyObject *discretion = IS(in_force, in_force) ? OF(in_force, in_force, discretion) : NULL;
    PyObject *levels = IS(discretion, discretion) ? OF(discretion, discretion, levels) : NULL;
    return started && PyFloat_CheckExact(started) && levels && PyObject_IsTrue(levels) == 0;
}

/* The record of one like it; borrowed, NULL where none is known. */
static PyObject *record_of_like(PyObject *exchange)
{
    PyObject *known = OF(exchange, exchange, known), *record = IS(known, known) ? OF(known, known, record) : NULL;
    return IS(record, record) ? record : NULL;
}

static PyObject *opened_record(PyObject *exchange, double now)
{
    PyObject *other = record_of_like(exchange);
    return other ? like(other, exchange, now) : NULL;
}

/* The twin is `Recorded.ended`. */
static PyObject *ended_record(PyObject *exchange, double now, PyObject *decided)
{
    PyObject *result = OF(exchange, exchange, result), *destination = OF(exchange, exchange, destination);
    if (IS(known, OF(exchange, exchange, known)) && is_empty_text(OF(exchange, exchange, failure)) &&
        OF(exchange, exchange, held) == Py_None) {
        PyObject *other = record_of_like(exchange), *path = OF(destination, destination, path);
        if (result == result_forwarded)
            return other && is_short(path) ? forwarded(like(other, exchange, now), exchange, path) : NULL;
        if (result == result_tunnelled && other && is_empty_tuple(OF(exchange, exchange, limited)) &&
            OF(exchange, exchange, ended) == Py_None)
            return closing(other, exchange, now);
    }
    return result == result_forwarded && is_common(exchange) ? as_decided(exchange, now, decided) : NULL;
}

/* A record that was not made is left to the twins, which say why; else `counted` says whether all went well. */
static PyObject *outcome(PyObject *record, int failed)
{
    if (!failed) return record;
    Py_DECREF(record);
    return NULL;
}

static PyObject *left_to_the_twins(void)
{
    PyErr_Clear();
    Py_RETURN_NONE;
}

static int is_moment(PyObject *now)
{
    return PyFloat_CheckExact(now) && PyFloat_AS_DOUBLE(now) >= 0 && PyFloat_AS_DOUBLE(now) < 4e9;
}

static PyObject *opened(PyObject *module, PyObject *const *args, Py_ssize_t many)
{
    if (many != 3) return PyErr_Format(PyExc_TypeError, "opened takes three arguments");
    PyObject *exchange = args[0], *accounts = args[2], *record = NULL;
    if (is_moment(args[1]) && is_countable(exchange, accounts) && is_plain(exchange))
        record = opened_record(exchange, PyFloat_AS_DOUBLE(args[1]));
    if (!record) return left_to_the_twins();
    return outcome(record, open_account(exchange, accounts));
}

static PyObject *ended(PyObject *module, PyObject *const *args, Py_ssize_t many)
{
    if (many != 4) return PyErr_Format(PyExc_TypeError, "ended takes four arguments");
    PyObject *exchange = args[0], *accounts = args[2], *record = NULL;
    double now = is_moment(args[1]) ? PyFloat_AS_DOUBLE(args[1]) : -1;
    if (now >= 0 && is_countable(exchange, accounts) && is_plain(exchange))
        record = ended_record(exchange, now, args[3]);
    if (!record) return left_to_the_twins();
    return outcome(record, close_account(exchange, accounts, now));
}

/* ---- The module ---- */

static PyObject *set_twins(PyObject *module, PyObject *args)
{
    PyObject *classes, *forwarded, *tunnelled, *closed, *writes;
    if (!PyArg_ParseTuple(args, "O!n(OOO)On", &PyDict_Type, &classes, &record_fields, &forwarded, &tunnelled, &closed,
                          &writes, &short_path))
        return NULL;
#define TAKE_CLASS(class)                                                                                              \
    if (take_class(&class##_class, classes, #class)) return NULL;
    CLASSES(TAKE_CLASS)
#define TAKE_MEMBER(class, member, text)                                                                               \
    if ((class##_##member = offset_of(class##_class, text)) < 0) return NULL;
    MEMBERS(TAKE_MEMBER)
    Py_ssize_t octets = (Py_ssize_t)sizeof(PyObject) + record_fields * (Py_ssize_t)sizeof(PyObject *);
    if (record_class->tp_basicsize != octets || record_class->tp_itemsize || PyType_IS_GC(record_class))
        return PyErr_Format(PyExc_TypeError, "a record has its fields and nothing else");
    Py_XSETREF(result_forwarded, Py_NewRef(forwarded));
    Py_XSETREF(result_tunnelled, Py_NewRef(tunnelled));
    Py_XSETREF(kind_closing, Py_NewRef(closed));
    Py_XSETREF(utc_text, Py_NewRef(writes));
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"opened", (PyCFunction)(void (*)(void))opened, METH_FASTCALL,
     "opened(exchange, now, accounts)\n\nOpen the account of a tunnel, and give its record; None for what is left to\n"
     "the twins."},
    {"ended", (PyCFunction)(void (*)(void))ended, METH_FASTCALL,
     "ended(exchange, now, accounts, decided)\n\nCount an exchange that is over, and give its record; None for what is\n"
     "left to the twins."},
    {"count", (PyCFunction)(void (*)(void))count_figures, METH_FASTCALL,
     "count(telemetry, record)\n\nCount an exchange that is over for the metrics."},
    {"set_figures", set_figures, METH_VARARGS,
     "set_figures(telemetry, histogram, record, closing, in_python)\n\nSay which classes count for the metrics, what\n"
     "they count, the kind of closing records, and what counts all that is not as expected."},
    {"set_twins", set_twins, METH_VARARGS,
     "set_twins(classes, fields, results, writes, short)\n\nSay which classes there are, by their names here; how many\n"
     "fields a record has; the results forwarded and tunnelled and the kind of closing records; what writes moments;\n"
     "and how long paths may be that are recorded as they are."},
    {NULL, NULL, 0, NULL},
};

static int keep_constants(PyObject *module)
{
    return keep_numbers();
}

PART(books, "Exchanges named, counted and recorded.", keep_constants)
