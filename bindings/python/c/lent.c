/* Ranges of a batch's memory, for memoryviews, which keep the batch through them. */
#include "binding.h"

typedef struct {
    PyObject_HEAD batch *batch;
    const void *data;
    size_t size;
} lent;

static PyTypeObject *lent_type;

PyObject *lent_view(batch *batch, const void *data, size_t size) {
    if (batch_check(batch) < 0) return NULL;
    lent *self = object_new(lent_type);
    if (!self) return NULL;
    self->batch = KEEP(batch);
    self->data = data;
    self->size = size;
    batch->lent++;
    PyObject *view = PyMemoryView_FromObject((PyObject *)self);
    DROP(self);
    return view;
}

static void lent_destroy(PyObject *object) {
    lent *self = (lent *)object;
    batch_return(self->batch);
    DROP(self->batch);
    object_free(self);
}

static int lent_get(PyObject *object, Py_buffer *view, int flags) {
    lent *self = (lent *)object;
    if (self->batch->forks != fork_count()) {
        view->obj = NULL;
        raise_status(THALWEG_FORKED, "the batch belongs to the process that was forked");
        return -1;
    }
    /* Python takes no address for none, even where there is nothing. */
    void *data = self->size > 0 ? (void *)(uintptr_t)self->data : "";
    return PyBuffer_FillInfo(view, object, data, (Py_ssize_t)self->size, 1, flags);
}

static PyType_Slot slots[] = {{Py_tp_dealloc, lent_destroy}, {Py_bf_getbuffer, lent_get}, {0, NULL}};

static PyType_Spec spec = {
    "thalweg._thalweg.Lent", sizeof(lent), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots,
};

int lent_add(PyObject *module) { return (lent_type = type_add(module, &spec, NULL)) ? 0 : -1; }
