/* SPDX-License-Identifier: MIT
 *
 * Answers that sync handlers stream. A stream belongs to one at a time: the worker
 * that asks its generator for pieces, the queue of those that may go on, or the
 * sink, which calls back when there is room again or the peer is gone. So a slow
 * reader holds no thread, and no more memory than the sink lets it have.
 *
 * A file with work to be done after it is given to the sink as a whole; the stream comes back when that
 * is done with it, and is closed.
 *
 * Each step runs in the context of its request. The queue is a list without a limit
 * of its own: what stands in it was accepted once, as a request. A worker takes from it and from the
 * ring by turns.
 *
 * Threads: workers, with the GIL; on_room() on any thread, without it; the loop's
 * thread hands over what async handlers returned.
 */
#include "pyrt/dispatch_priv.h"

#include <stdlib.h>

#include "base/log.h"
#include "pyrt/core/core.h"
#include "pyrt/enforce.h"
#include "pyrt/futex.h"

#define TURN 16 /* pieces before others get their turn */

struct sn_syncstream {
	struct sn_pystream *s;
	struct sn_dispatch *d;
	PyObject *context;
	struct sn_syncstream *next;                   /* streams.lock: of those that may go on */
	struct sn_syncstream *open_prev, *open_next; /* streams.open_lock */
	bool parked;                                  /* streams.open_lock: the sink has it */
	bool alone;        /* nobody waits for it, the others may have ended: its worker stays with it */
	atomic_int waits;  /* 1: that worker sleeps until there is room */
	struct sn_after after;
};

enum went { GOES_ON, WAITS, OVER };

/* ---- the queue ----------------------------------------------------------------- */

/* timeouts.stream counts from when there was room (server/sink.c), not from when a worker takes it:
 * one that waits here for so long, as all are in long handlers, is cut as if its generator had
 * been silent. */
static void
push(struct sn_syncstream *ss)
{
	struct sn_dispatch *d = ss->d;

	ss->next = NULL;
	pthread_mutex_lock(&d->streams.lock);
	if (d->streams.last)
		d->streams.last->next = ss;
	else
		d->streams.first = ss;
	d->streams.last = ss;
	atomic_fetch_add(&d->streams.ready, 1);
	pthread_mutex_unlock(&d->streams.lock);
	sn_dispatch_wake(d);
}

struct sn_syncstream *
sn_streams_take(struct sn_dispatch *d)
{
	struct sn_syncstream *ss;

	pthread_mutex_lock(&d->streams.lock);
	ss = d->streams.first;
	if (ss) {
		d->streams.first = ss->next;
		if (!ss->next)
			d->streams.last = NULL;
		atomic_fetch_sub(&d->streams.ready, 1);
	}
	pthread_mutex_unlock(&d->streams.lock);
	return ss;
}

static bool
set_parked(struct sn_syncstream *ss, bool parked)
{
	bool was;

	pthread_mutex_lock(&ss->d->streams.open_lock);
	was = ss->parked;
	ss->parked = parked;
	pthread_mutex_unlock(&ss->d->streams.open_lock);
	return was;
}

/* The sink's: there is room, or nobody left to read. Any thread. */
static void
on_room(struct sn_request *req SN_UNUSED, void *arg)
{
	struct sn_syncstream *ss = arg;

	if (ss->alone) {
		atomic_store(&ss->waits, 0);
		sn_futex_wake(&ss->waits, 1);
		return;
	}
	push(ss);
}

/* ---- life ------------------------------------------------------------------------- */

/* Takes `s` and a reference of `context`. NULL: no memory. `w` NULL: no worker has it yet. */
static struct sn_syncstream *
stream_new(struct sn_dispatch *d, const struct sn_syncworker *w, struct sn_pystream *s, PyObject *context)
{
	struct sn_syncstream *ss = calloc(1, sizeof(*ss));

	if (!ss)
		return NULL;
	ss->s = s;
	ss->d = d;
	ss->context = Py_XNewRef(context);
	pthread_mutex_lock(&d->lock);
	ss->alone = atomic_load(&d->drained) || (w && atomic_load(&w->given_up));
	if (!ss->alone)
		atomic_fetch_add(&d->streams.count, 1);
	pthread_mutex_unlock(&d->lock);
	pthread_mutex_lock(&d->streams.open_lock);
	ss->open_next = d->streams.open;
	if (ss->open_next)
		ss->open_next->open_prev = ss;
	d->streams.open = ss;
	pthread_mutex_unlock(&d->streams.open_lock);
	return ss;
}

