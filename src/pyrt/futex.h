/* SPDX-License-Identifier: MIT
 *
 * Sleeping on an integer. Without the GIL only.
 */
#ifndef SN_PYRT_FUTEX_H
#define SN_PYRT_FUTEX_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Returns when woken, when `*word` is not `value`, or for no reason. */
static inline void
sn_futex_wait(atomic_int *word, int value)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static inline void
sn_futex_wake(atomic_int *word, int waiters)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, waiters, NULL, NULL, 0);
}

#endif
