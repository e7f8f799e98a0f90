/* SPDX-License-Identifier: MIT
 *
 * The core module inside an embedding program: requests as the wire makes
 * them, answers through a sink, and bodies that are lent to other threads.
 * What plain Python can see is tested in tests/python.
 */
#include "pyrt/py.h"

#include "cm.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_sink.h"
#include "pyrt/core/core.h"
#include "pyrt/core/jsonparse.h"

static PyObject *globals;

/* New reference: the value of an expression over `r`. */
static PyObject *
eval(const char *expression, struct sn_request *req)
{
	PyObject *request = sn_pyrequest_new(req), *value;

	assert_non_null(request);
	assert_ptr_equal(sn_pyrequest_get(request), req);
	assert_int_equal(PyDict_SetItemString(globals, "r", request), 0);
	Py_DECREF(request);
	value = PyRun_String(expression, Py_eval_input, globals, globals);
	if (!value)
		PyErr_Print();
	assert_non_null(value);
	assert_int_equal(PyDict_DelItemString(globals, "r"), 0);
	return value;
}

static void
check(const char *expression, struct sn_request *req)
{
	PyObject *value = eval(expression, req);

	if (PyObject_IsTrue(value) != 1) {
		PyObject_Print(value, stderr, 0);
		fail_msg("not true: %s", expression);
	}
	Py_DECREF(value);
}

/* The number of references that anybody has to the request. */
static unsigned
refs(struct sn_request *req)
{
	return atomic_load(&req->refs);
}

static void
test_reads_the_wire(void **state)
{
	struct sn_request *req;

	(void)state;
	req = fake_request(NULL, "POST", "/a%20b?x=1&x=2&y=%c3%a9+z", "HTTP_X_FOO", "a", "HTTP_X_FOO", "b",
	                   "HTTP_COOKIE", "c=1", "HTTP_COOKIE", "d=2", "HTTP_PROXY", "evil",
	                   "CONTENT_TYPE", "application/json", "HTTP_CONTENT_TYPE", "evil",
	                   "HTTP_X_LATIN", "\xe9", "CONTENT_LENGTH", "", NULL);
	req->id = 0x1234abcd;
	fake_request_body(req, "{\"a\": [1, 2]}", 13, 1024);
	check("r.method == 'POST' and r.path == '/a b'", req);
	check("r.query_params == {'x': '1', 'y': '\\xe9 z'} and r.args.getlist('x') == ['1', '2']", req);
	check("r.headers['X-Foo'] == 'a, b' and r.headers['cookie'] == 'c=1; d=2'", req);
	check("dict(r.headers)['X-Foo'] == 'a, b' and dict(r.headers)['Cookie'] == 'c=1; d=2'", req);
	check("r.environ['HTTP_X_FOO'] == 'a, b' and 'HTTP_PROXY' not in r.environ", req);
	check("'Proxy' not in r.headers and r.headers['x-latin'] == '\\xe9'", req);
	check("r.headers['Content-Type'] == 'application/json' and 'Content-Length' not in r.headers", req);
	check("r.body == {'a': [1, 2]} and r.json == r.body and r.data == b'{\"a\": [1, 2]}'", req);
	check("r.id == '000000001234abcd' and r.content_length == 13", req);
	assert_int_equal(refs(req), 1);
	sn_request_unref(req);
}

