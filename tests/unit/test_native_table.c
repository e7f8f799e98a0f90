/* SPDX-License-Identifier: MIT
 *
 * Native tables and modules: what becomes an endpoint, what is refused with
 * which words, and what a handler's result becomes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_sink.h"
#include "http/method.h"
#include "native/native.h"

static int
hello(sn_request *req, sn_response *res)
{
	(void)req;
	return sn_response_puts(res, "hello");
}

int native_test_exported(sn_request *req, sn_response *res);

SN_API int
native_test_exported(sn_request *req, sn_response *res)
{
	return hello(req, res);
}

static int
echo(struct FCGX_Stream *in, struct FCGX_Stream *out, struct FCGX_Stream *err, char **envp)
{
	(void)in, (void)out, (void)err, (void)envp;
	return 0;
}

static void
test_endpoints(void **state)
{
	(void)state;
	int mark;
	const sn_route routes[] = {
		{ .rule = "/a", .handler = hello, .name = "a", .ctx = &mark, .summary = "s", .description = "d\nd", SN_HERE },
		{ .rule = "/b/<int:n>", .handler = hello, .methods = "POST, put", .flags = SN_BLOCKING },
		{ .rule = "/c", .fcgx = echo, .methods = "GET POST" },
		{ .rule = NULL, .handler = NULL },
	};
	struct sn_native *n = sn_native_new();
	struct sn_why why = { "" };
	size_t count;
	assert_non_null(n);
	assert_int_equal(sn_native_add(n, routes, &why), 0);
	assert_int_equal(sn_native_add(n, NULL, &why), 0);
	const struct sn_endpoint *ep = sn_native_endpoints(n, &count);
	assert_int_equal(count, 3);
	assert_string_equal(ep[0].rule, "/a");
	assert_string_equal(ep[0].name, "a");
	assert_string_equal(ep[0].summary, "s");
	assert_string_equal(ep[0].description, "d\nd");
	assert_int_equal(ep[0].methods, SN_METHOD_GET);
	assert_int_equal(ep[0].lane, SN_LANE_NATIVE);
	assert_ptr_equal(ep[0].target, &routes[0]);
	assert_non_null(strstr(ep[0].file, "test_native_table.c"));
	assert_true(ep[0].line > 0);
	/* A static function has no symbol: it must not get its neighbour's. */
	assert_string_equal(ep[1].name, "/b/<int:n>");
	assert_int_equal(ep[1].methods, SN_METHOD_POST | SN_METHOD_PUT);
	assert_int_equal(ep[1].lane, SN_LANE_BLOCKING);
	assert_null(ep[1].file);
	assert_int_equal(ep[2].lane, SN_LANE_BLOCKING);
	assert_int_equal(ep[2].methods, SN_METHOD_GET | SN_METHOD_POST);

	const sn_route more[] = { { .rule = "/d", .handler = hello }, { .rule = NULL } };
	assert_int_equal(sn_native_add(n, more, &why), 0);
	ep = sn_native_endpoints(n, &count);
	assert_int_equal(count, 4);
	assert_string_equal(ep[0].rule, "/a");
	assert_string_equal(ep[3].rule, "/d");
	sn_native_free(n);
	sn_native_free(NULL);
}

static void
refused(const sn_route *route, const char *words)
{
	const sn_route routes[] = { { .rule = "/fine", .handler = hello }, *route, { .rule = NULL } };
	struct sn_native *n = sn_native_new();
	struct sn_why why = { "" };
	size_t count;
	assert_non_null(n);
	assert_int_equal(sn_native_add(n, routes, &why), SN_EINVAL);
	if (!strstr(why.text, words) || !strstr(why.text, "entry 2") ||
	    !strstr(why.text, route->rule))
		fail_msg("\"%s\" does not say \"%s\"", why.text, words);
	sn_native_endpoints(n, &count);
	assert_int_equal(count, 0); /* not half a table */
	sn_native_free(n);
}

static void
test_bad_entries(void **state)
{
	(void)state;
	refused(&(sn_route){ .rule = "/x" }, "no handler");
	refused(&(sn_route){ .rule = "/x", .handler = hello, .fcgx = echo }, "both");
	refused(&(sn_route){ .rule = "x", .handler = hello }, "'/'");
	refused(&(sn_route){ .rule = "/x", .handler = hello, .methods = "GET, FROB" }, "FROB");
	refused(&(sn_route){ .rule = "/x", .handler = hello, .methods = "" }, "GET");
	refused(&(sn_route){ .rule = "/x", .handler = hello, .flags = 64 }, ".flags");
}

static const char *
module_file(const char *name)
{
	static char file[1024];
	const char *top = getenv("SN_TOP_BUILDDIR");
	snprintf(file, sizeof(file), "%s/tests/unit/.libs/%s.so", top ? top : ".", name);
	return file;
}

static int
load(struct sn_native *n, const char *name, struct sn_why *why)
{
	why->text[0] = '\0';
	assert_non_null(n);
	return sn_native_load(n, module_file(name), why);
}

/* Built when sn_route had fewer members: its entries are shorter than ours. */
static void
test_older_module(void **state)
{
	(void)state;
	struct sn_native *n = sn_native_new();
	struct sn_why why;
	size_t count;

	if (load(n, "native_module_short", &why) < 0)
		fail_msg("%s", why.text);
	const struct sn_endpoint *ep = sn_native_endpoints(n, &count);
	assert_int_equal(count, 2);
	assert_string_equal(ep[0].rule, "/one");
	assert_string_equal(ep[0].summary, "The first.");
	assert_null(ep[0].description);
	assert_string_equal(ep[1].name, "two");
	assert_null(ep[1].summary);
	assert_string_equal(((const sn_route *)ep[1].target)->rule, "/two");
	sn_native_free(n);
}

