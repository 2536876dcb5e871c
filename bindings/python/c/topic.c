/* Topics: what they look like, and where their logs begin and end. Appends to them are in append.c and chunk.c. */
#include "binding.h"

PyTypeObject *topic_type;

const field TOPIC_INFO_FIELDS[] = {
    FIELD(thalweg_topic_info, name, TEXT),
    FIELD(thalweg_topic_info, id, U32),
    FIELD(thalweg_topic_info, partitions, U32),
    FIELD(thalweg_topic_info, durability, U32),
    {NULL, 0, U32},
};

int to_topic(PyObject *object, void *into) {
    if (!PyObject_TypeCheck(object, topic_type)) {
        PyErr_Format(PyExc_TypeError, "a Topic is wanted, not %R", object);
        return 0;
    }
    *(thalweg_topic **)into = ((topic *)object)->handle;
    return 1;
}

int to_topic_or_none(PyObject *object, void *into) { return object == Py_None ? 1 : to_topic(object, into); }

static PyObject *topic_open(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(names)) {
    PyObject *of;
    const char *name;
    if (!PyArg_ParseTuple(arguments, "O!s", engine_type, &of, &name)) return NULL;
    topic *self = object_new(type);
    if (!self) return NULL;
    self->engine = KEEP(of);
    self->name = PyUnicode_InternFromString(name);
    ERROR(error);
    thalweg_status status;
    UNLOCKED(status = thalweg_topic_open(self->engine->handle, name, &self->handle, &error));
    if (status != THALWEG_OK) {
        DROP(self);
        return raise_error(&error);
    }
    return (PyObject *)self;
}

/* Its engine may have attributes of its own that lead back here. */
static int topic_traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(object));
    Py_VISIT((PyObject *)((topic *)object)->engine);
    return 0;
}

static void topic_destroy(PyObject *object) {
    topic *self = (topic *)object;
    PyObject_GC_UnTrack(object);
    thalweg_topic_close(self->handle, NULL);
    Py_XDECREF(self->name);
    DROP(self->engine);
    object_free(self);
}

static PyObject *topic_describe(PyObject *self, PyObject *Py_UNUSED(none)) {
    thalweg_topic_info info;
    ERROR(error);
    thalweg_status status = thalweg_topic_describe(((topic *)self)->handle, &info, &error);
    return status == THALWEG_OK ? dict_of(&info, TOPIC_INFO_FIELDS) : raise_error(&error);
}

static const field PARTITION_FIELDS[] = {
    FIELD(thalweg_partition_info, partition, U32),
    FIELD(thalweg_partition_info, log_start, U64),
    FIELD(thalweg_partition_info, high_watermark, U64),
    FIELD(thalweg_partition_info, stored_size, U64),
    FIELD(thalweg_partition_info, segments, U32),
    FIELD(thalweg_partition_info, damaged, U32),
    FIELD(thalweg_partition_info, failed, FLAG),
    FIELD(thalweg_partition_info, why, TEXT),
    {NULL, 0, U32},
};

static thalweg_status partitions(void *of, void *items, size_t capacity, size_t *count, thalweg_error *error) {
    return thalweg_topic_list_partitions(of, 0, items, capacity, count, error);
}

static PyObject *topic_partitions(PyObject *self, PyObject *Py_UNUSED(none)) {
    return list_of(partitions, ((topic *)self)->handle, sizeof(thalweg_partition_info), PARTITION_FIELDS);
}

/* A stretch of a partition. */
typedef struct {
    thalweg_topic *topic;
    uint32_t partition;
    uint64_t from, until;
} stretch;

static thalweg_status damaged(void *of, void *items, size_t capacity, size_t *count, thalweg_error *error) {
    stretch *wanted = of;
    return thalweg_topic_list_damaged(wanted->topic, wanted->partition, items, capacity, count, error);
}

static PyObject *topic_damaged(PyObject *self, PyObject *arguments) {
    stretch wanted = {.topic = ((topic *)self)->handle};
    if (!PyArg_ParseTuple(arguments, "O&", to_u32, &wanted.partition)) return NULL;
    return list_of(damaged, &wanted, sizeof(thalweg_damaged_range), DAMAGED_RANGE_FIELDS);
}

