/*
 * The password hash apr1 of Apache, and the MD5 (RFC 1321) that it is made of, without the lock of the interpreter.
 *
 * A hash is a thousand digests of some fifty octets, each of the one before.  Made one by one through an interpreter
 * and a library of ciphers, what is around a digest costs more than the digest, and the exchanges of everybody
 * else wait for the lock meanwhile: a school of 2,000 people signs in within the same ten minutes.
 *
 * passlib has the twin, which makes and takes what has another shape; see corpproxy/backends/people/passwords.py.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

#include "form.h"

enum { ROUNDS = 1000, BLOCK = 64, LENGTH_AT = 56, DIGEST = 16, MOST_SALT = 8, WRITTEN = 22, MOST_PASSWORD = 4096 };

typedef struct {
    uint32_t state[4];
    uint64_t octets;
    uint8_t block[BLOCK];
} Md5;

/* The sines of RFC 1321, section 3.4, and by how much each round turns. */
static const uint32_t sines[BLOCK] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

static uint32_t turned(uint32_t word, int by)
{
    return word << by | word >> (32 - by);
}

static uint32_t word_at(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put_word(uint8_t *at, uint32_t word)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(word >> 8 * i);
}

#define CHOOSE(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define CHOOSE_BACK(x, y, z) CHOOSE(z, x, y)
#define PARITY(x, y, z) ((x) ^ (y) ^ (z))
#define ODD_ONE(x, y, z) ((y) ^ ((x) | ~(z)))
#define STEP(mix, a, b, c, d, word, at, by) a = b + turned(a + mix(b, c, d) + words[word] + sines[at], by)
/* Sixteen steps, four at a time; `first` and `step` say which words they take. */
#define ROUND(mix, begin, first, step, s0, s1, s2, s3)                                    \
    for (int i = 0; i < 16; i += 4) {                                                     \
        STEP(mix, a, b, c, d, (first + step * i) & 15, begin + i, s0);                    \
        STEP(mix, d, a, b, c, (first + step * (i + 1)) & 15, begin + i + 1, s1);          \
        STEP(mix, c, d, a, b, (first + step * (i + 2)) & 15, begin + i + 2, s2);          \
        STEP(mix, b, c, d, a, (first + step * (i + 3)) & 15, begin + i + 3, s3);          \
    }

static void take_block(uint32_t state[4], const uint8_t *block)
{
    uint32_t words[16], a = state[0], b = state[1], c = state[2], d = state[3];
    for (int i = 0; i < 16; i++) words[i] = word_at(block + 4 * i);
    ROUND(CHOOSE, 0, 0, 1, 7, 12, 17, 22)
    ROUND(CHOOSE_BACK, 16, 1, 5, 5, 9, 14, 20)
    ROUND(PARITY, 32, 5, 3, 4, 11, 16, 23)
    ROUND(ODD_ONE, 48, 0, 7, 6, 10, 15, 21)
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

static void begin_md5(Md5 *md5)
{
    static const uint32_t first[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    memcpy(md5->state, first, sizeof first);
    md5->octets = 0;
}

static void add(Md5 *md5, const void *from, size_t many)
{
    const uint8_t *octets = from;
    size_t there = md5->octets % BLOCK;
    md5->octets += many;
    while (many) {
        size_t part = many < BLOCK - there ? many : BLOCK - there;
        memcpy(md5->block + there, octets, part);
        octets += part;
        many -= part;
        there += part;
        if (there == BLOCK) {
            take_block(md5->state, md5->block);
            there = 0;
        }
    }
}

static void end_md5(Md5 *md5, uint8_t digest[DIGEST])
{
    size_t there = md5->octets % BLOCK;
    md5->block[there++] = 0x80;
    if (there > LENGTH_AT) {
        memset(md5->block + there, 0, BLOCK - there);
        take_block(md5->state, md5->block);
        there = 0;
    }
    memset(md5->block + there, 0, LENGTH_AT - there);
    put_word(md5->block + LENGTH_AT, (uint32_t)(md5->octets << 3));
    put_word(md5->block + LENGTH_AT + 4, (uint32_t)(md5->octets >> 29));
    take_block(md5->state, md5->block);
    for (int i = 0; i < 4; i++) put_word(digest + 4 * i, md5->state[i]);
}

/* ---- apr1 ---- */

typedef struct {
    const uint8_t *at;
    size_t many;
} Octets;

/* What the thousand rounds begin with. */
static void first_digest(Octets password, Octets salt, uint8_t digest[DIGEST])
{
    static const uint8_t nul = 0;
    Md5 md5;
    begin_md5(&md5);
    add(&md5, password.at, password.many);
    add(&md5, salt.at, salt.many);
    add(&md5, password.at, password.many);
    end_md5(&md5, digest);
    begin_md5(&md5);
    add(&md5, password.at, password.many);
    add(&md5, "$apr1$", 6);
    add(&md5, salt.at, salt.many);
    for (size_t left = password.many; left;) {
        size_t part = left < DIGEST ? left : DIGEST;
        add(&md5, digest, part);
        left -= part;
    }
    for (size_t bits = password.many; bits; bits >>= 1) add(&md5, bits & 1 ? &nul : password.at, 1);
    end_md5(&md5, digest);
}

static void go_round(Octets password, Octets salt, uint8_t digest[DIGEST])
{
    Md5 md5;
    for (int i = 0; i < ROUNDS; i++) {
        begin_md5(&md5);
        if (i & 1) add(&md5, password.at, password.many);
        else add(&md5, digest, DIGEST);
        if (i % 3) add(&md5, salt.at, salt.many);
        if (i % 7) add(&md5, password.at, password.many);
        if (i & 1) add(&md5, digest, DIGEST);
        else add(&md5, password.at, password.many);
        end_md5(&md5, digest);
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

static int begin(PyObject *module)
{
    return PyModule_AddIntConstant(module, "FORM", CORPPROXY_FORM);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, begin},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "corpproxy._apr1", "The password hash apr1.", 0, functions, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__apr1(void)
{
    return PyModuleDef_Init(&definition);
}
