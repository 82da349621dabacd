/*
 * What the road asks of a header section that it sees for the first time, without taking its lines off.
 *
 * A section has some ten lines, and three of them are asked for.  To make objects of all lines, their names and
 * an index of them is dearer than to look through the octets for each.  The twins in Python stand in
 * corpproxy/http1: fields.py (value), steering.py (is_plain), forward.py (forward).
 *
 * A section is sound: lines that each have a name, CR LF between them and none behind the last.
 */
#include "section.h"

/* More lines than a browser sends are for the twin, which does not compare each with each. */
enum { MOST_LINES = 40 };

/* Whether a line has this name, which is in lower case. */
static int is_named(const Line *line, PyObject *name)
{
    return is_called(line, PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name));
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

static PyObject *value(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    Line line;
    if (!has_arguments(many, 2) || !is_octets(words[0]) || !is_octets(words[1])) return NULL;
    for (Left left = lines_of(words[0]); take(&left, &line);)
        if (is_named(&line, words[1])) {
            Place from, to;
            value_of(&line, &from, &to);
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
        if (!is_called(line, "connection", 10) || stands_among(line, words[2])) continue;
        if (!stands_among(line, words[3])) return PyLong_FromLong(UNSURE);
        plainly = CLOSES;
    }
    return PyLong_FromLong(plainly);
}

/* ---- The request for the next hop ---- */

static char *put(char *to, const void *from, Py_ssize_t many)
{
    memcpy(to, from, (size_t)many);
    return to + many;
}

static char *put_text(char *to, const char *text)
{
    return put(to, text, (Py_ssize_t)strlen(text));
}

static char *put_octets(char *to, PyObject *octets)
{
    return put(to, PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets));
}

static char *put_host(char *to, PyObject *host)
{
    return put_text(put_octets(put_text(to, "Host: "), host), "\r\n");
}

/* Put the lines that travel on, and Host in the place of the one that came, or before all others. */
static char *put_lines(char *to, PyObject *section, PyObject *drop, PyObject *host)
{
    Line line;
    int is_there = 0;
    for (Left left = lines_of(section); !is_there && take(&left, &line);) is_there = is_called(&line, "host", 4);
    if (!is_there) to = put_host(to, host);
    for (Left left = lines_of(section); take(&left, &line);) {
        if (is_called(&line, "host", 4))
            to = put_host(to, host);
        else if (!is_one_of(&line, drop))
            to = put_text(put(to, line.at, line.end - line.at), "\r\n");
    }
    return to;
}

/* The words of `forward`, in their order. */
enum { METHOD, PATH, SECTION, DROP, HOST, VIA, VERSION, WORDS };

/* So many octets a request has at most: each line with its end, or replaced by Host. */
static Py_ssize_t most_octets(PyObject *const *words)
{
    enum { CONSTANT_PARTS = 128 };
    Line line;
    Py_ssize_t lines = 1;
    for (Left left = lines_of(words[SECTION]); take(&left, &line);) lines++;
    Py_ssize_t most = PyBytes_GET_SIZE(words[SECTION]) + lines * (PyBytes_GET_SIZE(words[HOST]) + 10);
    for (int i = METHOD; i <= PATH; i++) most += PyBytes_GET_SIZE(words[i]);
    return most + (words[VIA] == Py_None ? 0 : PyBytes_GET_SIZE(words[VIA])) + CONSTANT_PARTS;
}

static int are_words_of_forward(PyObject *const *words, Py_ssize_t many)
{
    if (!has_arguments(many, WORDS) || !is_octets(words[METHOD]) || !is_octets(words[PATH])) return 0;
    if (!is_octets(words[SECTION]) || !are_all_octets(words[DROP]) || !is_octets(words[HOST])) return 0;
    return words[VIA] == Py_None || is_octets(words[VIA]);
}

static PyObject *forward(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    if (!are_words_of_forward(words, many)) return NULL;
    long version = PyLong_AsLong(words[VERSION]);
    if (version == -1 && PyErr_Occurred()) return NULL;
    PyObject *written = PyBytes_FromStringAndSize(NULL, most_octets(words));
    if (!written) return NULL;
    char *begin = PyBytes_AS_STRING(written), *to = begin;
    if (PyBytes_GET_SIZE(words[METHOD])) {
        to = put_text(put_octets(to, words[METHOD]), " ");
        to = put_text(put_octets(to, words[PATH]), " HTTP/1.1");
    }
    to = put_lines(put_text(to, "\r\n"), words[SECTION], words[DROP], words[HOST]);
    if (words[VIA] != Py_None) {
        to = put_text(to, version >= 11 ? "Via: 1.1 " : "Via: 1.0 ");
        to = put_text(put_octets(to, words[VIA]), "\r\n");
    }
    to = put_text(to, "\r\n");
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
     "forward(method, path, section, drop, host, via, version)\n\nA plain request for the next hop: without the\n"
     "fields of these names, with this Host and, unless it is None, Via.  Without a method the fields alone, from\n"
     "the end of the request line on."},
    {"target", (PyCFunction)(void (*)(void))read_target, METH_FASTCALL,
     "target(method, target, section)\n\nWhat a request asks for; None leaves the question to the twin."},
    {"host", ordinary_host, METH_O,
     "host(written)\n\nThe normal form of a host that is a name of plain labels; None for all others."},
    {"set_target", (PyCFunction)(void (*)(void))set_target, METH_FASTCALL,
     "set_target(Target, ABSOLUTE, AUTHORITY)\n\nSay what targets are made of."},
    {"set_host", set_host, METH_O, "set_host(Host)\n\nSay what hosts are made of."},
    {NULL, NULL, 0, NULL},
};

static int add_answers(PyObject *module)
{
    return PyModule_AddIntConstant(module, "STAYS", STAYS) || PyModule_AddIntConstant(module, "CLOSES", CLOSES);
}

PART(section, "A header section, as octets.", add_answers)
