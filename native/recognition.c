/*
 * Credentials that were checked before, known again: who sent them, as it is now.
 *
 * corpproxy/backends/people/recognition.py says what is done here and why, and has the twin.  Nothing is kept here of
 * what was found: each time it is looked up where it stands, so that what is forgotten there is forgotten at once.
 */
#include "ahead.h"
#include <stddef.h>

/* Class, member, name of the member. */
#define PEOPLE_MEMBERS(M)                                                                                              \
    M(reception, sign_in, "_sign_in")                                                                                  \
    M(sign_in, counts, "counts")                                                                                       \
    M(sign_in, people, "people")                                                                                       \
    M(sign_in, right, "_right")                                                                                        \
    M(counts, remembered, "remembered")                                                                                \
    M(people, identities, "_identities")

#define PEOPLE_CLASSES(C) C(reception) C(sign_in) C(counts) C(people)

#define A_CLASS(class) static PyTypeObject *class##_class;
#define A_MEMBER(class, member, text) static Py_ssize_t class##_##member;
PEOPLE_CLASSES(A_CLASS)
PEOPLE_MEMBERS(A_MEMBER)
#undef A_CLASS
#undef A_MEMBER

/* What recalls in Python; the number one; the source of an identity whose name was proven by a password. */
static PyObject *again_in_python, *one, *basic;

/* The digest of credentials, and the reception that knows whose they are. */
typedef struct {
    PyObject_HEAD
    PyObject *reception, *digest;
} Recognition;

static PyTypeObject *recognition_type;

/* An entry of what was right: a name, since when, until when. */
enum { ENTRY_NAME, ENTRY_SINCE, ENTRY_UNTIL, ENTRY };

static int is_entry(PyObject *entry)
{
    return PyTuple_CheckExact(entry) && PyTuple_GET_SIZE(entry) == ENTRY &&
           PyUnicode_CheckExact(PyTuple_GET_ITEM(entry, ENTRY_NAME)) &&
           PyFloat_CheckExact(PyTuple_GET_ITEM(entry, ENTRY_SINCE)) && PyFloat_CheckExact(PyTuple_GET_ITEM(entry, ENTRY_UNTIL));
}

/* The identity of somebody who signed in, as People.identity gives it. */
static PyObject *identity_of(PyObject *people, PyObject *name)
{
    PyObject *identities = OF(people, people, identities);
    if (!identities || !PyDict_CheckExact(identities)) return PyObject_CallMethodOneArg(people, name_identity, name);
    PyObject *basics = PyDict_GetItemWithError(identities, basic), *found = NULL;
    if (basics && PyDict_CheckExact(basics)) found = PyDict_GetItemWithError(basics, name);
    if (found) return Py_NewRef(found);
    return PyErr_Occurred() ? NULL : PyObject_CallMethodOneArg(people, name_identity, name);
}

/* Who stands in an entry that holds; None where it does not. */
static PyObject *admitted(PyObject *sign_in, PyObject *entry, double now)
{
    double since = PyFloat_AS_DOUBLE(PyTuple_GET_ITEM(entry, ENTRY_SINCE));
    double until = PyFloat_AS_DOUBLE(PyTuple_GET_ITEM(entry, ENTRY_UNTIL));
    if (!(since <= now && now < until)) Py_RETURN_NONE;
    PyObject *counts = OF(sign_in, sign_in, counts);
    if (add_to(slot(counts, counts_remembered), one)) return NULL;
    /* Making an identity may call whom it likes. */
    PyObject *people = Py_NewRef(OF(sign_in, sign_in, people)), *name = Py_NewRef(PyTuple_GET_ITEM(entry, ENTRY_NAME));
    PyObject *identity = identity_of(people, name);
    Py_DECREF(people);
    Py_DECREF(name);
    return identity;
}

static PyObject *in_python(const Recognition *self, PyObject *now)
{
    if (!again_in_python) return PyErr_Format(PyExc_TypeError, "nobody said who recalls credentials");
    PyObject *words[] = {self->reception, self->digest, now};
    return PyObject_Vectorcall(again_in_python, words, 3, NULL);
}

