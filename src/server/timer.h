/* SPDX-License-Identifier: MIT
 *
 * A timing wheel for the many deadlines of one I/O thread: setting, moving and
 * removing cost a few stores; what fires may be up to one tick late. One thread.
 */
#ifndef SN_SERVER_TIMER_H
#define SN_SERVER_TIMER_H

#include <stdint.h>

#define SN_TIMER_SLOTS 512
#define SN_TIMER_TICK_MS 50

struct sn_timer {
	struct sn_timer *prev, *next; /* NULL: not set */
	int64_t due_ms;
	int64_t slot_ms; /* when the wheel looks at it: at most due_ms */
	void (*fire)(struct sn_timer *); /* for who takes it off the wheel; the wheel does not call it */
};

struct sn_wheel {
	struct sn_timer slot[SN_TIMER_SLOTS]; /* list heads */
	uint64_t used[SN_TIMER_SLOTS / 64];    /* slots that may hold something: removal leaves its bit */
	int64_t tick;                          /* last tick that was run */
};

void sn_wheel_init(struct sn_wheel *w, int64_t now_ms);
/* Sets or moves. A later deadline than before only stores it: the wheel finds out. */
void sn_wheel_set(struct sn_wheel *w, struct sn_timer *t, int64_t due_ms);
void sn_wheel_remove(struct sn_timer *t);
/* Takes one timer that is due off the wheel; NULL: none left. */
struct sn_timer *sn_wheel_due(struct sn_wheel *w, int64_t now_ms);
/* Milliseconds until something may be due; -1: nothing is set. */
int sn_wheel_wait(struct sn_wheel *w, int64_t now_ms);

#endif
