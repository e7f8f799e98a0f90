/* SPDX-License-Identifier: MIT
 *
 * A request whose time is over was answered by its I/O thread; here the handler
 * that still works at it is made to stop, by its lane's means:
 *
 *   sync    an exception is raised in the handler (stuck.c); if its thread does
 *           not come back within the grace, another one takes its place
 *   async   the task was cancelled (aio.c); if it has the loop blocked, so that
 *           this does not reach it, an exception is raised in it as well
 *
 * What runs after an answer, background work and what a stream's end calls, has a time of its own,
 * which is looked after here: it is in a list while it runs, the oldest first.
 *
 * Raising needs the GIL. If that cannot be had within the grace, somebody holds
 * it in C and never lets go: nothing in this process can help then, and it says
 * so to whoever asks (sn_enforcer_hangs), as it does when too many threads were
 * given up, or the loop does not come back.
 *
 * Threads: its own, which is asleep unless a request is late; any thread reports
 * and asks, without the GIL.
 */
#include "pyrt/enforce.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "pyrt/interp.h"

#define TICK_MS 50 /* between two looks at what is late */

struct late {
	struct late *next;
	struct sn_request *req;
	int64_t give_up_ms;
	uint64_t step; /* of the loop, at the last look */
	bool told;     /* the log knows that it was interrupted */
	bool slow;     /* not late: its stack is to be logged, no more */
	bool after;    /* it is what runs after its answer that is late */
};

struct sn_enforcer {
	struct sn_dispatch *dispatch;
	struct sn_aio *aio;
	PyObject *exception; /* snacgi.HandlerTimeout */
	int64_t grace_ms, after_ms;
	pthread_t thread;
	struct late *items; /* its thread's */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct late *fresh; /* lock */
	bool stop;          /* lock */
	bool dozes;         /* lock: it waits for a call only */
	struct sn_after *first, *last; /* lock: what runs after its answer, the oldest first */

	atomic_llong gil_wanted_ms; /* since when it waits for the GIL; 0: it does not */
	_Atomic(const char *) hangs;
};

/* With the GIL. */
static bool
is_async(const struct sn_request *req)
{
	return sn_lane_is_async(req->endpoint->lane) && req->step != SN_STEP_SYNC_STREAM;
}

static void
give_up_process(struct sn_enforcer *e, const char *reason)
{
	const char *none = NULL;

	atomic_compare_exchange_strong(&e->hangs, &none, reason);
}

/* ---- one late request, with the GIL ---------------------------------------- */

static void
tell(struct late *l)
{
	if (l->told)
		return;
	l->told = true;
	sn_log_for(SN_LOG_INFO, l->req->id, "%s%s: it is interrupted", l->req->endpoint->name,
	           l->after ? ": what it does after its answer is over timeouts.background" : " is over its time");
}

/* Returns true when there is nothing more to do. */
static bool
end_sync(struct sn_enforcer *e, struct late *l)
{
	enum sn_hold hold = sn_dispatch_interrupt(e->dispatch, l->req, l->after, e->exception);
	int rc;

	if (hold == SN_HOLD_NOT)
		return true;
	if (hold == SN_HOLD_INJECTED)
		tell(l);
	if (sn_clock_ms() < l->give_up_ms)
		return false;
	rc = sn_dispatch_replace(e->dispatch, l->req);
	if (rc == 0)
		sn_log_for(SN_LOG_ERROR, l->req->id, "%s does not stop: its thread is given up and "
		           "another one takes its place", l->req->endpoint->name);
	else
		give_up_process(e, "too many sync threads are stuck in handlers that are over their time");
	return true;
}

static bool
end_async(struct sn_enforcer *e, struct late *l)
{
	enum sn_hold hold = sn_aio_interrupt(e->aio, l->req, l->after, e->exception, &l->step);

	if (hold == SN_HOLD_NOT)
		return true;
	if (hold == SN_HOLD_INJECTED)
		tell(l);
	if (sn_clock_ms() < l->give_up_ms)
		return false;
	if (hold == SN_HOLD_INJECTED) {
		give_up_process(e, "an async handler that is over its time blocks the event loop");
		return true;
	}
	if (!sn_aio_deaf(e->aio)) {
		sn_log_for(SN_LOG_WARNING, l->req->id, "%s goes on although its task was cancelled",
		           l->req->endpoint->name);
		return true;
	}
	/* Somebody else has the loop. If it is a request, its own time will come. */
	if (!sn_aio_steps(e->aio))
		give_up_process(e, "a callback blocks the event loop");
	l->give_up_ms += e->grace_ms;
	return false;
}

