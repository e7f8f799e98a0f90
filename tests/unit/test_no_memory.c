/* SPDX-License-Identifier: MIT
 *
 * Each allocation in turn fails, once and from then on, in everything that is built from
 * bytes, files and tables: it says so or does without, and leaves nothing behind, which
 * valgrind sees (make check-valgrind). The linker leads the library's calls here (--wrap); the C library's
 * and other libraries' own are spared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "cm.h"
#include "conf/conf.h"
#include "fake_sink.h"
#include "http/body.h"
#include "http/method.h"
#include "native/cgi_head.h"
#include "native/native.h"
#include "queue/ring.h"
#include "route/matcher.h"
#include "route/rule.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *s);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);
void *__wrap_aligned_alloc(size_t align, size_t size);

static long left = -1; /* counted down to the one that fails; -1: none does */
static bool ever_after;
static long failed;

static bool
fails(void)
{
	if (left < 0 || (left > 0 && --left > 0))
		return false;
	if (!ever_after)
		left = -1;
	failed++;
	return true;
}

void *
__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

char *
__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

void *
__wrap_aligned_alloc(size_t align, size_t size)
{
	return fails() ? NULL : __real_aligned_alloc(align, size);
}

/* `work` returns 0 when all was had, or an error; whatever it made it has to free. Some do
 * without what they do not get: those may succeed all the same. */
static void
walk(int (*work)(void))
{
	assert_int_equal(work(), 0);
	long most = 0;
	for (int after = 0; after < 2; after++) {
		long n = 0, before;
		do {
			ever_after = after;
			before = failed;
			left = ++n;
			int rc = work();
			left = -1;
			assert_in_range(-rc, 0, -SN_EPYTHON);
			assert_true(n < 20000);
		} while (failed > before);
		most = n > most ? n : most;
	}
	assert_true(most > 1); /* it allocates something */
	assert_int_equal(work(), 0);
}

/* ---- the configuration -------------------------------------------------------------- */

static int
configure(void)
{
	struct sn_why why;
	struct sn_conf *c = sn_conf_new();
	int rc = c ? 0 : SN_ENOMEM;
	if (rc == 0)
		rc = sn_conf_set(c, "python.dir", "/nowhere", "option", &why);
	if (rc == 0)
		rc = sn_conf_add(c, "python.modules", "a", "option", &why);
	if (rc == 0)
		rc = sn_conf_set(c, "limits.body", "1 MiB", "option", &why);
	if (rc == 0)
		rc = sn_conf_listen(c, "scgi:[::1]:9000", "option", &why);
	if (rc == 0)
		rc = sn_conf_listen(c, "unix:run/a.sock", "option", &why);
	if (rc == 0)
		rc = sn_conf_finish(c, &why);
	sn_conf_free(c);
	return rc;
}

static char conf_file[] = "/tmp/test_no_memory.XXXXXX";

static int
read_file(void)
{
	struct sn_why why = { "" }, warnings = { "" };
	struct sn_conf *c = sn_conf_new();
	int rc = c ? sn_conf_load(c, conf_file, &why, &warnings) : SN_ENOMEM;
	if (rc == 0)
		rc = sn_conf_finish(c, &why);
	sn_conf_free(c);
	return rc;
}

static void
test_configuration(void **state)
{
	(void)state;
	static const char text[] =
		"listen = ( { address = \"unix:/run/a.sock\"; group = \"g\"; },\n"
		"  { protocol = \"scgi\"; address = \"127.0.0.1:9\"; allow = [ \"10.0.0.0/8\", \"::1\" ]; prefix = \"/a\"; } );\n"
		"python = { dir = \"app\"; modules = [ \"a\", \"b\" ]; venv = \"v\"; };\n"
		"limits = { body = \"2 MiB\"; headers = 20; }; timeouts = { read = 5; queue = 0.5; };\n"
		"log = { level = \"debug\"; file = \"x.log\"; };\n";
	walk(configure);
	int fd = mkstemp(conf_file);
	assert_true(fd >= 0 && write(fd, text, sizeof(text) - 1) == (ssize_t)(sizeof(text) - 1));
	close(fd);
	walk(read_file);
	unlink(conf_file);
}

/* ---- routes ---------------------------------------------------------------------------- */

static int
rules(void)
{
	static const struct sn_endpoint e[] = {
		{ .rule = "/", .methods = SN_METHOD_GET },
		{ .rule = "/users/<int:id>", .methods = SN_METHOD_GET },
		{ .rule = "/users/<name>", .methods = SN_METHOD_GET },
		{ .rule = "/users/<name>/<float:x>-<y>.<z>", .methods = SN_METHOD_GET },
		{ .rule = "/files/<path:p>", .methods = SN_METHOD_GET },
		{ .rule = "/files/<path:p>/edit", .methods = SN_METHOD_GET },
		{ .rule = "/a", .methods = SN_METHOD_GET }, { .rule = "/b", .methods = SN_METHOD_GET },
		{ .rule = "/c", .methods = SN_METHOD_GET }, { .rule = "/d/<uuid:u>", .methods = SN_METHOD_GET },
	};
	struct sn_matcher *m = NULL;
	struct sn_match match;
	struct sn_why why;
	int rc = sn_matcher_new(&m, e, sizeof(e) / sizeof(e[0]), &why);
	if (rc == 0) {
		static const char many[] = "/users/n/1.5-a-b-c-d-e-f-g.h.i.j.k";
		(void)sn_matcher_find(m, many, sizeof(many) - 1, SN_METHOD_GET, &match);
		(void)sn_matcher_find(m, "/files/a/b/edit", 15, SN_METHOD_GET, &match);
	}
	sn_matcher_free(m);
	return rc;
}

