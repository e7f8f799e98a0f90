/* SPDX-License-Identifier: MIT
 *
 * The wheel. A deadline beyond the wheel's horizon sits in its last slot and is
 * put back when that comes round; a deadline that moved later is noticed when
 * its old slot fires, so that the usual case (activity pushes a time-out
 * further) costs one store.
 */
#include "server/timer.h"

#include <stddef.h>

void
sn_wheel_init(struct sn_wheel *w, int64_t now_ms)
{
	for (int i = 0; i < SN_TIMER_SLOTS; i++)
		w->slot[i].prev = w->slot[i].next = &w->slot[i];
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
	struct sn_timer *head = &w->slot[tick % SN_TIMER_SLOTS];
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

int
sn_wheel_wait(const struct sn_wheel *w, int64_t now_ms)
{
	for (int i = 0; i < SN_TIMER_SLOTS; i++) {
		const struct sn_timer *head = &w->slot[(w->tick + i) % SN_TIMER_SLOTS];
		if (head->next == head)
			continue;
		int64_t wait = (w->tick + i) * SN_TIMER_TICK_MS - now_ms;
		return wait <= 0 ? 1 : (int)wait;
	}
	return -1;
}
