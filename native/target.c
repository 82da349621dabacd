/*
 * What a request asks for: its target, the Host field beside it, and the normal form of a host.
 *
 * The twins in Python, which say why, stand in corpproxy/http1/target.py (parse_target) and
 * corpproxy/destination/host.py (_normal).  Taken here is what nearly all requests to a proxy are: a URL of http,
 * or the authority of a tunnel, beside one valid Host; and a host that is a name of plain labels.  All else gives
 * None, and the twin says what it is.
 */
#include "section.h"
#include "slots.h"

enum { MAX_NAME = 253, MAX_LABEL = 63, PORT_DIGITS = 5, MAX_PORT = 65535, MEMBERS = 5 };

static PyTypeObject *target_type;
static PyObject *absolute_form, *authority_form, *http, *no_scheme, *no_path;

static struct {
    PyTypeObject *type;
    Py_ssize_t name, address;
} host_twin;

/* ---- Authorities: RFC 3986, section 3.2.2, but for addresses in brackets ---- */

static int is_alphanumeric(unsigned char octet)
{
    return (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z') || (octet >= '0' && octet <= '9');
}

static int is_of_host(unsigned char octet)
{
    return is_alphanumeric(octet) || (octet && strchr("._~!$&'()*+,;=%-", octet));
}

typedef struct {
    Place host, host_end;
    long port;                  /* 0 where none is written */
} Authority;

static int read_authority(Place at, Place end, Authority *found)
{
    found->host = at;
    while (at < end && is_of_host(*at)) at++;
    found->host_end = at;
    found->port = 0;
    if (at == found->host) return 0;
    if (at == end) return 1;
    if (*at++ != ':' || end - at > PORT_DIGITS) return 0;
    if (at == end) return 1;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9') return 0;
        found->port = found->port * 10 + (*at - '0');
    }
    return found->port > 0 && found->port <= MAX_PORT;
}

/* Whether there is one Host in a section, and a valid one. */
static int has_host(PyObject *section)
{
    Line line;
    Authority beside;
    int there = 0;
    for (Left left = lines_of(section); take(&left, &line);) {
        if (!is_called(&line, "host", 4)) continue;
        Place from, to;
        value_of(&line, &from, &to);
        if (there++ || !read_authority(from, to, &beside)) return 0;
    }
    return there;
}

/* ---- Targets ---- */

static PyObject *octets_between(Place from, Place to)
{
    return PyBytes_FromStringAndSize((const char *)from, to - from);
}

/* Make a target; takes `path` over. */
static PyObject *make_target(PyObject *form, PyObject *scheme, const Authority *asked, long port, PyObject *path)
{
    PyObject *members[MEMBERS] = {Py_NewRef(form), Py_NewRef(scheme), octets_between(asked->host, asked->host_end),
                                  PyLong_FromLong(port), path};
    PyObject *target = members[2] && members[3] && path ? target_type->tp_alloc(target_type, MEMBERS) : NULL;
    for (int i = 0; i < MEMBERS; i++) {
        if (target)
            PyTuple_SET_ITEM(target, i, members[i]);
        else
            Py_XDECREF(members[i]);
    }
    return target;
}

static PyObject *tunnel_target(Place at, Place end)
{
    Authority asked;
    if (!read_authority(at, end, &asked) || !asked.port) Py_RETURN_NONE;
    return make_target(authority_form, no_scheme, &asked, asked.port, Py_NewRef(no_path));
}

static PyObject *absolute_target(Place at, Place end)
{
    enum { SCHEME = 7, DEFAULT_PORT = 80 };
    Authority asked;
    if (end - at <= SCHEME || memcmp(at, "http://", SCHEME)) Py_RETURN_NONE;
    at += SCHEME;
    Place path = memchr(at, '/', (size_t)(end - at));
    if (!path || !read_authority(at, path, &asked)) Py_RETURN_NONE;
    for (Place octet = path; octet < end; octet++)
        if (*octet < '!' || *octet > '~') Py_RETURN_NONE;
    long port = asked.port ? asked.port : DEFAULT_PORT;
    return make_target(absolute_form, http, &asked, port, octets_between(path, end));
}

