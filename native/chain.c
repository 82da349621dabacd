/*
 * The chain of records, as corpproxy/audit/proof.py makes it: that file says what is done here and why.
 *
 * A whole batch is linked in one call, without the lock of the interpreter: the thread that writes records
 * then never keeps the loop waiting.  Whatever is not exactly as expected is left to the twin in Python,
 * which knows what to say about it: link() returns None.
 */
#define _GNU_SOURCE
#include "module.h"
/*
 * The functions for one kind of hash each: those for any kind cost a quarter more for texts as short as ours.  Where
 * OpenSSL was built without them, this part is left out.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <stdint.h>
#include <string.h>

enum { SEED = 16, SALT = 16, HASH = 32, NUMBER_DIGITS = 20 };

/* What is written behind a line, but for the digits of the number and the hash. */
enum { PROOF = sizeof ",\"n\":,\"seed\":\"\",\"chain\":\"\"}\n" - 1 + 2 * SEED };

typedef struct {
    const char *at;
    Py_ssize_t octets;
} Span;

/* The last public member, and what the second and the third group may begin with: the twin hands them in. */
enum { MOST_STARTS = 32 };
typedef struct {
    Span result, url, where[MOST_STARTS];
    int many;
} Starts;

static void sha256(const Span *parts, int many, unsigned char *out)
{
    SHA256_CTX state;
    SHA256_Init(&state);
    for (int i = 0; i < many; i++) SHA256_Update(&state, parts[i].at, (size_t)parts[i].octets);
    SHA256_Final(out, &state);
}

static void sha512(const Span *part, unsigned char *out)
{
    SHA512_CTX state;
    SHA512_Init(&state);
    SHA512_Update(&state, part->at, (size_t)part->octets);
    SHA512_Final(out, &state);
}

/* Where `wanted` begins between two places of a line; -1 where it does not. */
static Py_ssize_t find(const char *line, const Span *wanted, Py_ssize_t from, Py_ssize_t to)
{
    if (to - from < wanted->octets) return -1;
    const char *found = memmem(line + from, (size_t)(to - from), wanted->at, (size_t)wanted->octets);
    return found ? found - line : -1;
}

typedef struct {
    Py_ssize_t who, where, url, end; /* where each group begins, and the last one ends */
} Cuts;

/* Find the groups of a line; false where it is no line of a record. */
static int cut(const Span *line, const Starts *starts, Cuts *cuts)
{
    Py_ssize_t last = line->octets - 1;
    Py_ssize_t result = find(line->at, &starts->result, 0, line->octets);
    if (result < 0) return 0;
    result += starts->result.octets;
    const char *quote = memchr(line->at + result, '"', (size_t)(line->octets - result));
    if (!quote) return 0;
    cuts->who = quote - line->at + 1;
    if (cuts->who > last) return 0;
    cuts->end = last;
    cuts->url = find(line->at, &starts->url, cuts->who, line->octets);
    if (cuts->url < 0) cuts->url = last;
    cuts->where = cuts->url;
    for (int i = 0; i < starts->many; i++) {
        Py_ssize_t found = find(line->at, &starts->where[i], cuts->who, cuts->url);
        if (found >= 0) {
            cuts->where = found;
            break;
        }
    }
    return 1;
}

static void commit(const unsigned char *salt, const char *from, Py_ssize_t octets, unsigned char *out)
{
    const Span parts[] = {{(const char *)salt, SALT}, {from, octets}};
    if (octets > 0)
        sha256(parts, 2, out);
    else
        memset(out, 0, HASH);
}

static char *write_octets(char *to, const char *from, Py_ssize_t octets)
{
    memcpy(to, from, (size_t)octets);
    return to + octets;
}

static char *write_hex(char *to, const unsigned char *from, int octets)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < octets; i++) {
        *to++ = digits[from[i] >> 4];
        *to++ = digits[from[i] & 15];
    }
    return to;
}

