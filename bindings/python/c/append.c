/* Appends of one record: append, submit, and the try that does not wait. */
#include "binding.h"

PyTypeObject *appended_type;

PyObject *appended_of(const thalweg_appended *appended) {
    PyObject *self = PyStructSequence_New(appended_type);
    if (!self) return NULL;
    PyStructSequence_SetItem(self, 0, PyLong_FromUnsignedLong(appended->partition));
    PyStructSequence_SetItem(self, 1, PyLong_FromUnsignedLongLong(appended->base_offset));
    PyStructSequence_SetItem(self, 2, PyLong_FromUnsignedLong(appended->count));
    return PyErr_Occurred() ? (Py_DECREF(self), NULL) : self;
}

int append_options(PyObject *durability, PyObject *expected_offset, PyObject *term, thalweg_append_options *options) {
    *options = (thalweg_append_options){.size = sizeof *options, .flags = THALWEG_APPEND_NOTIFY};
    if (durability && durability != Py_None && !to_u32(durability, &options->durability)) return -1;
    if (expected_offset && expected_offset != Py_None) {
        if (!to_u64(expected_offset, &options->expected_offset)) return -1;
        options->flags |= THALWEG_APPEND_EXPECTED_OFFSET;
    }
    if (term && term != Py_None) {
        if (!to_u64(term, &options->term)) return -1;
        options->flags |= THALWEG_APPEND_TERM;
    }
    return 0;
}

/* One record on its way into a topic. */
typedef struct {
    thalweg_topic *topic;
    thalweg_record record;
    thalweg_append_options options;
    uint32_t partition;
    deadline until;
    pins pins;
} append;

enum { KEY, HEADERS, TIMESTAMP, PARTITION, DURABILITY, EXPECTED_OFFSET, TERM, TIMEOUT, KEYWORDS };
static keyword keywords[KEYWORDS] = {
    {"key", NULL},        {"headers", NULL},         {"timestamp", NULL}, {"partition", NULL},
    {"durability", NULL}, {"expected_offset", NULL}, {"term", NULL},      {"timeout", NULL},
};

static int append_from(append *append, topic *topic, PyObject *const *values, Py_ssize_t count, PyObject *names) {
    PyObject *given[KEYWORDS] = {NULL};
    memset(&append->pins, 0, sizeof append->pins);
    if (count != 1) {
        PyErr_Format(PyExc_TypeError, "one value is appended, by position; %zd were given", count);
        return -1;
    }
    if (names && keywords_place(keywords, KEYWORDS, values + 1, names, given) < 0) return -1;
    append->topic = topic->handle;
    append->partition = THALWEG_PARTITION_BY_KEY;
    if (given[PARTITION] && !to_u32(given[PARTITION], &append->partition)) return -1;
    if (append_options(given[DURABILITY], given[EXPECTED_OFFSET], given[TERM], &append->options) < 0) return -1;
    if (deadline_after(given[TIMEOUT], &append->until) < 0) return -1;
    return record_from(values[0], given[KEY], given[HEADERS], given[TIMESTAMP], &append->record, &append->pins);
}

static thalweg_status submit(void *with, thalweg_completion_queue *queue, uint64_t token, thalweg_error *error) {
    append *append = with;
    return thalweg_topic_submit(
        append->topic, append->partition, &append->record, &append->options, queue, token, NULL, error
    );
}

/* Tries until it is accepted; the ticket. */
static int insist(append *append, ticket *ticket) {
    int accepted;
    while ((accepted = queue_submit(ticket->queue, ticket, submit, append)) == 0) {
        int waited = ticket_wait(ticket, append->until);
        if (waited == 1 && ticket->state == TICKET_FAILED) return 1;
        if (waited == 0) raise_status(THALWEG_WOULD_BLOCK, "there was no room in time, and nothing was appended");
        if (waited <= 0) return -1;
    }
    return accepted;
}

typedef int (*way)(append *append, ticket *ticket);

static ticket *topic_way(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names, way way) {
    append append;
    ticket *made = NULL;
    if (append_from(&append, (topic *)self, values, count, names) == 0)
        made = ticket_new(((topic *)self)->engine->queue);
    if (made && way(&append, made) < 0) Py_CLEAR(made);
    if (append.pins.views || append.pins.objects) pins_release(&append.pins);
    return made;
}

PyObject *topic_submit(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names) {
    return (PyObject *)topic_way(self, values, count, names, insist);
}

static int once(append *append, ticket *ticket) { return queue_submit(ticket->queue, ticket, submit, append); }

PyObject *topic_try_submit(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names) {
    return (PyObject *)topic_way(self, values, count, names, once);
}

static int acknowledged(append *append, ticket *ticket) {
    if (insist(append, ticket) < 0) return -1;
    int waited = ticket_wait(ticket, append->until);
    if (waited == 0) raise_status(THALWEG_TIMED_OUT, "the record was appended, and is not acknowledged yet");
    return waited == 1 ? 1 : -1;
}

PyObject *topic_append(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names) {
    ticket *over = topic_way(self, values, count, names, acknowledged);
    if (!over) return NULL;
    PyObject *result = ticket_outcome(over);
    DROP(over);
    return result;
}

static PyStructSequence_Field fields[] = {
    {"partition", "The partition's index."},
    {"offset", "The offset of the first record."},
    {"count", "How many records. The others follow the first without a gap."},
    {NULL, NULL},
};
static PyStructSequence_Desc description = {
    "thalweg.Appended", "Where an append stands: (partition, offset).", fields, 2
};

int append_add(PyObject *module) {
    if (!(appended_type = PyStructSequence_NewType(&description))) return -1;
    return PyModule_AddObjectRef(module, "Appended", (PyObject *)appended_type);
}
