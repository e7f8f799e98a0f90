/* SPDX-License-Identifier: MIT
 *
 * Requests: built from parameters, resolved, freed with all that hangs off them.
 */
#include "cm.h"

#include <stdlib.h>
#include <string.h>

#include "http/arena.h"
#include "http/method.h"
#include "http/request.h"
#include "scgi_request.h"

static void
test_build(void **state)
{
	(void)state;
	struct sn_request *req = scgi_request("REQUEST_METHOD", "POST", "QUERY_STRING", "a=1", "X", "y", NULL);
	assert_int_equal(req->method, SN_METHOD_POST);
	assert_string_equal(req->method_name, "POST");
	assert_string_equal(req->query, "a=1");
	assert_int_equal(req->query_len, 3);
	assert_int_equal(req->nparams, 3);
	assert_int_equal(req->body.fd, -1);
	assert_int_equal(req->id, 0);
	assert_null(sn_request_known(req, SN_P_PATH_INFO));
	assert_string_equal(sn_request_known(req, SN_P_QUERY_STRING), "a=1");
	/* One block: a parked request costs one small allocation. */
	assert_true(req->raw >= (char *)&req->params[3] && req->raw <= (char *)&req->params[32]);
	sn_request_unref(req);

	req = scgi_request("REQUEST_METHOD", "FETCH", NULL);
	assert_int_equal(req->method, 0);
	assert_string_equal(req->method_name, "FETCH");
	assert_string_equal(req->query, "");
	sn_request_unref(req);
	sn_request_unref(NULL);
}

static void
test_build_fcgi(void **state)
{
	(void)state;
	static const char src[] = "\x0e\x03REQUEST_METHODGET\x0b\x02SCRIPT_NAME/x";
	struct sn_request *req;
	const char *reason;
	int fault;
	assert_int_equal(sn_request_build(&req, SN_FORM_FCGI, (const uint8_t *)src, sizeof(src) - 1,
	                                  0, NULL, &fault),
	                 0);
	assert_int_equal(sn_request_resolve(req, SN_PATH_AUTO, "", &reason), 0);
	assert_string_equal(req->path.path, "/x");
	assert_null(req->arena); /* nothing had to be copied */
	sn_request_unref(req);
}

/* More pairs than their bytes let expect: the index is made anew, and nothing is lost. */
static void
test_tiny_pairs(void **state)
{
	(void)state;
	static const char first[] = "\x0e\x03REQUEST_METHODGET";
	uint8_t src[4096];
	for (size_t n = 1; n <= 400; n++) {
		struct sn_request *req;
		size_t len = sizeof(first) - 1;
		int fault;
		memcpy(src, first, len);
		for (size_t i = 1; i < n; i++) {
			src[len++] = 1;
			src[len++] = 1;
			src[len++] = 'X';
			src[len++] = (uint8_t)('a' + i % 26);
		}
		assert_int_equal(sn_request_build(&req, SN_FORM_FCGI, src, len, 0, NULL, &fault), 0);
		assert_int_equal(req->nparams, n);
		assert_int_equal(req->method, SN_METHOD_GET);
		for (size_t i = 1; i < n; i++) {
			const struct sn_param *p = &req->params[i];
			assert_string_equal(req->raw + p->name, "X");
			assert_int_equal(req->raw[p->value], 'a' + i % 26);
		}
		sn_request_unref(req);
		/* the last one cut short, or with a NUL */
		assert_int_equal(sn_request_build(&req, SN_FORM_FCGI, src, len - 1, 0, NULL, &fault), SN_EINVAL);
		assert_int_equal(fault, -SN_PARAMS_TRUNCATED);
		assert_null(req);
		src[len - 1] = 0;
		assert_int_equal(sn_request_build(&req, SN_FORM_FCGI, src, len, 0, NULL, &fault), SN_EINVAL);
		assert_int_equal(fault, -SN_PARAMS_VALUE);
	}
}

