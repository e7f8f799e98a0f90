/* SPDX-License-Identifier: MIT
 *
 * The FastCGI codec: every script of records is fed whole, at every single split
 * position, in pieces of every small size and in random pieces; the events
 * must be the same each time. See wire_drive.h for how they are written.
 */
#include <stdio.h>

#include "wire_records.h"

struct options {
	enum drive_release release;
	bool refuse;
	unsigned most; /* requests at once; 0: one */
};

static void
start(struct drive *d, const struct options *o)
{
	drive_init(d, &sn_wire_fastcgi);
	d->release = o->release;
	d->refuse = o->refuse;
	drive_multiplex(d, o->most ? o->most : 1);
}

static void
finish(struct drive *d, const char *want, const char *how, size_t n)
{
	if (strcmp(drive_log(d), want) != 0)
		fail_msg("%s %zu:\n%s\ninstead of\n%s", how, n, drive_log(d), want);
	drive_free(d);
}

static void
expect_events(const struct bytes *b, const struct options *o, const char *want)
{
	struct drive d;
	start(&d, o);
	drive_pieces(&d, b->data, b->len, 0);
	finish(&d, want, "whole", b->len);
	for (size_t at = 1; at < b->len && at < 600; at++) {
		start(&d, o);
		drive_pieces(&d, b->data, at, 0);
		drive_pieces(&d, b->data + at, b->len - at, 0);
		finish(&d, want, "split at", at);
	}
	for (size_t piece = 1; piece < 40; piece++) {
		start(&d, o);
		drive_pieces(&d, b->data, b->len, piece);
		finish(&d, want, "pieces of", piece);
	}
	srand(1);
	for (size_t round = 0; round < 50; round++) {
		start(&d, o);
		for (size_t at = 0, n; at < b->len; at += n) {
			n = (size_t)rand() % 50; /* 0 too: a feed of nothing changes nothing */
			if (n > b->len - at)
				n = b->len - at;
			drive_pieces(&d, b->data + at, n, 0);
		}
		finish(&d, want, "random", round);
	}
}

static const struct options plain = { RELEASE_AT_END, false, 1 };

static void
test_request(void **state)
{
	(void)state;
	struct bytes b = { .len = 0 };
	begin(&b, 1, 1, 1);
	record(&b, PARAMS, 1, "par");
	record(&b, PARAMS, 1, "ams");
	record(&b, PARAMS, 1, "");
	record(&b, STDIN, 1, "bo");
	record_n(&b, STDIN, 1, "dy", 2, 255);
	record(&b, STDIN, 1, "");
	expect_events(&b, &plain, "B1k\nP1 706172616d73\nE1\nD1 626f6479\nF1");
}

static void
test_kept_and_ids(void **state)
{
	(void)state;
	struct bytes b = { .len = 0 };
	static const uint16_t ids[] = { 1, 1, 65535, 256, 2 };
	for (size_t i = 0; i < SN_COUNT(ids); i++) {
		begin(&b, ids[i], 1, i % 2 == 0);
		record(&b, PARAMS, ids[i], "x");
		record_n(&b, PARAMS, ids[i], "", 0, 9);
		record_n(&b, STDIN, ids[i], "", 0, 1);
		record(&b, STDIN, ids[i], ""); /* an end too many is let pass */
	}
	expect_events(&b, &plain,
	              "B1k\nP1 78\nE1\nF1\nB1\nP1 78\nE1\nF1\nB65535k\nP65535 78\nE65535\nF65535\n"
	              "B256\nP256 78\nE256\nF256\nB2k\nP2 78\nE2\nF2");
}

static void
test_largest_records(void **state)
{
	(void)state;
	static uint8_t big[65535];
	static struct bytes b;
	struct drive d;
	size_t len = 0, n;
	uint8_t *all = malloc(3 * 65536 + 3 * 300);
	assert_non_null(all);
	memset(big, 'p', sizeof(big));
	begin(&b, 7, 1, 0);
	memcpy(all, b.data, len = b.len);
	for (int i = 0; i < 3; i++) {
		uint8_t head[8] = { 1, i < 2 ? PARAMS : STDIN, 0, 7, 0xff, 0xff, 255, 0 };
		memcpy(all + len, head, 8);
		memcpy(all + len + 8, big, 65535);
		memset(all + len + 8 + 65535, 'X', 255); /* padding may hold anything */
		len += 8 + 65535 + 255;
		if (i == 1) {
			uint8_t none[8] = { 1, PARAMS, 0, 7, 0, 0, 0, 0 };
			memcpy(all + len, none, 8);
			len += 8;
		}
	}
	start(&d, &plain);
	drive_pieces(&d, all, len, 1000);
	const char *log = drive_log(&d);
	assert_memory_equal(log, "B7\nP7 ", 6);
	n = strspn(log + 6, "70");
	assert_int_equal(n, 4 * 65535);
	assert_memory_equal(log + 6 + n, "\nE7\nD7 ", 7);
	assert_int_equal(strlen(log + 13 + n), 2 * 65535);
	drive_free(&d);
	free(all);
}

