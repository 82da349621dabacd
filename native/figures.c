/*
 * Exchanges that are over, counted for the metrics: the twin is `count_in_python` in corpproxy/admin/telemetry.py.
 */
#include "books.h"

/* Where the members of its classes lie. */
static struct {
    PyTypeObject *telemetry, *histogram, *record;
    Py_ssize_t numbers, all_received, all_sent, exchanges, tunnels, bounds, counts, sum;
    Py_ssize_t decision, kind, method, received, result, seconds, sent, status;
    PyObject *in_python, *count_new, *closing;
} at;

/* Add to a number that a member is; -1 with an exception. */
static int grow(PyObject *object, Py_ssize_t offset, PyObject *more)
{
    PyObject *number = *slot(object, offset), *sum = number && more ? PyNumber_Add(number, more) : NULL;
    if (!sum) return -1;
    put_slot(object, offset, sum);
    return 0;
}

/* One more of those with this key; the twin counts what was not seen before. */
static int count_key(PyObject *telemetry, PyObject *key)
{
    PyObject *numbers = *slot(telemetry, at.numbers), *before = PyDict_GetItemWithError(numbers, key);
    if (!before) {
        PyObject *told = PyErr_Occurred() ? NULL : PyObject_CallMethodOneArg(telemetry, at.count_new, key);
        Py_XDECREF(told);
        return told ? 0 : -1;
    }
    PyObject *next = PyNumber_Add(before, number_one);
    int failed = next ? PyDict_SetItem(numbers, key, next) : -1;
    Py_XDECREF(next);
    return failed;
}

/* The place in a histogram, as `bisect_left` finds it; -1 where that is left to the twin. */
static Py_ssize_t place_of(PyObject *bounds, double seconds)
{
    Py_ssize_t many = PyTuple_GET_SIZE(bounds), place = 0;
    for (; place < many; place++) {
        PyObject *bound = PyTuple_GET_ITEM(bounds, place);
        if (!PyFloat_CheckExact(bound)) return -1;
        if (PyFloat_AS_DOUBLE(bound) >= seconds) break;
    }
    return place;
}

static int count_seconds(PyObject *histogram, Py_ssize_t place, PyObject *seconds)
{
    PyObject *counts = *slot(histogram, at.counts), *before = PyList_GET_ITEM(counts, place);
    PyObject *next = PyNumber_Add(before, number_one);
    if (!next || PyList_SetItem(counts, place, next)) return -1;
    return grow(histogram, at.sum, seconds);
}

/* The histogram of a record and its place there; NULL for what is left to the twin. */
static PyObject *histogram_of(PyObject *telemetry, PyObject *record, Py_ssize_t *place)
{
    int is_tunnel = *slot(record, at.kind) == at.closing;
    PyObject *histogram = *slot(telemetry, is_tunnel ? at.tunnels : at.exchanges), *seconds = *slot(record, at.seconds);
    if (!histogram || !Py_IS_TYPE(histogram, at.histogram) || !seconds || !PyFloat_CheckExact(seconds)) return NULL;
    PyObject *bounds = *slot(histogram, at.bounds), *counts = *slot(histogram, at.counts);
    if (!bounds || !PyTuple_CheckExact(bounds) || !counts || !PyList_CheckExact(counts)) return NULL;
    *place = place_of(bounds, PyFloat_AS_DOUBLE(seconds));
    return *place >= 0 && *place < PyList_GET_SIZE(counts) ? histogram : NULL;
}

static PyObject *key_of(PyObject *record)
{
    PyObject *decision = *slot(record, at.decision), *method = *slot(record, at.method);
    PyObject *result = *slot(record, at.result), *status = *slot(record, at.status);
    return decision && method && result && status ? PyTuple_Pack(4, decision, result, method, status) : NULL;
}

PyObject *count_figures(PyObject *module, PyObject *const *args, Py_ssize_t many)
{
    if (many != 2) return PyErr_Format(PyExc_TypeError, "two arguments are taken");
    PyObject *telemetry = args[0], *record = args[1], *histogram = NULL;
    Py_ssize_t place;
    int is_known = at.telemetry && Py_IS_TYPE(telemetry, at.telemetry) && Py_IS_TYPE(record, at.record);
    PyObject *numbers = is_known ? *slot(telemetry, at.numbers) : NULL;
    if (numbers && PyDict_CheckExact(numbers)) histogram = histogram_of(telemetry, record, &place);
    if (!histogram) return at.in_python ? PyObject_Vectorcall(at.in_python, args, 2, NULL) : Py_NewRef(Py_None);
    PyObject *key = key_of(record);
    if (!key) return NULL;
    int failed = count_key(telemetry, key) || grow(telemetry, at.all_received, *slot(record, at.received)) ||
                 grow(telemetry, at.all_sent, *slot(record, at.sent)) ||
                 count_seconds(histogram, place, *slot(record, at.seconds));
    Py_DECREF(key);
    return failed ? NULL : Py_NewRef(Py_None);
}

PyObject *set_figures(PyObject *module, PyObject *args)
{
    PyObject *telemetry, *histogram, *record, *closing, *in_python;
    if (!PyArg_ParseTuple(args, "OOOOO", &telemetry, &histogram, &record, &closing, &in_python)) return NULL;
    const struct {
        Py_ssize_t *kept;
        PyObject *of;
        const char *name;
    } members[] = {
        {&at.numbers, telemetry, "_counts"},
        {&at.all_received, telemetry, "received"},
        {&at.all_sent, telemetry, "sent"},
        {&at.exchanges, telemetry, "exchanges"},
        {&at.tunnels, telemetry, "tunnels"},
        {&at.bounds, histogram, "bounds"},
        {&at.counts, histogram, "counts"},
        {&at.sum, histogram, "sum"},
        {&at.decision, record, "decision"},
        {&at.kind, record, "kind"},
        {&at.method, record, "method"},
        {&at.received, record, "received"},
        {&at.result, record, "result"},
        {&at.seconds, record, "seconds"},
        {&at.sent, record, "sent"},
        {&at.status, record, "status"},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (!PyType_Check(members[i].of)) return PyErr_Format(PyExc_TypeError, "a class is wanted");
        if ((*members[i].kept = offset_of((PyTypeObject *)members[i].of, members[i].name)) < 0) return NULL;
    }
    if (keep_name(&at.count_new, "_count_new")) return NULL;
    Py_XSETREF(at.telemetry, (PyTypeObject *)Py_NewRef(telemetry));
    Py_XSETREF(at.histogram, (PyTypeObject *)Py_NewRef(histogram));
    Py_XSETREF(at.record, (PyTypeObject *)Py_NewRef(record));
    Py_XSETREF(at.closing, Py_NewRef(closing));
    Py_XSETREF(at.in_python, Py_NewRef(in_python));
    Py_RETURN_NONE;
}
