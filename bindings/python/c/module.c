/* The module thalweg._thalweg: what the C ABI has, with the types of Python. thalweg wraps it for people. */
#include "binding.h"

static PyObject *status_name(PyObject *Py_UNUSED(self), PyObject *number) {
    long status = PyLong_AsLong(number);
    return status == -1 && PyErr_Occurred() ? NULL : PyUnicode_FromString(thalweg_status_name((thalweg_status)status));
}

static PyObject *version(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(none)) {
    return PyUnicode_FromString(thalweg_version());
}

static PyObject *build_info(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(none)) {
    return PyUnicode_FromString(thalweg_build_info());
}

static PyObject *murmur2(PyObject *Py_UNUSED(self), PyObject *key) {
    pins pins = {0};
    thalweg_bytes bytes;
    if (bytes_from(key, &bytes, &pins, "key") < 0) return NULL;
    int32_t hash = thalweg_murmur2(bytes.data, bytes.size);
    pins_release(&pins);
    return PyLong_FromLong(hash);
}

static PyMethodDef methods[] = {
    {"status_name", status_name, METH_O, NULL},
    {"version", version, METH_NOARGS, "version()\n--\n\nThe version of the engine."},
    {"build_info", build_info, METH_NOARGS, "build_info()\n--\n\nHow the engine was built: one line for a bug report."},
    {"murmur2", murmur2, METH_O,
     "murmur2(key, /)\n--\n\nThe hash of a key, as Kafka's Java client has it: what chooses the partition of a key."},
    {NULL, NULL, 0, NULL},
};

/* Numbers of the ABI that the Python side names. */
#define NUMBER(name) {#name, THALWEG_##name}
static const struct {
    const char *name;
    unsigned long long value;
} numbers[] = {
    NUMBER(INVALID_ARGUMENT),
    NUMBER(NOT_FOUND),
    NUMBER(ALREADY_EXISTS),
    NUMBER(ALREADY_OPEN),
    NUMBER(WOULD_BLOCK),
    NUMBER(TIMED_OUT),
    NUMBER(OUT_OF_RANGE),
    NUMBER(CORRUPT),
    NUMBER(UNSUPPORTED),
    NUMBER(IO),
    NUMBER(NO_SPACE),
    NUMBER(PERMISSION_DENIED),
    NUMBER(PARTITION_FAILED),
    NUMBER(CLOSED),
    NUMBER(TOO_LARGE),
    NUMBER(NO_MEMORY),
    NUMBER(FORKED),
    NUMBER(PANIC),
    NUMBER(DELETED),
    NUMBER(READ_ONLY),
    NUMBER(OFFSET_MISMATCH),
    NUMBER(TRUNCATED),
    NUMBER(RUNTIME_AUTO),
    NUMBER(RUNTIME_URING),
    NUMBER(RUNTIME_POSIX),
    NUMBER(DURABILITY_DEFAULT),
    NUMBER(LOSE_ON_KILL),
    NUMBER(LOSE_ON_POWER_CUT),
    NUMBER(DURABLE),
    NUMBER(ENGINE_NO_CREATE),
    NUMBER(ENGINE_READ_ONLY),
    NUMBER(ENGINE_PIN_CORES),
    NUMBER(ENGINE_TRUST_SHARED_DIRECTORY),
    NUMBER(ENGINE_GIVE_UP_JOURNAL),
    NUMBER(PARTITION_BY_KEY),
    NUMBER(PARTITION_ROUND_ROBIN),
    NUMBER(PARTITION_ALL),
    NUMBER(NO_PARTITION),
    NUMBER(NO_OFFSET),
    NUMBER(START_EARLIEST),
    NUMBER(START_LATEST),
    NUMBER(START_OFFSET),
    NUMBER(START_TIME),
    NUMBER(START_APPEND_TIME),
    NUMBER(START_COMMITTED),
    NUMBER(OUT_OF_RANGE_ERROR),
    NUMBER(OUT_OF_RANGE_EARLIEST),
    NUMBER(OUT_OF_RANGE_LATEST),
    NUMBER(OUT_OF_RANGE_TIME),
    NUMBER(EVENT_OTHER),
    NUMBER(EVENT_RECOVERED),
    NUMBER(EVENT_OPENED),
    NUMBER(EVENT_FALLBACK),
    NUMBER(EVENT_DAMAGE),
    NUMBER(EVENT_IO_ERROR),
    NUMBER(EVENT_PARTITION_FAILED),
    NUMBER(EVENT_NO_SPACE),
    NUMBER(EVENT_TRUNCATED),
    NUMBER(EVENT_CLOSED),
    NUMBER(EVENT_DAMAGED_COPY),
    NUMBER(EVENT_SPACE_AVAILABLE),
    NUMBER(FRAME_OTHER),
    NUMBER(FRAME_DATA),
    NUMBER(FRAME_PAD),
    NUMBER(FRAME_VOID),
    NUMBER(FRAME_DAMAGE),
    NUMBER(FRAME_HAS_TERM),
    NUMBER(BATCH_RECORDS_MAX),
    {NULL, 0},
};

static int numbers_add(PyObject *module) {
    for (size_t i = 0; numbers[i].name; i++) {
        PyObject *number = PyLong_FromUnsignedLongLong(numbers[i].value);
        int added = number ? PyModule_AddObjectRef(module, numbers[i].name, number) : -1;
        Py_XDECREF(number);
        if (added < 0) return -1;
    }
    return 0;
}

static int execute(PyObject *module) {
    /* Types are kept in statics, which interpreters would share. */
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) != 0) {
        PyErr_SetString(PyExc_ImportError, "thalweg works in the main interpreter only");
        return -1;
    }
    static int (*const parts[])(PyObject *) = {
        numbers_add, queue_add,  ticket_add, append_add,   engine_add, topic_add,      chunk_add,
        batch_add,   record_add, lent_add,   consumer_add, reader_add, key_values_add, events_add,
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i](module) < 0) return -1;
    return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, execute}, {0, NULL}};
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "thalweg._thalweg", NULL, 0, methods, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__thalweg(void) { return PyModuleDef_Init(&definition); }
