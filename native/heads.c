/*
 * Heads of requests and answers, read in one pass.
 *
 * corpproxy/http1/head.py, fields.py and sections.py say what is read here and why, and have the twins.  What is
 * accepted here, the twin would accept with the same outcome.  Nothing is refused here: what is odd, cut short,
 * or past a limit gives None, and the twin says what it is.
 */
#define _GNU_SOURCE
#include "digest.h"
#include "slots.h"
#include <stdint.h>
#include <string.h>

enum { METHOD_OCTETS = 64 };

/* ---- What octets may stand where: RFC 9110, sections 5.5 and 5.6.2; RFC 9112, section 3.2 ---- */

enum { TOKEN = 1, VALUE = 2, TARGET = 4 };
static unsigned char kinds[256];

static void make_kinds(void)
{
    for (int octet = 0; octet < 256; octet++) {
        int alphanumeric = (octet >= '0' && octet <= '9') || (octet >= 'A' && octet <= 'Z') ||
                           (octet >= 'a' && octet <= 'z');
        unsigned char kind = 0;
        if (alphanumeric || (octet && strchr("!#$%&'*+.^_`|~-", octet))) kind |= TOKEN;
        if (octet == '\t' || (octet >= ' ' && octet <= '~') || octet >= 0x80) kind |= VALUE;
        if (octet > ' ' && octet <= '~' && octet != '#') kind |= TARGET;
        kinds[octet] = kind;
    }
}

typedef const unsigned char *Place;

static Place pass(Place at, Place end, int kind)
{
    while (at < end && (kinds[*at] & kind)) at++;
    return at;
}

static int is_crlf(Place at, Place end)
{
    return end - at >= 2 && at[0] == '\r' && at[1] == '\n';
}

/* ---- What the twins hand in: their classes, and where these keep their attributes ---- */

static struct {
    PyTypeObject *request_head, *response_head, *fields, *digest;
    PyObject *outline, *lower, *answers, *keep, *again, *put, *lines;
    PyTypeObject *sections, *request_reader, *response_reader;
    Py_ssize_t fields_section, fields_outline, fields_index;
    Py_ssize_t sections_keyed, sections_young, outline_lines;
    Py_ssize_t request_rest, response_rest;
    Py_ssize_t longest_section;
    int ready;
} twin;

/* ---- Reading ---- */

typedef struct {
    Place begin, end; /* of all octets that came */
    Place section, section_end, head_end;
    Py_ssize_t lines;
} Section;

/* Pass over the field lines that begin at `at`; false where they are not whole, or not sound. */
static int read_section(Section *found, Place at, Place end)
{
    found->section = found->section_end = at;
    found->lines = 0;
    while (!is_crlf(at, end)) {
        Place colon = pass(at, end, TOKEN);
        if (colon == at || colon == end || *colon != ':') return 0;
        at = pass(colon + 1, end, VALUE);
        if (!is_crlf(at, end)) return 0;
        found->section_end = at;
        found->lines++;
        at += 2;
    }
    found->head_end = at + 2;
    return 1;
}

static PyObject *octets_between(Place from, Place to)
{
    return PyBytes_FromStringAndSize((const char *)from, to - from);
}

static PyObject *make_fields(PyObject *section, PyObject *outline)
{
    PyObject *fields = twin.fields->tp_alloc(twin.fields, 0);
    if (!fields) return NULL;
    put_slot(fields, twin.fields_section, Py_NewRef(section));
    put_slot(fields, twin.fields_outline, Py_NewRef(outline));
    put_slot(fields, twin.fields_index, Py_NewRef(Py_None));
    return fields;
}

static PyObject *make_outline(Py_ssize_t lines)
{
    PyObject *outline = copy_slots(twin.outline), *number = outline ? PyLong_FromSsize_t(lines) : NULL;
    if (number)
        put_slot(outline, twin.outline_lines, number);
    else
        Py_CLEAR(outline);
    return outline;
}

/* Make a head of five members; takes them over, and gives NULL where one of them is. */
static PyObject *make_head(PyTypeObject *type, PyObject *const members[5])
{
    int whole = 1;
    for (int i = 0; i < 5; i++) whole = whole && members[i];
    PyObject *head = whole ? type->tp_alloc(type, 5) : NULL;
    for (int i = 0; i < 5; i++) {
        if (head)
            PyTuple_SET_ITEM(head, i, members[i]);
        else
            Py_XDECREF(members[i]);
    }
    return head;
}

typedef struct {
    Place method, method_end, target, target_end, end; /* `end` is where CR LF begins */
    int version;
} Line;

