/* SPDX-License-Identifier: MIT
 *
 * Sync handlers. Threads that take turns on the GIL for every request halve
 * the throughput, so one worker is hot: it alone takes requests, and it keeps
 * the GIL from one to the next while there are any (the interpreter's switch
 * interval lets the event loop and blocked handlers in). Only when the hot one
 * has been in one handler for about a millisecond while work waits does the
 * monitor make another one hot; the first then parks when it returns.
 *
 * Signalling, three words that threads sleep on:
 *   asleep   1: the hot worker sleeps for want of work. The worker sets it, then
 *            looks at the ring again; a producer pushes, then looks at it: with a
 *            full fence between on both sides one of the two sees the other.
 *            The monitor never moves the token away from a sleeping worker.
 *   armed    1: the monitor ticks. Set by a producer that finds the hot worker
 *            busy; cleared by the monitor when nothing waits.
 *   parked   (each worker) 1: not hot and not needed.
 * `hot` changes under `lock` only, which is held for a few instructions and never
 * over Python code. SN_HOT_NONE: every worker is in a long handler; the first to
 * return takes the token.
 *
 * Threads: any thread submits, without the GIL; workers hold it but to sleep;
 * the monitor never takes it.
 */
#include "pyrt/dispatch_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "pyrt/core/core.h"
#include "pyrt/futex.h"

#define TICK_NS 1000000
#define TICK_ALONE_NS 20000000
#define DRAIN_EVERY 64 /* requests between two looks at what sinks let go of */

/* ---- one request ------------------------------------------------------ */

