/*
 * The engine: who is told of a descriptor, and what is to be done before it sleeps again.
 *
 * corpproxy/net/engine/loop.py says what is done here and why, and has the twin; the rest of the engine is Python,
 * in a class below this one.
 */
#define _GNU_SOURCE
#include "wire.h"
#include <structmember.h>
#include <limits.h>
#include <stddef.h>
#include <sys/epoll.h>

static const uint32_t ALL_EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

enum { FIRST_ROOM = 64 };

/* What is to be done: a deed of a transport, or a call of whatever it is. */
typedef struct {
    PyObject *who;
    enum deed deed;
} Due;

typedef struct {
    PyObject_HEAD
    PyObject *leaving, *registering;
    /* Who is told of a descriptor, by its number: NULL where nobody is. */
    PyObject **members;
    Py_ssize_t members_room, members_many;
    Due *due;
    Py_ssize_t many, room;
    /* That of the epoll; -1 where it is none of the kernel's, and is asked in Python. */
    int descriptor;
    int most;
    char running;
} Loop;

static PyTypeObject *loop_type;
static PyObject *name_put, *name_leave_engine, *name_join, *name_soon, *name_at_end, *name_schedule, *name_turn, *name_failed, *name_due_failed, *name_leaving;

static Loop *as_loop(PyObject *engine)
{
    return engine && PyObject_TypeCheck(engine, loop_type) ? (Loop *)engine : NULL;
}

/* ---- Who is told of a descriptor ---- */

static int make_room(Loop *self, int fd)
{
    if (fd < self->members_room) return 0;
    Py_ssize_t before = self->members_room, room = before ? before : FIRST_ROOM;
    while (room <= fd) room *= 2;
    PyObject **members = PyMem_Resize(self->members, PyObject *, (size_t)room);
    if (!members) {
        PyErr_NoMemory();
        return -1;
    }
    memset(members + before, 0, (size_t)(room - before) * sizeof *members);
    self->members = members;
    self->members_room = room;
    return 0;
}

static int put(Loop *self, int fd, PyObject *member)
{
    if (fd < 0) {
        PyErr_SetString(PyExc_ValueError, "a descriptor is not below 0");
        return -1;
    }
    if (make_room(self, fd)) return -1;
    PyObject *before = self->members[fd];
    self->members[fd] = Py_NewRef(member);
    self->members_many += !before;
    Py_XDECREF(before);
    return 0;
}

static void take_out(Loop *self, int fd)
{
    PyObject *before = fd >= 0 && fd < self->members_room ? self->members[fd] : NULL;
    if (!before) return;
    self->members[fd] = NULL;
    self->members_many--;
    Py_DECREF(before);
}

static int watch_for(Loop *self, int fd, uint32_t events)
{
    if (self->descriptor >= 0) return watch_one(self->descriptor, fd, events);
    PyObject *told = self->registering ? PyObject_CallFunction(self->registering, "iI", fd, events) : NULL;
    if (!told) return -1;
    Py_DECREF(told);
    return 0;
}

/* Tell an engine that is none of these, by its own method. */
static int tell_of(PyObject *engine, PyObject *name, int fd, PyObject *member)
{
    PyObject *descriptor = PyLong_FromLong(fd);
    if (!descriptor) return -1;
    PyObject *words[] = {engine, descriptor, member};
    PyObject *told = PyObject_VectorcallMethod(name, words, member ? 3 : 2, NULL);
    Py_DECREF(descriptor);
    Py_XDECREF(told);
    return told ? 0 : -1;
}

int engine_put(PyObject *engine, int fd, PyObject *member)
{
    Loop *self = as_loop(engine);
    return self ? put(self, fd, member) : tell_of(engine, name_put, fd, member);
}

int engine_join(PyObject *engine, int fd, PyObject *member)
{
    Loop *self = as_loop(engine);
    if (!self) return tell_of(engine, name_join, fd, member);
    return put(self, fd, member) ? -1 : watch_for(self, fd, ALL_EVENTS);
}

int engine_leave(PyObject *engine, int fd)
{
    Loop *self = as_loop(engine);
    if (!self) return tell_of(engine, name_leave_engine, fd, NULL);
    take_out(self, fd);
    return 0;
}

/* The number of a descriptor; below 0 with an exception. */
static int number_of(PyObject *descriptor)
{
    long fd = PyLong_AsLong(descriptor);
    if (fd == -1 && PyErr_Occurred()) return -1;
    if (fd >= 0 && fd <= INT_MAX) return (int)fd;
    PyErr_SetString(PyExc_ValueError, "this is no descriptor");
    return -1;
}

static PyObject *loop_put(Loop *self, PyObject *const *words, Py_ssize_t many)
{
    if (many != 2) return PyErr_Format(PyExc_TypeError, "put(descriptor, member)");
    int fd = number_of(words[0]);
    return done(fd < 0 || put(self, fd, words[1]));
}

