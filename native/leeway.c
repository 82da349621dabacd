/*
 * What the exchanges of one person may move while nothing of their limits bites.
 *
 * corpproxy/accounting/leeway.py says what is done here and why, and has the twins.
 */
#include "ahead.h"

double piece_octets, burst_seconds;

static double number_of(PyObject *object)
{
    return is_set(object) ? PyFloat_AsDouble(object) : -1.0;
}

static int put_number(PyObject **place, double number)
{
    PyObject *made = PyFloat_FromDouble(number);
    if (!made) return -1;
    Py_XSETREF(*place, made);
    return 0;
}

/* Whether it is a leeway that is not over; -1 with an exception. */
static int goes_on(PyObject *leeway)
{
    if (IS(leeway, leeway)) return OF(leeway, leeway, is_over) == Py_False;
    PyErr_SetString(PyExc_TypeError, "this is no leeway");
    return -1;
}

/* Buckets of a leeway; NULL with an exception where it is something else. */
static PyObject *buckets_in(PyObject *buckets)
{
    if (buckets && PyTuple_CheckExact(buckets)) return buckets;
    PyErr_SetString(PyExc_TypeError, "a leeway has tuples of buckets");
    return NULL;
}

/* Whether the same limits hold at this time as at its beginning: the twin is `Term.holds`. */
static int term_holds(PyObject *term, PyObject *at)
{
    PyObject *standings = IS(term, term) ? OF(term, term, standings) : NULL;
    if (!IS(standings, standings)) return 0;
    PyObject *before = OF(term, term, shifts), *now = OF(standings, standings, shifts);
    if (before != now) {
        int same = is_set(before) && is_set(now) ? PyObject_RichCompareBool(before, now, Py_EQ) : -1;
        if (same <= 0) return same;
    }
    double moment = number_of(at), since = number_of(OF(term, term, since)), until = number_of(OF(term, term, until));
    return PyErr_Occurred() ? -1 : since <= moment && moment < until;
}

int leeway_may_begin(PyObject *leeway, PyObject *at)
{
    int may = goes_on(leeway);
    if (may > 0) may = term_holds(OF(leeway, leeway, term), at);
    PyObject *buckets = may > 0 ? buckets_in(OF(leeway, leeway, all)) : NULL;
    if (!buckets) return PyErr_Occurred() ? -1 : 0;
    for (Py_ssize_t number = 0; number < PyTuple_GET_SIZE(buckets); number++) {
        PyObject *bucket = PyTuple_GET_ITEM(buckets, number);
        if (!IS(bucket, bucket) && !IS(stock, bucket)) return 0;
        double tokens = number_of(OF(bucket, bucket, tokens));
        if (tokens < piece_octets) return PyErr_Occurred() ? -1 : 0;
    }
    return 1;
}

/* Let in what came since the last time: the twin is `Bucket.fill`. */
static int fill(PyObject *bucket, PyObject *now)
{
    double seconds = number_of(now) - number_of(OF(bucket, bucket, seen));
    double tokens = number_of(OF(bucket, bucket, tokens)), rate = number_of(OF(bucket, bucket, rate));
    if (PyErr_Occurred()) return -1;
    PUT(bucket, bucket, seen, Py_NewRef(now));
    double most = rate * burst_seconds, filled = tokens + rate * seconds;
    if (seconds <= 0 || tokens >= most) return 0;
    return put_number(slot(bucket, bucket_tokens), filled < most ? filled : most);
}

/* Whether there is so much in all of these, which fill with time; -1 with an exception. */
static int rates_cover(PyObject *buckets, double octets, PyObject *now)
{
    if (!buckets_in(buckets)) return -1;
    for (Py_ssize_t number = 0; number < PyTuple_GET_SIZE(buckets); number++) {
        PyObject *bucket = PyTuple_GET_ITEM(buckets, number);
        if (!IS(bucket, bucket)) return 0;
        if (fill(bucket, now)) return -1;
        double tokens = number_of(OF(bucket, bucket, tokens));
        if (tokens < octets) return PyErr_Occurred() ? -1 : 0;
    }
    return 1;
}

/* The same of what is lent, and whether it may still be used. */
static int loans_cover(PyObject *stocks, double octets, PyObject *now)
{
    if (!buckets_in(stocks)) return -1;
    double moment = number_of(now);
    for (Py_ssize_t number = 0; number < PyTuple_GET_SIZE(stocks); number++) {
        PyObject *stock = PyTuple_GET_ITEM(stocks, number);
        if (!IS(stock, stock)) return 0;
        double tokens = number_of(OF(bucket, stock, tokens)), until = number_of(OF(stock, stock, until));
        if (PyErr_Occurred()) return -1;
        if (tokens < octets || moment >= until) return 0;
    }
    return 1;
}

