/*
 * Whether a method is one of our own, so that it is called without being looked for.
 *
 * The engine tells its members of each event, and a transport its protocol of all that comes.  Nearly always the method
 * is written in C, a few files from here, and to find it by its name takes as long as what it does.
 */
#include "wire.h"

int is_ours(PyObject *object, PyObject *name, PyCFunction function, Seen *seen)
{
    PyTypeObject *type = Py_TYPE(object);
    for (int number = 0; number < SEEN; number++) {
        const struct seen *one = &seen->classes[number];
        /* A class that is changed in any way has no version, or another one. */
        if (one->type == type && one->version == type->tp_version_tag && PyType_HasFeature(type, Py_TPFLAGS_VALID_VERSION_TAG))
            return one->is_ours;
    }
    PyObject *found = PyObject_GetAttr((PyObject *)type, name);
    if (!found) {
        PyErr_Clear(); /* whoever calls it by its name is told */
        return 0;
    }
    /* What an object has for itself comes before what its class has; a class may borrow what is made for others. */
    int is = !type->tp_dictoffset && Py_IS_TYPE(found, &PyMethodDescr_Type) &&
             ((PyMethodDescrObject *)found)->d_method->ml_meth == function &&
             PyType_IsSubtype(type, PyDescr_TYPE(found));
    Py_DECREF(found);
    struct seen *one = &seen->classes[seen->next++ % SEEN];
    Py_XSETREF(one->type, (PyTypeObject *)Py_NewRef(type));
    one->version = type->tp_version_tag;
    one->is_ours = is;
    return is;
}