static PyObject *loop_join(Loop *self, PyObject *const *words, Py_ssize_t many)
{
    if (many < 2 || many > 3) return PyErr_Format(PyExc_TypeError, "join(descriptor, member, events)");
    unsigned long events = many == 3 ? PyLong_AsUnsignedLong(words[2]) : ALL_EVENTS;
    if (PyErr_Occurred()) return NULL;
    int fd = number_of(words[0]);
    return done(fd < 0 || put(self, fd, words[1]) || watch_for(self, fd, (uint32_t)events));
}

static PyObject *loop_leave(Loop *self, PyObject *descriptor)
{
    long fd = PyLong_AsLong(descriptor);
    if (fd == -1 && PyErr_Occurred()) return NULL;
    if (fd >= 0 && fd < self->members_room) take_out(self, (int)fd);
    Py_RETURN_NONE;
}

static PyObject *loop_members(Loop *self, PyObject *ignored)
{
    PyObject *all = PyList_New(0);
    for (Py_ssize_t i = 0; all && i < self->members_room; i++)
        if (self->members[i] && PyList_Append(all, self->members[i])) Py_CLEAR(all);
    return all;
}

static PyObject *loop_member(Loop *self, PyObject *descriptor)
{
    long fd = PyLong_AsLong(descriptor);
    if (fd == -1 && PyErr_Occurred()) return NULL;
    PyObject *member = fd >= 0 && fd < self->members_room ? self->members[fd] : NULL;
    return Py_NewRef(member ? member : Py_None);
}

static Py_ssize_t loop_length(PyObject *self)
{
    return ((Loop *)self)->members_many;
}

/* ---- What is due ---- */

PyObject *engine_leaving(PyObject *engine)
{
    Loop *self = as_loop(engine);
    if (self && self->leaving) return Py_NewRef(self->leaving);
    return PyObject_GetAttr(engine, name_leaving);
}

static int schedule(Loop *self)
{
    return tell((PyObject *)self, name_schedule, NULL);
}

static int add_due(Loop *self, PyObject *who, enum deed deed)
{
    if (self->many == self->room) {
        Py_ssize_t room = self->room ? 2 * self->room : FIRST_ROOM;
        Due *due = PyMem_Resize(self->due, Due, (size_t)room);
        if (!due) {
            PyErr_NoMemory();
            return -1;
        }
        self->due = due;
        self->room = room;
    }
    self->due[self->many++] = (Due){Py_NewRef(who), deed};
    return 0;
}

static int make_call(PyObject *call)
{
    PyObject *told = PyObject_CallNoArgs(call);
    Py_XDECREF(told);
    return told ? 0 : -1;
}

/* An engine that is none of these is told in its own words: `call` is a bound method then. */
static int tell_other(PyObject *engine, PyObject *when, PyObject *who, enum deed deed)
{
    PyObject *call = deed == CALL ? Py_NewRef(who) : name_of_deed(who, deed);
    if (!call) return -1;
    int told = tell(engine, when, call);
    Py_DECREF(call);
    return told;
}

int engine_soon(PyObject *engine, PyObject *who, enum deed deed)
{
    Loop *self = as_loop(engine);
    if (!self) return tell_other(engine, name_soon, who, deed);
    if (add_due(self, who, deed)) return -1;
    return self->running ? 0 : schedule(self);
}

int engine_at_end(PyObject *engine, PyObject *who, enum deed deed)
{
    Loop *self = as_loop(engine);
    if (!self) return tell_other(engine, name_at_end, who, deed);
    if (is_there(self->leaving)) return add_due(self, who, deed);
    return deed == CALL ? make_call(who) : do_deed(who, deed);
}

static PyObject *loop_soon(Loop *self, PyObject *call)
{
    return done(engine_soon((PyObject *)self, call, CALL));
}

static PyObject *loop_at_end(Loop *self, PyObject *call)
{
    return done(engine_at_end((PyObject *)self, call, CALL));
}

static PyObject *loop_is_due(Loop *self, PyObject *ignored)
{
    return PyBool_FromLong(self->many > 0);
}

/* The exception that something due raised ends nothing else; what is no Exception goes on. */
static int due_failed(Loop *self)
{
    PyObject *problem = caught();
    if (!problem) return -1;
    int told = tell((PyObject *)self, name_due_failed, problem);
    Py_DECREF(problem);
    return told;
}

/* Do what is due; what is added by that waits for the next turn, so that nobody starves. */
static int run_due(Loop *self)
{
    Due *due = self->due;
    Py_ssize_t many = self->many, room = self->room;
    self->due = NULL;
    self->many = self->room = 0;
    int failed = 0;
    for (Py_ssize_t i = 0; i < many; i++) {
        if (!failed && (due[i].deed == CALL ? make_call(due[i].who) : do_deed(due[i].who, due[i].deed)))
            failed = due_failed(self);
        Py_DECREF(due[i].who);
    }
    if (self->due) {
        PyMem_Free(due);
    } else {
        self->due = due;
        self->room = room;
    }
    return failed;
}

static PyObject *loop_run_soon(Loop *self, PyObject *ignored)
{
    return done(run_due(self));
}

/* ---- A turn ---- */

PyObject *member_of(void *loop, int fd)
{
    Loop *self = loop;
    return fd >= 0 && fd < self->members_room ? self->members[fd] : NULL;
}