static void
test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *src;
		size_t len;
		int rc, fault;
	} rows[] = {
#define ROW(text, rc, fault) { text, sizeof(text) - 1, rc, fault }
		ROW("", SN_EINVAL, -SN_PARAMS_METHOD),
		ROW("A\0b\0", SN_EINVAL, -SN_PARAMS_METHOD),
		ROW("REQUEST_METHOD\0\0", SN_EINVAL, -SN_PARAMS_METHOD),
		ROW("REQUEST_METHOD\0GET", SN_EINVAL, -SN_PARAMS_TRUNCATED),
		ROW("REQUEST_METHOD\0GET\0A=\0b\0", SN_EINVAL, -SN_PARAMS_NAME),
		ROW("REQUEST_METHOD\0GET\0HTTP_A\0b\0HTTP_B\0b\0HTTP_PROXY\0b\0", SN_ELIMIT, 0),
		ROW("REQUEST_METHOD\0GET\0HTTP_A\0b\0HTTP_B\0b\0X\0b\0", 0, 0),
#undef ROW
	};
	for (size_t i = 0; i < SN_COUNT(rows); i++) {
		struct sn_request *req = (void *)1;
		int fault;
		assert_int_equal(sn_request_build(&req, SN_FORM_SCGI, (const uint8_t *)rows[i].src,
		                                  rows[i].len, 2, NULL, &fault),
		                 rows[i].rc);
		assert_int_equal(fault, rows[i].fault);
		assert_true((req == NULL) == (rows[i].rc < 0));
		sn_request_unref(req);
	}
}

static void
test_too_many(void **state)
{
	(void)state;
	size_t n = SN_PARAMS_MAX + 1, len = 3 * n;
	char *src = malloc(len);
	struct sn_request *req;
	int fault;
	assert_non_null(src);
	for (size_t i = 0; i < n; i++)
		memcpy(src + 3 * i, "A\0", 3);
	assert_int_equal(sn_request_build(&req, SN_FORM_SCGI, (uint8_t *)src, len, 2, NULL, &fault),
	                 SN_ELIMIT);
	assert_null(req);
	free(src);
}

static void
test_content_length(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t n;
	} rows[] = {
		{ "", -1 },   { "0", 0 },   { "007", 7 },  { "12a", -2 }, { "-1", -1 },
		{ "+1", -2 }, { " 1", -2 }, { "1 ", -2 },  { "0x1", -2 }, { "1,1", -2 },
		{ "9223372036854775807", INT64_MAX },      { "9223372036854775808", -2 },
		{ "99999999999999999999", -2 },
	};
	for (size_t i = 0; i < SN_COUNT(rows); i++) {
		struct sn_request *req = scgi_request("REQUEST_METHOD", "GET", "CONTENT_LENGTH", rows[i].text,
		                               NULL);
		assert_int_equal(sn_request_content_length(req), rows[i].n);
		sn_request_unref(req);
	}
	struct sn_request *req = scgi_request("REQUEST_METHOD", "GET", NULL);
	assert_int_equal(sn_request_content_length(req), -1);
	sn_request_unref(req);
}

