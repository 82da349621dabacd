/*
 * The books of exchanges and tunnels that went as nearly all go: named, counted and recorded in one call.
 *
 * corpproxy/backends/at_once.py says what is taken here.  The twin is corpproxy/backends/books.py, and of the records
 * `like` and `Decided.record` in alike.py.  Those of which the record of one like them is known are written as lines
 * at once (blank.c); of those of which only the decision came before, records are made here.
 */
#include "blank.h"
#include "lines.h"
#include "moment.h"

#define A_CLASS(class) PyTypeObject *class##_class;
#define A_MEMBER(class, member, text) Py_ssize_t class##_##member;
CLASSES(A_CLASS)
MEMBERS(A_MEMBER)

static Py_ssize_t record_fields, short_path;
PyObject *result_forwarded, *result_tunnelled, *kind_closing;
static PyObject *name_close_in_python, *name_opened_in_python, *name_keep;

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
PyObject *copied_record(PyObject *record)
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
    PyObject *record = copied_record(other);
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

/* Whether nothing is to be left out of what is recorded, nor written otherwise. */
static int keeps_all(PyObject *self)
{
    PyObject *forgotten = OF(books, self, forgotten);
    return OF(books, self, naming) == Py_None && is_empty_tuple(forgotten) && OF(books, self, accounts) &&
           OF(books, self, look) && OF(books, self, watch);
}

static int is_usual(PyObject *self, PyObject *exchange)
{
    return keeps_all(self) && is_countable(exchange, OF(books, self, accounts)) && is_plain(exchange);
}

/* What time it is; -1 where that is left to the twin. */
static double moment_of(PyObject *self)
{
    PyObject *now = OF(books, self, now), *at = now ? PyObject_CallNoArgs(now) : NULL;
    double moment = at && PyFloat_CheckExact(at) ? PyFloat_AS_DOUBLE(at) : -1;
    Py_XDECREF(at);
    return moment >= 0 && moment < MOST_SECONDS ? moment : -1;
}

static double seconds_since(PyObject *exchange, double now)
{
    double seconds = now - PyFloat_AS_DOUBLE(OF(exchange, exchange, started));
    return seconds > 0 ? seconds : 0;
}

/* ---- Written as lines ---- */

/*
 * The blank of exchanges like this one; borrowed, NULL where there is none.  It takes the place of the record that it
 * is made of: the twins make another one should they need it.
 */
static Blank *blank_of(PyObject *exchange)
{
    PyObject *known = OF(exchange, exchange, known), *kept = IS(known, known) ? OF(known, known, record) : NULL;
    if (IS(record, kept)) {
        kept = make_blank(kept);
        if (kept) PUT(known, known, record, kept);
    }
    return IS(blank, kept) ? (Blank *)kept : NULL;
}

/* Where lines are written; borrowed, NULL where records are taken alone. */
static PyObject *sheet_of(PyObject *self)
{
    PyObject *sheet = OF(books, self, sheet);
    return sheet && lines_class && PyObject_TypeCheck(sheet, lines_class) ? sheet : NULL;
}

/* What a line would say: -1 where there is none of an exchange that ended so. */
static int saying_of(PyObject *exchange)
{
    PyObject *result = OF(exchange, exchange, result);
    if (!is_empty_text(OF(exchange, exchange, failure)) || OF(exchange, exchange, held) != Py_None) return -1;
    if (result == result_forwarded)
        return is_short(OF(destination, OF(exchange, exchange, destination), path)) ? FORWARDED_LINE : -1;
    int is_tunnel = result == result_tunnelled && is_empty_tuple(OF(exchange, exchange, limited)) &&
                    OF(exchange, exchange, ended) == Py_None;
    return is_tunnel ? CLOSING_LINE : -1;
}

/* Whether a tunnel opens with the status of those like it, as the twin takes it. */
static int is_same_status(const Blank *blank, PyObject *exchange)
{
    PyObject *status = OF(exchange, exchange, status);
    return status && blank->status && PyObject_RichCompareBool(status, blank->status, Py_EQ) > 0;
}