static int read_request_line(Line *line, Place at, Place end)
{
    line->method = at;
    at = pass(at, end, TOKEN);
    line->method_end = at;
    if (at == line->method || at - line->method > METHOD_OCTETS || at == end || *at != ' ') return 0;
    line->target = ++at;
    at = pass(at, end, TARGET);
    line->target_end = at;
    if (at == line->target || end - at < 11 || memcmp(at, " HTTP/1.", 8)) return 0;
    if (at[8] != '0' && at[8] != '1') return 0;
    line->version = 10 + (at[8] - '0');
    line->end = at + 9;
    return is_crlf(line->end, end);
}

/* The outline of a section that came before, or NULL; with an exception where something went wrong. */
static PyObject *recall_outline(PyObject *sections, PyObject *digest)
{
    PyObject *young = *slot(sections, twin.sections_young);
    PyObject *outline = young && PyDict_Check(young) ? PyDict_GetItemWithError(young, digest) : NULL;
    if (outline) return Py_NewRef(outline);
    if (PyErr_Occurred()) return NULL;
    outline = PyObject_CallMethodOneArg(sections, twin.again, digest);
    if (outline == Py_None) {
        Py_DECREF(outline);
        return NULL;
    }
    return outline;
}

/* Find what is known of a section, or read it and keep what is found; NULL where it is for the twin. */
static PyObject *outline_of(PyObject *sections, Place at, Place end, Py_ssize_t most_fields, Section *found)
{
    PyObject *digest = NULL, *outline = NULL;
    Place empty_line = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
    /* Without fields the empty line comes at once, and the one that was found belongs to something else. */
    if (empty_line && !is_crlf(at, end) && empty_line - at <= twin.longest_section) {
        digest = digest_bytes((Digest *)*slot(sections, twin.sections_keyed), at, empty_line - at);
        if (!digest) return NULL;
        outline = recall_outline(sections, digest);
        if (outline) {
            found->section = at;
            found->section_end = empty_line;
            found->head_end = empty_line + 4;
        }
    }
    if (!outline && !PyErr_Occurred() && read_section(found, at, end) && found->lines <= most_fields) {
        outline = make_outline(found->lines);
        if (outline && digest && found->section_end == empty_line) {
            PyObject *kept = PyObject_CallMethodObjArgs(sections, twin.put, digest, outline, NULL);
            if (!kept) Py_CLEAR(outline);
            Py_XDECREF(kept);
        }
    }
    Py_XDECREF(digest);
    return outline;
}

static int put_rest(PyObject *reader, Py_ssize_t offset, Place from, Place to)
{
    PyObject *rest = octets_between(from, to);
    if (!rest) return -1;
    put_slot(reader, offset, rest);
    return 0;
}

