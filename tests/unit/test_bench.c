/* SPDX-License-Identifier: MIT
 *
 * The load generator's own parts: histogram, request bytes, the reader of
 * answers at every split, addresses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "codec.h"
#include "cputime.h"
#include "hist.h"
#include "report.h"
#include "target.h"

/* ---- histogram -------------------------------------------------------------- */

static struct bench_hist h, h2;

static void
test_hist_precise(void **state)
{
	static const uint64_t values[] = { 0, 1, 127, 128, 255, 256, 257, 511, 512, 1000, 65535, 65536,
		                           999999937, 123456789012, (UINT64_C(1) << 41) + 12345 };
	size_t i;

	(void)state;
	for (i = 0; i < SN_COUNT(values); i++) {
		bench_hist_init(&h);
		bench_hist_add(&h, 0, 1); /* between others: min and max must not hide the step */
		bench_hist_add(&h, values[i], 1);
		bench_hist_add(&h, UINT64_C(1) << 50, 1);
		assert_true(bench_hist_percentile(&h, 50) >= values[i]);
		assert_true(bench_hist_percentile(&h, 50) - values[i] <= values[i] / 128);
	}
}

static void
test_hist_steps(void **state)
{
	uint64_t v, last = 0, got;

	(void)state;
	/* Each value's step is at or above it, and steps never go down. */
	for (v = 0; v < 100000; v++) {
		bench_hist_init(&h);
		bench_hist_add(&h, 0, 1);
		bench_hist_add(&h, v, 1);
		bench_hist_add(&h, UINT64_MAX, 1);
		got = bench_hist_percentile(&h, 50);
		assert_true(got >= v && got >= last);
		last = got;
		if (v > 2000)
			v += 97;
	}
}

static void
test_hist_percentiles(void **state)
{
	uint64_t i;

	(void)state;
	bench_hist_init(&h);
	assert_int_equal(bench_hist_percentile(&h, 99), 0);
	assert_true(bench_hist_mean(&h) == 0.0);
	for (i = 1; i <= 100; i++)
		bench_hist_add(&h, i, 1);
	assert_int_equal(bench_hist_percentile(&h, 0), 1);
	assert_int_equal(bench_hist_percentile(&h, 50), 50);
	assert_int_equal(bench_hist_percentile(&h, 99), 99);
	assert_int_equal(bench_hist_percentile(&h, 99.9), 100);
	assert_int_equal(bench_hist_percentile(&h, 100), 100);
	assert_true(bench_hist_mean(&h) == 50.5);
	assert_int_equal(h.min, 1);
	assert_int_equal(h.max, 100);
	bench_hist_init(&h);
	for (i = 1; i <= 200; i++)
		bench_hist_add(&h, i, 5);
	assert_int_equal(bench_hist_percentile(&h, 99.9), 200);
	assert_int_equal(bench_hist_percentile(&h, 99.5), 199);
}

static void
test_hist_merge(void **state)
{
	(void)state;
	bench_hist_init(&h);
	bench_hist_init(&h2);
	bench_hist_add(&h, 10, 3);
	bench_hist_add(&h2, 5, 1);
	bench_hist_add(&h2, 1000000, 2);
	bench_hist_merge(&h, &h2);
	assert_int_equal(h.count, 6);
	assert_int_equal(h.min, 5);
	assert_int_equal(h.max, 1000000);
	assert_int_equal(bench_hist_percentile(&h, 60), 10);
	bench_hist_init(&h2);
	bench_hist_merge(&h, &h2); /* an empty one changes nothing */
	assert_int_equal(h.min, 5);
	bench_hist_add(&h, UINT64_MAX, 1); /* beyond the table: counted, exact as max */
	assert_true(bench_hist_percentile(&h, 100) == UINT64_MAX);
}

/* ---- requests --------------------------------------------------------------- */

static struct bench_request
plain(enum bench_proto proto)
{
	return (struct bench_request){ .proto = proto, .keep = true, .method = "GET", .path = "/a b",
		                       .query = "x=1", .content_type = "text/plain", .body = "" };
}

