/* SPDX-License-Identifier: MIT
 *
 * Vyukov's bounded MPMC queue. Each slot carries a sequence number that says
 * whose turn it is: position p may be written when it is p, and read when it
 * is p + 1. The slots are a power of two; `capacity` is kept by looking at how
 * far the readers are, so any number is exact. Does not know what it holds and
 * wakes nobody.
 *
 * A pusher claims its position before it fills the slot, so a pop may find
 * "empty" although a later push has returned already. That item is not lost:
 * the pusher in front of it has not returned yet. Whoever wakes consumers must
 * do so after *every* push, not only after the one that found the ring empty.
 *
 * Any thread.
 */
#include "queue/ring.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LINE 64 /* the ends must not share a cache line: pushers and poppers would fight for it */

struct slot {
	atomic_size_t turn;
	void *item;
};

struct sn_ring {
	_Alignas(LINE) atomic_size_t tail; /* next position to push: all that were ever pushed */
	atomic_size_t peak;                /* pushers only */
	atomic_size_t rejected;            /* pushers only */
	_Alignas(LINE) atomic_size_t head; /* next position to pop */
	_Alignas(LINE) size_t capacity;    /* never changes, like what follows */
	size_t mask;
	struct slot *slots;
};

struct sn_ring *
sn_ring_new(size_t capacity)
{
	/* One slot is not enough to tell "filled" from "free in the next round". */
	size_t n = 2;
	if (capacity < 1 || capacity > SIZE_MAX / (4 * sizeof(struct slot)))
		return NULL;
	while (n < capacity)
		n *= 2;
	struct sn_ring *r = aligned_alloc(LINE, sizeof(*r));
	struct slot *slots = malloc(n * sizeof(*slots));
	if (!r || !slots) {
		free(r);
		free(slots);
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		atomic_init(&slots[i].turn, i);
		slots[i].item = NULL;
	}
	atomic_init(&r->tail, 0);
	atomic_init(&r->head, 0);
	atomic_init(&r->peak, 0);
	atomic_init(&r->rejected, 0);
	r->capacity = capacity;
	r->mask = n - 1;
	r->slots = slots;
	return r;
}

void
sn_ring_free(struct sn_ring *r)
{
	if (!r)
		return;
	SN_ASSERT(sn_ring_depth(r) == 0);
	free(r->slots);
	free(r);
}

/* The peak is a statistic: relaxed, and written only while it grows. */
static void
note_peak(struct sn_ring *r, size_t depth)
{
	size_t peak = atomic_load_explicit(&r->peak, memory_order_relaxed);
	while (sn_unlikely(depth > peak))
		if (atomic_compare_exchange_weak_explicit(&r->peak, &peak, depth,
		                                          memory_order_relaxed, memory_order_relaxed))
			break;
}

int
sn_ring_push(struct sn_ring *r, void *item)
{
	SN_ASSERT(item != NULL); /* NULL means "empty" to sn_ring_pop */
	int patience = 100;
	size_t pos = atomic_load_explicit(&r->tail, memory_order_relaxed);
	for (;;) {
		struct slot *slot = &r->slots[pos & r->mask];
		size_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
		/* `head` only grows, so what is read here may be too small but never too
		 * large: when the exchange below succeeds, at most `capacity` are inside. */
		size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
		if (turn == pos && (ptrdiff_t)(pos - head) < (ptrdiff_t)r->capacity) {
			if (atomic_compare_exchange_weak_explicit(&r->tail, &pos, pos + 1,
			                                          memory_order_relaxed,
			                                          memory_order_relaxed)) {
				slot->item = item;
				atomic_store_explicit(&slot->turn, pos + 1, memory_order_release);
				note_peak(r, pos + 1 - head);
				return 0;
			}
			continue; /* `pos` is the new tail */
		}
		size_t again = atomic_load_explicit(&r->tail, memory_order_relaxed);
		if (again == pos) {
			/* There may be room and only this slot taken: its popper, a whole
			 * round ago, was preempted between its two steps. Let it run. */
			if ((ptrdiff_t)(pos - head) < (ptrdiff_t)r->capacity &&
			    patience-- > 0) {
				sched_yield();
				continue;
			}
			atomic_fetch_add_explicit(&r->rejected, 1, memory_order_relaxed);
			return SN_EFULL;
		}
		pos = again;
	}
}

void *
sn_ring_pop(struct sn_ring *r)
{
	size_t pos = atomic_load_explicit(&r->head, memory_order_relaxed);
	for (;;) {
		struct slot *slot = &r->slots[pos & r->mask];
		size_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
		ptrdiff_t ahead = (ptrdiff_t)(turn - (pos + 1));
		if (ahead == 0) {
			if (atomic_compare_exchange_weak_explicit(&r->head, &pos, pos + 1,
			                                          memory_order_relaxed,
			                                          memory_order_relaxed)) {
				void *item = slot->item;
				atomic_store_explicit(&slot->turn, pos + r->mask + 1,
				                      memory_order_release);
				return item;
			}
		} else if (ahead < 0) {
			size_t again = atomic_load_explicit(&r->head, memory_order_relaxed);
			if (again == pos)
				return NULL;
			pos = again;
		} else {
			pos = atomic_load_explicit(&r->head, memory_order_relaxed);
		}
	}
}

size_t
sn_ring_depth(const struct sn_ring *r)
{
	/* head first: it never passes tail, so the difference is not negative */
	size_t head = atomic_load_explicit(&((struct sn_ring *)r)->head, memory_order_acquire);
	size_t tail = atomic_load_explicit(&((struct sn_ring *)r)->tail, memory_order_relaxed);
	return tail - head > r->capacity ? r->capacity : tail - head;
}

size_t
sn_ring_capacity(const struct sn_ring *r)
{
	return r->capacity;
}

void
sn_ring_stats(const struct sn_ring *cr, struct sn_ring_stats *out)
{
	struct sn_ring *r = (struct sn_ring *)cr; /* older C11 loads want it not const */
	size_t head = atomic_load_explicit(&r->head, memory_order_acquire);
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	out->pushed = tail;
	out->popped = head;
	out->rejected = atomic_load_explicit(&r->rejected, memory_order_relaxed);
	out->depth = tail - head > r->capacity ? r->capacity : tail - head;
	out->peak = atomic_load_explicit(&r->peak, memory_order_relaxed);
}
