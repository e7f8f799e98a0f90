/* SPDX-License-Identifier: MIT
 *
 * Sleeping on an integer, and the full fence between "I sleep" and the last
 * look for work that keeps a wake-up from getting lost. Without the GIL only.
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

/* ThreadSanitizer does not know fences; every passage through one atomic is one as well. */
static inline void
sn_full_fence(void)
{
#if defined(__SANITIZE_THREAD__)
	static atomic_int all;
	atomic_fetch_add(&all, 1);
#else
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

#endif
