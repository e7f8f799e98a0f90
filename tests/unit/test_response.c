/* SPDX-License-Identifier: MIT
 *
 * Answers: header checks, heads by status and method, error pages.
 */
#include "cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/method.h"
#include "http/response.h"

static struct sn_request *
request(const char *method, const char *accept)
{
	char block[512];
	struct sn_request *req;
	int fault;
	int n = snprintf(block, sizeof(block), "REQUEST_METHOD%c%s%cHTTP_ACCEPT%c%s%c", 0, method, 0, 0,
	                 accept, 0);
	assert_int_equal(
		sn_request_build(&req, SN_FORM_SCGI, (uint8_t *)block, (size_t)n, 9, NULL, &fault), 0);
	req->id = 0x4d2;
	return req;
}

static int
header(struct sn_response *res, const char *name, const char *value)
{
	return sn_response_header_n(res, name, strlen(name), value, strlen(value));
}

static void
assert_head(const struct sn_response *res, const char *want)
{
	char store[64];
	struct sn_buf out;
	sn_buf_init(&out, store, sizeof(store));
	assert_int_equal(sn_response_head(res, &out), 0);
	assert_int_equal(sn_buf_terminate(&out), 0);
	assert_string_equal(out.data, want);
	sn_buf_free(&out);
}

static void
test_header_checks(void **state)
{
	(void)state;
	struct sn_response res;
	static const struct {
		const char *name, *value;
		int rc;
	} rows[] = {
		{ "X-A", "b", 0 },
		{ "X-A", "", 0 },
		{ "X-A", "tab\there", 0 },
		{ "X-A", "caf\xe9", 0 },
		{ "!#$%&'*+-.^_`|~09azAZ", "x", 0 },
		{ "", "x", SN_EINVAL },
		{ "X A", "x", SN_EINVAL },
		{ "X:A", "x", SN_EINVAL },
		{ "X\r\nA", "x", SN_EINVAL },
		{ "X\xe9", "x", SN_EINVAL },
		{ "X-A", "a\r\nSet-Cookie: b", SN_EINVAL },
		{ "X-A", "a\nb", SN_EINVAL },
		{ "X-A", "a\rb", SN_EINVAL },
		{ "X-A", "a\x01", SN_EINVAL },
		{ "X-A", "a\x7f", SN_EINVAL },
		{ "Status", "200 OK", SN_EINVAL },
		{ "status", "200 OK", SN_EINVAL },
		{ "content-LENGTH", "3", SN_EINVAL },
		{ "Transfer-Encoding", "chunked", SN_EINVAL },
		{ "Connection", "close", SN_EINVAL },
		{ "Keep-Alive", "timeout=5", SN_EINVAL },
		{ "Proxy-Connection", "x", SN_EINVAL },
		{ "TE", "x", SN_EINVAL },
		{ "Trailer", "x", SN_EINVAL },
		{ "Upgrade", "x", SN_EINVAL },
		{ "Statuses", "x", 0 },
	};
	for (size_t i = 0; i < SN_COUNT(rows); i++) {
		sn_response_init(&res, NULL, NULL, 0, NULL, 0);
		assert_int_equal(header(&res, rows[i].name, rows[i].value), rows[i].rc);
		assert_true((res.head.len > 0) == (rows[i].rc == 0));
		sn_response_free(&res);
	}
	sn_response_init(&res, NULL, NULL, 0, NULL, 0);
	assert_int_equal(sn_response_header_n(&res, "X", 1, "a\0b", 3), SN_EINVAL);
	assert_int_equal(sn_response_header_n(&res, "X\0Y", 3, "a", 1), SN_EINVAL);
	sn_response_free(&res);
}

