/*
 * Times as records write them: the twins are corpproxy/audit/times.py and, for durations, `like` in
 * corpproxy/backends/alike.py.
 */
#include "moment.h"
#include <string.h>

/* As "2026-11-23T10:00:00." and behind it "123Z". */
enum { SECOND_LETTERS = 20 };

PyObject *utc_text;

/* The last second that was written: all records of one second share it. */
static long long last_second = -1;
static char last_text[SECOND_LETTERS];

/* Have Python write a second, and keep it; 0 where it is written in another way. */
static int write_second(PyObject *at, long long second)
{
    PyObject *text = utc_text ? PyObject_CallOneArg(utc_text, at) : NULL;
    int is_usual = text && PyUnicode_CheckExact(text) && PyUnicode_IS_COMPACT_ASCII(text) &&
                   PyUnicode_GET_LENGTH(text) == MOMENT_LETTERS;
    if (is_usual) {
        memcpy(last_text, PyUnicode_1BYTE_DATA(text), SECOND_LETTERS);
        last_second = second;
    }
    Py_XDECREF(text);
    return is_usual;
}

int write_moment(char *to, PyObject *at)
{
    if (!at || !PyFloat_CheckExact(at)) return 0;
    double moment = PyFloat_AS_DOUBLE(at);
    if (!(moment >= 0 && moment < MOST_SECONDS)) return 0;
    long long second = (long long)moment;
    if (second != last_second && !write_second(at, second)) return 0;
    /* A double of this size is off by 0.0001 ms: without the addition .123 would be cut to .122. */
    int millisecond = (int)((moment - (double)second) * 1000 + 0.0002);
    if (millisecond > 999) return 0;
    memcpy(to, last_text, SECOND_LETTERS);
    to[SECOND_LETTERS] = (char)('0' + millisecond / 100);
    to[SECOND_LETTERS + 1] = (char)('0' + millisecond / 10 % 10);
    to[SECOND_LETTERS + 2] = (char)('0' + millisecond % 10);
    to[SECOND_LETTERS + 3] = 'Z';
    return 1;
}

PyObject *moment_text(PyObject *at)
{
    char letters[MOMENT_LETTERS];
    if (!write_moment(letters, at)) return NULL;
    PyObject *text = PyUnicode_New(MOMENT_LETTERS, 127);
    if (text) memcpy(PyUnicode_1BYTE_DATA(text), letters, MOMENT_LETTERS);
    return text;
}

PyObject *seconds_taken(double seconds)
{
    if (!(seconds < MOST_SECONDS)) return NULL;
    return PyFloat_FromDouble(seconds > 0 ? (double)(long long)(seconds * 1e6 + 0.5) / 1e6 : 0.0);
}

PyObject *milliseconds(PyObject *seconds)
{
    if (!seconds || !PyFloat_CheckExact(seconds)) return NULL;
    double measured = PyFloat_AS_DOUBLE(seconds);
    if (measured < 0) return Py_NewRef(Py_None);
    return measured < MOST_SECONDS ? PyLong_FromLongLong((long long)(measured * 1000 + 0.5)) : NULL;
}
