/* SPDX-License-Identifier: MIT
 *
 * A signal is sent to the thread, and its handler walks the stack it stands on.
 * backtrace() is safe enough in a handler once libgcc is loaded: its first call
 * loads it, with malloc, so that is made beforehand. It walks unwind tables, takes
 * no lock of malloc's, and may at worst wait for a thread that is inside dlopen().
 */
#include "server/stack.h"

#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define FRAMES 48
#define SKIPPED 2 /* the handler's own, and the kernel's trampoline */
#define SIGNAL (SIGRTMIN + 6)
#define LOOKS 1000

/* `turn` counts the questions: a thread that answers late answers nobody. */
static struct {
	atomic_int turn, answered;
	atomic_int n;
	void *frames[FRAMES];
} state;

static void
on_signal(int number SN_UNUSED, siginfo_t *info, void *context SN_UNUSED)
{
	int saved = errno, turn = info->si_value.sival_int;
	if (info->si_code == SI_QUEUE && turn == atomic_load(&state.turn)) {
		atomic_store(&state.n, backtrace(state.frames, FRAMES));
		atomic_store(&state.answered, turn);
	}
	errno = saved;
}

void
sn_stack_install(void)
{
	void *frames[1];
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_RESTART | SA_SIGINFO };
	backtrace(frames, 1);
	sigemptyset(&sa.sa_mask);
	sigaction(SIGNAL, &sa, NULL);
}

bool
sn_stack_take(pthread_t thread, struct sn_buf *out)
{
	int turn = atomic_load(&state.turn) + 1;
	union sigval value = { .sival_int = turn };
	atomic_store(&state.turn, turn);
	if (pthread_sigqueue(thread, SIGNAL, value) != 0)
		return false;
	for (int i = 0; atomic_load(&state.answered) != turn; i++) {
		struct timespec ms = { .tv_nsec = 1000000 };
		if (i == LOOKS) {
			atomic_store(&state.turn, turn + 1); /* too late from now on */
			return false;
		}
		nanosleep(&ms, NULL);
	}
	int n = atomic_load(&state.n);
	char **lines = backtrace_symbols(state.frames, n);
	for (int i = SKIPPED; lines && i < n; i++)
		sn_buf_addf(out, "%s%s", i > SKIPPED ? "\n" : "", lines[i]);
	free(lines);
	return n > SKIPPED && lines;
}
