/* SPDX-License-Identifier: MIT
 *
 * One worker: native tables, Python, routes, I/O threads, from start to stop.
 * The same for a forked worker process, a single process, an embedder's server
 * object, and (without threads) `snacgi check`.
 */
#ifndef SN_SERVER_WORKER_H
#define SN_SERVER_WORKER_H

#include "server/context.h"

struct sn_worker;

struct sn_tables { /* static native tables handed in by a program */
	const sn_route *const *table;
	size_t n;
};

/* Loads tables and modules, starts Python where there is any, compiles the routes. With
 * `check_only` nothing is started that serves. Native init functions run unless
 * check_only. */
int sn_worker_prepare(struct sn_worker **out, const struct sn_conf *conf,
                      const struct sn_tables *tables, bool check_only, struct sn_why *why);
/* The channel to the supervisor; before sn_worker_serve(). */
void sn_worker_channel(struct sn_worker *w, int chan);
/* Before the stop: another worker has our place, and kept connections go there. */
void sn_worker_retire(struct sn_worker *w);
/* Takes `fd`, a kept connection that another worker gave up. */
void sn_worker_take(struct sn_worker *w, uint32_t listener, int fd);
/* No more connections for now. */
bool sn_worker_is_full(const struct sn_worker *w);
/* Its resident memory is above max_rss. */
bool sn_worker_is_fat(const struct sn_worker *w);
/* Starts the threads and accepts. */
int sn_worker_serve(struct sn_worker *w, struct sn_listeners *ls, struct sn_why *why);
/* Tells the process's board what the endpoints are called. */
void sn_worker_name_endpoints(const struct sn_worker *w);
/* One log line a route; the Python version. */
void sn_worker_log_routes(const struct sn_worker *w);
/* Closes the listeners, then drains within `ms`; `hurry` (may be NULL) is asked now and then whether to stop waiting.
 * True: everything has ended; false: something still runs (end the process with _exit). */
bool sn_worker_stop(struct sn_worker *w, int64_t ms, bool (*hurry)(void *arg), void *arg);
/* Opens the access log again (after rotation). */
int sn_worker_reopen(struct sn_worker *w, struct sn_why *why);
void sn_worker_free(struct sn_worker *w); /* after a stop that returned true */
void sn_worker_stats(const struct sn_worker *w, sn_stats *out);

const struct sn_endpoint *sn_worker_native_endpoints(const struct sn_worker *w, size_t *n);
const struct sn_endpoint *sn_worker_python_endpoints(const struct sn_worker *w, size_t *n);
/* The native endpoint that answers everything `ep` (Python) would; NULL: none. */
const struct sn_endpoint *sn_worker_shadowing(const struct sn_worker *w, const struct sn_endpoint *ep);
struct sn_pyrt *sn_worker_python(const struct sn_worker *w); /* NULL: none */
/* "native", "sync", "async", "pool" ... */
const char *sn_lane_name(enum sn_lane lane);

#endif