static const field FRAME_FIELDS[] = {
    FIELD(thalweg_frame, generation, U64),
    FIELD(thalweg_frame, position, U64),
    FIELD(thalweg_frame, size, U64),
    FIELD(thalweg_frame, base_offset, U64),
    FIELD(thalweg_frame, count, U64),
    FIELD(thalweg_frame, append_time, I64),
    FIELD(thalweg_frame, term, U64),
    FIELD(thalweg_frame, durable, U64),
    FIELD(thalweg_frame, segment, U32),
    FIELD(thalweg_frame, kind, U32),
    FIELD(thalweg_frame, flags, U32),
    FIELD(thalweg_frame, why, TEXT),
    {NULL, 0, U32},
};

static thalweg_status frames(void *of, void *items, size_t capacity, size_t *count, thalweg_error *error) {
    stretch *wanted = of;
    return thalweg_topic_list_frames(
        wanted->topic, wanted->partition, wanted->from, wanted->until, items, capacity, count, error
    );
}

static PyObject *topic_frames(PyObject *self, PyObject *arguments) {
    stretch wanted = {.topic = ((topic *)self)->handle};
    if (!PyArg_ParseTuple(arguments, "O&O&O&", to_u32, &wanted.partition, to_u64, &wanted.from, to_u64, &wanted.until))
        return NULL;
    return list_of(frames, &wanted, sizeof(thalweg_frame), FRAME_FIELDS);
}

static PyObject *topic_add_partitions(PyObject *self, PyObject *arguments) {
    uint32_t total;
    if (!PyArg_ParseTuple(arguments, "O&", to_u32, &total)) return NULL;
    ERROR(error);
    thalweg_status status;
    UNLOCKED(status = thalweg_topic_add_partitions(((topic *)self)->handle, total, &error));
    return none_or_raise(status, &error);
}

static PyObject *topic_partition_of(PyObject *self, PyObject *key) {
    pins pins = {0};
    thalweg_bytes bytes;
    if (bytes_from(key, &bytes, &pins, "key") < 0) return NULL;
    uint32_t partition;
    ERROR(error);
    thalweg_status status =
        thalweg_topic_partition_of(((topic *)self)->handle, bytes.data, bytes.size, &partition, &error);
    pins_release(&pins);
    return status == THALWEG_OK ? PyLong_FromUnsignedLong(partition) : raise_error(&error);
}

static PyObject *topic_next_offset(PyObject *self, PyObject *arguments) {
    uint32_t partition = 0;
    uint64_t offset;
    if (!PyArg_ParseTuple(arguments, "|O&", to_u32, &partition)) return NULL;
    ERROR(error);
    thalweg_status status = thalweg_topic_next_offset(((topic *)self)->handle, partition, &offset, &error);
    return status == THALWEG_OK ? PyLong_FromUnsignedLongLong(offset) : raise_error(&error);
}

typedef thalweg_status (*cut_call)(thalweg_topic *topic, uint32_t partition, uint64_t offset, thalweg_error *error);

static PyObject *cut(PyObject *self, PyObject *arguments, cut_call call) {
    uint32_t partition;
    uint64_t offset;
    if (!PyArg_ParseTuple(arguments, "O&O&", to_u32, &partition, to_u64, &offset)) return NULL;
    ERROR(error);
    thalweg_status status;
    UNLOCKED(status = call(((topic *)self)->handle, partition, offset, &error));
    return none_or_raise(status, &error);
}

static PyObject *topic_truncate_before(PyObject *self, PyObject *arguments) {
    return cut(self, arguments, thalweg_topic_truncate_before);
}

static PyObject *topic_truncate_after(PyObject *self, PyObject *arguments) {
    return cut(self, arguments, thalweg_topic_truncate_after);
}

