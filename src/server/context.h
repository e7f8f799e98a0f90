/* SPDX-License-Identifier: MIT
 *
 * What the threads of one worker process share: plain values set before the
 * threads start, and counters. Owned by worker.c.
 */
#ifndef SN_SERVER_CONTEXT_H
#define SN_SERVER_CONTEXT_H

#include <stdatomic.h>

#include "conf/conf.h"
#include "native/native.h"
#include "pyrt/pyrt.h"
#include "route/router.h"
#include "server/scores.h"
#include "server/listener.h"

struct sn_blocking;
struct sn_iothread;

/* Counters; relaxed atomics, so that any thread may bump and read them. */
struct sn_counters {
	atomic_ullong answered[6]; /* by the status code's first digit */
	atomic_ullong native, python, rejected, errors;
	atomic_ullong gone, broken; /* not answered to the end: the peer left; we could not go on */
	atomic_uint in_flight;
};

struct sn_context {
	const struct sn_conf *conf;
	const struct sn_listeners *listeners;
	struct sn_router router;
	struct sn_native *native;
	const struct sn_endpoint *missing; /* answers what no route takes; NULL: we do */
	struct sn_pyrt *py; /* NULL: no Python */
	struct sn_blocking *blocking;
	struct sn_iothread **io;
	unsigned nio;
	struct sn_wire_limits wire_limits;
	struct { /* milliseconds; 0 (none) in `slow` only */
		int64_t read, queue, request, stream, write, idle, slow;
	} ms;
	uint64_t id_seed;
	int access_fd; /* -1: no access log */
	int chan;      /* to the supervisor; -1: none */
	atomic_uint connections;
	atomic_bool draining;
	atomic_bool handing; /* retiring: kept connections go to another worker */
	size_t max_requests; /* then ask for a successor; 0: never */
	atomic_ullong refused[SN_SCORE_GAUGES]; /* by reason: SN_SCORE_SYNC_FULL and what follows */
	atomic_size_t executed; /* counted when there is a maximum */
};

static inline void
sn_context_refused(struct sn_context *ctx, enum sn_score reason)
{
	atomic_fetch_add_explicit(&ctx->refused[reason], 1, memory_order_relaxed);
}

#endif