static void
test_module(void **state)
{
	(void)state;
	struct sn_native *n = sn_native_new();
	struct sn_why why;
	size_t count;
	assert_non_null(n);
	unsetenv("NATIVE_MODULE_INIT");
	unsetenv("NATIVE_MODULE_FINI");
	if (load(n, "native_module", &why) < 0)
		fail_msg("%s", why.text);
	const struct sn_endpoint *ep = sn_native_endpoints(n, &count);
	assert_int_equal(count, 1);
	assert_string_equal(ep[0].name, "native_module_handler");
	assert_null(getenv("NATIVE_MODULE_INIT"));
	assert_int_equal(sn_native_init(n, &why), 0);
	assert_int_equal(sn_native_init(n, &why), 0);
	assert_string_equal(getenv("NATIVE_MODULE_INIT"), "1");

	assert_int_equal(load(n, "native_module", &why), SN_EINVAL);
	assert_non_null(strstr(why.text, "twice"));
	sn_native_endpoints(n, &count);
	assert_int_equal(count, 1);

	struct fake_sink sink;
	fake_sink_init(&sink);
	struct sn_request *req = fake_request(&sink, "GET", "/module", NULL);
	req->endpoint = ep;
	struct sn_response res;
	sn_response_init(&res, req, NULL, 0, NULL, 0);
	assert_int_equal(sn_native_call(req, &res), 0);
	assert_memory_equal(res.body.data, "from a module", 13);
	sn_response_free(&res);
	sn_request_unref(req);
	fake_sink_free(&sink);

	assert_null(getenv("NATIVE_MODULE_FINI"));
	sn_native_free(n);
	assert_string_equal(getenv("NATIVE_MODULE_FINI"), "1");
}

static void
test_bad_modules(void **state)
{
	(void)state;
	static const struct { const char *file, *words; } cases[] = {
		{ "native_module_old", "version 2" },
		{ "native_module_size", "bytes" },
		{ "native_module_none", "sn_module_entry" },
		{ "native_module_entry", "entry 2 (/bad)" },
		{ "no_such_module", "no_such_module.so" },
	};
	struct sn_native *n = sn_native_new();
	struct sn_why why;
	size_t count;
	assert_non_null(n);
	for (size_t i = 0; i < SN_COUNT(cases); i++) {
		assert_int_equal(load(n, cases[i].file, &why), SN_EINVAL);
		if (!strstr(why.text, cases[i].words) || !strstr(why.text, cases[i].file))
			fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].file, why.text, cases[i].words);
	}
	sn_native_endpoints(n, &count);
	assert_int_equal(count, 0);
	unsetenv("NATIVE_MODULE_INIT");
	unsetenv("NATIVE_MODULE_FINI");
	assert_int_equal(load(n, "native_module_init", &why), 0);
	assert_int_equal(sn_native_init(n, &why), SN_EINVAL);
	assert_non_null(strstr(why.text, "returned 7"));
	sn_native_free(n);
	/* What never began must not be ended. */
	assert_null(getenv("NATIVE_MODULE_FINI"));
}

/* ---- results ------------------------------------------------------------------ */

static int wanted;

static int
result(sn_request *req, sn_response *res)
{
	assert_ptr_equal(sn_request_ctx(req), &wanted);
	sn_response_header(res, "WWW-Authenticate", "Basic");
	sn_response_puts(res, "half a page");
	return wanted;
}

static void
call_result(int rc, int status, bool header, bool page)
{
	static const sn_route route = { .rule = "/r", .handler = result, .ctx = &wanted };
	const struct sn_endpoint ep = { .rule = "/r", .target = (void *)&route, .name = "result" };
	struct fake_sink sink;
	struct sn_response res;
	fake_sink_init(&sink);
	struct sn_request *req = fake_request(&sink, "GET", "/r", NULL);
	req->endpoint = &ep;
	sn_response_init(&res, req, NULL, 0, NULL, 0);
	wanted = rc;
	assert_int_equal(sn_native_call(req, &res), 0);
	assert_int_equal(sn_response_final_status(&res), status);
	assert_int_equal(sn_response_has_header(&res, "WWW-Authenticate", 16), header);
	assert_int_equal(res.body.len == 11 && memcmp(res.body.data, "half a page", 11) == 0, !page);
	assert_true(res.body.len > 0);
	sn_response_free(&res);
	sn_request_unref(req);
	assert_int_equal(sink.released, 1);
	fake_sink_free(&sink);
}

static void
test_results(void **state)
{
	(void)state;
	call_result(0, 200, true, false);
	call_result(401, 401, true, true);
	call_result(599, 599, true, true);
	call_result(503, 503, true, true);
	call_result(SN_ENOMEM, 503, false, true);
	call_result(-4711, 500, false, true);
	call_result(1, 500, false, true);
	call_result(200, 500, false, true);
	call_result(399, 500, false, true);
	call_result(600, 500, false, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_endpoints),   cmocka_unit_test(test_bad_entries),
		cmocka_unit_test(test_module),
		cmocka_unit_test(test_older_module),      cmocka_unit_test(test_bad_modules),
		cmocka_unit_test(test_results),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
