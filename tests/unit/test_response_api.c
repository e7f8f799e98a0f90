/* SPDX-License-Identifier: MIT
 *
 * Answers built by native handlers, and sn_response_send() against a sink
 * that has no room, gets room from another thread, or loses its peer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "fake_sink.h"
#include "native/native.h"

struct fixture {
	struct fake_sink sink;
	struct sn_request *req;
	struct sn_response res;
};

static void
begin_method(struct fixture *f, const char *method)
{
	fake_sink_init(&f->sink);
	f->req = fake_request(&f->sink, method, "/", NULL);
	sn_response_init(&f->res, f->req, NULL, 0, NULL, 0);
}

static void
begin(struct fixture *f)
{
	begin_method(f, "GET");
}

static void
end(struct fixture *f)
{
	sn_response_free(&f->res);
	sn_request_unref(f->req);
	assert_int_equal(f->sink.released, 1);
	fake_sink_free(&f->sink);
}

static void
test_status_and_headers(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f);
	assert_int_equal(sn_response_status(&f.res, 201), 0);
	assert_int_equal(sn_response_status(&f.res, 199), SN_EINVAL);
	assert_int_equal(sn_response_status(&f.res, 600), SN_EINVAL);
	assert_int_equal(sn_response_header(&f.res, "X-A", "1"), 0);
	assert_int_equal(sn_response_header(&f.res, "X-A\r\nX-B", "1"), SN_EINVAL);
	assert_int_equal(sn_response_header(&f.res, "X-A", "1\r\nSet-Cookie: a"), SN_EINVAL);
	assert_int_equal(sn_response_header(&f.res, "X-A", "1\nb"), SN_EINVAL);
	assert_int_equal(sn_response_header(&f.res, "", "1"), SN_EINVAL);
	assert_int_equal(sn_response_header(&f.res, NULL, "1"), SN_EINVAL);
	assert_int_equal(sn_response_header(&f.res, "X-A", NULL), SN_EINVAL);
	assert_int_equal(sn_response_header(&f.res, "Content-Length", "1"), SN_EINVAL);
	assert_int_equal(sn_response_header(&f.res, "transfer-encoding", "chunked"), SN_EINVAL);
	assert_int_equal(sn_response_header(&f.res, "Status", "200"), SN_EINVAL);
	assert_int_equal(sn_response_type(&f.res, "text/csv"), 0);
	assert_int_equal(sn_response_type(&f.res, "text/plain"), 0);
	assert_int_equal(sn_response_puts(&f.res, "x"), 0);
	assert_int_equal(f.req->sink->respond(f.req, &f.res), 0);
	assert_int_equal(f.sink.status, 201);
	assert_string_equal(fake_sink_header(&f.sink, "x-a"), "1");
	assert_string_equal(fake_sink_header(&f.sink, "content-type"), "text/plain");
	assert_null(strstr(f.sink.head.data, "text/csv"));
	end(&f);
}

static void
test_head_limit(void **state)
{
	(void)state;
	struct fixture f;
	char big[SN_HEAD_LIMIT];
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	begin(&f);
	assert_int_equal(sn_response_header(&f.res, "X-Big", big), SN_ELIMIT);
	int n = 0;
	while (sn_response_header(&f.res, "X-Many", "0123456789") == 0)
		n++;
	assert_in_range(n, 100, SN_HEAD_LIMIT / 20);
	end(&f);
}

static void
test_body(void **state)
{
	(void)state;
	struct fixture f;
	char big[5000];
	memset(big, 'y', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	begin(&f);
	assert_int_equal(sn_response_final_status(&f.res), 204);
	assert_int_equal(sn_response_puts(&f.res, ""), 0);
	assert_int_equal(sn_response_final_status(&f.res), 200);
	assert_int_equal(sn_response_write(&f.res, "a\0b", 3), 0);
	assert_int_equal(sn_response_printf(&f.res, "%d-%s", 7, big), 0);
	assert_int_equal(sn_response_printf(&f.res, "%s", ""), 0);
	assert_int_equal(f.res.body.len, 3 + 2 + 4999);
	assert_memory_equal(f.res.body.data, "a\0b7-yyy", 8);
	assert_int_equal(f.res.body.data[f.res.body.len - 1], 'y');
	end(&f);
}

static void
test_json(void **state)
{
	(void)state;
	struct fixture f;
	struct json_object *obj = json_object_new_object();
	json_object_object_add(obj, "a/b", json_object_new_string("\xc3\xbc/"));
	json_object_object_add(obj, "n", json_object_new_int(3));
	json_object_object_add(obj, "z", NULL);

	begin(&f);
	assert_int_equal(sn_response_json(&f.res, obj), 0);
	assert_int_equal(f.req->sink->respond(f.req, &f.res), 0);
	assert_string_equal(f.sink.body.data, "{\"a/b\":\"\xc3\xbc/\",\"n\":3,\"z\":null}");
	assert_string_equal(fake_sink_header(&f.sink, "Content-Type"), "application/json");
	end(&f);

	begin(&f);
	assert_int_equal(sn_response_json(&f.res, NULL), 0);
	assert_int_equal(f.res.body.len, 4);
	assert_memory_equal(f.res.body.data, "null", 4);
	assert_int_equal(sn_response_json(&f.res, obj), SN_EINVAL); /* two values are no JSON */
	end(&f);

	/* What would not be JSON is refused, at any depth. */
	struct json_object *list = json_object_new_array();
	json_object_array_add(list, json_object_new_double(NAN));
	json_object_object_add(obj, "list", list);
	begin(&f);
	assert_int_equal(sn_response_json(&f.res, obj), SN_EINVAL);
	assert_int_equal(f.res.body.len, 0);
	json_object_object_del(obj, "list");
	json_object_object_add(obj, "latin", json_object_new_string("\xfc"));
	assert_int_equal(sn_response_json(&f.res, obj), SN_EINVAL);
	end(&f);
	json_object_put(obj);
}

