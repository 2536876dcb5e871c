/* One record of a batch. It keeps the batch, and copies what it is asked for. */
#include "binding.h"

PyTypeObject *record_type;
static allocfunc record_allocate;

typedef struct {
    PyObject_HEAD batch *batch;
    size_t index;
} record;

PyObject *record_new(batch *batch, size_t index) {
    record *self = (record *)record_allocate(record_type, 0);
    if (!self) return NULL;
    self->batch = KEEP(batch);
    self->index = index;
    return (PyObject *)self;
}

static void record_destroy(PyObject *object) {
    DROP(((record *)object)->batch);
    object_free(object);
}

/* Its entry, or an exception. */
static const thalweg_entry *entry_of(PyObject *object) {
    record *self = (record *)object;
    return batch_check(self->batch) < 0 ? NULL : &self->batch->view.entries[self->index];
}

static PyObject *record_value(PyObject *self, void *Py_UNUSED(closure)) {
    const thalweg_entry *entry = entry_of(self);
    return entry ? entry_value(((record *)self)->batch, entry) : NULL;
}

static PyObject *record_key(PyObject *self, void *Py_UNUSED(closure)) {
    const thalweg_entry *entry = entry_of(self);
    return entry ? entry_key(((record *)self)->batch, entry) : NULL;
}

static PyObject *part_view(PyObject *self, uint16_t flag, uint32_t position, uint32_t size) {
    batch *batch = ((record *)self)->batch;
    if (!(batch->view.entries[((record *)self)->index].flags & flag)) Py_RETURN_NONE;
    return lent_view(batch, batch->view.data + position, size);
}

static PyObject *record_value_view(PyObject *self, void *Py_UNUSED(closure)) {
    const thalweg_entry *entry = entry_of(self);
    return entry ? part_view(self, THALWEG_ENTRY_VALUE, entry->value_position, entry->value_size) : NULL;
}

static PyObject *record_key_view(PyObject *self, void *Py_UNUSED(closure)) {
    const thalweg_entry *entry = entry_of(self);
    return entry ? part_view(self, THALWEG_ENTRY_KEY, entry->key_position, entry->key_size) : NULL;
}

static PyObject *record_offset(PyObject *self, void *Py_UNUSED(closure)) {
    const thalweg_entry *entry = entry_of(self);
    return entry ? PyLong_FromUnsignedLongLong(entry->offset) : NULL;
}

static PyObject *record_timestamp(PyObject *self, void *Py_UNUSED(closure)) {
    const thalweg_entry *entry = entry_of(self);
    return entry ? PyLong_FromLongLong(entry->timestamp) : NULL;
}

/* As the ABI lays them out behind each other: u16 size of the name, u32 size of the value or all ones, name, value. */
static PyObject *record_headers(PyObject *self, void *Py_UNUSED(closure)) {
    const thalweg_entry *entry = entry_of(self);
    PyObject *list = entry ? PyList_New(entry->header_count) : NULL;
    const uint8_t *at = entry ? ((record *)self)->batch->view.data + entry->headers_position : NULL;
    for (Py_ssize_t i = 0; list && i < entry->header_count; i++) {
        uint16_t name_size = (uint16_t)(at[0] | at[1] << 8);
        uint32_t value_size = at[2] | (uint32_t)at[3] << 8 | (uint32_t)at[4] << 16 | (uint32_t)at[5] << 24;
        const char *name = (const char *)at + 6, *value = value_size == UINT32_MAX ? NULL : name + name_size;
        PyObject *header =
            Py_BuildValue("(s#y#)", name, (Py_ssize_t)name_size, value, (Py_ssize_t)(value ? value_size : 0));
        if (!header || PyList_SetItem(list, i, header) < 0) Py_CLEAR(list);
        at += 6 + name_size + (value ? value_size : 0);
    }
    return list;
}

