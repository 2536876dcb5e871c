/* Records to append, as the ABI wants them, and what keeps their memory where it is meanwhile. */
#include <stdlib.h>

#include "binding.h"

/* Room for one more in an array that grows; NULL with an exception. */
static void *room(void **array, size_t count, size_t *capacity, size_t item_size) {
    if (count == *capacity) {
        size_t larger = count ? 2 * count : 8;
        void *moved = realloc(*array, larger * item_size);
        if (!moved) return PyErr_NoMemory();
        *array = moved;
        *capacity = larger;
    }
    return (char *)*array + count * item_size;
}

void pins_release(pins *pins) {
    for (size_t i = 0; i < pins->view_count; i++) PyBuffer_Release(&pins->views[i]);
    for (size_t i = 0; i < pins->object_count; i++) Py_DECREF(pins->objects[i]);
    free(pins->views);
    free(pins->objects);
    memset(pins, 0, sizeof *pins);
}

int pins_keep(pins *pins, PyObject *object) {
    PyObject **kept = room((void **)&pins->objects, pins->object_count, &pins->object_capacity, sizeof *kept);
    if (!kept) return -1;
    *kept = Py_NewRef(object);
    pins->object_count++;
    return 0;
}

int bytes_from(PyObject *object, thalweg_bytes *bytes, pins *pins, const char *what) {
    *bytes = (thalweg_bytes){NULL, 0};
    if (!object || object == Py_None) return 0;
    if (PyBytes_CheckExact(object)) {
        *bytes = (thalweg_bytes){PyBytes_AsString(object), (size_t)PyBytes_Size(object)};
        return 0;
    }
    Py_buffer *view = room((void **)&pins->views, pins->view_count, &pins->view_capacity, sizeof *view);
    if (!view) return -1;
    if (PyObject_GetBuffer(object, view, PyBUF_SIMPLE) < 0) {
        if (PyErr_ExceptionMatches(PyExc_TypeError))
            PyErr_Format(
                PyExc_TypeError, "a %s is bytes or something like them, not %R", what, (PyObject *)Py_TYPE(object)
            );
        return -1;
    }
    pins->view_count++;
    /* Empty bytes are not the same as none. */
    *bytes = (thalweg_bytes){view->buf ? view->buf : "", (size_t)view->len};
    return 0;
}

/* A header's name and value. */
static int header_from(PyObject *pair, thalweg_header *header, pins *pins) {
    PyObject *name, *value;
    if (!PyTuple_Check(pair) || !PyArg_ParseTuple(pair, "UO", &name, &value)) {
        PyErr_Format(PyExc_TypeError, "a header is a tuple of str and bytes, not %R", pair);
        return -1;
    }
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(name, &size);
    if (!text) return -1;
    header->name = (thalweg_bytes){text, (size_t)size};
    /* The list that they are in may change while the append waits. */
    if (pins_keep(pins, pair) < 0) return -1;
    return bytes_from(value, &header->value, pins, "header's value");
}

static int headers_from(PyObject *headers, thalweg_record *record, pins *pins) {
    if (!headers || headers == Py_None) return 0;
    PyObject *list = PyDict_Check(headers) ? PyDict_Items(headers) : PySequence_List(headers);
    if (!list) return -1;
    size_t count = (size_t)PyList_Size(list);
    /* The array lives in an object, so that it is kept as everything else is. */
    PyObject *array = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(count * sizeof(thalweg_header)));
    int kept = array ? pins_keep(pins, array) : -1;
    Py_XDECREF(array);
    thalweg_header *each = kept == 0 ? (thalweg_header *)(void *)PyBytes_AsString(array) : NULL;
    for (size_t i = 0; kept == 0 && i < count; i++)
        kept = header_from(PyList_GetItem(list, (Py_ssize_t)i), &each[i], pins);
    Py_DECREF(list);
    record->headers = count ? each : NULL;
    record->header_count = count;
    return kept;
}

static int timestamp_from(PyObject *timestamp, thalweg_record *record) {
    if (!timestamp || timestamp == Py_None) return 0;
    PyObject *number =
        PyLong_Check(timestamp) ? Py_NewRef(timestamp) : python_call("thalweg._time", "milliseconds", timestamp);
    if (!number) return -1;
    record->timestamp = PyLong_AsLongLong(number);
    record->flags = THALWEG_RECORD_TIMESTAMP;
    Py_DECREF(number);
    return record->timestamp == -1 && PyErr_Occurred() ? -1 : 0;
}

int record_from(
    PyObject *value, PyObject *key, PyObject *headers, PyObject *timestamp, thalweg_record *record, pins *pins
) {
    *record = (thalweg_record){0};
    if (bytes_from(value, &record->value, pins, "value") < 0 || bytes_from(key, &record->key, pins, "key") < 0)
        return -1;
    if (headers && headers_from(headers, record, pins) < 0) return -1;
    return timestamp ? timestamp_from(timestamp, record) : 0;
}
