/* Tickets: appends that are under way, like futures. */
#include "binding.h"

PyTypeObject *ticket_type;
static allocfunc ticket_allocate;

ticket *ticket_new(queue *queue) {
    ticket *self = (ticket *)ticket_allocate(ticket_type, 0);
    if (self) {
        self->queue = KEEP(queue);
    }
    return self;
}

static void ticket_destroy(PyObject *object) {
    ticket *self = (ticket *)object;
    DROP(self->queue);
    Py_XDECREF(self->callbacks);
    Py_XDECREF(self->exception);
    object_free(self);
}

/* Why an append failed, as its queue remembers it. */
static PyObject *failure_of(ticket *self, const thalweg_completion *completion) {
    thalweg_error why;
    thalweg_error_init(&why, sizeof why);
    if (thalweg_completion_queue_failure(self->queue->handle, completion, &why, NULL) != THALWEG_OK) {
        why.status = completion->status;
        why.os_error = completion->os_error;
        strncpy(why.message, thalweg_status_text(completion->status), sizeof why.message - 1);
    }
    PyObject *exception = exception_of(&why);
    if (!exception) PyErr_WriteUnraisable((PyObject *)self);
    return exception;
}

void ticket_settle(ticket *self, const thalweg_completion *completion) {
    if (self->state != TICKET_WAITING) return;
    if (completion->status == THALWEG_OK) {
        self->appended = (thalweg_appended){completion->base_offset, completion->partition, completion->count};
        self->state = TICKET_DONE;
    } else if (completion->status != THALWEG_WOULD_BLOCK) {
        self->exception = failure_of(self, completion);
        self->state = TICKET_FAILED;
    } else if (self->refused) {
        self->state = TICKET_ROOM;
    } else {
        /* There is room for a try that was refused, and a later one is under way. */
        return;
    }
    PyObject *callbacks = self->callbacks;
    self->callbacks = NULL;
    for (Py_ssize_t i = 0; callbacks && i < PyList_Size(callbacks); i++) {
        PyObject *called = PyObject_CallFunctionObjArgs(PyList_GetItem(callbacks, i), (PyObject *)self, NULL);
        if (!called) PyErr_WriteUnraisable(PyList_GetItem(callbacks, i));
        Py_XDECREF(called);
    }
    Py_XDECREF(callbacks);
}

int ticket_wait(ticket *self, deadline until) {
    while (self->state == TICKET_WAITING) {
        if (queue_take(self->queue) < 0) return -1;
        if (self->state != TICKET_WAITING) break;
        int woken = queue_wait(self->queue, until);
        if (woken < 0) return -1;
        if (woken == 0) return self->state != TICKET_WAITING;
    }
    return 1;
}

/* Waits, and tells whether it can be asked what became of it. */
static int finish(ticket *self, PyObject *arguments, PyObject *names) {
    static char *keywords[] = {"timeout", NULL};
    PyObject *timeout = NULL;
    deadline until;
    if (!PyArg_ParseTupleAndKeywords(arguments, names, "|O", keywords, &timeout)) return -1;
    if (deadline_after(timeout, &until) < 0) return -1;
    int waited = ticket_wait(self, until);
    if (waited == 0) raise_status(THALWEG_TIMED_OUT, "the append is not acknowledged yet");
    if (waited == 1 && self->state == TICKET_ROOM) {
        raise_status(THALWEG_WOULD_BLOCK, "there was no room, and nothing was appended; there may be some now");
        return -1;
    }
    return waited == 1 ? 0 : -1;
}

PyObject *ticket_outcome(ticket *self) {
    if (self->state == TICKET_DONE) return appended_of(&self->appended);
    if (self->exception) PyErr_SetObject((PyObject *)Py_TYPE(self->exception), self->exception);
    else raise_status(THALWEG_IO, NULL);
    return NULL;
}

static PyObject *ticket_result(PyObject *self, PyObject *arguments, PyObject *names) {
    return finish((ticket *)self, arguments, names) < 0 ? NULL : ticket_outcome((ticket *)self);
}