static PyObject *record_append_time(PyObject *object, void *Py_UNUSED(closure)) {
    record *self = (record *)object;
    if (!entry_of(object)) return NULL;
    int64_t time;
    ERROR(error);
    thalweg_status status = thalweg_batch_append_time(self->batch->handle, self->index, &time, &error);
    return status == THALWEG_OK ? PyLong_FromLongLong(time) : raise_error(&error);
}

static PyObject *record_term(PyObject *object, void *Py_UNUSED(closure)) {
    record *self = (record *)object;
    const thalweg_entry *entry = entry_of(object);
    if (!entry) return NULL;
    if (!(entry->flags & THALWEG_ENTRY_TERM)) Py_RETURN_NONE;
    uint64_t term;
    ERROR(error);
    thalweg_status status = thalweg_batch_term(self->batch->handle, self->index, &term, &error);
    return status == THALWEG_OK ? PyLong_FromUnsignedLongLong(term) : raise_error(&error);
}

static PyObject *record_partition(PyObject *self, void *Py_UNUSED(closure)) {
    return PyLong_FromUnsignedLong(((record *)self)->batch->view.partition);
}

static PyObject *record_topic(PyObject *self, void *closure) {
    return batch_topic((PyObject *)((record *)self)->batch, closure);
}

static PyObject *record_time(PyObject *self, void *Py_UNUSED(closure)) {
    PyObject *timestamp = record_timestamp(self, NULL);
    PyObject *time = timestamp ? python_call("thalweg._time", "moment", timestamp) : NULL;
    Py_XDECREF(timestamp);
    return time;
}

/* At most so many bytes of a value are shown. */
#define SHOWN 64

static PyObject *record_repr(PyObject *object) {
    record *self = (record *)object;
    batch *batch = self->batch;
    if (batch->released || batch->forks != fork_count()) return PyUnicode_FromString("<thalweg.Record released>");
    const thalweg_entry *entry = &batch->view.entries[self->index];
    thalweg_entry shown = *entry;
    if (shown.value_size > SHOWN) shown.value_size = SHOWN;
    PyObject *key = entry_key(batch, entry), *value = entry_value(batch, &shown), *repr = NULL;
    if (key && value)
        repr = PyUnicode_FromFormat(
            "<thalweg.Record topic '%s', partition %u, offset %llu: key %R, value %R%s>", batch->view.topic,
            (unsigned)batch->view.partition, (unsigned long long)entry->offset, key, value,
            entry->value_size > SHOWN ? "..." : ""
        );
    Py_XDECREF(key);
    Py_XDECREF(value);
    return repr;
}

static PyGetSetDef attributes[] = {
    {"value", record_value, NULL, "The value, as bytes; None if there is none.", NULL},
    {"value_view", record_value_view, NULL, "The value where it lies, without a copy. It keeps the batch.", NULL},
    {"key", record_key, NULL, "The key, as bytes; None if there is none.", NULL},
    {"key_view", record_key_view, NULL, "The key where it lies, without a copy. It keeps the batch.", NULL},
    {"headers", record_headers, NULL, "A list of (name, value).", NULL},
    {"offset", record_offset, NULL, "The offset in its partition.", NULL},
    {"timestamp", record_timestamp, NULL, "The time it was given, or else at which it was appended, in ms since 1970.",
     NULL},
    {"time", record_time, NULL, "The timestamp, as a datetime in UTC.", NULL},
    {"append_time", record_append_time, NULL, "When it was appended, in ms since 1970.", NULL},
    {"term", record_term, NULL, "The term that its batch was appended with, or None.", NULL},
    {"topic", record_topic, NULL, "The topic's name.", NULL},
    {"partition", record_partition, NULL, "The partition's index.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, record_destroy},
    {Py_tp_repr, record_repr},
    {Py_tp_getset, attributes},
    {Py_tp_doc, "A record that was read."},
    {0, NULL},
};

static PyType_Spec spec = {
    "thalweg.Record", sizeof(record), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots,
};

int record_add(PyObject *module) {
    if (!(record_type = type_add(module, &spec, NULL))) return -1;
    record_allocate = (allocfunc)PyType_GetSlot(record_type, Py_tp_alloc);
    return 0;
}
