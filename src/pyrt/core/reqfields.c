/* SPDX-License-Identifier: MIT
 *
 * What a handler reads from a Request: each field is computed from the
 * sn_request when first asked for, and kept where that pays. Names are
 * Flask's. Runs under the GIL, which also serialises the request's arena when a
 * handler shares the request with threads of its own.
 */
#include "pyrt/core/core_priv.h"

#include "http/method.h"
#include "http/slash.h"
#include "http/query.h"

#define SHORT_INT 18 /* digits that fit into a long long whatever they are */
#define NAMES 64     /* of variables, that are remembered */

#define SELF(obj) ((struct sn_pyrequest *)(obj))
#define REQ(obj) (SELF(obj)->req)

static PyObject *
latin1(const char *s)
{
	return PyUnicode_DecodeLatin1(s, (Py_ssize_t)strlen(s), NULL);
}

/* ---- the line: method, path, query ----------------------------------------- */

static PyObject *
get_method(PyObject *self, void *arg SN_UNUSED)
{
	static PyObject *names[64]; /* interned, by bit; live as long as the process */
	struct sn_request *req = REQ(self);
	int bit;

	if (!req->method)
		return latin1(req->method_name ? req->method_name : "");
	bit = __builtin_ctzll(req->method);
	if (!names[bit])
		names[bit] = PyUnicode_InternFromString(sn_method_name(req->method));
	return Py_XNewRef(names[bit]);
}

static PyObject *
get_path(PyObject *self, void *arg SN_UNUSED)
{
	if (SELF(self)->field[SN_F_PATH])
		return Py_NewRef(SELF(self)->field[SN_F_PATH]);
	/* Checked to be UTF-8 before routing. */
	return sn_pyrequest_keep(SELF(self), SN_F_PATH,
	                         PyUnicode_DecodeUTF8(REQ(self)->path.path, REQ(self)->path.len, "replace"));
}

/* As int() does it. Most are short, and made of digits only. */
static PyObject *
convert_int(const char *s, size_t len)
{
	long long n = 0;
	PyObject *text, *value;
	size_t i;

	for (i = 0; i < len && i < SHORT_INT && s[i] >= '0' && s[i] <= '9'; i++)
		n = n * 10 + (s[i] - '0');
	if (i == len && len)
		return PyLong_FromLongLong(n);
	text = PyUnicode_DecodeUTF8(s, (Py_ssize_t)len, NULL);
	value = text ? PyLong_FromUnicodeObject(text, 10) : NULL;
	Py_XDECREF(text);
	return value;
}

static PyObject *
convert_value(enum sn_converter converter, const char *s, size_t len)
{
	static PyObject *uuid_slot;
	PyObject *text, *value, *type;

	switch (converter) {
	case SN_CONV_INT: return convert_int(s, len);
	case SN_CONV_FLOAT:
		text = PyUnicode_DecodeUTF8(s, (Py_ssize_t)len, NULL);
		value = text ? PyFloat_FromString(text) : NULL;
		Py_XDECREF(text);
		return value;
	case SN_CONV_UUID:
		type = sn_pycore_lazy(&uuid_slot, "uuid", "UUID");
		text = type ? PyUnicode_DecodeUTF8(s, (Py_ssize_t)len, NULL) : NULL;
		value = text ? PyObject_CallOneArg(type, text) : NULL;
		Py_XDECREF(text);
		return value;
	case SN_CONV_STRING:
	case SN_CONV_PATH:
	case SN_CONV_ANY:
		break;
	}
	return PyUnicode_DecodeUTF8(s, (Py_ssize_t)len, "replace");
}

/* New reference: the name of a rule's variable as a dict's key, made once. It is found by the place of
 * its text, and compared, since that of another table may lie there by now. */
static PyObject *
variable_name(const char *name)
{
	static struct {
		const char *name;
		PyObject *key; /* interned */
	} known[NAMES];    /* guarded by the GIL */
	uintptr_t at = (uintptr_t)name / 8;
	size_t i = (at ^ at / NAMES) % NAMES;
	PyObject *key;

	if (known[i].name == name && strcmp(PyUnicode_AsUTF8(known[i].key), name) == 0)
		return Py_NewRef(known[i].key);
	key = PyUnicode_InternFromString(name);
	if (key && PyUnicode_IS_COMPACT_ASCII(key)) {
		known[i].name = name;
		Py_XSETREF(known[i].key, Py_NewRef(key));
	}
	return key;
}

