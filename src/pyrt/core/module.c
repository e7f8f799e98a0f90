/* SPDX-License-Identifier: MIT
 *
 * The module _snacgi: its types, and functions that the Python package stands
 * on. Single-phase on purpose: one interpreter in a process's life, whose types
 * are static for speed. Runs under the GIL.
 */
#include "pyrt/core/core_priv.h"

#include "base/clock.h"
#include "http/method.h"
#include "route/matcher.h"

static struct sn_pycore state; /* guarded by the GIL; written once */

const struct sn_pycore *
sn_pycore_state(void)
{
	return &state;
}

int
sn_pycore_configure(const struct sn_pycore_options *opt)
{
	state.debug = opt->debug;
	state.nan_null = opt->nan_null;
	Py_XINCREF(opt->dumps);
	Py_XSETREF(state.dumps, opt->dumps);
	return 0;
}

PyObject *
sn_pycore_lazy(PyObject **slot, const char *module, const char *name)
{
	PyObject *mod, *found;

	if (sn_likely(*slot))
		return *slot;
	mod = PyImport_ImportModule(module);
	found = mod ? PyObject_GetAttrString(mod, name) : NULL;
	Py_XDECREF(mod);
	if (found && *slot)
		Py_DECREF(found); /* another thread was here while the import ran */
	else if (found)
		*slot = found;
	return found ? *slot : NULL;
}

PyObject *
sn_pycore_raise(const char *name, PyObject *text)
{
	PyObject *module, *class, *exception = NULL;

	PyErr_Clear();
	module = PyImport_ImportModule("snacgi.exceptions");
	class = module ? PyObject_GetAttrString(module, name) : NULL;
	if (class)
		exception = text ? PyObject_CallOneArg(class, text) : PyObject_CallNoArgs(class);
	if (exception)
		PyErr_SetObject(class, exception);
	Py_XDECREF(exception);
	Py_XDECREF(class);
	Py_XDECREF(module);
	Py_XDECREF(text);
	return NULL;
}

/* ---- functions ------------------------------------------------------------ */

static const char *const converter_names[] = {
	[SN_CONV_STRING] = "string", [SN_CONV_INT] = "int",   [SN_CONV_FLOAT] = "float",
	[SN_CONV_UUID] = "uuid",     [SN_CONV_PATH] = "path",
	[SN_CONV_ANY] = "any",
};

/* New reference: a list of (name, converter). */
static PyObject *
variables_of(const struct sn_rule_info *info)
{
	PyObject *list = PyList_New((Py_ssize_t)info->nvariables);

	for (uint32_t i = 0; list && i < info->nvariables; i++) {
		PyObject *pair = Py_BuildValue("(ss)", info->variables[i].name,
		                               converter_names[info->variables[i].converter]);
		if (pair)
			PyList_SET_ITEM(list, (Py_ssize_t)i, pair);
		else
			Py_CLEAR(list);
	}
	return list;
}

/* By a table of this one rule, which keeps the names of its variables. */
static PyObject *
py_check_rule(PyObject *module SN_UNUSED, PyObject *rule)
{
	struct sn_endpoint endpoint = { .methods = SN_METHOD_GET };
	struct sn_matcher *matcher;
	struct sn_why why;
	Py_ssize_t len;
	const char *s = PyUnicode_Check(rule) ? PyUnicode_AsUTF8AndSize(rule, &len) : NULL;
	PyObject *list;

	if (!s) {
		if (!PyErr_Occurred())
			PyErr_Format(PyExc_TypeError, "a rule must be str, not %.100s", Py_TYPE(rule)->tp_name);
		return NULL;
	}
	if (strlen(s) != (size_t)len) {
		PyErr_SetString(PyExc_ValueError, "a rule must not hold NUL");
		return NULL;
	}
	endpoint.rule = s;
	if (sn_matcher_new(&matcher, &endpoint, 1, &why) < 0) {
		PyErr_SetString(PyExc_ValueError, why.text);
		return NULL;
	}
	list = variables_of(sn_matcher_info(matcher, &endpoint));
	sn_matcher_free(matcher);
	return list;
}