/* None, unless something went wrong. */
static PyObject *for_the_twin(void)
{
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

static PyObject *make_request(const Line *line, const Section *found, PyObject *outline, Place begin)
{
    PyObject *section = octets_between(found->section, found->section_end);
    PyObject *members[] = {
        octets_between(line->method, line->method_end),
        octets_between(line->target, line->target_end),
        PyLong_FromLong(line->version),
        section ? make_fields(section, outline) : NULL,
        PyLong_FromSsize_t(found->head_end - begin),
    };
    Py_XDECREF(section);
    return make_head(twin.request_head, members);
}

static int are_octets(PyObject *data, PyObject *reader, PyTypeObject *type)
{
    return twin.ready && PyBytes_CheckExact(data) && PyObject_TypeCheck(reader, type);
}

static PyObject *request(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    if (many != 6) {
        PyErr_SetString(PyExc_TypeError, "request(reader, data, sections, head_octets, target_octets, fields)");
        return NULL;
    }
    PyObject *reader = words[0], *data = words[1], *sections = words[2];
    Py_ssize_t head_octets = PyLong_AsSsize_t(words[3]), target_octets = PyLong_AsSsize_t(words[4]);
    Py_ssize_t most_fields = PyLong_AsSsize_t(words[5]);
    if (PyErr_Occurred()) return NULL;
    if (!are_octets(data, reader, twin.request_reader) || !Py_IS_TYPE(sections, twin.sections)) Py_RETURN_NONE;
    PyObject *keyed = *slot(sections, twin.sections_keyed);
    if (!keyed || !Py_IS_TYPE(keyed, twin.digest)) Py_RETURN_NONE;
    Place begin = (Place)PyBytes_AS_STRING(data), end = begin + PyBytes_GET_SIZE(data);
    Line line;
    Section found = {begin, end, begin, begin, begin, 0};
    /* One empty line before the head is skipped (RFC 9112, section 2.2). */
    if (!read_request_line(&line, is_crlf(begin, end) ? begin + 2 : begin, end)) Py_RETURN_NONE;
    if (line.target_end - line.target > target_octets) Py_RETURN_NONE;
    /* A head past the limit is not looked at to its end, which may be far. */
    Place last = end - begin > head_octets ? begin + head_octets : end;
    if (line.end + 2 > last) Py_RETURN_NONE;
    PyObject *outline = outline_of(sections, line.end + 2, last, most_fields, &found);
    if (!outline) return for_the_twin();
    PyObject *head = make_request(&line, &found, outline, begin);
    Py_DECREF(outline);
    if (head && put_rest(reader, twin.request_rest, found.head_end, end)) Py_CLEAR(head);
    return head;
}

/* ---- Answers ---- */

static PyObject *first_response(Place begin, Place end)
{
    Place at = begin;
    Section found = {begin, end, begin, begin, begin, 0};
    if (end - at < 12 || memcmp(at, "HTTP/1.", 7) || (at[7] != '0' && at[7] != '1') || at[8] != ' ') return NULL;
    int version = 10 + (at[7] - '0'), status = 0;
    for (int i = 9; i < 12; i++) {
        if (at[i] < (i == 9 ? '1' : '0') || at[i] > '9') return NULL;
        status = status * 10 + (at[i] - '0');
    }
    Place reason = at + 12, reason_end = reason;
    if (reason < end && *reason == ' ') reason_end = pass(++reason, end, VALUE);
    if (!is_crlf(reason_end, end) || !read_section(&found, reason_end + 2, end)) return NULL;
    PyObject *section = octets_between(found.section, found.section_end);
    PyObject *outline = section ? make_outline(found.lines) : NULL;
    PyObject *members[] = {
        PyLong_FromLong(status),
        octets_between(reason, reason_end),
        PyLong_FromLong(version),
        outline ? make_fields(section, outline) : NULL,
        PyLong_FromSsize_t(found.head_end - begin),
    };
    Py_XDECREF(section);
    Py_XDECREF(outline);
    return make_head(twin.response_head, members);
}

/* The head of these octets, as it came before or read now and kept; NULL where it is for the twin. */
static PyObject *answer_head(Place begin, Place empty_line, Place end)
{
    PyObject *octets = octets_between(begin, empty_line);
    if (!octets) return NULL;
    PyObject *head = PyDict_GetItemWithError(twin.answers, octets);
    if (head) {
        Py_INCREF(head);
    } else if (!PyErr_Occurred()) {
        head = first_response(begin, end);
        if (head) {
            PyObject *kept = PyObject_CallMethodObjArgs(twin.answers, twin.keep, octets, head, NULL);
            if (!kept) Py_CLEAR(head);
            Py_XDECREF(kept);
        }
    }
    Py_DECREF(octets);
    return head;
}

/* How many lines the outline of a head has; -1 with an exception. */
static Py_ssize_t lines_of(PyObject *head)
{
    PyObject *fields = PyTuple_GET_ITEM(head, 3);
    PyObject *lines = PyObject_GetAttr(*slot(fields, twin.fields_outline), twin.lines);
    if (!lines) return -1;
    Py_ssize_t many = PyLong_AsSsize_t(lines);
    Py_DECREF(lines);
    return many;
}

static PyObject *response(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    if (many != 4) {
        PyErr_SetString(PyExc_TypeError, "response(reader, data, head_octets, fields)");
        return NULL;
    }
    PyObject *reader = words[0], *data = words[1];
    Py_ssize_t head_octets = PyLong_AsSsize_t(words[2]), most_fields = PyLong_AsSsize_t(words[3]);
    if (PyErr_Occurred()) return NULL;
    if (!are_octets(data, reader, twin.response_reader)) Py_RETURN_NONE;
    Place begin = (Place)PyBytes_AS_STRING(data), end = begin + PyBytes_GET_SIZE(data);
    Place last = end - begin > head_octets ? begin + head_octets : end;
    Place empty_line = memmem(begin, (size_t)(last - begin), "\r\n\r\n", 4);
    if (!empty_line) Py_RETURN_NONE;
    PyObject *head = answer_head(begin, empty_line, end);
    if (!head) return for_the_twin();
    Py_ssize_t lines = lines_of(head);
    if (lines < 0 || lines > most_fields) {
        Py_DECREF(head);
        return for_the_twin();
    }
    if (put_rest(reader, twin.response_rest, empty_line + 4, end)) Py_CLEAR(head);
    return head;
}

/* ---- Taking the lines off a section ---- */

/* The name of a line in lower case: the twin remembers those that come all day. */
static PyObject *lower_name(Place from, Place to)
{
    PyObject *name = octets_between(from, to);
    if (!name) return NULL;
    PyObject *lower = PyDict_GetItemWithError(twin.lower, name);
    if (lower)
        Py_INCREF(lower);
    else if (!PyErr_Occurred())
        lower = PyObject_GetItem(twin.lower, name);
    Py_DECREF(name);
    return lower;
}

static int take_line(PyObject *lines, PyObject *names, PyObject *index, Place from, Place to)
{
    Place colon = memchr(from, ':', (size_t)(to - from));
    PyObject *line = octets_between(from, to), *name = lower_name(from, colon ? colon : to);
    int failed = !line || !name || PyList_Append(lines, line) || PyList_Append(names, name) ||
                 PyDict_SetItem(index, name, line);
    Py_XDECREF(line);
    Py_XDECREF(name);
    return failed;
}

static PyObject *take_off(PyObject *module, PyObject *section)
{
    if (!twin.ready || !PyBytes_CheckExact(section)) Py_RETURN_NONE;
    Place at = (Place)PyBytes_AS_STRING(section), end = at + PyBytes_GET_SIZE(section);
    PyObject *lines = PyList_New(0), *names = PyList_New(0), *index = PyDict_New(), *taken = NULL;
    int failed = !lines || !names || !index;
    while (!failed && at < end) {
        Place line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
        failed = take_line(lines, names, index, at, line_end ? line_end : end);
        if (!line_end) break;
        at = line_end + 2;
        /* A line end at the very end begins one more line, which is empty. */
        if (!failed && at == end) failed = take_line(lines, names, index, at, end);
    }
    if (!failed) taken = PyTuple_Pack(3, lines, names, index);
    Py_XDECREF(lines);
    Py_XDECREF(names);
    Py_XDECREF(index);
    return taken;
}

/* ---- The module ---- */

#define TAKE(member, object) Py_XSETREF(twin.member, Py_NewRef(object))
#define TAKE_TYPE(member, object) Py_XSETREF(twin.member, (PyTypeObject *)Py_NewRef(object))

static PyObject *set_twins(PyObject *module, PyObject *args)
{
    PyObject *request_head, *response_head, *fields, *outline, *lower, *answers;
    PyObject *request_reader, *response_reader, *sections;
    Py_ssize_t longest;
    if (!PyArg_ParseTuple(args, "O!O!O!OO!O!O!O!O!n", &PyType_Type, &request_head, &PyType_Type, &response_head,
                          &PyType_Type, &fields, &outline, &PyDict_Type, &lower, &PyDict_Type, &answers, &PyType_Type,
                          &request_reader, &PyType_Type, &response_reader, &PyType_Type, &sections, &longest))
        return NULL;
    twin.ready = 0;
    if (!PyType_IsSubtype((PyTypeObject *)request_head, &PyTuple_Type) ||
        !PyType_IsSubtype((PyTypeObject *)response_head, &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "heads are tuples");
        return NULL;
    }
    TAKE_TYPE(request_head, request_head);
    TAKE_TYPE(response_head, response_head);
    TAKE_TYPE(fields, fields);
    TAKE_TYPE(request_reader, request_reader);
    TAKE_TYPE(response_reader, response_reader);
    TAKE_TYPE(sections, sections);
    TAKE(outline, outline);
    TAKE(lower, lower);
    TAKE(answers, answers);
    twin.longest_section = longest;
    if ((twin.fields_section = offset_of(twin.fields, "section")) < 0 ||
        (twin.fields_outline = offset_of(twin.fields, "outline")) < 0 ||
        (twin.fields_index = offset_of(twin.fields, "_index")) < 0 ||
        (twin.outline_lines = offset_of(Py_TYPE(twin.outline), "lines")) < 0 ||
        (twin.sections_keyed = offset_of(twin.sections, "_keyed")) < 0 ||
        (twin.sections_young = offset_of(twin.sections, "_young")) < 0 ||
        (twin.request_rest = offset_of(twin.request_reader, "rest")) < 0 ||
        (twin.response_rest = offset_of(twin.response_reader, "rest")) < 0)
        return NULL;
    twin.ready = 1;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"set_twins", set_twins, METH_VARARGS, "Say which classes the heads are made of."},
    {"request", (PyCFunction)(void (*)(void))request, METH_FASTCALL,
     "request(reader, data, sections, head_octets, target_octets, fields)\n\nGive the head of a request that came\n"
     "whole, and put what is behind it into `rest`; None for what is left to the twin."},
    {"response", (PyCFunction)(void (*)(void))response, METH_FASTCALL,
     "response(reader, data, head_octets, fields)\n\nThe same for an answer."},
    {"take_off", take_off, METH_O, "The lines of a section, their names, and the line of each name."},
    {NULL, NULL, 0, NULL},
};

static int add_digest(PyObject *module)
{
    make_kinds();
    if (keep_name(&twin.keep, "keep") || keep_name(&twin.again, "_again")) return -1;
    if (keep_name(&twin.put, "_put") || keep_name(&twin.lines, "lines")) return -1;
    return add_type(module, &digest_spec, &twin.digest);
}

PART(heads, "Heads, read in one pass.", add_digest)
