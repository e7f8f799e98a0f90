/* SPDX-License-Identifier: MIT
 *
 * The sync lanes: a bounded ring and the threads that run its handlers, one of
 * them hot. Included by pyrt/ only.
 */
#ifndef SN_PYRT_DISPATCH_H
#define SN_PYRT_DISPATCH_H

#include "pyrt/pyrt_priv.h"

struct sn_dispatch;

int sn_dispatch_new(struct sn_dispatch **out, unsigned workers, size_t queue,
                    int64_t queue_timeout_ms);
/* Starts workers 1.. and the monitor. Needs the GIL (and lets go of it). */
int sn_dispatch_start(struct sn_dispatch *d);
/* Worker 0: runs handlers in the calling thread, which holds the GIL, until the ring was
 * closed and is empty. */
void sn_dispatch_run(struct sn_dispatch *d);
/* Waits for workers 1.. and the monitor; false: some are still in a handler at the deadline.
 * Without the GIL. */
bool sn_dispatch_join(struct sn_dispatch *d, int64_t deadline_ms);
/* No GIL needed from here on. SN_EFULL, SN_EGONE. Does not take a reference: it is given one. */
int sn_dispatch_submit(struct sn_dispatch *d, struct sn_request *req);
/* No more requests; what is queued is still run. */
void sn_dispatch_close(struct sn_dispatch *d);
/* Answers 503 to what is queued and to what is being run. */
void sn_dispatch_refuse_all(struct sn_dispatch *d);
void sn_dispatch_stats(const struct sn_dispatch *d, struct sn_pyrt_stats *out);
void sn_dispatch_free(struct sn_dispatch *d); /* NULL is fine; after a join that was true */

#endif
