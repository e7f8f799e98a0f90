/* SPDX-License-Identifier: MIT
 *
 * Python exceptions become a log line and an answer here, and nowhere else.
 * Whatever goes wrong on the way (memory, a broken __str__), the request still
 * gets its 500. Runs under the GIL.
 */
#include "pyrt/core/core_priv.h"

#include "base/log.h"

/* The exception that is set, taken and normalised; all new references. */
struct taken {
	PyObject *type, *value, *tb;
};

static void
take(struct taken *e)
{
	PyErr_Fetch(&e->type, &e->value, &e->tb);
	PyErr_NormalizeException(&e->type, &e->value, &e->tb);
	if (e->value && e->tb)
		PyException_SetTraceback(e->value, e->tb);
}

static void
drop(struct taken *e)
{
	Py_XDECREF(e->type);
	Py_XDECREF(e->value);
	Py_XDECREF(e->tb);
}

/* New reference; never NULL unless memory is gone, never leaves an exception. */
static PyObject *
traceback_text(const struct taken *e)
{
	static PyObject *format_slot;
	PyObject *format, *lines = NULL, *empty = NULL, *text = NULL;

	if (!e->type)
		return PyUnicode_FromString("no exception is set");
	format = sn_pycore_lazy(&format_slot, "traceback", "format_exception");
	if (format)
		lines = PyObject_CallFunctionObjArgs(format, e->type, e->value ? e->value : Py_None,
		                                     e->tb ? e->tb : Py_None, NULL);
	empty = lines ? PyUnicode_FromString("") : NULL;
	if (empty)
		text = PyUnicode_Join(empty, lines);
	Py_XDECREF(lines);
	Py_XDECREF(empty);
	PyErr_Clear();
	if (!text && PyExceptionClass_Check(e->type))
		text = PyUnicode_FromFormat("%s (its traceback cannot be shown)", PyExceptionClass_Name(e->type));
	if (!text)
		PyErr_Clear();
	return text;
}

PyObject *
sn_pycore_traceback(void)
{
	struct taken e;
	PyObject *text;

	take(&e);
	text = traceback_text(&e);
	drop(&e);
	return text ? text : PyUnicode_FromString("out of memory");
}

/* New reference: bytes that can be printed whatever the text holds. NULL: no memory. */
static PyObject *
printable(PyObject *text)
{
	PyObject *bytes = text ? PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace") : NULL;

	if (!bytes)
		PyErr_Clear();
	return bytes;
}

/* ---- HTTPException ---------------------------------------------------------- */

/* New reference: the exception that is an answer, Werkzeug's as ours; NULL: it is none. Never
 * an exception. */
static PyObject *
http_of(PyObject *value)
{
	static PyObject *slot;
	PyObject *function = value ? sn_pycore_lazy(&slot, "snacgi.exceptions", "answer_of") : NULL;
	PyObject *found = function ? PyObject_CallOneArg(function, value) : NULL;

	if (!found)
		PyErr_Clear();
	if (found == Py_None)
		Py_CLEAR(found);
	return found;
}

bool
sn_pyanswer_is_http(void)
{
	struct taken e;
	PyObject *http;

	take(&e);
	http = http_of(e.value);
	Py_XDECREF(http);
	PyErr_Restore(e.type, e.value, e.tb);
	return http != NULL;
}

/* An error's answer is no stream: that may fail in its turn. */
static int
fill_whole(struct sn_response *res, PyObject *result, const char *name)
{
	PyObject *source = NULL;

	if (sn_pyanswer_fill(res, result, name, &source) < 0)
		return -1;
	if (!source)
		return 0;
	if (!sn_stream_is_async(source) && sn_stream_close(source, NULL) < 0)
		PyErr_Clear();
	Py_DECREF(source);
	sn_response_reset(res);
	res->started = false;
	PyErr_SetString(PyExc_TypeError, "the response of an HTTPException cannot be a stream");
	return -1;
}

/* From (response or None, code, description or None, headers). */
static int
fill_http(struct sn_response *res, PyObject *parts, const char *name)
{
	PyObject *response, *description, *headers;
	const char *text;
	int code, rc = -1;

	if (!PyArg_ParseTuple(parts, "OiOO", &response, &code, &description, &headers))
		return -1;
	if (response != Py_None)
		return fill_whole(res, response, name);
	if (code < 200 || code > 599) {
		PyErr_Format(PyExc_ValueError, "an HTTPException's code must be from 200 to 599, not %d", code);
		return -1;
	}
	if (headers != Py_None) {
		/* As a tuple's headers: checked in one place. */
		PyObject *with = Py_BuildValue("(OiO)", Py_None, code, headers);
		rc = with ? fill_whole(res, with, name) : -1;
		Py_XDECREF(with);
		if (rc < 0)
			return -1;
	}
	text = PyUnicode_Check(description) ? PyUnicode_AsUTF8(description) : NULL;
	if (!text && PyErr_Occurred())
		return -1;
	rc = sn_response_error_page(res, code, text);
	if (rc < 0)
		PyErr_NoMemory();
	return rc;
}

