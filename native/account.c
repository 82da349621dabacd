/*
 * What the octets of an exchange count for, and the sums that they are added to.
 *
 * The twins are corpproxy/backends/counted.py, `Books._count`, and corpproxy/accounting/accounts.py and ledger.py.
 */
#include "books.h"

enum { RECEIVED, SENT, EXCHANGES, MINUTES, SUMS };
enum { MINUTE_SECONDS = 60 };

PyObject *number_one, *number_nought;

int keep_numbers(void)
{
    if (!number_one) number_one = PyLong_FromLong(1);
    if (!number_nought) number_nought = PyLong_FromLong(0);
    return number_one && number_nought ? 0 : -1;
}

static int is_text(PyObject *object)
{
    return object && PyUnicode_CheckExact(object);
}

static int is_number(PyObject *object)
{
    return object && PyLong_CheckExact(object);
}

static int is_counted(PyObject *account)
{
    return IS(account, account) && is_text(OF(account, account, host)) && is_text(OF(account, account, rule)) &&
           is_number(OF(account, account, received)) && is_number(OF(account, account, sent)) &&
           is_number(OF(account, account, counted_received)) && is_number(OF(account, account, counted_sent));
}

int is_countable(PyObject *exchange, PyObject *accounts)
{
    if (!IS(exchange, exchange) || !IS(accounts, accounts) || !is_counted(OF(exchange, exchange, account))) return 0;
    PyObject *ledger = OF(accounts, accounts, ledger), *running = OF(accounts, accounts, running);
    if (!IS(ledger, ledger) || !running || !PyDict_CheckExact(running)) return 0;
    PyObject *sums = OF(ledger, ledger, sums), *most = OF(ledger, ledger, max_sums);
    if (!sums || !PyDict_CheckExact(sums) || !is_number(most)) return 0;
    PyObject *identity = OF(exchange, exchange, identity), *destination = OF(exchange, exchange, destination);
    if (!IS(identity, identity) || !IS(destination, destination)) return 0;
    PyObject *decision = OF(exchange, exchange, decision), *host = OF(destination, destination, host);
    return IS(decision, decision) && IS(host, host) && is_text(OF(host, host, name)) &&
           is_text(OF(decision, decision, rule)) && OF(identity, identity, name) && OF(identity, identity, groups) &&
           OF(destination, destination, categories) && OF(exchange, exchange, client);
}

/* Say for whom and for what the octets count: the twin is `name_account`. */
static void name_account(PyObject *exchange)
{
    PyObject *account = OF(exchange, exchange, account), *identity = OF(exchange, exchange, identity);
    PyObject *destination = OF(exchange, exchange, destination), *decision = OF(exchange, exchange, decision);
    PUT(account, account, user, Py_NewRef(OF(identity, identity, name)));
    PUT(account, account, groups, Py_NewRef(OF(identity, identity, groups)));
    PUT(account, account, categories, Py_NewRef(OF(destination, destination, categories)));
    PUT(account, account, host, Py_NewRef(OF(host, OF(destination, destination, host), name)));
    PUT(account, account, device, Py_NewRef(OF(exchange, exchange, client)));
    PUT(account, account, rule, Py_NewRef(OF(decision, decision, rule)));
}

int open_account(PyObject *exchange, PyObject *accounts)
{
    name_account(exchange);
    return PyDict_SetItem(OF(accounts, accounts, running), OF(exchange, exchange, account), Py_None);
}

/* What a sum comes to with what was not counted yet; `sum` is NULL where there is none. */
static PyObject *grown(PyObject *sum, PyObject *all, PyObject *counted)
{
    PyObject *more = PyNumber_Subtract(all, counted);
    if (!sum || !more) return more;
    PyObject *both = PyNumber_Add(sum, more);
    Py_DECREF(more);
    return both;
}

/* The sums of a row with what is left of an account and one exchange more; `row` is NULL where it is the first. */
static int next_sums(PyObject *row, PyObject *account, PyObject *next[SUMS])
{
    PyObject *sums[SUMS] = {NULL, NULL, NULL, NULL};
    for (int i = 0; row && i < SUMS; i++) sums[i] = PyList_GET_ITEM(row, i);
    next[RECEIVED] =
        grown(sums[RECEIVED], OF(account, account, received), OF(account, account, counted_received));
    next[SENT] = next[RECEIVED] ? grown(sums[SENT], OF(account, account, sent), OF(account, account, counted_sent)) : NULL;
    next[EXCHANGES] = next[SENT] ? (sums[EXCHANGES] ? PyNumber_Add(sums[EXCHANGES], number_one) : Py_NewRef(number_one)) : NULL;
    next[MINUTES] = next[EXCHANGES] ? Py_NewRef(row ? sums[MINUTES] : number_nought) : NULL;
    if (next[MINUTES]) return 0;
    for (int i = 0; i < SUMS && next[i]; i++) Py_DECREF(next[i]);
    return -1;
}

