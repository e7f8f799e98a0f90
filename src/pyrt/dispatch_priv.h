/* SPDX-License-Identifier: MIT
 *
 * The layout of the sync lanes, for dispatch.c (taking and running requests), streams.c
 * (answers in pieces) and stuck.c (handlers that do not return). Nobody else includes it.
 */
#ifndef SN_PYRT_DISPATCH_PRIV_H
#define SN_PYRT_DISPATCH_PRIV_H

#include <pthread.h>

#include "base/board.h"
#include "pyrt/dispatch.h"
#include "queue/ring.h"

#define SN_HOT_NONE (-1)
#define SN_BORROWED ((uintptr_t)1)

struct sn_syncstream; /* streams.c */

struct sn_syncworker {
	struct sn_dispatch *d;
	pthread_t thread; /* d->lock; of workers 1.. */
	int index;
	atomic_int parked;
	atomic_uint seq; /* odd: in a handler */
	unsigned since_drain;
	bool streamed; /* the last thing it took was a stream */
	/* The request in the handler, so that the stop can answer for one that never
	 * returns. Tagged with SN_BORROWED while it does: the worker waits that moment. */
	_Atomic(uintptr_t) current;

	/* GIL: */
	unsigned long ident; /* Python's name of the thread */
	bool in_handler;     /* an exception that is injected now hits the handler */
	bool injected;       /* one was, and has perhaps not been raised yet */
	bool after;          /* the answer is out: what runs is what comes after it */
	atomic_int held;     /* its pool calls are being cancelled: it stays with this request */
	struct sn_syncstream *stream; /* what `current` is a turn of; NULL: a handler's call */

	/* d->lock: */
	bool joinable, left; /* a thread was started and not joined; it has ended */
	atomic_bool given_up; /* its handler does not return: another works in its place */
};

struct sn_dispatch {
	struct sn_ring *ring;
	int64_t limit_ms;
	unsigned nworkers, max_stuck;
	bool monitored;
	struct sn_enforcer *enforcer;
	struct sn_dispatch *readers; /* of endpoints with `stream`; NULL: there are none */
	bool reads;                  /* this is those; there is no worker 0 */
	pthread_t monitor;

	_Alignas(64) atomic_int asleep;
	atomic_int armed;
	atomic_int hot;
	/* The oldest request, taken from the ring by the monitor to see its age. */
	_Atomic(struct sn_request *) oldest;
	atomic_bool held; /* it counts as one of those that wait */
	atomic_bool closed;  /* no more submits */
	atomic_bool drained; /* closed, and the ring was empty: workers end */

	_Alignas(64) pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned alive;    /* lock: threads that will end: workers 1.. that work, and the monitor */
	unsigned stuck;    /* lock: workers that were given up and have not come back */
	atomic_uint slots; /* written under lock: how many of `workers` have been used */
	int *idle;
	atomic_uint nidle; /* written under lock */
	atomic_ullong rejected, expired;
	struct {
		pthread_mutex_t lock, open_lock; /* the sink's may be taken inside the second */
		struct sn_syncstream *first, *last; /* lock: those that may go on */
		struct sn_syncstream *open;         /* open_lock: all */
		atomic_uint ready;    /* written under lock: how many may go on */
		atomic_uint count;    /* those not alone; grows under sn_dispatch.lock, only while not drained */
		atomic_bool cutting;  /* it is too late to go on */
	} streams;
	struct sn_syncworker workers[]; /* nworkers + max_stuck */
};

/* Whose threads run `req`. What an async handler streams by a sync iterator is in the hands of
 * `d` itself (sn_dispatch_adopt), also where its endpoint has `stream`. */
static inline struct sn_dispatch *
sn_dispatch_of(struct sn_dispatch *d, const struct sn_request *req)
{
	const struct sn_endpoint *ep = req->endpoint;

	if (sn_unlikely(ep->stream) && d->readers && !sn_lane_is_async(ep->lane))
		return d->readers;
	return d;
}

/* ---- dispatch.c ---- */

/* Locked: starts the thread of workers[index], which was never used or has ended. */
int sn_dispatch_spawn(struct sn_dispatch *d, unsigned index);
void sn_dispatch_unpark(struct sn_syncworker *w);
/* Something waits: whoever is to take it is woken. Any thread, without the GIL. */
void sn_dispatch_wake(struct sn_dispatch *d);
/* After a handler that was interrupted: nothing of that may reach the next request. */
void sn_syncworker_settle(struct sn_syncworker *w);
void sn_syncworker_release(struct sn_syncworker *w, uintptr_t req);

/* What runs until sn_syncworker_end() is the request's. */
static inline void
sn_syncworker_begin(struct sn_syncworker *w, struct sn_request *req)
{
	atomic_store_explicit(&w->current, (uintptr_t)req, memory_order_release);
	atomic_fetch_add_explicit(&w->seq, 1, memory_order_release);
	sn_board_begin(req->id, req->endpoint);
}

static inline void
sn_syncworker_end(struct sn_syncworker *w, struct sn_request *req)
{
	sn_board_end();
	atomic_fetch_add_explicit(&w->seq, 1, memory_order_release);
	sn_syncworker_release(w, (uintptr_t)req);
}

/* ---- streams.c: answers that come in pieces; with the GIL ---- */

/* Takes `s`. NULL: answered. `w`, the caller's, runs it. */
struct sn_syncstream *sn_streams_begin(struct sn_syncworker *w, struct sn_pystream *s, PyObject *context);
/* One that may go on; NULL: none. */
struct sn_syncstream *sn_streams_take(struct sn_dispatch *d);
/* Sends what can be sent now; then the sink has it, or it waits for another turn, or is over. */
void sn_streams_run(struct sn_syncworker *w, struct sn_syncstream *ss);
/* Its worker was given up: the end does not wait for it. sn_dispatch.lock is held. */
void sn_streams_give_up(struct sn_syncstream *ss);

#endif
