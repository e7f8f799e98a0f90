/* SPDX-License-Identifier: MIT
 *
 * Signal handlers. State is static: a handler can reach nothing else. The handler
 * runs on whichever thread the kernel picks; all it does is async-signal-safe.
 */
#include "server/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct {
	int fd;
	atomic_uint pending, stops;
	bool interrupt_stops;
} state = { .fd = -1 };

static void
tell(unsigned bit)
{
	uint64_t one = 1;
	atomic_fetch_or(&state.pending, bit);
	ssize_t put = write(state.fd, &one, sizeof(one));
	(void)put; /* full means readable, which is all that is wanted */
}

/* The supervisor's order to retire is told from anybody else's SIGUSR2 by its sender: only after
 * that order does it send no more connections. */
static unsigned
bit_of(int number, const siginfo_t *info)
{
	switch (number) {
	case SIGCHLD: return SN_SIG_CHILD;
	case SIGUSR1: return SN_SIG_REOPEN;
	case SIGUSR2:
		return info->si_code == SI_USER && info->si_pid == getppid() ? SN_SIG_RETIRE : SN_SIG_SUCCEED;
	case SIGHUP: return SN_SIG_RELOAD;
	case SIGINT: return state.interrupt_stops ? SN_SIG_STOP : 0;
	default: return SN_SIG_STOP;
	}
}

static void
on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	int saved = errno;
	unsigned bit = bit_of(number, info);
	if (bit == SN_SIG_STOP)
		atomic_fetch_add(&state.stops, 1);
	if (bit)
		tell(bit);
	errno = saved;
}

int
sn_signals_install(bool interrupt_stops, struct sn_why *why)
{
	/* begins readable: a signal may have come to a forked child before it got here */
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK), old = state.fd;
	if (fd < 0)
		return sn_why_set(why, SN_EIO, "eventfd: %s", strerror(errno));
	state.interrupt_stops = interrupt_stops;
	state.fd = fd;
	/* a forked child has what came to its parent and was not yet taken: of that it obeys only this */
	atomic_fetch_and(&state.pending, (unsigned)(SN_SIG_STOP | SN_SIG_REOPEN | SN_SIG_SUCCEED));
	if (old >= 0)
		close(old);
	static const int handled[] = { SIGTERM, SIGINT, SIGQUIT, SIGCHLD, SIGUSR1, SIGUSR2, SIGHUP };
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_RESTART | SA_SIGINFO };
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < SN_COUNT(handled); i++)
		sigaction(handled[i], &sa, NULL);
	sa.sa_flags = 0;
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return fd;
}

bool
sn_signals_raise(enum sn_signal bit)
{
	if (state.fd < 0)
		return false;
	tell(bit);
	return true;
}

unsigned
sn_signals_take(unsigned *stops)
{
	eventfd_t count;
	eventfd_read(state.fd, &count);
	unsigned mask = atomic_exchange(&state.pending, 0);
	*stops = atomic_load(&state.stops);
	return mask;
}