static char *write_number(char *to, uint64_t number)
{
    char digits[NUMBER_DIGITS];
    int many = 0;
    do digits[many++] = (char)('0' + number % 10);
    while (number /= 10);
    while (many) *to++ = digits[--many];
    return to;
}

/* Write one line with its proof; gives where the next one goes, and its hash in place of the one before. */
static char *link_one(const Span *line, const Cuts *cuts, uint64_t number,
                      const unsigned char *seed, unsigned char *before, char *to)
{
    unsigned char salts[64], numbered[8], commitments[3 * HASH];
    const Span from_seed = {(const char *)seed, SEED};
    sha512(&from_seed, salts);
    to = write_octets(to, line->at, line->octets - 1);
    to = write_octets(to, ",\"n\":", 5);
    to = write_number(to, number);
    to = write_octets(to, ",\"seed\":\"", 9);
    to = write_hex(to, seed, SEED);
    to = write_octets(to, "\",\"chain\":\"", 11);
    to = write_hex(to, before, HASH);
    to = write_octets(to, "\"}\n", 3);
    commit(salts, line->at + cuts->who, cuts->where - cuts->who, commitments);
    commit(salts + SALT, line->at + cuts->where, cuts->url - cuts->where, commitments + HASH);
    commit(salts + 2 * SALT, line->at + cuts->url, cuts->end - cuts->url, commitments + 2 * HASH);
    for (int i = 0; i < 8; i++) numbered[i] = (unsigned char)(number >> (56 - 8 * i));
    const Span parts[] = {
        {(const char *)before, HASH},
        {(const char *)numbered, sizeof numbered},
        {(const char *)commitments, sizeof commitments},
        {line->at, cuts->who},
    };
    sha256(parts, 4, before);
    return to;
}

typedef struct {
    Span line;
    Cuts cuts;
} Cut;

/* How many lines there are in a tuple of them, or in octets, where each has its end. */
static Py_ssize_t count_lines(PyObject *lines)
{
    if (PyTuple_CheckExact(lines)) return PyTuple_GET_SIZE(lines);
    const char *at = PyBytes_AS_STRING(lines), *end = at + PyBytes_GET_SIZE(lines);
    Py_ssize_t many = 0;
    while ((at = memchr(at, '\n', (size_t)(end - at)))) at++, many++;
    return many;
}

/* Find the lines; false where one is no octets. */
static int find_lines(PyObject *lines, Cut *each, Py_ssize_t many)
{
    const char *at = PyTuple_CheckExact(lines) ? NULL : PyBytes_AS_STRING(lines);
    for (Py_ssize_t i = 0; i < many; i++) {
        if (at) {
            const char *end = memchr(at, '\n', (size_t)(PyBytes_AS_STRING(lines) + PyBytes_GET_SIZE(lines) - at));
            each[i].line = (Span){at, end - at};
            at = end + 1;
        } else {
            PyObject *line = PyTuple_GET_ITEM(lines, i);
            if (!PyBytes_CheckExact(line)) return 0;
            each[i].line = (Span){PyBytes_AS_STRING(line), PyBytes_GET_SIZE(line)};
        }
    }
    return 1;
}

/* Look at all lines; gives the octets that they need once they are linked, or -1 where one is odd. */
static Py_ssize_t look(PyObject *lines, const Starts *starts, Cut *each, Py_ssize_t many)
{
    if (!find_lines(lines, each, many)) return -1;
    Py_ssize_t octets = 0;
    for (Py_ssize_t i = 0; i < many; i++) {
        if (!cut(&each[i].line, starts, &each[i].cuts)) return -1;
        octets += each[i].line.octets - 1 + PROOF + NUMBER_DIGITS + 2 * HASH;
    }
    return octets;
}

