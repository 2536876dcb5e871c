/* Batches: records that were read, in memory that is lent by the engine. */
#include <pthread.h>

#include "binding.h"

PyTypeObject *batch_type;

static unsigned forks;
static void forked(void) { forks++; }
unsigned fork_count(void) { return forks; }

PyObject *batch_new(thalweg_batch *handle, const thalweg_batch_view *view) {
    batch *self = object_new(batch_type);
    if (!self) {
        thalweg_batch_release(handle, NULL);
        return NULL;
    }
    self->handle = handle;
    self->view = *view;
    self->forks = forks;
    return (PyObject *)self;
}

int batch_check(batch *self) {
    /* The engine's memory is not there in a child: to look would be the end of it. */
    if (self->forks != forks) raise_status(THALWEG_FORKED, "the batch belongs to the process that was forked");
    else if (self->released) raise_status(THALWEG_CLOSED, "the batch was released");
    else return 0;
    return -1;
}

void batch_return(batch *self) {
    if (--self->lent == 0 && self->released) thalweg_batch_release(self->handle, NULL);
}

static PyObject *batch_release(PyObject *object, PyObject *Py_UNUSED(none)) {
    batch *self = (batch *)object;
    if (!self->released && self->lent == 0) thalweg_batch_release(self->handle, NULL);
    self->released = true;
    Py_RETURN_NONE;
}

static void batch_destroy(PyObject *object) {
    /* Views of its memory keep the batch, so that none is left. */
    batch_release(object, NULL);
    Py_XDECREF(((batch *)object)->topic);
    object_free(object);
}

static PyObject *batch_enter(PyObject *self, PyObject *Py_UNUSED(none)) {
    return batch_check((batch *)self) < 0 ? NULL : Py_NewRef(self);
}

static PyObject *batch_exit(PyObject *self, PyObject *Py_UNUSED(arguments)) { return batch_release(self, NULL); }

static Py_ssize_t batch_length(PyObject *self) { return (Py_ssize_t)((batch *)self)->view.count; }

static PyObject *batch_item(PyObject *object, Py_ssize_t index) {
    batch *self = (batch *)object;
    if (index < 0 || (size_t)index >= self->view.count) {
        PyErr_SetString(PyExc_IndexError, "there is no such record in the batch");
        return NULL;
    }
    return batch_check(self) < 0 ? NULL : record_new(self, (size_t)index);
}

/* A list with an object for each record. */
typedef PyObject *(*part)(const batch *self, const thalweg_entry *entry);

static PyObject *batch_list(PyObject *object, part part) {
    batch *self = (batch *)object;
    if (batch_check(self) < 0) return NULL;
    PyObject *list = PyList_New((Py_ssize_t)self->view.count);
    for (size_t i = 0; list && i < self->view.count; i++) {
        PyObject *item = part(self, &self->view.entries[i]);
        if (!item || PyList_SetItem(list, (Py_ssize_t)i, item) < 0) Py_CLEAR(list);
    }
    return list;
}

PyObject *entry_value(const batch *self, const thalweg_entry *entry) {
    if (!(entry->flags & THALWEG_ENTRY_VALUE)) Py_RETURN_NONE;
    return PyBytes_FromStringAndSize((const char *)self->view.data + entry->value_position, entry->value_size);
}

PyObject *entry_key(const batch *self, const thalweg_entry *entry) {
    if (!(entry->flags & THALWEG_ENTRY_KEY)) Py_RETURN_NONE;
    return PyBytes_FromStringAndSize((const char *)self->view.data + entry->key_position, entry->key_size);
}

static PyObject *entry_offset(const batch *Py_UNUSED(self), const thalweg_entry *entry) {
    return PyLong_FromUnsignedLongLong(entry->offset);
}

static PyObject *entry_timestamp(const batch *Py_UNUSED(self), const thalweg_entry *entry) {
    return PyLong_FromLongLong(entry->timestamp);
}

static PyObject *batch_values(PyObject *self, PyObject *Py_UNUSED(none)) { return batch_list(self, entry_value); }
static PyObject *batch_keys(PyObject *self, PyObject *Py_UNUSED(none)) { return batch_list(self, entry_key); }
static PyObject *batch_offsets(PyObject *self, PyObject *Py_UNUSED(none)) { return batch_list(self, entry_offset); }
static PyObject *batch_timestamps(PyObject *self, PyObject *Py_UNUSED(none)) {
    return batch_list(self, entry_timestamp);
}

static PyObject *batch_memory(PyObject *object, void *Py_UNUSED(closure)) {
    batch *self = (batch *)object;
    return lent_view(self, self->view.data, self->view.data_size);
}

