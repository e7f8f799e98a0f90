/* SPDX-License-Identifier: MIT
 *
 * The Response type, with Flask's names and order of arguments: a body that is
 * complete, or something that its pieces come from, a status and headers. Turning
 * one into bytes is answer.c's. Runs under the GIL.
 */
#include "pyrt/core/core_priv.h"

#define SELF(obj) ((struct sn_pyresponse *)(obj))

/* ---- body ------------------------------------------------------------- */

/* New reference: bytes of one str or bytes-like object; NULL with an exception. */
static PyObject *
bytes_of(PyObject *part)
{
	if (PyBytes_CheckExact(part))
		return Py_NewRef(part);
	if (PyUnicode_Check(part))
		return PyUnicode_AsUTF8String(part);
	if (PyObject_CheckBuffer(part))
		return PyBytes_FromObject(part);
	return PyErr_Format(PyExc_TypeError,
	                    "a Response's body must be str, bytes or an iterable of these, not %.100s "
	                    "(a dict or another JSON value is returned as it is, perhaps in a tuple "
	                    "with status and headers)", Py_TYPE(part)->tp_name);
}

/* What has pieces, but no list or tuple of them: that is complete, and its length known. */
static bool
is_source(PyObject *body)
{
	return body && sn_stream_can_be(body) && !PyUnicode_Check(body) && !PyObject_CheckBuffer(body) &&
	       !PyList_Check(body) && !PyTuple_Check(body) && !PyDict_Check(body);
}

static PyObject *
body_of(PyObject *source)
{
	PyObject *parts, *empty, *joined = NULL;

	if (!source || source == Py_None)
		return PyBytes_FromStringAndSize(NULL, 0);
	if (!PyList_Check(source) && !PyTuple_Check(source))
		return bytes_of(source);
	parts = PyList_New(PySequence_Fast_GET_SIZE(source));
	for (Py_ssize_t i = 0; parts && i < PyList_GET_SIZE(parts); i++) {
		PyObject *part = bytes_of(PySequence_Fast_GET_ITEM(source, i));
		if (part)
			PyList_SET_ITEM(parts, i, part);
		else
			Py_CLEAR(parts);
	}
	empty = parts ? PyBytes_FromStringAndSize(NULL, 0) : NULL;
	if (empty)
		joined = PyObject_CallMethod(empty, "join", "O", parts);
	Py_XDECREF(empty);
	Py_XDECREF(parts);
	return joined;
}

/* Somebody wants to see the whole of it: the pieces are taken and kept, as Werkzeug does. Borrowed;
 * NULL with an exception. */
static PyObject *
whole_body(struct sn_pyresponse *self)
{
	PyObject *source = self->source, *list, *body;

	if (!source)
		return self->body;
	if (sn_stream_is_async(source)) {
		PyErr_SetString(PyExc_RuntimeError, "the body of this Response comes from an asynchronous iterator, "
		                "which nobody awaits here: look at `response` instead");
		return NULL;
	}
	self->source = NULL;
	list = PySequence_List(source);
	body = list ? body_of(list) : NULL;
	if (body && sn_stream_close(source, NULL) < 0)
		Py_CLEAR(body);
	if (body)
		Py_SETREF(self->body, body);
	Py_XDECREF(list);
	Py_DECREF(source);
	return body;
}

/* Takes another body. -1 with an exception, nothing changed. */
static int
take_body(struct sn_pyresponse *self, PyObject *value)
{
	PyObject *body = is_source(value) ? NULL : body_of(value);

	if (!body && PyErr_Occurred())
		return -1;
	Py_XSETREF(self->source, body ? NULL : Py_NewRef(value));
	if (body)
		Py_SETREF(self->body, body);
	return 0;
}

/* ---- type -------------------------------------------------------------- */

