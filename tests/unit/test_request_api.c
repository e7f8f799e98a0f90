/* SPDX-License-Identifier: MIT
 *
 * The public view of a request: every function, on what front servers send.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "fake_sink.h"

static void
test_basics(void **state)
{
	(void)state;
	static int context;
	const sn_route route = { .rule = "/", .ctx = &context };
	const struct sn_endpoint ep = { .target = (void *)&route };
	struct sn_request *req = fake_request(NULL, "PURGE", "/a%20b/c?x=1", "REMOTE_ADDR", "::1",
	                                      "REMOTE_ADDR", "second", NULL);
	assert_string_equal(sn_request_method(req), "PURGE");
	assert_string_equal(sn_request_path(req), "/a b/c");
	assert_string_equal(sn_request_query_string(req), "x=1");
	assert_string_equal(sn_request_param(req, "REMOTE_ADDR"), "::1");
	assert_null(sn_request_param(req, "REMOTE_ADD"));
	assert_null(sn_request_param(req, "remote_addr"));
	assert_null(sn_request_param(req, NULL));
	assert_string_equal(sn_request_content_type(req), "");
	assert_null(sn_request_ctx(req));
	req->endpoint = &ep;
	assert_ptr_equal(sn_request_ctx(req), &context);
	assert_int_equal(sn_request_id(req), 0x1234);
	assert_false(sn_request_gone(req));
	atomic_fetch_or(&req->marks, SN_MARK_GONE);
	assert_true(sn_request_gone(req));
	char *a = sn_request_alloc(req, 10), *b = sn_request_alloc(req, 100000);
	char *c = sn_request_alloc(req, 0);
	assert_non_null(a);
	assert_non_null(b);
	assert_non_null(c);
	memset(a, 1, 10);
	memset(b, 2, 100000);
	assert_int_equal(a[9], 1);
	assert_int_equal((uintptr_t)a % _Alignof(max_align_t), 0);
	sn_request_unref(req);
}

static void
test_values(void **state)
{
	(void)state;
	struct sn_rule_info info;
	struct sn_request *req =
		fake_request(NULL, "GET", "/u/42/12.5/n%20m/-7/9223372036854775807/"
		             "9223372036854775808/-9223372036854775808/x1/1e999/0x10/99999999999999999999z",
		             NULL);
	assert_null(sn_request_value(req, "id"));
	fake_request_values(req, &info, "id", "42", "f", "12.5", "name", "n m", "neg", "-7", "max",
	                    "9223372036854775807", "over", "9223372036854775808", "min",
	                    "-9223372036854775808", "bad", "x1", "huge", "1e999", "hex", "0x10", "long",
	                    "99999999999999999999z", NULL);
	int64_t n = 5;
	double d = 5;
	assert_string_equal(sn_request_value(req, "id"), "42");
	assert_string_equal(sn_request_value(req, "name"), "n m");
	assert_ptr_equal(sn_request_value(req, "id"), sn_request_value(req, "id"));
	assert_null(sn_request_value(req, "other"));
	assert_null(sn_request_value(req, NULL));
	assert_int_equal(sn_request_value_int(req, "id", &n), 0);
	assert_int_equal(n, 42);
	assert_int_equal(sn_request_value_int(req, "neg", &n), 0);
	assert_int_equal(n, -7);
	assert_int_equal(sn_request_value_int(req, "max", &n), 0);
	assert_true(n == INT64_MAX);
	assert_int_equal(sn_request_value_int(req, "min", &n), 0);
	assert_true(n == INT64_MIN);
	n = 5;
	assert_int_equal(sn_request_value_int(req, "over", &n), SN_ERANGE);
	assert_int_equal(sn_request_value_int(req, "bad", &n), SN_EINVAL);
	assert_int_equal(sn_request_value_int(req, "long", &n), SN_EINVAL);
	assert_int_equal(sn_request_value_int(req, "f", &n), SN_EINVAL);
	assert_int_equal(sn_request_value_int(req, "none", &n), SN_ENOENT);
	assert_int_equal(n, 5);
	assert_int_equal(sn_request_value_double(req, "huge", &d), SN_ERANGE);
	assert_int_equal(sn_request_value_double(req, "hex", &d), SN_EINVAL);
	assert_int_equal(sn_request_value_double(req, "bad", &d), SN_EINVAL);
	assert_int_equal(sn_request_value_double(req, "none", &d), SN_ENOENT);
	assert_true(d == 5);
	assert_int_equal(sn_request_value_double(req, "f", &d), 0);
	assert_true(d == 12.5);
	assert_int_equal(sn_request_value_double(req, "neg", &d), 0);
	assert_true(d == -7);
	sn_request_unref(req);
}

static void
test_double_syntax(void **state)
{
	(void)state;
	static const struct { const char *text; int rc; } cases[] = {
		{ "1", 0 }, { "-1.5", 0 }, { "+1.5e3", 0 }, { ".5", 0 }, { "5.", 0 }, { "1e-400", 0 },
		{ "nan", SN_EINVAL }, { "inf", SN_EINVAL }, { "-infinity", SN_EINVAL }, { ".", SN_EINVAL },
		{ "1e", SN_EINVAL }, { "1e+", SN_EINVAL }, { "1,5", SN_EINVAL }, { "1.5x", SN_EINVAL },
		{ "--1", SN_EINVAL }, { "0x1p3", SN_EINVAL }, { "-", SN_EINVAL },
	};
	for (size_t i = 0; i < SN_COUNT(cases); i++) {
		struct sn_rule_info info;
		char target[64];
		double d;
		snprintf(target, sizeof(target), "/%s", cases[i].text);
		if (strcmp(cases[i].text, ".") == 0)
			continue; /* a dot segment is no path */
		struct sn_request *req = fake_request(NULL, "GET", target, NULL);
		fake_request_values(req, &info, "x", cases[i].text, NULL);
		int rc = sn_request_value_double(req, "x", &d);
		if (rc != cases[i].rc)
			fail_msg("%s: %d", cases[i].text, rc);
		sn_request_unref(req);
	}
}