static PyObject *batch_entries(PyObject *object, void *Py_UNUSED(closure)) {
    batch *self = (batch *)object;
    return lent_view(self, self->view.entries, self->view.count * sizeof(thalweg_entry));
}

static PyObject *batch_to_numpy(PyObject *self, PyObject *Py_UNUSED(none)) {
    return python_call("thalweg._numpy", "columns", self);
}

static PyObject *batch_arrow_array(PyObject *object, PyObject *arguments, PyObject *names) {
    static char *keywords[] = {"requested_schema", NULL};
    PyObject *requested = Py_None;
    if (!PyArg_ParseTupleAndKeywords(arguments, names, "|O", keywords, &requested)) return NULL;
    int large = arrow_asks_large(requested);
    return large < 0 || batch_check((batch *)object) < 0 ? NULL : arrow_array((batch *)object, large);
}

static PyObject *batch_large_array(PyObject *self, PyObject *Py_UNUSED(none)) {
    return batch_check((batch *)self) < 0 ? NULL : arrow_array((batch *)self, true);
}

/* The name lives as long as the memory; the object longer. */
PyObject *batch_topic(PyObject *object, void *Py_UNUSED(closure)) {
    batch *self = (batch *)object;
    if (!self->topic) {
        if (batch_check(self) < 0) return NULL;
        self->topic = PyUnicode_InternFromString(self->view.topic);
    }
    return Py_XNewRef(self->topic);
}

static PyObject *batch_partition(PyObject *self, void *Py_UNUSED(closure)) {
    return PyLong_FromUnsignedLong(((batch *)self)->view.partition);
}

static PyObject *batch_next_offset(PyObject *self, void *Py_UNUSED(closure)) {
    return PyLong_FromUnsignedLongLong(((batch *)self)->view.next_offset);
}

static PyObject *batch_repr(PyObject *object) {
    batch *self = (batch *)object;
    if (self->released) return PyUnicode_FromString("<thalweg.Batch released>");
    if (self->forks != forks) return PyUnicode_FromString("<thalweg.Batch of the parent process>");
    return PyUnicode_FromFormat(
        "<thalweg.Batch topic '%s', partition %u: %zu records before offset %llu>", self->view.topic,
        (unsigned)self->view.partition, self->view.count, (unsigned long long)self->view.next_offset
    );
}

static PyMethodDef methods[] = {
    {"values", batch_values, METH_NOARGS,
     "values($self, /)\n--\n\nThe values of all records, as bytes; None where there is none."},
    {"keys", batch_keys, METH_NOARGS,
     "keys($self, /)\n--\n\nThe keys of all records, as bytes; None where there is none."},
    {"offsets", batch_offsets, METH_NOARGS, "offsets($self, /)\n--\n\nThe offsets of all records."},
    {"timestamps", batch_timestamps, METH_NOARGS,
     "timestamps($self, /)\n--\n\nThe timestamps of all records, in ms since 1970."},
    {"to_numpy", batch_to_numpy, METH_NOARGS,
     "to_numpy($self, /)\n--\n\nAn array with a row for each record, and the memory that its positions count in. No "
     "copy."},
    {"release", batch_release, METH_NOARGS,
     "release($self, /)\n--\n\nGives the memory back: at once, or when the last view of it goes. May be called again."},
    {"__enter__", batch_enter, METH_NOARGS, NULL},
    {"__exit__", batch_exit, METH_VARARGS, NULL},
    {"__arrow_c_array__", (PyCFunction)(void (*)(void))batch_arrow_array, METH_VARARGS | METH_KEYWORDS,
     "__arrow_c_array__($self, requested_schema=None)\n--\n\nThe records for Arrow, without a copy."},
    {"_large_array", batch_large_array, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef attributes[] = {
    {"topic", batch_topic, NULL, "The topic's name.", NULL},
    {"partition", batch_partition, NULL, "The partition's index.", NULL},
    {"next_offset", batch_next_offset, NULL, "Where to read on: behind the last record.", NULL},
    {"memory", batch_memory, NULL, "All of its memory, without a copy.", NULL},
    {"_entries", batch_entries, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, batch_destroy},
    {Py_tp_repr, batch_repr},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {Py_sq_length, batch_length},
    {Py_sq_item, batch_item},
    {Py_tp_iter, PySeqIter_New},
    {Py_tp_doc, "Records that were read, in order, in memory that is shared with the engine."},
    {0, NULL},
};

static PyType_Spec spec = {
    "thalweg.Batch", sizeof(batch), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots,
};

int batch_add(PyObject *module) {
    if (pthread_atfork(NULL, NULL, forked) != 0) {
        PyErr_NoMemory();
        return -1;
    }
    return (batch_type = type_add(module, &spec, NULL)) ? 0 : -1;
}
