/* SPDX-License-Identifier: MIT
 *
 * The layout of the async lanes, for aio.c (requests and their tasks) and
 * aio_stream.c (answers in pieces). Nobody else includes it.
 */
#ifndef SN_PYRT_AIO_PRIV_H
#define SN_PYRT_AIO_PRIV_H

#include <pthread.h>

#include "pyrt/aio.h"
#include "pyrt/core/core.h"
#include "queue/ring.h"

struct sn_aioout;

struct call {
	PyObject_HEAD
	struct sn_aio *aio;
	struct sn_request *req; /* NULL: over */
	PyObject *coro;         /* the handler's */
	PyObject *task;         /* not known yet in an eager first step */
	struct sn_aioout *out;  /* the answer comes in pieces, and `coro` is what sends them */
	bool told;              /* it was cancelled because nobody waits for it */
	struct call *prev, *next;
};

struct sn_aio {
	struct sn_dispatch *dispatch; /* for what a sync source streams */
	struct sn_enforcer *enforcer;
	struct sn_ring *ring, *cancels;
	int efd;
	size_t max;
	int64_t limit_ms;

	_Alignas(64) atomic_int signalled;
	atomic_bool closed;
	atomic_bool gone; /* the loop's thread has ended */
	atomic_bool cancel_scan; /* the ring of cancels was full: look at every call */
	_Atomic(struct sn_aioout *) roomy; /* a stack of those that may go on */
	_Alignas(64) atomic_size_t in_flight; /* queued and running */
	atomic_size_t running, peak;
	atomic_ullong rejected, expired;
	atomic_llong deadline_ms;

	/* The loop thread's. */
	struct call calls; /* list head, no object */
	bool stopping;     /* the loop has seen `closed` */
	bool ended;        /* it was told to end */
	bool own_tasks;    /* somebody has set a task factory */
	struct call *stepping; /* GIL: whose handler has the loop now */
	uint64_t steps;        /* GIL: how often a handler was given it */
	bool injected;         /* GIL: an exception was, and has perhaps not been raised yet */
	unsigned long ident;   /* GIL: Python's name of the thread */
	PyObject *loop, *again, *cancel_all, *end, *call_soon, *task_type, *task_names;
	PyObject *cancelled_error;

	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum { NOT_YET, RUNS, ENDED } state;
};

/* ---- aio.c ---- */

/* The loop shall look. Any thread, without the GIL. */
void sn_aio_ring_bell(struct sn_aio *a);

/* ---- aio_stream.c ---- */

/* Takes `s`, an answer in pieces from an asynchronous source. New reference: the coroutine that
 * sends it, in the handler's task, and in *out its handle. NULL: it was answered. */
PyObject *sn_aioout_begin(struct sn_aio *a, struct sn_pystream *s, struct sn_aioout **out);
/* Its coroutine has ended, with `result` (stolen), or NULL and an exception. Takes `out`. */
void sn_aioout_end(struct sn_aioout *out, PyObject *result);
/* It will not end in time. Takes `out`. */
void sn_aioout_abandon(struct sn_aioout *out, const char *text);
/* True: it knows already that nobody reads, or has ended. */
bool sn_aioout_is_over(const struct sn_aioout *out);
/* True: its source is being closed, or background work done. With the GIL. */
bool sn_aioout_is_after(const struct sn_aioout *out);
/* In the loop: those whose peers have read go on. */
void sn_aioout_go_on(struct sn_aio *a);
int sn_aioout_ready(void);

#endif
