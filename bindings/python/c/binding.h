/* What the files of the extension share. Each of them wraps one noun of the C ABI, and nothing else of the engine. */
#ifndef THALWEG_BINDING_H
#define THALWEG_BINDING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <thalweg.h>

/* error.c: how failures become exceptions. */

/* An error to hand to a call. Only its size is set: a call writes the rest, and only on failure. */
#define ERROR(name) \
    thalweg_error name; \
    name.size = sizeof name

/* Raises what a call has told. NULL, to be returned. */
PyObject *raise_error(const thalweg_error *error);
/* As raise_error, for a status that comes without an error. */
PyObject *raise_status(thalweg_status status, const char *message);
/* The exception of an error, not raised. */
PyObject *exception_of(const thalweg_error *error);

/* A call that waits for the device lets other threads of Python run meanwhile. */
#define UNLOCKED(call) \
    do { \
        Py_BEGIN_ALLOW_THREADS \
        call; \
        Py_END_ALLOW_THREADS \
    } while (0)
/* For calls without a result. */
PyObject *none_or_raise(thalweg_status status, const thalweg_error *error);

/* object.c: what all types have in common. */

/* References of objects, by whatever type they are known. */
#define KEEP(object) ((void *)Py_NewRef((PyObject *)(object)))
#define DROP(object) Py_XDECREF((PyObject *)(object))

/* An object with fields that are all zero, or NULL. */
void *object_new(PyTypeObject *type);
/* Frees an object; the last thing that a destructor does. */
void object_free(void *self);
/* A type of this module, added to it. */
PyTypeObject *type_add(PyObject *module, PyType_Spec *spec, PyTypeObject *base);
/* Calls a function of the Python side, by module and name. */
PyObject *python_call(const char *module, const char *name, PyObject *argument);

/* argument.c: converters, for "O&" among others. */
int to_u32(PyObject *object, void *into);
int to_u64(PyObject *object, void *into);
/* None is `otherwise`, which stands in `into` before. */
int to_u32_or_none(PyObject *object, void *into);
/* Arguments by name of a call whose values may have any order. */
typedef struct {
    const char *name;
    PyObject *interned;
} keyword;
/* Places the arguments of a fast call by name; -1 with an exception for a name that is not there. */
int keywords_place(keyword *keywords, size_t count, PyObject *const *values, PyObject *names, PyObject **into);

/* wait.c: time, and waiting that lets signals through. */
typedef int64_t deadline; /* Of the monotonic clock in ns; negative: never. */
/* From seconds, or None. */
int deadline_after(PyObject *timeout, deadline *until);
/* From seconds, by "O&": 0 is in the past. */
bool deadline_passed(deadline until);
/* The part of the time that is left which a call may wait without looking for signals, in ms. */
int64_t deadline_slice(deadline until);
/* Waits until a descriptor is readable, other threads run, or a signal comes. 1: look again. 0: out of time. -1: an
 * exception. */
int wait_readable(const int *descriptors, size_t count, deadline until);

/* struct.c: structs of the ABI as dicts, by tables. */
typedef enum { U32, U64, I32, I64, FLAG, TEXT } field_kind;
typedef struct {
    const char *name;
    size_t place;
    field_kind kind;
} field;
#define FIELD(type, name, kind) {#name, offsetof(type, name), kind}
PyObject *dict_of(const void *object, const field *fields);
/* A list of dicts, from a call that fills an array. */
typedef thalweg_status (*list_call)(void *of, void *items, size_t capacity, size_t *count, thalweg_error *error);
PyObject *list_of(list_call call, void *of, size_t item_size, const field *fields);
/* A str or bytes, from a call that fills a buffer. */
typedef thalweg_status (*buffer_call)(void *of, void *buffer, size_t capacity, size_t *size, thalweg_error *error);
PyObject *text_of(buffer_call call, void *of);
PyObject *bytes_of(buffer_call call, void *of);
extern const field DAMAGED_RANGE_FIELDS[], TOPIC_INFO_FIELDS[];

/* engine.c */
typedef struct queue queue;
typedef struct {
    PyObject_HEAD thalweg_engine *handle;
    queue *queue;
} engine;
extern PyTypeObject *engine_type;
int engine_add(PyObject *module);

/* topic.c */
typedef struct {
    PyObject_HEAD thalweg_topic *handle;
    engine *engine;
    PyObject *name;
} topic;
extern PyTypeObject *topic_type;
int topic_add(PyObject *module);
/* The handle of a topic, from an argument; None is NULL if that is allowed. */
int to_topic(PyObject *object, void *into);
int to_topic_or_none(PyObject *object, void *into);