static PyObject *topic_read(PyObject *object, PyObject *arguments, PyObject *names) {
    static char *keywords[] = {"partition", "offset", "max_bytes", "timeout", NULL};
    uint32_t partition;
    uint64_t offset;
    Py_ssize_t max_bytes = READ_SIZE;
    PyObject *timeout = NULL;
    deadline until;
    if (!PyArg_ParseTupleAndKeywords(
            arguments, names, "O&O&|nO", keywords, to_u32, &partition, to_u64, &offset, &max_bytes, &timeout
        ) ||
        deadline_after(timeout, &until) < 0)
        return NULL;
    for (;;) {
        thalweg_batch *batch;
        thalweg_batch_view view;
        ERROR(error);
        thalweg_status status;
        UNLOCKED(
            status = thalweg_topic_read(
                ((topic *)object)->handle, partition, offset, (size_t)max_bytes, deadline_slice(until), &batch, &view,
                &error
            )
        );
        if (status == THALWEG_OK) return batch_new(batch, &view);
        if (status != THALWEG_TIMED_OUT && status != THALWEG_WOULD_BLOCK) return raise_error(&error);
        if (PyErr_CheckSignals() < 0) return NULL;
        if (deadline_passed(until)) Py_RETURN_NONE;
    }
}

static PyObject *topic_close(PyObject *self, PyObject *Py_UNUSED(none)) {
    thalweg_topic_close(((topic *)self)->handle, NULL);
    Py_RETURN_NONE;
}

static PyObject *topic_name(PyObject *self, void *Py_UNUSED(closure)) { return Py_NewRef(((topic *)self)->name); }

static PyObject *topic_queue(PyObject *self, void *Py_UNUSED(closure)) {
    return Py_NewRef((PyObject *)((topic *)self)->engine->queue);
}

#define FAST(name, text) {#name, (PyCFunction)(void (*)(void))topic_##name, METH_FASTCALL | METH_KEYWORDS, text}
#define APPEND_ARGUMENTS \
    "($self, value, /, *, key=None, headers=None, timestamp=None, partition=None, durability=None, " \
    "expected_offset=None, " \
    "term=None, timeout=None)\n--\n\n"

static PyMethodDef methods[] = {
    FAST(append, "append" APPEND_ARGUMENTS "Appends a record. Returns where it stands, as soon as it is durable."),
    FAST(
        submit,
        "submit" APPEND_ARGUMENTS "Appends a record. Returns a ticket, as soon as there is room for it in memory."
    ),
    {"_try_submit", (PyCFunction)(void (*)(void))topic_try_submit, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"_describe", topic_describe, METH_NOARGS, NULL},
    {"_partitions", topic_partitions, METH_NOARGS, NULL},
    {"_damaged", topic_damaged, METH_VARARGS, NULL},
    {"_frames", topic_frames, METH_VARARGS, NULL},
    {"add_partitions", topic_add_partitions, METH_VARARGS,
     "add_partitions($self, total, /)\n--\n\nRaises the number of partitions to total."},
    {"partition_of", topic_partition_of, METH_O,
     "partition_of($self, key, /)\n--\n\nThe partition that a key belongs to."},
    {"next_offset", topic_next_offset, METH_VARARGS,
     "next_offset($self, partition=0, /)\n--\n\nThe offset that the next append to a partition gets."},
    {"truncate_before", topic_truncate_before, METH_VARARGS,
     "truncate_before($self, partition, offset, /)\n--\n\nRemoves the records below an offset, durably."},
    {"truncate_after", topic_truncate_after, METH_VARARGS,
     "truncate_after($self, partition, offset, /)\n--\n\nCuts off the records at an offset and beyond, durably."},
    {"read", (PyCFunction)(void (*)(void))topic_read, METH_VARARGS | METH_KEYWORDS,
     "read($self, partition, offset, max_bytes=1048576, timeout=None)\n--\n\n"
     "Records from an offset on, or None if none came in time."},
    {"close", topic_close, METH_NOARGS, "close($self, /)\n--\n\nCloses the handle. The topic stays."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef attributes[] = {
    {"name", topic_name, NULL, "Its name.", NULL},
    {"_queue", topic_queue, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, topic_open},
    {Py_tp_dealloc, topic_destroy},
    {Py_tp_traverse, topic_traverse},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {Py_tp_doc, "A topic to append to and to read from."},
    {0, NULL},
};

static PyType_Spec spec = {
    "thalweg._thalweg.Topic", sizeof(topic), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots,
};

int topic_add(PyObject *module) { return (topic_type = type_add(module, &spec, NULL)) ? 0 : -1; }
