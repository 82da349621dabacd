/*
 * The password hash apr1 of Apache, of MD5 (RFC 1321) as libcrypto has it, without the lock of the interpreter.
 *
 * A hash is a thousand digests of some fifty octets, each of the one before.  Made one by one through an interpreter
 * what is around a digest costs more than the digest, and the exchanges of everybody else wait for the lock
 * meanwhile: a school of 2,000 people signs in within the same ten minutes.  The functions of MD5 alone are called,
 * which have no provider to look up and nothing to allocate; where libcrypto has them no more this part is left out.
 *
 * passlib has the twin, which makes and takes what has another shape; see corpproxy/backends/people/passwords.py.
 */
#include "module.h"
/* libcrypto would rather have its general functions called. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/md5.h>
#include <stdint.h>
#include <string.h>

enum { ROUNDS = 1000, DIGEST = MD5_DIGEST_LENGTH, MOST_SALT = 8, WRITTEN = 22, MOST_PASSWORD = 4096 };

typedef struct {
    const uint8_t *at;
    size_t many;
} Octets;

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

static PyObject *apr1(PyObject *module, PyObject *args)
{
    Py_buffer password, salt;
    uint8_t digest[DIGEST];
    char written[WRITTEN];
    if (!PyArg_ParseTuple(args, "y*y*", &password, &salt)) return NULL;
    int fits = password.len <= MOST_PASSWORD && salt.len <= MOST_SALT;
    if (fits) {
        Octets word = {password.buf, (size_t)password.len}, grains = {salt.buf, (size_t)salt.len};
        Py_BEGIN_ALLOW_THREADS
        first_digest(word, grains, digest);
        go_round(word, grains, digest);
        Py_END_ALLOW_THREADS
        write_digest(digest, written);
    }
    PyBuffer_Release(&password);
    PyBuffer_Release(&salt);
    if (fits) return PyUnicode_FromStringAndSize(written, WRITTEN);
    PyErr_SetString(PyExc_ValueError, "the password or the salt is too long");
    return NULL;
}

static PyMethodDef functions[] = {
    {"apr1", apr1, METH_VARARGS,
     "apr1(password, salt)\n\nThe 22 characters that stand behind the salt in $apr1$salt$..., for octets of a password."},
    {NULL, NULL, 0, NULL},
};

PART(apr1, "The password hash apr1.", nothing_more)
