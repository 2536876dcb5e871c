/* Many records on their way into a topic: as one batch, or divided by the partitions of their keys. */
#include <stdlib.h>

#include "binding.h"

PyTypeObject *chunk_type;

/* Records of one partition, appended as one batch. */
typedef struct {
    uint32_t partition;
    size_t start, end;
} run;

typedef struct {
    PyObject_HEAD topic *topic;
    thalweg_record *records;
    size_t count, capacity;
    run *runs;
    size_t run_count, next_run;
    thalweg_append_options options;
    /* The items keep keys and values, pins the rest. */
    pins pins;
} chunk;

static void chunk_destroy(PyObject *object) {
    chunk *self = (chunk *)object;
    pins_release(&self->pins);
    free(self->records);
    free(self->runs);
    DROP(self->topic);
    object_free(self);
}

static thalweg_record *chunk_room(chunk *self) {
    if (self->count == self->capacity) {
        size_t capacity = self->capacity ? 2 * self->capacity : 1024;
        thalweg_record *records = realloc(self->records, capacity * sizeof *records);
        if (!records) return (thalweg_record *)PyErr_NoMemory();
        self->records = records;
        self->capacity = capacity;
    }
    return &self->records[self->count];
}

/* A value, or (key, value[, headers[, timestamp]]). */
static int chunk_item(chunk *self, PyObject *item) {
    thalweg_record *record = chunk_room(self);
    if (!record || pins_keep(&self->pins, item) < 0) return -1;
    self->count++;
    if (!PyTuple_Check(item)) return record_from(item, NULL, NULL, NULL, record, &self->pins);
    PyObject *key, *value, *headers = NULL, *timestamp = NULL;
    if (!PyArg_ParseTuple(
            item, "OO|OO;a record is bytes, or (key, value, headers, timestamp)", &key, &value, &headers, &timestamp
        ))
        return -1;
    return record_from(value, key, headers, timestamp, record, &self->pins);
}

static size_t record_size(const thalweg_record *record) {
    size_t size = record->key.size + record->value.size;
    for (size_t i = 0; i < record->header_count; i++)
        size += record->headers[i].name.size + record->headers[i].value.size;
    return size;
}

/* Takes items until one of the limits is reached. */
static int chunk_fill(chunk *self, PyObject *iterator, size_t records_max, size_t size_max) {
    size_t size = 0;
    while (self->count < records_max && size < size_max) {
        PyObject *item = PyIter_Next(iterator);
        if (!item) break;
        int taken = chunk_item(self, item);
        Py_DECREF(item);
        if (taken < 0) return -1;
        size += record_size(&self->records[self->count - 1]);
    }
    return PyErr_Occurred() ? -1 : 0;
}

static int chunk_one_run(chunk *self, uint32_t partition) {
    if (!(self->runs = malloc(sizeof *self->runs))) return PyErr_NoMemory(), -1;
    self->runs[0] = (run){partition, 0, self->count};
    self->run_count = self->count > 0;
    return 0;
}

/* Where each record belongs; `partitions` for those without a key. */
static int places_of(chunk *self, uint32_t *places, uint32_t *partitions) {
    ERROR(error);
    thalweg_topic_info info;
    thalweg_status status = THALWEG_OK;
    for (size_t i = 0; status == THALWEG_OK && i < self->count; i++) {
        const thalweg_bytes *key = &self->records[i].key;
        if (key->data)
            status = thalweg_topic_partition_of(self->topic->handle, key->data, key->size, &places[i], &error);
        else places[i] = UINT32_MAX;
    }
    /* Behind them, so that none is beyond it, even if partitions are added meanwhile. */
    if (status == THALWEG_OK) status = thalweg_topic_describe(self->topic->handle, &info, &error);
    if (status != THALWEG_OK) return raise_error(&error), -1;
    *partitions = info.partitions;
    for (size_t i = 0; i < self->count; i++)
        if (places[i] == UINT32_MAX) places[i] = info.partitions;
    return 0;
}