static void
test_second_request_is_refused(void **state)
{
	(void)state;
	struct bytes b = { .len = 0 };
	begin(&b, 1, 1, 1);
	begin(&b, 2, 1, 1);
	record(&b, PARAMS, 1, "a");
	record(&b, PARAMS, 2, "b");
	begin(&b, 3, 1, 1);
	record(&b, PARAMS, 1, "");
	record(&b, PARAMS, 2, "");
	record(&b, STDIN, 9, "never begun, but the connection is busy");
	record(&b, DATA, 9, "likewise");
	record(&b, STDIN, 1, "");
	record(&b, STDIN, 2, "");
	record(&b, STDIN, 3, "");
	record(&b, ABORT, 3, "");
	begin(&b, 3, 1, 0); /* now there is room */
	record(&b, PARAMS, 3, "c");
	expect_events(&b, &plain,
	              "B1k\nB2k refused 01030002000800000000000001000000\nP1 61\n"
	              "B3k refused 01030003000800000000000001000000\nE1\nF1\nB3\nP3 63");
}

/* Streams of several requests, a record of each in turn, down to records in the middle of
 * which nothing is known but the id in their header. */
static void
test_multiplexed(void **state)
{
	(void)state;
	static const struct options three = { RELEASE_AT_END, false, 3 };
	struct bytes b = { .len = 0 };
	begin(&b, 7, 1, 1);
	begin(&b, 300, 1, 0);
	record(&b, PARAMS, 300, "p3");
	record(&b, PARAMS, 7, "p7");
	begin(&b, 65535, 1, 1);
	record(&b, PARAMS, 65535, "p6");
	record(&b, PARAMS, 300, "00");
	record(&b, PARAMS, 65535, "");
	record(&b, PARAMS, 300, "");
	record(&b, STDIN, 300, "b3");
	record(&b, PARAMS, 7, "");
	begin(&b, 1, 1, 1); /* a fourth */
	record(&b, PARAMS, 1, "late");
	record(&b, STDIN, 65535, ""); /* the third is over: room again */
	begin(&b, 1, 1, 1);
	record(&b, STDIN, 300, "00");
	record(&b, PARAMS, 1, "p1");
	record(&b, ABORT, 300, ""); /* of one only */
	record(&b, STDIN, 300, "late");
	record(&b, STDIN, 7, "b7");
	record(&b, PARAMS, 1, "");
	record(&b, STDIN, 1, "");
	record(&b, STDIN, 7, "");
	record(&b, STDIN, 4711, "a peer that multiplexes may be late with any id");
	expect_events(&b, &three,
	              "B7k\nB300\nP300 7033\nP7 7037\nB65535k\nP65535 7036\nP300 3030\nE65535\nE300\n"
	              "D300 6233\nE7\nB1k refused 01030001000800000000000002000000\nF65535\nB1k\n"
	              "D300 3030\nP1 7031\nA300\nD7 6237\nE1\nF1\nF7");
}

/* An id that is open may begin again when all of its request is here; the connection
 * decides (here it says no). Before that it is a fault. */
static void
test_repeated_id(void **state)
{
	(void)state;
	static const struct options many = { RELEASE_NEVER, false, 4 };
	struct bytes b = { .len = 0 };
	begin(&b, 1, 1, 1);
	begin(&b, 2, 1, 1);
	record(&b, PARAMS, 1, "");
	record(&b, STDIN, 1, "");
	begin(&b, 1, 1, 1);
	record(&b, PARAMS, 2, "");
	begin(&b, 2, 1, 1);
	expect_events(&b, &many,
	              "B1k\nB2k\nE1\nF1\nB1k again 01030001000800000000000002000000\nE2\nX2");
}

