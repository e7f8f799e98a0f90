/* SPDX-License-Identifier: MIT
 *
 * The SCGI codec: the same events at every split, every fault, and what the
 * protocol asks of the parameters.
 */
#include "cm.h"

#include <stdio.h>

#include "wire_drive.h"

struct options {
	enum drive_release release;
	bool refuse;
	uint64_t expect;
};

static void
run(struct drive *d, const struct options *o, const char *data, size_t len, size_t at, size_t piece)
{
	drive_init(d, &sn_wire_scgi);
	d->limits.params = 50;
	d->release = o->release;
	d->refuse = o->refuse;
	d->expect = o->expect;
	drive_pieces(d, (const uint8_t *)data, at, piece);
	drive_pieces(d, (const uint8_t *)data + at, len - at, piece);
}

static void
expect_events(const char *data, const struct options *o, const char *want)
{
	size_t len = strlen(data);
	struct drive d;
	for (size_t piece = 0; piece < 9; piece++)
		for (size_t at = 0; at <= len; at++) {
			run(&d, o, data, len, at, piece);
			if (strcmp(drive_log(&d), want) != 0)
				fail_msg("'%s' at %zu, pieces of %zu:\n%s\ninstead of\n%s", data, at, piece,
				         drive_log(&d), want);
			drive_free(&d);
		}
}

static void
test_request(void **state)
{
	(void)state;
	expect_events("5:abcde,body", &(struct options){ .release = RELEASE_AT_END, .expect = 4 },
	              "B1\nP1 6162636465\nE1\nD1 626f6479\nF1");
	expect_events("5:abcde,bodyextra",
	              &(struct options){ .release = RELEASE_NEVER, .expect = 4 },
	              "B1\nP1 6162636465\nE1\nD1 626f6479\nF1");
	expect_events("5:abcde,", &(struct options){ .release = RELEASE_NEVER, .expect = 0 },
	              "B1\nP1 6162636465\nE1\nF1");
	expect_events("0:,x", &(struct options){ .release = RELEASE_NEVER, .expect = 0 },
	              "B1\nE1\nF1");
	expect_events("5:abcde,bo", &(struct options){ .release = RELEASE_NEVER, .expect = 4 },
	              "B1\nP1 6162636465\nE1\nD1 626f");
}

static void
test_released_or_refused(void **state)
{
	(void)state;
	expect_events("5:abcde,body", &(struct options){ .release = RELEASE_AT_PARAMS, .expect = 4 },
	              "B1\nP1 6162636465\nE1");
	expect_events("5:abcde,body", &(struct options){ .release = RELEASE_AT_BEGIN, .expect = 4 },
	              "B1");
	expect_events("5:abcde,body", &(struct options){ .refuse = true }, "B1 refused ");
}

static void
test_faults(void **state)
{
	(void)state;
	static const struct options o = { .release = RELEASE_NEVER, .expect = 4 };
	expect_events("GET / HTTP/1.0\r\n", &o, "X4");
	expect_events(":x", &o, "X4");
	expect_events("5x", &o, "X4");
	expect_events("-1:", &o, "X4");
	expect_events("05:abcde,", &o, "X4");
	expect_events("00:,", &o, "X4");
	expect_events("12345678901:", &o, "X3");
	expect_events("3:abcX", &o, "B1\nP1 616263\nX4");
	expect_events("0:X", &o, "B1\nX4");
	/* Over the limit: the request begins, so that somebody can answer 431. */
	expect_events("51:aaaaaaaa", &o, "B1\nX5");
	expect_events("9999999999:a", &o, "B1\nX5");
	expect_events("50:aaaa", &o, "B1\nP1 61616161");
}

