/* Structs of the ABI as dicts of Python, by tables of their fields. */
#include <stdlib.h>

#include "binding.h"

const field DAMAGED_RANGE_FIELDS[] = {
    FIELD(thalweg_damaged_range, topic, TEXT),
    FIELD(thalweg_damaged_range, partition, U32),
    FIELD(thalweg_damaged_range, start, U64),
    FIELD(thalweg_damaged_range, end, U64),
    {NULL, 0, U32},
};
static PyObject *field_of(const char *at, field_kind kind) {
    switch (kind) {
    case U32: return PyLong_FromUnsignedLong(*(const uint32_t *)at);
    case U64: return PyLong_FromUnsignedLongLong(*(const uint64_t *)at);
    case I32: return PyLong_FromLong(*(const int32_t *)at);
    case I64: return PyLong_FromLongLong(*(const int64_t *)at);
    case FLAG: return PyBool_FromLong(*(const uint32_t *)at != 0);
    case TEXT: return PyUnicode_DecodeUTF8(at, (Py_ssize_t)strlen(at), "replace");
    }
    return NULL;
}

PyObject *dict_of(const void *object, const field *fields) {
    PyObject *dict = PyDict_New();
    for (; dict && fields->name; fields++) {
        PyObject *value = field_of((const char *)object + fields->place, fields->kind);
        if (!value || PyDict_SetItemString(dict, fields->name, value) < 0) Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    return dict;
}

/* What a call fills, in memory that is as large as it asks for; to be freed. */
static void *filled(list_call call, void *of, size_t item_size, size_t *count) {
    size_t capacity = 64;
    for (;;) {
        void *items = calloc(capacity, item_size);
        if (!items) return PyErr_NoMemory();
        ERROR(error);
        thalweg_status status;
        UNLOCKED(status = call(of, items, capacity, count, &error));
        if (status == THALWEG_OK && *count <= capacity) return items;
        free(items);
        if (status != THALWEG_OK) return raise_error(&error);
        capacity = *count + *count / 8;
    }
}

PyObject *list_of(list_call call, void *of, size_t item_size, const field *fields) {
    size_t count;
    char *items = filled(call, of, item_size, &count);
    PyObject *list = items ? PyList_New((Py_ssize_t)count) : NULL;
    for (size_t i = 0; list && i < count; i++) {
        PyObject *item = dict_of(items + i * item_size, fields);
        if (!item || PyList_SetItem(list, (Py_ssize_t)i, item) < 0) Py_CLEAR(list);
    }
    free(items);
    return list;
}

PyObject *bytes_of(buffer_call call, void *of) {
    size_t size;
    char *text = filled(call, of, 1, &size);
    PyObject *bytes = text ? PyBytes_FromStringAndSize(text, (Py_ssize_t)size) : NULL;
    free(text);
    return bytes;
}

/* The calls that fill text want room for a zero byte, which they do not count. */
typedef struct {
    buffer_call call;
    void *of;
} text_call;

static thalweg_status with_zero_byte(void *with, void *buffer, size_t capacity, size_t *size, thalweg_error *error) {
    text_call *text = with;
    thalweg_status status = text->call(text->of, buffer, capacity, size, error);
    if (status == THALWEG_OK) *size += 1;
    return status;
}

PyObject *text_of(buffer_call call, void *of) {
    size_t size;
    text_call with = {call, of};
    char *text = filled(with_zero_byte, &with, 1, &size);
    PyObject *str = text ? PyUnicode_DecodeUTF8(text, (Py_ssize_t)size - 1, "replace") : NULL;
    free(text);
    return str;
}