/* Takes FastCGI's request apart; the parameters' bytes into `params`, the body into `body`. */
static void
take_apart(const struct sn_buf *b, struct sn_buf *params, struct sn_buf *body)
{
	const uint8_t *p = (const uint8_t *)b->data, *end = p + b->len;
	unsigned len, stage = 0;

	while (p < end) {
		assert_true(end - p >= 8);
		len = (unsigned)(p[4] << 8 | p[5]);
		assert_int_equal(p[0], 1);
		assert_int_equal(p[2] << 8 | p[3], BENCH_REQUEST_ID);
		assert_int_equal((len + p[6]) % 8, 0);
		assert_true((size_t)(end - p) >= 8 + len + p[6]);
		if (stage == 0) {
			assert_int_equal(p[1], 1);
			assert_int_equal(p[8] << 8 | p[9], 1);
			stage = 1;
		} else if (stage == 1) {
			assert_int_equal(p[1], 4);
			sn_buf_add(params, p + 8, len);
			stage = len ? 1 : 2;
		} else {
			assert_int_equal(stage, 2);
			assert_int_equal(p[1], 5);
			sn_buf_add(body, p + 8, len);
			stage = len ? 2 : 3;
		}
		p += 8 + len + p[6];
	}
	assert_int_equal(stage, 3);
}

static size_t
take_length(const uint8_t **p)
{
	size_t n = *(*p)++;

	if (n & 0x80) {
		n = (n & 0x7f) << 24 | (size_t)(*p)[0] << 16 | (size_t)(*p)[1] << 8 | (*p)[2];
		*p += 3;
	}
	return n;
}

/* The value of `name` in FastCGI pairs, copied; NULL when absent. Counts pairs. */
static char *
value_of(const struct sn_buf *params, const char *name, size_t *count)
{
	const uint8_t *p = (const uint8_t *)params->data, *end = p + params->len;
	char *found = NULL;
	size_t n, v;

	*count = 0;
	while (p < end) {
		n = take_length(&p);
		v = take_length(&p);
		assert_true((size_t)(end - p) >= n + v);
		if (n == strlen(name) && memcmp(p, name, n) == 0) {
			assert_null(found);
			found = strndup((const char *)p + n, v);
		}
		p += n + v;
		++*count;
	}
	return found;
}

static void
check_value(const struct sn_buf *params, const char *name, const char *want, size_t want_count)
{
	size_t count;
	char *got = value_of(params, name, &count);

	assert_non_null(got);
	assert_string_equal(got, want);
	assert_int_equal(count, want_count);
	free(got);
}

static void
test_fastcgi_get(void **state)
{
	struct bench_request req = plain(BENCH_FASTCGI);
	struct bench_pair extra[] = { { "HTTP_HOST", "other" }, { "X_LONG", NULL } };
	struct sn_buf b, params, body;
	char value[300];

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	extra[1].value = value;
	sn_buf_init(&b, NULL, 0);
	sn_buf_init(&params, NULL, 0);
	sn_buf_init(&body, NULL, 0);
	assert_int_equal(bench_request_encode(&b, &req), 0);
	assert_int_equal(b.data[10], 1); /* FCGI_KEEP_CONN */
	take_apart(&b, &params, &body);
	assert_int_equal(body.len, 0);
	check_value(&params, "SCRIPT_NAME", "/a b", 22);
	check_value(&params, "REQUEST_URI", "/a b?x=1", 22);
	check_value(&params, "CONTENT_LENGTH", "", 22); /* as nginx */
	check_value(&params, "CONTENT_TYPE", "", 22);
	b.len = params.len = 0;
	req.keep = false;
	req.extra = extra;
	req.n_extra = 2;
	assert_int_equal(bench_request_encode(&b, &req), 0);
	assert_int_equal(b.data[10], 0);
	take_apart(&b, &params, &body);
	check_value(&params, "HTTP_HOST", "other", 23);
	check_value(&params, "X_LONG", value, 23);
	sn_buf_free(&b);
	sn_buf_free(&params);
	sn_buf_free(&body);
}

