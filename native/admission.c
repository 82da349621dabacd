/*
 * Who may have how much open.
 *
 * corpproxy/net/admission.py says what is done here and why, and has the twins.  What is counted is counted here; what
 * is too much is said by the twin.
 */
#include "ahead.h"

/* How many a counter has of somebody; -1 with an exception. */
static long count_of(PyObject *counter, PyObject *key)
{
    if (!is_set(counter) || !is_set(key)) return -1;
    if (!PyDict_CheckExact(counter)) {
        PyErr_SetString(PyExc_TypeError, "counters are dictionaries");
        return -1;
    }
    PyObject *count = PyDict_GetItemWithError(counter, key);
    if (!count) return PyErr_Occurred() ? -1 : 0;
    return PyLong_AsLong(count);
}

static int put_count(PyObject *counter, PyObject *key, long count)
{
    PyObject *number = PyLong_FromLong(count);
    int failed = !number || PyDict_SetItem(counter, key, number);
    Py_XDECREF(number);
    return failed ? -1 : 0;
}

static int one_more(PyObject *counter, PyObject *key)
{
    long count = count_of(counter, key);
    return count < 0 ? -1 : put_count(counter, key, count + 1);
}

/* One less: who is at nought is forgotten. */
static int one_less(PyObject *counter, PyObject *key)
{
    long count = count_of(counter, key);
    if (count < 0) return -1;
    return count > 1 ? put_count(counter, key, count - 1) : PyDict_DelItem(counter, key);
}

/* How many others of this service have of somebody; -1 with an exception. */
static long elsewhere_of(PyObject *admission, PyObject *kind, PyObject *key)
{
    PyObject *elsewhere = OF(admission, admission, elsewhere);
    if (elsewhere == object_nobody) return 0;
    PyObject *counter = member_of(elsewhere, kind);
    long count = counter ? count_of(counter, key) : -1;
    Py_XDECREF(counter);
    return count;
}

/* How many there are, here and elsewhere. */
static long everywhere(PyObject *admission, PyObject *counter, PyObject *kind, PyObject *key)
{
    long here = count_of(counter, key), there = here < 0 ? -1 : elsewhere_of(admission, kind, key);
    return there < 0 ? -1 : here + there;
}

/* A member of the limits in force; -1 with an exception. */
static long limit_of(PyObject *in_force, Py_ssize_t member)
{
    PyObject *limits = IS(in_force, in_force) ? OF(in_force, in_force, connections) : NULL;
    if (!IS(connection_limits, limits)) {
        PyErr_SetString(PyExc_TypeError, "these are no limits of connections");
        return -1;
    }
    return is_set(*slot(limits, member)) ? PyLong_AsLong(*slot(limits, member)) : -1;
}

#define LIMIT(in_force, member) limit_of((in_force), connection_limits_##member)

static int is_somebody(PyObject *name)
{
    return name && PyUnicode_CheckExact(name) && PyUnicode_GET_LENGTH(name) > 0;
}

/* The name of who is behind an exchange; borrowed, NULL for the twin. */
static PyObject *name_behind(PyObject *exchange)
{
    PyObject *identity = IS(exchange, exchange) ? OF(exchange, exchange, identity) : NULL;
    PyObject *name = IS(identity, identity) ? OF(identity, identity, name) : NULL;
    return name && PyUnicode_CheckExact(name) ? name : NULL;
}

/* Whether what is counted here is as expected. */
static int is_usual(PyObject *admission, PyObject *downstream)
{
    return IS(admission, admission) && IS(downstream, downstream) && OF(admission, admission, elsewhere);
}

static int belongs(PyObject *admission, PyObject *downstream, PyObject *before, PyObject *name)
{
    PyObject *by_person = OF(admission, admission, by_person);
    if (is_somebody(before) && one_less(by_person, before)) return -1;
    if (is_somebody(name) && one_more(by_person, name)) return -1;
    return PyDict_SetItem(OF(admission, admission, connections), downstream, name);
}

/* Whether a connection may be of its person: 0 for the twin, which says why not; -1 with an exception. */
static int may_belong(PyObject *admission, PyObject *downstream)
{
    PyObject *exchange = is_usual(admission, downstream) ? OF(downstream, downstream, exchange) : NULL;
    PyObject *name = name_behind(exchange), *connections = OF(admission, admission, connections);
    if (!name || !connections || !PyDict_CheckExact(connections)) return 0;
    PyObject *before = Py_XNewRef(PyDict_GetItemWithError(connections, downstream));
    if (!before && PyErr_Occurred()) return -1;
    /* One that is gone already is nobody's any more. */
    int differs = before && before != name ? PyObject_RichCompareBool(before, name, Py_NE) : 0;
    if (differs > 0) differs = belongs(admission, downstream, before, name);
    Py_XDECREF(before);
    if (differs < 0) return -1;
    long limit = LIMIT(OF(exchange, exchange, in_force), per_person);
    if (limit < 0) return -1;
    if (!limit || !is_somebody(name)) return 1;
    long many = everywhere(admission, OF(admission, admission, by_person), name_by_person, name);
    return many < 0 ? -1 : many <= limit;
}

