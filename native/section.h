/*
 * Header sections as octets, line by line.
 *
 * A section is sound: lines that each have a name, CR LF between them and none behind the last.
 */
#ifndef CORPPROXY_SECTION_H
#define CORPPROXY_SECTION_H
#include "module.h"
#include <string.h>

typedef const unsigned char *Place;

typedef struct {
    Place at, colon, end;       /* the line; where its name ends; where CR LF, or nothing, follows */
} Line;

typedef struct {
    Place next, end;
} Left;

static inline Left lines_of(PyObject *section)
{
    Place at = (Place)PyBytes_AS_STRING(section);
    Left left = {PyBytes_GET_SIZE(section) ? at : NULL, at + PyBytes_GET_SIZE(section)};
    return left;
}

static inline int take(Left *left, Line *line)
{
    if (!left->next) return 0;
    Place at = left->next, cr = at;
    for (;; cr++) {
        cr = memchr(cr, '\r', (size_t)(left->end - cr));
        if (!cr || (cr + 1 < left->end && cr[1] == '\n')) break;
    }
    line->at = at;
    line->end = cr ? cr : left->end;
    line->colon = memchr(at, ':', (size_t)(line->end - at));
    if (!line->colon) line->colon = line->end;
    left->next = cr ? cr + 2 : NULL;
    return 1;
}

static inline unsigned char lower(unsigned char octet)
{
    return octet >= 'A' && octet <= 'Z' ? octet | 0x20 : octet;
}

/* Whether a line has a name of so many octets, which is in lower case. */
static inline int is_called(const Line *line, const char *name, Py_ssize_t many)
{
    if (line->colon - line->at != many) return 0;
    for (Py_ssize_t i = 0; i < many; i++)
        if (lower(line->at[i]) != (unsigned char)name[i]) return 0;
    return 1;
}

/* The value of a line, without the space around it. */
static inline void value_of(const Line *line, Place *from, Place *to)
{
    *from = line->colon < line->end ? line->colon + 1 : line->end;
    *to = line->end;
    while (*from < *to && (**from == ' ' || **from == '\t')) (*from)++;
    while (*from < *to && ((*to)[-1] == ' ' || (*to)[-1] == '\t')) (*to)--;
}

static inline int is_octets(PyObject *object)
{
    if (PyBytes_CheckExact(object)) return 1;
    PyErr_SetString(PyExc_TypeError, "bytes are expected");
    return 0;
}

static inline int has_arguments(Py_ssize_t many, Py_ssize_t wanted)
{
    if (many == wanted) return 1;
    PyErr_Format(PyExc_TypeError, "%zd arguments are expected", wanted);
    return 0;
}

/* target.c */
PyObject *read_target(PyObject *module, PyObject *const *words, Py_ssize_t many);
PyObject *ordinary_host(PyObject *module, PyObject *written);
PyObject *set_target(PyObject *module, PyObject *const *words, Py_ssize_t many);
PyObject *set_host(PyObject *module, PyObject *type);

#endif
