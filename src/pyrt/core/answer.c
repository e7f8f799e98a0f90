/* SPDX-License-Identifier: MIT
 *
 * What a handler returned becomes an answer: Flask's rules, with a JSON body
 * for dict, list and numbers. Knows the sink only as a door. Runs under the
 * GIL, in whichever thread ran the handler.
 */
#include "pyrt/core/core_priv.h"

#include <limits.h>
#include <stdlib.h>

#define LEND_ABOVE 16384   /* bytes: smaller bodies are cheaper to copy than to keep */
#define UNLOCK_ABOVE 65536 /* bytes: writing so much takes longer than giving up the GIL */

static const char *
shown(const char *name)
{
	return name && *name ? name : "a handler";
}

/* ---- status ------------------------------------------------------------ */

int
sn_answer_status(PyObject *status)
{
	long code = -1;

	if (PyUnicode_Check(status)) {
		const char *s = PyUnicode_AsUTF8(status);
		if (!s)
			return -1;
		/* "404 Not Found": the phrase is the registered one whatever is written */
		if (s[0] >= '0' && s[0] <= '9' && s[1] >= '0' && s[1] <= '9' && s[2] >= '0' && s[2] <= '9' &&
		    (s[3] == ' ' || s[3] == '\0'))
			code = (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');
	} else if (PyLong_Check(status) && !PyBool_Check(status)) {
		code = PyLong_AsLong(status);
		if (code == -1 && PyErr_Occurred())
			PyErr_Clear();
	} else {
		PyErr_Format(PyExc_TypeError, "a status must be int, '404 Not Found' or HTTPStatus, not %.100s",
		             Py_TYPE(status)->tp_name);
		return -1;
	}
	if (code >= 200 && code <= 599)
		return (int)code;
	PyErr_Format(PyExc_ValueError, "a status must be from 200 to 599, not %R", status);
	return -1;
}

/* ---- headers ---------------------------------------------------------------- */

static int
header_failed(int rc, const char *name, size_t limit)
{
	if (rc == SN_ENOMEM)
		PyErr_NoMemory();
	else if (rc == SN_ELIMIT)
		PyErr_Format(PyExc_ValueError, "the headers are larger than %zu bytes at %s (limit of the "
		             "front servers' buffers)", limit, name);
	else
		PyErr_Format(PyExc_ValueError, "not a header that can be sent: %s", name);
	return -1;
}

/* Left out without a word: lengths and framing are the server's, which knows the body, and
 * the rest speaks of a connection that only the front server sees. */
static bool
is_left_out(PyObject *name)
{
	static const char *const names[] = { "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive",
	                                     "Proxy-Connection", "TE", "Trailer", "Upgrade" };

	for (size_t i = 0; i < SN_COUNT(names); i++)
		if (sn_header_name_is(name, names[i], strlen(names[i])))
			return true;
	return false;
}

/* Every header of a Headers object but those in `hidden` (Headers or NULL). */
static int
add_headers(struct sn_response *res, PyObject *headers, PyObject *hidden)
{
	PyObject *pairs = sn_header_list_pairs(headers);

	for (Py_ssize_t i = 0; i < PyList_GET_SIZE(pairs); i++) {
		PyObject *name = PyTuple_GET_ITEM(PyList_GET_ITEM(pairs, i), 0);
		PyObject *value = PyTuple_GET_ITEM(PyList_GET_ITEM(pairs, i), 1);
		const char *n = (const char *)PyUnicode_1BYTE_DATA(name); /* checked: latin-1 */
		size_t len = (size_t)PyUnicode_GET_LENGTH(name);
		int rc;
		if (is_left_out(name) || (hidden && sn_header_list_has(hidden, n, len)))
			continue;
		rc = sn_response_header_n(res, n, len, (const char *)PyUnicode_1BYTE_DATA(value),
		                          (size_t)PyUnicode_GET_LENGTH(value));
		if (rc < 0)
			return header_failed(rc, n, res->head_limit);
	}
	return 0;
}

static int
default_type(struct sn_response *res, const char *type)
{
	int rc = sn_response_default_type(res, type);

	return rc < 0 ? header_failed(rc, "Content-Type", res->head_limit) : 0;
}

/* ---- bodies -------------------------------------------------------------- */

static int
set_body(struct sn_response *res, PyObject *owner, const void *data, size_t len)
{
	if (len > LEND_ABOVE)
		return sn_answer_lend(res, owner, data, len);
	res->raw_body_known = true;
	if (sn_buf_add(&res->body, data, len) == 0)
		return 0;
	PyErr_NoMemory();
	return -1;
}

/* bytes, or what gives its bytes away */
static int
bytes_body(struct sn_response *res, PyObject *value)
{
	PyObject *bytes = PyBytes_Check(value) ? Py_NewRef(value) : PyBytes_FromObject(value);
	int rc = bytes ? set_body(res, bytes, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)) : -1;

	Py_XDECREF(bytes);
	return rc;
}

