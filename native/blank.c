/*
 * The line of a record like one before, written without making the record.
 *
 * Nearly all of such a line is the same each time: it is encoded once, by the encoder that writes all records, and
 * cut where it differs.  What is then written into the blanks has no text but plain ASCII without anything that JSON
 * would escape, and numbers as the encoder writes them; whatever else comes is left to the twins, whose lines are the
 * same octet for octet: `like` in corpproxy/backends/alike.py, `Recorded.opened` and `ended` in recorded.py.
 */
#define _GNU_SOURCE
#include "blank.h"
#include "moment.h"
#include <stddef.h>
#include <string.h>

PyTypeObject *blank_class;
PyObject *encodes, *kind_exchange, *kind_opening, *result_open;

/* What the members in the blanks take at most, their names included, beside the texts. */
enum { MOST_OF_BLANKS = 640 };

/* ---- A blank is made ---- */

/* What marks the places in the line that is cut. */
#define MARK "@"

static int put_mark(PyObject *record, Py_ssize_t offset, const char *text)
{
    PyObject *mark = PyUnicode_FromString(text);
    if (mark) put_slot(record, offset, mark);
    return mark ? 0 : -1;
}

static int put_number_mark(PyObject *record, Py_ssize_t offset, long number)
{
    PyObject *mark = PyLong_FromLong(number);
    if (mark) put_slot(record, offset, mark);
    return mark ? 0 : -1;
}

/* The record with marks in all blanks, or nothing where a blank may be left out; takes it over. */
static PyObject *marked(PyObject *record)
{
    const Py_ssize_t numbers[] = {record_received, record_sent, record_up_sent, record_up_received};
    int failed = !record || put_mark(record, record_id, MARK) || put_mark(record, record_at, MARK) ||
                 put_mark(record, record_upstream, MARK) || put_mark(record, record_server_name, "") ||
                 put_number_mark(record, record_status, 1);
    for (size_t i = 0; !failed && i < sizeof numbers / sizeof *numbers; i++)
        failed = put_number_mark(record, numbers[i], 0);
    PyObject *seconds = failed ? NULL : PyFloat_FromDouble(0);
    if (!seconds) {
        Py_XDECREF(record);
        return NULL;
    }
    PUT(record, record, seconds, seconds);
    PUT(record, record, connect_ms, Py_NewRef(Py_None));
    PUT(record, record, resolve_ms, Py_NewRef(Py_None));
    PUT(record, record, first_octet_ms, Py_NewRef(Py_None));
    return record;
}

typedef struct {
    const char *at, *end;
} Rest;

/* Take what stands before a mark; the rest goes on behind it.  False where there is none. */
static int take_part(Rest *rest, const char *mark, Blank *blank, int part, Py_ssize_t *used)
{
    const char *found = memmem(rest->at, (size_t)(rest->end - rest->at), mark, strlen(mark));
    if (!found) return 0;
    memcpy(blank->octets + *used, rest->at, (size_t)(found - rest->at));
    blank->ends[part] = *used += found - rest->at;
    rest->at = found + strlen(mark);
    return 1;
}

/* Pass over what is written anew in each line; false where it is not there. */
static int pass(Rest *rest, const char *mark)
{
    const char *found = memmem(rest->at, (size_t)(rest->end - rest->at), mark, strlen(mark));
    if (found) rest->at = found + strlen(mark);
    return found != NULL;
}