/* Text goes out as UTF-8 and says so, as werkzeug does. New reference. */
static PyObject *
type_with_charset(PyObject *mimetype)
{
	static const char *const textual[] = { "application/xml", "application/javascript",
	                                       "application/ecmascript", "application/sql",
	                                       "application/xml-dtd", "application/xml-external-parsed-entity" };
	const char *s = PyUnicode_AsUTF8(mimetype);
	size_t len = s ? strlen(s) : 0;
	bool text;

	if (!s)
		return NULL;
	text = strncmp(s, "text/", 5) == 0 || (len > 4 && strcmp(s + len - 4, "+xml") == 0);
	for (size_t i = 0; !text && i < SN_COUNT(textual); i++)
		text = strcmp(s, textual[i]) == 0;
	if (!text || strstr(s, "charset"))
		return Py_NewRef(mimetype);
	return PyUnicode_FromFormat("%U; charset=utf-8", mimetype);
}

static int
set_header(PyObject *headers, const char *name, PyObject *value)
{
	PyObject *key = PyUnicode_FromString(name);
	int rc = key ? PyObject_SetItem(headers, key, value) : -1;

	Py_XDECREF(key);
	return rc;
}

static int
set_type(struct sn_pyresponse *self, PyObject *mimetype, PyObject *content_type)
{
	PyObject *value;
	int rc;

	if (content_type != Py_None)
		return set_header(self->headers, "Content-Type", content_type);
	if (mimetype == Py_None) {
		if (sn_header_list_has(self->headers, "Content-Type", 12))
			return 0;
		value = PyUnicode_FromString("text/html; charset=utf-8");
	} else if (PyUnicode_Check(mimetype)) {
		value = type_with_charset(mimetype);
	} else {
		PyErr_Format(PyExc_TypeError, "mimetype must be str, not %.100s", Py_TYPE(mimetype)->tp_name);
		value = NULL;
	}
	rc = value ? set_header(self->headers, "Content-Type", value) : -1;
	Py_XDECREF(value);
	return rc;
}

static PyObject *
get_background(PyObject *obj, void *arg SN_UNUSED)
{
	return Py_NewRef(SELF(obj)->background ? SELF(obj)->background : Py_None);
}

static int
set_background(PyObject *obj, PyObject *value, void *arg SN_UNUSED)
{
	if (value && value != Py_None && !PyCallable_Check(value)) {
		PyErr_Format(PyExc_TypeError, "background must be a BackgroundTask, BackgroundTasks or a function "
		             "without arguments, not %.100s", Py_TYPE(value)->tp_name);
		return -1;
	}
	Py_XSETREF(SELF(obj)->background, value && value != Py_None ? Py_NewRef(value) : NULL);
	return 0;
}

/* ---- life ----------------------------------------------------------------- */

static PyObject *
response_new(PyTypeObject *type, PyObject *args SN_UNUSED, PyObject *kwargs SN_UNUSED)
{
	struct sn_pyresponse *self = SELF(type->tp_alloc(type, 0));

	if (!self)
		return NULL;
	self->status = 200;
	self->body = PyBytes_FromStringAndSize(NULL, 0);
	self->headers = sn_header_list_new();
	if (!self->body || !self->headers)
		Py_CLEAR(self);
	return (PyObject *)self;
}

static int
response_init(PyObject *obj, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { SN_KW("response"), SN_KW("status"), SN_KW("headers"), SN_KW("mimetype"), SN_KW("content_type"), SN_KW("background"), NULL };
	PyObject *source = Py_None, *status = Py_None, *headers = Py_None;
	PyObject *mimetype = Py_None, *content_type = Py_None, *background = Py_None;
	struct sn_pyresponse *self = SELF(obj);

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOOOOO:Response", names, &source, &status, &headers,
	                                 &mimetype, &content_type, &background))
		return -1;
	if (status != Py_None) {
		int code = sn_answer_status(status);
		if (code < 0)
			return -1;
		self->status = code;
	}
	if (take_body(self, source) < 0 || set_background(obj, background, NULL) < 0)
		return -1;
	if (sn_header_list_extend(self->headers, headers) < 0)
		return -1;
	return set_type(self, mimetype, content_type);
}

