/* Time, and waiting that lets signals and other threads through. */
#include <errno.h>
#include <poll.h>
#include <time.h>

#include "binding.h"

/* A signal that another thread was given is looked for this often. */
#define SLICE_MS 100
#define DESCRIPTORS_MAX 2

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int deadline_after(PyObject *timeout, deadline *until) {
    *until = -1;
    if (!timeout || timeout == Py_None) return 0;
    double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1.0 && PyErr_Occurred()) return -1;
    if (!(seconds >= 0)) {
        PyErr_Format(PyExc_ValueError, "a timeout of %R; it is a number of seconds from 0 on, or None", timeout);
        return -1;
    }
    /* Beyond a hundred years is never. */
    if (seconds < 3e9) *until = seconds == 0 ? 0 : now() + (int64_t)(seconds * 1e9);
    return 0;
}

bool deadline_passed(deadline until) { return until == 0 || (until > 0 && now() >= until); }

int64_t deadline_slice(deadline until) {
    if (until < 0) return SLICE_MS;
    int64_t left = until == 0 ? 0 : (until - now() + 999999) / 1000000;
    return left < 0 ? 0 : left < SLICE_MS ? left : SLICE_MS;
}

int wait_readable(const int *descriptors, size_t count, deadline until) {
    if (deadline_passed(until)) return 0;
    struct pollfd polled[DESCRIPTORS_MAX];
    for (size_t i = 0; i < count; i++) polled[i] = (struct pollfd){.fd = descriptors[i], .events = POLLIN};
    int slice = (int)deadline_slice(until), ready, error;
    Py_BEGIN_ALLOW_THREADS
    ready = poll(polled, count, slice);
    error = errno;
    Py_END_ALLOW_THREADS
    if (PyErr_CheckSignals() < 0) return -1;
    if (ready < 0 && error != EINTR) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 1;
}