/* A quote in a text is escaped, so that what begins with one is a member. */
static int cut_line(Blank *blank, const char *line, Py_ssize_t octets)
{
    Rest rest = {line, line + octets};
    Py_ssize_t used = 0;
    if (!take_part(&rest, MARK "\",\"kind\":\"", blank, BEFORE_ID, &used)) return 0;
    if (!pass(&rest, "\"at\":\"" MARK "\",\"seconds\":0.0")) return 0;
    if (!take_part(&rest, ",\"status\":1", blank, BEFORE_STATUS, &used)) return 0;
    if (!take_part(&rest, ",\"result\":\"", blank, BEFORE_RESULT, &used) || !pass(&rest, "\"")) return 0;
    if (!take_part(&rest, ",\"upstream\":\"" MARK "\"", blank, BEFORE_UPSTREAM, &used)) return 0;
    return take_part(&rest, blank->is_tunnel ? "}\n" : ",\"path\":\"" MARK "\"}\n", blank, BEFORE_PATH, &used) &&
           rest.at == rest.end;
}

static PyObject *blank_of_line(PyObject *record, PyObject *line, int is_tunnel)
{
    Py_ssize_t octets = PyBytes_GET_SIZE(line);
    Blank *blank = (Blank *)blank_class->tp_alloc(blank_class, octets);
    if (!blank) return NULL;
    blank->is_tunnel = is_tunnel;
    blank->decision = Py_XNewRef(OF(record, record, decision));
    blank->method = Py_XNewRef(OF(record, record, method));
    blank->status = Py_XNewRef(OF(record, record, status));
    if (blank->decision && blank->method && cut_line(blank, PyBytes_AS_STRING(line), octets)) return (PyObject *)blank;
    Py_DECREF(blank);
    return NULL;
}

static int is_empty(PyObject *text)
{
    return text && PyUnicode_CheckExact(text) && !PyUnicode_GET_LENGTH(text);
}

/* Whether it is the opening of a tunnel, or a whole exchange; -1 where it is neither. */
static int is_opening(PyObject *record)
{
    PyObject *kind = OF(record, record, kind), *result = OF(record, record, result);
    if (!is_empty(OF(record, record, server_name))) return -1;
    if (kind == kind_exchange && result == result_forwarded) return 0;
    int is_it = kind == kind_opening && result == result_open && is_empty(OF(record, record, path)) &&
                OF(record, record, first_octet_ms) == Py_None && OF(record, record, status);
    return is_it ? 1 : -1;
}

PyObject *make_blank(PyObject *record)
{
    int is_tunnel = is_opening(record);
    if (is_tunnel < 0) return NULL;
    PyObject *with_marks = marked(copied_record(record));
    if (with_marks && !is_tunnel && put_mark(with_marks, record_path, MARK)) Py_CLEAR(with_marks);
    PyObject *line = with_marks ? PyObject_CallOneArg(encodes, with_marks) : NULL, *blank = NULL;
    if (line && PyBytes_CheckExact(line)) blank = blank_of_line(record, line, is_tunnel);
    Py_XDECREF(with_marks);
    Py_XDECREF(line);
    return blank;
}

/* ---- A line is written ---- */

/* Where the next octet goes; `is_odd` once something came that is for the twins. */
typedef struct {
    char *at;
    int is_odd;
} Pen;

static void put_octets(Pen *pen, const char *octets, Py_ssize_t many)
{
    memcpy(pen->at, octets, (size_t)many);
    pen->at += many;
}

#define PUT_NAME(pen, name) put_octets((pen), (name), sizeof(name) - 1)

static void put_part(Pen *pen, const Blank *blank, int part)
{
    Py_ssize_t from = part ? blank->ends[part - 1] : 0;
    put_octets(pen, blank->octets + from, blank->ends[part] - from);
}

/* What stands in JSON as it is. */
static int is_plain_octet(unsigned char octet)
{
    return octet >= ' ' && octet < 0x7f && octet != '"' && octet != '\\';
}

static void put_text(Pen *pen, PyObject *text)
{
    const unsigned char *octets = PyUnicode_1BYTE_DATA(text);
    Py_ssize_t many = PyUnicode_GET_LENGTH(text);
    for (Py_ssize_t i = 0; i < many; i++) {
        if (!is_plain_octet(octets[i])) pen->is_odd = 1;
        pen->at[i] = (char)octets[i];
    }
    pen->at += many;
}

