/*
 * What the road asks of a header section that it sees for the first time, without taking its lines off.
 *
 * A section has some ten lines, and three of them are asked for.  To make objects of all lines, their names and
 * an index of them is dearer than to look through the octets for each.  The twins in Python stand in
 * corpproxy/http1: fields.py (value), steering.py (is_plain), forward.py (forward).
 *
 * A section is sound: lines that each have a name, CR LF between them and none behind the last.
 */
#include "module.h"
#include <string.h>

/* More lines than a browser sends are for the twin, which does not compare each with each. */
enum { MOST_LINES = 40 };

typedef const unsigned char *Place;

typedef struct {
    Place at, colon, end;       /* the line; where its name ends; where CR LF, or nothing, follows */
} Line;

typedef struct {
    Place next, end;
} Left;

static Left lines_of(PyObject *section)
{
    Place at = (Place)PyBytes_AS_STRING(section);
    Left left = {PyBytes_GET_SIZE(section) ? at : NULL, at + PyBytes_GET_SIZE(section)};
    return left;
}

static int take(Left *left, Line *line)
{
    if (!left->next) return 0;
    Place at = left->next, cr = at;
    for (;; cr++) {
        cr = memchr(cr, '\r', (size_t)(left->end - cr));
        if (!cr || (cr + 1 < left->end && cr[1] == '\n')) break;
    }
    line->at = at;
    line->end = cr ? cr : left->end;
    line->colon = memchr(at, ':', (size_t)(line->end - at));
    if (!line->colon) line->colon = line->end;
    left->next = cr ? cr + 2 : NULL;
    return 1;
}

static unsigned char lower(unsigned char octet)
{
    return octet >= 'A' && octet <= 'Z' ? octet | 0x20 : octet;
}

/* Whether a line has this name, which is in lower case. */
static int is_named(const Line *line, PyObject *name)
{
    Py_ssize_t many = line->colon - line->at;
    Place other = (Place)PyBytes_AS_STRING(name);
    if (many != PyBytes_GET_SIZE(name)) return 0;
    for (Py_ssize_t i = 0; i < many; i++)
        if (lower(line->at[i]) != other[i]) return 0;
    return 1;
}

static int is_one_of(const Line *line, PyObject *names)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++)
        if (is_named(line, PyTuple_GET_ITEM(names, i))) return 1;
    return 0;
}

static int are_alike(const Line *one, const Line *other)
{
    Py_ssize_t many = one->colon - one->at;
    if (many != other->colon - other->at) return 0;
    for (Py_ssize_t i = 0; i < many; i++)
        if (lower(one->at[i]) != lower(other->at[i])) return 0;
    return 1;
}

static int is_octets(PyObject *object)
{
    if (PyBytes_CheckExact(object)) return 1;
    PyErr_SetString(PyExc_TypeError, "bytes are expected");
    return 0;
}

static int are_all_octets(PyObject *tuple)
{
    if (!PyTuple_CheckExact(tuple)) {
        PyErr_SetString(PyExc_TypeError, "a tuple of bytes is expected");
        return 0;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++)
        if (!is_octets(PyTuple_GET_ITEM(tuple, i))) return 0;
    return 1;
}

static int has_arguments(Py_ssize_t many, Py_ssize_t wanted)
{
    if (many == wanted) return 1;
    PyErr_Format(PyExc_TypeError, "%zd arguments are expected", wanted);
    return 0;
}

static int is_space(unsigned char octet)
{
    return octet == ' ' || octet == '\t';
}

static PyObject *value(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    Line line;
    if (!has_arguments(many, 2) || !is_octets(words[0]) || !is_octets(words[1])) return NULL;
    for (Left left = lines_of(words[0]); take(&left, &line);)
        if (is_named(&line, words[1])) {
            Place from = line.colon < line.end ? line.colon + 1 : line.end, to = line.end;
            while (from < to && is_space(*from)) from++;
            while (from < to && is_space(to[-1])) to--;
            return PyBytes_FromStringAndSize((const char *)from, to - from);
        }
    Py_RETURN_NONE;
}

static int stands_among(const Line *line, PyObject *lines)
{
    Py_ssize_t many = line->end - line->at;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(lines); i++) {
        PyObject *one = PyTuple_GET_ITEM(lines, i);
        if (many == PyBytes_GET_SIZE(one) && !memcmp(line->at, PyBytes_AS_STRING(one), (size_t)many)) return 1;
    }
    return 0;
}

