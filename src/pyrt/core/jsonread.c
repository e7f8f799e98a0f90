/* SPDX-License-Identifier: MIT
 *
 * A request's JSON body into Python objects. What the parser (jsonparse.c) gives
 * up at goes through snacgi._json.loads, which knows the other encodings and
 * whose errors name the position. Runs under the GIL.
 */
#include "pyrt/core/core_priv.h"

#include "pyrt/core/jsonparse.h"

/* The exception that is set becomes a 400 where the text is to blame. */
static void
blame_text(void)
{
	PyObject *type, *value, *tb, *text;

	if (!PyErr_ExceptionMatches(PyExc_ValueError) && !PyErr_ExceptionMatches(PyExc_RecursionError))
		return;
	PyErr_Fetch(&type, &value, &tb);
	text = PyUnicode_FromFormat("the body is not JSON: %S", value ? value : Py_None);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(tb);
	if (text)
		sn_pycore_raise("BadRequest", text);
}

PyObject *
sn_json_read(const char *text, size_t len)
{
	static PyObject *slot;
	PyObject *value = sn_json_parse(text, len), *loads, *bytes;

	if (value)
		return value;
	PyErr_Clear();
	loads = sn_pycore_lazy(&slot, "snacgi._json", "loads");
	if (!loads)
		return NULL;
	bytes = PyBytes_FromStringAndSize(text, (Py_ssize_t)len);
	if (!bytes)
		return NULL;
	value = PyObject_CallOneArg(loads, bytes);
	Py_DECREF(bytes);
	if (!value)
		blame_text();
	return value;
}
