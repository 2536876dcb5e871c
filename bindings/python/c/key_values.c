/* The key-values of a topic. */
#include <stdlib.h>

#include "binding.h"

typedef struct {
    PyObject_HEAD thalweg_key_values *handle;
} key_values;

static PyObject *key_values_open(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(names)) {
    PyObject *of;
    if (!PyArg_ParseTuple(arguments, "O!", topic_type, &of)) return NULL;
    key_values *self = object_new(type);
    if (!self) return NULL;
    ERROR(error);
    thalweg_status status =
        thalweg_key_values_open(((topic *)of)->engine->handle, ((topic *)of)->handle, &self->handle, &error);
    if (status != THALWEG_OK) {
        DROP(self);
        return raise_error(&error);
    }
    return (PyObject *)self;
}

static void key_values_destroy(PyObject *object) {
    thalweg_key_values_close(((key_values *)object)->handle, NULL);
    object_free(object);
}

/* Which value. */
typedef struct {
    thalweg_key_values *of;
    thalweg_bytes key;
    bool missing;
} wanted;

static thalweg_status get(void *of, void *buffer, size_t capacity, size_t *size, thalweg_error *error) {
    wanted *wanted = of;
    thalweg_status status =
        thalweg_key_values_get(wanted->of, wanted->key.data, wanted->key.size, buffer, capacity, size, error);
    wanted->missing = status == THALWEG_NOT_FOUND;
    return status;
}

static PyObject *key_values_get(PyObject *self, PyObject *key) {
    pins pins = {0};
    wanted wanted = {.of = ((key_values *)self)->handle};
    if (bytes_from(key, &wanted.key, &pins, "key") < 0) return NULL;
    PyObject *value = bytes_of(get, &wanted);
    pins_release(&pins);
    if (!value && wanted.missing) PyErr_SetObject(PyExc_KeyError, key);
    return value;
}

/* Takes a list of (key, value or None). */
static PyObject *key_values_write(PyObject *self, PyObject *list) {
    size_t count = (size_t)PyList_Size(list);
    if (PyErr_Occurred()) return NULL;
    pins pins = {0};
    thalweg_key_value_write *writes = calloc(count + 1, sizeof *writes);
    if (!writes) return PyErr_NoMemory();
    int taken = 0;
    for (size_t i = 0; taken == 0 && i < count; i++) {
        PyObject *key, *value;
        taken = PyArg_ParseTuple(PyList_GetItem(list, (Py_ssize_t)i), "OO", &key, &value) ? 0 : -1;
        if (taken == 0) taken = bytes_from(key, &writes[i].key, &pins, "key");
        if (taken == 0) taken = bytes_from(value, &writes[i].value, &pins, "value");
    }
    ERROR(error);
    thalweg_status status = THALWEG_OK;
    if (taken == 0) UNLOCKED(status = thalweg_key_values_write(((key_values *)self)->handle, writes, count, &error));
    pins_release(&pins);
    free(writes);
    return taken < 0 ? NULL : none_or_raise(status, &error);
}

static PyObject *key_values_list(PyObject *self, PyObject *prefix) {
    pins pins = {0};
    thalweg_bytes bytes;
    if (bytes_from(prefix, &bytes, &pins, "prefix") < 0) return NULL;
    thalweg_batch *found;
    thalweg_batch_view view;
    ERROR(error);
    thalweg_status status;
    UNLOCKED(
        status = thalweg_key_values_list(((key_values *)self)->handle, bytes.data, bytes.size, &found, &view, &error)
    );
    pins_release(&pins);
    return status == THALWEG_OK ? batch_new(found, &view) : raise_error(&error);
}

static PyObject *key_values_close(PyObject *self, PyObject *Py_UNUSED(none)) {
    thalweg_key_values_close(((key_values *)self)->handle, NULL);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"_write", key_values_write, METH_O, NULL},
    {"_list", key_values_list, METH_O, NULL},
    {"close", key_values_close, METH_NOARGS, "close($self, /)\n--\n\nCloses the handle. The values stay."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, key_values_open},
    {Py_tp_dealloc, key_values_destroy},
    {Py_tp_methods, methods},
    {Py_mp_subscript, key_values_get},
    {Py_tp_doc, "A few small values, kept durably beside a topic."},
    {0, NULL},
};

static PyType_Spec spec = {
    "thalweg._thalweg.KeyValues", sizeof(key_values), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots,
};

int key_values_add(PyObject *module) { return type_add(module, &spec, NULL) ? 0 : -1; }