static void
test_type_replaces(void **state)
{
	(void)state;
	struct sn_response res;
	sn_response_init(&res, NULL, NULL, 0, NULL, 0);
	assert_int_equal(header(&res, "Content-Type", "text/plain"), 0);
	assert_int_equal(header(&res, "X-A", "1"), 0);
	assert_int_equal(header(&res, "X-A", "2"), 0);
	assert_int_equal(header(&res, "content-type", "a/b"), 0);
	assert_true(res.has_type);
	assert_head(&res, "Status: 204 No Content\r\nX-A: 1\r\nX-A: 2\r\ncontent-type: a/b\r\n\r\n");
	assert_true(sn_response_has_header(&res, "x-a", 3));
	assert_false(sn_response_has_header(&res, "x-", 2));
	assert_int_equal(sn_response_remove_header(&res, "x-A", 3), 2);
	assert_int_equal(sn_response_remove_header(&res, "x-A", 3), 0);
	assert_int_equal(sn_response_remove_header(&res, "Content-Type", 12), 1);
	assert_false(res.has_type);
	assert_int_equal(res.head.len, 0);
	sn_response_free(&res);
}

static void
test_default_type(void **state)
{
	(void)state;
	struct sn_response res;
	sn_response_init(&res, NULL, NULL, 0, NULL, 0);
	assert_int_equal(sn_response_default_type(&res, "a/b"), 0);
	assert_int_equal(sn_response_default_type(&res, "c/d"), 0);
	assert_head(&res, "Status: 204 No Content\r\nContent-Type: a/b\r\n\r\n");
	assert_int_equal(header(&res, "content-type", "e/f"), 0);
	assert_head(&res, "Status: 204 No Content\r\ncontent-type: e/f\r\n\r\n");
	sn_response_reset(&res);
	res.head_limit = SN_HEAD_RESERVE + sizeof("Content-Type: a/b\r\n") - 2;
	assert_int_equal(sn_response_default_type(&res, "a/b"), SN_ELIMIT);
	assert_false(res.has_type);
	res.head_limit++;
	assert_int_equal(sn_response_default_type(&res, "a/b"), 0);
	sn_response_free(&res);
}

static void
test_limit(void **state)
{
	(void)state;
	struct sn_response res;
	struct sn_buf out;
	char value[SN_HEAD_LIMIT + 1];
	memset(value, 'v', sizeof(value));
	sn_buf_init(&out, NULL, 0);
	sn_response_init(&res, NULL, NULL, 0, NULL, 0);
	assert_int_equal(sn_response_header_n(&res, "X", 1, value, sizeof(value)), SN_ELIMIT);
	assert_int_equal(sn_response_header_n(&res, "X", 1, value, SIZE_MAX / 4 > 9 ? 4000 : 0),
	                 SN_ELIMIT);
	int rc = 0;
	while (rc == 0)
		rc = header(&res, "X-Some", "value");
	assert_int_equal(rc, SN_ELIMIT);
	res.status = 511;
	res.raw_body_known = true;
	assert_int_equal(sn_response_head(&res, &out), 0);
	assert_in_range(out.len, SN_HEAD_LIMIT - 160, SN_HEAD_LIMIT);
	/* A type of the same length still replaces the old one. */
	sn_response_reset(&res);
	assert_int_equal(header(&res, "Content-Type", "text/plain"), 0);
	while (header(&res, "X", "") == 0)
		;
	assert_int_equal(header(&res, "Content-Type", "text/other"), 0);
	res.head_limit = 10;
	assert_int_equal(header(&res, "X", ""), SN_ELIMIT);
	sn_buf_free(&out);
	sn_response_free(&res);

	sn_response_set_head_limit(2 * SN_HEAD_LIMIT); /* as configured */
	sn_response_init(&res, NULL, NULL, 0, NULL, 0);
	assert_int_equal(sn_response_header_n(&res, "X", 1, value, sizeof(value)), 0);
	assert_int_equal(sn_response_header_n(&res, "X", 1, value, sizeof(value)), SN_ELIMIT);
	sn_response_free(&res);
	sn_response_set_head_limit(SN_HEAD_LIMIT);
}