static void
test_query(void **state)
{
	(void)state;
	struct sn_request *req = fake_request(
		NULL, "GET", "/?a=1&a=2&name=J%C3%BCrgen+M&empty=&flag&bad=%zz%4&k%65y=v&&=x", NULL);
	assert_string_equal(sn_request_query(req, "a"), "1");
	assert_string_equal(sn_request_query(req, "name"), "J\xc3\xbcrgen M");
	assert_string_equal(sn_request_query(req, "empty"), "");
	assert_string_equal(sn_request_query(req, "flag"), "");
	assert_string_equal(sn_request_query(req, "bad"), "%zz%4");
	assert_string_equal(sn_request_query(req, "key"), "v");
	assert_null(sn_request_query(req, "nam"));
	assert_null(sn_request_query(req, "names"));
	assert_null(sn_request_query(req, NULL));
	assert_ptr_equal(sn_request_query(req, "name"), sn_request_query(req, "name"));
	sn_request_unref(req);
	req = fake_request(NULL, "GET", "/", NULL);
	assert_string_equal(sn_request_query_string(req), "");
	assert_null(sn_request_query(req, "a"));
	sn_request_unref(req);
}

static void
test_headers(void **state)
{
	(void)state;
	struct sn_request *req = fake_request(
		NULL, "GET", "/", "HTTP_X_FOO_BAR", "yes", "HTTP_ACCEPT", "a/b", "HTTP_ACCEPT", "c/d",
		"HTTP_COOKIE", "a=1", "HTTP_COOKIE", "b=2", "HTTP_PROXY", "evil", "HTTP_CONTENT_TYPE",
		"wrong", "CONTENT_TYPE", "text/plain", "CONTENT_LENGTH", "", "HTTP_EMPTY", "",
		"HTTP_", "nameless", NULL);
	assert_string_equal(sn_request_header(req, "X-Foo-Bar"), "yes");
	assert_string_equal(sn_request_header(req, "x-foo-bar"), "yes");
	assert_string_equal(sn_request_header(req, "X_FOO_BAR"), "yes");
	assert_null(sn_request_header(req, "X-Foo"));
	assert_null(sn_request_header(req, "X-Foo-Bar-"));
	assert_string_equal(sn_request_header(req, "Accept"), "a/b, c/d");
	assert_ptr_equal(sn_request_header(req, "Accept"), sn_request_header(req, "Accept"));
	assert_string_equal(sn_request_header(req, "cookie"), "a=1; b=2");
	assert_null(sn_request_header(req, "Proxy"));
	assert_null(sn_request_param(req, "HTTP_PROXY"));
	assert_string_equal(sn_request_header(req, "content-type"), "text/plain");
	assert_string_equal(sn_request_content_type(req), "text/plain");
	assert_null(sn_request_header(req, "Content-Length"));
	assert_string_equal(sn_request_header(req, "Empty"), "");
	assert_null(sn_request_header(req, NULL));
	sn_request_unref(req);
}