static void
test_converts_values(void **state)
{
	static const struct sn_rule_info info = {
		.nvariables = 5,
		.variables = { { "name", SN_CONV_STRING }, { "id", SN_CONV_INT }, { "ratio", SN_CONV_FLOAT },
		               { "key", SN_CONV_UUID }, { "rest", SN_CONV_PATH } },
	};
	/* "/" name "/" id "/" ratio "/" key "/" rest */
	static const char path[] = "/caf%C3%A9/042/1.5/12345678-1234-5678-1234-567812345678/a/b";
	static const struct sn_value values[] = { { 1, 5 }, { 7, 3 }, { 11, 3 }, { 15, 36 }, { 52, 3 } };
	struct sn_request *req = fake_request(NULL, "GET", path, NULL);

	(void)state;
	req->rule = &info;
	assert_int_equal(sn_request_set_values(req, values, 5), 0);
	check("r.path_params == {'name': 'caf\\xe9', 'id': 42, 'ratio': 1.5, "
	      "'key': uuid.UUID('12345678-1234-5678-1234-567812345678'), 'rest': 'a/b'}", req);
	check("[type(v).__name__ for v in r.path_params.values()] == ['str', 'int', 'float', 'UUID', 'str']", req);
	sn_request_unref(req);
}

static void
test_endless_int_is_nobody(void **state)
{
	static const struct sn_rule_info info = { .nvariables = 1, .variables = { { "id", SN_CONV_INT } } };
	struct fake_sink sink;
	struct sn_request *req;
	char *path = malloc(6002);
	PyObject *request, *value;

	(void)state;
	assert_non_null(path);
	path[0] = '/';
	memset(path + 1, '9', 6000);
	path[6001] = '\0';
	fake_sink_init(&sink);
	req = fake_request(&sink, "GET", path, NULL);
	req->rule = &info;
	assert_int_equal(sn_request_set_values(req, &(struct sn_value){ 1, 6000 }, 1), 0);
	request = sn_pyrequest_new(req);
	value = PyObject_GetAttrString(request, "path_params");
	if (!value) /* Pythons with a limit on digits */
		sn_pyanswer_send(req, NULL, "h");
	assert_true(value || sink.status == 404);
	Py_XDECREF(value);
	Py_DECREF(request);
	sn_request_unref(req);
	fake_sink_free(&sink);
	free(path);
}

static void
test_spooled_body(void **state)
{
	struct sn_request *req = fake_request(NULL, "PUT", "/", NULL);

	(void)state;
	fake_request_body(req, "[1,", 3, 2);
	fake_request_body(req, "2]", 2, 2);
	assert_true(req->body.fd >= 0);
	check("r.body == [1, 2] and r.data == b'[1,2]'", req);
	sn_request_unref(req);
}

/* ---- answers ------------------------------------------------------------- */

static void
send_one(struct fake_sink *sink, const char *method, const char *expression)
{
	struct sn_request *req;
	PyObject *result;

	fake_sink_init(sink);
	req = fake_request(sink, method, "/", NULL);
	result = PyRun_String(expression, Py_eval_input, globals, globals);
	sn_pyanswer_send(req, result, "app.h");
	assert_null(PyErr_Occurred());
	assert_int_equal(sink->responds, 1);
	assert_int_equal(refs(req), 1);
	sn_request_unref(req);
	assert_int_equal(sink->released, 1);
}

static void
test_sends(void **state)
{
	static const struct {
		const char *method, *result;
		int status;
		const char *body;
	} t[] = {
		{ "GET", "{'a': 1}", 200, "{\"a\":1}" },
		{ "HEAD", "{'a': 1}", 200, "" },
		{ "GET", "None", 204, "" },
		{ "GET", "('x', 404)", 404, "x" },
		{ "GET", "1 / 0", 500, NULL },
		{ "GET", "object()", 500, NULL },
		{ "GET", "sys.exit(3)", 500, NULL },
		{ "GET", "snacgi.abort(410)", 410, NULL },
		{ "GET", "b'z' * 100000", 200, NULL },
		{ "GET", "['z' * 100000]", 200, NULL },
	};

	(void)state;
	for (size_t i = 0; i < SN_COUNT(t); i++) {
		struct fake_sink sink;
		send_one(&sink, t[i].method, t[i].result);
		assert_int_equal(sink.status, t[i].status);
		if (t[i].body)
			assert_string_equal(sink.body.data, t[i].body);
		else
			assert_true(sink.body.len > 0);
		fake_sink_free(&sink);
	}
}