static int
hello(sn_request *req, sn_response *res)
{
	(void)req;
	return sn_response_puts(res, "hello");
}

static int
natives(void)
{
	static const sn_route routes[] = {
		{ .rule = "/a", .handler = hello, .name = "a" },
		{ .rule = "/b/<n>", .handler = hello, .methods = "POST, PUT" },
		{ .rule = NULL },
	};
	struct sn_why why;
	struct sn_native *n = sn_native_new();
	int rc = n ? 0 : SN_ENOMEM;
	for (int i = 0; rc == 0 && i < 5; i++)
		rc = sn_native_add(n, routes, &why);
	sn_native_free(n);
	return rc;
}

static void
test_routes(void **state)
{
	(void)state;
	walk(rules);
	walk(natives);
}

/* ---- requests and responses --------------------------------------------------------------- */

static int
request(void)
{
	static const uint8_t params[] =
		"\x0e\x04REQUEST_METHODPOST\x0b\x0aREQUEST_URI/a%20b?c=d\x0c\x03QUERY_STRINGc=d"
		"\x0b\x09HTTP_ACCEPTtext/html\x0b\x07HTTP_COOKIEa=b;c=d";
	static const struct sn_value values[] = { { 1, 1 }, { 3, 1 } };
	struct sn_request *req = NULL;
	struct json_object *json = NULL;
	const char *reason;
	char big[3000];
	int fault, rc = sn_request_build(&req, SN_FORM_FCGI, params, sizeof(params) - 1, 8, NULL, &fault);
	if (rc < 0)
		return rc;
	memset(big, 'x', sizeof(big));
	rc = sn_request_resolve(req, SN_PATH_AUTO, "", &reason) ? SN_ENOMEM : 0;
	if (rc == 0)
		rc = sn_request_set_values(req, values, 2);
	if (rc == 0)
		rc = sn_request_alloc(req, 100) && sn_request_alloc(req, 9000) ? 0 : SN_ENOMEM;
	if (rc == 0)
		rc = sn_body_append(&req->body, "[1, 2", 5, 1000, NULL);
	if (rc == 0)
		rc = sn_body_append(&req->body, ", 3]", 4, 1000, NULL);
	if (rc == 0)
		rc = sn_request_query(req, "c") ? 0 : SN_ENOMEM;
	if (rc == 0 && !(json = sn_request_json(req)))
		rc = SN_ENOMEM;
	if (rc == 0) /* into a file */
		rc = sn_body_append(&req->body, big, sizeof(big), 1000, NULL);
	sn_request_unref(req);
	return rc;
}

static int
response(void)
{
	struct sn_response res;
	struct sn_buf out;
	char name[16], text[400];
	int rc = 0;
	memset(text, 'v', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	sn_buf_init(&out, NULL, 0);
	sn_response_init(&res, NULL, NULL, 0, NULL, 0);
	for (int i = 0; rc == 0 && i < 8; i++) {
		snprintf(name, sizeof(name), "X-%d", i);
		rc = sn_response_header(&res, name, text);
	}
	if (rc == 0)
		rc = sn_response_printf(&res, "%s%s%s", text, text, text);
	if (rc == 0)
		rc = sn_response_head(&res, &out);
	if (rc == 0)
		rc = sn_response_error_page(&res, 500, "a <text>\n\"of\" & lines");
	sn_buf_free(&out);
	sn_response_free(&res);
	return rc;
}

static int
cgi_head(void)
{
	static const char text[] = "Status: 404 Not Found\r\nX-A: 1\r\nContent-Type: a/b\r\n\r\nbody";
	struct sn_response res;
	struct sn_cgi_head head;
	struct sn_why why;
	int rc = 0;
	sn_response_init(&res, NULL, NULL, 0, NULL, 0);
	sn_cgi_head_init(&head, 512);
	for (size_t at = 0, used = 0; rc == 0 && !head.done && at < sizeof(text) - 1; at += used)
		rc = sn_cgi_head_feed(&head, &res, text + at, at ? sizeof(text) - 1 - at : 30, &used, &why);
	sn_cgi_head_free(&head);
	sn_response_free(&res);
	return rc;
}

static int
native_call(void)
{
	static const sn_route routes[] = { { .rule = "/a", .handler = hello }, { .rule = NULL } };
	struct sn_response res;
	struct sn_why why;
	struct sn_native *n = sn_native_new();
	int rc = n ? sn_native_add(n, routes, &why) : SN_ENOMEM;
	if (rc == 0) {
		size_t count;
		long saved = left;
		left = -1; /* the request is not what is tried here */
		struct sn_request *req = fake_request(NULL, "GET", "/a", NULL);
		left = saved;
		req->endpoint = sn_native_endpoints(n, &count);
		sn_response_init(&res, req, NULL, 0, NULL, 0);
		int called = sn_native_call(req, &res);
		int status = sn_response_final_status(&res);
		assert_true(status == 200 || status == 500 || status == 503);
		rc = called < 0 ? called : status == 200 ? 0 : SN_ENOMEM;
		sn_response_free(&res);
		sn_request_unref(req);
	}
	sn_native_free(n);
	return rc;
}

static void
test_requests(void **state)
{
	(void)state;
	walk(request);
	walk(response);
	walk(cgi_head);
	walk(native_call);
}

static int
ring(void)
{
	struct sn_ring *r = sn_ring_new(100);
	sn_ring_free(r);
	return r ? 0 : SN_ENOMEM;
}

static void
test_ring(void **state)
{
	(void)state;
	walk(ring);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_configuration),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_ring),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