static int
count_param(void *arg, const char *name, const char *value)
{
	int *n = arg;
	assert_string_not_equal(name, "HTTP_PROXY");
	(*n)++;
	return strcmp(value, "stop") == 0 ? 77 : 0;
}

static void
test_each_param(void **state)
{
	(void)state;
	int n = 0;
	struct sn_request *req = fake_request(NULL, "GET", "/", "HTTP_PROXY", "stop", "A", "1", "B",
	                                      "stop", "C", "3", NULL);
	assert_int_equal(sn_request_each_param(req, count_param, &n), 77);
	assert_int_equal(n, 5); /* three of the harness, A and B */
	sn_request_unref(req);
}

static void
body_case(size_t memory)
{
	struct sn_request *req = fake_request(NULL, "POST", "/", NULL);
	char buf[8];
	size_t len;
	fake_request_body(req, "0123456", 7, memory);
	fake_request_body(req, "789", 3, memory);
	assert_int_equal(sn_request_body_size(req), 10);
	assert_int_equal(sn_request_body_read(req, 0, buf, sizeof(buf)), 8);
	assert_memory_equal(buf, "01234567", 8);
	assert_int_equal(sn_request_body_read(req, 8, buf, sizeof(buf)), 2);
	assert_int_equal(sn_request_body_read(req, 10, buf, sizeof(buf)), 0);
	assert_int_equal(sn_request_body_read(req, UINT64_MAX, buf, sizeof(buf)), 0);
	assert_string_equal(sn_request_body(req, &len), "0123456789");
	assert_int_equal(len, 10);
	sn_request_unref(req);
}

static void
test_body(void **state)
{
	(void)state;
	size_t len = 5;
	body_case(1000);
	body_case(4); /* spooled */
	struct sn_request *req = fake_request(NULL, "GET", "/", NULL);
	assert_null(sn_request_body(req, &len));
	assert_int_equal(len, 0);
	sn_request_unref(req);
}

/* ---- JSON ------------------------------------------------------------------------ */

static struct sn_request *
json_request(const char *text, size_t len)
{
	struct sn_request *req = fake_request(NULL, "POST", "/", NULL);
	fake_request_body(req, text, len, 1 << 20);
	return req;
}

static void
test_json_good(void **state)
{
	(void)state;
	static const char *const good[] = {
		"{}", "[]", " {\"a\": [1, 2.5, -0, 1e5, 1E-5, true, false, null]} \r\n", "1", "-1.25", "\"\"",
		"\"\\u00fc \\\"\\\\ /\\/ \xc3\xbc\"", "18446744073709551615", "-9223372036854775808",
		"\"a\\u0000b\"", "{\"a\":\"\\u0000\"}", "[\"\\u0000\", \"b\"]", "\"NaN: Infinity\"", "0", "[0]",
		"\"\\\\\"", "\"\x7f\"",
	};
	for (size_t i = 0; i < SN_COUNT(good); i++) {
		struct sn_request *req = json_request(good[i], strlen(good[i]));
		struct json_object *obj = sn_request_json(req);
		if (!obj)
			fail_msg("%s: %s", good[i], sn_request_json_error(req));
		assert_string_equal(sn_request_json_error(req), "");
		assert_ptr_equal(sn_request_json(req), obj);
		sn_request_unref(req);
	}
	struct sn_request *req = json_request("null", 4);
	assert_string_equal(sn_request_json_error(req), "");
	assert_null(sn_request_json(req));
	assert_string_equal(sn_request_json_error(req), "");
	sn_request_unref(req);
	req = json_request("[1,\n2]", 6);
	assert_int_equal(json_object_array_length(sn_request_json(req)), 2);
	sn_request_unref(req);
}