static void
test_gone_peer(void **state)
{
	struct fake_sink sink;
	struct sn_request *req;

	(void)state;
	fake_sink_init(&sink);
	sink.gone = true;
	req = fake_request(&sink, "GET", "/", NULL);
	sn_pyanswer_send(req, PyBytes_FromStringAndSize(NULL, 50000), "h");
	sn_pyanswer_send(req, NULL, "h"); /* not even an exception is set */
	assert_null(PyErr_Occurred());
	assert_int_equal(sink.responds, 0);
	sn_request_unref(req);
	fake_sink_free(&sink);
}

/* A cancelled task whose peer has gone is answered without a line in the log; here only
 * that it is answered at all. */
static void
test_cancelled(void **state)
{
	struct fake_sink sink;
	struct sn_request *req;
	PyObject *cancelled = PyRun_String("asyncio.CancelledError", Py_eval_input, globals, globals);

	(void)state;
	fake_sink_init(&sink);
	req = fake_request(&sink, "GET", "/", NULL);
	atomic_fetch_or(&req->marks, SN_MARK_TIMEOUT);
	PyErr_SetNone(cancelled);
	sn_pyanswer_send(req, NULL, "h");
	assert_int_equal(sink.status, 500);
	Py_DECREF(cancelled);
	sn_request_unref(req);
	fake_sink_free(&sink);
}

static void
test_without_a_sink(void **state)
{
	struct sn_request *req = fake_request(NULL, "GET", "/", NULL);

	(void)state;
	sn_pyanswer_send(req, PyLong_FromLong(5), NULL);
	assert_int_equal(refs(req), 1);
	sn_request_unref(req);
}

/* ---- lent bodies ----------------------------------------------------------- */

#define LENT 64

struct keeper { /* a sink that is done much later, on another thread */
	void (*done[LENT])(void *);
	void *arg[LENT];
	const char *data[LENT];
	size_t n;
};

static int
keep(struct sn_request *req, struct sn_response *res)
{
	struct keeper *k = req->owner;

	assert_non_null(res->done);
	k->done[k->n] = res->done;
	k->arg[k->n] = res->done_arg;
	k->data[k->n++] = res->ext;
	res->done = NULL;
	return 0;
}

static void
forget(void *owner)
{
	(void)owner;
}

static void *
finish_half(void *arg)
{
	struct keeper *k = arg;

	for (size_t i = 0; i < k->n; i++) {
		if (k->data[i][0] != 'q' || k->data[i][19999] != 'q')
			abort();
		k->done[i](k->arg[i]);
	}
	return NULL;
}

static void
test_lent_bodies_come_back(void **state)
{
	static const struct sn_sink_ops ops = { .respond = keep, .release = forget };
	struct keeper keepers[2] = { { .n = 0 }, { .n = 0 } };
	PyObject *owner = PyRun_String("b'q' * 20000", Py_eval_input, globals, globals);
	Py_ssize_t before = Py_REFCNT(owner);
	pthread_t threads[2];

	(void)state;
	for (int i = 0; i < 2 * LENT; i++) {
		struct sn_request *req = fake_request(NULL, "GET", "/", NULL);
		req->sink = &ops;
		req->owner = &keepers[i % 2];
		sn_pyanswer_send(req, Py_NewRef(owner), "h");
		sn_request_unref(req);
	}
	assert_int_equal(Py_REFCNT(owner), before + 2 * LENT);
	/* The threads have no GIL and want none: we keep it while they work. */
	int rc[2];
	for (int i = 0; i < 2; i++)
		rc[i] = pthread_create(&threads[i], NULL, finish_half, &keepers[i]);
	for (int i = 0; i < 2; i++)
		if (rc[i] == 0)
			pthread_join(threads[i], NULL);
	assert_int_equal(rc[0] | rc[1], 0); /* once nobody uses this frame any more */
	assert_int_equal(Py_REFCNT(owner), before + 2 * LENT);
	sn_pycore_drain();
	assert_int_equal(Py_REFCNT(owner), before);
	sn_pycore_drain();
	Py_DECREF(owner);
}

