/* What all types have in common. */
#include "binding.h"

void *object_new(PyTypeObject *type) {
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    return allocate(type, 0);
}

void object_free(void *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

PyTypeObject *type_add(PyObject *module, PyType_Spec *spec, PyTypeObject *base) {
    PyObject *type = PyType_FromModuleAndSpec(module, spec, (PyObject *)base);
    if (type && PyModule_AddType(module, (PyTypeObject *)type) < 0) Py_CLEAR(type);
    return (PyTypeObject *)type;
}

PyObject *python_call(const char *module, const char *name, PyObject *argument) {
    PyObject *result = NULL, *imported = PyImport_ImportModule(module);
    PyObject *function = imported ? PyObject_GetAttrString(imported, name) : NULL;
    if (function) {
        result = PyTuple_Check(argument) ? PyObject_CallObject(function, argument)
                                         : PyObject_CallFunctionObjArgs(function, argument, NULL);
    }
    Py_XDECREF(function);
    Py_XDECREF(imported);
    return result;
}