/* 0: answered; -1 with an exception that is to be answered instead. */
static int
answer_http(struct sn_response *res, PyObject *value, const char *name)
{
	PyObject *parts = PyObject_CallMethod(value, "_answer", NULL);
	int rc = parts ? fill_http(res, parts, name) : -1;

	Py_XDECREF(parts);
	return rc;
}

/* ---- everything else ------------------------------------------------------- */

/* A cancelled task whose peer is gone, or that was answered 504, is no news. */
static bool
is_quiet(const struct sn_response *res, const struct taken *e)
{
	static PyObject *class_slot;
	PyObject *class;
	bool quiet;

	if (!res->req || !sn_request_marked(res->req) || !e->type)
		return false;
	class = sn_pycore_lazy(&class_slot, "asyncio", "CancelledError");
	quiet = class && PyErr_GivenExceptionMatches(e->type, class);
	if (!class)
		PyErr_Clear();
	return quiet;
}

/* An exception that the runtime has raised in a handler over its time: where it stood is worth
 * knowing, but it did not fail. */
static bool
is_timeout(const struct sn_response *res, const struct taken *e)
{
	static PyObject *class_slot;
	PyObject *class;
	bool is;

	if (!res->req || !sn_request_marked(res->req) || !e->type)
		return false;
	class = sn_pycore_lazy(&class_slot, "snacgi.exceptions", "HandlerTimeout");
	is = class && PyErr_GivenExceptionMatches(e->type, class);
	if (!class)
		PyErr_Clear();
	return is;
}

/* For want of memory the same request may well succeed a moment later. */
static int
status_of(struct sn_response *res, const struct taken *e)
{
	if (!e->type || !PyErr_GivenExceptionMatches(e->type, PyExc_MemoryError))
		return 500;
	sn_response_header_n(res, "Retry-After", 11, "1", 1);
	return 503;
}

static void
answer_failure(struct sn_response *res, const struct taken *e, const char *name)
{
	PyObject *text = NULL, *bytes = NULL;
	const char *shown = name && *name ? name : "a handler";
	int status;

	sn_response_reset(res);
	status = status_of(res, e);
	if (!is_quiet(res, e)) {
		text = traceback_text(e);
		bytes = printable(text);
		bool late = is_timeout(res, e);
		sn_log_for(late ? SN_LOG_WARNING : SN_LOG_ERROR, res->req ? res->req->id : 0,
		           late ? "%s was over its time and was ended here:\n%s" : "%s failed:\n%s", shown,
		           bytes ? PyBytes_AS_STRING(bytes) : "out of memory");
	}
	if (sn_response_error_page(res, status, bytes && sn_pycore_state()->debug ? PyBytes_AS_STRING(bytes) : NULL) < 0) {
		/* No memory for a page: a bare status needs none. */
		sn_response_reset(res);
		res->status = status;
	}
	Py_XDECREF(text);
	Py_XDECREF(bytes);
}

void
sn_pyanswer_log(struct sn_request *req, const char *name, const char *what)
{
	struct sn_response res = { .req = req };
	PyObject *text, *bytes;
	struct taken e;

	take(&e);
	if (!is_quiet(&res, &e)) {
		text = traceback_text(&e);
		bytes = printable(text);
		sn_log_for(SN_LOG_ERROR, req->id, "%s %s:\n%s", name && *name ? name : "a handler", what,
		           bytes ? PyBytes_AS_STRING(bytes) : "out of memory");
		Py_XDECREF(text);
		Py_XDECREF(bytes);
	}
	drop(&e);
	PyErr_Clear();
}

void
sn_pyanswer_exception(struct sn_response *res, const char *name)
{
	struct taken e, second;
	PyObject *http;

	take(&e);
	sn_response_reset(res);
	http = http_of(e.value);
	if (!http) {
		answer_failure(res, &e, name);
	} else if (answer_http(res, http, name) < 0) {
		take(&second);
		answer_failure(res, &second, name);
		drop(&second);
	}
	Py_XDECREF(http);
	drop(&e);
	PyErr_Clear();
}