/* Returns true: once is enough. */
static bool
tell_stack(struct sn_enforcer *e, struct late *l)
{
	PyObject *text = NULL;
	const char *s;
	unsigned long ident;

	if (is_async(l->req))
		text = sn_aio_stack(e->aio, l->req);
	else if ((ident = sn_dispatch_thread_of(e->dispatch, l->req)))
		text = sn_interp_call("stack_of_thread", Py_BuildValue("(k)", ident));
	s = text && PyUnicode_Check(text) ? PyUnicode_AsUTF8(text) : NULL;
	if (s && *s)
		sn_log_for(SN_LOG_WARNING, l->req->id, "slow: %s stands here:\n%s", l->req->endpoint->name, s);
	Py_XDECREF(text);
	PyErr_Clear();
	return true;
}

static bool
look_at(struct sn_enforcer *e, struct late *l)
{
	if (l->slow)
		return tell_stack(e, l);
	return is_async(l->req) ? end_async(e, l) : end_sync(e, l);
}

static void
look_at_all(struct sn_enforcer *e)
{
	struct late **at = &e->items;

	while (*at) {
		struct late *l = *at;

		if (!look_at(e, l)) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		sn_request_unref(l->req);
		free(l);
	}
}

/* ---- what there is to do: with the lock -------------------------------------------- */

static void
unlink_after(struct sn_enforcer *e, struct sn_after *a)
{
	if (a->prev)
		a->prev->next = a->next;
	else
		e->first = a->next;
	if (a->next)
		a->next->prev = a->prev;
	else
		e->last = a->prev;
	a->linked = false;
}

static void
add_fresh(struct sn_enforcer *e, struct sn_request *req, bool slow, bool after)
{
	struct late *l = calloc(1, sizeof(*l));

	if (!l) {
		sn_log_for(SN_LOG_ERROR, req->id, "%s is %s: out of memory", req->endpoint->name,
		           slow ? "slow, and where it stands cannot be said"
		                : "over its time and cannot be interrupted");
		return;
	}
	l->slow = slow;
	l->after = after;
	l->req = sn_request_ref(req);
	l->give_up_ms = sn_clock_ms() + e->grace_ms;
	l->next = e->fresh;
	e->fresh = l;
}

static void
take_due(struct sn_enforcer *e)
{
	int64_t now = e->first ? sn_clock_ms() : 0;

	while (e->first && e->first->due_ms <= now) {
		struct sn_after *a = e->first;
		unlink_after(e, a);
		add_fresh(e, a->req, false, true);
	}
}

/* Until it is called, or something is due; a tick at most while there is somebody to look at. */
static void
doze(struct sn_enforcer *e)
{
	int64_t tick = sn_clock_ms() + TICK_MS;

	for (;;) {
		int64_t until;
		struct timespec ts;
		take_due(e);
		if (e->stop || e->fresh || (e->items && sn_clock_ms() >= tick))
			return;
		until = e->first ? e->first->due_ms : 0;
		if (e->items && (!until || tick < until))
			until = tick;
		ts = sn_clock_timespec(until);
		e->dozes = !until;
		if (until)
			pthread_cond_timedwait(&e->changed, &e->lock, &ts);
		else
			pthread_cond_wait(&e->changed, &e->lock);
		e->dozes = false;
	}
}

/* ---- its thread ----------------------------------------------------------------- */

/* Takes what has come; false: it is time to end. */
static bool
sleep_for_work(struct sn_enforcer *e)
{
	bool stop;

	pthread_mutex_lock(&e->lock);
	doze(e);
	while (e->fresh) {
		struct late *l = e->fresh;
		e->fresh = l->next;
		l->next = e->items;
		e->items = l;
	}
	stop = e->stop;
	pthread_mutex_unlock(&e->lock);
	return !stop;
}

