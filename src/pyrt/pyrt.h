/* SPDX-License-Identifier: MIT
 *
 * The Python runtime as the server sees it: start, routes, submit, stop. No
 * Python type in here; <Python.h> comes in through pyrt/py.h only.
 */
#ifndef SN_PYRT_PYRT_H
#define SN_PYRT_PYRT_H

#include "http/endpoint.h"
#include "http/request.h"

struct sn_pyrt;

struct sn_pyrt_options {
	const char *dir;            /* on sys.path first; absolute; NULL: none */
	const char *const *modules; /* NULL-terminated; empty: every module of dir */
	const char *venv;           /* NULL or "": none */
	const char *package_path;   /* where snacgi/ and _snacgi are; NULL: compiled-in */
	unsigned dispatch_workers;  /* >= 1; 1: sync handlers run in the runtime thread */
	unsigned stream_workers;    /* >= 1; for sync handlers that read their body while it arrives */
	unsigned pool_workers;      /* >= 1; the pool starts only if a route asks for it */
	unsigned pool_max_tasks;    /* calls after which a pool process is replaced; 0: never */
	double pool_timeout;        /* seconds that a pool call may run; 0: no limit */
	size_t queue;               /* requests waiting for sync threads; calls waiting for the pool */
	size_t async_max;           /* coroutines in flight and requests waiting for the loop, since
	                               one that waits costs no more than one that runs */
	unsigned form_parts;        /* fields and files of a form; beyond: 413; 0: the package's own */
	size_t form_memory;         /* bytes of a form's fields; beyond: 413 */
	size_t form_file;           /* a file of a form above it goes to a temporary file */
	const struct sn_endpoint *native; /* for the OpenAPI document; borrowed during the start */
	size_t nnative;
	const char *json;           /* "builtin" or "orjson" */
	const char *nan;            /* "error" or "null" */
	const char *loop;           /* "asyncio" or "uvloop" */
	const char *send_file;      /* who sends files: "stream" (us), "x-accel-redirect", "x-sendfile" */
	const char *const *send_file_from; /* "DIRECTORY = LOCATION" ..., NULL at the end; NULL: none */
	bool debug;                 /* tracebacks go to the client */
	bool check_only;            /* import and collect routes; start no pool, no loop */
	double request_timeout;     /* seconds; 0: none. The sink answers 504 on time; the
	                               runtime cancels what it can */
	double queue_timeout;       /* seconds in a ring before a request is answered 503 unexecuted */
	double grace;               /* seconds in which a handler that is over its time must end */
	double after;               /* seconds for what runs after an answer; 0: as long as it likes */
	unsigned max_stuck;         /* threads that may be replaced because theirs does not */
};

struct sn_pyrt_stats {
	size_t sync_depth, sync_peak, async_depth, async_peak, async_in_flight;
	uint64_t rejected, expired;
	unsigned dispatch_busy, pool_workers;
};

/* Starts the runtime thread, initialises the interpreter (once in a process's life),
 * imports the modules, starts dispatch threads, loop and pool as the routes need, and
 * returns when all of them are ready. On failure nothing is left running and `why`
 * holds the reason with the traceback. */
int sn_pyrt_start(struct sn_pyrt **out, const struct sn_pyrt_options *opt, struct sn_why *why);
/* The routes in the order of registration; valid until sn_pyrt_free. */
const struct sn_endpoint *sn_pyrt_endpoints(const struct sn_pyrt *rt, size_t *n);
/* For requests that no route takes, 404, 405 and OPTIONS (req->allow): the application's hooks
 * answer them. NULL: it has none. Valid as long. */
const struct sn_endpoint *sn_pyrt_missing(const struct sn_pyrt *rt);
/* "3.11.2 (/usr)" for the start-up log. */
const char *sn_pyrt_version(const struct sn_pyrt *rt);
/* From any thread, without the GIL: queues `req` (routed to one of our endpoints, body
 * complete, queued_ms set) and takes one reference of its own. SN_EFULL: the ring, or async_max, is
 * full; SN_EGONE: stopping. The answer comes through req->sink. */
int sn_pyrt_submit(struct sn_pyrt *rt, struct sn_request *req);
/* Hint from an I/O thread, without the GIL: req was marked gone or timed out while the
 * runtime had it. An async handler's task is cancelled; one that is over its time is
 * interrupted, and its thread replaced if that does not help. */
void sn_pyrt_cancel(struct sn_pyrt *rt, struct sn_request *req);
/* Where the handler of `req` stands is logged, as soon as the GIL can be had. Any thread, without
 * the GIL. */
void sn_pyrt_tell_stack(struct sn_pyrt *rt, struct sn_request *req);
/* What hangs so that only a new process helps, as a text that stays; NULL: nothing. *all: no
 * Python code can run any more (the GIL is held for ever), nothing is taken from now on, and
 * what the runtime has is to be answered by the caller. Any thread, without the GIL. */
const char *sn_pyrt_hangs(struct sn_pyrt *rt, bool *all);
/* Findings of `snacgi check` about the Python side, one call a finding: handlers that
 * cannot be pickled, and so on. Each text ends with the mend. */
int sn_pyrt_check(struct sn_pyrt *rt, void (*finding)(void *arg, const char *text), void *arg);
void sn_pyrt_stats(const struct sn_pyrt *rt, struct sn_pyrt_stats *out);
/* Answers or finishes everything submitted, then stops pool, loop and threads, in that
 * order, by `deadline_ms` (sn_clock_ms). What is left is answered 503 or cut. 0; or
 * SN_EAGAIN: a handler, or a thread or exit hook of the application, has not ended. Then it
 * may be called again, or the process ends by _exit(), and sn_pyrt_free() frees nothing. The
 * interpreter is never finalised; threads were joined and exit hooks run. */
int sn_pyrt_stop(struct sn_pyrt *rt, int64_t deadline_ms);
void sn_pyrt_free(struct sn_pyrt *rt);

#endif