/* Begin a line, with the octets that it has: it is no part of the sheet before its end.  -1 where it is for the twins. */
static Py_ssize_t draft(PyObject *sheet, const Blank *blank, PyObject *exchange, Saying saying, double seconds)
{
    Py_ssize_t most = most_octets(blank, exchange);
    char *to = most > 0 ? begin_line(sheet, most) : NULL;
    return to ? write_line(blank, exchange, saying, seconds, to) : -1;
}

/* Count for the metrics what a line says. */
static int count_line(PyObject *telemetry, const Blank *blank, PyObject *exchange, Saying saying, double seconds)
{
    PyObject *account = OF(exchange, exchange, account), *took = seconds_taken(seconds);
    const Figures figures = {
        .is_tunnel = saying == CLOSING_LINE,
        .decision = blank->decision,
        .method = blank->method,
        .received = OF(account, account, received),
        .result = saying == CLOSING_LINE ? result_tunnelled : result_forwarded,
        .seconds = took,
        .sent = OF(account, account, sent),
        .status = OF(exchange, exchange, status),
    };
    int done = took ? count_figures(telemetry, &figures) : -1;
    Py_XDECREF(took);
    if (!done) PyErr_SetString(PyExc_TypeError, "these are no figures");
    return done > 0 ? 0 : -1;
}

static int tell_who_looks(PyObject *self, PyObject *exchange)
{
    PyObject *look = OF(books, self, look);
    if (look == Py_None) return 0;
    PyObject *told = PyObject_CallOneArg(look, exchange);
    Py_XDECREF(told);
    return told ? 0 : -1;
}

/* An exchange of which a line is drafted ends: it is counted, and the line stands. */
static int end_with_line(PyObject *self, PyObject *exchange, Py_ssize_t octets, Blank *blank, Saying saying, double now)
{
    PyObject *sheet = sheet_of(self), *telemetry = telemetry_of(OF(books, self, watch));
    if (close_account(exchange, OF(books, self, accounts), now)) return -1;
    if (end_line(sheet, octets)) return -1;
    if (count_line(telemetry, blank, exchange, saying, seconds_since(exchange, now))) return -1;
    return tell_who_looks(self, exchange) ? -1 : 1;
}

/* ---- The methods ---- */

/* 0 where it is for the twin, which says why; -1 with an exception. */
static int left_to_the_twin(void)
{
    PyErr_Clear();
    return 0;
}

/* A tunnel is open. */
static int open_with_line(PyObject *self, PyObject *exchange)
{
    double now = is_usual(self, exchange) ? moment_of(self) : -1;
    PyObject *sheet = now >= 0 ? sheet_of(self) : NULL;
    Blank *blank = sheet ? blank_of(exchange) : NULL;
    if (!blank || !is_same_status(blank, exchange)) return left_to_the_twin();
    Py_ssize_t octets = draft(sheet, blank, exchange, OPENING_LINE, seconds_since(exchange, now));
    if (octets < 0) return left_to_the_twin();
    return open_account(exchange, OF(books, self, accounts)) || end_line(sheet, octets) ? -1 : 1;
}

static int close_with_line(PyObject *self, PyObject *exchange, double now)
{
    PyObject *sheet = sheet_of(self);
    int saying = sheet && telemetry_of(OF(books, self, watch)) ? saying_of(exchange) : -1;
    Blank *blank = saying < 0 ? NULL : (Blank *)Py_XNewRef((PyObject *)blank_of(exchange));
    if (!blank) return left_to_the_twin();
    Py_ssize_t octets = draft(sheet, blank, exchange, (Saying)saying, seconds_since(exchange, now));
    int done = octets < 0 ? left_to_the_twin() : end_with_line(self, exchange, octets, blank, (Saying)saying, now);
    Py_DECREF(blank);
    return done;
}

/* Of which only the decision came before: a record is made, and kept as Python keeps it. */
static int close_as_decided(PyObject *self, PyObject *exchange, double now)
{
    PyObject *recorded = OF(books, self, recorded);
    int is_new = OF(exchange, exchange, known) == Py_None && OF(exchange, exchange, result) == result_forwarded;
    if (!is_new || !IS(recorded, recorded) || !is_common(exchange)) return 0;
    PyObject *record = as_decided(exchange, now, OF(recorded, recorded, decided));
    if (!record) return left_to_the_twin();
    int failed = close_account(exchange, OF(books, self, accounts), now);
    PyObject *words[] = {self, record, exchange};
    PyObject *kept = failed ? NULL : PyObject_VectorcallMethod(name_keep, words, 3, NULL);
    Py_DECREF(record);
    Py_XDECREF(kept);
    return kept ? 1 : -1;
}

