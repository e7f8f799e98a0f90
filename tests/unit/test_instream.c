/* SPDX-License-Identifier: MIT
 *
 * Bodies that are read while they arrive: order through the ring and the file behind it,
 * who is told what and when, every end, and two threads at it.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cm.h"
#include "http/instream.h"

#define PIECE SN_INSTREAM_PUSH

static atomic_int called;

static void
room(void *arg)
{
	assert_ptr_equal(arg, &called);
	called++;
}

static struct sn_instream *
make(int64_t announced)
{
	struct sn_instream *s = sn_instream_new(announced, 60000, room, &called);
	assert_non_null(s);
	called = 0;
	return s;
}

static uint8_t
byte_at(uint64_t n)
{
	return (uint8_t)(n * 2654435761u >> 13);
}

static void
fill(uint8_t *buf, uint64_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = byte_at(from + i);
}

static void
check(const uint8_t *buf, uint64_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(buf[i], byte_at(from + i));
}

static void
test_full_and_room(void **state)
{
	(void)state;
	static uint8_t in[PIECE], out[PIECE];
	struct sn_instream *s = make(-1);
	uint64_t pushed = 0, got = 0;
	int rc = 0;
	assert_int_equal(sn_instream_read(s, out, 1), SN_EAGAIN);
	while (rc == 0) {
		fill(in, pushed, PIECE);
		rc = sn_instream_push(s, in, PIECE, NULL);
		pushed += PIECE;
		assert_true(pushed < 100 * PIECE);
	}
	assert_int_equal(rc, SN_EAGAIN);
	assert_true(sn_instream_full(s));
	while (called == 0) {
		ssize_t n = sn_instream_read(s, out, 1000);
		assert_true(n > 0);
		check(out, got, (size_t)n);
		got += (uint64_t)n;
	}
	assert_false(sn_instream_full(s));
	fill(in, pushed, PIECE);
	assert_int_equal(sn_instream_push(s, in, PIECE, NULL), 0);
	pushed += PIECE;
	sn_instream_end(s, 0);
	ssize_t n;
	while ((n = sn_instream_read(s, out, sizeof(out))) > 0) {
		check(out, got, (size_t)n);
		got += (uint64_t)n;
	}
	assert_int_equal(n, 0);
	assert_int_equal(got, pushed);
	assert_int_equal(called, 1);
	sn_instream_free(s);
}

static void
test_file(void **state)
{
	(void)state;
	static uint8_t in[PIECE], out[PIECE];
	struct sn_instream *s = make(-1);
	uint64_t pushed = 0, got = 0;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 40; i++) {
			fill(in, pushed, PIECE - 7);
			assert_int_equal(sn_instream_push(s, in, PIECE - 7, ""), 0);
			pushed += PIECE - 7;
			if (i % 8)
				continue;
			ssize_t n = sn_instream_read(s, out, sizeof(out));
			assert_true(n > 0);
			check(out, got, (size_t)n);
			got += (uint64_t)n;
		}
		while (got < pushed) {
			ssize_t n = sn_instream_read(s, out, 50001);
			assert_true(n > 0);
			check(out, got, (size_t)n);
			got += (uint64_t)n;
		}
		assert_int_equal(sn_instream_read(s, out, 1), SN_EAGAIN);
	}
	assert_int_equal(called, 0);
	sn_instream_free(s);
}

static void
test_file_fails(void **state)
{
	(void)state;
	static uint8_t in[PIECE];
	struct sn_instream *s = make(-1);
	int rc = 0;
	for (int i = 0; rc == 0 && i < 40; i++)
		rc = sn_instream_push(s, in, PIECE, "/nonexistent/directory");
	assert_int_equal(rc, SN_EIO);
	assert_int_equal(sn_instream_read(s, in, 1), SN_EIO);
	assert_int_equal(sn_instream_push(s, in, 1, ""), 0); /* passed over */
	sn_instream_free(s);
}

static void
test_ends(void **state)
{
	(void)state;
	static const int ends[] = { SN_EGONE, SN_ELIMIT, SN_EINVAL };
	uint8_t buf[8];
	for (size_t i = 0; i < SN_COUNT(ends); i++) {
		struct sn_instream *s = make(10);
		sn_instream_push(s, "abc", 3, NULL);
		assert_false(sn_instream_complete(s));
		sn_instream_end(s, ends[i]);
		sn_instream_end(s, 0); /* the first counts */
		assert_int_equal(sn_instream_wait(s), 0);
		assert_int_equal(sn_instream_read(s, buf, sizeof(buf)), ends[i]);
		assert_false(sn_instream_complete(s));
		sn_instream_free(s);
	}
}