static void
stream_free(struct sn_syncstream *ss)
{
	Py_XDECREF(ss->context);
	sn_pystream_free(ss->s);
	free(ss);
}

static void
uncount(struct sn_dispatch *d)
{
	atomic_fetch_sub(&d->streams.count, 1);
	sn_full_fence();
	if (atomic_load(&d->closed)) /* it may have been the last */
		sn_dispatch_wake(d);
}

static void
forget(struct sn_syncstream *ss)
{
	struct sn_dispatch *d = ss->d;

	pthread_mutex_lock(&d->streams.open_lock);
	if (ss->open_prev)
		ss->open_prev->open_next = ss->open_next;
	else
		d->streams.open = ss->open_next;
	if (ss->open_next)
		ss->open_next->open_prev = ss->open_prev;
	pthread_mutex_unlock(&d->streams.open_lock);
	if (!ss->alone)
		uncount(d);
	stream_free(ss);
}

/* Nobody else looks at it now: it is in the worker's hands, and the GIL in ours. */
void
sn_streams_give_up(struct sn_syncstream *ss)
{
	if (ss->alone)
		return;
	ss->alone = true;
	uncount(ss->d);
}

/* ---- one turn, in a worker ----------------------------------------------------------- */

/* True: nothing is to be asked for any more. */
static bool
is_over(struct sn_syncstream *ss)
{
	struct sn_pystream *s = ss->s;

	if (!s->over && atomic_load(&ss->d->streams.cutting))
		sn_pystream_refuse(s, "the server is stopping");
	s->over = s->over || sn_request_marked(s->req);
	if (!s->over && s->bodyless)
		sn_pystream_finish(s);
	return s->over;
}

static PyObject *
next_piece(struct sn_syncworker *w, struct sn_pystream *s)
{
	PyObject *piece;

	w->in_handler = true;
	piece = sn_pystream_next(s);
	w->in_handler = false;
	if (sn_unlikely(w->injected))
		sn_syncworker_settle(w);
	return piece;
}

static enum went
step(struct sn_syncworker *w, struct sn_syncstream *ss)
{
	struct sn_pystream *s = ss->s;

	for (int n = 0; n < TURN; n++) {
		PyObject *piece;
		int rc;

		if (is_over(ss))
			return OVER;
		if (sn_unlikely(s->whole_file))
			return WAITS;
		piece = next_piece(w, s);
		if (!piece && !PyErr_Occurred()) {
			sn_pystream_finish(s);
			return OVER;
		}
		rc = piece ? sn_pystream_write(s, piece) : SN_EINVAL;
		Py_XDECREF(piece);
		if (rc == SN_EINVAL)
			sn_pystream_broke(s);
		if (rc == SN_EAGAIN)
			return WAITS;
		if (rc < 0)
			return OVER;
	}
	return GOES_ON;
}

/* What this runs comes after the answer, and has a time of its own. */
static void
close_source(struct sn_syncworker *w, struct sn_syncstream *ss)
{
	struct sn_enforcer *e = ss->d->enforcer;
	int rc;

	sn_enforcer_after(e, &ss->after, ss->s->req);
	w->in_handler = w->after = true;
	rc = sn_pystream_close_source(ss->s);
	w->in_handler = w->after = false;
	sn_enforcer_after_end(e, &ss->after);
	if (sn_unlikely(w->injected))
		sn_syncworker_settle(w);
	if (rc < 0)
		sn_pystream_broke(ss->s);
}

/* In the request's context, as the handler was. */
static enum went
run_in_context(struct sn_syncworker *w, struct sn_syncstream *ss)
{
	bool entered = ss->context && PyContext_Enter(ss->context) == 0;
	enum went went;

	if (!entered)
		PyErr_Clear();
	went = step(w, ss);
	if (went == OVER)
		close_source(w, ss);
	if (entered && PyContext_Exit(ss->context) < 0)
		PyErr_Clear();
	return went;
}

/* The sink's: the file is out, or nobody wants it. */
static void
on_file_done(void *arg)
{
	on_room(NULL, arg);
}

/* True: it is the sink's now. In the end there is no more to be asked for. */
static bool
give_file(struct sn_syncstream *ss)
{
	struct sn_pystream *s = ss->s;
	struct sn_request *req = s->req;
	struct sn_response res;

	s->whole_file = false;
	if (sn_pystream_take_file(s, &res, on_file_done, ss) < 0) {
		sn_pystream_broke(s);
		set_parked(ss, false);
		return false;
	}
	s->over = true;
	sn_request_ref(req); /* once the sink has it, another thread may let go of the stream */
	req->sink->respond(req, &res);
	sn_response_free(&res);
	sn_request_unref(req);
	return true;
}