/* A connection that does not want the body never says how long it is. */
static void
test_body_not_asked_for(void **state)
{
	(void)state;
	struct sn_wire w;
	struct sn_wire_stream stream;
	struct sn_wire_event ev;
	const struct sn_wire_limits limits = { .params = 50 };
	const uint8_t *p = (const uint8_t *)"1:a,body";
	sn_wire_init(&w, &sn_wire_scgi);
	assert_true(w.ops->between(&w));
	p += w.ops->feed(&w, &limits, p, 8, &ev);
	assert_int_equal(ev.type, SN_WIRE_BEGIN);
	assert_false(ev.keep);
	w.ops->accept(&w, &stream, ev.id);
	assert_true(w.ops->receiving(&stream));
	assert_false(w.ops->between(&w));
	p += w.ops->feed(&w, &limits, p, 6, &ev);
	assert_int_equal(ev.type, SN_WIRE_PARAMS);
	p += w.ops->feed(&w, &limits, p, 5, &ev);
	assert_int_equal(ev.type, SN_WIRE_PARAMS_END);
	assert_int_equal(w.ops->feed(&w, &limits, p, 4, &ev), 4);
	assert_int_equal(ev.type, SN_WIRE_MORE);
	assert_true(w.ops->receiving(&stream));
	w.ops->release(&w, &stream);
	assert_int_equal(w.ops->feed(&w, &limits, p, 4, &ev), 4);
	assert_int_equal(ev.type, SN_WIRE_MORE);
}

static void
test_check(void **state)
{
	(void)state;
	static const struct {
		const char *block;
		size_t len;
		int status;
	} rows[] = {
#define ROW(text, status) { text, sizeof(text) - 1, status }
		ROW("CONTENT_LENGTH\0000\0SCGI\0001\0REQUEST_METHOD\0GET\0", 0),
		ROW("CONTENT_LENGTH\00012\0REQUEST_METHOD\0GET\0SCGI\0001\0", 0),
		ROW("SCGI\0001\0CONTENT_LENGTH\0000\0REQUEST_METHOD\0GET\0", 400),
		ROW("REQUEST_METHOD\0GET\0SCGI\0001\0", 400),
		ROW("CONTENT_LENGTH\0\0SCGI\0001\0REQUEST_METHOD\0GET\0", 400),
		ROW("CONTENT_LENGTH\0x\0SCGI\0001\0REQUEST_METHOD\0GET\0", 400),
		ROW("CONTENT_LENGTH\0000\0REQUEST_METHOD\0GET\0", 400),
		ROW("CONTENT_LENGTH\0000\0SCGI\0002\0REQUEST_METHOD\0GET\0", 400),
		ROW("CONTENT_LENGTH\0000\0SCGI\00011\0REQUEST_METHOD\0GET\0", 400),
		ROW("CONTENT_LENGTH\0000\0SCGX\0001\0REQUEST_METHOD\0GET\0", 400),
#undef ROW
	};
	for (size_t i = 0; i < SN_COUNT(rows); i++) {
		struct sn_request *req;
		const char *reason = NULL;
		int fault;
		assert_int_equal(sn_request_build(&req, SN_FORM_SCGI, (const uint8_t *)rows[i].block,
		                                  rows[i].len, 9, NULL, &fault),
		                 0);
		assert_int_equal(sn_wire_scgi.check(req, &reason), rows[i].status);
		assert_true((reason != NULL) == (rows[i].status != 0));
		assert_int_equal(sn_wire_fastcgi.check(req, &reason), 0);
		sn_request_unref(req);
	}
}

static void
test_frames(void **state)
{
	(void)state;
	uint8_t out[32];
	assert_int_equal(sn_wire_scgi.frame(out, 1, 1000), 0);
	assert_int_equal(sn_wire_scgi.end(out, 1, 0), 0);
	assert_true(sn_wire_scgi.frame_max >= 65536);
	assert_true(sn_wire_scgi.half_close_is_alive);
	assert_false(sn_wire_fastcgi.half_close_is_alive);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_released_or_refused),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_body_not_asked_for),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_frames),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