static void
test_announced(void **state)
{
	(void)state;
	uint8_t buf[8];
	struct sn_instream *s = make(4);
	sn_instream_push(s, "abc", 3, NULL);
	sn_instream_end(s, 0);
	assert_int_equal(sn_instream_read(s, buf, sizeof(buf)), SN_EGONE);
	sn_instream_free(s);
	s = make(3);
	sn_instream_push(s, "abc", 3, NULL);
	assert_true(sn_instream_complete(s)); /* before the end is told */
	sn_instream_end(s, 0);
	assert_int_equal(sn_instream_read(s, buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "abc", 3);
	assert_int_equal(sn_instream_read(s, buf, sizeof(buf)), 0);
	sn_instream_free(s);
	s = make(0);
	assert_true(sn_instream_complete(s));
	sn_instream_end(s, 0);
	assert_int_equal(sn_instream_read(s, buf, sizeof(buf)), 0);
	sn_instream_free(s);
}

static void
test_patience(void **state)
{
	(void)state;
	struct sn_instream *s = sn_instream_new(-1, 20, room, &called);
	assert_non_null(s);
	assert_int_equal(sn_instream_patience(s), 20);
	assert_int_equal(sn_instream_wait(s), SN_ERANGE);
	sn_instream_push(s, "a", 1, NULL);
	assert_int_equal(sn_instream_wait(s), 0);
	sn_instream_free(s);
}

static bool
readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, 0) == 1;
}

static void
test_descriptor(void **state)
{
	(void)state;
	uint8_t buf[8];
	struct sn_instream *s = make(-1);
	int fd = sn_instream_fd(s);
	assert_true(fd >= 0);
	assert_false(readable(fd));
	sn_instream_push(s, "abc", 3, NULL);
	assert_true(readable(fd));
	assert_int_equal(sn_instream_fd(s), fd); /* there is still something */
	assert_true(readable(fd));
	assert_int_equal(sn_instream_read(s, buf, sizeof(buf)), 3);
	assert_int_equal(sn_instream_fd(s), fd);
	assert_false(readable(fd));
	sn_instream_end(s, SN_EGONE);
	assert_true(readable(fd));
	sn_instream_free(s);
}

struct pair {
	struct sn_instream *s;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool room;
	uint64_t total;
};

static void
pair_room(void *arg)
{
	struct pair *p = arg;
	pthread_mutex_lock(&p->lock);
	p->room = true;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static void *
bring(void *arg)
{
	struct pair *p = arg;
	static uint8_t in[PIECE];
	for (uint64_t at = 0; at < p->total;) {
		size_t len = 1 + (size_t)(at * 7919 % PIECE);
		if (len > p->total - at)
			len = (size_t)(p->total - at);
		fill(in, at, len);
		at += len;
		int rc = sn_instream_push(p->s, in, len, NULL);
		if (rc < 0 && rc != SN_EAGAIN) { /* the reader is told, whose test it is */
			sn_instream_end(p->s, rc);
			return NULL;
		}
		if (rc == 0)
			continue;
		pthread_mutex_lock(&p->lock);
		while (!p->room)
			pthread_cond_wait(&p->changed, &p->lock);
		p->room = false;
		pthread_mutex_unlock(&p->lock);
	}
	sn_instream_end(p->s, 0);
	return NULL;
}

static void
test_two_threads(void **state)
{
	(void)state;
	static uint8_t out[PIECE];
	static struct pair p = { .total = 8 << 20 };
	pthread_t thread;
	uint64_t got = 0;
	pthread_mutex_init(&p.lock, NULL);
	pthread_cond_init(&p.changed, NULL);
	p.s = sn_instream_new((int64_t)p.total, 60000, pair_room, &p);
	assert_non_null(p.s);
	assert_int_equal(pthread_create(&thread, NULL, bring, &p), 0);
	for (;;) {
		ssize_t n = sn_instream_read(p.s, out, 1 + (size_t)(got * 31 % PIECE));
		if (n == SN_EAGAIN) {
			assert_int_equal(sn_instream_wait(p.s), 0);
			continue;
		}
		assert_true(n >= 0);
		if (n == 0)
			break;
		check(out, got, (size_t)n);
		got += (uint64_t)n;
	}
	assert_int_equal(got, p.total);
	pthread_join(thread, NULL);
	sn_instream_free(p.s);
	pthread_cond_destroy(&p.changed);
	pthread_mutex_destroy(&p.lock);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_and_room), cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_fails),    cmocka_unit_test(test_ends),
		cmocka_unit_test(test_announced),     cmocka_unit_test(test_patience),
		cmocka_unit_test(test_descriptor),    cmocka_unit_test(test_two_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