static void
test_options(void **state)
{
	struct sn_pycore_options opt = { .debug = true, .nan_null = true };
	struct fake_sink sink;

	(void)state;
	assert_int_equal(sn_pycore_configure(&opt), 0);
	send_one(&sink, "GET", "{'a': float('inf')}");
	assert_string_equal(sink.body.data, "{\"a\":null}");
	fake_sink_free(&sink);
	send_one(&sink, "GET", "1 / 0");
	assert_non_null(strstr(sink.body.data, "ZeroDivisionError"));
	fake_sink_free(&sink);
	opt = (struct sn_pycore_options){ 0 };
	opt.dumps = PyRun_String("lambda obj, default: b'dumped'", Py_eval_input, globals, globals);
	assert_int_equal(sn_pycore_configure(&opt), 0);
	Py_DECREF(opt.dumps);
	send_one(&sink, "GET", "[1]");
	assert_string_equal(sink.body.data, "dumped");
	fake_sink_free(&sink);
	opt.dumps = NULL;
	assert_int_equal(sn_pycore_configure(&opt), 0);
	send_one(&sink, "GET", "1 / 0");
	assert_null(strstr(sink.body.data, "ZeroDivisionError"));
	fake_sink_free(&sink);
}

static void
test_traceback(void **state)
{
	PyObject *text, *value = PyRun_String("{}['missing']", Py_eval_input, globals, globals);

	(void)state;
	assert_null(value);
	text = sn_pycore_traceback();
	assert_null(PyErr_Occurred());
	assert_non_null(strstr(PyUnicode_AsUTF8(text), "KeyError: 'missing'"));
	Py_DECREF(text);
	text = sn_pycore_traceback(); /* nothing is set */
	assert_non_null(text);
	Py_DECREF(text);
	assert_null(sn_pyrequest_get(Py_None));
	assert_null(PyErr_Occurred());
}

static int
start(void **state)
{
	const char *top = getenv("SN_TOP_SRCDIR");
	char code[4096];

	(void)state;
	snprintf(code, sizeof(code),
	         "import sys; sys.path.insert(0, '%s/python'); sys.dont_write_bytecode = True\n"
	         "import asyncio, uuid, _snacgi, snacgi\n", top ? top : "../..");
	if (PyImport_AppendInittab("_snacgi", PyInit__snacgi) < 0)
		return -1;
	Py_InitializeEx(0);
	if (PyRun_SimpleString(code) < 0)
		return -1;
	globals = PyModule_GetDict(PyImport_AddModule("__main__"));
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	return Py_FinalizeEx();
}

/* What is given up goes the slow way to the same value: only this sees it. */
static void
test_plain_json_is_not_given_up(void **state)
{
	static const char *const plain[] = {
		"{}", " [ ] ", "null", "[true,false,null]", "-1", "0", "1234567890123456789012", "[1.5e-7,-0.0,1E+2]",
		"\"\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"",
		"\"n\xc3\xa4me \xe6\x97\xa5 of more than sixteen bytes\"",
		"{\"a\":{\"b\":[{\"a\":1},{\"a\":2}]},\"\xc3\xa4\":1,\"\":2,\"x\\n\":3}",
	};
	(void)state;
	for (size_t i = 0; i < SN_COUNT(plain); i++) {
		PyObject *value = sn_json_parse(plain[i], strlen(plain[i]));
		if (!value)
			fail_msg("%s", plain[i]);
		Py_DECREF(value);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_the_wire),
		cmocka_unit_test(test_converts_values),
		cmocka_unit_test(test_endless_int_is_nobody),
		cmocka_unit_test(test_spooled_body),
		cmocka_unit_test(test_sends),
		cmocka_unit_test(test_gone_peer),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_without_a_sink),
		cmocka_unit_test(test_lent_bodies_come_back),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_plain_json_is_not_given_up),
		cmocka_unit_test(test_traceback),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
