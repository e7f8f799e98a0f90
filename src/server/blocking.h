/* SPDX-License-Identifier: MIT
 *
 * Threads for native handlers that may block (flag SN_BLOCKING, and every FCGX
 * handler): they start on demand up to a limit, end after some idle seconds, and
 * take requests from a bounded queue.
 */
#ifndef SN_SERVER_BLOCKING_H
#define SN_SERVER_BLOCKING_H

#include "http/request.h"

struct sn_blocking;

struct sn_blocking *sn_blocking_new(unsigned threads, size_t queue, int64_t queue_timeout_ms);
/* Takes a reference of its own. SN_EFULL; SN_EGONE: stopping. Any thread. */
int sn_blocking_submit(struct sn_blocking *b, struct sn_request *req);
/* Lets the running and queued requests end by `deadline_ms`; what is still queued or running then is
 * answered 503, or cut. False: handlers are still running (their threads are left alone). */
bool sn_blocking_stop(struct sn_blocking *b, int64_t deadline_ms);
struct sn_blocking_stats {
	size_t waiting;
	unsigned threads, busy;
	uint64_t late; /* refused, since their turn came too late */
};
void sn_blocking_stats(struct sn_blocking *b, struct sn_blocking_stats *out);
void sn_blocking_free(struct sn_blocking *b); /* after a stop that returned true; NULL is fine */

#endif