/* Take the sums over as a new row: the twin is `Ledger._open`, which is asked where there are too many rows. */
static int open_row(PyObject *ledger, PyObject *key, PyObject *next[SUMS])
{
    PyObject *row = PyList_New(SUMS), *rows = OF(ledger, ledger, sums);
    for (int i = 0; i < SUMS; i++) {
        if (row)
            PyList_SET_ITEM(row, i, next[i]);
        else
            Py_DECREF(next[i]);
    }
    Py_ssize_t most = row ? PyLong_AsSsize_t(OF(ledger, ledger, max_sums)) : -1;
    int failed = -1;
    if (row && !PyErr_Occurred()) {
        if (PyDict_GET_SIZE(rows) < most) {
            failed = PyDict_SetItem(rows, key, row);
        } else {
            PyObject *told = PyObject_CallMethod(ledger, "_open", "OO", key, row);
            failed = told ? 0 : -1;
            Py_XDECREF(told);
        }
    }
    Py_XDECREF(row);
    return failed;
}

/* Take the sums over in the place of those in a row. */
static void put_sums(PyObject *row, PyObject *next[SUMS])
{
    for (int i = 0; i < SUMS; i++) {
        PyObject *before = PyList_GET_ITEM(row, i);
        PyList_SET_ITEM(row, i, next[i]);
        Py_DECREF(before);
    }
}

static PyObject *key_of(PyObject *account, double at)
{
    PyObject *minute = PyLong_FromLongLong((long long)at / MINUTE_SECONDS * MINUTE_SECONDS);
    if (!minute) return NULL;
    PyObject *key = PyTuple_Pack(7, minute, OF(account, account, user), OF(account, account, groups),
                                 OF(account, account, categories), OF(account, account, host),
                                 OF(account, account, device), OF(account, account, rule));
    Py_DECREF(minute);
    return key;
}

/* The twin is `Ledger.add`, of one exchange. */
static int add(PyObject *ledger, PyObject *account, double at)
{
    PyObject *key = key_of(account, at), *next[SUMS];
    if (!key) return -1;
    PyObject *row = Py_XNewRef(PyDict_GetItemWithError(OF(ledger, ledger, sums), key));
    int failed = PyErr_Occurred() ? -1 : 0;
    if (row && (!PyList_CheckExact(row) || PyList_GET_SIZE(row) != SUMS)) {
        PyErr_SetString(PyExc_TypeError, "a row of the ledger has four sums");
        failed = -1;
    }
    if (!failed) failed = next_sums(row, account, next);
    if (!failed && row) put_sums(row, next);
    if (!failed && !row) failed = open_row(ledger, key, next);
    Py_XDECREF(row);
    Py_DECREF(key);
    return failed;
}

/* An open tunnel counts for whom and for what it did, but where its first octets decided it again. */
static int is_named(PyObject *exchange)
{
    PyObject *account = OF(exchange, exchange, account), *rule = OF(account, account, rule);
    if (OF(exchange, exchange, opened) != Py_True || !PyUnicode_GET_LENGTH(OF(account, account, host))) return 0;
    PyObject *decided = OF(decision, OF(exchange, exchange, decision), rule);
    return rule == decided || PyUnicode_Compare(rule, decided) == 0;
}

int close_account(PyObject *exchange, PyObject *accounts, double now)
{
    PyObject *account = Py_NewRef(OF(exchange, exchange, account));
    if (!is_named(exchange)) name_account(exchange);
    PyObject *running = OF(accounts, accounts, running);
    int failed = 0;
    if (PyDict_GET_SIZE(running)) {
        int is_there = PyDict_Contains(running, account);
        failed = is_there < 0 ? -1 : is_there ? PyDict_DelItem(running, account) : 0;
    }
    if (!failed) failed = add(OF(accounts, accounts, ledger), account, now);
    if (!failed) {
        PUT(account, account, counted_received, Py_NewRef(OF(account, account, received)));
        PUT(account, account, counted_sent, Py_NewRef(OF(account, account, sent)));
    }
    Py_DECREF(account);
    return failed;
}
