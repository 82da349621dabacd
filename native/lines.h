/*
 * Lines of records in memory, until a batch of them goes to the disk.
 */
#ifndef CORPPROXY_LINES_H
#define CORPPROXY_LINES_H
#include "module.h"

#pragma GCC visibility push(hidden)

typedef struct {
    PyObject_HEAD
    /* What is written: more octets than are used yet; NULL while there are none. */
    PyObject *octets;
    Py_ssize_t used, usual;
    /* As the twin has them. */
    Py_ssize_t bound, count, due, most;
    PyObject *fresh, *when_due;
} Lines;

extern PyTypeObject *lines_class;
extern PyType_Spec lines_spec;
int keep_lines_names(void);

/* Where a line of at most so many octets may be written; NULL with an exception, or where there is no room for it. */
char *begin_line(PyObject *lines, Py_ssize_t octets);

/* The line is written, and has so many octets; -1 with an exception. */
int end_line(PyObject *lines, Py_ssize_t octets);

#pragma GCC visibility pop

#endif
