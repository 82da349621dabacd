/*
 * The driver of the road, and what its commands are awaited by.
 *
 * corpproxy/net/run.py and corpproxy/exchange/commands.py say what is done here and why, and have the twins.
 */
#include "module.h"
#include <structmember.h>
#include <stddef.h>

static PyObject *name_perform, *name_ended, *name_throw;

/* ---- Awaiting a command: it is yielded once, and what is sent back is the outcome ---- */

typedef struct {
    PyObject_HEAD
    PyObject *command; /* NULL once it was yielded */
} Once;

static PySendResult once_send(PyObject *object, PyObject *value, PyObject **result)
{
    Once *self = (Once *)object;
    if (self->command) {
        *result = self->command;
        self->command = NULL;
        return PYGEN_NEXT;
    }
    *result = Py_NewRef(value);
    return PYGEN_RETURN;
}

/* What a tracer or a profiler makes the interpreter call in place of the function above. */
static PyObject *once_next(Once *self)
{
    PyObject *command = self->command;
    self->command = NULL;
    return command;
}

static PyObject *once_send_method(Once *self, PyObject *value)
{
    PyObject *result;
    if (once_send((PyObject *)self, value, &result) == PYGEN_NEXT) return result;
    PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, result);
    Py_DECREF(result);
    if (stop) {
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    }
    return NULL;
}

static void once_dealloc(Once *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(self->command);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef once_methods[] = {
    {"send", (PyCFunction)once_send_method, METH_O, "Yield the command, then end with what is sent."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot once_slots[] = {
    {Py_tp_doc, "Yields one command."},
    {Py_tp_dealloc, once_dealloc},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, once_next},
    {Py_tp_methods, once_methods},
    {Py_am_send, once_send},
    {0, NULL},
};

static PyType_Spec once_spec = {
    .name = "corpproxy._road.Once",
    .basicsize = sizeof(Once),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = once_slots,
};

static PyTypeObject *once_type;

static PyObject *await_command(PyObject *command)
{
    Once *once = (Once *)once_type->tp_alloc(once_type, 0);
    if (once) once->command = Py_NewRef(command);
    return (PyObject *)once;
}

static PyType_Slot awaited_slots[] = {
    {Py_tp_doc, "What can be awaited: it goes to the driver of the road, and its outcome comes back."},
    {Py_am_await, await_command},
    {0, NULL},
};

static PyType_Spec awaited_spec = {
    .name = "corpproxy._road.Awaited",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = awaited_slots,
};

/* ---- The driver ---- */

typedef struct {
    PyObject_HEAD
    PyObject *coroutine, *owner, *performer, *ready, *abandon;
    char running, deaf, over;
} Run;

static PyObject *pending;

static int end_run(Run *self, PyObject *error)
{
    self->over = 1;
    Py_XSETREF(self->abandon, Py_NewRef(Py_None));
    PyObject *told = PyObject_CallMethodOneArg(self->owner, name_ended, error);
    if (!told) return -1;
    Py_DECREF(told);
    return 0;
}

/* The exception that is set, taken; NULL where it is none of those that a road may end with. */
static PyObject *take_exception(void)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return NULL;
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (value && trace) PyException_SetTraceback(value, trace);
    Py_XDECREF(type);
    Py_XDECREF(trace);
    return value;
}

/* One step of the coroutine with an outcome, which it takes over: a command, or NULL where it is over. */
static PyObject *step(Run *self, int failed, PyObject *value, int *broke)
{
    PyObject *command = NULL, *error = NULL;
    *broke = 0;
    if (failed) {
        command = PyObject_CallMethodOneArg(self->coroutine, name_throw, value);
        if (!command && PyErr_ExceptionMatches(PyExc_StopIteration)) {
            PyErr_Clear();
            error = Py_NewRef(Py_None);
        }
    } else {
        PyObject *result = NULL;
        PySendResult sent = PyIter_Send(self->coroutine, value, &result);
        if (sent == PYGEN_NEXT) {
            command = result;
        } else if (sent == PYGEN_RETURN) {
            Py_XDECREF(result);
            error = Py_NewRef(Py_None);
        }
    }
    Py_DECREF(value);
    if (command) return command;
    if (!error) error = take_exception();
    *broke = error ? end_run(self, error) : -1;
    Py_XDECREF(error);
    return NULL;
}

/* Have a command performed: its outcome, or the exception that it raised and `failed`; NULL for what is worse. */
static PyObject *perform(Run *self, PyObject *command, int *failed)
{
    PyObject *outcome = PyObject_CallMethodOneArg(self->performer, name_perform, command);
    *failed = !outcome;
    return outcome ? outcome : take_exception();
}

/* Run from one command to the next, until one has to wait; takes `value` over. */
static int drive(Run *self, int failed, PyObject *value)
{
    self->running = 1;
    for (;;) {
        int broke;
        PyObject *command = step(self, failed, value, &broke);
        if (!command) return broke;
        value = perform(self, command, &failed);
        Py_DECREF(command);
        if (!value) return -1;
        PyObject *ready = self->ready;
        if (ready && ready != Py_None) {
            /* The outcome came before the performer returned. */
            self->ready = Py_NewRef(Py_None);
            Py_DECREF(value);
            PyObject *came;
            if (!PyArg_ParseTuple(ready, "pO", &failed, &came)) {
                Py_DECREF(ready);
                return -1;
            }
            value = Py_NewRef(came);
            Py_DECREF(ready);
        } else if (!failed && value == pending) {
            Py_DECREF(value);
            self->running = 0;
            return 0;
        }
    }
}

/* Whether there is something to drive; else an exception says so. */
static int is_made(const Run *self)
{
    if (self->coroutine && self->owner && self->performer) return 1;
    PyErr_SetString(PyExc_AttributeError, "this run has no road");
    return 0;
}

static PyObject *driven(Run *self, int failed, PyObject *value)
{
    if (!is_made(self)) return NULL;
    Py_INCREF(self);
    int broke = drive(self, failed, Py_NewRef(value));
    Py_DECREF(self);
    if (broke) return NULL;
    Py_RETURN_NONE;
}

static PyObject *go_on(Run *self, int failed, PyObject *value)
{
    if (self->over || self->deaf) Py_RETURN_NONE;
    Py_XSETREF(self->abandon, Py_NewRef(Py_None));
    if (!self->running) return driven(self, failed, value);
    /* The outcome came before the performer returned.  A cancellation in that moment wins. */
    if (!self->ready || self->ready == Py_None || failed) {
        PyObject *ready = PyTuple_Pack(2, failed ? Py_True : Py_False, value);
        if (!ready) return NULL;
        Py_XSETREF(self->ready, ready);
    }
    Py_RETURN_NONE;
}

static PyObject *run_start(Run *self, PyObject *ignored)
{
    return driven(self, 0, Py_None);
}

static PyObject *run_succeed(Run *self, PyObject *const *words, Py_ssize_t many)
{
    if (many > 1) {
        PyErr_SetString(PyExc_TypeError, "succeed() takes one outcome");
        return NULL;
    }
    return go_on(self, 0, many ? words[0] : Py_None);
}

static PyObject *run_go_on(Run *self, PyObject *args)
{
    int failed;
    PyObject *value;
    if (!PyArg_ParseTuple(args, "pO", &failed, &value)) return NULL;
    return go_on(self, failed, value);
}

static int run_init(Run *self, PyObject *args, PyObject *names)
{
    PyObject *coroutine, *owner, *performer;
    if (!PyArg_ParseTuple(args, "OOO", &coroutine, &owner, &performer)) return -1;
    Py_XSETREF(self->coroutine, Py_NewRef(coroutine));
    Py_XSETREF(self->owner, Py_NewRef(owner));
    Py_XSETREF(self->performer, Py_NewRef(performer));
    Py_XSETREF(self->ready, Py_NewRef(Py_None));
    Py_XSETREF(self->abandon, Py_NewRef(Py_None));
    return 0;
}

static int run_traverse(Run *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->coroutine);
    Py_VISIT(self->owner);
    Py_VISIT(self->performer);
    Py_VISIT(self->ready);
    Py_VISIT(self->abandon);
    return 0;
}