static void
test_wants_json(void **state)
{
	(void)state;
	static const struct {
		const char *accept;
		bool json;
	} rows[] = {
		{ "", true },
		{ "*/*", true },
		{ "application/json", true },
		{ "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false },
		{ "text/html", false },
		{ "TEXT/HTML ; q=0.5", false },
		{ "text/html;q=0.5, application/json;q=0.5", false },
		{ "text/html;q=0.5, application/json", true },
		{ "application/json;q=0.4, text/html;q=0.5", false },
		{ "text/html;q=0.5, */*", true },
		{ "text/html;q=0.5, */*, application/json;q=0.1", false },
		{ "text/html;q=0.5, application/*;q=0.7, */*;q=0.1", true },
		{ "text/html;q=0", true },
		{ "text/html;q=0.000", true },
		{ "text/html;level=1;q=0.9, application/json;q=0.95", true },
		{ "text/*", true },
		{ "text/plain", true },
		{ ",, ;q=1,", true },
		{ "text/html;q=", false },
		{ "text/html;q", false },
		{ "text/html;q=0.123456, application/json;q=0.123", false },
	};
	for (size_t i = 0; i < SN_COUNT(rows); i++) {
		struct sn_request *req = scgi_request("REQUEST_METHOD", "GET", "HTTP_ACCEPT", rows[i].accept,
		                               NULL);
		if (sn_request_wants_json(req) != rows[i].json)
			fail_msg("Accept: %s", rows[i].accept);
		sn_request_unref(req);
	}
	struct sn_request *req = scgi_request("REQUEST_METHOD", "GET", NULL);
	assert_true(sn_request_wants_json(req));
	sn_request_unref(req);
}

static void
test_resolve(void **state)
{
	(void)state;
	const char *reason = NULL;
	struct sn_request *req = scgi_request("REQUEST_METHOD", "GET", "SCRIPT_NAME", "/a", "PATH_INFO", "/b",
	                               "REQUEST_URI", "/a%2Fb", NULL);
	assert_int_equal(sn_request_resolve(req, SN_PATH_AUTO, "", &reason), 0);
	assert_string_equal(req->path.path, "/a/b");
	assert_memory_equal(req->path.match, "/a\xff" "b", 5);
	/* Again, forced, and refused: then the path is "/". */
	assert_int_equal(sn_request_resolve(req, SN_PATH_SCRIPT_NAME, "/x", &reason), 404);
	assert_string_equal(req->path.path, "/");
	assert_int_equal(req->path.len, 1);
	assert_string_equal(req->mount, "");
	assert_int_equal(sn_request_resolve(req, SN_PATH_SCRIPT_NAME, "/a", &reason), 0);
	assert_string_equal(req->path.path, "/b");
	assert_string_equal(req->mount, "/a");
	sn_request_unref(req);

	/* Only `match` has to be kept. */
	req = scgi_request("REQUEST_METHOD", "GET", "SCRIPT_NAME", "/a/b", "REQUEST_URI", "/a%2Fb", NULL);
	assert_int_equal(sn_request_resolve(req, SN_PATH_AUTO, NULL, &reason), 0);
	assert_ptr_equal(req->path.path, sn_request_known(req, SN_P_SCRIPT_NAME));
	assert_memory_equal(req->path.match, "/a\xff" "b", 5);
	sn_request_unref(req);

	/* Longer than the buffer on the stack. */
	char uri[4002];
	memset(uri, 'x', sizeof(uri) - 1);
	memcpy(uri, "/%41/", 5);
	uri[sizeof(uri) - 1] = '\0';
	req = scgi_request("REQUEST_METHOD", "GET", "REQUEST_URI", uri, NULL);
	assert_int_equal(sn_request_resolve(req, SN_PATH_AUTO, "", &reason), 0);
	assert_int_equal(req->path.len, sizeof(uri) - 3);
	assert_memory_equal(req->path.path, "/A/xx", 5);
	sn_request_unref(req);
}

static void
test_values(void **state)
{
	(void)state;
	struct sn_request *req = scgi_request("REQUEST_METHOD", "GET", NULL);
	struct sn_value values[2] = { { 1, 2 }, { 4, 3 } };
	assert_int_equal(sn_request_set_values(req, values, 0), 0);
	assert_null(req->values);
	assert_int_equal(sn_request_set_values(req, values, 2), 0);
	values[1].len = 99;
	assert_int_equal(req->nvalues, 2);
	assert_int_equal(req->values[1].len, 3);
	sn_request_unref(req);
}

static void
test_arena(void **state)
{
	(void)state;
	struct sn_arena *a = NULL;
	char *p[200];
	for (size_t i = 0; i < SN_COUNT(p); i++) {
		p[i] = sn_arena_alloc(&a, i);
		assert_non_null(p[i]);
		assert_int_equal((uintptr_t)p[i] % _Alignof(max_align_t), 0);
		memset(p[i], (int)i, i);
	}
	assert_non_null(sn_arena_alloc(&a, 100000));
	assert_null(sn_arena_alloc(&a, SIZE_MAX));
	assert_null(sn_arena_alloc(&a, SIZE_MAX / 2 + 1));
	for (size_t i = 0; i < SN_COUNT(p); i++)
		for (size_t j = 0; j < i; j++)
			assert_int_equal((uint8_t)p[i][j], i);
	sn_arena_free(a);
	sn_arena_free(NULL);
}

static int released, json_freed;

static void
on_release(void *owner)
{
	assert_int_equal(json_freed, 1); /* the request has gone before */
	*(int *)owner = ++released;
}

static void
on_json_free(struct json_object *obj)
{
	assert_ptr_equal(obj, (struct json_object *)&json_freed);
	json_freed++;
}

static void
test_last_reference(void **state)
{
	(void)state;
	static const struct sn_sink_ops ops = { .release = on_release };
	int owner = 0;
	struct sn_request *req = scgi_request("REQUEST_METHOD", "GET", NULL);
	req->sink = &ops;
	req->owner = &owner;
	req->json = (struct json_object *)&json_freed;
	req->json_free = on_json_free;
	assert_int_equal(sn_body_append(&req->body, "abc", 3, 1, NULL), 0); /* spooled */
	assert_non_null(sn_arena_alloc(&req->arena, 10));
	assert_false(sn_request_marked(req));
	atomic_fetch_or(&req->marks, SN_MARK_GONE);
	assert_true(sn_request_marked(req));
	atomic_store(&req->marks, SN_MARK_STARTED);
	assert_false(sn_request_marked(req));
	assert_ptr_equal(sn_request_ref(req), req);
	sn_request_unref(req);
	assert_int_equal(owner, 0);
	sn_request_unref(req);
	assert_int_equal(owner, 1);
	assert_int_equal(json_freed, 1);
}

/* Executor and I/O thread agree on whether it ran. */
static void
test_turns(void **state)
{
	(void)state;
	struct sn_request *req = scgi_request("REQUEST_METHOD", "GET", NULL);
	req->queued_ms = 100;
	assert_int_equal(sn_request_begin(req, 200, 100), 0);
	assert_int_equal(req->started_ms, 200);
	assert_int_equal(atomic_load(&req->marks), SN_MARK_STARTED);
	assert_false(sn_request_expire(req)); /* too late */
	assert_false(sn_request_marked(req));

	atomic_store(&req->marks, 0);
	assert_int_equal(sn_request_begin(req, 201, 100), SN_EAGAIN);
	assert_true(sn_request_marked(req));
	assert_int_equal(sn_request_begin(req, 201, 100), SN_EGONE); /* the caller has answered */

	atomic_store(&req->marks, 0);
	assert_true(sn_request_expire(req));
	assert_int_equal(sn_request_begin(req, 150, 0), SN_EGONE);

	atomic_store(&req->marks, SN_MARK_GONE);
	assert_false(sn_request_expire(req));
	assert_int_equal(sn_request_begin(req, 1000, 1), SN_EGONE);
	sn_request_unref(req);
}

static struct sn_request *
build_reusing(size_t value, struct sn_request_reuse *reuse)
{
	static char src[20000] = "\x0e\x03REQUEST_METHODGET\x01";
	struct sn_request *req;
	int fault;
	size_t at = 2 + 14 + 3 + 1;
	src[at++] = (char)(0x80 | value >> 24);
	src[at++] = (char)(value >> 16);
	src[at++] = (char)(value >> 8);
	src[at++] = (char)value;
	src[at++] = 'X';
	memset(src + at, 'v', value);
	assert_int_equal(sn_request_build(&req, SN_FORM_FCGI, (const uint8_t *)src, at + value, 8, reuse, &fault), 0);
	return req;
}

/* The latest request's memory is the next one's, if it is not much too large: odd ones in between, and
 * those that cannot be built, change nothing for long. */
static void
test_reuse(void **state)
{
	(void)state;
	struct sn_request_reuse reuse = { .block = NULL };
	int fault;
	void *was;
	struct sn_request *req = build_reusing(1000, &reuse), *other;

	sn_request_unref_into(was = req, &reuse);
	assert_ptr_equal(reuse.block, was);
	req = build_reusing(900, &reuse); /* a little smaller */
	assert_ptr_equal(req, was);
	assert_null(reuse.block);
	other = build_reusing(900, &reuse);
	assert_ptr_not_equal(other, was);
	sn_request_unref_into(other, &reuse);
	sn_request_unref_into(req, &reuse); /* the latest */
	assert_ptr_equal(reuse.block, was);

	req = build_reusing(10, &reuse); /* too small for it: a block of its own, which is kept then */
	assert_ptr_not_equal(req, was);
	sn_request_unref_into(was = req, &reuse);
	assert_ptr_equal(reuse.block, was);
	req = build_reusing(1000, &reuse);
	sn_request_unref_into(was = req, &reuse);
	assert_ptr_equal(reuse.block, was);

	req = build_reusing(15000, &reuse); /* larger than any usual one */
	sn_request_unref_into(req, &reuse);
	assert_ptr_equal(reuse.block, was);

	uint8_t bad[1000] = { 1 }; /* its second name is empty */
	bad[2] = 'N';
	assert_int_equal(sn_request_build(&req, SN_FORM_FCGI, bad, sizeof(bad), 8, &reuse, &fault), SN_EINVAL);
	assert_ptr_equal(reuse.block, was);
	req = build_reusing(1000, &reuse);
	assert_ptr_equal(req, was);
	sn_request_ref(req);
	sn_request_unref_into(req, &reuse); /* not the last */
	assert_null(reuse.block);
	sn_request_unref(req);
	sn_request_reuse_free(&reuse);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_build),          cmocka_unit_test(test_build_fcgi),
		cmocka_unit_test(test_tiny_pairs),     cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_content_length), cmocka_unit_test(test_wants_json),
		cmocka_unit_test(test_resolve),        cmocka_unit_test(test_values),
		cmocka_unit_test(test_arena),          cmocka_unit_test(test_last_reference),
		cmocka_unit_test(test_turns),          cmocka_unit_test(test_reuse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