int admission_check_person(PyObject *admission, PyObject *downstream)
{
    int may = IS(admission, admission) ? may_belong(admission, downstream) : 0;
    if (may) return may < 0 ? -1 : 0;
    return call_method(admission, IS(admission, admission) ? name_check_person_in_python : name_check_person, downstream);
}

/* Whether somebody may open one more tunnel: 0 for the twin. */
static int may_open(PyObject *admission, PyObject *counter, PyObject *kind, PyObject *key, long limit)
{
    if (limit <= 0) return limit < 0 ? -1 : 1;
    long many = everywhere(admission, counter, kind, key);
    return many < 0 ? -1 : many < limit;
}

/* Count a tunnel; 0 for the twin, and nothing is counted then. */
static int count_tunnel(PyObject *admission, PyObject *downstream)
{
    PyObject *exchange = is_usual(admission, downstream) ? OF(downstream, downstream, exchange) : NULL;
    PyObject *name = name_behind(exchange);
    if (!name) return 0;
    PyObject *client = OF(exchange, exchange, client), *in_force = OF(exchange, exchange, in_force);
    PyObject *by_address = OF(admission, admission, tunnels_by_address);
    PyObject *by_person = OF(admission, admission, tunnels_by_person);
    int may = may_open(admission, by_address, name_tunnels_by_address, client, LIMIT(in_force, tunnels_per_address));
    if (may > 0 && is_somebody(name))
        may = may_open(admission, by_person, name_tunnels_by_person, name, LIMIT(in_force, tunnels_per_person));
    if (may <= 0) return may;
    if (is_somebody(name) && one_more(by_person, name)) return -1;
    PyObject *tunnels = OF(admission, admission, tunnels);
    if (!is_set(tunnels) || PyDict_SetItem(tunnels, downstream, Py_None)) return -1;
    return one_more(by_address, client) ? -1 : 1;
}

int admission_open_tunnel(PyObject *admission, PyObject *downstream)
{
    int may = IS(admission, admission) ? count_tunnel(admission, downstream) : 0;
    if (may) return may < 0 ? -1 : 0;
    return call_method(admission, IS(admission, admission) ? name_open_tunnel_in_python : name_open_tunnel, downstream);
}

/* Whether an exchange may begin: 0 for the twin, which says why not. */
int admission_may_begin(PyObject *admission, PyObject *exchange)
{
    if (!IS(admission, admission) || !IS(exchange, exchange)) return 0;
    PyObject *books = PROXY(OF(admission, admission, proxy), books);
    PyObject *accepts = books ? PyObject_CallMethodNoArgs(books, name_accepts) : NULL;
    Py_XDECREF(books);
    if (!accepts) return -1;
    int may = PyObject_IsTrue(accepts);
    Py_DECREF(accepts);
    long limit = may > 0 ? LIMIT(OF(exchange, exchange, in_force), per_address) : may;
    if (may <= 0 || limit <= 0) return may < 0 || limit < 0 ? -1 : may;
    PyObject *client = OF(exchange, exchange, client);
    long many = everywhere(admission, OF(admission, admission, by_address), name_by_address, client);
    return many < 0 ? -1 : many <= limit;
}

/* Count a tunnel no more; 0 for the twin. */
static int forget_tunnel(PyObject *admission, PyObject *downstream)
{
    PyObject *exchange = is_usual(admission, downstream) ? OF(downstream, downstream, exchange) : NULL;
    PyObject *name = name_behind(exchange), *tunnels = name ? OF(admission, admission, tunnels) : NULL;
    if (!tunnels || !PyDict_CheckExact(tunnels)) return 0;
    int is_open = PyDict_Contains(tunnels, downstream);
    if (is_open <= 0) return is_open < 0 ? -1 : 1;
    if (PyDict_DelItem(tunnels, downstream)) return -1;
    if (one_less(OF(admission, admission, tunnels_by_address), OF(exchange, exchange, client))) return -1;
    if (is_somebody(name) && one_less(OF(admission, admission, tunnels_by_person), name)) return -1;
    return 1;
}

int admission_tunnel_closed(PyObject *admission, PyObject *downstream)
{
    int done = IS(admission, admission) ? forget_tunnel(admission, downstream) : 0;
    if (done) return done < 0 ? -1 : 0;
    return call_method(admission, IS(admission, admission) ? name_tunnel_closed_in_python : name_tunnel_closed, downstream);
}