/* What is said of a section: nothing for sure, or that it is plain and the connection stays, or that it closes. */
enum { UNSURE, STAYS, CLOSES };

static PyObject *is_plain(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    static const char connection[] = "connection";
    Line lines[MOST_LINES];
    int there = 0, plainly = STAYS;
    if (!has_arguments(many, 4) || !is_octets(words[0])) return NULL;
    for (int i = 1; i < 4; i++)
        if (!are_all_octets(words[i])) return NULL;
    for (Left left = lines_of(words[0]); left.next; there++) {
        if (there == MOST_LINES) return PyLong_FromLong(UNSURE);
        Line *line = &lines[there];
        take(&left, line);
        for (int i = 0; i < there; i++)
            if (are_alike(line, &lines[i])) return PyLong_FromLong(UNSURE);
        if (is_one_of(line, words[1])) return PyLong_FromLong(UNSURE);
        Line wanted = {(Place)connection, (Place)connection + 10, (Place)connection + 10};
        if (!are_alike(line, &wanted) || stands_among(line, words[2])) continue;
        if (!stands_among(line, words[3])) return PyLong_FromLong(UNSURE);
        plainly = CLOSES;
    }
    return PyLong_FromLong(plainly);
}

static char *put(char *to, Place from, Py_ssize_t many)
{
    memcpy(to, from, (size_t)many);
    memcpy(to + many, "\r\n", 2);
    return to + many + 2;
}

static PyObject *forward(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    static const char host[] = "host";
    Line line, wanted = {(Place)host, (Place)host + 4, (Place)host + 4};
    int is_there = 0;
    if (!has_arguments(many, 4) || !is_octets(words[0]) || !are_all_octets(words[1]) || !is_octets(words[2]) ||
        !is_octets(words[3]))
        return NULL;
    Place host_line = (Place)PyBytes_AS_STRING(words[2]), via = (Place)PyBytes_AS_STRING(words[3]);
    Py_ssize_t host_octets = PyBytes_GET_SIZE(words[2]), via_octets = PyBytes_GET_SIZE(words[3]), lines = 0;
    for (Left left = lines_of(words[0]); take(&left, &line);) lines++;
    /* Each line with its end, each of them replaced by Host at worst; Host, Via and what ends the section. */
    Py_ssize_t most = PyBytes_GET_SIZE(words[0]) + (host_octets + 2) * (lines + 1) + via_octets + 8;
    PyObject *written = PyBytes_FromStringAndSize(NULL, most);
    if (!written) return NULL;
    char *begin = PyBytes_AS_STRING(written), *to = begin;
    memcpy(to, "\r\n", 2);
    to += 2;
    for (Left left = lines_of(words[0]); !is_there && take(&left, &line);) is_there = are_alike(&line, &wanted);
    if (!is_there) to = put(to, host_line, host_octets);
    for (Left left = lines_of(words[0]); take(&left, &line);) {
        if (are_alike(&line, &wanted)) to = put(to, host_line, host_octets);
        else if (!is_one_of(&line, words[1])) to = put(to, line.at, line.end - line.at);
    }
    if (via_octets) to = put(to, via, via_octets);
    memcpy(to, "\r\n", 2);
    to += 2;
    _PyBytes_Resize(&written, to - begin);
    return written;
}

static PyMethodDef functions[] = {
    {"value", (PyCFunction)(void (*)(void))value, METH_FASTCALL,
     "value(section, name)\n\nThe value of the first line of that (lower-case) name; None without one."},
    {"is_plain", (PyCFunction)(void (*)(void))is_plain, METH_FASTCALL,
     "is_plain(section, steering, alive, closing)\n\nWhether no line has one of these names, or the name of another\n"
     "one, and Connection, if there is one, is one of these lines: STAYS, or CLOSES where it is of the latter; 0\n"
     "leaves the question to the twin."},
    {"forward", (PyCFunction)(void (*)(void))forward, METH_FASTCALL,
     "forward(section, drop, host, via)\n\nThe fields of a plain request for the next hop, from the end of the\n"
     "request line on: without those of these names, with these lines of Host and, unless it is empty, Via."},
    {NULL, NULL, 0, NULL},
};

static int add_answers(PyObject *module)
{
    return PyModule_AddIntConstant(module, "STAYS", STAYS) || PyModule_AddIntConstant(module, "CLOSES", CLOSES);
}

PART(section, "A header section, as octets.", add_answers)