static PyObject *recognise(const Recognition *self, PyObject *now)
{
    PyObject *sign_in = IS(reception, self->reception) ? OF(reception, self->reception, sign_in) : NULL;
    if (!now || !PyFloat_CheckExact(now) || !IS(sign_in, sign_in)) return in_python(self, now);
    PyObject *right = OF(sign_in, sign_in, right);
    if (!right || !PyDict_CheckExact(right) || !PyBytes_CheckExact(self->digest)) return in_python(self, now);
    if (!IS(people, OF(sign_in, sign_in, people)) || !IS(counts, OF(sign_in, sign_in, counts))) return in_python(self, now);
    PyObject *entry = PyDict_GetItemWithError(right, self->digest);
    if (!entry) return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    return is_entry(entry) ? admitted(sign_in, entry, PyFloat_AS_DOUBLE(now)) : in_python(self, now);
}

PyObject *identity_again(PyObject *again, PyObject *now)
{
    if (!is_set(again) || !is_set(now)) return NULL;
    if (!Py_IS_TYPE(again, recognition_type)) return PyObject_CallOneArg(again, now);
    Py_INCREF(again);
    PyObject *identity = recognise((Recognition *)again, now);
    Py_DECREF(again);
    return identity;
}

/* ---- The class ---- */

static PyObject *recognition_call(PyObject *self, PyObject *words, PyObject *names)
{
    if (PyTuple_GET_SIZE(words) != 1 || (names && PyDict_GET_SIZE(names)))
        return PyErr_Format(PyExc_TypeError, "the moment is expected");
    return identity_again(self, PyTuple_GET_ITEM(words, 0));
}

static PyObject *recognition_new(PyTypeObject *type, PyObject *words, PyObject *names)
{
    static char *known[] = {"reception", "digest", NULL};
    PyObject *reception, *digest;
    if (!PyArg_ParseTupleAndKeywords(words, names, "OS", known, &reception, &digest)) return NULL;
    Recognition *self = (Recognition *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->reception = Py_NewRef(reception);
    self->digest = Py_NewRef(digest);
    return (PyObject *)self;
}

static int recognition_traverse(Recognition *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->reception);
    return 0;
}

static void recognition_dealloc(Recognition *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->reception);
    Py_CLEAR(self->digest);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

/* As with a tuple, its members stay as they are: a cycle through it ends elsewhere. */
static PyType_Slot recognition_slots[] = {
    {Py_tp_doc, "Says later who sent credentials: it holds a digest of them, and not their value."},
    {Py_tp_new, recognition_new},
    {Py_tp_call, recognition_call},
    {Py_tp_traverse, recognition_traverse},
    {Py_tp_dealloc, recognition_dealloc},
    {0, NULL},
};

PyType_Spec recognition_spec = {
    .name = "corpproxy._ahead.Recognition",
    .basicsize = sizeof(Recognition),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = recognition_slots,
};

/* set_recognition(classes, again, source) */
PyObject *set_recognition(PyObject *module, PyObject *args)
{
    PyObject *classes, *again, *source;
    if (!PyArg_ParseTuple(args, "O!OU", &PyDict_Type, &classes, &again, &source)) return NULL;
#define TAKE_CLASS(class)                                                                                              \
    if (take_class(&class##_class, classes, #class)) return NULL;
    PEOPLE_CLASSES(TAKE_CLASS)
#define TAKE_MEMBER(class, member, text)                                                                               \
    if ((class##_##member = offset_of(class##_class, text)) < 0) return NULL;
    PEOPLE_MEMBERS(TAKE_MEMBER)
    Py_XSETREF(again_in_python, Py_NewRef(again));
    Py_XSETREF(basic, Py_NewRef(source));
    Py_RETURN_NONE;
}

int add_recognition(PyObject *module)
{
    if (!one && !(one = PyLong_FromLong(1))) return -1;
    return add_type(module, &recognition_spec, &recognition_type);
}
