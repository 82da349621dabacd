/*
 * Times as records write them.
 */
#ifndef CORPPROXY_MOMENT_H
#define CORPPROXY_MOMENT_H
#include "module.h"

#pragma GCC visibility push(hidden)

/* What in Python writes moments; set before the first is written. */
extern PyObject *utc_text;

/* As "2026-11-23T10:00:00.123Z". */
enum { MOMENT_LETTERS = 24 };

/* What is past this is left to Python: no whole number of microseconds below it is rounded in a double. */
#define MOST_SECONDS 4e9

/* Write a moment, in POSIX seconds; false, with or without an exception, for what is left to the twin. */
int write_moment(char *to, PyObject *at);

/* A moment, in POSIX seconds, as text; NULL, with or without an exception, for what is left to the twin. */
PyObject *moment_text(PyObject *at);

/* How many seconds it took, to the microsecond. */
PyObject *seconds_taken(double seconds);

/* The same in milliseconds; None where it was not measured, NULL as above. */
PyObject *milliseconds(PyObject *seconds);

#pragma GCC visibility pop

#endif
