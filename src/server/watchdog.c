/* SPDX-License-Identifier: MIT
 *
 * What hangs so that only a new process helps: Python's runtime says when (its
 * handlers cannot be ended, or the GIL cannot be had). Then everything that waits
 * for Python is answered by the I/O threads, and the process asks to be replaced.
 * And native handlers that keep an I/O thread, and with it all its connections: they
 * are logged with their C stack (log.slow), and the process asks to be replaced when
 * one is over timeouts.request.
 *
 * It also writes what the status page of other workers tells of this one.
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
#include "server/stack.h"
#include "server/status.h"

#define LEAST_TICK_MS 20
#define MOST_TICK_MS 1000

struct sn_watchdog {
	struct sn_context *ctx;
	struct sn_status *status; /* NULL: nobody asks */
	pthread_t thread;
	int64_t tick_ms;
	bool told; /* its thread's, as what follows */
	struct seen {
		uint64_t id; /* of the request at the last look; 0: no handler ran */
		int64_t since_ms;
		bool told, given_up;
	} *seen; /* one an I/O thread */
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

static void
tell_native(const struct sn_iothread *io, const struct sn_endpoint *ep, uint64_t id, int64_t ms)
{
	char store[4096];
	struct sn_buf text;
	sn_buf_init(&text, store, sizeof(store));
	bool known = sn_iothread_stack(io, &text);
	sn_buf_terminate(&text);
	sn_log_for(SN_LOG_WARNING, id,
	           "slow: native handler %s has kept its I/O thread for %lld.%01lld s, and all its "
	           "connections wait; flag it SN_BLOCKING. It stands here:\n%s",
	           ep->name, (long long)ms / 1000, (long long)ms / 100 % 10,
	           known ? text.data : "(the thread does not say where)");
	sn_buf_free(&text);
}

static void
look_at_io(struct sn_watchdog *w, unsigned i)
{
	const struct sn_context *ctx = w->ctx;
	struct seen *seen = &w->seen[i];
	uint64_t id;
	const struct sn_endpoint *ep = sn_iothread_at(ctx->io[i], &id);
	int64_t now = sn_clock_ms(), ms = now - seen->since_ms;
	if (!ep || id != seen->id) {
		*seen = (struct seen){ .id = ep ? id : 0, .since_ms = now };
	} else if (!seen->told && ctx->ms.slow && ms >= ctx->ms.slow) {
		seen->told = true;
		tell_native(ctx->io[i], ep, id, ms);
	} else if (!seen->given_up && ms >= ctx->ms.request) {
		seen->given_up = true;
		sn_log_for(SN_LOG_ERROR, id, "native handler %s does not give its I/O thread back within "
		           "timeouts.request", ep->name);
		sn_recycle_ask(SN_RECYCLE_STUCK, "a native handler does not give its I/O thread back");
	}
}

/* True: it is time to end. */
static bool
nap(struct sn_watchdog *w)
{
	struct timespec until = sn_clock_timespec(sn_clock_ms() + w->tick_ms);
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
	while (!nap(w)) {
		look_at_python(w);
		for (unsigned i = 0; i < w->ctx->nio; i++)
			look_at_io(w, i);
		sn_status_publish(w->status);
	}
	return NULL;
}

int
sn_watchdog_start(struct sn_watchdog **out, struct sn_context *ctx, struct sn_status *status,
                  struct sn_why *why)
{
	*out = NULL;
	struct sn_watchdog *w = calloc(1, sizeof(*w));
	if (w)
		w->seen = calloc(ctx->nio, sizeof(*w->seen));
	if (!w || !w->seen) {
		free(w);
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	}
	sn_stack_install();
	w->ctx = ctx;
	w->status = status;
	w->tick_ms = sn_clock_ms_of(ctx->conf->timeouts.grace) / 4;
	if (w->tick_ms < LEAST_TICK_MS)
		w->tick_ms = LEAST_TICK_MS;
	if (w->tick_ms > MOST_TICK_MS)
		w->tick_ms = MOST_TICK_MS;
	pthread_mutex_init(&w->lock, NULL);
	sn_clock_cond_init(&w->changed);
	if (pthread_create(&w->thread, NULL, watchdog_main, w) != 0) {
		free(w->seen);
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
	free(w->seen);
	free(w);
}