static PyObject *
build_path_params(struct sn_request *req)
{
	PyObject *dict = PyDict_New();

	for (uint32_t i = 0; dict && req->rule && i < req->nvalues; i++) {
		const struct sn_variable *var = &req->rule->variables[i];
		PyObject *value = convert_value(var->converter, req->path.path + req->values[i].off,
		                                req->values[i].len);
		PyObject *name = value ? variable_name(var->name) : NULL;
		if (!name || PyDict_SetItem(dict, name, value) < 0)
			Py_CLEAR(dict);
		Py_XDECREF(name);
		Py_XDECREF(value);
	}
	/* int() refuses thousands of digits, float() cannot fail on what the matcher let
	 * through: the peer's fault either way. */
	if (!dict && PyErr_ExceptionMatches(PyExc_ValueError))
		sn_pycore_raise("NotFound", NULL);
	return dict;
}

static PyObject *
get_path_params(PyObject *self, void *arg SN_UNUSED)
{
	if (SELF(self)->field[SN_F_PATH_PARAMS])
		return Py_NewRef(SELF(self)->field[SN_F_PATH_PARAMS]);
	return sn_pyrequest_keep(SELF(self), SN_F_PATH_PARAMS, build_path_params(REQ(self)));
}

/* New reference: a decoded key or value; bytes that are not UTF-8 become U+FFFD. */
static PyObject *
decode_query(const char *s, size_t len)
{
	char store[256], *buf = len <= sizeof(store) ? store : PyMem_Malloc(len);
	PyObject *text;

	if (!buf)
		return PyErr_NoMemory();
	text = PyUnicode_DecodeUTF8(buf, (Py_ssize_t)sn_percent_decode(buf, s, len, true), "replace");
	if (buf != store)
		PyMem_Free(buf);
	return text;
}

/* Calls `each` with every decoded pair. */
static int
walk_query(struct sn_request *req, int (*each)(PyObject *into, PyObject *key, PyObject *value),
           PyObject *into)
{
	const char *at = req->query, *end = at + req->query_len;
	struct sn_query_pair pair;
	int rc = 0;

	while (rc == 0 && sn_query_next(&at, end, &pair)) {
		PyObject *key = decode_query(pair.key, pair.key_len);
		PyObject *value = key ? decode_query(pair.value, pair.value_len) : NULL;
		rc = value ? each(into, key, value) : -1;
		Py_XDECREF(key);
		Py_XDECREF(value);
	}
	return rc;
}

static int
keep_first(PyObject *dict, PyObject *key, PyObject *value)
{
	return PyDict_SetDefault(dict, key, value) ? 0 : -1;
}

static int
keep_pair(PyObject *list, PyObject *key, PyObject *value)
{
	PyObject *pair = PyTuple_Pack(2, key, value);
	int rc = pair ? PyList_Append(list, pair) : -1;

	Py_XDECREF(pair);
	return rc;
}

static PyObject *
get_query_params(PyObject *self, void *arg SN_UNUSED)
{
	PyObject *dict;

	if (SELF(self)->field[SN_F_QUERY_PARAMS])
		return Py_NewRef(SELF(self)->field[SN_F_QUERY_PARAMS]);
	dict = PyDict_New();
	if (dict && walk_query(REQ(self), keep_first, dict) < 0)
		Py_CLEAR(dict);
	return sn_pyrequest_keep(SELF(self), SN_F_QUERY_PARAMS, dict);
}

static PyObject *
get_args(PyObject *self, void *arg SN_UNUSED)
{
	static PyObject *type_slot;
	PyObject *type, *pairs, *dict = NULL;

	if (SELF(self)->field[SN_F_ARGS])
		return Py_NewRef(SELF(self)->field[SN_F_ARGS]);
	type = sn_pycore_lazy(&type_slot, "snacgi._datastructures", "MultiDict");
	pairs = type ? PyList_New(0) : NULL;
	if (pairs && walk_query(REQ(self), keep_pair, pairs) == 0)
		dict = PyObject_CallOneArg(type, pairs);
	Py_XDECREF(pairs);
	return sn_pyrequest_keep(SELF(self), SN_F_ARGS, dict);
}

static PyObject *
get_query_string(PyObject *self, void *arg SN_UNUSED)
{
	return PyBytes_FromStringAndSize(REQ(self)->query, REQ(self)->query_len);
}

/* ---- headers and parameters ---------------------------------------------- */

