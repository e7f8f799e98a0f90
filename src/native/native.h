/* SPDX-License-Identifier: MIT
 *
 * The native table: static tables and loadable modules become endpoints; a
 * matched request becomes a call. Implements the public request and response
 * functions of <snacgi.h>. Knows nothing of sockets, threads or Python.
 */
#ifndef SN_NATIVE_NATIVE_H
#define SN_NATIVE_NATIVE_H

#include "http/endpoint.h"
#include "http/request.h"
#include "http/response.h"

struct sn_native; /* every table and module of one process */

struct sn_native *sn_native_new(void);
/* Calls the modules' fini, unloads them. NULL is fine. */
void sn_native_free(struct sn_native *n);
/* Adds a static table (borrowed). SN_EINVAL: a bad entry, named. */
int sn_native_add(struct sn_native *n, const sn_route *routes, struct sn_why *why);
/* dlopen()s a module, checks its version, adds its table. */
int sn_native_load(struct sn_native *n, const char *file, struct sn_why *why);
/* Calls the modules' init; once, in the worker. */
int sn_native_init(struct sn_native *n, struct sn_why *why);
const struct sn_endpoint *sn_native_endpoints(const struct sn_native *n, size_t *count);

/* Runs the handler of req->endpoint and leaves a complete answer in `res`: what the
 * handler built, the error page it asked for, or a logged 500. `res->can_send` is set
 * by the caller on blocking threads. Returns 0; or SN_EGONE when sn_response_send()
 * has sent (and finished or cut) the answer itself. */
int sn_native_call(struct sn_request *req, struct sn_response *res);

#endif
