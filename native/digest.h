/*
 * The digest that a header section is known again by.
 */
#ifndef CORPPROXY_DIGEST_H
#define CORPPROXY_DIGEST_H
#include "module.h"
#include <stdint.h>

#pragma GCC visibility push(hidden)

typedef struct {
    PyObject_HEAD
    uint64_t key[2];
} Digest;

extern PyType_Spec digest_spec;

/* The digest of some octets, as bytes. */
PyObject *digest_bytes(const Digest *self, const unsigned char *octets, Py_ssize_t many);

#pragma GCC visibility pop

#endif
