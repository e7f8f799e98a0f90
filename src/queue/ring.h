/* SPDX-License-Identifier: MIT
 *
 * A bounded multi-producer multi-consumer queue of pointers (Vyukov's
 * sequence-numbered ring), lock-free, with counters. It only holds: waking a
 * consumer is its owner's business.
 */
#ifndef SN_QUEUE_RING_H
#define SN_QUEUE_RING_H

#include <stdint.h>

#include "base/err.h"

struct sn_ring;

/* `capacity` >= 1; exactly that many fit. NULL: no memory. */
struct sn_ring *sn_ring_new(size_t capacity);
void sn_ring_free(struct sn_ring *r); /* NULL is fine; must be empty */
/* 0, or SN_EFULL (counted as rejected). Any thread. */
int sn_ring_push(struct sn_ring *r, void *item);
/* The oldest item, or NULL. Any thread. */
void *sn_ring_pop(struct sn_ring *r);
/* Exact only when nobody pushes or pops. */
size_t sn_ring_depth(const struct sn_ring *r);
size_t sn_ring_capacity(const struct sn_ring *r);

struct sn_ring_stats {
	uint64_t pushed, popped, rejected;
	size_t depth, peak;
};
void sn_ring_stats(const struct sn_ring *r, struct sn_ring_stats *out);

#endif
