/* SPDX-License-Identifier: MIT
 *
 * The bounded ring: order, exact capacity, counters; and many threads, where
 * nothing may be lost or doubled and each producer's order is kept.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>

#include "queue/ring.h"

static void *
item(uintptr_t n)
{
	return (void *)n;
}

static void
capacity_is_exact(void **state)
{
	(void)state;
	for (size_t cap = 1; cap <= 70; cap++) {
		struct sn_ring *r = sn_ring_new(cap);
		assert_non_null(r);
		assert_int_equal(sn_ring_capacity(r), cap);
		/* several rounds: positions wrap over the slots */
		for (uintptr_t round = 0; round < 5; round++) {
			assert_null(sn_ring_pop(r));
			for (uintptr_t i = 1; i <= cap; i++)
				assert_int_equal(sn_ring_push(r, item(i)), 0);
			assert_int_equal(sn_ring_depth(r), cap);
			assert_int_equal(sn_ring_push(r, item(999)), SN_EFULL);
			assert_ptr_equal(sn_ring_pop(r), item(1));
			assert_int_equal(sn_ring_push(r, item(cap + 1)), 0);
			assert_int_equal(sn_ring_push(r, item(999)), SN_EFULL);
			for (uintptr_t i = 2; i <= cap + 1; i++)
				assert_ptr_equal(sn_ring_pop(r), item(i));
		}
		struct sn_ring_stats st;
		sn_ring_stats(r, &st);
		assert_int_equal(st.pushed, 5 * (cap + 1));
		assert_int_equal(st.popped, 5 * (cap + 1));
		assert_int_equal(st.rejected, 10);
		assert_int_equal(st.depth, 0);
		assert_int_equal(st.peak, cap);
		sn_ring_free(r);
	}
}

static void
peak_is_the_deepest(void **state)
{
	(void)state;
	struct sn_ring *r = sn_ring_new(100);
	struct sn_ring_stats st;
	for (uintptr_t i = 1; i <= 7; i++)
		sn_ring_push(r, item(i));
	for (int i = 0; i < 5; i++)
		sn_ring_pop(r);
	sn_ring_push(r, item(1));
	sn_ring_stats(r, &st);
	assert_int_equal(st.peak, 7);
	assert_int_equal(st.depth, 3);
	while (sn_ring_pop(r))
		;
	sn_ring_free(r);
}

static void
impossible_capacities(void **state)
{
	(void)state;
	assert_null(sn_ring_new(0));
	assert_null(sn_ring_new(SIZE_MAX));
	sn_ring_free(NULL);
}

/* ---- threads ------------------------------------------------------------- */

enum { PRODUCERS = 4, CONSUMERS = 4, EACH = 5000 };

struct shared {
	struct sn_ring *ring;
	atomic_int producing;
	atomic_size_t full;
	atomic_uchar seen[PRODUCERS][EACH];
	atomic_int disorder, overfull;
};

struct producer {
	struct shared *sh;
	unsigned id;
};

static void *
produce(void *arg)
{
	struct producer *p = arg;
	for (unsigned i = 0; i < EACH; i++) {
		while (sn_ring_push(p->sh->ring, item(((uintptr_t)p->id << 32 | i) + 1)) != 0) {
			atomic_fetch_add(&p->sh->full, 1);
			sched_yield();
		}
	}
	atomic_fetch_sub(&p->sh->producing, 1);
	return NULL;
}

static void *
consume(void *arg)
{
	struct shared *sh = arg;
	long last[PRODUCERS];
	for (int i = 0; i < PRODUCERS; i++)
		last[i] = -1;
	for (;;) {
		bool done = atomic_load(&sh->producing) == 0;
		void *it = sn_ring_pop(sh->ring);
		if (!it) {
			if (done)
				return NULL;
			sched_yield();
			continue;
		}
		if (sn_ring_depth(sh->ring) > sn_ring_capacity(sh->ring))
			atomic_fetch_add(&sh->overfull, 1);
		uintptr_t v = (uintptr_t)it - 1;
		unsigned who = (unsigned)(v >> 32);
		long seq = (long)(v & 0xffffffffu);
		/* one consumer meets one producer's items in their order */
		if (seq <= last[who])
			atomic_fetch_add(&sh->disorder, 1);
		last[who] = seq;
		atomic_fetch_add(&sh->seen[who][seq], 1);
	}
}

static void
contend(size_t capacity)
{
	struct shared *sh = calloc(1, sizeof(*sh));
	struct producer prod[PRODUCERS];
	pthread_t p[PRODUCERS], c[CONSUMERS];
	assert_non_null(sh);
	sh->ring = sn_ring_new(capacity);
	atomic_init(&sh->producing, PRODUCERS);
	for (unsigned i = 0; i < PRODUCERS; i++) {
		prod[i] = (struct producer){ sh, i };
		assert_int_equal(pthread_create(&p[i], NULL, produce, &prod[i]), 0);
	}
	for (int i = 0; i < CONSUMERS; i++)
		assert_int_equal(pthread_create(&c[i], NULL, consume, sh), 0);
	for (int i = 0; i < PRODUCERS; i++)
		pthread_join(p[i], NULL);
	for (int i = 0; i < CONSUMERS; i++)
		pthread_join(c[i], NULL);
	for (int i = 0; i < PRODUCERS; i++)
		for (int k = 0; k < EACH; k++)
			if (sh->seen[i][k] != 1)
				fail_msg("item %d of producer %d came %d times", k, i, sh->seen[i][k]);
	assert_int_equal(sh->disorder, 0);
	assert_int_equal(sh->overfull, 0);
	struct sn_ring_stats st;
	sn_ring_stats(sh->ring, &st);
	assert_int_equal(st.pushed, PRODUCERS * EACH);
	assert_int_equal(st.popped, PRODUCERS * EACH);
	assert_int_equal(st.rejected, sh->full);
	assert_int_equal(st.depth, 0);
	assert_true(st.peak >= 1 && st.peak <= capacity);
	sn_ring_free(sh->ring);
	free(sh);
}

static void
nothing_lost_under_contention(void **state)
{
	(void)state;
	contend(1);
	contend(3);
	contend(1000);
}

/* Pushers alone, more than fit: exactly `capacity` may get in. */
struct rush {
	struct sn_ring *ring;
	atomic_size_t in;
};

static void *
rush(void *arg)
{
	struct rush *ru = arg;
	for (int i = 0; i < 2000; i++)
		if (sn_ring_push(ru->ring, item(1)) == 0)
			atomic_fetch_add(&ru->in, 1);
	return NULL;
}

static void
a_rush_never_overfills(void **state)
{
	(void)state;
	for (size_t cap = 1; cap < 5000; cap = cap * 3 + 2) {
		struct rush ru = { .ring = sn_ring_new(cap) };
		pthread_t t[4];
		for (int i = 0; i < 4; i++)
			assert_int_equal(pthread_create(&t[i], NULL, rush, &ru), 0);
		for (int i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
		assert_int_equal(ru.in, cap);
		size_t n = 0;
		while (sn_ring_pop(ru.ring))
			n++;
		assert_int_equal(n, cap);
		sn_ring_free(ru.ring);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capacity_is_exact),
		cmocka_unit_test(peak_is_the_deepest),
		cmocka_unit_test(impossible_capacities),
		cmocka_unit_test(nothing_lost_under_contention),
		cmocka_unit_test(a_rush_never_overfills),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