static int
response_traverse(PyObject *obj, visitproc visit, void *arg)
{
	Py_VISIT(SELF(obj)->dict);
	Py_VISIT(SELF(obj)->source);
	Py_VISIT(SELF(obj)->background);
	return 0;
}

static int
response_clear(PyObject *obj)
{
	Py_CLEAR(SELF(obj)->dict);
	Py_CLEAR(SELF(obj)->source);
	Py_CLEAR(SELF(obj)->background);
	return 0;
}

static void
response_dealloc(PyObject *obj)
{
	PyObject_GC_UnTrack(obj);
	if (SELF(obj)->weakrefs)
		PyObject_ClearWeakRefs(obj);
	response_clear(obj);
	Py_XDECREF(SELF(obj)->body);
	Py_XDECREF(SELF(obj)->headers);
	Py_TYPE(obj)->tp_free(obj);
}

static PyObject *
response_repr(PyObject *obj)
{
	if (SELF(obj)->source)
		return PyUnicode_FromFormat("<Response streamed [%d %s]>", SELF(obj)->status,
		                            sn_status_reason(SELF(obj)->status));
	return PyUnicode_FromFormat("<Response %zd bytes [%d %s]>", PyBytes_GET_SIZE(SELF(obj)->body),
	                            SELF(obj)->status, sn_status_reason(SELF(obj)->status));
}

/* One "Name: value" of `line` appended to `pairs`. */
static int
add_line(PyObject *pairs, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	PyObject *pair;
	int rc;

	SN_ASSERT(colon && colon + 2 <= line + len);
	pair = Py_BuildValue("(NN)", PyUnicode_DecodeLatin1(line, colon - line, NULL),
	                     PyUnicode_DecodeLatin1(colon + 2, line + len - colon - 2, NULL));
	rc = pair ? PyList_Append(pairs, pair) : -1;
	Py_XDECREF(pair);
	return rc;
}

/* The length that was announced for pieces, which no header of `res` tells. */
static int
keep_length(PyObject *headers, long long length)
{
	PyObject *text = PyUnicode_FromFormat("%lld", length);
	int rc = text ? set_header(headers, "Content-Length", text) : -1;

	Py_XDECREF(text);
	return rc;
}

PyObject *
sn_pyresponse_from(const struct sn_response *res, PyObject *source)
{
	PyObject *self = response_new(&sn_pyresponse_type, NULL, NULL);
	const char *at = res->head.data, *end = at + res->head.len;
	PyObject *body;

	if (!self)
		return NULL;
	SELF(self)->status = sn_response_final_status(res);
	body = PyBytes_FromStringAndSize(res->ext ? res->ext : res->body.data,
	                                 (Py_ssize_t)(res->ext ? res->ext_len : res->body.len));
	if (!body)
		goto failed;
	Py_SETREF(SELF(self)->body, body);
	SELF(self)->source = Py_XNewRef(source);
	while (at < end) {
		const char *eol = memchr(at, '\r', (size_t)(end - at)); /* lines are checked: no bare CR */
		SN_ASSERT(eol);
		if (add_line(sn_header_list_pairs(SELF(self)->headers), at, (size_t)(eol - at)) < 0)
			goto failed;
		at = eol + 2;
	}
	if (source && res->length >= 0 && keep_length(SELF(self)->headers, res->length) < 0)
		goto failed;
	return self;
failed:
	Py_DECREF(self);
	return NULL;
}

/* ---- attributes ------------------------------------------------------------ */

static int
no_delete(const char *what)
{
	PyErr_Format(PyExc_AttributeError, "%s cannot be deleted", what);
	return -1;
}

static PyObject *
get_status_code(PyObject *obj, void *arg SN_UNUSED)
{
	return PyLong_FromLong(SELF(obj)->status);
}

static PyObject *
get_status(PyObject *obj, void *arg SN_UNUSED)
{
	return PyUnicode_FromFormat("%d %s", SELF(obj)->status, sn_status_reason(SELF(obj)->status));
}

static int
set_status(PyObject *obj, PyObject *value, void *arg SN_UNUSED)
{
	int code = value ? sn_answer_status(value) : no_delete("status");

	if (code < 0)
		return -1;
	SELF(obj)->status = code;
	return 0;
}