static void
test_heads(void **state)
{
	(void)state;
#define TYPE "Content-Type: text/html; charset=utf-8\r\n"
	static const struct {
		const char *method;
		int status;
		const char *body; /* NULL: none */
		const char *head;
		int64_t length;
		bool suppress;
	} rows[] = {
		{ "GET", 0, "abc", "Status: 200 OK\r\n" TYPE "Content-Length: 3\r\n\r\n", 3, false },
		{ "GET", 0, "", "Status: 200 OK\r\n" TYPE "Content-Length: 0\r\n\r\n", 0, false },
		{ "GET", 0, NULL, "Status: 204 No Content\r\n\r\n", 0, true },
		{ "GET", 200, NULL, "Status: 200 OK\r\nContent-Length: 0\r\n\r\n", 0, false },
		{ "HEAD", 0, "abc", "Status: 200 OK\r\n" TYPE "Content-Length: 3\r\n\r\n", 3, true },
		{ "GET", 204, "abc", "Status: 204 No Content\r\n\r\n", 0, true },
		{ "GET", 304, "abc", "Status: 304 Not Modified\r\n\r\n", 0, true },
		{ "HEAD", 304, NULL, "Status: 304 Not Modified\r\n\r\n", 0, true },
		{ "POST", 299, "x", "Status: 299 Unknown\r\n" TYPE "Content-Length: 1\r\n\r\n", 1, false },
	};
	for (size_t i = 0; i < SN_COUNT(rows); i++) {
		struct sn_request *req = request(rows[i].method, "");
		struct sn_response res;
		bool suppress;
		sn_response_init(&res, req, NULL, 0, NULL, 0);
		res.status = rows[i].status;
		if (rows[i].body) {
			res.raw_body_known = true;
			sn_buf_adds(&res.body, rows[i].body);
		}
		assert_int_equal(sn_response_length(&res, &suppress), rows[i].length);
		assert_int_equal(suppress, rows[i].suppress);
		assert_head(&res, rows[i].head);
		sn_response_free(&res);
		sn_request_unref(req);
	}
}

static int dones;

static void
done(void *arg)
{
	assert_ptr_equal(arg, &dones);
	dones++;
}

static ssize_t
pull(void *arg, void *buf, size_t size)
{
	(void)arg;
	(void)buf;
	(void)size;
	return 0;
}

static void
test_foreign_bodies(void **state)
{
	(void)state;
	struct sn_response res;
	bool suppress;
	dones = 0;
	sn_response_init(&res, NULL, NULL, 0, NULL, 0);
	res.ext = "abcd";
	res.ext_len = 4;
	res.done = done;
	res.done_arg = &dones;
	assert_int_equal(sn_response_length(&res, &suppress), 4);
	assert_head(&res, "Status: 200 OK\r\n" TYPE "Content-Length: 4\r\n\r\n");
	sn_response_reset(&res);
	assert_int_equal(dones, 1);
	assert_int_equal(sn_response_final_status(&res), 204);

	res.pull = pull;
	res.pull_done = done;
	res.pull_arg = &dones;
	assert_int_equal(sn_response_length(&res, &suppress), -1);
	assert_head(&res, "Status: 200 OK\r\n" TYPE "\r\n");
	res.length = 5000000000;
	assert_head(&res, "Status: 200 OK\r\n" TYPE "Content-Length: 5000000000\r\n\r\n");
	sn_response_free(&res);
	assert_int_equal(dones, 2);
	sn_response_free(&res);
	assert_int_equal(dones, 2);
}

static const char *
body_of(struct sn_response *res)
{
	assert_int_equal(sn_buf_terminate(&res->body), 0);
	return res->body.data;
}

