/*
 * The beginning of an exchange: its head comes, and what may go ahead of the road goes.
 *
 * corpproxy/net/beginning.py says what is done here and why, and has the twins.  Taken here is a request whose head
 * came whole and asks nothing of the hops; all else is for the twin.
 */
#include "ahead.h"
#include <string.h>

/* As audit/reference.py has them. */
enum { EPOCH = 1767225600, PER_SECOND = 1 << 20, BEFORE = 10, LENGTH = 14 };
static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* Write a count as four characters behind a prefix. */
static PyObject *reference_of(PyObject *prefix, long count)
{
    PyObject *made = PyUnicode_New(LENGTH, 127);
    if (!made) return NULL;
    Py_UCS1 *text = PyUnicode_1BYTE_DATA(made);
    memcpy(text, PyUnicode_1BYTE_DATA(prefix), BEFORE);
    for (int at = LENGTH - 1; at >= BEFORE; at--, count >>= 5) text[at] = (Py_UCS1)alphabet[count & 31];
    return made;
}

/* The next reference of an exchange that begins at a moment. */
PyObject *next_reference(PyObject *references, PyObject *at)
{
    if (IS(references, references) && at && PyFloat_CheckExact(at)) {
        PyObject *prefix = OF(references, references, prefix), **place = slot(references, references_count);
        double second = PyFloat_AS_DOUBLE(at) - EPOCH;
        long now = OF(references, references, second) ? PyLong_AsLong(OF(references, references, second)) : -1;
        long count = *place ? PyLong_AsLong(*place) : PER_SECOND;
        if (PyErr_Occurred()) return NULL;
        int is_same_second = second >= 0 && now >= 0 && second < (double)now + 1 && count >= 0 && count < PER_SECOND;
        if (is_same_second && prefix && PyUnicode_CheckExact(prefix) && PyUnicode_IS_COMPACT_ASCII(prefix) &&
            PyUnicode_GET_LENGTH(prefix) == BEFORE) {
            PyObject *more = PyLong_FromLong(count + 1);
            if (!more) return NULL;
            Py_SETREF(*place, more);
            return reference_of(prefix, count);
        }
    }
    if (!is_set(references) || !is_set(at)) return NULL;
    return PyObject_CallMethodOneArg(references, name_next, at);
}

static PyObject *make_exchange(PyObject *self, PyObject *proxy, PyObject *in_force)
{
    PyObject *references = PROXY(proxy, references), *began = OF(downstream, self, began);
    PyObject *reference = references ? next_reference(references, began) : NULL;
    Py_XDECREF(references);
    if (!reference) return NULL;
    PyObject *words[] = {in_force, OF(downstream, self, mode), OF(downstream, self, listener),
                         OF(downstream, self, address), began, reference};
    PyObject *made = NULL;
    if (is_set(words[1]) && is_set(words[2]) && is_set(words[3]))
        made = PyObject_Vectorcall(object_new_exchange, words, 6, NULL);
    Py_DECREF(reference);
    if (made && !(IS(exchange, made) && IS(account, OF(exchange, made, account)))) {
        Py_CLEAR(made);
        PyErr_SetString(PyExc_TypeError, "this is no exchange");
    }
    return made;
}

/* Whether the head asks nothing of the hops; 0 for the twin, -1 with an exception. */
static int is_plain(PyObject *head)
{
    if (!Py_IS_TYPE(head, request_head_class)) return 0;
    PyObject *fields = PyTuple_GET_ITEM(head, 3), *outline = IS(fields, fields) ? OF(fields, fields, outline) : NULL;
    if (!IS(outline, outline) || PyLong_AsLong(PyTuple_GET_ITEM(head, 2)) != VERSION) return PyErr_Occurred() ? -1 : 0;
    PyObject *plain = OF(outline, outline, is_plain);
    if (plain == Py_True) return 1;
    if (plain != Py_None) return 0;
    PyObject *found = PyObject_CallOneArg(object_is_plain, head);
    Py_XDECREF(found);
    return found ? found == Py_True : -1;
}