static PyObject *
get_headers(PyObject *self, void *arg SN_UNUSED)
{
	if (SELF(self)->field[SN_F_HEADERS])
		return Py_NewRef(SELF(self)->field[SN_F_HEADERS]);
	return sn_pyrequest_keep(SELF(self), SN_F_HEADERS, sn_header_view_new(REQ(self)));
}

static PyObject *
get_environ(PyObject *self, void *arg SN_UNUSED)
{
	if (SELF(self)->field[SN_F_ENVIRON])
		return Py_NewRef(SELF(self)->field[SN_F_ENVIRON]);
	return sn_pyrequest_keep(SELF(self), SN_F_ENVIRON, sn_param_dict(REQ(self)));
}

static const char *
content_type_of(const struct sn_request *req)
{
	const char *type = sn_request_known(req, SN_P_CONTENT_TYPE);

	return type ? type : "";
}

static PyObject *
get_content_type(PyObject *self, void *arg SN_UNUSED)
{
	return latin1(content_type_of(REQ(self)));
}

/* "application/json" of "Application/JSON; charset=utf-8", into buf. */
static void
mimetype_of(struct sn_request *req, char *buf, size_t size)
{
	const char *s = content_type_of(req);
	size_t n = 0;

	while (s[n] && s[n] != ';' && n + 1 < size) {
		buf[n] = (char)Py_TOLOWER((unsigned char)s[n]);
		n++;
	}
	while (n > 0 && (buf[n - 1] == ' ' || buf[n - 1] == '\t'))
		n--;
	buf[n] = '\0';
}

static PyObject *
get_mimetype(PyObject *self, void *arg SN_UNUSED)
{
	char type[256];

	mimetype_of(REQ(self), type, sizeof(type));
	return latin1(type);
}

static bool
is_json(struct sn_request *req)
{
	char type[256];
	size_t len;

	mimetype_of(req, type, sizeof(type));
	len = strlen(type);
	return strcmp(type, "application/json") == 0 ||
	       (strncmp(type, "application/", 12) == 0 && len > 17 && strcmp(type + len - 5, "+json") == 0);
}

static PyObject *
get_is_json(PyObject *self, void *arg SN_UNUSED)
{
	return PyBool_FromLong(is_json(REQ(self)));
}

static PyObject *
get_content_length(PyObject *self, void *arg SN_UNUSED)
{
	/* The body is complete when a handler runs: its size is the truth. If it is not, what the peer
	 * has announced is all there is. */
	uint64_t size = REQ(self)->body.len;

	if (REQ(self)->input && sn_request_content_length(REQ(self)) > 0)
		size = (uint64_t)sn_request_content_length(REQ(self));
	if (size == 0 && sn_request_content_length(REQ(self)) < 0)
		Py_RETURN_NONE;
	return PyLong_FromUnsignedLongLong(size);
}

static PyObject *
get_id(PyObject *self, void *arg SN_UNUSED)
{
	char text[24];

	PyOS_snprintf(text, sizeof(text), "%016llx", (unsigned long long)REQ(self)->id);
	return latin1(text);
}

/* "GET, HEAD, OPTIONS" of a request that no route took for its method; None: no such path. */
static PyObject *
get_allowed(PyObject *self, void *arg SN_UNUSED)
{
	char store[256];
	struct sn_buf list;
	PyObject *text = NULL;

	if (!REQ(self)->allow)
		Py_RETURN_NONE;
	sn_buf_init(&list, store, sizeof(store));
	if (sn_method_list(REQ(self)->allow, &list) == 0)
		text = PyUnicode_FromStringAndSize(list.data, (Py_ssize_t)list.len);
	else
		PyErr_NoMemory();
	sn_buf_free(&list);
	return text;
}

/* Where a request goes that lacks the slash at its rule's end; None: it does not. */
static PyObject *
get_slash(PyObject *self, void *arg SN_UNUSED)
{
	char store[256];
	struct sn_buf url;
	PyObject *text = NULL;

	if (!REQ(self)->slash)
		Py_RETURN_NONE;
	sn_buf_init(&url, store, sizeof(store));
	if (sn_slash_location(REQ(self), &url) == 0)
		text = PyUnicode_FromStringAndSize(url.data, (Py_ssize_t)url.len);
	else
		PyErr_NoMemory();
	sn_buf_free(&url);
	return text;
}

/* ---- forms and cookies: snacgi._forms --------------------------------------- */