/* Released in the middle of a record while others are open. */
static void
test_multiplexed_release_inside_a_record(void **state)
{
	(void)state;
	static const struct options many = { RELEASE_NEVER, false, 4 };
	struct bytes b = { .len = 0 };
	struct drive d;
	begin(&b, 1, 1, 1);
	begin(&b, 2, 1, 1);
	record(&b, PARAMS, 1, "0123456789");
	size_t inside = b.len - 10;
	record(&b, PARAMS, 2, "two");
	begin(&b, 1, 1, 1);
	record(&b, PARAMS, 1, "new");
	start(&d, &many);
	drive_pieces(&d, b.data, inside, 0);
	drive_release(&d, 1);
	drive_pieces(&d, b.data + inside, b.len - inside, 1);
	assert_string_equal(drive_log(&d), "B1k\nB2k\nP1 303132333435\nP2 74776f\nB1k\nP1 6e6577");
	drive_free(&d);
}

static void
test_refused_when_idle(void **state)
{
	(void)state;
	static const struct options refuse = { RELEASE_AT_END, true, 1 };
	struct bytes b = { .len = 0 };
	begin(&b, 1, 1, 0);
	record(&b, PARAMS, 1, "a");
	record(&b, PARAMS, 1, "");
	record(&b, STDIN, 1, "a");
	record(&b, STDIN, 1, "");
	expect_events(&b, &refuse, "B1 refused 01030001000800000000000001000000");
}

static void
test_roles(void **state)
{
	(void)state;
	struct bytes b = { .len = 0 };
	begin(&b, 5, 2, 1); /* AUTHORIZER */
	record(&b, PARAMS, 5, "a");
	record(&b, PARAMS, 5, "");
	begin(&b, 6, 3, 0); /* FILTER */
	record(&b, DATA, 6, "a");
	begin(&b, 1, 1, 1);
	begin(&b, 7, 0x101, 1); /* only the low byte is RESPONDER's; while another is active */
	record(&b, STDIN, 7, "");
	record(&b, PARAMS, 1, "");
	expect_events(&b, &plain,
	              "R5k 01030005000800000000000003000000\n"
	              "R6 01030006000800000000000003000000\n"
	              "B1k\nR7k 01030007000800000000000003000000\nE1");
}

static void
test_abort(void **state)
{
	(void)state;
	struct bytes b = { .len = 0 };
	record(&b, ABORT, 4, ""); /* of nothing */
	begin(&b, 1, 1, 1);
	record(&b, PARAMS, 1, "a");
	record(&b, ABORT, 2, "");
	record_n(&b, ABORT, 1, "x", 1, 7); /* the driver releases */
	record(&b, PARAMS, 1, "late");
	record(&b, STDIN, 1, "late");
	record(&b, ABORT, 1, "");
	begin(&b, 1, 1, 1);
	record(&b, PARAMS, 1, "");
	record(&b, STDIN, 1, "body");
	record(&b, ABORT, 1, "");
	expect_events(&b, &plain, "B1k\nP1 61\nA1\nB1k\nE1\nD1 626f6479\nA1");
}

static void
test_released_early(void **state)
{
	(void)state;
	static const struct options at_params = { RELEASE_AT_PARAMS, false, 1 };
	static const struct options at_begin = { RELEASE_AT_BEGIN, false, 1 };
	struct bytes b = { .len = 0 };
	for (int i = 0; i < 2; i++) {
		begin(&b, 1, 1, 1);
		record(&b, PARAMS, 1, "a");
		record(&b, PARAMS, 1, "");
		record(&b, STDIN, 1, "left over");
		record(&b, STDIN, 1, "and more");
		record(&b, STDIN, 1, "");
	}
	expect_events(&b, &at_params, "B1k\nP1 61\nE1\nB1k\nP1 61\nE1");
	expect_events(&b, &at_begin, "B1k\nB1k");
}

/* Released in the middle of a record: its rest is not handed out any more. */
static void
test_released_inside_a_record(void **state)
{
	(void)state;
	struct bytes b = { .len = 0 };
	struct drive d;
	begin(&b, 1, 1, 1);
	record(&b, PARAMS, 1, "");
	record(&b, STDIN, 1, "0123456789");
	start(&d, &plain);
	drive_pieces(&d, b.data, 16 + 8 + 8 + 4, 0);
	assert_string_equal(drive_log(&d), "B1k\nE1\nD1 30313233");
	assert_true(d.w.ops->receiving(&d.open[0].stream));
	drive_release(&d, 1);
	drive_pieces(&d, b.data + 36, b.len - 36, 0);
	assert_string_equal(drive_log(&d), "B1k\nE1\nD1 30313233");
	b.len = 0;
	begin(&b, 1, 1, 1);
	drive_pieces(&d, b.data, b.len, 3);
	assert_string_equal(drive_log(&d), "B1k\nE1\nD1 30313233\nB1k");
	drive_free(&d);
}

