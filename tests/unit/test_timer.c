/* SPDX-License-Identifier: MIT
 *
 * The timing wheel: nothing fires early, everything fires at most a tick late, moves
 * and removals hold, far deadlines survive the wheel's horizon.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/timer.h"

#define N 2000

static void
test_fires_in_time(void **state)
{
	(void)state;
	struct sn_wheel w;
	static struct sn_timer t[N];
	int64_t due[N], now = 1000000;
	int fired = 0;
	sn_wheel_init(&w, now);
	srandom(1);
	for (int i = 0; i < N; i++) {
		t[i] = (struct sn_timer){ 0 };
		due[i] = now + random() % 120000;
		sn_wheel_set(&w, &t[i], due[i]);
	}
	for (int64_t end = now + 130000; now < end; now += 1 + random() % 300) {
		struct sn_timer *f;
		while ((f = sn_wheel_due(&w, now))) {
			assert_true(due[f - t] <= now);
			due[f - t] = INT64_MAX;
			fired++;
		}
		for (int i = 0; i < N; i++)
			assert_true(due[i] == INT64_MAX || due[i] + 2 * SN_TIMER_TICK_MS > now);
	}
	assert_int_equal(fired, N);
	assert_int_equal(sn_wheel_wait(&w, now), -1);
}

static void
test_moves(void **state)
{
	(void)state;
	struct sn_wheel w;
	struct sn_timer a = { 0 }, b = { 0 };
	sn_wheel_init(&w, 5000);
	sn_wheel_set(&w, &a, 6000);
	sn_wheel_set(&w, &a, 9000); /* later: found out when its slot comes round */
	sn_wheel_set(&w, &b, 9000);
	sn_wheel_set(&w, &b, 5500); /* earlier */
	assert_ptr_equal(sn_wheel_due(&w, 5600), &b);
	assert_null(sn_wheel_due(&w, 8000));
	assert_ptr_equal(sn_wheel_due(&w, 9100), &a);
	assert_null(sn_wheel_due(&w, 99999));
}

static void
test_removed(void **state)
{
	(void)state;
	struct sn_wheel w;
	struct sn_timer a = { 0 };
	sn_wheel_init(&w, 0);
	sn_wheel_remove(&a); /* never set: nothing happens */
	sn_wheel_set(&w, &a, 100);
	assert_true(sn_wheel_wait(&w, 0) <= 150);
	sn_wheel_remove(&a);
	assert_null(sn_wheel_due(&w, 1000));
	assert_int_equal(sn_wheel_wait(&w, 1000), -1);
}

static void
test_long_sleep(void **state)
{
	(void)state;
	struct sn_wheel w;
	struct sn_timer a = { 0 };
	sn_wheel_init(&w, 0);
	sn_wheel_set(&w, &a, 200);
	assert_ptr_equal(sn_wheel_due(&w, (int64_t)SN_TIMER_SLOTS * SN_TIMER_TICK_MS * 10), &a);
}

/* The wait is that of the nearest timer, wherever in the wheel, and whatever was removed. */
static void
test_waits_for_the_nearest(void **state)
{
	(void)state;
	struct sn_wheel w;
	static struct sn_timer t[64];
	int64_t now = 777777;
	sn_wheel_init(&w, now);
	for (int i = 0; i < 64; i++)
		t[i] = (struct sn_timer){ 0 };
	srandom(2);
	for (int round = 0; round < 20000; round++) {
		struct sn_timer *one = &t[random() % 64];
		if (random() % 3 == 0)
			sn_wheel_remove(one);
		else
			sn_wheel_set(&w, one, now + random() % 25000);
		int64_t first = -1;
		for (int i = 0; i < 64; i++)
			if (t[i].next && (first < 0 || t[i].slot_ms < first))
				first = t[i].slot_ms;
		int wait = sn_wheel_wait(&w, now);
		if (first < 0)
			assert_int_equal(wait, -1);
		else
			assert_int_equal(wait, first <= now ? 1 : first - now);
		now += random() % 80;
		while (sn_wheel_due(&w, now))
			continue;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fires_in_time),
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_long_sleep),
		cmocka_unit_test(test_waits_for_the_nearest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
