/*
 * The server name of a ClientHello that is one message in one record, as nearly every one is.
 *
 * corpproxy/preface/client_hello.py has the twin, `quick_server_name`, and says what is right: whatever is not
 * exactly so raises LookupError here as it does there, and is then read by those that say what is wrong.
 */
#include "module.h"
#include <stdint.h>
#include <string.h>

enum { HANDSHAKE = 22, CLIENT_HELLO = 1, SERVER_NAME = 0, MOST_NAME = 253, MOST_LABEL = 63 };
/* What stands before the session id, its length included. */
enum { RECORD_HEADER = 5, BEGINNING = 44, MOST_SESSION = 32, MOST_HELLO = 16 * 1024 };

typedef struct {
    const uint8_t *at, *end;
} Part;

static Py_ssize_t left(const Part *part)
{
    return part->end - part->at;
}

static unsigned pair(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* Take a part that has its length before it, in so many octets, off another one; 0 when it is not there. */
static int take(Part *from, int length_octets, Part *taken)
{
    if (left(from) < length_octets) return 0;
    Py_ssize_t octets = length_octets == 1 ? from->at[0] : (Py_ssize_t)pair(from->at);
    from->at += length_octets;
    if (left(from) < octets) return 0;
    *taken = (Part){from->at, from->at + octets};
    from->at += octets;
    return 1;
}

/* What a record with a whole ClientHello has before its session id; `hello` becomes what follows its random. */
static int begins_well(const uint8_t *octets, Py_ssize_t many, Part *hello)
{
    if (many < BEGINNING) return 0;
    unsigned record = pair(octets + 1), length = pair(octets + 3), version = pair(octets + 9);
    unsigned message = (unsigned)octets[6] << 16 | pair(octets + 7);
    if (octets[0] != HANDSHAKE || record < 0x300 || record > 0x304 || octets[5] != CLIENT_HELLO) return 0;
    if (message + 4 != length || length > MOST_HELLO || RECORD_HEADER + (Py_ssize_t)length != many) return 0;
    if (version >> 8 != 3 || octets[BEGINNING - 1] > MOST_SESSION) return 0;
    *hello = (Part){octets + BEGINNING - 1, octets + many};
    return 1;
}

/* The extensions, which are all that is left behind the session id, the cipher suites and the methods. */
static int find_extensions(Part *hello, Part *extensions)
{
    Part session, suites, methods;
    if (!take(hello, 1, &session) || !take(hello, 2, &suites) || !take(hello, 1, &methods)) return 0;
    if (!left(&suites) || left(&suites) & 1 || !left(&methods)) return 0;
    return take(hello, 2, extensions) && !left(hello);
}

/* The content of the server_name extension, `at` NULL without one; each kind may stand there once. */
static int find_name(Part extensions, Part *name)
{
    static uint8_t seen[1 << 13]; /* a bit for each kind; the lock of the interpreter is held */
    memset(seen, 0, sizeof seen);
    *name = (Part){NULL, NULL};
    while (left(&extensions)) {
        Part content;
        if (left(&extensions) < 4) return 0;
        unsigned kind = pair(extensions.at);
        extensions.at += 2;
        if (!take(&extensions, 2, &content)) return 0;
        if (seen[kind >> 3] & 1 << (kind & 7)) return 0;
        seen[kind >> 3] |= (uint8_t)(1 << (kind & 7));
        if (kind == SERVER_NAME) *name = content;
    }
    return 1;
}

static int may_stand_in_label(uint8_t octet)
{
    return (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z') || (octet >= '0' && octet <= '9') ||
           octet == '_' || octet == '-';
}

/* Whether the extension has one host name of sound labels; `text` becomes it, in lower case. */
static int only_name(const Part *content, char *text, Py_ssize_t *octets)
{
    Py_ssize_t many = left(content), label = 0, named = many - 5;
    const uint8_t *at = content->at;
    if (many < 6 || at[2] || (Py_ssize_t)pair(at) != many - 2) return 0;
    if ((Py_ssize_t)pair(at + 3) != named || named > MOST_NAME) return 0;
    for (Py_ssize_t i = 0; i < named; i++) {
        uint8_t octet = at[5 + i];
        if (octet == '.' ? !label : !may_stand_in_label(octet) || label == MOST_LABEL) return 0;
        label = octet == '.' ? 0 : label + 1;
        text[i] = (char)(octet >= 'A' && octet <= 'Z' ? octet | 0x20 : octet);
    }
    *octets = named;
    return label > 0;
}

static PyObject *quick_server_name(PyObject *module, PyObject *octets)
{
    Part hello, extensions, name;
    char text[MOST_NAME];
    Py_ssize_t many = 0;
    if (PyBytes_CheckExact(octets) &&
        begins_well((const uint8_t *)PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets), &hello) &&
        find_extensions(&hello, &extensions) && find_name(extensions, &name)) {
        if (!name.at) Py_RETURN_NONE;
        if (only_name(&name, text, &many)) return PyUnicode_DecodeASCII(text, many, NULL);
    }
    PyErr_SetNone(PyExc_LookupError);
    return NULL;
}

static PyMethodDef functions[] = {
    {"quick_server_name", quick_server_name, METH_O,
     "quick_server_name(octets)\n\nThe server name of a stream that is one ClientHello in one record; LookupError\n"
     "where it is anything else."},
    {NULL, NULL, 0, NULL},
};

PART(preface, "The first octets of a tunnel.", nothing_more)