/* True: it is the sink's now, and is not to be looked at. */
static bool
park(struct sn_syncstream *ss)
{
	struct sn_pystream *s = ss->s;
	int rc;

	atomic_store(&ss->waits, 1);
	set_parked(ss, true);
	if (atomic_load(&ss->d->streams.cutting)) { /* who cuts may have passed it: is_over() refuses it */
		set_parked(ss, false);
		return false;
	}
	if (sn_unlikely(s->whole_file))
		return give_file(ss);
	rc = s->req->sink->wait_room(s->req, on_room, ss);
	if (rc == 0)
		return true;
	set_parked(ss, false);
	s->over = rc < 0;
	return false;
}

/* The worker's `stream` is set whenever somebody with the GIL sees its `current` so. */
static enum went
turn(struct sn_syncworker *w, struct sn_syncstream *ss)
{
	struct sn_request *req = ss->s->req;
	enum went went;

	set_parked(ss, false);
	w->stream = ss;
	sn_syncworker_begin(w, req);
	went = run_in_context(w, ss);
	sn_syncworker_end(w, req);
	w->stream = NULL;
	return went;
}

/* The others may have ended, so perhaps nobody would take it from the queue. */
static void
run_alone(struct sn_syncworker *w, struct sn_syncstream *ss)
{
	for (;;) {
		PyThreadState *ts;
		enum went went = turn(w, ss);

		if (went == OVER)
			break;
		if (went == GOES_ON || !park(ss))
			continue;
		ts = PyEval_SaveThread();
		while (atomic_load(&ss->waits))
			sn_futex_wait(&ss->waits, 1);
		PyEval_RestoreThread(ts);
	}
	forget(ss);
}

void
sn_streams_run(struct sn_syncworker *w, struct sn_syncstream *ss)
{
	enum went went = ss->alone ? GOES_ON : turn(w, ss);

	if (went == OVER)
		forget(ss);
	else if (ss->alone) /* from the start, or given up in this turn */
		run_alone(w, ss);
	else if (went == GOES_ON || !park(ss))
		push(ss);
}

/* ---- from outside ------------------------------------------------------------------------ */

struct sn_syncstream *
sn_streams_begin(struct sn_syncworker *w, struct sn_pystream *s, PyObject *context)
{
	struct sn_syncstream *ss = s->asynchronous ? NULL : stream_new(w->d, w, s, context);

	if (ss)
		return ss;
	if (s->asynchronous)
		PyErr_Format(PyExc_TypeError, "%s returned an asynchronous iterator, which nobody awaits there: "
		             "write it with async def", s->name);
	else
		PyErr_NoMemory();
	sn_pystream_broke(s);
	if (!s->asynchronous)
		sn_pystream_close(s);
	sn_pystream_free(s);
	return NULL;
}

void
sn_dispatch_adopt(struct sn_dispatch *d, struct sn_pystream *s, PyObject *context)
{
	struct sn_syncstream *ss;

	s->req->step = SN_STEP_SYNC_STREAM;
	ss = stream_new(d, NULL, s, context);
	if (ss && !ss->alone) {
		push(ss);
		return;
	}
	sn_pystream_refuse(s, ss ? "the server is stopping" : "out of memory");
	sn_pystream_close(s);
	if (ss)
		forget(ss);
	else
		sn_pystream_free(s);
}

/* Those that the sink has come back by its callback; the others see it at their next piece. */
void
sn_dispatch_cut_streams(struct sn_dispatch *d)
{
	if (atomic_exchange(&d->streams.cutting, true))
		return;
	if (d->readers) {
		sn_dispatch_cut_streams(d->readers);
		sn_dispatch_refuse_all(d->readers); /* who waits for bytes is told, and cleans up */
	}
	pthread_mutex_lock(&d->streams.open_lock);
	for (struct sn_syncstream *ss = d->streams.open; ss; ss = ss->open_next) {
		struct sn_request *req = ss->s->req;
		if (!ss->parked)
			continue;
		sn_log_for(SN_LOG_WARNING, req->id, "%s: the server is stopping; the connection is cut",
		           ss->s->name);
		req->sink->cut(req);
	}
	pthread_mutex_unlock(&d->streams.open_lock);
}
