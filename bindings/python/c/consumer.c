/* Consumers: many partitions read as one. */
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "binding.h"

struct consumer_core {
    thalweg_consumer *handle;
    atomic_size_t owners;
};

typedef struct {
    PyObject_HEAD engine *engine;
    consumer_core *core;
    PyObject *name;
    int descriptor;
    /* Readable when a poll that waits is to end. */
    int bell;
    /* A thread is in a call that lets others run. */
    bool busy;
} consumer;

consumer_core *consumer_core_keep(consumer_core *core) {
    atomic_fetch_add(&core->owners, 1);
    return core;
}

void consumer_core_drop(consumer_core *core) {
    if (!core || atomic_fetch_sub(&core->owners, 1) > 1) return;
    thalweg_consumer_close(core->handle, NULL);
    free(core);
}

thalweg_consumer *consumer_core_handle(consumer_core *core) { return core->handle; }

static PyObject *consumer_open(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(names)) {
    PyObject *of, *name;
    thalweg_consumer_options options;
    thalweg_consumer_options_init(&options, sizeof options);
    long long start_time, out_of_range_time;
    if (!PyArg_ParseTuple(
            arguments, "O!OO&LO&L", engine_type, &of, &name, to_u32, &options.start, &start_time, to_u32,
            &options.out_of_range, &out_of_range_time
        ))
        return NULL;
    options.start_time = start_time;
    options.out_of_range_time = out_of_range_time;
    if (name != Py_None && !(options.name = PyUnicode_AsUTF8AndSize(name, NULL))) return NULL;
    consumer *self = object_new(type);
    if (!self) return NULL;
    self->engine = KEEP(of);
    self->name = Py_NewRef(name);
    self->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->core = calloc(1, sizeof *self->core);
    if (self->bell < 0 || !self->core) {
        PyErr_SetFromErrno(PyExc_OSError);
        DROP(self);
        return NULL;
    }
    self->core->owners = 1;
    ERROR(error);
    thalweg_status status;
    UNLOCKED(status = thalweg_consumer_open(self->engine->handle, &options, &self->core->handle, &error));
    if (status == THALWEG_OK) status = thalweg_consumer_eventfd(self->core->handle, &self->descriptor, &error);
    if (status != THALWEG_OK) {
        raise_error(&error);
        DROP(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int consumer_traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(object));
    Py_VISIT((PyObject *)((consumer *)object)->engine);
    return 0;
}

static void consumer_destroy(PyObject *object) {
    consumer *self = (consumer *)object;
    PyObject_GC_UnTrack(object);
    consumer_core_drop(self->core);
    if (self->bell > 0) close(self->bell);
    Py_XDECREF(self->name);
    DROP(self->engine);
    object_free(self);
}

/* A call beside another one is refused, and not taken for one that finds nothing. */
static bool busy(consumer *self) {
    if (!self->busy) return false;
    raise_status(THALWEG_WOULD_BLOCK, "another thread is in a call of this consumer");
    return true;
}

/* A call on `self` that waits for the device. */
#define ALONE(self, call) \
    do { \
        (self)->busy = true; \
        UNLOCKED(call); \
        (self)->busy = false; \
    } while (0)

static void ring(consumer *self) {
    uint64_t one = 1;
    /* A bell that rings already is full, and that is as good. */
    if (write(self->bell, &one, sizeof one) < 0) return;
}

static bool rung(consumer *self) {
    uint64_t count;
    return read(self->bell, &count, sizeof count) > 0;
}

static PyObject *consumer_close(PyObject *object, PyObject *Py_UNUSED(none)) {
    consumer *self = (consumer *)object;
    thalweg_consumer_close(self->core->handle, NULL);
    ring(self);
    Py_RETURN_NONE;
}

static PyObject *consumer_wakeup(PyObject *object, PyObject *Py_UNUSED(none)) {
    ring((consumer *)object);
    Py_RETURN_NONE;
}

static PyObject *consumer_subscribe(PyObject *object, PyObject *arguments) {
    consumer *self = (consumer *)object;
    thalweg_topic *topic;
    if (!PyArg_ParseTuple(arguments, "O&", to_topic, &topic) || busy(self)) return NULL;
    ERROR(error);
    thalweg_status status;
    ALONE(self, status = thalweg_consumer_subscribe(self->core->handle, topic, &error));
    return none_or_raise(status, &error);
}

static PyObject *consumer_unsubscribe(PyObject *object, PyObject *arguments) {
    consumer *self = (consumer *)object;
    thalweg_topic *topic;
    if (!PyArg_ParseTuple(arguments, "O&", to_topic, &topic) || busy(self)) return NULL;
    ERROR(error);
    thalweg_status status = thalweg_consumer_unsubscribe(self->core->handle, topic, &error);
    return none_or_raise(status, &error);
}

typedef thalweg_status (*place_call)(
    thalweg_consumer *consumer, thalweg_topic *topic, uint32_t partition, uint32_t start, uint64_t value,
    thalweg_error *error
);

static PyObject *place(PyObject *object, PyObject *arguments, place_call call) {
    consumer *self = (consumer *)object;
    thalweg_topic *topic;
    uint32_t partition, start;
    uint64_t value;
    if (!PyArg_ParseTuple(
            arguments, "O&O&O&O&", to_topic, &topic, to_u32, &partition, to_u32, &start, to_u64, &value
        ) ||
        busy(self))
        return NULL;
    ERROR(error);
    thalweg_status status;
    ALONE(self, status = call(self->core->handle, topic, partition, start, value, &error));
    return none_or_raise(status, &error);
}

static PyObject *consumer_assign(PyObject *self, PyObject *arguments) {
    return place(self, arguments, thalweg_consumer_assign);
}

static PyObject *consumer_seek(PyObject *self, PyObject *arguments) {
    return place(self, arguments, thalweg_consumer_seek);
}

static PyObject *consumer_seek_all(PyObject *object, PyObject *arguments) {
    consumer *self = (consumer *)object;
    uint32_t start;
    uint64_t value;
    if (!PyArg_ParseTuple(arguments, "O&O&", to_u32, &start, to_u64, &value) || busy(self)) return NULL;
    ERROR(error);
    thalweg_status status;
    ALONE(self, status = thalweg_consumer_seek_all(self->core->handle, start, value, &error));
    return none_or_raise(status, &error);
}

/* One look, without waiting. 1: a batch. 0: nothing. -1: an exception. */
static int look(consumer *self, size_t max_bytes, PyObject **found) {
    thalweg_batch *batch;
    thalweg_batch_view view;
    ERROR(error);
    thalweg_status status = thalweg_consumer_poll(self->core->handle, max_bytes, &batch, &view, &error);
    if (status == THALWEG_WOULD_BLOCK) return 0;
    *found = status == THALWEG_OK ? batch_new(batch, &view) : raise_error(&error);
    return *found ? 1 : -1;
}

/* What is there already, waiting for the device only. As look. */
static int look_at_device(consumer *self, size_t max_bytes, PyObject **found) {
    thalweg_batch *batch;
    thalweg_batch_view view;
    ERROR(error);
    thalweg_status status;
    ALONE(self, status = thalweg_consumer_wait(self->core->handle, max_bytes, 0, &batch, &view, &error));
    if (status == THALWEG_WOULD_BLOCK || status == THALWEG_TIMED_OUT) return 0;
    *found = status == THALWEG_OK ? batch_new(batch, &view) : raise_error(&error);
    return *found ? 1 : -1;
}

static int wait_for_records(consumer *self, deadline until) {
    int descriptors[] = {self->descriptor, self->bell};
    self->busy = true;
    int woken = wait_readable(descriptors, 2, until);
    self->busy = false;
    return woken;
}

static PyObject *consumer_poll(PyObject *object, PyObject *arguments, PyObject *names) {
    static char *keywords[] = {"timeout", "max_bytes", NULL};
    consumer *self = (consumer *)object;
    PyObject *timeout = NULL, *found = NULL;
    Py_ssize_t max_bytes = READ_SIZE;
    deadline until;
    if (!PyArg_ParseTupleAndKeywords(arguments, names, "|On", keywords, &timeout, &max_bytes)) return NULL;
    if (deadline_after(timeout, &until) < 0 || busy(self)) return NULL;
    int looked;
    while ((looked = look(self, (size_t)max_bytes, &found)) == 0) {
        int woken = wait_for_records(self, until);
        if (woken < 0) return NULL;
        if (woken == 0) {
            looked = look_at_device(self, (size_t)max_bytes, &found);
            break;
        }
        /* Also by a close, which the next look tells. */
        if (rung(self) && (looked = look(self, (size_t)max_bytes, &found)) == 0) break;
        if (looked != 0) break;
    }
    return looked == 0 ? Py_NewRef(Py_None) : found;
}

static PyObject *consumer_poll_nowait(PyObject *object, PyObject *arguments, PyObject *names) {
    static char *keywords[] = {"max_bytes", NULL};
    consumer *self = (consumer *)object;
    PyObject *found = NULL;
    Py_ssize_t max_bytes = READ_SIZE;
    if (!PyArg_ParseTupleAndKeywords(arguments, names, "|n", keywords, &max_bytes) || busy(self)) return NULL;
    return look(self, (size_t)max_bytes, &found) == 0 ? Py_NewRef(Py_None) : found;
}

/* `for batch in consumer` waits for the next one, whenever it comes; a wakeup ends it. */
static PyObject *consumer_next(PyObject *self) {
    PyObject *nothing = PyTuple_New(0), *found = nothing ? consumer_poll(self, nothing, NULL) : NULL;
    Py_XDECREF(nothing);
    if (found == Py_None) Py_CLEAR(found);
    return found;
}

static PyObject *consumer_commit(PyObject *object, PyObject *Py_UNUSED(none)) {
    consumer *self = (consumer *)object;
    if (busy(self)) return NULL;
    ERROR(error);
    thalweg_status status;
    ALONE(self, status = thalweg_consumer_commit(self->core->handle, &error));
    return none_or_raise(status, &error);
}

static int position_from(PyObject *object, thalweg_position *position, pins *pins) {
    PyObject *metadata;
    *position = (thalweg_position){0};
    if (!PyArg_ParseTuple(
            object, "O&O&O&O", to_topic, &position->topic, to_u32, &position->partition, to_u64, &position->offset,
            &metadata
        ))
        return -1;
    return bytes_from(metadata, &position->metadata, pins, "position's metadata");
}

/* Takes a list of (topic, partition, offset, metadata). */
static PyObject *consumer_commit_positions(PyObject *object, PyObject *list) {
    consumer *self = (consumer *)object;
    pins pins = {0};
    size_t count = (size_t)PyList_Size(list);
    if (PyErr_Occurred() || busy(self)) return NULL;
    thalweg_position *positions = calloc(count + 1, sizeof *positions);
    if (!positions) return PyErr_NoMemory();
    int taken = 0;
    for (size_t i = 0; taken == 0 && i < count; i++)
        taken = position_from(PyList_GetItem(list, (Py_ssize_t)i), &positions[i], &pins);
    ERROR(error);
    thalweg_status status = THALWEG_OK;
    if (taken == 0)
        ALONE(self, status = thalweg_consumer_commit_positions(self->core->handle, positions, count, &error));
    pins_release(&pins);
    free(positions);
    return taken < 0 ? NULL : none_or_raise(status, &error);
}

static const field POSITION_FIELDS[] = {
    FIELD(thalweg_consumer_position, topic, TEXT), FIELD(thalweg_consumer_position, partition, U32),
    FIELD(thalweg_consumer_position, offset, U64), FIELD(thalweg_consumer_position, committed, U64),
    FIELD(thalweg_consumer_position, lag, U64),    {NULL, 0, U32},
};

static thalweg_status positions(void *of, void *items, size_t capacity, size_t *count, thalweg_error *error) {
    return thalweg_consumer_positions(of, items, capacity, count, error);
}

static PyObject *consumer_positions(PyObject *object, PyObject *Py_UNUSED(none)) {
    consumer *self = (consumer *)object;
    if (busy(self)) return NULL;
    self->busy = true;
    PyObject *list = list_of(positions, self->core->handle, sizeof(thalweg_consumer_position), POSITION_FIELDS);
    self->busy = false;
    return list;
}

static PyObject *consumer_lag(PyObject *object, PyObject *Py_UNUSED(none)) {
    consumer *self = (consumer *)object;
    if (busy(self)) return NULL;
    uint64_t lag;
    ERROR(error);
    thalweg_status status = thalweg_consumer_lag(self->core->handle, &lag, &error);
    return status == THALWEG_OK ? PyLong_FromUnsignedLongLong(lag) : raise_error(&error);
}

static PyObject *consumer_fileno(PyObject *self, PyObject *Py_UNUSED(none)) {
    return PyLong_FromLong(((consumer *)self)->descriptor);
}

static PyObject *consumer_bell(PyObject *self, PyObject *Py_UNUSED(none)) {
    return PyLong_FromLong(((consumer *)self)->bell);
}

static PyObject *consumer_rung(PyObject *self, PyObject *Py_UNUSED(none)) {
    return PyBool_FromLong(rung((consumer *)self));
}

static PyObject *stream(PyObject *object, bool large) {
    consumer *self = (consumer *)object;
    if (busy(self)) return NULL;
    thalweg_metrics metrics = {.size = sizeof metrics};
    ERROR(error);
    thalweg_status status;
    UNLOCKED(status = thalweg_engine_metrics(self->engine->handle, &metrics, &error));
    if (status != THALWEG_OK) return raise_error(&error);
    /* What is lent beyond it might leave no memory to read the rest with. */
    return arrow_stream(self->core, metrics.memory_pins_limit / 4, large);
}

static PyObject *consumer_arrow_stream(PyObject *self, PyObject *arguments, PyObject *names) {
    static char *keywords[] = {"requested_schema", NULL};
    PyObject *requested = Py_None;
    if (!PyArg_ParseTupleAndKeywords(arguments, names, "|O", keywords, &requested)) return NULL;
    int large = arrow_asks_large(requested);
    return large < 0 ? NULL : stream(self, large);
}

static PyObject *consumer_large_stream(PyObject *self, PyObject *Py_UNUSED(none)) { return stream(self, true); }

static PyObject *consumer_name(PyObject *self, void *Py_UNUSED(closure)) { return Py_NewRef(((consumer *)self)->name); }

#define NAMED(name, call, text) {name, (PyCFunction)(void (*)(void))call, METH_VARARGS | METH_KEYWORDS, text}

static PyMethodDef methods[] = {
    {"_subscribe", consumer_subscribe, METH_VARARGS, NULL},
    {"_unsubscribe", consumer_unsubscribe, METH_VARARGS, NULL},
    {"_assign", consumer_assign, METH_VARARGS, NULL},
    {"_seek", consumer_seek, METH_VARARGS, NULL},
    {"_seek_all", consumer_seek_all, METH_VARARGS, NULL},
    NAMED(
        "poll", consumer_poll,
        "poll($self, timeout=None, max_bytes=1048576)\n--\n\nThe next batch; None if none came in time, or after "
        "wakeup()."
    ),
    NAMED(
        "poll_nowait", consumer_poll_nowait,
        "poll_nowait($self, max_bytes=1048576)\n--\n\nThe next batch, or None if there is none in memory. Waits for "
        "nothing."
    ),
    {"wakeup", consumer_wakeup, METH_NOARGS,
     "wakeup($self, /)\n--\n\nEnds a poll that waits, or the next one. From any thread."},
    {"commit", consumer_commit, METH_NOARGS,
     "commit($self, /)\n--\n\nMakes durable that all which polls have returned is handled."},
    {"_commit_positions", consumer_commit_positions, METH_O, NULL},
    {"_positions", consumer_positions, METH_NOARGS, NULL},
    {"lag", consumer_lag, METH_NOARGS, "lag($self, /)\n--\n\nHow many offsets are still to be read."},
    {"fileno", consumer_fileno, METH_NOARGS,
     "fileno($self, /)\n--\n\nA descriptor that is readable while a poll has something to look at."},
    {"_bell", consumer_bell, METH_NOARGS, NULL},
    {"_rung", consumer_rung, METH_NOARGS, NULL},
    {"close", consumer_close, METH_NOARGS, "close($self, /)\n--\n\nCloses the consumer. What was committed stays."},
    NAMED(
        "__arrow_c_stream__", consumer_arrow_stream,
        "__arrow_c_stream__($self, requested_schema=None)\n--\n\nThe records that are there, for Arrow."
    ),
    {"_large_stream", consumer_large_stream, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef attributes[] = {
    {"name", consumer_name, NULL, "The name under which positions are committed, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, consumer_open},
    {Py_tp_dealloc, consumer_destroy},
    {Py_tp_traverse, consumer_traverse},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, consumer_next},
    {Py_tp_doc, "Reads many partitions as one."},
    {0, NULL},
};

static PyType_Spec spec = {
    "thalweg._thalweg.Consumer",
    sizeof(consumer),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    slots,
};

int consumer_add(PyObject *module) { return type_add(module, &spec, NULL) ? 0 : -1; }