static void *
enforcer_main(void *arg)
{
	struct sn_enforcer *e = arg;

	while (sleep_for_work(e)) {
		PyGILState_STATE gil;

		atomic_store(&e->gil_wanted_ms, sn_clock_ms());
		gil = PyGILState_Ensure();
		atomic_store(&e->gil_wanted_ms, 0);
		look_at_all(e);
		PyGILState_Release(gil);
	}
	return NULL;
}

/* ---- from outside ------------------------------------------------------------------ */

int
sn_enforcer_start(struct sn_enforcer **out, struct sn_dispatch *d, struct sn_aio *aio,
                  int64_t grace_ms, int64_t after_ms, struct sn_why *why)
{
	struct sn_enforcer *e = calloc(1, sizeof(*e));
	PyObject *module = PyImport_ImportModule("snacgi.exceptions");
	int rc = 0;

	*out = NULL;
	if (!e || !module) {
		free(e);
		Py_XDECREF(module);
		PyErr_Clear();
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	}
	e->dispatch = d;
	e->aio = aio;
	e->grace_ms = grace_ms;
	e->after_ms = after_ms;
	pthread_mutex_init(&e->lock, NULL);
	sn_clock_cond_init(&e->changed);
	e->exception = PyObject_GetAttrString(module, "HandlerTimeout");
	Py_DECREF(module);
	if (!e->exception || pthread_create(&e->thread, NULL, enforcer_main, e) != 0) {
		PyErr_Clear();
		Py_CLEAR(e->exception);
		sn_enforcer_free(e);
		return sn_why_set(why, SN_ENOMEM, "the thread that ends late handlers could not be started");
	}
	pthread_setname_np(e->thread, "sn-py-enforcer");
	sn_dispatch_set_enforcer(d, e);
	if (aio)
		sn_aio_set_enforcer(aio, e);
	*out = e;
	return rc;
}

static void
hand_in(struct sn_enforcer *e, struct sn_request *req, bool slow)
{
	pthread_mutex_lock(&e->lock);
	add_fresh(e, req, slow, false);
	pthread_cond_signal(&e->changed);
	pthread_mutex_unlock(&e->lock);
}

void
sn_enforcer_late(struct sn_enforcer *e, struct sn_request *req)
{
	hand_in(e, req, false);
}

void
sn_enforcer_slow(struct sn_enforcer *e, struct sn_request *req)
{
	hand_in(e, req, true);
}

int64_t
sn_enforcer_after_ms(const struct sn_enforcer *e)
{
	return e->after_ms;
}

/* Its thread is not called while it waits for something that is due before this. */
void
sn_enforcer_after(struct sn_enforcer *e, struct sn_after *a, struct sn_request *req)
{
	if (!e->after_ms)
		return;
	a->req = req;
	a->next = NULL;
	pthread_mutex_lock(&e->lock);
	a->due_ms = sn_clock_ms() + e->after_ms; /* in here: the list is in their order */
	a->prev = e->last;
	if (e->last)
		e->last->next = a;
	else
		e->first = a;
	e->last = a;
	a->linked = true;
	if (e->dozes)
		pthread_cond_signal(&e->changed);
	pthread_mutex_unlock(&e->lock);
}

void
sn_enforcer_after_end(struct sn_enforcer *e, struct sn_after *a)
{
	if (!e->after_ms)
		return;
	pthread_mutex_lock(&e->lock);
	if (a->linked)
		unlink_after(e, a);
	pthread_mutex_unlock(&e->lock);
}

const char *
sn_enforcer_hangs(const struct sn_enforcer *e, bool *gil)
{
	int64_t since = atomic_load(&e->gil_wanted_ms);

	*gil = since && sn_clock_ms() - since > e->grace_ms;
	return *gil ? "somebody holds the GIL and does not let go of it" : atomic_load(&e->hangs);
}

void
sn_enforcer_stop(struct sn_enforcer *e)
{
	pthread_mutex_lock(&e->lock);
	e->stop = true;
	pthread_cond_signal(&e->changed);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->thread, NULL);
	while (e->items) {
		struct late *l = e->items;
		e->items = l->next;
		sn_request_unref(l->req);
		free(l);
	}
}

void
sn_enforcer_free(struct sn_enforcer *e)
{
	if (!e)
		return;
	pthread_cond_destroy(&e->changed);
	pthread_mutex_destroy(&e->lock);
	free(e);
}