static void
test_fastcgi_body(void **state)
{
	static const size_t sizes[] = { 1, 7, 8, 32768, 32769, 200000 };
	struct bench_request req = plain(BENCH_FASTCGI);
	struct sn_buf b, params, body;
	char *data = malloc(200000), text[24];
	size_t i;

	(void)state;
	memset(data, 'q', 200000);
	req.method = "POST";
	req.body = data;
	for (i = 0; i < SN_COUNT(sizes); i++) {
		sn_buf_init(&b, NULL, 0);
		sn_buf_init(&params, NULL, 0);
		sn_buf_init(&body, NULL, 0);
		req.body_len = sizes[i];
		assert_int_equal(bench_request_encode(&b, &req), 0);
		take_apart(&b, &params, &body);
		assert_int_equal(body.len, sizes[i]);
		assert_memory_equal(body.data, data, sizes[i]);
		snprintf(text, sizeof(text), "%zu", sizes[i]);
		check_value(&params, "CONTENT_LENGTH", text, 22);
		check_value(&params, "CONTENT_TYPE", "text/plain", 22);
		sn_buf_free(&b);
		sn_buf_free(&params);
		sn_buf_free(&body);
	}
	free(data);
}

static void
test_long_params(void **state)
{
	struct bench_request req = plain(BENCH_FASTCGI);
	struct bench_pair extra = { "X_HUGE", NULL };
	struct sn_buf b, params, body;
	char *value = malloc(150001);

	(void)state;
	memset(value, 'z', 150000);
	value[150000] = '\0';
	extra.value = value;
	req.extra = &extra;
	req.n_extra = 1;
	sn_buf_init(&b, NULL, 0);
	sn_buf_init(&params, NULL, 0);
	sn_buf_init(&body, NULL, 0);
	assert_int_equal(bench_request_encode(&b, &req), 0);
	take_apart(&b, &params, &body); /* several records */
	check_value(&params, "X_HUGE", value, 23);
	free(value);
	sn_buf_free(&b);
	sn_buf_free(&params);
	sn_buf_free(&body);
}

static void
test_scgi(void **state)
{
	struct bench_request req = plain(BENCH_SCGI);
	struct sn_buf b;
	char *end, *p, *stop;
	unsigned long len;
	int pairs = 0;

	(void)state;
	req.method = "POST";
	req.body = "hello";
	req.body_len = 5;
	sn_buf_init(&b, NULL, 0);
	assert_int_equal(bench_request_encode(&b, &req), 0);
	sn_buf_terminate(&b);
	len = strtoul(b.data, &end, 10);
	assert_int_equal(*end, ':');
	p = end + 1;
	stop = p + len;
	assert_memory_equal(p, "CONTENT_LENGTH\0" "5\0", 17); /* comes first */
	assert_string_equal(stop, ",hello");
	assert_non_null(memmem(p, len, "\0SCGI\0" "1", 8));
	assert_null(memmem(p, len, "REDIRECT_STATUS", 15));
	while (p < stop) {
		p += strlen(p) + 1;
		p += strlen(p) + 1;
		pairs++;
	}
	assert_ptr_equal(p, stop);
	assert_int_equal(pairs, 22);
	b.len = 0;
	req.body_len = 0;
	assert_int_equal(bench_request_encode(&b, &req), 0);
	assert_non_null(memmem(b.data, b.len, "CONTENT_LENGTH\0" "0\0", 17)); /* a number always */
	sn_buf_free(&b);
}

static void
test_bad_requests(void **state)
{
	struct bench_request req = plain(BENCH_FASTCGI);
	struct bench_pair unnamed = { "", "x" };
	char *query = malloc(10001);
	struct sn_buf b;

	(void)state;
	memset(query, 'q', 10000);
	query[10000] = '\0';
	sn_buf_init(&b, NULL, 0);
	req.query = query;
	assert_int_equal(bench_request_encode(&b, &req), SN_EINVAL);
	req.query = "";
	req.extra = &unnamed;
	req.n_extra = 1;
	assert_int_equal(bench_request_encode(&b, &req), SN_EINVAL);
	sn_buf_free(&b);
	free(query);
}

/* ---- answers ---------------------------------------------------------------- */

#define REC(type, len, pad) "\1" type "\0\1\0" len pad "\0"
#define END_OK REC("\3", "\10", "\0") "\0\0\0\0\0\0\0\0"

struct answer {
	const char *bytes;
	size_t len;
	struct bench_expect want;
	enum bench_proto proto;
	bool eof;
	enum bench_fault fault;
};