/* `lines` is a tuple or octets, which hold still while the lock is not held. */
static PyObject *linked(PyObject *lines, const Starts *starts, uint64_t count, const unsigned char *before,
                        PyObject *seeds)
{
    Py_ssize_t many = count_lines(lines);
    if (PyBytes_GET_SIZE(seeds) / SEED < many) Py_RETURN_NONE;
    PyObject *made = NULL, *outcome = NULL;
    unsigned char digest[HASH];
    Cut *each = PyMem_Malloc(sizeof *each * (size_t)(many ? many : 1));
    if (!each) return PyErr_NoMemory();
    Py_ssize_t octets = look(lines, starts, each, many);
    made = octets < 0 ? NULL : PyBytes_FromStringAndSize(NULL, octets);
    if (octets < 0) outcome = Py_NewRef(Py_None);
    if (made) {
        const unsigned char *seed = (const unsigned char *)PyBytes_AS_STRING(seeds);
        char *begin = PyBytes_AS_STRING(made), *end = begin;
        memcpy(digest, before, HASH);
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t i = 0; i < many; i++, seed += SEED)
            end = link_one(&each[i].line, &each[i].cuts, ++count, seed, digest, end);
        Py_END_ALLOW_THREADS
        if (!_PyBytes_Resize(&made, end - begin))
            outcome = Py_BuildValue("OKy#", made, (unsigned long long)count, digest, (Py_ssize_t)HASH);
    }
    PyMem_Free(each);
    Py_XDECREF(made);
    return outcome;
}

static Span span(PyObject *octets)
{
    return (Span){PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets)};
}

static int take_starts(PyObject *result, PyObject *where, PyObject *url, Starts *starts)
{
    starts->result = span(result);
    starts->url = span(url);
    if (PyTuple_GET_SIZE(where) > MOST_STARTS) return 0;
    starts->many = (int)PyTuple_GET_SIZE(where);
    for (int i = 0; i < starts->many; i++) {
        if (!PyBytes_CheckExact(PyTuple_GET_ITEM(where, i))) return 0;
        starts->where[i] = span(PyTuple_GET_ITEM(where, i));
    }
    return 1;
}

static PyObject *link_lines(PyObject *module, PyObject *args)
{
    PyObject *lines, *before, *seeds, *result, *where, *url;
    unsigned long long count;
    Starts starts;
    if (!PyArg_ParseTuple(args, "OKSSSO!S", &lines, &count, &before, &seeds, &result, &PyTuple_Type, &where, &url))
        return NULL;
    int is_list = PyList_CheckExact(lines);
    if ((!is_list && !PyBytes_CheckExact(lines)) || PyBytes_GET_SIZE(before) != HASH) Py_RETURN_NONE;
    if (!take_starts(result, where, url, &starts)) Py_RETURN_NONE;
    /* A copy of a list: nobody can take lines away from it while we read them. */
    PyObject *held = is_list ? PyList_AsTuple(lines) : Py_NewRef(lines);
    if (!held) return NULL;
    PyObject *outcome = linked(held, &starts, count, (const unsigned char *)PyBytes_AS_STRING(before), seeds);
    Py_DECREF(held);
    return outcome;
}

static PyObject *count(PyObject *module, PyObject *lines)
{
    if (!PyBytes_CheckExact(lines)) return PyErr_Format(PyExc_TypeError, "lines are octets");
    return PyLong_FromSsize_t(count_lines(lines));
}

static PyMethodDef functions[] = {
    {"count", count, METH_O, "count(lines)\n\nGive how many lines there are in octets: how often a line ends there."},
    {"link", link_lines, METH_VARARGS,
     "link(lines, count, digest, seeds, result, where, url)\n\n"
     "Link a list of lines, or octets in which each line has its end.  Give the linked lines, the count and the digest\n"
     "behind them; None for lines that are left to the twin in Python.  The last three are what the public members end with, and what the two last groups begin with."},
    {NULL, NULL, 0, NULL},
};

PART(chain, "The chain of records.", nothing_more)