/* One that began before what is in force now is decided again: tell the rounds. */
static int tell_rounds(PyObject *self, PyObject *proxy)
{
    PyObject *rounds = PROXY(proxy, rounds), *since = rounds ? PyObject_GetAttr(rounds, name_since) : NULL;
    int is_late = since ? PyObject_RichCompareBool(OF(downstream, self, began), since, Py_LT) : -1;
    if (is_late > 0) is_late = call_method(rounds, name_late, self);
    Py_XDECREF(rounds);
    Py_XDECREF(since);
    return is_late;
}

static int put_head(PyObject *self, PyObject *proxy, PyObject *exchange, PyObject *head)
{
    PyObject *outline = OF(fields, PyTuple_GET_ITEM(head, 3), outline);
    PyObject *stopping = PROXY(proxy, stopping);
    int keep = stopping ? PyObject_IsTrue(stopping) : -1;
    Py_XDECREF(stopping);
    if (keep < 0) return -1;
    keep = !keep && OF(outline, outline, closes) != Py_True;
    PUT(exchange, exchange, head, Py_NewRef(head));
    PUT(exchange, exchange, fields, Py_NewRef(PyTuple_GET_ITEM(head, 3)));
    PUT(exchange, exchange, method, Py_NewRef(PyTuple_GET_ITEM(head, 0)));
    PUT(account, OF(exchange, exchange, account), received, Py_NewRef(PyTuple_GET_ITEM(head, 4)));
    PUT(exchange, exchange, body, Py_NewRef(object_no_body));
    PUT(exchange, exchange, keep, PyBool_FromLong(keep));
    PUT(downstream, self, upload, Py_NewRef(Py_None));
    return 0;
}

/* Go ahead of the road with what is known: 0 where that begins first. */
static int go_ahead(PyObject *self, PyObject *exchange)
{
    PyObject *head = OF(exchange, exchange, head), *outline = OF(fields, PyTuple_GET_ITEM(head, 3), outline);
    PyObject *known = OF(outline, outline, known);
    if (!known || !PyDict_Check(known) || !PyDict_GET_SIZE(known)) return 0;
    int sent = go_known(self, exchange);
    if (sent >= 0) return sent;
    if (PyErr_ExceptionMatches(object_refusal)) {
        PyErr_Clear(); /* its road says so */
        return 0;
    }
    return tell_ended(self, 1) ? -1 : 1;
}

static int take_road(PyObject *self, PyObject *proxy, PyObject *exchange)
{
    PyObject *admission = PROXY(proxy, admission);
    int may = admission ? admission_may_begin(admission, exchange) : -1;
    PyObject *refusal = Py_None;
    if (admission && !may) refusal = PyObject_CallMethodOneArg(admission, name_refusal, exchange);
    Py_XDECREF(admission);
    if (may < 0 || !refusal) return -1;
    if (refusal != Py_None) {
        int failed = call_method(self, name_turn_away, refusal);
        Py_DECREF(refusal);
        return failed;
    }
    int sent = go_ahead(self, exchange);
    return sent ? (sent < 0 ? -1 : 0) : call_method(self, name_take_road, exchange);
}

/* Begin an exchange; 0 for the twin, -1 with an exception. */
static int begin(PyObject *self, PyObject *head)
{
    if (!IS(downstream, self) || !OF(downstream, self, held)) return 0;
    int plain = is_plain(head);
    PyObject *proxy = OF(downstream, self, proxy), *in_force = plain > 0 ? PROXY(proxy, in_force) : NULL;
    if (!in_force) return plain > 0 ? -1 : plain;
    PUT(downstream, self, deadline, Py_NewRef(object_never));
    PUT(downstream, self, sink, Py_NewRef(OF(downstream, self, held)));
    PyObject *exchange = make_exchange(self, proxy, in_force);
    Py_DECREF(in_force);
    if (!exchange) return -1;
    PUT(downstream, self, exchange, Py_NewRef(exchange));
    int failed = tell_rounds(self, proxy) || put_head(self, proxy, exchange, head) || take_road(self, proxy, exchange);
    Py_DECREF(exchange);
    return failed ? -1 : 1;
}

/* ---- The head ---- */