static const struct answer answers[] = {
#define A(text) text, sizeof(text) - 1
	{ A(REC("\6", "\33", "\0") "Content-Type: text/x\r\n\r\nabc" REC("\6", "\0", "\0") END_OK),
	  { .status = 200, .length = -1, .body = "abc", .body_len = 3 }, 0, false, BENCH_OK },
	/* padding, a body over two records, text for the log between, a bare LF head */
	{ A(REC("\6", "\15", "\3") "Status: 201\n\n" "..." REC("\7", "\2", "\6") "oh......"
	    REC("\6", "\2", "\0") "ab" REC("\6", "\1", "\7") "c......." END_OK),
	  { .status = 201, .length = 3, .body = "abc", .body_len = 3 }, 0, false, BENCH_OK },
	{ A(REC("\6", "\33", "\0") "content-length: 2\r\nX:\r\n\r\nab" END_OK),
	  { .status = 200, .length = -1 }, 0, false, BENCH_OK },
	{ A(REC("\6", "\33", "\0") "content-length: 3\r\nX:\r\n\r\nab" END_OK),
	  { .status = 200, .length = -1 }, 0, false, BENCH_F_LENGTH },
	{ A(REC("\6", "\31", "\0") "content-length: 3\r\nX:\r\n\r\n" END_OK), /* HEAD */
	  { .status = 200, .length = -1, .no_body = true }, 0, false, BENCH_OK },
	{ A(REC("\6", "\20", "\0") "Status: 503\r\n\r\nx" END_OK),
	  { .status = 200, .length = -1 }, 0, false, BENCH_F_STATUS },
	{ A(REC("\6", "\20", "\0") "Status: 503\r\n\r\nx" END_OK), { .length = -1 }, 0, false,
	  BENCH_OK },
	{ A(REC("\6", "\7", "\0") "X: 1\n\nb" END_OK),
	  { .length = -1, .body = "a", .body_len = 1 }, 0, false, BENCH_F_BODY },
	{ A(REC("\6", "\10", "\0") "X: 1\n\nab" END_OK),
	  { .length = -1, .body = "a", .body_len = 1 }, 0, false, BENCH_F_BODY },
	{ A(REC("\6", "\6", "\0") "X: 1\n\n" END_OK),
	  { .length = -1, .body = "a", .body_len = 1 }, 0, false, BENCH_F_BODY },
	{ A(REC("\6", "\10", "\0") "X: 1\n\nab" END_OK), { .length = 3 }, 0, false, BENCH_F_LENGTH },
	{ A(END_OK), { .length = -1 }, 0, false, BENCH_F_HEAD },
	{ A(REC("\6", "\5", "\0") "X: 1\n" END_OK), { .length = -1 }, 0, false, BENCH_F_HEAD },
	{ A(REC("\6", "\7", "\0") "nonse\n\n" END_OK), { .length = -1 }, 0, false, BENCH_F_HEAD },
	{ A(REC("\6", "\12", "\0") "Status: x\n" END_OK), { .length = -1 }, 0, false, BENCH_F_HEAD },
	{ A(REC("\3", "\10", "\0") "\0\0\0\0\3\0\0\0"), { .length = -1 }, 0, false,
	  BENCH_F_PROTOCOL },
	{ A("\2\6\0\1\0\1\0\0x"), { .length = -1 }, 0, false, BENCH_F_RECORD },
	{ A("\1\6\0\2\0\1\0\0x"), { .length = -1 }, 0, false, BENCH_F_RECORD },
	{ A("\1\5\0\1\0\1\0\0x"), { .length = -1 }, 0, false, BENCH_F_RECORD },
	{ A("\1\3\0\1\0\7\0\0......."), { .length = -1 }, 0, false, BENCH_F_RECORD },
	{ A(REC("\6", "\5", "\0") "X: 1"), { .length = -1 }, 0, true, BENCH_F_CUT },
	{ A(REC("\6", "\6", "\0") "X: 1\n\n"), { .length = -1 }, 0, true, BENCH_F_CUT },
	{ A("Status: 200 OK\r\nContent-Length: 2\r\n\r\nab"), { .status = 200, .length = -1 },
	  BENCH_SCGI, true, BENCH_OK },
	{ A("Status: 200 OK\r\nContent-Length: 3\r\n\r\nab"), { .status = 200, .length = -1 },
	  BENCH_SCGI, true, BENCH_F_LENGTH },
	{ A("Status: 200 OK\r\nContent-Le"), { .status = 200, .length = -1 }, BENCH_SCGI, true,
	  BENCH_F_CUT },
	{ A(""), { .length = -1 }, BENCH_SCGI, true, BENCH_F_CUT },
#undef A
};

