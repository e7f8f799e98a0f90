/* SPDX-License-Identifier: MIT
 *
 * What hangs so that only a new process helps: Python's runtime says when (its
 * handlers cannot be ended, or the GIL cannot be had). Then everything that waits
 * for Python is answered by the I/O threads, and the process asks to be replaced.
 *
 * Threads: its own. It takes no lock that is held over a handler, and never the
 * GIL.
 */
#include "server/watchdog.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/iothread.h"
#include "server/recycle.h"

#define LEAST_TICK_MS 20
#define MOST_TICK_MS 1000

struct sn_watchdog {
	struct sn_context *ctx;
	pthread_t thread;
	int64_t tick_ms;
	bool told; /* its thread's */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stop; /* lock */
};

static void
look_at_python(struct sn_watchdog *w)
{
	struct sn_context *ctx = w->ctx;
	bool all;
	const char *what = ctx->py && !w->told ? sn_pyrt_hangs(ctx->py, &all) : NULL;
	if (!what)
		return;
	w->told = true;
	sn_log_error("Python hangs: %s%s", what,
	             all ? "; what waits for it is answered 504" : "");
	for (unsigned i = 0; all && i < ctx->nio; i++)
		sn_iothread_give_up_python(ctx->io[i]);
	sn_recycle_ask(SN_RECYCLE_STUCK, what);
}

/* True: it is time to end. */
static bool
nap(struct sn_watchdog *w)
{
	int64_t at = sn_clock_ms() + w->tick_ms;
	struct timespec until = { .tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000 };
	int rc = 0;
	pthread_mutex_lock(&w->lock);
	while (!w->stop && rc == 0)
		rc = pthread_cond_timedwait(&w->changed, &w->lock, &until);
	bool stop = w->stop;
	pthread_mutex_unlock(&w->lock);
	return stop;
}

static void *
watchdog_main(void *arg)
{
	struct sn_watchdog *w = arg;
	while (!nap(w))
		look_at_python(w);
	return NULL;
}

int
sn_watchdog_start(struct sn_watchdog **out, struct sn_context *ctx, struct sn_why *why)
{
	*out = NULL;
	struct sn_watchdog *w = calloc(1, sizeof(*w));
	if (!w)
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	w->ctx = ctx;
	w->tick_ms = sn_clock_ms_of(ctx->conf->timeouts.grace) / 4;
	if (w->tick_ms < LEAST_TICK_MS)
		w->tick_ms = LEAST_TICK_MS;
	if (w->tick_ms > MOST_TICK_MS)
		w->tick_ms = MOST_TICK_MS;
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&w->thread, NULL, watchdog_main, w) != 0) {
		free(w);
		return sn_why_set(why, SN_EIO, "cannot start the watchdog's thread");
	}
	pthread_setname_np(w->thread, "snacgi-watch");
	*out = w;
	return 0;
}

void
sn_watchdog_stop(struct sn_watchdog *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
