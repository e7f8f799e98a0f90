/* SPDX-License-Identifier: MIT
 *
 * A latency histogram, log-linear: exact up to 255 ns, then 128 steps for each
 * power of two, so any value is known to better than 0.8 percent in a fixed
 * table of 36 KiB. Knows no units (the load generator records nanoseconds).
 * One thread records; merge afterwards.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_HIST_BITS 7  /* log2 of the steps a power of two */
#define BENCH_HIST_TOP 42  /* values from 2^42 (73 minutes in ns) on are counted as the largest */
#define BENCH_HIST_SLOTS ((BENCH_HIST_TOP - BENCH_HIST_BITS + 1) << BENCH_HIST_BITS)

struct bench_hist {
	uint64_t count;
	uint64_t min, max; /* exact */
	double sum;
	uint64_t slots[BENCH_HIST_SLOTS];
};

void bench_hist_init(struct bench_hist *h);
/* Records `value` `times` times. */
void bench_hist_add(struct bench_hist *h, uint64_t value, uint64_t times);
void bench_hist_merge(struct bench_hist *into, const struct bench_hist *from);
/* The smallest value that `percent` (0 to 100) of the recorded ones do not
 * exceed, rounded up within its step; never above max. 0 when empty. */
uint64_t bench_hist_percentile(const struct bench_hist *h, double percent);
double bench_hist_mean(const struct bench_hist *h);

#endif
