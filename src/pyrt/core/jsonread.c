/* SPDX-License-Identifier: MIT
 *
 * A request's JSON body into Python objects: CPython's own C scanner, called
 * without the layers of Python around it. What it does not take at once goes
 * through snacgi._json.loads, which knows the other encodings and whose errors
 * name the position. Runs under the GIL.
 */
#include "pyrt/core/core_priv.h"

static bool
is_space(Py_UCS4 c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* New reference, or NULL without an exception when the slow way has to look at it. */
static PyObject *
read_fast(PyObject *scan, const char *text, size_t len)
{
	PyObject *str, *index = NULL, *pair = NULL, *value = NULL;
	size_t begin = 0;
	Py_ssize_t end;

	while (begin < len && is_space((unsigned char)text[begin]))
		begin++;
	str = PyUnicode_DecodeUTF8(text, (Py_ssize_t)len, NULL);
	if (!str)
		goto out;
	index = PyLong_FromSize_t(begin);
	if (!index)
		goto out;
	PyObject *args[] = { NULL, str, index };
	pair = PyObject_Vectorcall(scan, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
	if (!pair)
		goto out;
	end = PyLong_AsSsize_t(PyTuple_GET_ITEM(pair, 1));
	while (end >= 0 && end < PyUnicode_GET_LENGTH(str) && is_space(PyUnicode_READ_CHAR(str, end)))
		end++;
	if (end == PyUnicode_GET_LENGTH(str))
		value = Py_NewRef(PyTuple_GET_ITEM(pair, 0));
out:
	if (!value)
		PyErr_Clear();
	Py_XDECREF(pair);
	Py_XDECREF(index);
	Py_XDECREF(str);
	return value;
}

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
	static PyObject *scan_slot, *loads_slot;
	PyObject *scan = sn_pycore_lazy(&scan_slot, "snacgi._json", "scan_once"), *loads, *bytes, *value;

	if (!scan)
		return NULL;
	value = read_fast(scan, text, len);
	if (value)
		return value;
	loads = sn_pycore_lazy(&loads_slot, "snacgi._json", "loads");
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