/* Count a connection; 0 for the twin, -1 with an exception, and whether it is one too many otherwise. */
enum { ENOUGH = 1, TOO_MANY = 2 };

/* As in Python: so many times the limit of an address it is cut off unheard. */
enum { CUT_OFF_TIMES = 2 };

static int count_connection(PyObject *admission, PyObject *downstream)
{
    PyObject *connections = is_usual(admission, downstream) ? OF(admission, admission, connections) : NULL;
    PyObject *address = connections ? OF(downstream, downstream, address) : NULL;
    PyObject *by_address = OF(admission, admission, by_address);
    if (!address || !PyDict_CheckExact(connections)) return 0;
    if (PyDict_SetItem(connections, downstream, no_text) || one_more(by_address, address)) return -1;
    PyObject *in_force = PROXY(OF(admission, admission, proxy), in_force);
    long total = in_force ? LIMIT(in_force, total) : -1, limit = total < 0 ? -1 : LIMIT(in_force, per_address);
    Py_XDECREF(in_force);
    if (limit < 0) return -1;
    if (limit) {
        long many = everywhere(admission, by_address, name_by_address, address);
        if (many < 0 || many > limit * CUT_OFF_TIMES) return many < 0 ? -1 : TOO_MANY;
    }
    if (!total) return ENOUGH;
    PyObject *elsewhere = OF(admission, admission, elsewhere);
    PyObject *others = elsewhere == object_nobody ? PyLong_FromLong(0) : PyObject_GetAttr(elsewhere, name_total);
    Py_ssize_t there = others ? PyLong_AsSsize_t(others) : -1;
    Py_XDECREF(others);
    if (there < 0) return PyErr_Occurred() ? -1 : ENOUGH;
    return PyDict_GET_SIZE(connections) + there > total ? TOO_MANY : ENOUGH;
}

int admission_opened(PyObject *admission, PyObject *downstream)
{
    int counted = IS(admission, admission) ? count_connection(admission, downstream) : 0;
    if (counted < 0 || counted == ENOUGH) return counted < 0 ? -1 : 0;
    if (counted == TOO_MANY) return call_method(downstream, name_abort, NULL);
    return call_method(admission, IS(admission, admission) ? name_opened_in_python : name_opened, downstream);
}

/* Count a connection no more; 0 for the twin. */
static int forget_connection(PyObject *admission, PyObject *downstream)
{
    PyObject *connections = is_usual(admission, downstream) ? OF(admission, admission, connections) : NULL;
    if (!connections || !PyDict_CheckExact(connections)) return 0;
    PyObject *person = Py_XNewRef(PyDict_GetItemWithError(connections, downstream));
    if (!person) return PyErr_Occurred() ? -1 : 1;
    int failed = PyDict_DelItem(connections, downstream) ||
                 one_less(OF(admission, admission, by_address), OF(downstream, downstream, address)) ||
                 (is_somebody(person) && one_less(OF(admission, admission, by_person), person));
    Py_DECREF(person);
    return failed ? -1 : 1;
}

int admission_closed(PyObject *admission, PyObject *downstream)
{
    int done = IS(admission, admission) ? forget_connection(admission, downstream) : 0;
    if (done) return done < 0 ? -1 : 0;
    return call_method(admission, IS(admission, admission) ? name_closed_in_python : name_closed, downstream);
}

/* ---- The methods ---- */

#define METHOD(name)                                                                                                   \
    static PyObject *name##_method(PyObject *self, PyObject *downstream)                                               \
    {                                                                                                                  \
        if (admission_##name(self, downstream)) return NULL;                                                           \
        Py_RETURN_NONE;                                                                                                \
    }

METHOD(opened)
METHOD(check_person)
METHOD(open_tunnel)
METHOD(tunnel_closed)
METHOD(closed)

static PyObject *refusal(PyObject *self, PyObject *exchange)
{
    int may = admission_may_begin(self, exchange);
    if (may < 0) return NULL;
    if (may) Py_RETURN_NONE;
    return PyObject_CallMethodOneArg(self, name_refusal_in_python, exchange);
}

static PyMethodDef admission_methods[] = {
    {"opened", opened_method, METH_O, "A client connected."},
    {"check_person", check_person_method, METH_O, "Count a connection for the person behind its exchange."},
    {"open_tunnel", open_tunnel_method, METH_O, "Count a tunnel."},
    {"tunnel_closed", tunnel_closed_method, METH_O, "A tunnel is over."},
    {"closed", closed_method, METH_O, "A client's connection is gone."},
    {"refusal", refusal, METH_O, "Say why an exchange may not begin."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot admission_slots[] = {
    {Py_tp_doc, "Counts what is open."},
    {Py_tp_methods, admission_methods},
    {0, NULL},
};

PyType_Spec admission_spec = {
    .name = "corpproxy._ahead.Admission",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = admission_slots,
};