static void
pair(struct bytes *b, const char *name, const char *value, bool wide)
{
	uint8_t n = (uint8_t)strlen(name), v = (uint8_t)strlen(value);
	uint8_t narrow[2] = { n, v }, both[8] = { 0x80, 0, 0, n, 0x80, 0, 0, v };
	if (wide)
		add(b, both, 8);
	else
		add(b, narrow, 2);
	adds(b, name);
	adds(b, value);
}

#define RESULT(hex_len, pad, hex) "R0k 010a0000" hex_len pad "00" hex
#define CONNS "0e03464347495f4d41585f434f4e4e53313030"
#define REQS "0d03464347495f4d41585f52455153313030"
#define MPXS "0f01464347495f4d5058535f434f4e4e5330"

static void
test_get_values(void **state)
{
	(void)state;
	struct bytes b = { .len = 0 }, c = { .len = 0 };
	pair(&c, "FCGI_MPXS_CONNS", "", false);
	pair(&c, "FCGI_MAX_CONNS", "ignored", true);
	pair(&c, "FCGI_MAX_REQS", "", false);
	record_n(&b, GET_VALUES, 0, c.data, c.len, 3);
	/* Twenty names and more, the same ones again, some unknown, empty or long. */
	c.len = 0;
	for (int i = 0; i < 30; i++) {
		pair(&c, "FCGI_MAX_REQS", i % 2 ? "" : "v", i % 3);
		pair(&c, "", "", false);
		pair(&c, "", "value without a name", true);
		pair(&c, "FCGI_MAX_REQX", "", false);
		pair(&c, "FCGI_MAX_REQS_AND_MORE", "x", false);
		pair(&c, "FCGI_MAX_REQS_AND_", "", true);
	}
	record_n(&b, GET_VALUES, 0, c.data, c.len, 0);
	record(&b, GET_VALUES, 0, "");
	/* The last pair is cut short by the record's end. */
	c.len = 0;
	pair(&c, "FCGI_MAX_REQS", "", false);
	pair(&c, "FCGI_MAX_CONNS", "", false);
	for (size_t cut = 1; cut < 16; cut++)
		record_n(&b, GET_VALUES, 0, c.data, c.len - cut, 0);
	add(&b, "\1\11\0\0\0\6\0\0\xff\xff\xff\xff\xff\xff", 14);
	begin(&b, 1, 1, 1);
	char want[8192];
	int n = snprintf(want, sizeof(want), "%s\n%s\n%s",
	                 RESULT("0037", "01", CONNS REQS MPXS "00"),
	                 RESULT("0012", "06", REQS "000000000000"), RESULT("0000", "00", ""));
	for (size_t cut = 1; cut < 16; cut++)
		n += snprintf(want + n, sizeof(want) - (size_t)n, "\n%s",
		              RESULT("0012", "06", REQS "000000000000"));
	snprintf(want + n, sizeof(want) - (size_t)n, "\n%s\nB1k", RESULT("0000", "00", ""));
	expect_events(&b, &plain, want);
}

static void
test_multiplexing_is_announced(void **state)
{
	(void)state;
	static const struct options eight = { RELEASE_AT_END, false, 8 };
	struct bytes b = { .len = 0 }, c = { .len = 0 };
	pair(&c, "FCGI_MPXS_CONNS", "", false);
	pair(&c, "FCGI_MAX_REQS", "", false);
	record_n(&b, GET_VALUES, 0, c.data, c.len, 0);
	expect_events(&b, &eight,
	              RESULT("0022", "06", "0d01464347495f4d41585f5245515338"
	                                   "0f01464347495f4d5058535f434f4e4e5331" "000000000000"));
}