PyObject *
sn_pytarget_call(const struct sn_pytarget *t, PyObject *request)
{
	/* The free slot in front lets a bound method put its self there. */
	PyObject *argv[3] = { NULL, request, t->pool };

	return PyObject_Vectorcall(t->handler, argv + 1,
	                           (t->pool ? 2 : 1) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
}

void
sn_syncworker_settle(struct sn_syncworker *w)
{
	if (w->injected) {
		w->injected = false;
		PyThreadState_SetAsyncExc(w->ident, NULL);
	}
	if (atomic_load(&w->held)) {
		PyThreadState *ts = PyEval_SaveThread();
		while (atomic_load(&w->held))
			sn_futex_wait(&w->held, 1);
		PyEval_RestoreThread(ts);
	}
}

/* In a context of its own: what a handler sets in context variables (a decimal precision,
 * a logger's fields) is not the next request's, as it is not another task's. Not NULL: the answer
 * comes in pieces, and is to be run. */
static struct sn_syncstream *
call_handler(struct sn_syncworker *w, struct sn_request *req)
{
	const struct sn_pytarget *t = req->endpoint->target;
	PyObject *context = PyContext_CopyCurrent();
	PyObject *request = NULL, *result = NULL;
	struct sn_syncstream *ss = NULL;
	struct sn_pystream *stream;

	if (context && PyContext_Enter(context) < 0)
		Py_CLEAR(context);
	if (context)
		request = sn_pyrequest_new(req);
	if (request) {
		w->in_handler = true;
		result = sn_pytarget_call(t, request);
		w->in_handler = false;
		if (sn_unlikely(w->injected))
			sn_syncworker_settle(w);
	}
	stream = sn_pyanswer_send(req, result, t->name);
	if (sn_unlikely(stream != NULL))
		ss = sn_streams_begin(w, stream, context);
	if (context && PyContext_Exit(context) < 0)
		PyErr_Clear();
	Py_XDECREF(request);
	Py_XDECREF(context);
	return ss;
}

void
sn_syncworker_release(struct sn_syncworker *w, uintptr_t req)
{
	uintptr_t expect = req;

	while (!atomic_compare_exchange_weak(&w->current, &expect, 0))
		expect = req; /* borrowed for the length of one non-blocking answer */
}

/* Not inlined: tests/perf counts what is done in here. */
static __attribute__((noinline)) void
run_one(struct sn_syncworker *w, struct sn_request *req)
{
	struct sn_dispatch *d = w->d;

	if (sn_pyrt_begin(req, d->limit_ms, &d->expired)) {
		struct sn_syncstream *ss;
		sn_syncworker_begin(w, req);
		ss = call_handler(w, req);
		sn_syncworker_end(w, req);
		if (sn_unlikely(ss != NULL))
			sn_streams_run(w, ss);
	}
	sn_request_unref(req);
	if (++w->since_drain >= DRAIN_EVERY) {
		w->since_drain = 0;
		sn_pycore_drain();
	}
}

static struct sn_request *
take(struct sn_dispatch *d)
{
	if (sn_unlikely(atomic_load_explicit(&d->oldest, memory_order_relaxed) != NULL)) {
		struct sn_request *req = atomic_exchange(&d->oldest, NULL);
		if (req) {
			atomic_store(&d->held, false);
			return req;
		}
	}
	return sn_ring_pop(d->ring);
}

static bool
has_work(struct sn_dispatch *d)
{
	return sn_ring_depth(d->ring) || atomic_load(&d->oldest) || atomic_load(&d->streams.ready);
}

/* No request comes any more, and none is left. */
static bool
is_done(struct sn_dispatch *d)
{
	return atomic_load(&d->closed) && !has_work(d) && !atomic_load(&d->streams.count);
}

static void
refuse_queued(struct sn_dispatch *d)
{
	struct sn_request *req;

	while ((req = take(d))) {
		sn_request_refuse(req, "The server is stopping.");
		sn_request_unref(req);
	}
}

/* ---- hot, parked, asleep ------------------------------------------------ */

void
sn_dispatch_unpark(struct sn_syncworker *w)
{
	atomic_store(&w->parked, 0);
	sn_futex_wake(&w->parked, 1);
}

/* Without the GIL. True: this worker is hot; false: all work is done, or another one works in
 * its place. */
static bool
park(struct sn_syncworker *w)
{
	struct sn_dispatch *d = w->d;

	pthread_mutex_lock(&d->lock);
	if (atomic_load(&d->drained) || atomic_load(&w->given_up)) {
		pthread_mutex_unlock(&d->lock);
		return false;
	}
	if (atomic_load(&d->hot) == SN_HOT_NONE) {
		atomic_store(&d->hot, w->index);
		pthread_mutex_unlock(&d->lock);
		return true;
	}
	atomic_store(&w->parked, 1);
	d->idle[d->nidle++] = w->index;
	pthread_mutex_unlock(&d->lock);
	while (atomic_load(&w->parked))
		sn_futex_wait(&w->parked, 1);
	return !atomic_load(&d->drained);
}

/* The monitor's: `w` has been in one handler since the last tick. */
static void
hand_over(struct sn_dispatch *d, struct sn_syncworker *w, unsigned seq)
{
	struct sn_syncworker *next = NULL;

	pthread_mutex_lock(&d->lock);
	if (atomic_load(&d->hot) == w->index && atomic_load(&w->seq) == seq) {
		if (d->nidle)
			next = &d->workers[d->idle[--d->nidle]];
		atomic_store(&d->hot, next ? next->index : SN_HOT_NONE);
	}
	pthread_mutex_unlock(&d->lock);
	if (next)
		sn_dispatch_unpark(next);
}

/* The ring was closed and is empty: every worker may end. */
static void
finish(struct sn_dispatch *d)
{
	pthread_mutex_lock(&d->lock);
	if (atomic_load(&d->streams.count)) { /* one has just begun */
		pthread_mutex_unlock(&d->lock);
		return;
	}
	atomic_store(&d->drained, true);
	pthread_cond_broadcast(&d->changed); /* worker 0 waits if it was given up */
	while (d->nidle)
		sn_dispatch_unpark(&d->workers[d->idle[--d->nidle]]);
	pthread_mutex_unlock(&d->lock);
	atomic_store(&d->armed, 1); /* the monitor ends too */
	sn_futex_wake(&d->armed, 1);
	refuse_queued(d); /* a submit that had passed the check of `closed` */
}

/* Without the GIL. */
static void
sleep_for_work(struct sn_dispatch *d)
{
	atomic_store(&d->asleep, 1);
	sn_full_fence();
	if (has_work(d) || is_done(d)) {
		atomic_store(&d->asleep, 0);
		return;
	}
	while (atomic_load(&d->asleep))
		sn_futex_wait(&d->asleep, 1);
}

/* False: there is nothing to do. */
static bool
run_next(struct sn_syncworker *w)
{
	struct sn_dispatch *d = w->d;
	struct sn_request *req;

	if (sn_unlikely(atomic_load_explicit(&d->streams.ready, memory_order_relaxed)) &&
	    (!w->streamed || !sn_ring_depth(d->ring))) {
		struct sn_syncstream *ss = sn_streams_take(d);
		w->streamed = true;
		if (ss) {
			sn_streams_run(w, ss);
			return true;
		}
	}
	req = take(d);
	if (!req)
		return false;
	w->streamed = false;
	run_one(w, req);
	return true;
}

/* Holds the GIL on entry and on return. */
static void
worker_loop(struct sn_syncworker *w)
{
	struct sn_dispatch *d = w->d;

	w->ident = PyThread_get_thread_ident();
	for (;;) {
		PyThreadState *ts;
		bool hot;

		if (atomic_load_explicit(&d->hot, memory_order_acquire) != w->index) {
			sn_pycore_drain();
			ts = PyEval_SaveThread();
			hot = park(w);
			PyEval_RestoreThread(ts);
			if (!hot)
				return;
		}
		if (run_next(w))
			continue;
		sn_pycore_drain();
		ts = PyEval_SaveThread();
		if (is_done(d))
			finish(d);
		else
			sleep_for_work(d);
		PyEval_RestoreThread(ts);
		if (atomic_load(&d->drained))
			return;
	}
}

/* ---- threads -------------------------------------------------------------- */

/* `w` NULL: the monitor. */
static void
leave(struct sn_dispatch *d, struct sn_syncworker *w)
{
	pthread_mutex_lock(&d->lock);
	if (w && atomic_load(&w->given_up))
		d->stuck--;
	else
		d->alive--;
	if (w)
		w->left = true;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

static void *
worker_main(void *arg)
{
	struct sn_syncworker *w = arg;
	PyGILState_STATE gil;

	gil = PyGILState_Ensure();
	worker_loop(w);
	PyGILState_Release(gil);
	leave(w->d, w);
	return NULL;
}

static void
wake_hot(struct sn_dispatch *d)
{
	if (atomic_exchange(&d->asleep, 0))
		sn_futex_wake(&d->asleep, 1);
}

/* While every worker is stuck nobody else looks at what waits: answers what has waited too
 * long. A request that has not is put back where workers look first. */
static void
expire(struct sn_dispatch *d)
{
	struct sn_request *req;

	for (;;) {
		if (!(req = atomic_exchange(&d->oldest, NULL))) {
			atomic_store(&d->held, true); /* first, or one more would fit meanwhile */
			req = sn_ring_pop(d->ring);
		}
		if (!req) {
			atomic_store(&d->held, false);
			return;
		}
		if (!sn_pyrt_stale(req, d->limit_ms, &d->expired)) {
			atomic_store(&d->oldest, req);
			sn_full_fence();
			if (atomic_load(&d->asleep)) /* its worker returned this moment */
				wake_hot(d);
			if (atomic_load(&d->drained))
				refuse_queued(d);
			return;
		}
		sn_request_unref(req);
	}
}

static void
nap(const struct sn_dispatch *d)
{
	/* With one worker there is nobody to hand over to, only ages to look at. */
	struct timespec ts = { .tv_nsec = d->nworkers > 1 ? TICK_NS : TICK_ALONE_NS };

	nanosleep(&ts, NULL);
}

/* Ticks while work waits. */
static void
watch(struct sn_dispatch *d)
{
	int last = SN_HOT_NONE;
	unsigned last_seq = 0;

	for (;;) {
		bool stuck;
		unsigned seq;
		int hot;

		nap(d);
		if (atomic_load(&d->drained) || !has_work(d))
			return;
		hot = atomic_load(&d->hot);
		seq = hot == SN_HOT_NONE ? 0 : atomic_load(&d->workers[hot].seq);
		stuck = hot == SN_HOT_NONE || (hot == last && seq == last_seq && (seq & 1));
		if (stuck && hot != SN_HOT_NONE)
			hand_over(d, &d->workers[hot], seq);
		if (stuck && d->limit_ms > 0 && atomic_load(&d->nidle) == 0)
			expire(d);
		last = hot;
		last_seq = seq;
	}
}

static void *
monitor_main(void *arg)
{
	struct sn_dispatch *d = arg;

	while (!atomic_load(&d->drained)) {
		if (atomic_load(&d->armed) == 0) {
			sn_futex_wait(&d->armed, 0);
			continue;
		}
		watch(d);
		if (atomic_load(&d->drained))
			break;
		atomic_store(&d->armed, 0);
		sn_full_fence();
		if (has_work(d) && !atomic_load(&d->asleep))
			atomic_store(&d->armed, 1);
	}
	leave(d, NULL);
	return NULL;
}

static int
spawn(pthread_t *t, void *(*fn)(void *), void *arg, const char *name)
{
	if (pthread_create(t, NULL, fn, arg) != 0)
		return SN_ENOMEM;
	pthread_setname_np(*t, name);
	return 0;
}

static bool
watched(const struct sn_dispatch *d)
{
	return d->nworkers > 1 || d->limit_ms > 0;
}

int
sn_dispatch_spawn(struct sn_dispatch *d, unsigned index)
{
	struct sn_syncworker *w = &d->workers[index];
	char name[16];

	snprintf(name, sizeof(name), d->reads ? "sn-reader-%u" : "sn-python-%u", index % 100000);
	w->left = false;
	atomic_store(&w->given_up, false);
	if (spawn(&w->thread, worker_main, w, name) < 0)
		return SN_ENOMEM;
	w->joinable = true;
	d->alive++;
	return 0;
}

int
sn_dispatch_start(struct sn_dispatch *d)
{
	int rc = 0;

	pthread_mutex_lock(&d->lock);
	for (unsigned i = 1; rc == 0 && i < d->nworkers; i++)
		rc = sn_dispatch_spawn(d, i);
	if (rc == 0 && watched(d)) {
		rc = spawn(&d->monitor, monitor_main, d, "sn-py-monitor");
		d->monitored = rc == 0;
		d->alive += rc == 0;
	}
	pthread_mutex_unlock(&d->lock);
	return rc == 0 && d->readers ? sn_dispatch_start(d->readers) : rc;
}

void
sn_dispatch_run(struct sn_dispatch *d)
{
	struct sn_syncworker *w = &d->workers[0];
	PyThreadState *ts;

	worker_loop(w);
	if (!atomic_load(&w->given_up))
		return;
	ts = PyEval_SaveThread();
	leave(d, w); /* it is back, but others do its work */
	sn_dispatch_await_end(d, INT64_MAX / 2);
	PyEval_RestoreThread(ts);
}

bool
sn_dispatch_await_end(struct sn_dispatch *d, int64_t deadline_ms)
{
	struct timespec until = sn_clock_timespec(deadline_ms);
	bool drained;
	int rc = 0;

	pthread_mutex_lock(&d->lock);
	while (!(drained = atomic_load(&d->drained)) && rc == 0)
		rc = pthread_cond_timedwait(&d->changed, &d->lock, &until);
	pthread_mutex_unlock(&d->lock);
	return drained;
}

static int
join(struct sn_dispatch *d, int64_t deadline_ms)
{
	struct timespec until = sn_clock_timespec(deadline_ms);
	bool late, stuck;
	int rc = 0;

	if (!atomic_load(&d->drained)) { /* a start that failed half-way */
		atomic_store(&d->closed, true);
		finish(d);
	}
	pthread_mutex_lock(&d->lock);
	while (d->alive && rc == 0)
		rc = pthread_cond_timedwait(&d->changed, &d->lock, &until);
	late = d->alive;
	stuck = d->stuck;
	for (unsigned i = 1; !late && i < d->slots; i++) {
		struct sn_syncworker *w = &d->workers[i];
		if (w->joinable && w->left)
			pthread_join(w->thread, NULL);
		w->joinable &= !w->left;
	}
	pthread_mutex_unlock(&d->lock);
	if (late)
		return SN_EGONE;
	if (d->monitored)
		pthread_join(d->monitor, NULL);
	d->monitored = false;
	return stuck ? SN_EAGAIN : 0;
}

int
sn_dispatch_join(struct sn_dispatch *d, int64_t deadline_ms)
{
	int rc = join(d, deadline_ms), theirs;

	if (!d->readers)
		return rc;
	if (atomic_load(&d->readers->closed)) /* what they have is run first */
		sn_dispatch_await_end(d->readers, deadline_ms);
	theirs = join(d->readers, deadline_ms);
	return rc == SN_EGONE || theirs == SN_EGONE ? SN_EGONE : rc ? rc : theirs;
}

/* ---- from outside ------------------------------------------------------------ */

int
sn_dispatch_new(struct sn_dispatch **out, unsigned workers, unsigned max_stuck, size_t queue,
                int64_t queue_timeout_ms)
{
	unsigned slots = workers + max_stuck;
	size_t size = sizeof(struct sn_dispatch) + slots * sizeof(struct sn_syncworker);
	struct sn_dispatch *d = aligned_alloc(64, (size + 63) / 64 * 64);

	*out = NULL;
	if (!d)
		return SN_ENOMEM;
	memset(d, 0, size);
	d->ring = sn_ring_new(queue);
	d->idle = calloc(workers, sizeof(*d->idle));
	if (!d->ring || !d->idle) {
		sn_ring_free(d->ring);
		free(d->idle);
		free(d);
		return SN_ENOMEM;
	}
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->streams.lock, NULL);
	pthread_mutex_init(&d->streams.open_lock, NULL);
	sn_clock_cond_init(&d->changed);
	d->nworkers = workers;
	d->slots = workers;
	d->max_stuck = max_stuck;
	d->limit_ms = queue_timeout_ms;
	for (unsigned i = 0; i < slots; i++) {
		d->workers[i].d = d;
		d->workers[i].index = (int)i;
	}
	*out = d;
	return 0;
}

static void
wake(struct sn_dispatch *d)
{
	sn_full_fence();
	if (atomic_load_explicit(&d->asleep, memory_order_relaxed)) {
		wake_hot(d);
	} else if (watched(d) && !atomic_load_explicit(&d->armed, memory_order_relaxed)) {
		if (atomic_exchange(&d->armed, 1) == 0)
			sn_futex_wake(&d->armed, 1);
	}
}

int
sn_dispatch_add_readers(struct sn_dispatch *d, unsigned workers, unsigned max_stuck, size_t queue)
{
	int rc = sn_dispatch_new(&d->readers, workers + 1, max_stuck, queue, d->limit_ms);

	if (rc < 0)
		return rc;
	d->readers->reads = true;
	atomic_store(&d->readers->hot, SN_HOT_NONE); /* the first that comes */
	return 0;
}

int
sn_dispatch_submit(struct sn_dispatch *d, struct sn_request *req)
{
	d = sn_dispatch_of(d, req);
	if (sn_unlikely(atomic_load_explicit(&d->closed, memory_order_acquire)))
		return SN_EGONE;
	if ((sn_unlikely(atomic_load_explicit(&d->held, memory_order_relaxed)) &&
	     sn_ring_depth(d->ring) + 1 >= sn_ring_capacity(d->ring)) ||
	    sn_ring_push(d->ring, req) < 0) {
		atomic_fetch_add_explicit(&d->rejected, 1, memory_order_relaxed);
		return SN_EFULL;
	}
	wake(d);
	if (sn_unlikely(atomic_load(&d->drained)))
		refuse_queued(d);
	return 0;
}

void
sn_dispatch_wake(struct sn_dispatch *d)
{
	wake(d);
}

void
sn_dispatch_close(struct sn_dispatch *d)
{
	atomic_store(&d->closed, true);
	sn_full_fence();
	wake_hot(d);
	if (d->readers)
		sn_dispatch_close(d->readers);
}

void
sn_dispatch_refuse_all(struct sn_dispatch *d)
{
	if (d->readers)
		sn_dispatch_refuse_all(d->readers);
	refuse_queued(d);
	for (unsigned i = 0; i < atomic_load(&d->slots); i++) {
		struct sn_syncworker *w = &d->workers[i];
		uintptr_t req = atomic_load(&w->current);

		if (!req || (req & SN_BORROWED) ||
		    !atomic_compare_exchange_strong(&w->current, &req, req | SN_BORROWED))
			continue;
		sn_request_refuse((struct sn_request *)req, "The server is stopping.");
		atomic_store(&w->current, req);
	}
}

void
sn_dispatch_stats(const struct sn_dispatch *d, struct sn_pyrt_stats *out)
{
	struct sn_ring_stats ring;

	if (d->readers)
		sn_dispatch_stats(d->readers, out);
	sn_ring_stats(d->ring, &ring);
	out->sync_depth += ring.depth + (atomic_load(&d->oldest) != NULL);
	out->sync_peak = ring.peak > out->sync_peak ? ring.peak : out->sync_peak;
	out->rejected += atomic_load(&d->rejected);
	out->expired += atomic_load(&d->expired);
	for (unsigned i = 0; i < atomic_load(&d->slots); i++)
		if (!atomic_load(&d->workers[i].given_up))
			out->dispatch_busy += atomic_load(&d->workers[i].seq) & 1;
}

void
sn_dispatch_free(struct sn_dispatch *d)
{
	if (!d)
		return;
	sn_dispatch_free(d->readers);
	pthread_cond_destroy(&d->changed);
	pthread_mutex_destroy(&d->streams.open_lock);
	pthread_mutex_destroy(&d->streams.lock);
	pthread_mutex_destroy(&d->lock);
	sn_ring_free(d->ring);
	free(d->idle);
	free(d);
}
