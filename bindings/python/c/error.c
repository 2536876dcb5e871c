/* How failures of the ABI become exceptions: thalweg.errors has a class for each status. */
#include "binding.h"

PyObject *exception_of(const thalweg_error *error) {
    PyObject *told = Py_BuildValue(
        "(iNisIKK)", (int)error->status,
        PyUnicode_DecodeUTF8(error->message, (Py_ssize_t)strlen(error->message), "replace"), (int)error->os_error,
        error->topic, (unsigned)error->partition, (unsigned long long)error->start, (unsigned long long)error->end
    );
    if (!told) return NULL;
    PyObject *exception = python_call("thalweg.errors", "from_status", told);
    Py_DECREF(told);
    return exception;
}

PyObject *raise_error(const thalweg_error *error) {
    PyObject *exception = exception_of(error);
    if (exception) {
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        Py_DECREF(exception);
    }
    return NULL;
}

PyObject *raise_status(thalweg_status status, const char *message) {
    thalweg_error error;
    thalweg_error_init(&error, sizeof error);
    error.status = status;
    strncpy(error.message, message ? message : thalweg_status_text(status), sizeof error.message - 1);
    return raise_error(&error);
}

PyObject *none_or_raise(thalweg_status status, const thalweg_error *error) {
    if (status != THALWEG_OK) return raise_error(error);
    Py_RETURN_NONE;
}