static void
test_management_at_any_moment(void **state)
{
	(void)state;
	struct bytes b = { .len = 0 };
	record_n(&b, 12, 0, "abc", 3, 5);
	begin(&b, 1, 1, 1);
	record(&b, 200, 0, "");
	record(&b, PARAMS, 1, "a");
	record(&b, 0, 0, "x");
	record(&b, PARAMS, 1, "");
	record(&b, VALUES_RESULT, 0, "x");
	record(&b, STDIN, 1, "b");
	record(&b, 77, 1, "not a management record: passed over");
	record(&b, 0, 9, "likewise");
	record(&b, STDIN, 1, "");
	record(&b, UNKNOWN, 0, "12345678");
#define UNKNOWN_TYPE(type) "R0k 010b000000080000" type "00000000000000"
	expect_events(&b, &plain,
	              UNKNOWN_TYPE("0c") "\nB1k\n" UNKNOWN_TYPE("c8") "\nP1 61\n" UNKNOWN_TYPE(
					  "00") "\nE1\n" UNKNOWN_TYPE("0a") "\nD1 62\nF1\n" UNKNOWN_TYPE("0b"));
}

static void
test_faults(void **state)
{
	(void)state;
	enum { V = SN_WIRE_F_VERSION, O = SN_WIRE_F_ORDER, L = SN_WIRE_F_LENGTH };
	/* Each row: a request as far as `stage` (0: nothing, 1: begun, 2: parameters ended,
	 * 3: body ended, 4: answered and released), then one record. */
	static const struct {
		int stage;
		uint8_t type;
		uint16_t id;
		const char *content;
		int fault; /* 0: none */
	} rows[] = {
		{ 0, PARAMS, 1, "x", O },  { 0, PARAMS, 1, "", O },    { 0, STDIN, 1, "x", O },
		{ 0, STDIN, 1, "", O },    { 0, DATA, 1, "x", O },     { 0, ABORT, 1, "", 0 },
		{ 1, STDIN, 1, "x", O },   { 1, STDIN, 1, "", O },     { 1, DATA, 1, "", O },
		{ 1, PARAMS, 2, "x", 0 },  { 2, PARAMS, 1, "x", O },   { 2, PARAMS, 1, "", O },
		{ 2, DATA, 1, "x", O },    { 3, STDIN, 1, "x", O },    { 3, STDIN, 1, "", 0 },
		{ 3, PARAMS, 1, "", O },   { 4, PARAMS, 1, "x", 0 },   { 4, STDIN, 1, "x", 0 },
		{ 4, DATA, 1, "x", 0 },    { 4, PARAMS, 2, "x", O },   { 0, BEGIN, 1, "1234567", L },
		{ 0, BEGIN, 1, "", L },    { 1, BEGIN, 2, "123456789", L },
		{ 0, BEGIN, 0, "12345678", O },                        { 0, PARAMS, 0, "", O },
		{ 1, STDIN, 0, "x", O },   { 1, ABORT, 0, "", O },     { 1, DATA, 0, "", O },
		{ 0, END, 0, "", O },      { 1, END, 1, "12345678", O }, { 1, STDOUT, 1, "x", O },
		{ 1, STDERR, 1, "", O },   { 0, GET_VALUES, 1, "", O }, { 0, VALUES_RESULT, 1, "", O },
		{ 0, UNKNOWN, 1, "", O },  { 1, BEGIN, 1, "\0\1\0\0\0\0\0\0", L },
	};
	for (size_t i = 0; i < SN_COUNT(rows); i++) {
		static const char *const prefix[] = { "", "B1k", "B1k\nE1", "B1k\nE1\nF1",
			                                  "B1k\nE1\nF1" };
		struct options o = { rows[i].stage == 4 ? RELEASE_AT_END : RELEASE_NEVER, false, 1 };
		struct bytes b = { .len = 0 };
		char want[64];
		if (rows[i].stage >= 1)
			begin(&b, 1, 1, 1);
		if (rows[i].stage >= 2)
			record(&b, PARAMS, 1, "");
		if (rows[i].stage >= 3)
			record(&b, STDIN, 1, "");
		record(&b, rows[i].type, rows[i].id, rows[i].content);
		int n = snprintf(want, sizeof(want), "%s", prefix[rows[i].stage]);
		if (rows[i].fault)
			snprintf(want + n, sizeof(want) - (size_t)n, "\nX%d", rows[i].fault);
		/* Nothing behind a fault is read. */
		struct bytes more = b;
		if (rows[i].fault)
			begin(&more, 9, 1, 1);
		expect_events(&more, &o, want[0] == '\n' ? want + 1 : want);
	}
	struct options never = { RELEASE_NEVER, false, 1 };
	struct bytes again = { .len = 0 };
	begin(&again, 1, 1, 1);
	begin(&again, 1, 1, 1);
	expect_events(&again, &never, "B1k\nX2");
	struct bytes other = { .len = 0 };
	adds(&other, "GET / HTTP/1.1\r\n\r\n");
	expect_events(&other, &never, "X1");
	struct bytes late = { .len = 0 };
	begin(&late, 1, 1, 1);
	adds(&late, "\2");
	expect_events(&late, &never, "B1k\nX1");
}

