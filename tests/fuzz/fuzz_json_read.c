/* SPDX-License-Identifier: MIT
 *
 * JSON bodies for Python: what the parser takes, json.loads takes too, and it
 * then means the same.
 */
#include "pyrt/py.h"

#include <stdlib.h>

#include "base/err.h"
#include "pyrt/core/jsonparse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static PyObject *
json_loads(void)
{
	static PyObject *loads;

	if (!loads) {
		setenv("PYTHONMALLOC", "malloc", 1); /* for the sanitizer to see each object */
		Py_InitializeEx(0);
		PyObject *json = PyImport_ImportModule("json");
		SN_ASSERT(json);
		loads = PyObject_GetAttrString(json, "loads");
		SN_ASSERT(loads);
		Py_DECREF(json);
	}
	return loads;
}

/* repr() tells 1 from 1.0 and 0.0 from -0.0, and shows the order of keys. */
static void
same(PyObject *a, PyObject *b)
{
	PyObject *x = PyObject_Repr(a), *y = PyObject_Repr(b);

	if (!x || !y) /* too deep for repr(), or an integer with too many digits */
		PyErr_Clear();
	else
		SN_ASSERT(PyUnicode_Compare(x, y) == 0);
	Py_XDECREF(x);
	Py_XDECREF(y);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	PyObject *loads = json_loads(), *ours = sn_json_parse((const char *)data, size), *bytes, *theirs;

	PyErr_Clear();
	if (!ours)
		return 0;
	bytes = PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)size);
	SN_ASSERT(bytes);
	theirs = PyObject_CallOneArg(loads, bytes);
	if (!theirs)
		PyErr_Print();
	SN_ASSERT(theirs);
	same(ours, theirs);
	Py_DECREF(theirs);
	Py_DECREF(bytes);
	Py_DECREF(ours);
	return 0;
}
