/*
 * Lines of records in memory, until a batch of them goes to the disk: the twin is corpproxy/audit/sheet.py.
 */
#include "lines.h"
#include <stddef.h>
#include <string.h>
#include <structmember.h>

PyTypeObject *lines_class;

/* What is made room for at first, and at most for a batch that has not begun. */
enum { LEAST_ROOM = 16 * 1024, MOST_ROOM = 1024 * 1024 };

static PyObject *name_encode;

int keep_lines_names(void)
{
    return keep_name(&name_encode, "encode");
}

/* See to it that so many octets more can be written; -1 with an exception. */
static int make_room(Lines *self, Py_ssize_t more)
{
    if (!self->octets) {
        Py_ssize_t room = self->usual < LEAST_ROOM ? LEAST_ROOM : self->usual > MOST_ROOM ? MOST_ROOM : self->usual;
        self->used = 0;
        return (self->octets = PyBytes_FromStringAndSize(NULL, more > room ? more : room)) ? 0 : -1;
    }
    Py_ssize_t room = PyBytes_GET_SIZE(self->octets), wanted = self->used + more;
    if (wanted <= room) return 0;
    if (wanted < room + room / 2) wanted = room + room / 2;
    /* Where this fails, what was written is not there any more: then nothing of it is counted. */
    int failed = _PyBytes_Resize(&self->octets, wanted);
    if (failed) self->used = self->count = 0;
    return failed;
}

/* Those that came before and are no lines yet come first. */
static int encode_fresh(Lines *self)
{
    if (!self->fresh || !PyList_CheckExact(self->fresh) || !PyList_GET_SIZE(self->fresh)) return 0;
    PyObject *told = PyObject_CallMethodNoArgs((PyObject *)self, name_encode);
    Py_XDECREF(told);
    return told ? 0 : -1;
}

char *begin_line(PyObject *lines, Py_ssize_t octets)
{
    Lines *self = (Lines *)lines;
    if (self->used >= self->bound || encode_fresh(self) || make_room(self, octets)) return NULL;
    return PyBytes_AS_STRING(self->octets) + self->used;
}

/* Tell that as many wait as were to be told of. */
static int tell_due(Lines *self)
{
    Py_ssize_t fresh = self->fresh && PyList_CheckExact(self->fresh) ? PyList_GET_SIZE(self->fresh) : 0;
    if (self->count + fresh < self->due || !self->when_due) return 0;
    PyObject *when_due = Py_NewRef(self->when_due), *told = PyObject_CallNoArgs(when_due);
    Py_DECREF(when_due);
    Py_XDECREF(told);
    return told ? 0 : -1;
}

int end_line(PyObject *lines, Py_ssize_t octets)
{
    Lines *self = (Lines *)lines;
    self->used += octets;
    self->count++;
    return tell_due(self);
}

static PyObject *put(Lines *self, PyObject *args)
{
    PyObject *octets;
    Py_ssize_t many;
    if (!PyArg_ParseTuple(args, "Sn", &octets, &many)) return NULL;
    Py_ssize_t more = PyBytes_GET_SIZE(octets);
    if (make_room(self, more)) return NULL;
    memcpy(PyBytes_AS_STRING(self->octets) + self->used, PyBytes_AS_STRING(octets), (size_t)more);
    self->used += more;
    self->count += many;
    Py_RETURN_NONE;
}

static PyObject *pull(Lines *self, PyObject *ignored)
{
    PyObject *octets = self->octets;
    Py_ssize_t used = octets ? self->used : 0;
    self->octets = NULL;
    self->usual = used + used / 8;
    self->used = self->count = 0;
    if (!octets) return PyBytes_FromStringAndSize(NULL, 0);
    if (PyBytes_GET_SIZE(octets) != used && _PyBytes_Resize(&octets, used)) return NULL;
    return octets;
}

static PyObject *accepts(Lines *self, PyObject *ignored)
{
    return PyBool_FromLong(self->used < self->most);
}

static int lines_init(Lines *self, PyObject *args, PyObject *words)
{
    PyObject *when_due;
    if (!PyArg_ParseTuple(args, "O", &when_due)) return -1;
    PyObject *fresh = PyList_New(0);
    if (!fresh) return -1;
    Py_XSETREF(self->fresh, fresh);
    Py_XSETREF(self->when_due, Py_NewRef(when_due));
    self->due = 1;
    self->most = self->bound = PY_SSIZE_T_MAX;
    return 0;
}

static int lines_traverse(Lines *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->fresh);
    Py_VISIT(self->when_due);
    return 0;
}

static int lines_clear(Lines *self)
{
    Py_CLEAR(self->fresh);
    Py_CLEAR(self->when_due);
    return 0;
}

static void lines_dealloc(Lines *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    lines_clear(self);
    Py_CLEAR(self->octets);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef lines_methods[] = {
    {"put", (PyCFunction)put, METH_VARARGS, "Write so many lines behind those that are there."},
    {"pull", (PyCFunction)pull, METH_NOARGS, "Give all lines, and begin anew."},
    {"accepts", (PyCFunction)accepts, METH_NOARGS, "Whether a new exchange may begin: its record can be kept."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef lines_members[] = {
    {"bound", T_PYSSIZET, offsetof(Lines, bound), 0, NULL},
    {"count", T_PYSSIZET, offsetof(Lines, count), 0, NULL},
    {"due", T_PYSSIZET, offsetof(Lines, due), 0, NULL},
    {"fresh", T_OBJECT_EX, offsetof(Lines, fresh), 0, NULL},
    {"most", T_PYSSIZET, offsetof(Lines, most), 0, NULL},
    {"octets", T_PYSSIZET, offsetof(Lines, used), READONLY, NULL},
    {"when_due", T_OBJECT_EX, offsetof(Lines, when_due), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot lines_slots[] = {
    {Py_tp_doc, "Lines(when_due)\n\nLines that wait, and records that are no lines yet."},
    {Py_tp_init, lines_init},
    {Py_tp_methods, lines_methods},
    {Py_tp_members, lines_members},
    {Py_tp_traverse, lines_traverse},
    {Py_tp_clear, lines_clear},
    {Py_tp_dealloc, lines_dealloc},
    {0, NULL},
};

PyType_Spec lines_spec = {
    .name = "corpproxy._books.Lines",
    .basicsize = sizeof(Lines),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = lines_slots,
};