static void
test_frames(void **state)
{
	(void)state;
	uint8_t out[32];
	assert_int_equal(sn_wire_fastcgi.frame(out, 0x102, 65528), 8);
	assert_memory_equal(out, "\1\6\1\2\xff\xf8\0\0", 8);
	assert_int_equal(sn_wire_fastcgi.frame_max, 65528);
	assert_int_equal(sn_wire_fastcgi.end(out, 3, 0x01020304), 24);
	assert_memory_equal(out, "\1\6\0\3\0\0\0\0\1\3\0\3\0\10\0\0\1\2\3\4\0\0\0\0", 24);
	for (int f = SN_WIRE_F_NONE; f <= SN_WIRE_F_TOO_LARGE; f++)
		assert_string_not_equal(sn_wire_fault_text((enum sn_wire_fault)f), "unknown fault");
	assert_string_equal(sn_wire_fault_text((enum sn_wire_fault)99), "unknown fault");
}

/* Feeds all bytes; every BEGIN is taken. */
static void
feed_all(struct sn_wire *w, struct sn_wire_stream *s, const uint8_t *data, size_t len)
{
	const struct sn_wire_limits limits = { .params = 1000, .connections = 10, .requests = 1 };
	struct sn_wire_event ev;
	do {
		size_t n = sn_wire_fastcgi.feed(w, &limits, data, len, &ev);
		data += n;
		len -= n;
		if (ev.type == SN_WIRE_BEGIN)
			sn_wire_fastcgi.accept(w, s, ev.id);
	} while (ev.type != SN_WIRE_MORE && ev.type != SN_WIRE_FAULT);
}

/* Another process may read on exactly between two requests. */
static void
test_between(void **state)
{
	(void)state;
	struct bytes b = { .len = 0 };
	record(&b, 9, 0, ""); /* GET_VALUES */
	size_t management = b.len;
	begin(&b, 1, 1, 1);
	record(&b, PARAMS, 1, "a");
	record(&b, PARAMS, 1, "");
	record_n(&b, STDIN, 1, "body", 4, 3);
	record(&b, STDIN, 1, "");
	for (size_t cut = 0; cut <= b.len; cut++) {
		struct sn_wire w;
		struct sn_wire_stream one, two;
		sn_wire_init(&w, &sn_wire_fastcgi);
		feed_all(&w, &one, b.data, cut);
		assert_int_equal(w.ops->between(&w), cut == 0 || cut == management);
		/* answered: at once, so that only this one knows what still comes; or when all has come */
		if (w.u.fcgi.streams)
			w.ops->release(&w, &one);
		assert_int_equal(w.ops->between(&w), cut == 0 || cut == management || cut == b.len);
		feed_all(&w, &two, b.data + cut, b.len - cut);
	}
	struct sn_wire w;
	struct sn_wire_stream one;
	sn_wire_init(&w, &sn_wire_fastcgi);
	feed_all(&w, &one, (const uint8_t *)"\2", 1);
	assert_false(w.ops->between(&w));
}

static void
test_size(void **state)
{
	(void)state;
	/* Tens of thousands of idle connections hold one each. */
	assert_true(sizeof(struct sn_fcgi) <= 72);
	assert_true(sizeof(struct sn_wire) <= 168);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_kept_and_ids),
		cmocka_unit_test(test_largest_records),
		cmocka_unit_test(test_second_request_is_refused),
		cmocka_unit_test(test_multiplexed),
		cmocka_unit_test(test_repeated_id),
		cmocka_unit_test(test_multiplexed_release_inside_a_record),
		cmocka_unit_test(test_refused_when_idle),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_abort),
		cmocka_unit_test(test_released_early),
		cmocka_unit_test(test_released_inside_a_record),
		cmocka_unit_test(test_get_values),
		cmocka_unit_test(test_multiplexing_is_announced),
		cmocka_unit_test(test_management_at_any_moment),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_between),
		cmocka_unit_test(test_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