static int closes(PyObject *self, PyObject *exchange)
{
    double now = is_usual(self, exchange) ? moment_of(self) : -1;
    if (now < 0) return left_to_the_twin();
    int done = close_with_line(self, exchange, now);
    return done ? done : close_as_decided(self, exchange, now);
}

static PyObject *told(PyObject *self, PyObject *exchange, int done, PyObject *twin)
{
    if (done < 0) return NULL;
    return done ? Py_NewRef(Py_None) : PyObject_CallMethodOneArg(self, twin, exchange);
}

static PyObject *opened_method(PyObject *self, PyObject *exchange)
{
    int is_ours = books_class && PyObject_TypeCheck(self, books_class);
    return told(self, exchange, is_ours ? open_with_line(self, exchange) : 0, name_opened_in_python);
}

static PyObject *close_method(PyObject *self, PyObject *exchange)
{
    int is_ours = books_class && PyObject_TypeCheck(self, books_class);
    return told(self, exchange, is_ours ? closes(self, exchange) : 0, name_close_in_python);
}

static PyMethodDef books_methods[] = {
    {"opened", opened_method, METH_O, "A tunnel is open."},
    {"close", close_method, METH_O, "An exchange is over: it is counted and recorded."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot books_slots[] = {
    {Py_tp_doc, "Counts and records exchanges that are over, and tunnels that are open."},
    {Py_tp_methods, books_methods},
    {0, NULL},
};

static PyType_Spec books_spec = {
    .name = "corpproxy._books.Books",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = books_slots,
};

/* ---- The module ---- */

static PyObject *set_twins(PyObject *module, PyObject *args)
{
    PyObject *classes, *said[6], *writes, *encoder;
    if (!PyArg_ParseTuple(args, "O!n(OOOOOO)OOn", &PyDict_Type, &classes, &record_fields, &said[0], &said[1], &said[2],
                          &said[3], &said[4], &said[5], &writes, &encoder, &short_path))
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
    PyObject **kept[] = {&result_forwarded, &result_tunnelled, &result_open,
                         &kind_exchange,    &kind_opening,     &kind_closing};
    for (int i = 0; i < 6; i++) {
        if (!PyUnicode_Check(said[i])) return PyErr_Format(PyExc_TypeError, "results and kinds are texts");
        Py_XSETREF(*kept[i], Py_NewRef(said[i]));
    }
    Py_XSETREF(utc_text, Py_NewRef(writes));
    Py_XSETREF(encodes, Py_NewRef(encoder));
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"counting", counting, METH_O,
     "counting(telemetry)\n\nGive what counts for the metrics, of each exchange that is over, by its record."},
    {"set_figures", set_figures, METH_VARARGS,
     "set_figures(telemetry, histogram, record, closing, in_python)\n\nSay which classes count for the metrics, what\n"
     "they count, the kind of closing records, and what counts all that is not as expected."},
    {"set_twins", set_twins, METH_VARARGS,
     "set_twins(classes, fields, said, writes, encodes, short)\n\nSay which classes there are, by their names here; how\n"
     "many fields a record has; the results forwarded, tunnelled and open and the kinds of whole exchanges, openings\n"
     "and closings; what writes moments and what encodes a record; and how long paths may be that are recorded as\n"
     "they are."},
    {NULL, NULL, 0, NULL},
};

static int keep_constants(PyObject *module)
{
    if (keep_numbers() || keep_lines_names() || keep_name(&name_keep, "_keep")) return -1;
    if (keep_name(&name_close_in_python, "_close_in_python")) return -1;
    if (keep_name(&name_opened_in_python, "_opened_in_python")) return -1;
    if (add_type(module, &books_spec, NULL) || add_type(module, &lines_spec, &lines_class)) return -1;
    return add_type(module, &blank_spec, &blank_class);
}

PART(books, "Exchanges named, counted and recorded.", keep_constants)