static void
test_error_json(void **state)
{
	(void)state;
	struct sn_request *req = request("GET", "*/*");
	struct sn_response res;
	char store[32];
	sn_response_init(&res, req, NULL, 0, store, sizeof(store));
	assert_int_equal(header(&res, "Allow", "GET"), 0);
	assert_int_equal(header(&res, "Content-Type", "text/csv"), 0);
	sn_buf_adds(&res.body, "half an answer");
	assert_int_equal(sn_response_error_page(&res, 405, NULL), 0);
	assert_string_equal(body_of(&res), "{\"error\":\"Method Not Allowed\",\"status\":405,"
	                                   "\"request_id\":\"00000000000004d2\"}");
	assert_head(&res, "Status: 405 Method Not Allowed\r\nAllow: GET\r\n"
	                  "Content-Type: application/json\r\nVary: Accept\r\n"
	                  "Content-Length: 75\r\n\r\n");
	/* Once more: nothing doubles. */
	assert_int_equal(sn_response_error_page(&res, 400, "a \"b\"\\\n\t\r\x01 \xc3\xa9 \xff<"), 0);
	assert_string_equal(body_of(&res),
	                    "{\"error\":\"a \\\"b\\\"\\\\\\n\\t\\r\\u0001 \xc3\xa9 \xef\xbf\xbd<\","
	                    "\"status\":400,\"request_id\":\"00000000000004d2\"}");
	assert_int_equal(sn_response_remove_header(&res, "Vary", 4), 1);
	assert_int_equal(sn_response_remove_header(&res, "Content-Type", 12), 1);
	sn_response_free(&res);
	sn_request_unref(req);

	sn_response_init(&res, NULL, NULL, 0, NULL, 0);
	assert_int_equal(sn_response_error_page(&res, 500, ""), 0);
	assert_string_equal(body_of(&res), "{\"error\":\"\",\"status\":500}");
	sn_response_free(&res);
}

static void
test_error_html(void **state)
{
	(void)state;
	struct sn_request *req = request("GET", "text/html,*/*;q=0.8");
	struct sn_response res;
	sn_response_init(&res, req, NULL, 0, NULL, 0);
	assert_int_equal(sn_response_error_page(&res, 404, "<script>'\"&\xe9\x02"), 0);
	const char *body = body_of(&res);
	assert_non_null(strstr(body, "<title>404 Not Found</title>"));
	assert_non_null(
		strstr(body, "<p>&lt;script&gt;&#39;&quot;&amp;\xef\xbf\xbd\xef\xbf\xbd</p>"));
	assert_non_null(strstr(body, "Request 00000000000004d2"));
	assert_null(strstr(body, "<script>"));
	assert_true(sn_response_has_header(&res, "Content-Type", 12));
	sn_response_free(&res);
	sn_request_unref(req);
}

/* A head that an application has filled up must not take the error's own lines away. */
static void
test_error_on_full_head(void **state)
{
	(void)state;
	struct sn_response res;
	sn_response_init(&res, NULL, NULL, 0, NULL, 0);
	while (header(&res, "X-Some", "value") == 0)
		;
	assert_int_equal(sn_response_error_page(&res, 500, NULL), 0);
	assert_true(sn_response_has_header(&res, "Content-Type", 12));
	sn_response_free(&res);
}

static void
test_impossible_status(void **state)
{
	(void)state;
	struct sn_response res;
	struct sn_buf out;
	sn_buf_init(&out, NULL, 0);
	sn_response_init(&res, NULL, NULL, 0, NULL, 0);
	res.status = 1000;
	assert_int_equal(sn_response_head(&res, &out), SN_EINVAL);
	res.status = 99;
	assert_int_equal(sn_response_head(&res, &out), SN_EINVAL);
	assert_int_equal(out.len, 0);
	sn_buf_free(&out);
	sn_response_free(&res);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_checks),  cmocka_unit_test(test_type_replaces),
		cmocka_unit_test(test_default_type),   cmocka_unit_test(test_limit),
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_foreign_bodies), cmocka_unit_test(test_error_json),
		cmocka_unit_test(test_error_html),     cmocka_unit_test(test_error_on_full_head),
		cmocka_unit_test(test_impossible_status),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
