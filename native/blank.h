/*
 * The line of a record like one before, with blanks for what each has for itself.
 */
#ifndef CORPPROXY_BLANK_H
#define CORPPROXY_BLANK_H
#include "books.h"

#pragma GCC visibility push(hidden)

/* What is the same in all, one part behind the other; the parts end where blanks are. */
enum { BEFORE_ID, BEFORE_STATUS, BEFORE_RESULT, BEFORE_UPSTREAM, BEFORE_PATH, PARTS };

typedef struct {
    PyObject_VAR_HEAD
    /* What the metrics count by, and the status of an opening. */
    PyObject *decision, *method, *status;
    int is_tunnel;
    Py_ssize_t ends[PARTS];
    char octets[];
} Blank;

/* What a line says. */
typedef enum { FORWARDED_LINE, OPENING_LINE, CLOSING_LINE } Saying;

extern PyTypeObject *blank_class;
extern PyType_Spec blank_spec;

/* What in Python writes a record as a line, and the kinds and results that are known: set before they are used. */
extern PyObject *encodes, *kind_exchange, *kind_opening, *result_open;

/* Make a blank of a record like those to come; NULL, with or without an exception, where it is for the twins. */
PyObject *make_blank(PyObject *record);

/* At most so many octets has the line of an exchange; -1 where one of its texts is none. */
Py_ssize_t most_octets(const Blank *blank, PyObject *exchange);

/* Write the line of an exchange, which took so many seconds; its octets, or -1 where it is for the twins. */
Py_ssize_t write_line(const Blank *blank, PyObject *exchange, Saying saying, double seconds, char *to);

#pragma GCC visibility pop

#endif