/* Feeds in pieces of at most `piece`, with a cut at `cut`; exact copies, so
 * that a sanitizer sees a read too far. */
static enum bench_fault
feed(const struct answer *a, size_t piece, size_t cut, struct bench_reply *r)
{
	enum bench_state state = BENCH_MORE;
	size_t at, n;
	uint8_t *copy;

	bench_reply_reset(r, a->proto);
	for (at = 0; at < a->len && state == BENCH_MORE; at += n) {
		n = a->len - at < piece ? a->len - at : piece;
		if (at < cut && at + n > cut)
			n = cut - at;
		copy = malloc(n);
		memcpy(copy, a->bytes + at, n);
		state = bench_reply_feed(r, &a->want, copy, n);
		free(copy);
	}
	if (a->eof)
		state = bench_reply_eof(r, &a->want);
	assert_int_not_equal(state, BENCH_MORE);
	return (enum bench_fault)r->fault;
}

static void
test_answers(void **state)
{
	struct bench_reply r;
	size_t i, cut;

	(void)state;
	for (i = 0; i < SN_COUNT(answers); i++) {
		if (feed(&answers[i], SIZE_MAX, 0, &r) != answers[i].fault)
			fail_msg("answer %zu: %s", i, bench_fault_name((enum bench_fault)r.fault));
		assert_int_equal(feed(&answers[i], 1, 0, &r), answers[i].fault);
		for (cut = 1; cut < answers[i].len; cut++) {
			if (feed(&answers[i], SIZE_MAX, cut, &r) != answers[i].fault)
				fail_msg("answer %zu cut at %zu: %s", i, cut,
				         bench_fault_name((enum bench_fault)r.fault));
		}
	}
}

static void
test_extra_bytes(void **state)
{
	static const char bytes[] = REC("\6", "\6", "\0") "X: 1\n\n" END_OK "x";
	struct bench_expect want = { .length = -1 };
	struct bench_reply r;

	(void)state;
	bench_reply_reset(&r, BENCH_FASTCGI);
	assert_int_equal(bench_reply_feed(&r, &want, (const uint8_t *)bytes, sizeof(bytes) - 1),
	                 BENCH_BROKEN);
	assert_int_equal(r.fault, BENCH_F_EXTRA);
}

static void
test_long_header_line(void **state)
{
	char *bytes = malloc(70000);
	struct bench_expect want = { .status = 200, .length = 2 };
	struct bench_reply r;
	size_t piece, at, n;

	(void)state;
	memset(bytes, 'h', 70000);
	memcpy(bytes, "X-Long: ", 8);
	memcpy(bytes + 69994, "\r\n\r\nab", 6);
	for (piece = 1; piece <= 70000; piece = piece * 7 + 3) {
		bench_reply_reset(&r, BENCH_SCGI);
		for (at = 0; at < 70000; at += n) {
			n = 70000 - at < piece ? 70000 - at : piece;
			bench_reply_feed(&r, &want, (const uint8_t *)bytes + at, n);
		}
		assert_int_equal(bench_reply_eof(&r, &want), BENCH_DONE);
		assert_int_equal(r.fault, BENCH_OK);
	}
	free(bytes);
}

static void
test_keeps_body(void **state)
{
	static const char bytes[] = "Status: 404 No\r\n\r\nnothing here";
	struct bench_expect want = { .status = 200, .length = -1, .keep_max = 100 };
	struct bench_reply r;
	struct sn_buf body;

	(void)state;
	sn_buf_init(&body, NULL, 0);
	want.keep = &body;
	bench_reply_reset(&r, BENCH_SCGI);
	bench_reply_feed(&r, &want, (const uint8_t *)bytes, sizeof(bytes) - 1);
	bench_reply_eof(&r, &want);
	assert_int_equal(r.status, 404);
	assert_int_equal(r.fault, BENCH_F_STATUS);
	assert_int_equal(body.len, 12);
	assert_memory_equal(body.data, "nothing here", 12);
	sn_buf_free(&body);
}

