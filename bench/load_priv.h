/* SPDX-License-Identifier: MIT
 *
 * What load.c and worker.c share; nobody else includes this.
 */
#ifndef BENCH_LOAD_PRIV_H
#define BENCH_LOAD_PRIV_H

#include <pthread.h>

#include "load.h"

enum phase {
	IDLE,       /* no request; fd may be open (kept) */
	PUT_OFF,    /* a request that waits to connect again */
	CONNECTING, /* TCP */
	BUSY,       /* sending, waiting, reading */
	CLOSING     /* answered; waits for the peer's close, see worker.c */
};

struct conn {
	int fd;
	uint8_t phase;
	bool armed_out;       /* EPOLLOUT is asked for */
	size_t sent;
	int64_t begin;        /* latency counts from here */
	int64_t issued;       /* when the request was given to the connection */
	uint64_t answered;    /* of this slot; */
	uint64_t on_this_fd;  /* of the present connection */
	struct conn *next;    /* in `idle` or `put_off` */
	struct bench_reply reply;
};

struct run {
	const struct bench_load *load;
	int64_t start, measure, end; /* monotonic ns */
	pthread_mutex_t mtx;
	pthread_cond_t cond;
	unsigned ended;              /* mtx: workers that measure no more */
};

struct worker {
	struct run *run;
	const struct bench_load *load;
	pthread_t thread;
	unsigned index;
	int epfd;
	struct conn *conns;
	unsigned n_conns, in_flight;
	struct conn *idle, *put_off;
	int64_t retry_at;      /* when put_off is tried again */
	uint64_t quota, issued; /* requests to measure; 0: by time */
	uint64_t next_due;     /* open loop: number of the next request */
	bool starved;          /* open loop: a due request found no idle connection */
	bool closing, told;
	int64_t ended_at, next_sweep;
	int fatal_errno;
	const char *fatal;     /* the call that failed, or NULL */
	uint8_t *buf;
	struct bench_result result;
};

#define WORKER_BUFFER (256 * 1024)

int bench_worker_init(struct worker *w, struct run *run, unsigned index);
void *bench_worker_main(void *worker);
void bench_worker_free(struct worker *w);
bool bench_interrupted(void);

#endif