static int take_and_leave(Loop *self, PyObject *leaving)
{
    PyObject *failed = PyObject_GetAttr((PyObject *)self, name_failed);
    if (!failed) return -1;
    int broken;
    if (self->descriptor >= 0)
        broken = take_turn(self->descriptor, self, self->most, failed);
    else
        broken = tell((PyObject *)self, name_turn, NULL);
    if (!broken) {
        Py_XSETREF(self->leaving, Py_NewRef(Py_None));
        broken = leave_each(leaving, failed);
    }
    Py_DECREF(failed);
    if (!broken && self->many) broken = run_due(self);
    return broken;
}

static PyObject *loop_do_read(Loop *self, PyObject *ignored)
{
    PyObject *leaving = PyList_New(0);
    if (!leaving) return NULL;
    self->running = 1;
    Py_XSETREF(self->leaving, Py_NewRef(leaving));
    int failed = take_and_leave(self, leaving);
    PyObject *type = NULL, *problem = NULL, *trace = NULL;
    if (failed) PyErr_Fetch(&type, &problem, &trace);
    Py_XSETREF(self->leaving, Py_NewRef(Py_None));
    Py_DECREF(leaving);
    self->running = 0;
    if (self->many && schedule(self)) failed = -1;
    if (type && PyErr_Occurred()) PyErr_Clear();
    if (type) PyErr_Restore(type, problem, trace);
    return done(failed);
}

/* ---- The class ---- */

static int loop_traverse(Loop *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->leaving);
    Py_VISIT(self->registering);
    for (Py_ssize_t i = 0; i < self->members_room; i++) Py_VISIT(self->members[i]);
    for (Py_ssize_t i = 0; i < self->many; i++) Py_VISIT(self->due[i].who);
    return 0;
}

static int loop_clear(Loop *self)
{
    Py_CLEAR(self->leaving);
    Py_CLEAR(self->registering);
    for (Py_ssize_t i = 0; i < self->members_room; i++) take_out(self, (int)i);
    while (self->many) Py_DECREF(self->due[--self->many].who);
    return 0;
}

static void loop_dealloc(Loop *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    loop_clear(self);
    PyMem_Free(self->due);
    PyMem_Free(self->members);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef loop_methods[] = {
    {"put", (PyCFunction)(void (*)(void))loop_put, METH_FASTCALL,
     "put(descriptor, member)\n\nTell `member` from now on; the kernel knows of the descriptor, or will."},
    {"member", (PyCFunction)loop_member, METH_O, "Who is told of a descriptor, or None."},
    {"_all_members", (PyCFunction)loop_members, METH_NOARGS, "All who are told of a descriptor."},
    {"join", (PyCFunction)(void (*)(void))loop_join, METH_FASTCALL,
     "join(descriptor, member, events)\n\nTell `member` of all that happens to a descriptor."},
    {"leave", (PyCFunction)loop_leave, METH_O, "Tell nobody any more."},
    {"soon", (PyCFunction)loop_soon, METH_O, "Call this before the engine sleeps again, but not now."},
    {"at_end", (PyCFunction)loop_at_end, METH_O, "Call this when what the turn has to send has left."},
    {"is_due", (PyCFunction)loop_is_due, METH_NOARGS, "Whether something is to be called soon."},
    {"_run_soon", (PyCFunction)loop_run_soon, METH_NOARGS, "Make the calls that are due."},
    {"doRead", (PyCFunction)loop_do_read, METH_NOARGS, "Take one turn."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef loop_attributes[] = {
    {"leaving", T_OBJECT_EX, offsetof(Loop, leaving), 0, NULL},
    {"_register", T_OBJECT_EX, offsetof(Loop, registering), 0, NULL},
    {"_descriptor", T_INT, offsetof(Loop, descriptor), 0, NULL},
    {"_most", T_INT, offsetof(Loop, most), 0, NULL},
    {"_running", T_BOOL, offsetof(Loop, running), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot loop_slots[] = {
    {Py_tp_doc, "Who is told of a descriptor, and what is due."},
    {Py_tp_traverse, loop_traverse},
    {Py_tp_clear, loop_clear},
    {Py_tp_dealloc, loop_dealloc},
    {Py_tp_methods, loop_methods},
    {Py_tp_members, loop_attributes},
    {Py_mp_length, loop_length},
    {0, NULL},
};

static PyType_Spec loop_spec = {
    .name = "corpproxy._wire.Loop",
    .basicsize = sizeof(Loop),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = loop_slots,
};

int add_engine(PyObject *module)
{
    if (keep_name(&name_join, "join") || keep_name(&name_soon, "soon") || keep_name(&name_at_end, "at_end")) return -1;
    if (keep_name(&name_schedule, "_schedule") || keep_name(&name_turn, "_turn")) return -1;
    if (keep_name(&name_put, "put") || keep_name(&name_leave_engine, "leave")) return -1;
    if (keep_name(&name_leaving, "leaving")) return -1;
    if (keep_name(&name_failed, "_failed") || keep_name(&name_due_failed, "_due_failed")) return -1;
    return add_type(module, &loop_spec, &loop_type);
}