static void put_number(Pen *pen, unsigned long long number)
{
    char digits[20];
    int many = 0;
    do digits[many++] = (char)('0' + number % 10);
    while (number /= 10);
    while (many) *pen->at++ = digits[--many];
}

static void put_whole(Pen *pen, const char *name, Py_ssize_t octets, PyObject *number, int is_time)
{
    int overflow = !number || !PyLong_CheckExact(number);
    long long value = overflow ? 0 : PyLong_AsLongLongAndOverflow(number, &overflow);
    if (overflow || (value < 0 && !is_time)) pen->is_odd = 1;
    if (pen->is_odd || value < !is_time) return;
    put_octets(pen, name, octets);
    put_number(pen, (unsigned long long)value);
}

/* Counts are left out where they are nought, times below it, which were not measured. */
#define PUT_COUNT(pen, name, number)                                                                                   \
    put_whole((pen), ",\"" name "\":", sizeof(",\"" name "\":") - 1, (number), 0)
#define PUT_TIME(pen, name, number)                                                                                    \
    put_whole((pen), ",\"" name "\":", sizeof(",\"" name "\":") - 1, (number), 1)

/* Milliseconds of seconds, as `milliseconds` has them. */
static void put_measured(Pen *pen, const char *name, Py_ssize_t octets, PyObject *seconds)
{
    double measured = seconds && PyFloat_CheckExact(seconds) ? PyFloat_AS_DOUBLE(seconds) : MOST_SECONDS;
    if (measured < 0) return;
    if (!(measured < MOST_SECONDS)) {
        pen->is_odd = 1;
        return;
    }
    put_octets(pen, name, octets);
    put_number(pen, (unsigned long long)(measured * 1000 + 0.5));
}

#define PUT_MEASURED(pen, name, seconds)                                                                               \
    put_measured((pen), ",\"" name "\":", sizeof(",\"" name "\":") - 1, (seconds))

/* So many millionths of a second as the encoder writes the number that is nearest to them. */
static void put_seconds(Pen *pen, double seconds)
{
    enum { MILLION = 1000000 };
    /* Numbers of up to fifteen digits are those that stand nearest to their own double. */
    if (!(seconds < 1e9)) pen->is_odd = 1;
    unsigned long long millionths = seconds > 0 && !pen->is_odd ? (unsigned long long)(seconds * 1e6 + 0.5) : 0;
    if (millionths && millionths < 10) {
        put_number(pen, millionths);
        PUT_NAME(pen, "e-6");
        return;
    }
    put_number(pen, millionths / MILLION);
    *pen->at++ = '.';
    unsigned long long rest = millionths % MILLION;
    do {
        *pen->at++ = (char)('0' + rest / (MILLION / 10));
        rest = rest % (MILLION / 10) * 10;
    } while (rest);
}

static void put_said(Pen *pen, PyObject *said)
{
    Py_ssize_t many = 0;
    const char *octets = PyUnicode_AsUTF8AndSize(said, &many);
    if (octets) put_octets(pen, octets, many);
    else pen->is_odd = 1;
}

static void put_beginning(Pen *pen, const Blank *blank, PyObject *exchange, PyObject *kind, double seconds)
{
    put_part(pen, blank, BEFORE_ID);
    put_text(pen, OF(exchange, exchange, reference));
    PUT_NAME(pen, "\",\"kind\":\"");
    put_said(pen, kind);
    PUT_NAME(pen, "\",\"at\":\"");
    if (!write_moment(pen->at, OF(exchange, exchange, started))) pen->is_odd = 1;
    pen->at += MOMENT_LETTERS;
    PUT_NAME(pen, "\",\"seconds\":");
    put_seconds(pen, seconds);
}

