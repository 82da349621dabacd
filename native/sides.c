/*
 * What both sides of an exchange do for each piece: give it to a sink, hold and go on, end.
 *
 * corpproxy/net/wire.py says what is done here and why, and has the twin.  The class here is empty: the members are
 * those of the class Wire below it, so that everybody who knows where these lie finds them there.
 */
#include "wire.h"
#include "slots.h"

/* Member, and its name. */
#define MEMBERS(M)                                                                                                     \
    M(closing)                                                                                                         \
    M(deadline)                                                                                                        \
    M(deadlines)                                                                                                       \
    M(full)                                                                                                            \
    M(gone)                                                                                                            \
    M(on_hold)                                                                                                         \
    M(read_ended)                                                                                                      \
    M(sink)                                                                                                            \
    M(source)                                                                                                          \
    M(transport)

#define OFFSET(member) static Py_ssize_t at_##member;
MEMBERS(OFFSET)

static PyTypeObject *wire_type, *deadlines_type, *done_type;
static Py_ssize_t at_now, at_watched;
static PyObject *lost, *linger, *gone_sink;

static PyObject *name_octets, *name_half_closed, *name_lost, *name_drop, *name_now, *name_value, *name_hold, *name_go_on;
static PyObject *name_connection_made, *name_pause, *name_resume, *name_unregister, *name_lose, *name_lose_write;
static PyObject *name_filled;

/* That why a wire is held which its other side says, as in Python. */
enum { FULL = 2 };

