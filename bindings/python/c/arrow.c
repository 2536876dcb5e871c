/* The Arrow C data interface: capsules of schemas, arrays and streams. */
#include "binding.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "columns.h"

/* How long a stream waits for records that are counted, and not there. */
#define WAIT_MS 100
#define WAITS_MAX 10
#define CALL_AGAIN_US 1000

#define CAPSULE(type, name) \
    static void name##_destroy(PyObject *capsule) { \
        struct type *held = PyCapsule_GetPointer(capsule, #name); \
        if (held && held->release) held->release(held); \
        free(held); \
    } \
    /* Takes over what is held, also where it fails. */ \
    static PyObject *name##_capsule(struct type held) { \
        struct type *kept = malloc(sizeof *kept); \
        if (kept) *kept = held; \
        PyObject *capsule = kept ? PyCapsule_New(kept, #name, name##_destroy) : PyErr_NoMemory(); \
        if (capsule) return capsule; \
        if (held.release) held.release(&held); \
        free(kept); \
        return NULL; \
    }

CAPSULE(ArrowSchema, arrow_schema)
CAPSULE(ArrowArray, arrow_array)
CAPSULE(ArrowArrayStream, arrow_array_stream)

int arrow_asks_large(PyObject *requested) {
    if (requested == Py_None) return 0;
    const struct ArrowSchema *schema = PyCapsule_GetPointer(requested, "arrow_schema");
    if (!schema) return -1;
    for (int64_t i = 0; i < schema->n_children; i++) {
        const struct ArrowSchema *column = schema->children[i];
        if (column->name && strcmp(column->name, "value") == 0)
            return strcmp(column->format, "Z") == 0 || strcmp(column->format, "z") == 0;
    }
    return 0;
}

PyObject *arrow_array(batch *batch, bool large) {
    struct ArrowSchema schema;
    struct ArrowArray array;
    ERROR(error);
    /* The array is an owner of its own, who needs no interpreter. */
    if (thalweg_batch_retain(batch->handle, &error) != THALWEG_OK) return raise_error(&error);
    if (columns_of(&array, batch->handle, &batch->view, large, false, NULL) != 0) return PyErr_NoMemory();
    PyObject *array_capsule = arrow_array_capsule(array), *schema_capsule = NULL, *both = NULL;
    if (array_capsule && columns_schema(&schema, large) == 0) schema_capsule = arrow_schema_capsule(schema);
    if (schema_capsule) both = PyTuple_Pack(2, schema_capsule, array_capsule);
    Py_XDECREF(schema_capsule);
    Py_XDECREF(array_capsule);
    if (!both && !PyErr_Occurred()) PyErr_NoMemory();
    return both;
}

typedef struct {
    consumer_core *core;
    account *account;
    uint64_t lent_max;
    bool large;
    thalweg_error error;
} stream;

static int stream_schema(struct ArrowArrayStream *self, struct ArrowSchema *schema) {
    return columns_schema(schema, ((stream *)self->private_data)->large);
}

/* The next batch; WOULD_BLOCK at the end of what is there. */
static thalweg_status stream_read(stream *of, thalweg_batch **batch, thalweg_batch_view *view) {
    thalweg_consumer *consumer = consumer_core_handle(of->core);
    for (int waits = 0;;) {
        thalweg_status status =
            thalweg_consumer_wait(consumer, READ_SIZE, waits ? WAIT_MS : 0, batch, view, &of->error);
        if (status != THALWEG_WOULD_BLOCK && status != THALWEG_TIMED_OUT) return status;
        uint64_t lag;
        status = thalweg_consumer_lag(consumer, &lag, &of->error);
        /* Another thread is in a call. */
        if (status == THALWEG_WOULD_BLOCK) usleep(CALL_AGAIN_US);
        else if (status != THALWEG_OK) return status;
        else if (lag == 0 || ++waits > WAITS_MAX) return THALWEG_WOULD_BLOCK;
    }
}

static int stream_next(struct ArrowArrayStream *self, struct ArrowArray *array) {
    stream *of = self->private_data;
    thalweg_batch *batch;
    thalweg_batch_view view;
    thalweg_status status = stream_read(of, &batch, &view);
    if (status == THALWEG_WOULD_BLOCK) {
        array->release = NULL;
        return 0;
    }
    if (status != THALWEG_OK) return EIO;
    bool copies = atomic_load(&of->account->lent) + view.data_size > of->lent_max;
    return columns_of(array, batch, &view, of->large, copies, of->account);
}

static const char *stream_error(struct ArrowArrayStream *self) { return ((stream *)self->private_data)->error.message; }

static void stream_release(struct ArrowArrayStream *self) {
    stream *of = self->private_data;
    consumer_core_drop(of->core);
    account_drop(of->account);
    free(of);
    self->release = NULL;
}

PyObject *arrow_stream(consumer_core *core, uint64_t lent_max, bool large) {
    stream *of = calloc(1, sizeof *of);
    account *account = calloc(1, sizeof *account);
    if (!of || !account) {
        free(of);
        free(account);
        return PyErr_NoMemory();
    }
    account->owners = 1;
    *of = (stream){.core = consumer_core_keep(core), .account = account, .lent_max = lent_max, .large = large};
    thalweg_error_init(&of->error, sizeof of->error);
    return arrow_array_stream_capsule((struct ArrowArrayStream){
        .get_schema = stream_schema,
        .get_next = stream_next,
        .get_last_error = stream_error,
        .release = stream_release,
        .private_data = of,
    });
}
