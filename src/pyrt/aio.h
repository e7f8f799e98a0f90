/* SPDX-License-Identifier: MIT
 *
 * The async lanes: an event loop in a thread of its own, fed from a ring.
 * Included by pyrt/ only.
 */
#ifndef SN_PYRT_AIO_H
#define SN_PYRT_AIO_H

#include "pyrt/pyrt_priv.h"

struct sn_aio;
struct sn_dispatch;

/* `max`: requests waiting and coroutines in flight together. `dispatch` (borrowed) takes answers in
 * pieces that a sync source gives. */
int sn_aio_new(struct sn_aio **out, struct sn_dispatch *dispatch, size_t max, int64_t queue_timeout_ms, struct sn_why *why);
/* Makes the loop ("asyncio" or "uvloop") and starts its thread; returns when it runs. Needs
 * the GIL and lets go of it. */
int sn_aio_start(struct sn_aio *a, const char *loop, struct sn_why *why);
/* No GIL needed from here on. SN_EFULL, SN_EGONE. Does not take a reference: it is given one. */
int sn_aio_submit(struct sn_aio *a, struct sn_request *req);
/* Hint: cancel the task of `req`. Takes a reference of its own. */
void sn_aio_cancel(struct sn_aio *a, struct sn_request *req);
/* No more requests; what is queued or in flight goes on until the deadline, then is
 * cancelled. */
void sn_aio_close(struct sn_aio *a, int64_t deadline_ms);
/* Borrowed: the event loop. Needs the GIL. */
PyObject *sn_aio_loop(const struct sn_aio *a);
/* Waits for the loop thread; false: a coroutine does not let go of it. */
bool sn_aio_join(struct sn_aio *a, int64_t deadline_ms);
/* Answers 503 to what is queued. */
void sn_aio_refuse_queued(struct sn_aio *a);
/* Whom streams tell what runs after their answers. Before the first request. */
void sn_aio_set_enforcer(struct sn_aio *a, struct sn_enforcer *e);
/* `req`, or with `after` what it does after its answer, is over its time and was cancelled. Raises `exc` (a class) in its handler when that has
 * had the loop for itself since the last look: *step tells, 0 at first. Needs the GIL. */
enum sn_hold sn_aio_interrupt(struct sn_aio *a, const struct sn_request *req, bool after,
                              PyObject *exc, uint64_t *step);
/* New reference: where the handler of `req` stands, as text; NULL (perhaps with an exception): it
 * is over. Needs the GIL. */
PyObject *sn_aio_stack(const struct sn_aio *a, const struct sn_request *req);
/* True while cancellations wait that the loop has not looked at. */
bool sn_aio_deaf(const struct sn_aio *a);
/* True while a request's handler has the loop. Needs the GIL. */
bool sn_aio_steps(const struct sn_aio *a);
void sn_aio_stats(const struct sn_aio *a, struct sn_pyrt_stats *out);
/* Closes the loop; after a join that was true. Needs the GIL. */
void sn_aio_finish(struct sn_aio *a);
void sn_aio_free(struct sn_aio *a); /* NULL is fine; after a join that was true */

#endif