static int run_clear(Run *self)
{
    Py_CLEAR(self->coroutine);
    Py_CLEAR(self->owner);
    Py_CLEAR(self->performer);
    Py_CLEAR(self->ready);
    Py_CLEAR(self->abandon);
    return 0;
}

static void run_dealloc(Run *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    run_clear(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef run_methods[] = {
    {"start", (PyCFunction)run_start, METH_NOARGS, "Run to the first command that has to wait, or to the end."},
    {"succeed", (PyCFunction)(void (*)(void))run_succeed, METH_FASTCALL,
     "Go on with the outcome of the pending command."},
    {"_go_on", (PyCFunction)run_go_on, METH_VARARGS, "Go on with an outcome, or with a failure."},
    {NULL, NULL, 0, NULL},
};

#define MEMBER(name, type, member) {name, type, offsetof(Run, member), 0, NULL}

static PyMemberDef run_members[] = {
    MEMBER("_coroutine", T_OBJECT_EX, coroutine),
    MEMBER("_owner", T_OBJECT_EX, owner),
    MEMBER("_performer", T_OBJECT_EX, performer),
    MEMBER("_ready", T_OBJECT_EX, ready),
    MEMBER("abandon", T_OBJECT_EX, abandon),
    MEMBER("_running", T_BOOL, running),
    MEMBER("_deaf", T_BOOL, deaf),
    MEMBER("over", T_BOOL, over),
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot run_slots[] = {
    {Py_tp_doc, "Drives one coroutine."},
    {Py_tp_init, run_init},
    {Py_tp_traverse, run_traverse},
    {Py_tp_clear, run_clear},
    {Py_tp_dealloc, run_dealloc},
    {Py_tp_methods, run_methods},
    {Py_tp_members, run_members},
    {0, NULL},
};

static PyType_Spec run_spec = {
    .name = "corpproxy._road.Run",
    .basicsize = sizeof(Run),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = run_slots,
};

/* ---- The module ---- */

static PyObject *set_pending(PyObject *module, PyObject *what)
{
    Py_XSETREF(pending, Py_NewRef(what));
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"set_pending", set_pending, METH_O, "Say what a performer returns when the outcome comes later."},
    {NULL, NULL, 0, NULL},
};

static int add_names_and_types(PyObject *module)
{
    if (keep_name(&name_perform, "perform") || keep_name(&name_ended, "ended") || keep_name(&name_throw, "throw")) return -1;
    if (add_type(module, &once_spec, &once_type) || add_type(module, &awaited_spec, NULL)) return -1;
    return add_type(module, &run_spec, NULL);
}

PART(road, "The driver of the road.", add_names_and_types)
