/* The completion queue of an engine: one for all appends of this process to it, whoever waits for them. Who finds
 * completions settles the tickets they belong to. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "binding.h"

/* The most that the ABI takes: far more than memory has room for. */
#define CAPACITY 16777216
#define TAKE_MAX 128
/* Completions are taken by the way, so that tickets nobody asks do not pile up. */
#define SUBMITS_MAX 64
/* How long the engine's last completions are waited for behind its close. */
#define CLOSE_MS 1000

PyTypeObject *queue_type;

queue *queue_new(void) {
    queue *self = object_new(queue_type);
    if (!self) return NULL;
    self->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->bell < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        DROP(self);
        return NULL;
    }
    ERROR(error);
    thalweg_status status = thalweg_completion_queue_open(CAPACITY, &self->handle, &error);
    if (status == THALWEG_OK) status = thalweg_completion_queue_eventfd(self->handle, &self->descriptor, &error);
    if (status != THALWEG_OK) {
        DROP(self);
        return (queue *)raise_error(&error);
    }
    return self;
}

static void settle(queue *self, const thalweg_completion *done, size_t count) {
    for (size_t i = 0; i < count; i++) {
        /* The reference that the submit left here. */
        ticket *settled = (ticket *)(uintptr_t)done[i].token;
        self->under_way--;
        ticket_settle(settled, &done[i]);
        DROP(settled);
    }
    uint64_t one = 1;
    /* A bell that rings already is full, and that is as good. */
    if (self->waiters > 0 && write(self->bell, &one, sizeof one) < 0) return;
}

int queue_take(queue *self) {
    self->submits = 0;
    thalweg_completion done[TAKE_MAX];
    size_t count = TAKE_MAX;
    while (count == TAKE_MAX) {
        ERROR(error);
        thalweg_status status = thalweg_completion_queue_poll(self->handle, done, TAKE_MAX, &count, &error);
        if (status == THALWEG_WOULD_BLOCK) return 0;
        if (status != THALWEG_OK) {
            raise_error(&error);
            return -1;
        }
        settle(self, done, count);
    }
    return 0;
}

int queue_wait(queue *self, deadline until) {
    int descriptors[] = {self->descriptor, self->bell};
    self->waiters++;
    int woken = wait_readable(descriptors, 2, until);
    uint64_t rung;
    /* Who leaves last turns it off; until then it may wake somebody once too often. */
    if (--self->waiters == 0 && read(self->bell, &rung, sizeof rung) < 0) return woken;
    return woken;
}

int queue_submit(queue *self, ticket *ticket, submit_call submit, void *with) {
    if (self->under_way >= CAPACITY) {
        raise_status(THALWEG_WOULD_BLOCK, "16,777,216 appends are under way");
        return -1;
    }
    ticket->state = TICKET_WAITING;
    ERROR(error);
    thalweg_status status = submit(with, self->handle, (uint64_t)(uintptr_t)ticket, &error);
    ticket->refused = status == THALWEG_WOULD_BLOCK;
    if (status != THALWEG_OK && status != THALWEG_WOULD_BLOCK) {
        raise_error(&error);
        return -1;
    }
    /* A completion comes in both cases, and has this reference. */
    Py_INCREF((PyObject *)ticket);
    self->under_way++;
    if (++self->submits >= SUBMITS_MAX && queue_take(self) < 0) return -1;
    return !ticket->refused;
}

void queue_close(queue *self) {
    thalweg_completion done[TAKE_MAX];
    size_t count = 0;
    thalweg_status status;
    while (self->under_way > 0) {
        UNLOCKED(status = thalweg_completion_queue_wait(self->handle, done, TAKE_MAX, CLOSE_MS, &count, NULL));
        if (status != THALWEG_OK || count == 0) break;
        settle(self, done, count);
    }
    thalweg_completion_queue_close(self->handle, NULL);
    self->closed = true;
}

static void queue_destroy(PyObject *object) {
    queue *self = (queue *)object;
    if (self->handle) thalweg_completion_queue_close(self->handle, NULL);
    if (self->bell > 0) close(self->bell);
    object_free(self);
}

static PyObject *queue_fileno(PyObject *self, PyObject *Py_UNUSED(none)) {
    return PyLong_FromLong(((queue *)self)->descriptor);
}

static PyObject *queue_take_all(PyObject *self, PyObject *Py_UNUSED(none)) {
    /* An event loop may look once more behind a close, which has taken everything. */
    if (!((queue *)self)->closed && queue_take((queue *)self) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"fileno", queue_fileno, METH_NOARGS, "Readable while there are completions to take."},
    {"take", queue_take_all, METH_NOARGS, "Takes the completions that are there, and settles their tickets."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, queue_destroy},
    {Py_tp_methods, methods},
    {Py_tp_doc, "The completions of an engine's appends."},
    {0, NULL},
};

static PyType_Spec spec = {
    "thalweg._thalweg.Queue", sizeof(queue), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots,
};

int queue_add(PyObject *module) { return (queue_type = type_add(module, &spec, NULL)) ? 0 : -1; }
