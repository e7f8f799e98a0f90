/* SPDX-License-Identifier: MIT
 *
 * The page at status.path: what the server is at, for people and for Prometheus. A
 * native endpoint, so that it answers whatever Python does.
 */
#ifndef SN_SERVER_STATUS_H
#define SN_SERVER_STATUS_H

#include "server/context.h"

struct sn_status;

/* 0 and *out = NULL where there is no status.path. `ctx` and its configuration outlive it. */
int sn_status_new(struct sn_status **out, struct sn_context *ctx, struct sn_why *why);
void sn_status_free(struct sn_status *s);
/* Its table of one route. */
const sn_route *sn_status_routes(const struct sn_status *s);
/* Writes this worker's row: now and then, and before it ends. Any thread; NULL is fine. */
void sn_status_publish(struct sn_status *s);

#endif