static PyObject *
py_rule_takes(PyObject *module SN_UNUSED, PyObject *args)
{
	const char *rule, *name, *text;
	Py_ssize_t len;
	struct sn_why why;

	if (!PyArg_ParseTuple(args, "sss#:rule_takes", &rule, &name, &text, &len))
		return NULL;
	int rc = sn_rule_takes(rule, name, text, (size_t)len, &why);
	if (rc >= 0)
		return PyBool_FromLong(rc);
	PyErr_SetString(PyExc_ValueError, why.text);
	return NULL;
}

static PyObject *
py_check_methods(PyObject *module SN_UNUSED, PyObject *methods)
{
	const char *s = PyUnicode_AsUTF8(methods);
	struct sn_why why;
	uint64_t mask = 0;

	if (!s)
		return NULL;
	why.text[0] = '\0';
	if (sn_method_parse(s, &mask, &why) < 0) {
		PyErr_SetString(PyExc_ValueError, why.text);
		return NULL;
	}
	return PyLong_FromUnsignedLongLong(mask);
}

static PyObject *
py_dumps(PyObject *module SN_UNUSED, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { SN_KW("obj"), SN_KW("default"), SN_KW("nan_null"), NULL };
	PyObject *obj, *hook = Py_None, *bytes = NULL;
	struct sn_json_options opt = { 0 };
	char store[4096];
	struct sn_buf out;
	int nan_null = 0;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|Op:dumps", names, &obj, &hook, &nan_null))
		return NULL;
	opt.hook = hook == Py_None ? NULL : hook;
	opt.nan_null = nan_null;
	sn_buf_init(&out, store, sizeof(store));
	if (sn_json_write(&out, obj, &opt) == 0)
		bytes = PyBytes_FromStringAndSize(out.data, (Py_ssize_t)out.len);
	sn_buf_free(&out);
	return bytes;
}

static PyObject *
py_set_dumps(PyObject *module SN_UNUSED, PyObject *dumps)
{
	Py_XSETREF(state.dumps, dumps == Py_None ? NULL : Py_NewRef(dumps));
	Py_RETURN_NONE;
}

/* (head, body) of a finished answer; the body is left out where HTTP says so. Both are bytes, but
 * of a body that comes in pieces its source is given. */
static PyObject *
rendered(struct sn_response *res, PyObject *source)
{
	char store[2048];
	struct sn_buf head;
	bool suppress = false;
	PyObject *pair = NULL;

	sn_buf_init(&head, store, sizeof(store));
	sn_response_length(res, &suppress);
	if (sn_response_head(res, &head) < 0)
		PyErr_NoMemory();
	else if (source)
		pair = Py_BuildValue("(y#O)", head.data, (Py_ssize_t)head.len, source);
	else if (suppress)
		pair = Py_BuildValue("(y#y#)", head.data, (Py_ssize_t)head.len, "", (Py_ssize_t)0);
	else if (res->ext)
		pair = Py_BuildValue("(y#y#)", head.data, (Py_ssize_t)head.len, res->ext, (Py_ssize_t)res->ext_len);
	else
		pair = Py_BuildValue("(y#y#)", head.data, (Py_ssize_t)head.len, res->body.len ? res->body.data : "",
		                     (Py_ssize_t)res->body.len);
	sn_buf_free(&head);
	return pair;
}

/* 0, or -1 with the exception that the caller wants to see. */
static int
fill_answer(struct sn_response *res, PyObject *result, const char *name, bool propagate, PyObject **source)
{
	int rc = 0;

	if (PyExceptionInstance_Check(result))
		PyErr_Restore(Py_NewRef(PyExceptionInstance_Class(result)), Py_NewRef(result),
		              PyException_GetTraceback(result));
	else
		rc = sn_pyanswer_fill(res, result, name, source);
	if (rc == 0 && !PyErr_Occurred())
		return 0;
	if (propagate && !sn_pyanswer_is_http())
		return -1;
	sn_pyanswer_exception(res, name);
	return 0;
}

