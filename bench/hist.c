/* SPDX-License-Identifier: MIT
 *
 * The log-linear histogram. Slot numbers are (shift << BITS) + (value >> shift)
 * with the smallest shift that leaves value >> shift below 2 << BITS: steps
 * double in width with each power of two and no slot is skipped.
 */
#include "hist.h"

#include <math.h>
#include <string.h>

void
bench_hist_init(struct bench_hist *h)
{
	memset(h, 0, sizeof(*h));
	h->min = UINT64_MAX;
}

static size_t
slot_of(uint64_t value)
{
	unsigned shift = 0;

	if (value >> BENCH_HIST_TOP)
		return BENCH_HIST_SLOTS - 1;
	if (value >> (BENCH_HIST_BITS + 1))
		shift = 63 - (unsigned)__builtin_clzll(value) - BENCH_HIST_BITS;
	return ((size_t)shift << BENCH_HIST_BITS) + (size_t)(value >> shift);
}

/* The largest value that shares the slot. */
static uint64_t
slot_top(size_t slot)
{
	size_t shift = slot >> BENCH_HIST_BITS;

	if (shift < 2)
		return slot;
	shift--;
	return ((uint64_t)(slot - (shift << BENCH_HIST_BITS) + 1) << shift) - 1;
}

void
bench_hist_add(struct bench_hist *h, uint64_t value, uint64_t times)
{
	if (times == 0)
		return;
	h->slots[slot_of(value)] += times;
	h->count += times;
	h->sum += (double)value * (double)times;
	if (value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
}

void
bench_hist_merge(struct bench_hist *into, const struct bench_hist *from)
{
	size_t i;

	for (i = 0; i < BENCH_HIST_SLOTS; i++)
		into->slots[i] += from->slots[i];
	into->count += from->count;
	into->sum += from->sum;
	if (from->min < into->min)
		into->min = from->min;
	if (from->max > into->max)
		into->max = from->max;
}

uint64_t
bench_hist_percentile(const struct bench_hist *h, double percent)
{
	uint64_t rank, seen = 0;
	size_t i;

	if (h->count == 0)
		return 0;
	/* A hair below the exact product: 99.9 percent of 1000 is the 999th, not the 1000th. */
	rank = (uint64_t)ceil(percent / 100.0 * (double)h->count - 1e-6);
	if (rank < 1)
		rank = 1;
	if (rank >= h->count)
		return h->max;
	for (i = 0; i < BENCH_HIST_SLOTS; i++) {
		seen += h->slots[i];
		if (seen >= rank)
			break;
	}
	if (i >= BENCH_HIST_SLOTS - 1 || slot_top(i) > h->max)
		return h->max;
	return slot_top(i) < h->min ? h->min : slot_top(i);
}

double
bench_hist_mean(const struct bench_hist *h)
{
	return h->count ? h->sum / (double)h->count : 0.0;
}