static void
test_error(void **state)
{
	(void)state;
	struct fixture f;
	char big[3000];
	memset(big, 'z', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	begin(&f);
	sn_response_puts(&f.res, "half");
	sn_response_header(&f.res, "Retry-After", "5");
	assert_int_equal(sn_response_error(&f.res, 503, "no %s left: %s", "ink", big), 0);
	assert_int_equal(f.req->sink->respond(f.req, &f.res), 0);
	assert_int_equal(f.sink.status, 503);
	assert_non_null(strstr(f.sink.body.data, "no ink left: zzz"));
	assert_null(strstr(f.sink.body.data, "half"));
	assert_true(f.sink.body.len > 3000);
	assert_string_equal(fake_sink_header(&f.sink, "Retry-After"), "5");
	end(&f);

	begin(&f);
	assert_int_equal(sn_response_error(&f.res, 200, NULL), 0);
	assert_int_equal(f.res.status, 500);
	end(&f);
}

struct counter {
	int left, done;
};

static ssize_t
pull_digits(void *arg, void *buf, size_t size)
{
	struct counter *c = arg;
	assert_true(size >= 1);
	if (c->left <= 0)
		return c->left;
	*(char *)buf = (char)('0' + c->left--);
	return 1;
}

static void
pull_over(void *arg)
{
	((struct counter *)arg)->done++;
}

static void
test_pull(void **state)
{
	(void)state;
	struct fixture f;
	struct counter c = { 5, 0 };

	begin(&f);
	assert_int_equal(sn_response_pull(&f.res, -2, pull_digits, pull_over, &c), SN_EINVAL);
	assert_int_equal(sn_response_pull(&f.res, 5, NULL, pull_over, &c), SN_EINVAL);
	assert_int_equal(sn_response_pull(&f.res, 5, pull_digits, pull_over, &c), 0);
	assert_int_equal(sn_response_pull(&f.res, 5, pull_digits, pull_over, &c), SN_EINVAL);
	assert_int_equal(sn_response_puts(&f.res, "x"), SN_EINVAL);
	assert_int_equal(sn_response_printf(&f.res, "x"), SN_EINVAL);
	assert_int_equal(sn_response_json(&f.res, NULL), SN_EINVAL);
	assert_int_equal(f.req->sink->respond(f.req, &f.res), 0);
	assert_string_equal(f.sink.body.data, "54321");
	assert_string_equal(fake_sink_header(&f.sink, "Content-Length"), "5");
	end(&f);
	assert_int_equal(c.done, 1);

	/* Never pulled, still done: also when an error takes its place. */
	c = (struct counter){ 5, 0 };
	begin(&f);
	assert_int_equal(sn_response_pull(&f.res, -1, pull_digits, pull_over, &c), 0);
	end(&f);
	assert_int_equal(c.done, 1);
	begin(&f);
	assert_int_equal(sn_response_pull(&f.res, -1, pull_digits, pull_over, &c), 0);
	assert_int_equal(sn_response_error(&f.res, 404, "gone"), 0);
	assert_int_equal(c.done, 2);
	assert_null(f.res.pull);
	end(&f);
	assert_int_equal(c.done, 2);
	begin(&f);
	assert_int_equal(sn_response_puts(&f.res, "x"), 0);
	assert_int_equal(sn_response_pull(&f.res, -1, pull_digits, pull_over, &c), SN_EINVAL);
	end(&f);
	assert_int_equal(c.done, 2);
}

/* ---- sn_response_send ------------------------------------------------------------ */

static void
test_send_refused(void **state)
{
	(void)state;
	struct fixture f;
	struct counter c = { 0, 0 };
	begin(&f);
	assert_int_equal(sn_response_send(&f.res, "x", 1), SN_EINVAL); /* no blocking thread */
	f.res.can_send = true;
	assert_int_equal(sn_response_pull(&f.res, -1, pull_digits, pull_over, &c), 0);
	assert_int_equal(sn_response_send(&f.res, "x", 1), SN_EINVAL);
	end(&f);
	assert_int_equal(f.sink.starts, 0);
}

enum { CHUNK = 600000, CHUNKS = 3 };

static int
send_much(sn_request *req, sn_response *res)
{
	(void)req;
	static char chunk[CHUNK];
	memset(chunk, 'c', sizeof(chunk));
	sn_response_status(res, 202);
	sn_response_type(res, "text/plain");
	sn_response_puts(res, "before ");
	for (int i = 0; i < CHUNKS; i++) {
		int rc = sn_response_send(res, chunk, sizeof(chunk));
		if (rc < 0)
			return rc;
		/* The head has gone. */
		assert_int_equal(sn_response_status(res, 200), SN_EINVAL);
		assert_int_equal(sn_response_header(res, "X-Late", "1"), SN_EINVAL);
		assert_int_equal(sn_response_puts(res, "x"), SN_EINVAL);
		assert_int_equal(sn_response_error(res, 500, "late"), SN_EINVAL);
	}
	return 0;
}

static int
send_and_fail(sn_request *req, sn_response *res)
{
	(void)req;
	assert_int_equal(sn_response_send(res, "part", 4), 0);
	return 500;
}

static int
send_head_only(sn_request *req, sn_response *res)
{
	(void)req;
	return sn_response_send(res, NULL, 0);
}

/* Sends until it is told that nobody reads, and looks away. */
static int
send_for_ever(sn_request *req, sn_response *res)
{
	(void)req;
	while (sn_response_send(res, "0123456789", 10) == 0)
		;
	assert_int_equal(sn_response_send(res, "x", 1), SN_EGONE);
	return 0;
}

struct caller {
	struct fixture *f;
	struct sn_endpoint ep;
	sn_route route;
	pthread_t thread;
	int rc;
};

static void *
run_call(void *arg)
{
	struct caller *c = arg;
	c->f->req->endpoint = &c->ep;
	c->f->res.can_send = true;
	c->rc = sn_native_call(c->f->req, &c->f->res);
	return NULL;
}

static void
caller_init(struct caller *c, struct fixture *f, sn_handler *handler)
{
	*c = (struct caller){ .f = f };
	c->route = (sn_route){ .rule = "/", .handler = handler, .flags = SN_BLOCKING };
	c->ep = (struct sn_endpoint){ .rule = "/", .target = &c->route, .name = "sender" };
}

static void
test_send_back_pressure(void **state)
{
	(void)state;
	struct fixture f;
	struct caller c;
	int stuck = 0;
	begin(&f);
	f.sink.room = 70000;
	caller_init(&c, &f, send_much);
	assert_int_equal(pthread_create(&c.thread, NULL, run_call, &c), 0);
	while (fake_sink_wait_stuck(&f.sink, 5000)) {
		/* What lies there is bounded, whatever the handler hands over. */
		assert_true(f.sink.untaken <= f.sink.room + 65536);
		stuck++;
		fake_sink_drain(&f.sink);
	}
	pthread_join(c.thread, NULL);
	assert_int_equal(c.rc, SN_EGONE);
	assert_true(stuck >= 5);
	assert_int_equal(f.sink.starts, 1);
	assert_int_equal(f.sink.finishes, 1);
	assert_int_equal(f.sink.cuts, 0);
	assert_int_equal(f.sink.status, 202);
	assert_int_equal(f.sink.length, -1);
	assert_null(fake_sink_header(&f.sink, "Content-Length"));
	assert_int_equal(f.sink.body.len, CHUNK * CHUNKS + 7);
	assert_memory_equal(f.sink.body.data, "before ccc", 10);
	end(&f);
}

static void
call(struct fixture *f, sn_handler *handler)
{
	struct caller c;
	caller_init(&c, f, handler);
	run_call(&c);
	assert_int_equal(c.rc, SN_EGONE);
}

static void
test_send_ends(void **state)
{
	(void)state;
	struct fixture f;
	begin(&f);
	call(&f, send_and_fail);
	assert_int_equal(f.sink.cuts, 1);
	assert_int_equal(f.sink.finishes, 0);
	end(&f);

	begin(&f);
	call(&f, send_head_only);
	assert_int_equal(f.sink.status, 200);
	assert_int_equal(f.sink.finishes, 1);
	assert_int_equal(f.sink.body.len, 0);
	end(&f);

	begin_method(&f, "HEAD");
	call(&f, send_much);
	assert_int_equal(f.sink.status, 202);
	assert_int_equal(f.sink.finishes, 1);
	assert_int_equal(f.sink.body.len, 0);
	end(&f);
}

static void
test_send_gone(void **state)
{
	(void)state;
	struct fixture f;
	struct caller c;

	/* Before the head. */
	begin(&f);
	f.sink.gone = true;
	call(&f, send_for_ever);
	assert_int_equal(f.sink.starts, 0);
	assert_int_equal(f.sink.finishes + f.sink.cuts, 0);
	end(&f);

	/* While it waits for room. */
	begin(&f);
	f.sink.room = 100;
	caller_init(&c, &f, send_for_ever);
	assert_int_equal(pthread_create(&c.thread, NULL, run_call, &c), 0);
	assert_true(fake_sink_wait_stuck(&f.sink, 5000));
	fake_sink_go(&f.sink, f.req);
	pthread_join(c.thread, NULL);
	assert_int_equal(c.rc, SN_EGONE);
	assert_int_equal(f.sink.finishes + f.sink.cuts, 0);
	end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_and_headers), cmocka_unit_test(test_head_limit),
		cmocka_unit_test(test_body),               cmocka_unit_test(test_json),
		cmocka_unit_test(test_error),              cmocka_unit_test(test_pull),
		cmocka_unit_test(test_send_refused),       cmocka_unit_test(test_send_back_pressure),
		cmocka_unit_test(test_send_ends),          cmocka_unit_test(test_send_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