static PyObject *
by_forms(PyObject *self, enum sn_reqfield id, PyObject **slot, const char *name)
{
	PyObject *parse;

	if (SELF(self)->field[id])
		return Py_NewRef(SELF(self)->field[id]);
	parse = sn_pycore_lazy(slot, "snacgi._forms", name);
	return parse ? sn_pyrequest_keep(SELF(self), id, PyObject_CallOneArg(parse, self)) : NULL;
}

static PyObject *
form_part(PyObject *self, Py_ssize_t part)
{
	static PyObject *slot;
	PyObject *both = by_forms(self, SN_F_FORM, &slot, "parse");
	PyObject *one = both ? PySequence_GetItem(both, part) : NULL;

	Py_XDECREF(both);
	return one;
}

static PyObject *
get_form(PyObject *self, void *arg SN_UNUSED)
{
	return form_part(self, 0);
}

static PyObject *
get_files(PyObject *self, void *arg SN_UNUSED)
{
	return form_part(self, 1);
}

static PyObject *
get_cookies(PyObject *self, void *arg SN_UNUSED)
{
	static PyObject *slot;

	return by_forms(self, SN_F_COOKIES, &slot, "cookies");
}

/* ---- body ----------------------------------------------------------------- */

static PyObject *
get_data(PyObject *self, void *arg SN_UNUSED)
{
	const void *data;
	size_t len;

	if (SELF(self)->field[SN_F_DATA])
		return Py_NewRef(SELF(self)->field[SN_F_DATA]);
	if (sn_unlikely(REQ(self)->input != NULL))
		return sn_pyrequest_keep(SELF(self), SN_F_DATA, sn_request_input_rest(self));
	data = sn_body_data(&REQ(self)->body, &len);
	if (!data && len)
		return PyErr_NoMemory();
	return sn_pyrequest_keep(SELF(self), SN_F_DATA, PyBytes_FromStringAndSize(data, (Py_ssize_t)len));
}

/* JSON of a body that came while the handler ran. */
static PyObject *
json_of_stream(PyObject *self)
{
	PyObject *data = get_data(self, NULL), *value = NULL;

	if (data && PyBytes_GET_SIZE(data) == 0)
		value = Py_NewRef(Py_None);
	else if (data)
		value = sn_json_read(PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data));
	Py_XDECREF(data);
	return sn_pyrequest_keep(SELF(self), SN_F_BODY, value);
}

static PyObject *
get_body(PyObject *self, void *arg SN_UNUSED)
{
	const char *data;
	size_t len;

	if (SELF(self)->field[SN_F_BODY])
		return Py_NewRef(SELF(self)->field[SN_F_BODY]);
	if (sn_unlikely(REQ(self)->input != NULL))
		return json_of_stream(self);
	data = sn_body_data(&REQ(self)->body, &len);
	if (!data && len)
		return PyErr_NoMemory();
	if (!len)
		Py_RETURN_NONE;
	return sn_pyrequest_keep(SELF(self), SN_F_BODY, sn_json_read(data, len));
}

static PyObject *
method_get_data(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { SN_KW("cache"), SN_KW("as_text"), NULL };
	int cache = 1, as_text = 0;
	PyObject *data, *text;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|pp:get_data", names, &cache, &as_text))
		return NULL;
	data = get_data(self, NULL);
	if (!cache)
		Py_CLEAR(SELF(self)->field[SN_F_DATA]);
	if (!data || !as_text)
		return data;
	text = PyUnicode_DecodeUTF8(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), "replace");
	Py_DECREF(data);
	return text;
}

/* Flask's rules: 415 without a JSON content type, 400 without a body. */
static PyObject *
json_strict(PyObject *self, bool force)
{
	bool empty = REQ(self)->body.len == 0;

	if (!force && !is_json(REQ(self)))
		return sn_pycore_raise("UnsupportedMediaType",
		                       PyUnicode_FromString("the Content-Type is not application/json "
		                                            "(request.body reads JSON of any type)"));
	if (empty && REQ(self)->input) {
		PyObject *data = get_data(self, NULL);
		if (!data)
			return NULL;
		empty = PyBytes_GET_SIZE(data) == 0;
		Py_DECREF(data);
	}
	if (empty)
		return sn_pycore_raise("BadRequest", PyUnicode_FromString("the body is not JSON: it is empty"));
	return get_body(self, NULL);
}

static PyObject *
get_json(PyObject *self, void *arg SN_UNUSED)
{
	return json_strict(self, false);
}