/* The reader that all connections share, if it is that of what is in force and holds nothing. */
static PyObject *shared_reader(PyObject *proxy, PyObject *in_force)
{
    PyObject *heads = PROXY(proxy, heads), *reader = NULL;
    if (IS(heads, heads) && IS(in_force, in_force) && OF(heads, heads, sections) == OF(in_force, in_force, sections))
        reader = OF(heads, heads, reader);
    if (!IS(request_reader, reader) || OF(request_reader, reader, held) != Py_None) reader = NULL;
    Py_XINCREF(reader);
    Py_XDECREF(heads);
    return reader;
}

/* Read a head that came whole; NULL, without an exception where it is for the twin. */
static PyObject *read_head(PyObject *reader, PyObject *data)
{
    PyObject *limits = OF(request_reader, reader, limits), *rest = OF(request_reader, reader, rest);
    if (!IS(limits, limits) || !rest || !PyBytes_CheckExact(rest) || PyBytes_GET_SIZE(rest)) return NULL;
    PyObject *words[] = {reader, data, OF(request_reader, reader, sections), OF(limits, limits, head_octets),
                         OF(limits, limits, target_octets), OF(limits, limits, fields)};
    PyObject *head = is_set(words[2]) ? PyObject_Vectorcall(object_read_request, words, 6, NULL) : NULL;
    if (head == Py_None) Py_CLEAR(head);
    return head;
}

/* The client is waited for from now on, until its head is whole. */
static int wait_for_head(PyObject *self, PyObject *proxy)
{
    PyObject *now_in_posix = PROXY(proxy, now), *began = now_in_posix ? PyObject_CallNoArgs(now_in_posix) : NULL;
    Py_XDECREF(now_in_posix);
    if (!began) return -1;
    PUT(downstream, self, began, began);
    PyObject *timeouts = OF(downstream, self, timeouts), *now = member_of(OF(downstream, self, deadlines), name_now);
    PyObject *until = now && IS(timeouts, timeouts) ? PyNumber_Add(now, OF(timeouts, timeouts, head)) : NULL;
    Py_XDECREF(now);
    if (!until) return PyErr_Occurred() ? -1 : 0;
    PUT(downstream, self, deadline, until);
    return 1;
}

/* Take a head that came whole, and begin its exchange; 0 for the twin. */
static int take_head(PyObject *self, PyObject *data)
{
    if (!IS(downstream, self) || !PyBytes_CheckExact(data) || OF(downstream, self, reader) != Py_None) return 0;
    if (OF(downstream, self, closing) != Py_False || !IS(held, OF(downstream, self, held))) return 0;
    PyObject *proxy = OF(downstream, self, proxy), *in_force = PROXY(proxy, in_force);
    PyObject *reader = in_force ? shared_reader(proxy, in_force) : NULL;
    Py_XDECREF(in_force);
    if (!reader) return PyErr_Occurred() ? -1 : 0;
    int taken = wait_for_head(self, proxy);
    PyObject *head = taken > 0 ? read_head(reader, data) : NULL;
    if (head) {
        PUT(held, OF(downstream, self, held), octets_held, Py_NewRef(OF(request_reader, reader, rest)));
        PUT(request_reader, reader, rest, Py_NewRef(no_octets));
        taken = begin(self, head);
        if (!taken) taken = call_method(self, name_begin_in_python, head) ? -1 : 1;
        Py_DECREF(head);
    } else if (taken > 0) {
        taken = PyErr_Occurred() ? -1 : 0;
    }
    Py_DECREF(reader);
    return taken;
}

static PyObject *told(PyObject *self, int done, PyObject *twin, PyObject *word)
{
    if (!done) return PyObject_CallMethodOneArg(self, twin, word);
    if (done < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *beginning_octets(PyObject *self, PyObject *data)
{
    return told(self, take_head(self, data), name_octets_in_python, data);
}

static PyObject *beginning_begin(PyObject *self, PyObject *head)
{
    return told(self, begin(self, head), name_begin_in_python, head);
}

static PyMethodDef beginning_methods[] = {
    {"octets", beginning_octets, METH_O, "Take octets of a request head."},
    {"_begin", beginning_begin, METH_O, "Begin the exchange of a head."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot beginning_slots[] = {
    {Py_tp_doc, "How exchanges of a client begin."},
    {Py_tp_methods, beginning_methods},
    {0, NULL},
};

PyType_Spec beginning_spec = {
    .name = "corpproxy._ahead.Beginning",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = beginning_slots,
};