/* Sorts records by partition, each in its order, and makes a run of each. */
static int chunk_divide(chunk *self) {
    uint32_t *places = malloc(self->count * sizeof *places), partitions = 0;
    if (!places) return PyErr_NoMemory(), -1;
    if (places_of(self, places, &partitions) < 0) return free(places), -1;
    size_t *ends = calloc((size_t)partitions + 2, sizeof *ends);
    thalweg_record *sorted = malloc(self->capacity * sizeof *sorted);
    self->runs = malloc(((size_t)partitions + 1) * sizeof *self->runs);
    int done = ends && sorted && self->runs ? 0 : -1;
    if (done == 0) {
        for (size_t i = 0; i < self->count; i++) ends[places[i] + 1]++;
        for (size_t p = 0; p <= partitions; p++) {
            if (ends[p + 1] > 0) {
                uint32_t partition = p == partitions ? THALWEG_PARTITION_ROUND_ROBIN : (uint32_t)p;
                self->runs[self->run_count++] = (run){partition, ends[p], ends[p] + ends[p + 1]};
            }
            ends[p + 1] += ends[p];
        }
        for (size_t i = 0; i < self->count; i++) sorted[ends[places[i]]++] = self->records[i];
        free(self->records);
        self->records = sorted;
    } else {
        free(sorted);
        PyErr_NoMemory();
    }
    free(ends);
    free(places);
    return done;
}

static bool chunk_has_keys(const chunk *self) {
    for (size_t i = 0; i < self->count; i++)
        if (self->records[i].key.data) return true;
    return false;
}

static PyObject *chunk_create(PyTypeObject *type, PyObject *arguments, PyObject *names) {
    PyObject *onto, *iterator, *durability = NULL, *expected_offset = NULL, *term = NULL;
    uint32_t partition = THALWEG_PARTITION_BY_KEY;
    Py_ssize_t records_max, size_max;
    int divided;
    static char *keywords[] = {
        "topic",     "iterator",   "records_max",     "size_max", "divided",
        "partition", "durability", "expected_offset", "term",     NULL,
    };
    if (!PyArg_ParseTupleAndKeywords(
            arguments, names, "O!Onnp|O&OOO", keywords, topic_type, &onto, &iterator, &records_max, &size_max, &divided,
            to_u32_or_none, &partition, &durability, &expected_offset, &term
        ))
        return NULL;
    chunk *self = object_new(type);
    if (!self) return NULL;
    self->topic = KEEP(onto);
    int made = append_options(durability, expected_offset, term, &self->options);
    if (made == 0) made = chunk_fill(self, iterator, (size_t)records_max, (size_t)size_max);
    if (made == 0) {
        bool divides = divided && partition == THALWEG_PARTITION_BY_KEY && chunk_has_keys(self);
        made = divides ? chunk_divide(self) : chunk_one_run(self, partition);
    }
    if (made < 0) Py_CLEAR(self);
    return (PyObject *)self;
}

static thalweg_status submit(void *with, thalweg_completion_queue *queue, uint64_t token, thalweg_error *error) {
    chunk *self = with;
    const run *run = &self->runs[self->next_run];
    return thalweg_topic_submit_batch(
        self->topic->handle, run->partition, &self->records[run->start], run->end - run->start, &self->options, queue,
        token, NULL, error
    );
}

static PyObject *chunk_try_submit(PyObject *object, PyObject *Py_UNUSED(none)) {
    chunk *self = (chunk *)object;
    if (self->next_run == self->run_count) Py_RETURN_NONE;
    ticket *made = ticket_new(self->topic->engine->queue);
    if (!made) return NULL;
    int accepted = queue_submit(made->queue, made, submit, self);
    if (accepted < 0) Py_CLEAR(made);
    self->next_run += accepted > 0;
    return (PyObject *)made;
}

static Py_ssize_t chunk_length(PyObject *self) { return (Py_ssize_t)((chunk *)self)->count; }

static PyMethodDef methods[] = {
    {"try_submit", chunk_try_submit, METH_NOARGS,
     "Submits the next batch, without waiting for room; its ticket, or None behind the last."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, chunk_create},
    {Py_tp_dealloc, chunk_destroy},
    {Py_tp_methods, methods},
    {Py_sq_length, chunk_length},
    {Py_tp_doc, "Records that are taken from an iterator, to be appended."},
    {0, NULL},
};

static PyType_Spec spec = {"thalweg._thalweg.Chunk", sizeof(chunk), 0, Py_TPFLAGS_DEFAULT, slots};

int chunk_add(PyObject *module) { return (chunk_type = type_add(module, &spec, NULL)) ? 0 : -1; }
