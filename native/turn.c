/*
 * The turn of the engine: who is told of what the kernel says, and when what was written leaves.
 *
 * corpproxy/net/engine/loop.py says what is done here and why, and has the twins.
 */
#include "wire.h"
#include <errno.h>
#include <sys/epoll.h>

enum { MOST_EVENTS = 1024 };

/* The exception that a member raised is its own affair: `failed` takes it; what is no Exception ends the turn. */
static int member_failed(PyObject *member, PyObject *failed)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return -1;
    PyObject *type, *problem, *trace;
    PyErr_Fetch(&type, &problem, &trace);
    PyErr_NormalizeException(&type, &problem, &trace);
    if (problem && trace) PyException_SetTraceback(problem, trace);
    PyObject *words[] = {member, problem};
    PyObject *told = problem ? PyObject_Vectorcall(failed, words, 2, NULL) : NULL;
    Py_XDECREF(type);
    Py_XDECREF(problem);
    Py_XDECREF(trace);
    if (!told) return -1;
    Py_DECREF(told);
    return 0;
}

static int tell_member(PyObject *members, const struct epoll_event *event, PyObject *failed)
{
    PyObject *key = PyLong_FromLong(event->data.fd);
    if (!key) return -1;
    PyObject *member = PyDict_GetItemWithError(members, key);
    Py_DECREF(key);
    if (!member) return PyErr_Occurred() ? -1 : 0;
    PyObject *events = PyLong_FromUnsignedLong(event->events);
    if (!events) return -1;
    Py_INCREF(member);
    int told = tell(member, name_ready, events);
    if (told) told = member_failed(member, failed);
    Py_DECREF(member);
    Py_DECREF(events);
    return told;
}

PyObject *turn(PyObject *module, PyObject *args)
{
    struct epoll_event events[MOST_EVENTS];
    int descriptor, most;
    PyObject *members, *failed;
    if (!PyArg_ParseTuple(args, "iO!iO", &descriptor, &PyDict_Type, &members, &most, &failed)) return NULL;
    if (most < 1 || most > MOST_EVENTS) most = MOST_EVENTS;
    int many = epoll_wait(descriptor, events, most, 0);
    if (many < 0) {
        if (errno == EINTR) Py_RETURN_NONE;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    for (int i = 0; i < many; i++)
        if (tell_member(members, &events[i], failed)) return NULL;
    Py_RETURN_NONE;
}

/* One that raises is given to `failed`, as in a turn. */
static int leave_one(PyObject *one, PyObject *failed)
{
    return leave_turn(one) ? member_failed(one, failed) : 0;
}

PyObject *leave_all(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    if (many != 2 || !PyList_CheckExact(words[0])) {
        PyErr_SetString(PyExc_TypeError, "a list and a function are expected");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(words[0]); i++) {
        PyObject *one = Py_NewRef(PyList_GET_ITEM(words[0], i));
        int left = leave_one(one, words[1]);
        Py_DECREF(one);
        if (left) return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *watch(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    if (many != 3) {
        PyErr_SetString(PyExc_TypeError, "watch(epoll, descriptor, events)");
        return NULL;
    }
    long epoll = PyLong_AsLong(words[0]), descriptor = PyLong_AsLong(words[1]);
    unsigned long events = PyLong_AsUnsignedLong(words[2]);
    if (PyErr_Occurred()) return NULL;
    struct epoll_event wanted = {.events = (uint32_t)events, .data.fd = (int)descriptor};
    if (epoll_ctl((int)epoll, EPOLL_CTL_ADD, (int)descriptor, &wanted)) return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}
