/* What happens in an engine, told. */
#include "binding.h"

typedef struct {
    PyObject_HEAD thalweg_events *handle;
    int descriptor;
} events;

static PyObject *events_open(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(names)) {
    PyObject *of;
    if (!PyArg_ParseTuple(arguments, "O!", engine_type, &of)) return NULL;
    events *self = object_new(type);
    if (!self) return NULL;
    ERROR(error);
    thalweg_status status = thalweg_events_open(((engine *)of)->handle, &self->handle, &error);
    if (status == THALWEG_OK) status = thalweg_events_eventfd(self->handle, &self->descriptor, &error);
    if (status != THALWEG_OK) {
        DROP(self);
        return raise_error(&error);
    }
    return (PyObject *)self;
}

static void events_destroy(PyObject *object) {
    thalweg_events_close(((events *)object)->handle, NULL);
    object_free(object);
}

static const field FIELDS[] = {
    FIELD(thalweg_event, kind, U32),
    FIELD(thalweg_event, time, I64),
    FIELD(thalweg_event, start, U64),
    FIELD(thalweg_event, end, U64),
    FIELD(thalweg_event, partition, U32),
    FIELD(thalweg_event, clean, FLAG),
    FIELD(thalweg_event, status, I32),
    FIELD(thalweg_event, os_error, I32),
    FIELD(thalweg_event, topic, TEXT),
    FIELD(thalweg_event, message, TEXT),
    {NULL, 0, U32},
};

static PyObject *events_poll(PyObject *object, PyObject *arguments) {
    events *self = (events *)object;
    PyObject *timeout;
    deadline until;
    if (!PyArg_ParseTuple(arguments, "O", &timeout) || deadline_after(timeout, &until) < 0) return NULL;
    for (;;) {
        thalweg_event event = {.size = sizeof event};
        ERROR(error);
        thalweg_status status = thalweg_events_poll(self->handle, &event, &error);
        if (status == THALWEG_OK) return dict_of(&event, FIELDS);
        if (status != THALWEG_WOULD_BLOCK) return raise_error(&error);
        int woken = wait_readable(&self->descriptor, 1, until);
        if (woken < 0) return NULL;
        if (woken == 0) Py_RETURN_NONE;
    }
}

static PyObject *events_dropped(PyObject *self, PyObject *Py_UNUSED(none)) {
    uint64_t count;
    ERROR(error);
    thalweg_status status = thalweg_events_dropped(((events *)self)->handle, &count, &error);
    return status == THALWEG_OK ? PyLong_FromUnsignedLongLong(count) : raise_error(&error);
}

static PyObject *events_fileno(PyObject *self, PyObject *Py_UNUSED(none)) {
    return PyLong_FromLong(((events *)self)->descriptor);
}

static PyObject *events_close(PyObject *self, PyObject *Py_UNUSED(none)) {
    thalweg_events_close(((events *)self)->handle, NULL);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"_poll", events_poll, METH_VARARGS, NULL},
    {"dropped", events_dropped, METH_NOARGS, "dropped($self, /)\n--\n\nHow many events gave way to newer ones."},
    {"fileno", events_fileno, METH_NOARGS, "fileno($self, /)\n--\n\nA descriptor that is readable while events wait."},
    {"close", events_close, METH_NOARGS, "close($self, /)\n--\n\nCloses the handle. Events go on to be kept."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, events_open},
    {Py_tp_dealloc, events_destroy},
    {Py_tp_methods, methods},
    {Py_tp_doc, "What happens in an engine."},
    {0, NULL},
};

static PyType_Spec spec = {
    "thalweg._thalweg.Events", sizeof(events), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots
};

int events_add(PyObject *module) { return type_add(module, &spec, NULL) ? 0 : -1; }
