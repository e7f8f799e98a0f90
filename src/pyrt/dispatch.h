/* SPDX-License-Identifier: MIT
 *
 * The sync lanes: a bounded ring and the threads that run its handlers, one of
 * them hot. Included by pyrt/ only.
 */
#ifndef SN_PYRT_DISPATCH_H
#define SN_PYRT_DISPATCH_H

#include "pyrt/pyrt_priv.h"

struct sn_dispatch;

/* `max_stuck`: how many threads whose handlers do not return may be replaced. */
int sn_dispatch_new(struct sn_dispatch **out, unsigned workers, unsigned max_stuck, size_t queue,
                    int64_t queue_timeout_ms);
/* A second set of threads, all its own, for endpoints with `stream`: their handlers wait for slow
 * peers, which is not to hold up the others. From here on `d` stands for both; its start, end and
 * counts are theirs too. Before the start. SN_ENOMEM. */
int sn_dispatch_add_readers(struct sn_dispatch *d, unsigned workers, unsigned max_stuck, size_t queue);
/* Starts workers 1.. and the monitor. Needs the GIL (and lets go of it). */
int sn_dispatch_start(struct sn_dispatch *d);
/* Worker 0: runs handlers in the calling thread, which holds the GIL, until the ring was
 * closed and is empty. */
void sn_dispatch_run(struct sn_dispatch *d);
/* Waits until the ring was closed and is empty; false: it is not at the deadline. Without the
 * GIL. */
bool sn_dispatch_await_end(struct sn_dispatch *d, int64_t deadline_ms);
/* Waits for workers 1.. and the monitor: 0; SN_EGONE: some are still in a handler at the
 * deadline; SN_EAGAIN: only threads that were given up are left. Without the GIL. */
int sn_dispatch_join(struct sn_dispatch *d, int64_t deadline_ms);
/* No GIL needed from here on. SN_EFULL, SN_EGONE. Does not take a reference: it is given one. */
int sn_dispatch_submit(struct sn_dispatch *d, struct sn_request *req);
/* No more requests; what is queued is still run. */
void sn_dispatch_close(struct sn_dispatch *d);
/* Answers 503 to what is queued and to what is being run. */
void sn_dispatch_refuse_all(struct sn_dispatch *d);
void sn_dispatch_stats(const struct sn_dispatch *d, struct sn_pyrt_stats *out);
/* ---- streams.c ---- */

struct sn_pystream;
/* Takes what an async handler has returned, an answer in pieces from a sync source: the workers
 * ask for them, in `context`. Needs the GIL. */
void sn_dispatch_adopt(struct sn_dispatch *d, struct sn_pystream *s, PyObject *context);
/* It is too late for answers in pieces: they are cut, and their sources closed; and for bodies
 * in pieces: their requests are answered 503. Without the GIL. */
void sn_dispatch_cut_streams(struct sn_dispatch *d);

/* ---- stuck.c: handlers that do not return ---- */

/* Whom streams tell what runs after their answers. Before the start. */
void sn_dispatch_set_enforcer(struct sn_dispatch *d, struct sn_enforcer *e);
/* Raises `exc` (a class) in the handler that runs `req`, and cancels its calls in its pool,
 * once; or, with `after`, in what it does after its answer. Needs the GIL. */
enum sn_hold sn_dispatch_interrupt(struct sn_dispatch *d, const struct sn_request *req, bool after, PyObject *exc);
/* Python's name of the thread that runs `req`; 0: none. Needs the GIL. */
unsigned long sn_dispatch_thread_of(struct sn_dispatch *d, const struct sn_request *req);
/* Gives up the thread that runs `req` and starts another in its place; the old one ends when
 * its handler returns. 0, also when the handler has just returned; SN_EFULL: max_stuck of
 * them hang already; SN_ENOMEM. */
int sn_dispatch_replace(struct sn_dispatch *d, const struct sn_request *req);
/* True while the thread that called sn_dispatch_run() is given up and not back. */
bool sn_dispatch_lost_first(struct sn_dispatch *d);

void sn_dispatch_free(struct sn_dispatch *d); /* NULL is fine; after a join that was true */

#endif