static int
text_body(struct sn_response *res, PyObject *value)
{
	Py_ssize_t len;
	const char *s = PyUnicode_AsUTF8AndSize(value, &len);

	return s ? set_body(res, value, s, (size_t)len) : -1;
}

PyObject *
sn_answer_json_hook(void)
{
	static PyObject *hook_slot;

	return sn_pycore_lazy(&hook_slot, "snacgi._json", "default");
}

/* The hook's module is imported when the first unusual object needs it. */
static PyObject *
late_hook(PyObject *module SN_UNUSED, PyObject *value)
{
	PyObject *hook = sn_answer_json_hook();

	return hook ? PyObject_CallOneArg(hook, value) : NULL;
}

static PyMethodDef late_hook_def = { "default", late_hook, METH_O, NULL };

int
sn_answer_json(struct sn_buf *out, PyObject *obj)
{
	static PyObject *hook;
	struct sn_json_options opt = { .nan_null = sn_pycore_state()->nan_null };

	if (!hook)
		hook = PyCFunction_New(&late_hook_def, NULL);
	if (!hook)
		return -1;
	opt.hook = hook;
	return sn_json_write(out, obj, &opt);
}

/* ("default",): interned, since orjson compares keywords by address. */
static PyObject *
keyword(const char *name)
{
	PyObject *text = PyUnicode_InternFromString(name), *tuple = text ? PyTuple_Pack(1, text) : NULL;

	Py_XDECREF(text);
	return tuple;
}

static int
json_body(struct sn_response *res, PyObject *value)
{
	static PyObject *names;
	PyObject *dumps = sn_pycore_state()->dumps, *args[2] = { value, NULL }, *text = NULL;
	int rc;

	if (default_type(res, "application/json") < 0)
		return -1;
	if (!dumps) {
		res->raw_body_known = true;
		return sn_answer_json(&res->body, value);
	}
	if (!names)
		names = keyword("default");
	args[1] = names ? sn_answer_json_hook() : NULL;
	Py_INCREF(dumps); /* the call may set another */
	if (args[1])
		text = PyObject_Vectorcall(dumps, args, 1, names);
	Py_DECREF(dumps);
	if (!text)
		return -1;
	rc = PyUnicode_Check(text) ? text_body(res, text) : bytes_body(res, text);
	Py_DECREF(text);
	return rc;
}

/* ---- results ---------------------------------------------------------------- */

static int
wrong_result(PyObject *value, const char *name)
{
	const char *mend = "return a dict, list, str, bytes, number, None, Response, or a tuple "
	                   "(body, status, headers)";

	if (PyCoro_CheckExact(value)) {
		PyObject *closed = PyObject_CallMethod(value, "close", NULL);
		Py_XDECREF(closed);
		PyErr_Clear();
		mend = "nobody awaited it: write `async def`, or await inside";
	} else if (Py_TYPE(value)->tp_iter) {
		mend = "return list() of it for JSON, or Response() of it for a streamed body";
	}
	PyErr_Format(PyExc_TypeError, "%s returned an object of type %.200s: %s", shown(name),
	             Py_TYPE(value)->tp_name, mend);
	return -1;
}

static int fill_body(struct sn_response *res, PyObject *value, PyObject *hidden, const char *name, PyObject **source);

/* Is it a Response of Werkzeug's, as its exceptions' get_response() makes? Nobody has one who has
 * not imported Werkzeug. -1 with an exception. */
static int
is_werkzeugs(PyObject *value)
{
	PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), "werkzeug.wrappers"), *class;
	int rc;

	if (!module)
		return 0;
	Py_INCREF(module);
	class = PyObject_GetAttrString(module, "Response");
	Py_DECREF(module);
	if (!class) { /* it is being imported, or may not be */
		PyErr_Clear();
		return 0;
	}
	rc = PyObject_IsInstance(value, class);
	Py_DECREF(class);
	return rc;
}