/* ticket.c, queue.c: appends under way. */
typedef enum { TICKET_WAITING, TICKET_ROOM, TICKET_DONE, TICKET_FAILED } ticket_state;
typedef struct {
    PyObject_HEAD queue *queue;
    /* What to call when it is over; NULL or a list. */
    PyObject *callbacks;
    /* Of TICKET_FAILED. */
    PyObject *exception;
    thalweg_appended appended;
    ticket_state state;
    bool refused;
} ticket;
struct queue {
    PyObject_HEAD thalweg_completion_queue *handle;
    int descriptor;
    /* Readable while threads that wait have to look again, because another one has taken completions. */
    int bell;
    unsigned waiters;
    /* Completions that are still to come, and submits since some were taken last. */
    size_t under_way;
    unsigned submits;
    bool closed;
};
extern PyTypeObject *queue_type, *ticket_type;
int queue_add(PyObject *module);
int ticket_add(PyObject *module);
queue *queue_new(void);
ticket *ticket_new(queue *queue);
/* What a completion says. */
void ticket_settle(ticket *self, const thalweg_completion *completion);
/* What became of one that is over: an Appended, or the exception is raised. */
PyObject *ticket_outcome(ticket *self);
/* Waits until it is over, or there is room. 1: it is. 0: out of time. -1: an exception. */
int ticket_wait(ticket *self, deadline until);
/* Takes completions that are there. -1: an exception. */
int queue_take(queue *self);
/* Waits until there are completions, or another thread has taken some. As wait_readable. */
int queue_wait(queue *self, deadline until);
/* Behind the close of the engine: takes the last completions, and closes. */
void queue_close(queue *self);
/* Submits under a new token, by `submit` called with it. 1: accepted. 0: refused for want of room; the ticket tells
 * when there is some. -1: an exception. */
typedef thalweg_status (*submit_call)(
    void *with, thalweg_completion_queue *queue, uint64_t token, thalweg_error *error
);
int queue_submit(queue *self, ticket *ticket, submit_call submit, void *with);

/* append.c: options of appends, and structs to append from. */
extern PyTypeObject *appended_type, *chunk_type;
int append_add(PyObject *module);
int chunk_add(PyObject *module);
PyObject *appended_of(const thalweg_appended *appended);
/* Options of an append that asks to be told of room; None or NULL is as by default. */
int append_options(PyObject *durability, PyObject *expected_offset, PyObject *term, thalweg_append_options *options);
PyObject *topic_append(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names);
PyObject *topic_submit(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names);
PyObject *topic_try_submit(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names);

/* record.c: records to append, and what keeps their memory. */
typedef struct {
    Py_buffer *views;
    PyObject **objects;
    size_t view_count, view_capacity, object_count, object_capacity;
} pins;
void pins_release(pins *pins);
/* Keeps an object. */
int pins_keep(pins *pins, PyObject *object);
/* Where the bytes of an object are; None: nowhere. What is not `bytes` is pinned. */
int bytes_from(PyObject *object, thalweg_bytes *bytes, pins *pins, const char *what);
int record_from(
    PyObject *value, PyObject *key, PyObject *headers, PyObject *timestamp, thalweg_record *record, pins *pins
);

/* batch.c, lent.c, record_view.c: what was read. */
typedef struct {
    PyObject_HEAD thalweg_batch *handle;
    thalweg_batch_view view;
    /* Ranges of memory that Python has views of. */
    size_t lent;
    unsigned forks;
    bool released;
    PyObject *topic;
} batch;
extern PyTypeObject *batch_type, *record_type;
int batch_add(PyObject *module);
int record_add(PyObject *module);
int lent_add(PyObject *module);
/* How much is read at once. */
#define READ_SIZE (1 << 20)
/* Copies of parts of a record; None where there is none. */
PyObject *entry_value(const batch *self, const thalweg_entry *entry);
PyObject *entry_key(const batch *self, const thalweg_entry *entry);
PyObject *batch_topic(PyObject *self, void *closure);
PyObject *batch_new(thalweg_batch *handle, const thalweg_batch_view *view);
/* Raises, if its memory is not there any more. */
int batch_check(batch *self);
void batch_return(batch *self);
PyObject *record_new(batch *batch, size_t index);
/* A memoryview of a part of a batch, which keeps it. */
PyObject *lent_view(batch *batch, const void *data, size_t size);
/* How often this process came out of a fork. */
unsigned fork_count(void);

/* consumer.c, reader.c, key_values.c, events.c */
int consumer_add(PyObject *module);
int reader_add(PyObject *module);
int key_values_add(PyObject *module);
int events_add(PyObject *module);
/* A consumer's handle, which lives as long as the object and the streams of Arrow out of it. */
typedef struct consumer_core consumer_core;
consumer_core *consumer_core_keep(consumer_core *core);
void consumer_core_drop(consumer_core *core);
thalweg_consumer *consumer_core_handle(consumer_core *core);

/* arrow.c: the Arrow C data interface. */
PyObject *arrow_array(batch *batch, bool large);
PyObject *arrow_stream(consumer_core *core, uint64_t lent_max, bool large);
/* Does the schema that somebody asks for have values in one piece? -1: an exception. */
int arrow_asks_large(PyObject *requested);

#endif