PyObject *set_side(PyObject *module, PyObject *const *words, Py_ssize_t many)
{
    if (many != 6 || !PyType_Check(words[0]) || !PyType_Check(words[1]) || !PyType_Check(words[2]) ||
        !PyFloat_CheckExact(words[4]))
        return PyErr_Format(PyExc_TypeError, "set_side(class, deadlines, class of clean ends, reason, seconds, gone)");
    PyTypeObject *type = (PyTypeObject *)words[0], *deadlines = (PyTypeObject *)words[1];
    Py_ssize_t now = offset_of(deadlines, "now"), watched = now < 0 ? -1 : offset_of(deadlines, "_watched");
    if (watched < 0) return NULL;
    /* All of them, or none: where one is missing those of before hold on. */
#define FIND(member)                                                                                                   \
    Py_ssize_t new_##member = offset_of(type, #member);                                                                \
    if (new_##member < 0) return NULL;
#define TAKE(member) at_##member = new_##member;
    MEMBERS(FIND)
    MEMBERS(TAKE)
    Py_XSETREF(wire_type, (PyTypeObject *)Py_NewRef(words[0]));
    at_now = now;
    at_watched = watched;
    Py_XSETREF(deadlines_type, (PyTypeObject *)Py_NewRef(words[1]));
    Py_XSETREF(done_type, (PyTypeObject *)Py_NewRef(words[2]));
    Py_XSETREF(lost, Py_NewRef(words[3]));
    Py_XSETREF(linger, Py_NewRef(words[4]));
    Py_XSETREF(gone_sink, Py_NewRef(words[5]));
    Py_RETURN_NONE;
}

/* Whether the members lie where they are looked for. */
static int is_wire(PyObject *self)
{
    if (wire_type && PyObject_TypeCheck(self, wire_type)) return 1;
    PyErr_SetString(PyExc_TypeError, "this is no wire");
    return 0;
}

static PyObject *missing(const char *name)
{
    PyErr_SetString(PyExc_AttributeError, name);
    return NULL;
}

/* A member, borrowed. */
#define HAS(self, member) (*slot(self, at_##member) ? *slot(self, at_##member) : missing(#member))
#define IS(self, member) (*slot(self, at_##member) == Py_True)
#define SET(self, member, value) put_slot(self, at_##member, Py_NewRef(value))

static int tell_sink(PyObject *self, PyObject *name, PyObject *what)
{
    PyObject *sink = is_wire(self) ? HAS(self, sink) : NULL;
    return sink ? tell(sink, name, what) : -1;
}

static int tell_transport(PyObject *self, PyObject *name)
{
    PyObject *transport = HAS(self, transport);
    return transport ? tell(transport, name, NULL) : -1;
}

/* ---- What comes ---- */

static int begin_with(PyObject *self, PyObject *transport)
{
    if (!is_wire(self)) return -1;
    SET(self, transport, transport);
    return tell(self, name_connection_made, NULL);
}

static PyObject *side_make_connection(PyObject *self, PyObject *transport)
{
    return done(begin_with(self, transport));
}

static PyObject *side_data_received(PyObject *self, PyObject *data)
{
    return done(tell_sink(self, name_octets, data));
}

int tell_of_transport(PyObject *protocol, PyObject *name, PyObject *transport)
{
    static Seen seen;
    if (!is_ours(protocol, name, side_make_connection, &seen)) return tell(protocol, name, transport);
    return begin_with(protocol, transport);
}

int tell_of_octets(PyObject *protocol, PyObject *name, PyObject *octets)
{
    static Seen seen;
    if (!is_ours(protocol, name, side_data_received, &seen)) return tell(protocol, name, octets);
    Py_INCREF(protocol);
    int told = tell_sink(protocol, name_octets, octets);
    Py_DECREF(protocol);
    return told;
}

static PyObject *side_read_lost(PyObject *self, PyObject *ignored)
{
    if (!is_wire(self)) return NULL;
    SET(self, read_ended, Py_True);
    return done(tell_sink(self, name_half_closed, NULL));
}

/* Whether the reason of an end is none that broke something: -1 with an exception. */
static int is_clean(PyObject *reason)
{
    if (reason == lost) return 1;
    PyObject *value = PyObject_GetAttr(reason, name_value);
    int is = value ? PyObject_IsInstance(value, (PyObject *)done_type) : -1;
    Py_XDECREF(value);
    return is;
}

/* What is watched, where that is a dictionary of the class that is known; borrowed. */
static PyObject *watched_by(PyObject *deadlines)
{
    if (!deadlines || !Py_IS_TYPE(deadlines, deadlines_type)) return NULL;
    PyObject *watched = *slot(deadlines, at_watched);
    return watched && PyDict_CheckExact(watched) ? watched : NULL;
}

static int drop_deadline(PyObject *self)
{
    PyObject *deadlines = HAS(self, deadlines), *watched = watched_by(deadlines);
    if (watched) {
        int is_in = PyDict_Contains(watched, self);
        return is_in > 0 ? PyDict_DelItem(watched, self) : is_in;
    }
    PyObject *drop = deadlines ? PyObject_GetAttr(deadlines, name_drop) : NULL;
    if (!drop) return -1;
    PyObject *words[] = {self, Py_None};
    PyObject *told = PyObject_Vectorcall(drop, words, 2, NULL);
    Py_DECREF(drop);
    Py_XDECREF(told);
    return told ? 0 : -1;
}

int side_lost(PyObject *self, PyObject *reason)
{
    if (!is_wire(self) || drop_deadline(self)) return -1;
    SET(self, gone, Py_True);
    /* Whose sink nothing reaches any more need not be told, as nearly all at the end of their tunnel. */
    if (*slot(self, at_sink) == gone_sink) return 0;
    int clean = is_clean(reason ? reason : lost);
    return clean < 0 ? -1 : tell_sink(self, name_lost, clean ? Py_True : Py_False);
}

static PyObject *side_connection_lost(PyObject *self, PyObject *const *words, Py_ssize_t many)
{
    if (many > 1) return PyErr_Format(PyExc_TypeError, "connectionLost(reason)");
    return done(side_lost(self, many ? words[0] : NULL));
}

/* ---- What goes ---- */

static PyObject *side_end_writing(PyObject *self, PyObject *ignored)
{
    return is_wire(self) ? done(tell_transport(self, name_lose_write)) : NULL;
}

static int linger_from_now(PyObject *self)
{
    PyObject *deadlines = HAS(self, deadlines);
    int is_known = deadlines && Py_IS_TYPE(deadlines, deadlines_type);
    PyObject *now = is_known ? Py_XNewRef(*slot(deadlines, at_now)) : NULL;
    if (!now) now = deadlines ? PyObject_GetAttr(deadlines, name_now) : NULL;
    PyObject *until = now ? PyNumber_Add(now, linger) : NULL;
    Py_XDECREF(now);
    if (!until) return -1;
    put_slot(self, at_deadline, until);
    return 0;
}

static PyObject *side_close(PyObject *self, PyObject *ignored)
{
    if (!is_wire(self)) return NULL;
    if (IS(self, gone) || IS(self, closing)) Py_RETURN_NONE;
    SET(self, closing, Py_True);
    return done(linger_from_now(self) || tell_transport(self, name_unregister) || tell_transport(self, name_lose));
}

/* ---- Holding back ---- */

/* Why it is not read, as bits; -1 with an exception. */
static long held_for(PyObject *self)
{
    PyObject *on_hold = HAS(self, on_hold);
    return on_hold ? PyLong_AsLong(on_hold) : -1;
}

static int set_held(PyObject *self, long why)
{
    PyObject *on_hold = PyLong_FromLong(why);
    if (!on_hold) return -1;
    put_slot(self, at_on_hold, on_hold);
    return 0;
}

static int is_read(PyObject *self)
{
    return !IS(self, gone) && !IS(self, read_ended);
}

static int hold(PyObject *self, long why)
{
    long before = held_for(self);
    if (before < 0 || (!before && is_read(self) && tell_transport(self, name_pause))) return -1;
    long now = held_for(self);
    return now < 0 ? -1 : set_held(self, now | why);
}

static int go_on(PyObject *self, long why)
{
    long before = held_for(self);
    if (before <= 0) return (int)before;
    if (set_held(self, before & ~why)) return -1;
    /* After the end of the stream a reactor would tell of that end again, and again. */
    return !(before & ~why) && is_read(self) ? tell_transport(self, name_resume) : 0;
}

static PyObject *side_hold(PyObject *self, PyObject *reason)
{
    long why = PyLong_AsLong(reason);
    if ((why == -1 && PyErr_Occurred()) || !is_wire(self)) return NULL;
    return done(hold(self, why));
}

static PyObject *side_go_on(PyObject *self, PyObject *reason)
{
    long why = PyLong_AsLong(reason);
    if ((why == -1 && PyErr_Occurred()) || !is_wire(self)) return NULL;
    return done(go_on(self, why));
}

static int tell_full(PyObject *source, PyObject *name)
{
    PyObject *full = PyLong_FromLong(FULL);
    int told = full ? tell(source, name, full) : -1;
    Py_XDECREF(full);
    return told;
}

static PyObject *side_fed_by(PyObject *self, PyObject *source)
{
    if (!is_wire(self)) return NULL;
    SET(self, source, source);
    if (!IS(self, full)) Py_RETURN_NONE;
    return done(tell_full(source, name_hold) || tell(self, name_filled, NULL));
}

static PyObject *side_fed_no_more(PyObject *self, PyObject *ignored)
{
    if (!is_wire(self)) return NULL;
    PyObject *source = HAS(self, source);
    if (!source) return NULL;
    Py_INCREF(source);
    SET(self, source, Py_None);
    int failed = 0;
    if (source != Py_None && is_wire(source)) {
        long why = held_for(source);
        failed = why < 0 || (why && tell_full(source, name_go_on));
    }
    Py_DECREF(source);
    return done(failed || PyErr_Occurred());
}

static PyMethodDef side_methods[] = {
    {"makeConnection", side_make_connection, METH_O, "Begin to serve a connected transport."},
    {"dataReceived", side_data_received, METH_O, "Give octets to the sink."},
    {"readConnectionLost", side_read_lost, METH_NOARGS, "Tell the sink that the peer sends no more."},
    {"connectionLost", (PyCFunction)(void (*)(void))side_connection_lost, METH_FASTCALL,
     "connectionLost(reason)\n\nTell the sink that the connection is gone."},
    {"end_writing", side_end_writing, METH_NOARGS, "Send the end of the stream once all is written, and go on reading."},
    {"close", side_close, METH_NOARGS, "Close once all is written."},
    {"fed_by", side_fed_by, METH_O, "From now on this source is held while this connection is full."},
    {"fed_no_more", side_fed_no_more, METH_NOARGS, "Nothing more comes from the source."},
    {"hold", side_hold, METH_O, "Read no more for now."},
    {"go_on", side_go_on, METH_O, "Read again, unless there is another reason not to."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot side_slots[] = {
    {Py_tp_doc, "What both sides of an exchange do for each piece."},
    {Py_tp_methods, side_methods},
    {0, NULL},
};

static PyType_Spec side_spec = {
    .name = "corpproxy._wire.Side",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = side_slots,
};

static const struct {
    PyObject **name;
    const char *text;
} names[] = {
    {&name_octets, "octets"},
    {&name_half_closed, "half_closed"},
    {&name_lost, "lost"},
    {&name_drop, "drop"},
    {&name_now, "now"},
    {&name_value, "value"},
    {&name_hold, "hold"},
    {&name_go_on, "go_on"},
    {&name_connection_made, "connectionMade"},
    {&name_pause, "pauseProducing"},
    {&name_resume, "resumeProducing"},
    {&name_unregister, "unregisterProducer"},
    {&name_lose, "loseConnection"},
    {&name_lose_write, "loseWriteConnection"},
    {&name_filled, "filled"},
};

int add_sides(PyObject *module)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (keep_name(names[i].name, names[i].text)) return -1;
    return add_type(module, &side_spec, NULL);
}