static int
werkzeugs_body(struct sn_response *res, PyObject *value, PyObject *hidden, const char *name, PyObject **source)
{
	static PyObject *slot;
	PyObject *adopt = sn_pycore_lazy(&slot, "snacgi._respmore", "adopt");
	PyObject *ours = adopt ? PyObject_CallOneArg(adopt, value) : NULL;
	int rc = ours ? fill_body(res, ours, hidden, name, source) : -1;

	Py_XDECREF(ours);
	return rc;
}

/* A Response of Werkzeug's, before the JSON hook sees it, which may take everything; numpy arrays,
 * dataclasses and the like, which the hook knows. */
static int
other_body(struct sn_response *res, PyObject *value, PyObject *hidden, const char *name, PyObject **source)
{
	int rc = is_werkzeugs(value);
	PyObject *hook, *stand_in;

	if (rc != 0)
		return rc < 0 ? -1 : werkzeugs_body(res, value, hidden, name, source);
	hook = sn_answer_json_hook();
	if (!hook)
		return -1;
	stand_in = PyObject_CallOneArg(hook, value);
	if (!stand_in) {
		if (!PyErr_ExceptionMatches(PyExc_TypeError))
			return -1;
		PyErr_Clear();
		return wrong_result(value, name);
	}
	rc = json_body(res, stand_in);
	Py_DECREF(stand_in);
	return rc;
}

/* Pieces out of `value`. Who announces a length is held to it by the sink. */
static int
stream_body(struct sn_response *res, PyObject *value, PyObject *headers, PyObject **source)
{
	PyObject *text = headers ? PyObject_CallMethod(headers, "get", "s", "Content-Length") : NULL;

	if (headers && !text)
		return -1;
	if (text && text != Py_None) {
		char *end;
		const char *s = PyUnicode_AsUTF8(text);
		long long length = s && *s >= '0' && *s <= '9' ? strtoll(s, &end, 10) : -1;
		if (length < 0 || *end || length == LLONG_MAX) {
			PyErr_Format(PyExc_ValueError, "Content-Length is no number: %R", text);
			Py_DECREF(text);
			return -1;
		}
		res->length = length;
	}
	Py_XDECREF(text);
	res->started = true;
	res->raw_body_known = true;
	*source = Py_NewRef(value);
	return 0;
}

/* What is to be done after the answer is done when its source is closed; so a whole body, too, is
 * given piece by piece, though its length is known. A file stays one. */
static int
background_body(struct sn_response *res, struct sn_pyresponse *r, PyObject **source)
{
	static PyObject *slot;
	PyObject *wrap, *wrapped;
	int rc;

	if (r->source && sn_pyfile_is(r->source)) {
		sn_pyfile_set_work(r->source, r->background);
		return stream_body(res, r->source, r->headers, source);
	}
	wrap = sn_pycore_lazy(&slot, "snacgi._background", "source_of");
	wrapped = wrap ? PyObject_CallFunctionObjArgs(wrap, r->source ? r->source : r->body, r->background, NULL) : NULL;
	rc = wrapped ? stream_body(res, wrapped, r->source ? r->headers : NULL, source) : -1;
	if (rc == 0 && !r->source)
		res->length = PyBytes_GET_SIZE(r->body);
	Py_XDECREF(wrapped);
	return rc;
}

static int
response_body(struct sn_response *res, struct sn_pyresponse *r, PyObject *hidden, PyObject **source)
{
	if (!res->status)
		res->status = r->status;
	if (add_headers(res, r->headers, hidden) < 0)
		return -1;
	if (sn_unlikely(r->background != NULL))
		return background_body(res, r, source);
	if (sn_unlikely(r->source != NULL))
		return stream_body(res, r->source, r->headers, source);
	return bytes_body(res, r->body);
}