static PyObject *
answered(PyObject *args, PyObject *(*shape)(struct sn_response *, PyObject *source))
{
	PyObject *request, *result, *source = NULL, *shaped = NULL;
	const char *name = "handler";
	struct sn_request *req;
	struct sn_response res;
	char store[8192];
	int propagate = 0;

	if (!PyArg_ParseTuple(args, "OO|sp", &request, &result, &name, &propagate))
		return NULL;
	req = request == Py_None ? NULL : sn_pyrequest_get(request);
	if (!req && request != Py_None) {
		PyErr_SetString(PyExc_TypeError, "the first argument must be a Request or None");
		return NULL;
	}
	sn_response_init(&res, req, NULL, 0, store, sizeof(store));
	if (fill_answer(&res, result, name, propagate, &source) == 0)
		shaped = shape(&res, source);
	sn_response_free(&res);
	Py_XDECREF(source);
	sn_pycore_drain();
	return shaped;
}

/* What the daemon would send for `result`, or for the exception that it is. */
static PyObject *
py_answer(PyObject *module SN_UNUSED, PyObject *args)
{
	return answered(args, rendered);
}

static PyObject *
as_response(struct sn_response *res, PyObject *source)
{
	return sn_pyresponse_from(res, source);
}

/* The same as a Response, for hooks that want to see it. */
static PyObject *
py_respond(PyObject *module SN_UNUSED, PyObject *args)
{
	return answered(args, as_response);
}

static PyObject *
py_configure(PyObject *module SN_UNUSED, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { SN_KW("debug"), SN_KW("nan_null"), SN_KW("dumps"), NULL };
	struct sn_pycore_options opt = { 0 };
	int debug = 0, nan_null = 0;
	PyObject *dumps = Py_None;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$ppO:configure", names, &debug, &nan_null, &dumps))
		return NULL;
	opt.debug = debug;
	opt.nan_null = nan_null;
	opt.dumps = dumps == Py_None ? NULL : dumps;
	sn_pycore_configure(&opt);
	Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
	{ "check_rule", py_check_rule, METH_O,
	  "check_rule(rule): a list of (variable, converter); ValueError says what is wrong." },
	{ "rule_takes", py_rule_takes, METH_VARARGS,
	  "rule_takes(rule, name, text): may the variable of that name be this text of a path?" },
	{ "check_methods", py_check_methods, METH_O,
	  "check_methods('GET, POST'): the mask; ValueError names the unknown one." },
	{ "set_dumps", py_set_dumps, METH_O,
	  "set_dumps(f): what writes JSON answers, as f(value, default=hook); None: ours." },
	{ "dumps", (PyCFunction)(void (*)(void))py_dumps, METH_VARARGS | METH_KEYWORDS,
	  "dumps(obj, default=None, nan_null=False): JSON as bytes." },
	{ "answer", py_answer, METH_VARARGS,
	  "answer(request, result, name='handler', propagate=False): (head, body) as the daemon sends\n"
	  "them, or (head, source) when the body comes in pieces; `result` is what a handler returned,\n"
	  "or the exception that it raised. `propagate`: raises what would be logged and answered 500." },
	{ "respond", py_respond, METH_VARARGS,
	  "respond(request, result, name='handler', propagate=False): the same as a Response." },
	{ "configure", (PyCFunction)(void (*)(void))py_configure, METH_VARARGS | METH_KEYWORDS,
	  "configure(*, debug=False, nan_null=False, dumps=None)" },
	{ NULL, NULL, 0, NULL },
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "_snacgi",
	.m_doc = "The core of snacgi in C; use the package snacgi.",
	.m_size = -1,
	.m_methods = functions,
};

PyMODINIT_FUNC
PyInit__snacgi(void)
{
	static const struct {
		const char *name;
		PyTypeObject *type;
	} types[] = {
		{ "Request", &sn_pyrequest_type },
		{ "Response", &sn_pyresponse_type },
		{ "Headers", &sn_pyheaders_type },
		{ "RequestHeaders", &sn_pyheaderview_type },
		{ "Matcher", &sn_pymatcher_type },
		{ "Input", &sn_pyinput_type },
		{ "File", &sn_pyfile_type },
	};
	PyObject *module = PyModule_Create(&definition);

	for (size_t i = 0; module && i < SN_COUNT(types); i++) {
		PyObject *type = (PyObject *)types[i].type;
		if (PyType_Ready(types[i].type) < 0 || PyModule_AddObjectRef(module, types[i].name, type) < 0)
			Py_CLEAR(module);
	}
	return module;
}
