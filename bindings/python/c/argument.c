/* What callers give, checked. */
#include "binding.h"

int to_u64(PyObject *object, void *into) {
    PyObject *number = PyNumber_Index(object);
    if (!number) return 0;
    unsigned long long value = PyLong_AsUnsignedLongLong(number);
    Py_DECREF(number);
    if (value == (unsigned long long)-1 && PyErr_Occurred()) {
        PyErr_Format(PyExc_ValueError, "%R is not between 0 and 2^64 - 1", object);
        return 0;
    }
    *(uint64_t *)into = value;
    return 1;
}

int to_u32(PyObject *object, void *into) {
    uint64_t value;
    if (!to_u64(object, &value)) return 0;
    if (value > UINT32_MAX) {
        PyErr_Format(PyExc_ValueError, "%R is not between 0 and 2^32 - 1", object);
        return 0;
    }
    *(uint32_t *)into = (uint32_t)value;
    return 1;
}

int to_u32_or_none(PyObject *object, void *into) { return object == Py_None ? 1 : to_u32(object, into); }

int keywords_place(keyword *keywords, size_t count, PyObject *const *values, PyObject *names, PyObject **into) {
    Py_ssize_t given = names ? PyTuple_Size(names) : 0;
    for (Py_ssize_t i = 0; i < given; i++) {
        PyObject *name = PyTuple_GetItem(names, i);
        size_t at = 0;
        /* Names in calls are interned, so that the first look finds them. */
        while (at < count && keywords[at].interned != name) at++;
        if (at == count)
            for (at = 0; at < count && PyUnicode_CompareWithASCIIString(name, keywords[at].name) != 0;) at++;
        if (at == count) {
            PyErr_Format(PyExc_TypeError, "there is no argument %R", name);
            return -1;
        }
        if (!keywords[at].interned) keywords[at].interned = PyUnicode_InternFromString(keywords[at].name);
        into[at] = values[i] == Py_None ? NULL : values[i];
    }
    return 0;
}