static PyObject *
get_headers(PyObject *obj, void *arg SN_UNUSED)
{
	return Py_NewRef(SELF(obj)->headers);
}

static int
set_headers(PyObject *obj, PyObject *value, void *arg SN_UNUSED)
{
	PyObject *headers;

	if (!value)
		return no_delete("headers");
	headers = PyObject_CallOneArg((PyObject *)&sn_pyheaders_type, value);
	if (!headers)
		return -1;
	Py_SETREF(SELF(obj)->headers, headers);
	return 0;
}

static PyObject *
get_data(PyObject *obj, void *arg SN_UNUSED)
{
	return Py_XNewRef(whole_body(SELF(obj)));
}

static PyObject *
get_response(PyObject *obj, void *arg SN_UNUSED)
{
	struct sn_pyresponse *self = SELF(obj);

	return self->source ? Py_NewRef(self->source) : Py_BuildValue("[O]", self->body);
}

static int
set_response(PyObject *obj, PyObject *value, void *arg SN_UNUSED)
{
	return value ? take_body(SELF(obj), value) : no_delete("response");
}

static PyObject *
get_is_streamed(PyObject *obj, void *arg SN_UNUSED)
{
	return PyBool_FromLong(SELF(obj)->source != NULL);
}

static int
set_data(PyObject *obj, PyObject *value, void *arg SN_UNUSED)
{
	PyObject *body = value ? body_of(value) : NULL;

	if (!value)
		return no_delete("data");
	if (!body)
		return -1;
	Py_SETREF(SELF(obj)->body, body);
	Py_CLEAR(SELF(obj)->source);
	return 0;
}

static PyObject *
get_content_type(PyObject *obj, void *arg SN_UNUSED)
{
	return PyObject_CallMethod(SELF(obj)->headers, "get", "s", "Content-Type");
}

static int
set_content_type(PyObject *obj, PyObject *value, void *arg SN_UNUSED)
{
	return value ? set_header(SELF(obj)->headers, "Content-Type", value) : no_delete("content_type");
}

static PyObject *
get_mimetype(PyObject *obj, void *arg SN_UNUSED)
{
	PyObject *type = get_content_type(obj, NULL), *text;
	const char *s;
	size_t n = 0;

	if (!type || type == Py_None)
		return type;
	s = PyUnicode_AsUTF8(type);
	while (s && s[n] && s[n] != ';' && s[n] != ' ')
		n++;
	text = s ? PyUnicode_FromStringAndSize(s, (Py_ssize_t)n) : NULL;
	Py_DECREF(type);
	return text;
}

static int
set_mimetype(PyObject *obj, PyObject *value, void *arg SN_UNUSED)
{
	return value ? set_type(SELF(obj), value, Py_None) : no_delete("mimetype");
}

static PyObject *
get_content_length(PyObject *obj, void *arg SN_UNUSED)
{
	if (SELF(obj)->source)
		Py_RETURN_NONE;
	return PyLong_FromSsize_t(PyBytes_GET_SIZE(SELF(obj)->body));
}

static PyObject *
method_get_data(PyObject *obj, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { SN_KW("as_text"), NULL };
	PyObject *body;
	int as_text = 0;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|p:get_data", names, &as_text))
		return NULL;
	body = whole_body(SELF(obj));
	if (!body)
		return NULL;
	if (!as_text)
		return Py_NewRef(body);
	return PyUnicode_DecodeUTF8(PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body), "replace");
}