PyObject *read_target(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    if (!has_arguments(many, 3)) return NULL;
    for (int i = 0; i < 3; i++)
        if (!is_octets(words[i])) return NULL;
    if (!target_type || !has_host(words[2])) Py_RETURN_NONE;
    Place at = (Place)PyBytes_AS_STRING(words[1]), end = at + PyBytes_GET_SIZE(words[1]);
    int is_tunnel = PyBytes_GET_SIZE(words[0]) == 7 && !memcmp(PyBytes_AS_STRING(words[0]), "CONNECT", 7);
    return is_tunnel ? tunnel_target(at, end) : absolute_target(at, end);
}

/* ---- Hosts ---- */

static int is_number(Place at, Place end)
{
    int is_hexadecimal = end - at >= 2 && at[0] == '0' && at[1] == 'x';
    for (at += is_hexadecimal ? 2 : 0; at < end; at++)
        if (!(*at >= '0' && *at <= '9') && !(is_hexadecimal && *at >= 'a' && *at <= 'f')) return 0;
    return 1;
}

/* Whether a part between dots, in lower case, is a plain one: no A-label, whose meaning has to be looked at. */
static int is_plain_label(Place at, Place end)
{
    if (at == end || end - at > MAX_LABEL || (end - at >= 4 && !memcmp(at, "xn--", 4))) return 0;
    for (; at < end; at++)
        if (!is_alphanumeric(*at) && *at != '-' && *at != '_') return 0;
    return 1;
}

static PyObject *make_host(Place name, Py_ssize_t many)
{
    PyObject *text = PyUnicode_New(many, 127);
    if (!text) return NULL;
    memcpy(PyUnicode_1BYTE_DATA(text), name, (size_t)many);
    PyObject *host = host_twin.type->tp_alloc(host_twin.type, 0);
    if (!host) {
        Py_DECREF(text);
        return NULL;
    }
    put_slot(host, host_twin.name, text);
    put_slot(host, host_twin.address, Py_NewRef(Py_None));
    return host;
}

PyObject *ordinary_host(PyObject *module, PyObject *written)
{
    unsigned char name[MAX_NAME];
    if (!is_octets(written)) return NULL;
    Py_ssize_t many = PyBytes_GET_SIZE(written);
    if (!host_twin.type || !many || many > MAX_NAME) Py_RETURN_NONE;
    for (Py_ssize_t i = 0; i < many; i++) name[i] = lower((unsigned char)PyBytes_AS_STRING(written)[i]);
    for (Place at = name, end = name + many;;) {
        Place dot = memchr(at, '.', (size_t)(end - at)), border = dot ? dot : end;
        if (!is_plain_label(at, border)) Py_RETURN_NONE;
        if (!dot && is_number(at, end)) Py_RETURN_NONE;
        if (!dot) break;
        at = dot + 1;
    }
    return make_host(name, many);
}

/* ---- What the twins hand in ---- */

PyObject *set_target(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    if (!has_arguments(many, 3)) return NULL;
    if (!PyType_Check(words[0]) || !PyType_IsSubtype((PyTypeObject *)words[0], &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "a class of tuples is expected");
        return NULL;
    }
    PyObject *scheme = PyUnicode_InternFromString("http"), *empty = PyUnicode_InternFromString("");
    PyObject *nothing = PyBytes_FromStringAndSize(NULL, 0);
    if (!scheme || !empty || !nothing) {
        Py_XDECREF(scheme);
        Py_XDECREF(empty);
        Py_XDECREF(nothing);
        return NULL;
    }
    Py_XSETREF(http, scheme);
    Py_XSETREF(no_scheme, empty);
    Py_XSETREF(no_path, nothing);
    Py_XSETREF(absolute_form, Py_NewRef(words[1]));
    Py_XSETREF(authority_form, Py_NewRef(words[2]));
    Py_XSETREF(target_type, (PyTypeObject *)Py_NewRef(words[0]));
    Py_RETURN_NONE;
}

PyObject *set_host(PyObject *module, PyObject *type)
{
    if (!PyType_Check(type)) {
        PyErr_SetString(PyExc_TypeError, "a class is expected");
        return NULL;
    }
    Py_ssize_t name = offset_of((PyTypeObject *)type, "name"), address = -1;
    if (name >= 0) address = offset_of((PyTypeObject *)type, "address");
    if (address < 0) return NULL;
    host_twin.name = name;
    host_twin.address = address;
    Py_XSETREF(host_twin.type, (PyTypeObject *)Py_NewRef(type));
    Py_RETURN_NONE;
}
