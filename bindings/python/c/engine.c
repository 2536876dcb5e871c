/* Stores that are open. */
#include "binding.h"

PyTypeObject *engine_type;

static PyObject *engine_open(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(names)) {
    PyObject *path;
    thalweg_engine_options options;
    thalweg_engine_options_init(&options, sizeof options);
    long long lock_timeout;
    if (!PyArg_ParseTuple(
            arguments, "O&O&O&O&O&O&O&O&L", PyUnicode_FSConverter, &path, to_u32, &options.flags, to_u32,
            &options.runtime, to_u32, &options.durability, to_u64, &options.memory_budget, to_u64,
            &options.segment_size, to_u32, &options.shards, to_u32, &options.open_files, &lock_timeout
        ))
        return NULL;
    options.lock_timeout_ms = lock_timeout;
    engine *self = object_new(type);
    if (self && !(self->queue = queue_new())) Py_CLEAR(self);
    if (self) {
        ERROR(error);
        thalweg_status status;
        UNLOCKED(status = thalweg_engine_open(PyBytes_AsString(path), &options, &self->handle, &error));
        if (status != THALWEG_OK) {
            raise_error(&error);
            Py_CLEAR(self);
        }
    }
    Py_DECREF(path);
    return (PyObject *)self;
}

/* Closes whatever is open; the status. */
static thalweg_status end(engine *self, thalweg_error *error) {
    thalweg_status status;
    UNLOCKED(status = thalweg_engine_close(self->handle, error));
    /* In a child that was forked nothing of it is there. */
    if (status != THALWEG_FORKED && status != THALWEG_CLOSED) queue_close(self->queue);
    return status;
}

static PyObject *engine_close(PyObject *object, PyObject *Py_UNUSED(none)) {
    ERROR(error);
    thalweg_status status = end((engine *)object, &error);
    return none_or_raise(status == THALWEG_CLOSED ? THALWEG_OK : status, &error);
}

/* Of a subclass of Python, before the destructor, while the object may still be shown. */
static void engine_finalize(PyObject *object) {
    engine *self = (engine *)object;
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    if (self->handle && end(self, NULL) == THALWEG_OK)
        if (PyErr_ResourceWarning(object, 1, "unclosed %R", object) < 0) PyErr_WriteUnraisable(object);
    PyErr_Restore(type, value, trace);
}

static void engine_destroy(PyObject *object) {
    engine *self = (engine *)object;
    if (self->handle) end(self, NULL);
    DROP(self->queue);
    object_free(object);
}

static PyObject *engine_create_topic(PyObject *self, PyObject *arguments) {
    const char *name;
    thalweg_topic_options options;
    thalweg_topic_options_init(&options, sizeof options);
    if (!PyArg_ParseTuple(arguments, "sO&O&", &name, to_u32, &options.partitions, to_u32, &options.durability))
        return NULL;
    ERROR(error);
    thalweg_status status;
    UNLOCKED(status = thalweg_topic_create(((engine *)self)->handle, name, &options, NULL, &error));
    return none_or_raise(status, &error);
}

static PyObject *engine_delete_topic(PyObject *self, PyObject *arguments) {
    const char *name;
    if (!PyArg_ParseTuple(arguments, "s", &name)) return NULL;
    ERROR(error);
    thalweg_status status;
    UNLOCKED(status = thalweg_topic_delete(((engine *)self)->handle, name, &error));
    return none_or_raise(status, &error);
}

static thalweg_status topics(void *of, void *items, size_t capacity, size_t *count, thalweg_error *error) {
    return thalweg_topic_list(of, items, capacity, count, error);
}

static PyObject *engine_topics(PyObject *self, PyObject *Py_UNUSED(none)) {
    return list_of(topics, ((engine *)self)->handle, sizeof(thalweg_topic_info), TOPIC_INFO_FIELDS);
}

static const field INFO_FIELDS[] = {
    FIELD(thalweg_info, runtime, U32),
    FIELD(thalweg_info, store_id, U64),
    FIELD(thalweg_info, memory_budget, U64),
    FIELD(thalweg_info, registered_memory, U64),
    FIELD(thalweg_info, alignment, U64),
    FIELD(thalweg_info, free_space, U64),
    FIELD(thalweg_info, shards, U32),
    FIELD(thalweg_info, open_files, U32),
    FIELD(thalweg_info, direct_io, FLAG),
    FIELD(thalweg_info, read_only, FLAG),
    FIELD(thalweg_info, recovered_clean, FLAG),
    FIELD(thalweg_info, recovered_damaged, U32),
    FIELD(thalweg_info, recovery_ns, U64),
    FIELD(thalweg_info, recovered_partitions, U64),
    FIELD(thalweg_info, recovered_tails, U64),
    FIELD(thalweg_info, recovered_unavailable, U64),
    FIELD(thalweg_info, recovered_damaged_journals, U64),
    FIELD(thalweg_info, recovered_damaged_copies, U64),
    {NULL, 0, U32},
};

