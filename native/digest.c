/*
 * The digest of a section: SipHash-2-4 of 128 bits, a keyed function made for this.
 *
 * Nobody who does not know the key can make two sections of one digest.  corpproxy/http1/sections.py says what it
 * is for.
 */
#include "digest.h"

enum { DIGEST_OCTETS = 16, KEY_OCTETS = 16 };

#define TURN(x, by) (((x) << (by)) | ((x) >> (64 - (by))))

static void sip_rounds(uint64_t v[4], int many)
{
    while (many--) {
        v[0] += v[1]; v[1] = TURN(v[1], 13); v[1] ^= v[0]; v[0] = TURN(v[0], 32);
        v[2] += v[3]; v[3] = TURN(v[3], 16); v[3] ^= v[2];
        v[0] += v[3]; v[3] = TURN(v[3], 21); v[3] ^= v[0];
        v[2] += v[1]; v[1] = TURN(v[1], 17); v[1] ^= v[2]; v[2] = TURN(v[2], 32);
    }
}

static uint64_t little_endian(const unsigned char *octets, int many)
{
    uint64_t number = 0;
    for (int i = 0; i < many; i++) number |= (uint64_t)octets[i] << (8 * i);
    return number;
}

static void digest_of(const uint64_t key[2], const unsigned char *octets, size_t many, unsigned char *out)
{
    uint64_t v[4] = {
        key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
        key[0] ^ UINT64_C(0x6c7967656e657261), key[1] ^ UINT64_C(0x7465646279746573),
    };
    size_t whole = many & ~(size_t)7;
    for (size_t at = 0; at < whole; at += 8) {
        uint64_t word = little_endian(octets + at, 8);
        v[3] ^= word;
        sip_rounds(v, 2);
        v[0] ^= word;
    }
    uint64_t last = little_endian(octets + whole, (int)(many & 7)) | (uint64_t)many << 56;
    v[3] ^= last;
    sip_rounds(v, 2);
    v[0] ^= last;
    v[2] ^= 0xee;
    sip_rounds(v, 4);
    for (int half = 0; half < 2; half++) {
        uint64_t word = v[0] ^ v[1] ^ v[2] ^ v[3];
        for (int i = 0; i < 8; i++) *out++ = (unsigned char)(word >> (8 * i));
        if (!half) {
            v[1] ^= 0xdd;
            sip_rounds(v, 4);
        }
    }
}

PyObject *digest_bytes(const Digest *self, const unsigned char *octets, Py_ssize_t many)
{
    unsigned char made[DIGEST_OCTETS];
    digest_of(self->key, octets, (size_t)many, made);
    return PyBytes_FromStringAndSize((const char *)made, DIGEST_OCTETS);
}

static int digest_init(Digest *self, PyObject *args, PyObject *names)
{
    const char *key;
    Py_ssize_t octets;
    if (!PyArg_ParseTuple(args, "y#", &key, &octets)) return -1;
    if (octets != KEY_OCTETS) {
        PyErr_SetString(PyExc_ValueError, "the key has 16 octets");
        return -1;
    }
    self->key[0] = little_endian((const unsigned char *)key, 8);
    self->key[1] = little_endian((const unsigned char *)key + 8, 8);
    return 0;
}

static PyObject *digest_method(Digest *self, PyObject *octets)
{
    if (!PyBytes_Check(octets)) {
        PyErr_SetString(PyExc_TypeError, "a digest is one of bytes");
        return NULL;
    }
    return digest_bytes(self, (const unsigned char *)PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets));
}

static PyMethodDef digest_methods[] = {
    {"of", (PyCFunction)digest_method, METH_O, "The keyed digest of some octets."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot digest_slots[] = {
    {Py_tp_doc, "Keyed digests of 16 octets (SipHash-2-4)."},
    {Py_tp_init, digest_init},
    {Py_tp_methods, digest_methods},
    {0, NULL},
};

PyType_Spec digest_spec = {
    .name = "corpproxy._heads.Digest",
    .basicsize = sizeof(Digest),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = digest_slots,
};
