/* SPDX-License-Identifier: MIT
 *
 * The wheel. A deadline beyond the wheel's horizon sits in its last slot and is
 * put back when that comes round; a deadline that moved later is noticed when
 * its old slot fires, so that the usual case (activity pushes a time-out
 * further) costs one store. A map of the slots in use spares each wake-up the
 * walk over all of them; a bit may outlive what its slot held.
 */
#include "server/timer.h"

#include <stddef.h>
#include <string.h>

void
sn_wheel_init(struct sn_wheel *w, int64_t now_ms)
{
	for (int i = 0; i < SN_TIMER_SLOTS; i++)
		w->slot[i].prev = w->slot[i].next = &w->slot[i];
	memset(w->used, 0, sizeof(w->used));
	w->tick = now_ms / SN_TIMER_TICK_MS;
}

void
sn_wheel_remove(struct sn_timer *t)
{
	if (!t->next)
		return;
	t->prev->next = t->next;
	t->next->prev = t->prev;
	t->prev = t->next = NULL;
}

void
sn_wheel_set(struct sn_wheel *w, struct sn_timer *t, int64_t due_ms)
{
	t->due_ms = due_ms;
	if (t->next && t->slot_ms <= due_ms)
		return;
	sn_wheel_remove(t);
	int64_t tick = (due_ms + SN_TIMER_TICK_MS - 1) / SN_TIMER_TICK_MS;
	if (tick <= w->tick)
		tick = w->tick + 1;
	if (tick > w->tick + SN_TIMER_SLOTS - 1)
		tick = w->tick + SN_TIMER_SLOTS - 1;
	t->slot_ms = tick * SN_TIMER_TICK_MS;
	unsigned at = (unsigned)(tick % SN_TIMER_SLOTS);
	struct sn_timer *head = &w->slot[at];
	w->used[at / 64] |= UINT64_C(1) << at % 64;
	t->next = head;
	t->prev = head->prev;
	head->prev->next = t;
	head->prev = t;
}

struct sn_timer *
sn_wheel_due(struct sn_wheel *w, int64_t now_ms)
{
	int64_t now = now_ms / SN_TIMER_TICK_MS;
	if (now - w->tick > SN_TIMER_SLOTS) /* slept long: one round looks at every slot */
		w->tick = now - SN_TIMER_SLOTS;
	for (;;) {
		struct sn_timer *head = &w->slot[w->tick % SN_TIMER_SLOTS];
		while (head->next != head) {
			struct sn_timer *t = head->next;
			sn_wheel_remove(t);
			if (t->due_ms <= now_ms)
				return t;
			sn_wheel_set(w, t, t->due_ms);
		}
		if (w->tick >= now)
			return NULL;
		w->tick++;
	}
}

/* How many slots from `from` on the first used one is; -1: none is used. */
static int
next_used(const struct sn_wheel *w, unsigned from)
{
	enum { WORDS = SN_TIMER_SLOTS / 64 };
	unsigned word = from / 64;
	uint64_t bits = w->used[word] & (~UINT64_C(0) << from % 64);
	for (int i = 0; !bits && i < WORDS; i++) {
		word = (word + 1) % WORDS;
		bits = w->used[word];
	}
	if (!bits)
		return -1;
	unsigned at = word * 64 + (unsigned)__builtin_ctzll(bits);
	return (int)((at + SN_TIMER_SLOTS - from) % SN_TIMER_SLOTS);
}

int
sn_wheel_wait(struct sn_wheel *w, int64_t now_ms)
{
	unsigned from = (unsigned)(w->tick % SN_TIMER_SLOTS);
	int i;
	while ((i = next_used(w, from)) >= 0) {
		unsigned at = (from + (unsigned)i) % SN_TIMER_SLOTS;
		if (w->slot[at].next != &w->slot[at]) {
			int64_t wait = (w->tick + i) * SN_TIMER_TICK_MS - now_ms;
			return wait <= 0 ? 1 : (int)wait;
		}
		w->used[at / 64] &= ~(UINT64_C(1) << at % 64);
	}
	return -1;
}