static PyObject *engine_info(PyObject *self, PyObject *Py_UNUSED(none)) {
    thalweg_info info = {.size = sizeof info};
    ERROR(error);
    thalweg_status status;
    UNLOCKED(status = thalweg_engine_info(((engine *)self)->handle, &info, &error));
    return status == THALWEG_OK ? dict_of(&info, INFO_FIELDS) : raise_error(&error);
}

static thalweg_status info_text(void *of, void *buffer, size_t capacity, size_t *size, thalweg_error *error) {
    return thalweg_engine_info_text(of, buffer, capacity, size, error);
}

static PyObject *engine_info_text(PyObject *self, PyObject *Py_UNUSED(none)) {
    return text_of(info_text, ((engine *)self)->handle);
}

static thalweg_status json(void *of, void *buffer, size_t capacity, size_t *size, thalweg_error *error) {
    return thalweg_engine_metrics_json(of, buffer, capacity, size, error);
}

static PyObject *engine_metrics_json(PyObject *self, PyObject *Py_UNUSED(none)) {
    return text_of(json, ((engine *)self)->handle);
}

static thalweg_status prometheus(void *of, void *buffer, size_t capacity, size_t *size, thalweg_error *error) {
    return thalweg_engine_metrics_prometheus(of, buffer, capacity, size, error);
}

static PyObject *engine_metrics_prometheus(PyObject *self, PyObject *Py_UNUSED(none)) {
    return text_of(prometheus, ((engine *)self)->handle);
}

static thalweg_status damaged(void *of, void *items, size_t capacity, size_t *count, thalweg_error *error) {
    return thalweg_engine_list_damaged(of, items, capacity, count, error);
}

static PyObject *engine_damaged(PyObject *self, PyObject *Py_UNUSED(none)) {
    return list_of(damaged, ((engine *)self)->handle, sizeof(thalweg_damaged_range), DAMAGED_RANGE_FIELDS);
}

static const field VERIFY_FIELDS[] = {
    FIELD(thalweg_verify_report, topics, U64),         FIELD(thalweg_verify_report, partitions, U64),
    FIELD(thalweg_verify_report, segments, U64),       FIELD(thalweg_verify_report, batches, U64),
    FIELD(thalweg_verify_report, records, U64),        FIELD(thalweg_verify_report, bytes, U64),
    FIELD(thalweg_verify_report, damaged, U64),        FIELD(thalweg_verify_report, unavailable, U64),
    FIELD(thalweg_verify_report, damaged_copies, U64), {NULL, 0, U32},
};

/* One reading of the store gives the sums and the ranges. */
typedef struct {
    thalweg_engine *engine;
    thalweg_verify_report report;
} verification;

static thalweg_status verify(void *of, void *items, size_t capacity, size_t *count, thalweg_error *error) {
    verification *of_all = of;
    of_all->report = (thalweg_verify_report){.size = sizeof of_all->report};
    return thalweg_engine_verify(of_all->engine, &of_all->report, items, capacity, count, error);
}

static PyObject *engine_verify(PyObject *self, PyObject *Py_UNUSED(none)) {
    verification all = {.engine = ((engine *)self)->handle};
    PyObject *ranges = list_of(verify, &all, sizeof(thalweg_damaged_range), DAMAGED_RANGE_FIELDS);
    PyObject *report = ranges ? dict_of(&all.report, VERIFY_FIELDS) : NULL;
    if (report && PyDict_SetItemString(report, "ranges", ranges) < 0) Py_CLEAR(report);
    Py_XDECREF(ranges);
    return report;
}

static const field POSITION_FIELDS[] = {
    FIELD(thalweg_named_position, consumer, TEXT),      FIELD(thalweg_named_position, topic, TEXT),
    FIELD(thalweg_named_position, partition, U32),      FIELD(thalweg_named_position, offset, U64),
    FIELD(thalweg_named_position, high_watermark, U64), FIELD(thalweg_named_position, lag, U64),
    FIELD(thalweg_named_position, metadata_size, U32),  {NULL, 0, U32},
};

/* Whose positions, or which one. */
typedef struct {
    thalweg_engine *engine;
    const char *consumer, *topic;
    uint32_t partition;
} position_of;

static thalweg_status positions(void *of, void *items, size_t capacity, size_t *count, thalweg_error *error) {
    position_of *wanted = of;
    return thalweg_position_list(wanted->engine, wanted->consumer, items, capacity, count, error);
}

static PyObject *engine_positions(PyObject *self, PyObject *arguments) {
    position_of wanted = {.engine = ((engine *)self)->handle};
    if (!PyArg_ParseTuple(arguments, "|z", &wanted.consumer)) return NULL;
    return list_of(positions, &wanted, sizeof(thalweg_named_position), POSITION_FIELDS);
}

static thalweg_status metadata(void *of, void *buffer, size_t capacity, size_t *size, thalweg_error *error) {
    position_of *wanted = of;
    return thalweg_position_metadata(
        wanted->engine, wanted->consumer, wanted->topic, wanted->partition, buffer, capacity, size, error
    );
}

