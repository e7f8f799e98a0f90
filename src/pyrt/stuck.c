/* SPDX-License-Identifier: MIT
 *
 * Sync handlers, or what they do after their answers, that are over their time. First an exception is raised in the
 * handler; a handler that swallows it, or that blocks in C, keeps its thread, and
 * another thread takes that one's place, so that the number of those that work
 * stays. The old one ends when its handler returns.
 *
 * An exception that is injected is raised by the interpreter's loop of that
 * thread, some time later. It may not hit anything but the handler of that
 * request: both sides hold the GIL when they look at `in_handler`, and the
 * worker takes back what was not raised before it goes on (dispatch.c).
 */
#include "pyrt/dispatch_priv.h"

#include "pyrt/futex.h"

/* NULL: nobody runs `req`. */
static struct sn_syncworker *
who_runs(struct sn_dispatch *d, const struct sn_request *req)
{
	for (unsigned i = 0; i < atomic_load(&d->slots); i++) {
		struct sn_syncworker *w = &d->workers[i];
		if ((atomic_load(&w->current) & ~SN_BORROWED) == (uintptr_t)req)
			return w;
	}
	return NULL;
}

/* The handler waits for its calls in C, where an exception does not reach it: their processes
 * are killed, and it gets CancelledError. Python code runs here, so the worker might go on
 * with another request meanwhile, were it not held. */
static void
cancel_pool_calls(struct sn_syncworker *w, PyObject *pool)
{
	PyObject *r;

	atomic_store(&w->held, 1);
	r = PyObject_CallMethod(pool, "cancel_thread", "k", w->ident);
	if (!r)
		PyErr_Clear();
	Py_XDECREF(r);
	atomic_store(&w->held, 0);
	sn_futex_wake(&w->held, 1);
}

void
sn_dispatch_set_enforcer(struct sn_dispatch *d, struct sn_enforcer *e)
{
	d->enforcer = e;
	if (d->readers)
		d->readers->enforcer = e;
}

enum sn_hold
sn_dispatch_interrupt(struct sn_dispatch *d, const struct sn_request *req, bool after, PyObject *exc)
{
	PyObject *pool = ((const struct sn_pytarget *)req->endpoint->target)->pool;
	struct sn_syncworker *w = who_runs(sn_dispatch_of(d, req), req);

	if (!w || w->after != after) /* what was late has ended, and the other has a time of its own */
		return SN_HOLD_NOT;
	if (!w->in_handler) /* its answer is on the way, or it is about to begin */
		return SN_HOLD_RUNS;
	if (w->injected)
		return SN_HOLD_INJECTED;
	w->injected = PyThreadState_SetAsyncExc(w->ident, exc) > 0;
	if (w->injected && pool)
		cancel_pool_calls(w, pool);
	return w->injected ? SN_HOLD_INJECTED : SN_HOLD_RUNS;
}

unsigned long
sn_dispatch_thread_of(struct sn_dispatch *d, const struct sn_request *req)
{
	struct sn_syncworker *w = who_runs(sn_dispatch_of(d, req), req);

	return w && w->in_handler ? w->ident : 0;
}

/* Locked: a place in the array whose thread was never started or has ended; -1: none. */
static int
free_slot(struct sn_dispatch *d)
{
	for (unsigned i = 1; i < d->slots; i++) {
		struct sn_syncworker *w = &d->workers[i];
		if (!w->left || !atomic_load(&w->given_up))
			continue;
		if (w->joinable)
			pthread_join(w->thread, NULL); /* in its last instructions */
		w->joinable = false;
		return (int)i;
	}
	if (d->slots == d->nworkers + d->max_stuck)
		return -1;
	return (int)d->slots++;
}

/* Locked, with the GIL: `w` takes no more requests. */
static void
give_up(struct sn_dispatch *d, struct sn_syncworker *w)
{
	struct sn_syncworker *next = NULL;

	atomic_store(&w->given_up, true);
	d->stuck++;
	if (w->index > 0)
		d->alive--;
	if (w->stream)
		sn_streams_give_up(w->stream);
	if (atomic_load(&d->hot) != w->index)
		return;
	if (d->nidle)
		next = &d->workers[d->idle[--d->nidle]];
	atomic_store(&d->hot, next ? next->index : SN_HOT_NONE);
	if (next)
		sn_dispatch_unpark(next);
}

int
sn_dispatch_replace(struct sn_dispatch *d, const struct sn_request *req)
{
	struct sn_syncworker *w;
	int slot, rc = 0;

	d = sn_dispatch_of(d, req);
	pthread_mutex_lock(&d->lock);
	w = who_runs(d, req);
	if (!w || atomic_load(&w->given_up))
		goto out;
	slot = d->stuck < d->max_stuck ? free_slot(d) : -1;
	rc = slot < 0 ? SN_EFULL : sn_dispatch_spawn(d, (unsigned)slot);
	if (rc == 0)
		give_up(d, w);
out:
	pthread_mutex_unlock(&d->lock);
	return rc;
}

bool
sn_dispatch_lost_first(struct sn_dispatch *d)
{
	bool lost;

	pthread_mutex_lock(&d->lock);
	lost = atomic_load(&d->workers[0].given_up) && !d->workers[0].left;
	pthread_mutex_unlock(&d->lock);
	return lost;
}