static void
json_bad(const char *text, size_t len, const char *words)
{
	struct sn_request *req = json_request(text, len);
	if (sn_request_json(req))
		fail_msg("accepted: %s", text);
	if (!strstr(sn_request_json_error(req), words))
		fail_msg("%s: \"%s\" does not say \"%s\"", text, sn_request_json_error(req), words);
	assert_null(sn_request_json(req));
	sn_request_unref(req);
}

static void
test_json_bad(void **state)
{
	(void)state;
	static const struct { const char *text, *words; } bad[] = {
		{ "", "no body" }, { " ", "end of data" }, { "{", "end of data" }, { "[1,]", "column 4" },
		{ "{\"a\":1,}", "column 8" }, { "{} x", "column 4" }, { "{}{}", "column 3" },
		{ "'a'", "column 1" }, { "[1,\n 2,\n x]", "line 3, column 2" }, { "tru", "" },
		{ "TRUE", "" }, { "NaN", "NaN" }, { "[1, Infinity]", "column 5" }, { "[-Infinity]", "digit" },
		{ "01", "" }, { "[00]", "begin with 0" }, { "[-01]", "column 3" }, { "[1.]", "decimal point" },
		{ "[1.e5]", "" }, { "1e", "" }, { "/* c */1", "" }, { "1//", "" }, { "\"a\nb\"", "control" },
		{ "\"a\tb\"", "control" }, { "{\"a\nb\":1}", "control" }, { "\"\x80\"", "utf-8" },
		{ "\"\xc3\"", "utf-8" }, { "\"\xed\xa0\x80\"", "" },
		{ "18446744073709551616", "64 bits" }, { "[-9223372036854775809]", "64 bits" },
		{ "{\"a\\u0000b\": 1}", "NUL" }, { "{\"a\\u0000b\"\n:1}", "NUL" }, { "1e999", "too large" },
		{ "[[1e400]]", "too large" }, { "{\"a\":{\"b\":-1e999}}", "too large" },
		{ "\xef\xbb\xbf{}", "" }, { "\"\\x\"", "" }, { "\"abc", "end of data" }, { "[1 2]", "" },
		{ "+1", "" }, { ".5", "" }, { "[-]", "" }, { "\"\\\"", "end of data" },
	};
	for (size_t i = 0; i < SN_COUNT(bad); i++)
		json_bad(bad[i].text, strlen(bad[i].text), bad[i].words);
	json_bad("{}\0{}", 5, "column 3");
	json_bad("[1\0]", 4, "");
	json_bad("\"a\0b\"", 5, "");
	char deep[401] = "";
	memset(deep, '[', 400);
	json_bad(deep, 400, "too deep");
}

static void
test_json_deep(void **state)
{
	(void)state;
	char deep[200];
	memset(deep, '[', 100);
	memset(deep + 100, ']', 100);
	struct sn_request *req = json_request(deep, 200);
	assert_non_null(sn_request_json(req));
	sn_request_unref(req);
}

int
main(void)
{
	/* A decimal comma must change nothing; where the locale is missing, nothing is lost. */
	setlocale(LC_ALL, "de_DE.UTF-8");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_basics),     cmocka_unit_test(test_values),
		cmocka_unit_test(test_double_syntax), cmocka_unit_test(test_query),
		cmocka_unit_test(test_headers),    cmocka_unit_test(test_each_param),
		cmocka_unit_test(test_body),       cmocka_unit_test(test_json_good),
		cmocka_unit_test(test_json_bad),   cmocka_unit_test(test_json_deep),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
