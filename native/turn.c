/*
 * The turn of the engine: who is told of what the kernel says, and when what was written leaves.
 *
 * corpproxy/net/engine/loop.py says what is done here and why, and has the twins.
 */
#include "wire.h"
#include <errno.h>
#include <sys/epoll.h>

enum { MOST_EVENTS = 1024 };

PyObject *caught(void)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return NULL;
    PyObject *type, *problem, *trace;
    PyErr_Fetch(&type, &problem, &trace);
    PyErr_NormalizeException(&type, &problem, &trace);
    if (problem && trace) PyException_SetTraceback(problem, trace);
    Py_XDECREF(type);
    Py_XDECREF(trace);
    return problem;
}

/* The exception that a member raised is its own affair: `failed` takes it; what is no Exception ends the turn. */
static int member_failed(PyObject *member, PyObject *failed)
{
    PyObject *problem = caught();
    if (!problem) return -1;
    PyObject *words[] = {member, problem};
    PyObject *told = PyObject_Vectorcall(failed, words, 2, NULL);
    Py_DECREF(problem);
    if (!told) return -1;
    Py_DECREF(told);
    return 0;
}

int tell_of_events(PyObject *member, unsigned long events)
{
    static Seen transports, dials;
    if (is_ours(member, name_ready, (PyCFunction)transport_ready, &transports))
        return transport_happened((Transport *)member, events);
    if (is_ours(member, name_ready, dial_ready, &dials)) return dial_happened(member, events);
    return tell_number(member, name_ready, events);
}

static int tell_member(void *loop, const struct epoll_event *event, PyObject *failed)
{
    PyObject *member = member_of(loop, event->data.fd);
    if (!member) return 0;
    Py_INCREF(member);
    int told = tell_of_events(member, event->events);
    if (told) told = member_failed(member, failed);
    Py_DECREF(member);
    return told;
}

int take_turn(int descriptor, void *loop, int most, PyObject *failed)
{
    struct epoll_event events[MOST_EVENTS];
    if (most < 1 || most > MOST_EVENTS) most = MOST_EVENTS;
    int many = epoll_wait(descriptor, events, most, 0);
    if (many < 0) {
        if (errno == EINTR) return 0;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    for (int i = 0; i < many; i++)
        if (tell_member(loop, &events[i], failed)) return -1;
    return 0;
}

/* One that raises is given to `failed`, as in a turn. */
static int leave_one(PyObject *one, PyObject *failed)
{
    return leave_turn(one) ? member_failed(one, failed) : 0;
}

int leave_each(PyObject *leaving, PyObject *failed)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(leaving); i++) {
        PyObject *one = Py_NewRef(PyList_GET_ITEM(leaving, i));
        int left = leave_one(one, failed);
        Py_DECREF(one);
        if (left) return -1;
    }
    return 0;
}

int watch_one(int epoll, int descriptor, uint32_t events)
{
    struct epoll_event wanted = {.events = events, .data.fd = descriptor};
    if (!epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &wanted)) return 0;
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
}