static PyObject *
method_get_json(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { SN_KW("force"), SN_KW("silent"), SN_KW("cache"), NULL };
	int force = 0, silent = 0, cache = 1;
	PyObject *value;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|ppp:get_json", names, &force, &silent, &cache))
		return NULL;
	value = json_strict(self, force);
	if (!value && silent && PyErr_ExceptionMatches(PyExc_Exception) &&
	    !PyErr_ExceptionMatches(PyExc_MemoryError)) {
		PyErr_Clear();
		Py_RETURN_NONE;
	}
	if (!cache)
		Py_CLEAR(SELF(self)->field[SN_F_BODY]);
	return value;
}

/* Waits for nobody: true once the peer is gone or the request was answered 504. What it
 * returns is true or false, and may be awaited for those who are used to that. */
static PyObject *
method_is_disconnected(PyObject *self, PyObject *arg SN_UNUSED)
{
	static PyObject *slot;
	PyObject *class = sn_pycore_lazy(&slot, "snacgi._datastructures", "AwaitableBool");

	return class ? PyObject_CallOneArg(class, sn_request_marked(REQ(self)) ? Py_True : Py_False) : NULL;
}

static PyObject *
method_reduce(PyObject *self SN_UNUSED, PyObject *arg SN_UNUSED)
{
	PyErr_SetString(PyExc_TypeError, "a Request cannot be sent to another process: "
	                                 "pass the values that the function needs");
	return NULL;
}

static PyObject *
get_dict(PyObject *self, void *arg)
{
	sn_pyrequest_track(SELF(self)); /* whoever has the dict can put the request into it */
	return PyObject_GenericGetDict(self, arg);
}

/* What few handlers ask for: snacgi._reqmore, by its name. */
static PyObject *
get_more(PyObject *self, void *name)
{
	static PyObject *slot;
	PyObject *get = sn_pycore_lazy(&slot, "snacgi._reqmore", "get");

	return get ? PyObject_CallFunction(get, "Os", self, (const char *)name) : NULL;
}

/* The rule that took the request, as the core reads it; None: none did. */
static PyObject *
get_pattern(PyObject *self, void *arg SN_UNUSED)
{
	const struct sn_endpoint *ep = REQ(self)->endpoint;

	if (!ep)
		Py_RETURN_NONE;
	return PyUnicode_DecodeUTF8(ep->rule, (Py_ssize_t)strlen(ep->rule), "replace");
}