static void put_numbers(Pen *pen, PyObject *exchange)
{
    PyObject *account = OF(exchange, exchange, account);
    PUT_COUNT(pen, "status", OF(exchange, exchange, status));
    PUT_COUNT(pen, "received", OF(account, account, received));
    PUT_COUNT(pen, "sent", OF(account, account, sent));
    PUT_COUNT(pen, "up_sent", OF(exchange, exchange, up_sent));
    PUT_COUNT(pen, "up_received", OF(exchange, exchange, up_received));
    PUT_MEASURED(pen, "resolve_ms", OF(exchange, exchange, resolve_seconds));
    PUT_TIME(pen, "connect_ms", OF(exchange, exchange, connect_ms));
}

/* A text that is left out where it is empty. */
static void put_if_said(Pen *pen, const char *name, Py_ssize_t octets, PyObject *text)
{
    if (!PyUnicode_GET_LENGTH(text)) return;
    put_octets(pen, name, octets);
    put_text(pen, text);
    *pen->at++ = '"';
}

#define PUT_IF_SAID(pen, name, text) put_if_said((pen), ",\"" name "\":\"", sizeof(",\"" name "\":\"") - 1, (text))

static PyObject *path_of(PyObject *exchange)
{
    return OF(destination, OF(exchange, exchange, destination), path);
}

static int is_ascii(PyObject *text)
{
    return text && PyUnicode_CheckExact(text) && PyUnicode_IS_COMPACT_ASCII(text);
}

Py_ssize_t most_octets(const Blank *blank, PyObject *exchange)
{
    PyObject *texts[] = {OF(exchange, exchange, reference), OF(exchange, exchange, upstream),
                         OF(exchange, exchange, server_name), path_of(exchange)};
    Py_ssize_t octets = blank->ends[BEFORE_PATH] + MOST_OF_BLANKS;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!is_ascii(texts[i])) return -1;
        octets += PyUnicode_GET_LENGTH(texts[i]);
    }
    return octets;
}

Py_ssize_t write_line(const Blank *blank, PyObject *exchange, Saying saying, double seconds, char *to)
{
    Pen pen = {to, blank->is_tunnel != (saying != FORWARDED_LINE)};
    PyObject *kinds[] = {kind_exchange, kind_opening, kind_closing};
    PyObject *results[] = {result_forwarded, result_open, result_tunnelled};
    put_beginning(&pen, blank, exchange, kinds[saying], seconds);
    put_part(&pen, blank, BEFORE_STATUS);
    put_numbers(&pen, exchange);
    if (saying == FORWARDED_LINE) PUT_MEASURED(&pen, "first_octet_ms", OF(exchange, exchange, first_octet_seconds));
    put_part(&pen, blank, BEFORE_RESULT);
    PUT_NAME(&pen, ",\"result\":\"");
    put_said(&pen, results[saying]);
    *pen.at++ = '"';
    put_part(&pen, blank, BEFORE_UPSTREAM);
    PUT_IF_SAID(&pen, "upstream", OF(exchange, exchange, upstream));
    if (saying == CLOSING_LINE) PUT_IF_SAID(&pen, "server_name", OF(exchange, exchange, server_name));
    put_part(&pen, blank, BEFORE_PATH);
    if (saying == FORWARDED_LINE) PUT_IF_SAID(&pen, "path", path_of(exchange));
    PUT_NAME(&pen, "}\n");
    return pen.is_odd ? -1 : pen.at - to;
}

/* ---- The class ---- */

static void blank_dealloc(Blank *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(self->decision);
    Py_XDECREF(self->method);
    Py_XDECREF(self->status);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyType_Slot blank_slots[] = {
    {Py_tp_doc, "The line of a record like one before, with blanks."},
    {Py_tp_dealloc, blank_dealloc},
    {0, NULL},
};

PyType_Spec blank_spec = {
    .name = "corpproxy._books.Blank",
    .basicsize = offsetof(Blank, octets),
    .itemsize = 1,
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = blank_slots,
};
