/* Readers: a place in one partition, moving on. */
#include "binding.h"

typedef struct {
    PyObject_HEAD thalweg_reader *handle;
    bool busy;
} reader;

static PyObject *reader_open(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(names)) {
    thalweg_topic *topic;
    uint32_t partition, start;
    uint64_t value;
    if (!PyArg_ParseTuple(arguments, "O&O&O&O&", to_topic, &topic, to_u32, &partition, to_u32, &start, to_u64, &value))
        return NULL;
    reader *self = object_new(type);
    if (!self) return NULL;
    ERROR(error);
    thalweg_status status;
    UNLOCKED(status = thalweg_reader_open(topic, partition, start, value, &self->handle, &error));
    if (status != THALWEG_OK) {
        DROP(self);
        return raise_error(&error);
    }
    return (PyObject *)self;
}

static void reader_destroy(PyObject *object) {
    thalweg_reader_close(((reader *)object)->handle, NULL);
    object_free(object);
}

static bool busy(reader *self) {
    if (!self->busy) return false;
    raise_status(THALWEG_WOULD_BLOCK, "another thread is in a call of this reader");
    return true;
}

/* Waits at most a slice. As a status, with TIMED_OUT where nothing came. */
static thalweg_status next_slice(reader *self, size_t max_bytes, deadline until, PyObject **found) {
    thalweg_batch *batch;
    thalweg_batch_view view;
    ERROR(error);
    thalweg_status status;
    self->busy = true;
    UNLOCKED(status = thalweg_reader_next(self->handle, max_bytes, deadline_slice(until), &batch, &view, &error));
    self->busy = false;
    if (status == THALWEG_TIMED_OUT || status == THALWEG_WOULD_BLOCK) return THALWEG_TIMED_OUT;
    *found = status == THALWEG_OK ? batch_new(batch, &view) : raise_error(&error);
    return status;
}

static PyObject *reader_poll(PyObject *object, PyObject *arguments, PyObject *names) {
    static char *keywords[] = {"timeout", "max_bytes", NULL};
    reader *self = (reader *)object;
    PyObject *timeout = NULL, *found = NULL;
    Py_ssize_t max_bytes = READ_SIZE;
    deadline until;
    if (!PyArg_ParseTupleAndKeywords(arguments, names, "|On", keywords, &timeout, &max_bytes)) return NULL;
    if (deadline_after(timeout, &until) < 0 || busy(self)) return NULL;
    while (next_slice(self, (size_t)max_bytes, until, &found) == THALWEG_TIMED_OUT) {
        if (PyErr_CheckSignals() < 0) return NULL;
        if (deadline_passed(until)) Py_RETURN_NONE;
    }
    return found;
}

static PyObject *reader_next(PyObject *self) {
    PyObject *nothing = PyTuple_New(0), *found = nothing ? reader_poll(self, nothing, NULL) : NULL;
    Py_XDECREF(nothing);
    return found;
}

static PyObject *reader_offset(PyObject *object, void *Py_UNUSED(closure)) {
    reader *self = (reader *)object;
    if (busy(self)) return NULL;
    uint64_t offset;
    ERROR(error);
    thalweg_status status = thalweg_reader_offset(self->handle, &offset, &error);
    return status == THALWEG_OK ? PyLong_FromUnsignedLongLong(offset) : raise_error(&error);
}

static PyObject *reader_seek(PyObject *object, PyObject *arguments) {
    reader *self = (reader *)object;
    uint32_t start;
    uint64_t value;
    if (!PyArg_ParseTuple(arguments, "O&O&", to_u32, &start, to_u64, &value) || busy(self)) return NULL;
    ERROR(error);
    thalweg_status status;
    self->busy = true;
    UNLOCKED(status = thalweg_reader_seek(self->handle, start, value, &error));
    self->busy = false;
    return none_or_raise(status, &error);
}

static PyObject *reader_close(PyObject *self, PyObject *Py_UNUSED(none)) {
    thalweg_reader_close(((reader *)self)->handle, NULL);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"poll", (PyCFunction)(void (*)(void))reader_poll, METH_VARARGS | METH_KEYWORDS,
     "poll($self, timeout=None, max_bytes=1048576)\n--\n\nThe next batch, or None if none came in time."},
    {"_seek", reader_seek, METH_VARARGS, NULL},
    {"close", reader_close, METH_NOARGS, "close($self, /)\n--\n\nCloses the reader. Its batches stay."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef attributes[] = {
    {"offset", reader_offset, NULL, "The offset that it reads next.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, reader_open},
    {Py_tp_dealloc, reader_destroy},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, reader_next},
    {Py_tp_doc, "A place in one partition, moving on."},
    {0, NULL},
};

static PyType_Spec spec = {
    "thalweg._thalweg.Reader", sizeof(reader), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots
};

int reader_add(PyObject *module) { return type_add(module, &spec, NULL) ? 0 : -1; }
