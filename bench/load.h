/* SPDX-License-Identifier: MIT
 *
 * Makes load: threads with an epoll each, connections, time. What is sent and
 * what must come back are given; nothing is printed here.
 *
 * Closed loop (rate 0): every connection sends its next request as soon as the
 * last one is answered, and latency counts from then. Open loop: requests are
 * due at fixed times whatever the server does, and latency counts from the
 * time a request was due, so that a stall is seen by every request that it
 * delays (no coordinated omission).
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "codec.h"
#include "cputime.h"
#include "hist.h"
#include "target.h"

struct bench_load {
	const struct bench_target *target;
	const void *request; /* complete bytes; borrowed */
	size_t request_len;
	struct bench_expect expect;
	bool keep;            /* one connection for many requests */
	unsigned connections, threads;
	double rate;          /* requests a second; 0: closed loop */
	double seconds;       /* of measuring; with `requests`: at most */
	double warmup;        /* seconds of load before, not counted */
	uint64_t requests;    /* measure that many; 0: by time */
	double timeout;       /* seconds that an answer may take */
	struct bench_roots roots; /* the server's processes; n may be 0 */
};

struct bench_result {
	double seconds;              /* really measured */
	uint64_t requests;           /* answered, right or wrong, while measuring */
	uint64_t wrong[BENCH_FAULTS]; /* answers with that fault */
	uint64_t status[600];        /* answers by status; others at 0 */
	uint64_t bytes_in, bytes_out;
	uint64_t timeouts;           /* no answer in time */
	uint64_t connect_errors;
	int connect_errno;           /* of the last */
	uint64_t backlog_full;       /* connects put off because a Unix backlog was full */
	uint64_t reconnects;         /* kept connections that the peer closed between requests */
	uint64_t unanswered;         /* sent or (open loop) due, and without an answer at the end */
	unsigned unserved;           /* connections that never got one answer */
	int64_t worst_lag;           /* ns that this program itself was late in sending (open loop) */
	struct bench_hist latency;   /* ns */
	double client_cpu;           /* seconds, of all threads */
	bool has_server;
	struct bench_cputime before, after;
	struct sn_why server_why;    /* why there is no server time, though asked for */
	char first_fault[512];       /* "" or what the first wrong answer was */
};

/* One request on a connection of its own, to see that the server is there and
 * what it answers: the body goes to `body` (NULL: not wanted). SN_EIO or
 * SN_EINVAL with a sentence. `reply` holds the verdict. */
int bench_load_probe(const struct bench_load *load, struct bench_reply *reply, struct sn_buf *body,
                     struct sn_why *why);
/* Runs to the end. `out` is large: not on a stack. */
int bench_load_run(const struct bench_load *load, struct bench_result *out, struct sn_why *why);
/* Asks a running load to end now and to report (a signal handler may). */
void bench_load_interrupt(void);

#endif