/* ---- addresses and the rest -------------------------------------------------- */

static void
test_addresses(void **state)
{
	static const char *bad[] = { "", "unix:", "unix:@", "host", "host:", "nowhere.invalid:1",
		                     "127.0.0.1:99999999" };
	struct bench_target t;
	struct sn_why why;
	char longest[300];
	size_t i;

	(void)state;
	assert_int_equal(bench_target_parse(&t, "scgi:unix:/run/x.sock", &why), 0);
	assert_int_equal(t.proto, BENCH_SCGI);
	assert_false(t.tcp);
	assert_string_equal(t.text, "unix:/run/x.sock");
	assert_int_equal(bench_target_parse(&t, "fastcgi:127.0.0.1:9000", &why), 0);
	assert_int_equal(t.proto, BENCH_FASTCGI);
	assert_true(t.tcp);
	assert_int_equal(bench_target_parse(&t, ":9000", &why), 0);
	assert_int_equal(bench_target_parse(&t, "[::1]:9000", &why), 0);
	assert_int_equal(t.addr.ss_family, AF_INET6);
	assert_int_equal(bench_target_parse(&t, "unix:@abstract", &why), 0);
	for (i = 0; i < SN_COUNT(bad); i++) {
		why.text[0] = '\0';
		assert_true(bench_target_parse(&t, bad[i], &why) < 0);
		assert_true(why.text[0]);
	}
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "unix:/", 6);
	longest[200] = '\0';
	assert_int_equal(bench_target_parse(&t, longest, &why), SN_EINVAL);
}

static void
test_cputime(void **state)
{
	struct bench_roots self = { .pid = { getpid() }, .n = 1 };
	struct bench_roots below = { .pid = { getpid() }, .without_root = { true }, .n = 1 };
	struct bench_roots nobody = { .pid = { 0x3ffffff0 }, .n = 1 };
	struct bench_cputime a, b, c;
	struct sn_why why;
	clock_t until;
	int pipefd[2];
	char byte;
	pid_t child;

	(void)state;
	assert_int_equal(bench_cputime_read(&nobody, &a, &why), SN_ENOENT);
	assert_int_equal(bench_cputime_read(&self, &a, &why), 0);
	assert_int_equal(a.processes, 1);
	assert_int_equal(pipe(pipefd), 0);
	child = fork();
	if (child == 0) {
		until = clock() + CLOCKS_PER_SEC / 10;
		while (clock() < until)
			;
		byte = 'x';
		_exit(write(pipefd[1], &byte, 1) == 1 && pause() ? 0 : 1);
	}
	assert_int_equal(read(pipefd[0], &byte, 1), 1);
	assert_int_equal(bench_cputime_read(&self, &b, &why), 0);
	assert_int_equal(b.processes, 2);
	assert_true(b.seconds - a.seconds >= 0.08);
	assert_int_equal(bench_cputime_read(&below, &c, &why), 0);
	assert_int_equal(c.processes, 1);
	assert_true(c.seconds >= 0.08 && c.seconds <= b.seconds);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(bench_cputime_read(&self, &c, &why), 0);
	assert_true(c.seconds - a.seconds >= 0.08); /* a child that ended still counts */
	close(pipefd[0]);
	close(pipefd[1]);
}

static void
test_json_string(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	bench_json_string(f, "a\"b\\c\n\xc3\xa9\xff\xed\xa0\x80");
	fclose(f);
	assert_string_equal(text, "\"a\\\"b\\\\c\\u000a\xc3\xa9\\ufffd\\ufffd\\ufffd\\ufffd\"");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hist_precise),
		cmocka_unit_test(test_hist_steps),
		cmocka_unit_test(test_hist_percentiles),
		cmocka_unit_test(test_hist_merge),
		cmocka_unit_test(test_fastcgi_get),
		cmocka_unit_test(test_fastcgi_body),
		cmocka_unit_test(test_long_params),
		cmocka_unit_test(test_scgi),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_extra_bytes),
		cmocka_unit_test(test_long_header_line),
		cmocka_unit_test(test_keeps_body),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_cputime),
		cmocka_unit_test(test_json_string),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