/* Of one that was refused: waits until it may be tried again. */
static PyObject *ticket_room(PyObject *object, PyObject *timeout) {
    ticket *self = (ticket *)object;
    deadline until;
    if (deadline_after(timeout, &until) < 0) return NULL;
    int waited = ticket_wait(self, until);
    if (waited == 1 && self->state == TICKET_FAILED) return ticket_outcome(self);
    if (waited == 0) raise_status(THALWEG_WOULD_BLOCK, "there was no room in time, and nothing was appended");
    return waited == 1 ? Py_NewRef(Py_None) : NULL;
}

static PyObject *ticket_exception(PyObject *object, PyObject *arguments, PyObject *names) {
    ticket *self = (ticket *)object;
    if (finish(self, arguments, names) < 0) return NULL;
    return Py_NewRef(self->state == TICKET_FAILED && self->exception ? self->exception : Py_None);
}

static PyObject *ticket_done(PyObject *object, PyObject *Py_UNUSED(none)) {
    ticket *self = (ticket *)object;
    if (self->state == TICKET_WAITING && queue_take(self->queue) < 0) return NULL;
    return PyBool_FromLong(self->state != TICKET_WAITING);
}

static PyObject *ticket_add_done_callback(PyObject *object, PyObject *callback) {
    ticket *self = (ticket *)object;
    if (self->state != TICKET_WAITING) {
        PyObject *called = PyObject_CallFunctionObjArgs(callback, object, NULL);
        if (!called) return NULL;
        Py_DECREF(called);
        Py_RETURN_NONE;
    }
    if (!self->callbacks && !(self->callbacks = PyList_New(0))) return NULL;
    if (PyList_Append(self->callbacks, callback) < 0) return NULL;
    Py_RETURN_NONE;
}

/* An awaitable's iterator is made by the Python side, which knows event loops. */
static PyObject *ticket_await(PyObject *self) { return python_call("thalweg._asyncio", "settled", self); }

static PyObject *ticket_queue(PyObject *self, void *Py_UNUSED(closure)) {
    return Py_NewRef((PyObject *)((ticket *)self)->queue);
}

static PyObject *ticket_refused(PyObject *self, void *Py_UNUSED(closure)) {
    return PyBool_FromLong(((ticket *)self)->refused);
}

static PyObject *ticket_repr(PyObject *object) {
    ticket *self = (ticket *)object;
    switch (self->state) {
    case TICKET_WAITING:
        return PyUnicode_FromString(self->refused ? "<thalweg.Ticket without room>" : "<thalweg.Ticket waiting>");
    case TICKET_ROOM: return PyUnicode_FromString("<thalweg.Ticket to be tried again>");
    case TICKET_FAILED: return PyUnicode_FromFormat("<thalweg.Ticket failed: %S>", self->exception);
    default: break;
    }
    return PyUnicode_FromFormat(
        "<thalweg.Ticket done: partition %u, offset %llu>", (unsigned)self->appended.partition,
        (unsigned long long)self->appended.base_offset
    );
}

static PyMethodDef methods[] = {
    {"result", (PyCFunction)(void (*)(void))ticket_result, METH_VARARGS | METH_KEYWORDS,
     "result($self, timeout=None)\n--\n\nWhere the records stand, as soon as they are acknowledged."},
    {"exception", (PyCFunction)(void (*)(void))ticket_exception, METH_VARARGS | METH_KEYWORDS,
     "exception($self, timeout=None)\n--\n\nWhy the append failed, or None."},
    {"done", ticket_done, METH_NOARGS, "done($self, /)\n--\n\nIs it over? Does not wait."},
    {"add_done_callback", ticket_add_done_callback, METH_O,
     "add_done_callback($self, callback, /)\n--\n\nCalls with the ticket when it is over, on the thread that finds "
     "out, or at once."},
    {"_room", ticket_room, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef attributes[] = {
    {"_queue", ticket_queue, NULL, NULL, NULL},
    {"_refused", ticket_refused, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, ticket_destroy},
    {Py_tp_repr, ticket_repr},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {Py_am_await, ticket_await},
    {Py_tp_doc, "An append that is under way. It can be waited for, asked, and awaited in asyncio."},
    {0, NULL},
};

static PyType_Spec spec = {
    "thalweg.Ticket", sizeof(ticket), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots,
};

int ticket_add(PyObject *module) {
    if (!(ticket_type = type_add(module, &spec, NULL))) return -1;
    ticket_allocate = (allocfunc)PyType_GetSlot(ticket_type, Py_tp_alloc);
    return 0;
}
