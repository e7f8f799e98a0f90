/* SPDX-License-Identifier: MIT
 *
 * The example module: loaded, routed by the real matcher, called.
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
#include "native/native.h"
#include "route/matcher.h"

static struct sn_native *native;
static struct sn_matcher *matcher;
static struct fake_sink sink;

static int
begin(void **state)
{
	(void)state;
	struct sn_why why;
	char file[1024];
	const char *top = getenv("SN_TOP_BUILDDIR");
	size_t n;
	snprintf(file, sizeof(file), "%s/examples/c/demo_native.so", top ? top : ".");
	native = sn_native_new();
	assert_non_null(native);
	if (sn_native_load(native, file, &why) < 0 || sn_native_init(native, &why) < 0)
		fail_msg("%s", why.text);
	const struct sn_endpoint *ep = sn_native_endpoints(native, &n);
	if (sn_matcher_new(&matcher, ep, n, &why) < 0)
		fail_msg("%s", why.text);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	sn_matcher_free(matcher);
	sn_native_free(native);
	return 0;
}

/* Asks; the answer is in `sink` until the next one. */
static void
ask(const char *method, const char *target, const char *body, int status)
{
	static bool used;
	struct sn_match match;
	struct sn_response res;
	if (used)
		fake_sink_free(&sink);
	used = true;
	fake_sink_init(&sink);
	struct sn_request *req = fake_request(&sink, method, target, NULL);
	if (body)
		fake_request_body(req, body, strlen(body), 4096);
	assert_int_equal(sn_matcher_find(matcher, req->path.match, req->path.len, req->method, &match),
	                 SN_MATCH_FOUND);
	req->endpoint = match.endpoint;
	req->rule = match.info;
	assert_int_equal(sn_request_set_values(req, match.values, match.nvalues), 0);
	sn_response_init(&res, req, NULL, 0, NULL, 0);
	res.can_send = match.endpoint->lane == SN_LANE_BLOCKING;
	if (sn_native_call(req, &res) == 0)
		assert_int_equal(req->sink->respond(req, &res), 0);
	if (sink.status != status)
		fail_msg("%s %s: %d %s", method, target, sink.status, sink.body.data);
	sn_response_free(&res);
	sn_request_unref(req);
	assert_int_equal(sink.released, 1);
}

static void
test_module(void **state)
{
	(void)state;
	ask("GET", "/native/hello", NULL, 200);
	assert_string_equal(sink.body.data, "Hello, world, from C!\n");
	ask("GET", "/native/hello?name=J%C3%BCrgen", NULL, 200);
	assert_string_equal(sink.body.data, "Hello, J\xc3\xbcrgen, from C!\n");

	ask("GET", "/native/users/42", NULL, 200);
	assert_string_equal(sink.body.data, "{\"user_id\":42,\"name\":\"user 42\"}");
	assert_string_equal(fake_sink_header(&sink, "Content-Type"), "application/json");
	ask("GET", "/native/users/99999999999999999999", NULL, 404);

	ask("POST", "/native/echo", "{\"a\": [1, null]}", 200);
	assert_string_equal(sink.body.data, "{\"echo\":{\"a\":[1,null]},\"bytes\":16}");
	ask("POST", "/native/echo", "null", 200);
	assert_string_equal(sink.body.data, "{\"echo\":null,\"bytes\":4}");
	ask("POST", "/native/echo", "{\"a\": ", 400);
	assert_non_null(strstr(sink.body.data, "line 1, column 7"));
	ask("POST", "/native/echo", NULL, 400);

	ask("GET", "/native/slow?ms=1", NULL, 200);
	assert_string_equal(sink.body.data, "{\"slept_ms\":1}");
	ask("GET", "/native/slow?ms=x", NULL, 400);
}

static void
test_streams(void **state)
{
	(void)state;
	ask("GET", "/native/stream?lines=3", NULL, 200);
	assert_string_equal(sink.body.data, "line 0\nline 1\nline 2\n");
	assert_int_equal(sink.length, -1);
	ask("GET", "/native/stream?lines=100000", NULL, 200);
	assert_int_equal(sink.body.len, 6 * 100000 + 10 + 180 + 2700 + 36000 + 450000);
	ask("GET", "/native/stream?lines=-1", NULL, 400);
	ask("GET", "/native/ticks?n=3&ms=0", NULL, 200);
	assert_string_equal(sink.body.data, "tick 0\ntick 1\ntick 2\n");
	assert_int_equal(sink.finishes, 1);
	ask("GET", "/native/ticks?n=0", NULL, 204);
}

static void
test_fcgx(void **state)
{
	(void)state;
	ask("POST", "/native/fcgx", "a <b> & c", 200);
	assert_non_null(strstr(sink.body.data, "<pre>a &lt;b&gt; &amp; c</pre>"));
	assert_non_null(strstr(sink.body.data, "REQUEST_METHOD=POST\n"));
	assert_non_null(strstr(sink.body.data, "<p>9 bytes</p>"));
	assert_string_equal(fake_sink_header(&sink, "Content-Type"), "text/html; charset=utf-8");
	ask("GET", "/native/fcgx", NULL, 200);
	assert_non_null(strstr(sink.body.data, "<p>0 bytes</p>"));
	ask("HEAD", "/native/fcgx", NULL, 200);
	assert_string_equal(sink.body.data, "");
	fake_sink_free(&sink);
	fake_sink_init(&sink);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_module),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_fcgx),
	};
	int failed = cmocka_run_group_tests(tests, begin, end);
	fake_sink_free(&sink);
	return failed;
}