static int take_from(PyObject *buckets, double octets)
{
    if (!buckets_in(buckets)) return -1;
    for (Py_ssize_t number = 0; number < PyTuple_GET_SIZE(buckets); number++) {
        PyObject *bucket = PyTuple_GET_ITEM(buckets, number), **tokens = slot(bucket, bucket_tokens);
        if (!IS(bucket, bucket) && !IS(stock, bucket)) {
            PyErr_SetString(PyExc_TypeError, "this is no bucket");
            return -1;
        }
        double left = number_of(*tokens) - octets;
        if (PyErr_Occurred() || put_number(tokens, left)) return -1;
    }
    return 0;
}

/* So much moved: the twin is `Leeway.charge`. */
static int charge(PyObject *leeway, PyObject *received, PyObject *sent, PyObject *now)
{
    double up = number_of(received), down = number_of(sent);
    if (take_from(OF(leeway, leeway, down), down) || take_from(OF(leeway, leeway, up), up)) return -1;
    if (take_from(OF(leeway, leeway, lent), up + down)) return -1;
    if (add_to(slot(leeway, leeway_received), received) || add_to(slot(leeway, leeway_sent), sent)) return -1;
    PUT(leeway, leeway, used_at, Py_NewRef(now));
    if (OF(leeway, leeway, is_noted) != Py_False) return 0;
    PUT(leeway, leeway, is_noted, Py_NewRef(Py_True));
    PyObject *note = OF(leeway, leeway, note), *noted = is_set(note) ? PyObject_CallOneArg(note, leeway) : NULL;
    Py_XDECREF(noted);
    return noted ? 0 : -1;
}

int leeway_charge(PyObject *leeway, PyObject *received, PyObject *sent)
{
    if (goes_on(leeway) < 0) return -1;
    PyObject *now = Py_XNewRef(OF(leeway, leeway, used_at));
    int failed = !is_set(now) || charge(leeway, received, sent, now);
    Py_XDECREF(now);
    return failed ? -1 : 0;
}

/* The least that is in a bucket and in what was found before; 0 where somebody waits for it. */
static double least_of(PyObject *bucket, double least)
{
    PyObject *hungry = OF(bucket, bucket, hungry);
    double tokens = number_of(OF(bucket, bucket, tokens));
    if (!is_set(hungry) || PyErr_Occurred() || PyObject_IsTrue(hungry)) return 0;
    return tokens < least ? tokens : least;
}

Py_ssize_t leeway_ready(PyObject *leeway, enum Way way, PyObject *now)
{
    double least = PY_SSIZE_T_MAX / 2, moment = number_of(now);
    int may = PyErr_Occurred() ? -1 : goes_on(leeway);
    PyObject *buckets = may > 0 ? buckets_in(way == UP ? OF(leeway, leeway, up) : OF(leeway, leeway, down)) : NULL;
    PyObject *stocks = buckets ? buckets_in(OF(leeway, leeway, lent)) : NULL;
    if (!stocks) return PyErr_Occurred() ? -1 : 0;
    for (Py_ssize_t number = 0; number < PyTuple_GET_SIZE(buckets); number++) {
        PyObject *bucket = PyTuple_GET_ITEM(buckets, number);
        if (!IS(bucket, bucket)) return 0;
        if (fill(bucket, now)) return -1;
        least = least_of(bucket, least);
    }
    for (Py_ssize_t number = 0; number < PyTuple_GET_SIZE(stocks); number++) {
        PyObject *stock = PyTuple_GET_ITEM(stocks, number);
        if (!IS(stock, stock)) return 0;
        least = moment < number_of(OF(stock, stock, until)) ? least_of(stock, least) : 0;
    }
    if (PyErr_Occurred()) return -1;
    if (least < piece_octets) return 0;
    PUT(leeway, leeway, used_at, Py_NewRef(now));
    return (Py_ssize_t)least;
}

int leeway_takes(PyObject *leeway, PyObject *received, PyObject *sent, PyObject *now)
{
    int covers = goes_on(leeway);
    double up = number_of(received), down = number_of(sent);
    if (PyErr_Occurred()) return -1;
    if (covers > 0) covers = rates_cover(OF(leeway, leeway, down), down, now);
    if (covers > 0) covers = rates_cover(OF(leeway, leeway, up), up, now);
    if (covers > 0) covers = loans_cover(OF(leeway, leeway, lent), up + down, now);
    if (covers > 0 && charge(leeway, received, sent, now)) return -1;
    return covers;
}