/* The body of a result that is not a tuple. `hidden`: headers that the tuple has set. */
static int
fill_body(struct sn_response *res, PyObject *value, PyObject *hidden, const char *name, PyObject **source)
{
	if (PyDict_Check(value) || PyList_Check(value) || PyLong_Check(value) || PyFloat_Check(value))
		return json_body(res, value);
	if (PyUnicode_Check(value)) {
		if (default_type(res, "text/html; charset=utf-8") < 0)
			return -1;
		return text_body(res, value);
	}
	if (PyObject_TypeCheck(value, &sn_pyresponse_type))
		return response_body(res, (struct sn_pyresponse *)value, hidden, source);
	if (PyBytes_Check(value) || PyByteArray_Check(value) || PyMemoryView_Check(value)) {
		if (default_type(res, "application/octet-stream") < 0)
			return -1;
		return bytes_body(res, value);
	}
	if (value == Py_None) {
		if (!res->status)
			res->status = 204;
		res->raw_body_known = true;
		return 0;
	}
	if (sn_stream_is(value)) {
		if (default_type(res, "text/html; charset=utf-8") < 0)
			return -1;
		return stream_body(res, value, hidden, source);
	}
	return other_body(res, value, hidden, name, source);
}

static bool
looks_like_headers(PyObject *value)
{
	return PyDict_Check(value) || PyList_Check(value) || PyTuple_Check(value) ||
	       Py_IS_TYPE(value, &sn_pyheaders_type);
}

/* (body, status), (body, headers), (body, status, headers) */
static int
fill_tuple(struct sn_response *res, PyObject *tuple, const char *name, PyObject **stream)
{
	Py_ssize_t n = PyTuple_GET_SIZE(tuple);
	PyObject *status = NULL, *source = NULL, *headers = NULL;
	int rc = -1;

	if (n == 3) {
		status = PyTuple_GET_ITEM(tuple, 1);
		source = PyTuple_GET_ITEM(tuple, 2);
	} else if (n == 2 && looks_like_headers(PyTuple_GET_ITEM(tuple, 1))) {
		source = PyTuple_GET_ITEM(tuple, 1);
	} else if (n == 2) {
		status = PyTuple_GET_ITEM(tuple, 1);
	} else {
		PyErr_Format(PyExc_TypeError, "%s returned a tuple of %zd: a tuple is (body, status), "
		             "(body, headers) or (body, status, headers); for a JSON array return a list",
		             shown(name), n);
		return -1;
	}
	if (status && status != Py_None) {
		res->status = sn_answer_status(status);
		if (res->status < 0) {
			res->status = 0;
			return -1;
		}
	}
	if (source && source != Py_None) {
		headers = PyObject_CallOneArg((PyObject *)&sn_pyheaders_type, source);
		if (!headers || add_headers(res, headers, NULL) < 0)
			goto out;
	}
	rc = fill_body(res, PyTuple_GET_ITEM(tuple, 0), headers, name, stream);
out:
	Py_XDECREF(headers);
	return rc;
}

int
sn_pyanswer_fill(struct sn_response *res, PyObject *result, const char *name, PyObject **source)
{
	if (sn_unlikely(PyTuple_Check(result)))
		return fill_tuple(res, result, name, source);
	return fill_body(res, result, NULL, name, source);
}

struct sn_pystream *
sn_pyanswer_send(struct sn_request *req, PyObject *result, const char *name)
{
	char head[1024], body[8192];
	struct sn_pystream *stream = NULL;
	PyObject *source = NULL;
	struct sn_response res;

	sn_response_init(&res, req, head, sizeof(head), body, sizeof(body));
	if (!result || sn_pyanswer_fill(&res, result, name, &source) < 0)
		sn_pyanswer_exception(&res, name);
	if (sn_unlikely(source && sn_pyfile_is(source) && !sn_pyfile_has_work(source))) {
		if (sn_pyfile_send(&res, source, NULL, NULL) < 0)
			sn_pyanswer_exception(&res, name);
		res.started = false; /* as a whole, by the sink */
		Py_CLEAR(source);
	}
	if (sn_unlikely(source != NULL)) {
		stream = sn_pystream_new(req, &res, source, name);
		if (!stream) {
			res.started = false;
			sn_pyanswer_exception(&res, name);
		}
	}
	if (sn_likely(req->sink && !stream)) {
		/* Never waits, but copying much takes a while. SN_EGONE: nobody wants it. */
		if (res.ext_len > UNLOCK_ABOVE || res.body.len > UNLOCK_ABOVE) {
			Py_BEGIN_ALLOW_THREADS
			req->sink->respond(req, &res);
			Py_END_ALLOW_THREADS
		} else {
			req->sink->respond(req, &res);
		}
	}
	sn_response_free(&res);
	Py_XDECREF(result);
	sn_pycore_drain();
	return stream;
}
