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

/* The histogram of an exchange and its place there; NULL for what is left to the twin. */
static PyObject *histogram_of(PyObject *telemetry, const Figures *figures, Py_ssize_t *place)
{
    PyObject *histogram = *slot(telemetry, figures->is_tunnel ? at.tunnels : at.exchanges);
    if (!histogram || !Py_IS_TYPE(histogram, at.histogram)) return NULL;
    if (!figures->seconds || !PyFloat_CheckExact(figures->seconds)) return NULL;
    PyObject *bounds = *slot(histogram, at.bounds), *counts = *slot(histogram, at.counts);
    if (!bounds || !PyTuple_CheckExact(bounds) || !counts || !PyList_CheckExact(counts)) return NULL;
    *place = place_of(bounds, PyFloat_AS_DOUBLE(figures->seconds));
    return *place >= 0 && *place < PyList_GET_SIZE(counts) ? histogram : NULL;
}

int count_figures(PyObject *telemetry, const Figures *figures)
{
    Py_ssize_t place;
    PyObject *numbers = *slot(telemetry, at.numbers);
    PyObject *histogram = numbers && PyDict_CheckExact(numbers) ? histogram_of(telemetry, figures, &place) : NULL;
    if (!histogram || !figures->decision || !figures->method || !figures->result || !figures->status) return 0;
    PyObject *key = PyTuple_Pack(4, figures->decision, figures->result, figures->method, figures->status);
    if (!key) return -1;
    int failed = count_key(telemetry, key) || grow(telemetry, at.all_received, figures->received) ||
                 grow(telemetry, at.all_sent, figures->sent) || count_seconds(histogram, place, figures->seconds);
    Py_DECREF(key);
    return failed ? -1 : 1;
}

static int count_record(PyObject *telemetry, PyObject *record)
{
    if (!Py_IS_TYPE(record, at.record)) return 0;
    const Figures figures = {
        .is_tunnel = *slot(record, at.kind) == at.closing,
        .decision = *slot(record, at.decision),
        .method = *slot(record, at.method),
        .received = *slot(record, at.received),
        .result = *slot(record, at.result),
        .seconds = *slot(record, at.seconds),
        .sent = *slot(record, at.sent),
        .status = *slot(record, at.status),
    };
    return count_figures(telemetry, &figures);
}

static PyObject *count(PyObject *telemetry, PyObject *record)
{
    int done = at.telemetry && Py_IS_TYPE(telemetry, at.telemetry) ? count_record(telemetry, record) : 0;
    if (done) return done < 0 ? NULL : Py_NewRef(Py_None);
    PyObject *words[] = {telemetry, record};
    return at.in_python ? PyObject_Vectorcall(at.in_python, words, 2, NULL) : Py_NewRef(Py_None);
}

static PyMethodDef counting_method = {"exchange", count, METH_O, "Count an exchange that is over."};

PyObject *counting(PyObject *module, PyObject *telemetry)
{
    return PyCFunction_New(&counting_method, telemetry);
}

PyObject *telemetry_of(PyObject *watch)
{
    if (!watch || !PyCFunction_CheckExact(watch) || PyCFunction_GET_FUNCTION(watch) != count) return NULL;
    PyObject *telemetry = PyCFunction_GET_SELF(watch);
    return at.telemetry && telemetry && Py_IS_TYPE(telemetry, at.telemetry) ? telemetry : NULL;
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
