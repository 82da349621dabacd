/*
 * Makes objects as their classes would, by copying the members of one that was made before.
 *
 * corpproxy/born.py says what is done here and why.  Most members of what is made for each exchange are the same each
 * time: forty of them are copied in the time in which the interpreter sets two.
 */
#include "module.h"
#include "slots.h"
#include <stddef.h>

enum { MOST = 16 /* members that are given, and that are made anew */ };

typedef struct {
    PyObject_HEAD
    PyObject *like;
    Py_ssize_t given[MOST], fresh[MOST];
    int many_given, many_fresh;
    vectorcallfunc call;
} Birth;

/* How many members of its own an object of this class has, by the classes that name them; -1 with an exception. */
static Py_ssize_t named_slots(PyTypeObject *type)
{
    Py_ssize_t many = type->tp_weaklistoffset > 0;
    for (PyTypeObject *one = type; one && one != &PyBaseObject_Type; one = one->tp_base) {
        Py_ssize_t at = 0;
        PyObject *member;
        while (PyDict_Next(one->tp_dict, &at, NULL, &member))
            many += Py_IS_TYPE(member, &PyMemberDescr_Type) &&
                    ((PyMemberDescrObject *)member)->d_member->type == T_OBJECT_EX;
    }
    return many;
}

/* Look whether an object is nothing but its __slots__, so that copying these makes another one. */
static int has_only_slots(PyObject *like)
{
    PyTypeObject *type = Py_TYPE(like);
    Py_ssize_t room = (type->tp_basicsize - (Py_ssize_t)sizeof(PyObject)) / (Py_ssize_t)sizeof(PyObject *);
    if (!type->tp_dictoffset && !type->tp_itemsize && named_slots(type) == room) return 1;
    PyErr_Format(PyExc_TypeError, "%s has more than __slots__", type->tp_name);
    return 0;
}

/* Where the named members lie; -1 with an exception. */
static int take_offsets(PyObject *like, PyObject *names, Py_ssize_t *offsets)
{
    Py_ssize_t many = PyTuple_GET_SIZE(names);
    if (many > MOST) {
        PyErr_SetString(PyExc_ValueError, "so many members are not given, or made anew");
        return -1;
    }
    for (Py_ssize_t number = 0; number < many; number++) {
        const char *name = PyUnicode_AsUTF8(PyTuple_GET_ITEM(names, number));
        offsets[number] = name ? offset_of(Py_TYPE(like), name) : -1;
        if (offsets[number] < 0) return -1;
    }
    return (int)many;
}

/* Copy a member that each object has for itself; what refers to the one before refers to the new one. */
static int renew(PyObject *made, PyObject *like, Py_ssize_t offset)
{
    PyObject *one = *slot(made, offset), *copy = copy_slots(one);
    if (!copy) return -1;
    for (Py_ssize_t at = sizeof(PyObject); at < Py_TYPE(copy)->tp_basicsize; at += sizeof(PyObject *))
        if (*slot(copy, at) == like) put_slot(copy, at, Py_NewRef(made));
    put_slot(made, offset, copy);
    return 0;
}

static PyObject *bear(PyObject *object, PyObject *const *words, size_t flags, PyObject *names)
{
    Birth *self = (Birth *)object;
    if (PyVectorcall_NARGS(flags) != self->many_given || names) {
        PyErr_Format(PyExc_TypeError, "%s takes %d members, by their places", Py_TYPE(self->like)->tp_name,
                     self->many_given);
        return NULL;
    }
    PyObject *made = copy_slots(self->like);
    for (int number = 0; made && number < self->many_fresh; number++)
        if (renew(made, self->like, self->fresh[number])) Py_CLEAR(made);
    for (int number = 0; made && number < self->many_given; number++)
        put_slot(made, self->given[number], Py_NewRef(words[number]));
    return made;
}

static int has_fresh(Birth *self)
{
    for (int number = 0; number < self->many_fresh; number++) {
        PyObject *one = *slot(self->like, self->fresh[number]);
        if (!one) {
            PyErr_SetString(PyExc_AttributeError, "what is made anew is not set");
            return 0;
        }
        if (!has_only_slots(one)) return 0;
    }
    return 1;
}

static int birth_init(Birth *self, PyObject *args, PyObject *words)
{
    PyObject *like, *given, *fresh;
    if (!PyArg_ParseTuple(args, "OO!O!", &like, &PyTuple_Type, &given, &PyTuple_Type, &fresh)) return -1;
    if (self->like) {
        PyErr_SetString(PyExc_TypeError, "this knows already what it makes");
        return -1;
    }
    if (!has_only_slots(like)) return -1;
    if ((self->many_given = take_offsets(like, given, self->given)) < 0) return -1;
    if ((self->many_fresh = take_offsets(like, fresh, self->fresh)) < 0) return -1;
    self->like = Py_NewRef(like);
    /* It has no part in what each is given. */
    for (int number = 0; number < self->many_given; number++) put_slot(like, self->given[number], NULL);
    if (!has_fresh(self)) return -1;
    self->call = bear;
    return 0;
}

static PyObject *no_call(PyObject *self, PyObject *const *words, size_t flags, PyObject *names)
{
    PyErr_SetString(PyExc_TypeError, "nobody said what is made");
    return NULL;
}

static PyObject *birth_new(PyTypeObject *type, PyObject *args, PyObject *words)
{
    Birth *self = (Birth *)type->tp_alloc(type, 0);
    if (self) self->call = no_call;
    return (PyObject *)self;
}

static int birth_traverse(Birth *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->like);
    return 0;
}

/* Who is collected together with it may still call it, and is told so. */
static int birth_clear(Birth *self)
{
    self->call = no_call;
    Py_CLEAR(self->like);
    return 0;
}

static void birth_dealloc(Birth *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    birth_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMemberDef birth_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Birth, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot birth_slots[] = {
    {Py_tp_doc, "Birth(like, given, fresh)\n\nMakes objects like one; some members are given, some made anew."},
    {Py_tp_new, birth_new},
    {Py_tp_init, birth_init},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_traverse, birth_traverse},
    {Py_tp_clear, birth_clear},
    {Py_tp_dealloc, birth_dealloc},
    {Py_tp_members, birth_members},
    {0, NULL},
};

static PyType_Spec birth_spec = {
    .name = "corpproxy._born.Birth",
    .basicsize = sizeof(Birth),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = birth_slots,
};

static PyMethodDef functions[] = {{NULL, NULL, 0, NULL}};

static int add_birth(PyObject *module)
{
    return add_type(module, &birth_spec, NULL);
}

PART(born, "Makes objects by copying one.", add_birth)