static PyObject *engine_position_metadata(PyObject *self, PyObject *arguments) {
    position_of wanted = {.engine = ((engine *)self)->handle};
    if (!PyArg_ParseTuple(arguments, "ssO&", &wanted.consumer, &wanted.topic, to_u32, &wanted.partition)) return NULL;
    return bytes_of(metadata, &wanted);
}

static PyObject *engine_reset_position(PyObject *self, PyObject *arguments) {
    const char *consumer;
    thalweg_topic *topic;
    uint32_t partition = THALWEG_PARTITION_ALL, start;
    uint64_t value;
    if (!PyArg_ParseTuple(
            arguments, "sO&O&O&O&", &consumer, to_topic, &topic, to_u32_or_none, &partition, to_u32, &start, to_u64,
            &value
        ))
        return NULL;
    ERROR(error);
    thalweg_status status;
    UNLOCKED(
        status = thalweg_position_reset(((engine *)self)->handle, consumer, topic, partition, start, value, &error)
    );
    return none_or_raise(status, &error);
}

static PyObject *engine_delete_positions(PyObject *self, PyObject *arguments) {
    const char *consumer;
    thalweg_topic *topic = NULL;
    if (!PyArg_ParseTuple(arguments, "s|O&", &consumer, to_topic_or_none, &topic)) return NULL;
    ERROR(error);
    thalweg_status status;
    UNLOCKED(status = thalweg_position_delete(((engine *)self)->handle, consumer, topic, &error));
    return none_or_raise(status, &error);
}

static const field REPAIRED_FIELDS[] = {
    FIELD(thalweg_repaired, kept, U64),
    FIELD(thalweg_repaired, uncertain, U64),
    FIELD(thalweg_repaired, lost, U64),
    {NULL, 0, U32},
};

static PyObject *repair(
    PyObject *self, thalweg_status (*call)(thalweg_engine *engine, thalweg_repaired *repaired, thalweg_error *error)
) {
    thalweg_repaired repaired = {.size = sizeof repaired};
    ERROR(error);
    thalweg_status status;
    UNLOCKED(status = call(((engine *)self)->handle, &repaired, &error));
    return status == THALWEG_OK ? dict_of(&repaired, REPAIRED_FIELDS) : raise_error(&error);
}

static PyObject *engine_repair_positions(PyObject *self, PyObject *Py_UNUSED(none)) {
    return repair(self, thalweg_position_repair);
}

static PyObject *engine_repair_key_values(PyObject *self, PyObject *Py_UNUSED(none)) {
    return repair(self, thalweg_key_values_repair);
}

static PyObject *engine_queue(PyObject *self, void *Py_UNUSED(closure)) {
    return Py_NewRef((PyObject *)((engine *)self)->queue);
}

static PyMethodDef methods[] = {
    {"close", engine_close, METH_NOARGS,
     "close($self, /)\n--\n\nMakes everything durable, and ends the engine. May be called again."},
    {"_create_topic", engine_create_topic, METH_VARARGS, NULL},
    {"delete_topic", engine_delete_topic, METH_VARARGS,
     "delete_topic($self, name, /)\n--\n\nDeletes a topic and its records, durably."},
    {"_topics", engine_topics, METH_NOARGS, NULL},
    {"_info", engine_info, METH_NOARGS, NULL},
    {"info_text", engine_info_text, METH_NOARGS,
     "info_text($self, /)\n--\n\nWhy the engine works as it does: lines to show."},
    {"metrics_json", engine_metrics_json, METH_NOARGS,
     "metrics_json($self, /)\n--\n\nAll that the engine counts, as JSON."},
    {"metrics_prometheus", engine_metrics_prometheus, METH_NOARGS,
     "metrics_prometheus($self, /)\n--\n\nAll that the engine counts, as Prometheus scrapes it."},
    {"_damaged", engine_damaged, METH_NOARGS, NULL},
    {"_verify", engine_verify, METH_NOARGS, NULL},
    {"_positions", engine_positions, METH_VARARGS, NULL},
    {"position_metadata", engine_position_metadata, METH_VARARGS,
     "position_metadata($self, consumer, topic, partition, /)\n--\n\nWhat was committed with a position."},
    {"_reset_position", engine_reset_position, METH_VARARGS, NULL},
    {"delete_positions", engine_delete_positions, METH_VARARGS,
     "delete_positions($self, consumer, topic=None, /)\n--\n\nRemoves what a consumer has committed, of one topic or "
     "of all."},
    {"_repair_positions", engine_repair_positions, METH_NOARGS, NULL},
    {"_repair_key_values", engine_repair_key_values, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef attributes[] = {
    {"_queue", engine_queue, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, engine_open},
    {Py_tp_finalize, engine_finalize},
    {Py_tp_dealloc, engine_destroy},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {Py_tp_doc, "A store that is open."},
    {0, NULL},
};

static PyType_Spec spec = {
    "thalweg._thalweg.Engine", sizeof(engine), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots
};

int engine_add(PyObject *module) { return (engine_type = type_add(module, &spec, NULL)) ? 0 : -1; }