PyMethodDef sn_request_methods[] = {
	{ "get_data", (PyCFunction)(void (*)(void))method_get_data, METH_VARARGS | METH_KEYWORDS,
	  "get_data(cache=True, as_text=False): the body's bytes, or text (UTF-8)." },
	{ "get_json", (PyCFunction)(void (*)(void))method_get_json, METH_VARARGS | METH_KEYWORDS,
	  "get_json(force=False, silent=False, cache=True): the parsed JSON body. As in Flask: 415\n"
	  "when the Content-Type is not JSON (unless force), 400 when malformed; None when silent." },
	{ "is_disconnected", method_is_disconnected, METH_NOARGS, "True once nobody reads the answer." },
	{ "__reduce_ex__", method_reduce, METH_O, NULL },
	{ "__reduce__", method_reduce, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

#define MORE_OF(name, doc) { name, get_more, NULL, doc, SN_KW(name) }

PyGetSetDef sn_request_getset[] = {
	{ "method", get_method, NULL, "The method: 'GET'.", NULL },
	{ "path", get_path, NULL, "The decoded path without the mount prefix: '/users/7'.", NULL },
	{ "path_params", get_path_params, NULL, "The rule's variables, converted: {'id': 7}.", NULL },
	{ "view_args", get_path_params, NULL, "The same as path_params (Flask's name).", NULL },
	{ "query_params", get_query_params, NULL, "The query as a dict; first value of a repeated key.", NULL },
	{ "args", get_args, NULL, "The query as a MultiDict: get(key, default, type), getlist(key).", NULL },
	{ "query_string", get_query_string, NULL, "The raw query, bytes.", NULL },
	{ "headers", get_headers, NULL, "A case-insensitive mapping of the request's headers.", NULL },
	{ "environ", get_environ, NULL, "The raw CGI parameters, a dict of str.", NULL },
	{ "content_type", get_content_type, NULL, "The Content-Type with its parameters; '' when none.", NULL },
	{ "mimetype", get_mimetype, NULL, "The Content-Type without parameters, lower case.", NULL },
	{ "is_json", get_is_json, NULL, "True when the Content-Type is JSON.", NULL },
	{ "content_length", get_content_length, NULL, "The body's size in bytes; None when there is none.", NULL },
	{ "remote_addr", sn_pyrequest_remote_addr, NULL, "The client's address; None when not known.", NULL },
	{ "scheme", sn_pyrequest_scheme, NULL, "'http' or 'https'.", NULL },
	{ "host", sn_pyrequest_host, NULL, "The Host header, or server name and port.", NULL },
	{ "url", sn_pyrequest_url, NULL, "The whole URL, escaped.", NULL },
	{ "script_root", sn_pyrequest_script_root, NULL, "What is in front of `path` in the client's URL: '' or '/app'.", NULL },
	{ "form", get_form, NULL, "The fields of a form, a MultiDict of Werkzeug's.", NULL },
	{ "files", get_files, NULL, "The files of a form, a MultiDict of Werkzeug's FileStorage.", NULL },
	{ "cookies", get_cookies, NULL, "The cookies, a MultiDict of Werkzeug's.", NULL },
	{ "id", get_id, NULL, "The request id as in the log: 16 hexadecimal digits.", NULL },
	{ "body", get_body, NULL, "The parsed JSON body, whatever the Content-Type; None when there is\n"
	                          "none. Malformed JSON raises BadRequest (400).", NULL },
	{ "data", get_data, NULL, "The body's bytes.", NULL },
	{ "stream", sn_request_stream, NULL, "The body as a binary file; on routes with stream=True while it\n"
	                                     "arrives (awaited in async handlers).", NULL },
	{ "json", get_json, NULL, "get_json(): the JSON body, as Flask has it.", NULL },
	MORE_OF("endpoint", "The route's endpoint; None: no route took the request."),
	MORE_OF("url_rule", "The route, with rule, endpoint and methods; None: none took the request."),
	MORE_OF("blueprint", "The name of the route's blueprint; None: it has none."),
	MORE_OF("blueprints", "The names of that blueprint and of those around it."),
	MORE_OF("base_url", "The URL without its query."),
	MORE_OF("host_url", "Scheme and host: 'http://example.org/'."),
	MORE_OF("url_root", "The URL of the application."),
	MORE_OF("root_url", "The same as url_root."),
	{ "root_path", sn_pyrequest_script_root, NULL, "The same as script_root.", NULL },
	MORE_OF("full_path", "The path with '?' and the query."),
	MORE_OF("is_secure", "True when the scheme is https."),
	MORE_OF("values", "args, and form of POST, PUT and PATCH, as one MultiDict."),
	MORE_OF("authorization", "The Authorization header: type, username and password, token; None: none that is understood."),
	MORE_OF("user_agent", "The User-Agent header: str() of it, or string."),
	MORE_OF("referrer", "The Referer header, or None."),
	MORE_OF("origin", "The Origin header, or None."),
	MORE_OF("remote_user", "Whom the front server has let in; None: nobody."),
	MORE_OF("mimetype_params", "The parameters of the Content-Type, a dict."),
	MORE_OF("accept_mimetypes", "The Accept header: best_match(['application/json', 'text/html']) (Werkzeug's)."),
	MORE_OF("accept_languages", "The Accept-Language header (Werkzeug's)."),
	MORE_OF("accept_charsets", "The Accept-Charset header (Werkzeug's)."),
	MORE_OF("accept_encodings", "The Accept-Encoding header (Werkzeug's)."),
	MORE_OF("if_match", "The If-Match header (Werkzeug's ETags)."),
	MORE_OF("if_none_match", "The If-None-Match header (Werkzeug's ETags)."),
	MORE_OF("if_modified_since", "The date of that header, or None."),
	MORE_OF("if_unmodified_since", "The date of that header, or None."),
	MORE_OF("date", "The Date header, or None."),
	MORE_OF("range", "The Range header (Werkzeug's), or None."),
	MORE_OF("cache_control", "The Cache-Control header (Werkzeug's)."),
	{ "_pattern", get_pattern, NULL, NULL, NULL },
	{ "_prefix", sn_pyrequest_prefix, NULL, NULL, NULL },
	{ "_mount", sn_pyrequest_mount, NULL, NULL, NULL },
	{ "_allowed", get_allowed, NULL, NULL, NULL },
	{ "_slash", get_slash, NULL, NULL, NULL },
	{ "_arriving", sn_request_arriving, NULL, NULL, NULL },
	{ "__dict__", get_dict, PyObject_GenericSetDict, NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};
