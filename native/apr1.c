/*
 * The password hash apr1 of Apache, of MD5 (RFC 1321) as libcrypto has it, without the lock of the interpreter.
 *
 * A hash is a thousand digests of some fifty octets, each of the one before.  Made one by one through an interpreter
 * what is around a digest costs more than the digest, and the exchanges of everybody else wait for the lock
 * meanwhile: a school of 2,000 people signs in within the same ten minutes.  The functions of MD5 alone are called,
 * which have no provider to look up and nothing to allocate; where libcrypto has them no more this part is left out.
 *
 * Those of several people, a school that signs in after a start, go side by side (lanes.c).
 *
 * passlib has the twin, which makes and takes what has another shape; see corpproxy/backends/people/passwords.py.
 */
#include "lanes.h"
#include "module.h"
/* libcrypto would rather have its general functions called. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/md5.h>
#include <stdint.h>
#include <string.h>

enum { MOST_SALT = 8, WRITTEN = 22, MOST_PASSWORD = 4096 };

/* What the thousand rounds begin with. */
static void first_digest(Octets password, Octets salt, uint8_t digest[DIGEST])
{
    static const uint8_t nul = 0;
    MD5_CTX md5;
    MD5_Init(&md5);
    MD5_Update(&md5, password.at, password.many);
    MD5_Update(&md5, salt.at, salt.many);
    MD5_Update(&md5, password.at, password.many);
    MD5_Final(digest, &md5);
    MD5_Init(&md5);
    MD5_Update(&md5, password.at, password.many);
    MD5_Update(&md5, "$apr1$", 6);
    MD5_Update(&md5, salt.at, salt.many);
    for (size_t left = password.many; left;) {
        size_t part = left < DIGEST ? left : DIGEST;
        MD5_Update(&md5, digest, part);
        left -= part;
    }
    for (size_t bits = password.many; bits; bits >>= 1) MD5_Update(&md5, bits & 1 ? &nul : password.at, 1);
    MD5_Final(digest, &md5);
}

static void go_round(Octets password, Octets salt, uint8_t digest[DIGEST])
{
    MD5_CTX md5;
    for (int i = 0; i < ROUNDS; i++) {
        MD5_Init(&md5);
        if (i & 1) MD5_Update(&md5, password.at, password.many);
        else MD5_Update(&md5, digest, DIGEST);
        if (i % 3) MD5_Update(&md5, salt.at, salt.many);
        if (i % 7) MD5_Update(&md5, password.at, password.many);
        if (i & 1) MD5_Update(&md5, digest, DIGEST);
        else MD5_Update(&md5, password.at, password.many);
        MD5_Final(digest, &md5);
    }
}

/* Six bits to a character, the least first; the octets of the digest in the order that crypt gave them. */
static void write_digest(const uint8_t digest[DIGEST], char written[WRITTEN])
{
    static const char characters[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const uint8_t order[5][3] = {{0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}};
    uint32_t bits;
    for (int i = 0; i < 5; i++) {
        bits = (uint32_t)digest[order[i][0]] << 16 | (uint32_t)digest[order[i][1]] << 8 | digest[order[i][2]];
        for (int k = 0; k < 4; k++, bits >>= 6) *written++ = characters[bits & 63];
    }
    *written++ = characters[digest[11] & 63];
    *written = characters[digest[11] >> 6];
}

/* Take passwords and salts through everything, without the lock of the interpreter. */
static void hash_all(Lane lanes[], int many)
{
    Lane *together[LANES];
    int fit = 0;
    for (int i = 0; i < many; i++) {
        first_digest(lanes[i].password, lanes[i].salt, lanes[i].digest);
        if (many > 1 && fits_lane(&lanes[i])) together[fit++] = &lanes[i];
        else go_round(lanes[i].password, lanes[i].salt, lanes[i].digest);
    }
    if (fit) go_side_by_side(together, fit);
}

static Octets octets_of(PyObject *bytes)
{
    return (Octets){(const uint8_t *)PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)};
}

/* Look at a password and its salt, which whoever asks holds meanwhile. */
static int take_pair(Lane *lane, PyObject *pair)
{
    PyObject *password, *salt;
    if (!PyTuple_Check(pair)) {
        PyErr_SetString(PyExc_TypeError, "a password and a salt are a tuple");
        return -1;
    }
    if (!PyArg_ParseTuple(pair, "SS", &password, &salt)) return -1;
    if (PyBytes_GET_SIZE(password) > MOST_PASSWORD || PyBytes_GET_SIZE(salt) > MOST_SALT) {
        PyErr_SetString(PyExc_ValueError, "the password or the salt is too long");
        return -1;
    }
    lane->password = octets_of(password);
    lane->salt = octets_of(salt);
    return 0;
}

static PyObject *written_of(const Lane lanes[], int many)
{
    PyObject *all = PyList_New(many);
    for (int i = 0; all && i < many; i++) {
        char written[WRITTEN];
        write_digest(lanes[i].digest, written);
        PyObject *text = PyUnicode_FromStringAndSize(written, WRITTEN);
        if (text) PyList_SET_ITEM(all, i, text);
        else Py_CLEAR(all);
    }
    return all;
}

static PyObject *apr1(PyObject *module, PyObject *pairs)
{
    Lane lanes[LANES];
    /* A copy: nobody can take octets away from it while we read them. */
    PyObject *held = PySequence_Tuple(pairs), *all = NULL;
    if (!held) return NULL;
    int many = (int)PyTuple_GET_SIZE(held), taken = 0;
    if (PyTuple_GET_SIZE(held) > LANES) PyErr_SetString(PyExc_ValueError, "so many passwords are not taken at once");
    else while (taken < many && !take_pair(&lanes[taken], PyTuple_GET_ITEM(held, taken))) taken++;
    if (!PyErr_Occurred()) {
        Py_BEGIN_ALLOW_THREADS
        hash_all(lanes, many);
        Py_END_ALLOW_THREADS
        all = written_of(lanes, many);
    }
    Py_DECREF(held);
    return all;
}

static PyMethodDef functions[] = {
    {"apr1", apr1, METH_O,
     "apr1(pairs)\n\nThe 22 characters that stand behind the salt in $apr1$salt$..., for each of up to MOST pairs: the\n"
     "octets of a password, and a salt."},
    {NULL, NULL, 0, NULL},
};

static int add_most(PyObject *module)
{
    return PyModule_AddIntConstant(module, "MOST", LANES);
}

PART(apr1, "The password hash apr1.", add_most)