static PyObject *
method_set_data(PyObject *obj, PyObject *value)
{
	if (set_data(obj, value, NULL) < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
get_json(PyObject *obj, void *arg SN_UNUSED)
{
	static PyObject *loads_slot;
	PyObject *loads = sn_pycore_lazy(&loads_slot, "snacgi._json", "loads");

	PyObject *body = loads ? whole_body(SELF(obj)) : NULL;

	return body ? PyObject_CallOneArg(loads, body) : NULL;
}

static PyObject *
method_get_json(PyObject *obj, PyObject *arg SN_UNUSED)
{
	return get_json(obj, NULL);
}

/* module.name(self, ...). */
static PyObject *
with_self(PyObject **slot, const char *module, const char *name, PyObject *obj, PyObject *args, PyObject *kwargs)
{
	PyObject *f = sn_pycore_lazy(slot, module, name);
	PyObject *self = f ? PyTuple_Pack(1, obj) : NULL;
	PyObject *all = self ? PySequence_Concat(self, args) : NULL;
	PyObject *result = all ? PyObject_Call(f, all, kwargs) : NULL;

	Py_XDECREF(all);
	Py_XDECREF(self);
	return result;
}

/* What few handlers ask for. */
#define MORE(module, name) \
	static PyObject * \
	method_##name(PyObject *obj, PyObject *args, PyObject *kwargs) \
	{ \
		static PyObject *slot; \
		return with_self(&slot, module, #name, obj, args, kwargs); \
	}
MORE("snacgi._helpers", set_cookie)
MORE("snacgi._helpers", delete_cookie)
MORE("snacgi._respmore", set_etag)
MORE("snacgi._respmore", get_etag)
MORE("snacgi._respmore", add_etag)
MORE("snacgi._respmore", make_conditional)
MORE("snacgi._respmore", iter_encoded)
MORE("snacgi._respmore", call_on_close)

static PyObject *
get_more(PyObject *obj, void *name)
{
	static PyObject *slot;
	PyObject *get = sn_pycore_lazy(&slot, "snacgi._respmore", "get");

	return get ? PyObject_CallFunction(get, "Os", obj, (const char *)name) : NULL;
}

static int
set_more(PyObject *obj, PyObject *value, void *name)
{
	static PyObject *slot;
	PyObject *put = sn_pycore_lazy(&slot, "snacgi._respmore", "put"), *done;

	done = put ? PyObject_CallFunction(put, "OsO", obj, (const char *)name, value ? value : Py_None) : NULL;
	Py_XDECREF(done);
	return done ? 0 : -1;
}

#define WITH_KEYWORDS(name) (PyCFunction)(void (*)(void))method_##name, METH_VARARGS | METH_KEYWORDS

static PyMethodDef response_methods[] = {
	{ "get_data", (PyCFunction)(void (*)(void))method_get_data, METH_VARARGS | METH_KEYWORDS,
	  "get_data(as_text=False): the body's bytes, or text." },
	{ "set_data", method_set_data, METH_O, "Sets the body: str, bytes, or a list of these." },
	{ "set_cookie", (PyCFunction)(void (*)(void))method_set_cookie, METH_VARARGS | METH_KEYWORDS,
	  "set_cookie(key, value='', max_age=None, expires=None, path='/', domain=None, secure=False,\n"
	  "httponly=False, samesite=None): adds Set-Cookie, with Werkzeug's arguments." },
	{ "delete_cookie", (PyCFunction)(void (*)(void))method_delete_cookie, METH_VARARGS | METH_KEYWORDS,
	  "delete_cookie(key, path='/', domain=None, ...): tells the client to forget it." },
	{ "get_json", method_get_json, METH_NOARGS, "The body parsed as JSON." },
	{ "set_etag", WITH_KEYWORDS(set_etag), "set_etag(etag, weak=False)" },
	{ "get_etag", WITH_KEYWORDS(get_etag), "get_etag(): (the ETag, whether it is weak), or (None, None)." },
	{ "add_etag", WITH_KEYWORDS(add_etag), "add_etag(overwrite=False, weak=False): by the body, unless there is one." },
	{ "make_conditional", WITH_KEYWORDS(make_conditional),
	  "make_conditional(request): 304 without a body when the client has it already. Returns self." },
	{ "iter_encoded", WITH_KEYWORDS(iter_encoded), "The body's pieces, as bytes." },
	{ "call_on_close", WITH_KEYWORDS(call_on_close), "call_on_close(func): func() when the answer is out." },
	{ NULL, NULL, 0, NULL },
};

#define MORE_OF(name, doc) { name, get_more, set_more, doc, SN_KW(name) }

static PyGetSetDef response_getset[] = {
	{ "status_code", get_status_code, set_status, "The status: 200.", NULL },
	{ "status", get_status, set_status, "The status with its phrase: '200 OK'.", NULL },
	{ "headers", get_headers, set_headers, "Headers of the response.", NULL },
	{ "data", get_data, set_data, "The body's bytes; of a streamed one, its pieces are taken together.", NULL },
	{ "content_type", get_content_type, set_content_type, "The Content-Type header.", NULL },
	{ "mimetype", get_mimetype, set_mimetype, "The Content-Type without parameters.", NULL },
	{ "content_length", get_content_length, NULL, "The body's size in bytes; None when it is streamed.", NULL },
	{ "background", get_background, set_background, "What is done after the answer: a callable, or None.", NULL },
	{ "response", get_response, set_response, "What the body's pieces come from.", NULL },
	{ "is_streamed", get_is_streamed, NULL, "True when the body comes in pieces, its length unknown.", NULL },
	{ "json", get_json, NULL, "The body parsed as JSON.", NULL },
	MORE_OF("location", "The Location header, or None."),
	MORE_OF("content_encoding", "The Content-Encoding header, or None."),
	MORE_OF("content_location", "The Content-Location header, or None."),
	MORE_OF("accept_ranges", "The Accept-Ranges header, or None."),
	MORE_OF("content_language", "The Content-Language header (Werkzeug's HeaderSet)."),
	MORE_OF("allow", "The Allow header (Werkzeug's HeaderSet)."),
	MORE_OF("vary", "The Vary header (Werkzeug's HeaderSet)."),
	MORE_OF("age", "The Age header, a timedelta, or None."),
	MORE_OF("date", "The Date header, a datetime, or None."),
	MORE_OF("expires", "The Expires header, a datetime, or None."),
	MORE_OF("last_modified", "The Last-Modified header, a datetime, or None."),
	MORE_OF("retry_after", "The Retry-After header, a datetime, or None; may be set to seconds."),
	MORE_OF("cache_control", "The Cache-Control header (Werkzeug's): cache_control.max_age = 60."),
	MORE_OF("access_control_allow_origin", "That header, or None."),
	MORE_OF("access_control_allow_credentials", "True when that header is set."),
	MORE_OF("access_control_allow_headers", "That header (Werkzeug's HeaderSet)."),
	MORE_OF("access_control_allow_methods", "That header (Werkzeug's HeaderSet)."),
	MORE_OF("access_control_expose_headers", "That header (Werkzeug's HeaderSet)."),
	MORE_OF("access_control_max_age", "That header, in seconds, or None."),
	MORE_OF("is_json", "True when the Content-Type is JSON."),
	MORE_OF("is_sequence", "True when the body is complete."),
	{ "__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

PyTypeObject sn_pyresponse_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "snacgi.Response",
	.tp_doc = "Response(response=None, status=None, headers=None, mimetype=None, content_type=None,\n"
	          "background=None)\n--\n\n"
	          "An answer with everything said: `response` is the body (str, sent as UTF-8, bytes, or\n"
	          "an iterable of these, sent piece by piece if it is no list), `status` 404, '404 Not Found' or an HTTPStatus, `headers` a dict or\n"
	          "a list of pairs. The type is text/html; charset=utf-8 unless told. As in Flask.\n"
	          "`background` is called when the answer is out, as in Starlette.",
	.tp_basicsize = sizeof(struct sn_pyresponse),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
	.tp_new = response_new,
	.tp_init = response_init,
	.tp_dealloc = response_dealloc,
	.tp_traverse = response_traverse,
	.tp_clear = response_clear,
	.tp_repr = response_repr,
	.tp_methods = response_methods,
	.tp_getset = response_getset,
	.tp_dictoffset = offsetof(struct sn_pyresponse, dict),
	.tp_weaklistoffset = offsetof(struct sn_pyresponse, weakrefs),
};
