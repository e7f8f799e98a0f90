/* SPDX-License-Identifier: MIT
 *
 * A worker's start and stop. Main thread of the process only. Order of stopping:
 * accept, requests in flight, Python's ring, tasks, pool and loop (all inside
 * sn_pyrt_stop), blocking threads, I/O threads.
 */
#include "server/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/board.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/method.h"
#include "http/proxy.h"
#include "server/blocking.h"
#include "server/channel.h"
#include "server/handover.h"
#include "server/iothread.h"
#include "server/package.h"
#include "server/process.h"
#include "server/status.h"
#include "server/watchdog.h"

struct sn_worker {
	struct sn_context ctx;
	struct sn_matcher *native_matcher, *python_matcher;
	char *package_path;
	struct sn_listeners *listeners;
	struct sn_watchdog *watchdog;
	struct sn_status *status; /* NULL: no page */
	sn_stats last; /* once stopped */
	bool retiring; /* another worker has our place */
	bool stopped;
};

/* ---- Python ------------------------------------------------------------------- */

/* Python starts when its directory is there or modules are named. A directory that was
 * asked for and is missing is an error. */
static int
wants_python(const struct sn_conf *conf, bool *wanted, struct sn_why *why)
{
	struct stat st;
	bool there = conf->python.dir && stat(conf->python.dir, &st) == 0 && S_ISDIR(st.st_mode);
	*wanted = there;
	if (there)
		return 0;
	if (conf->python.dir_named)
		return sn_why_set(why, SN_ECONF,
		                  "python.dir: there is no directory %s; create it, or correct python.dir "
		                  "(--python-dir)",
		                  conf->python.dir);
	if (conf->python.modules.n)
		return sn_why_set(why, SN_ECONF,
		                  "python.modules names '%s', but there is no Python directory %s; set "
		                  "python.dir (--python-dir) to where the modules are",
		                  conf->python.modules.item[0], conf->python.dir ? conf->python.dir : "");
	return 0;
}

static int
start_python(struct sn_worker *w, bool check_only, struct sn_why *why)
{
	const struct sn_conf *conf = w->ctx.conf;
	static const char *const none[] = { NULL };
	bool wanted;
	int rc = wants_python(conf, &wanted, why);
	if (rc < 0 || !wanted)
		return rc;
	w->package_path = sn_package_find();
	size_t nnative;
	const struct sn_endpoint *native = sn_native_endpoints(w->ctx.native, &nnative);
	struct sn_pyrt_options opt = {
		.native = native,
		.nnative = nnative,
		.dir = conf->python.dir,
		.modules = conf->python.modules.n ? (const char *const *)conf->python.modules.item : none,
		.venv = conf->python.venv,
		.package_path = w->package_path,
		.dispatch_workers = conf->python.dispatch_workers,
		.stream_workers = conf->python.stream_workers,
		.pool_workers = conf->python.pool_workers,
		.pool_max_tasks = conf->python.max_tasks_per_child,
		.pool_timeout = conf->timeouts.pool,
		.queue = conf->queue,
		.async_max = conf->limits.async,
		.form_parts = conf->limits.form_parts,
		.form_memory = conf->limits.form_memory,
		.form_file = conf->limits.memory_body,
		.json = conf->python.json,
		.nan = conf->python.nan,
		.loop = conf->python.loop,
		.send_file = conf->python.send_file,
		.send_file_from = conf->python.send_file_from.n ? (const char *const *)conf->python.send_file_from.item : none,
		.debug = conf->debug,
		.check_only = check_only,
		.request_timeout = conf->timeouts.request,
		.queue_timeout = conf->timeouts.queue,
		.grace = conf->timeouts.grace,
		.after = conf->timeouts.background,
		.max_stuck = conf->limits.stuck_threads,
	};
	return sn_pyrt_start(&w->ctx.py, &opt, why);
}

/* ---- preparing --------------------------------------------------------------------- */

static int
load_native(struct sn_worker *w, const struct sn_tables *tables, bool check_only, struct sn_why *why)
{
	const struct sn_conf *conf = w->ctx.conf;
	int rc = 0;
	w->ctx.native = sn_native_new();
	if (!w->ctx.native)
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	rc = sn_status_new(&w->status, &w->ctx, why);
	if (rc == 0 && w->status)
		rc = sn_native_add(w->ctx.native, sn_status_routes(w->status), why);
	for (size_t i = 0; rc == 0 && tables && i < tables->n; i++)
		rc = sn_native_add(w->ctx.native, tables->table[i], why);
	for (size_t i = 0; rc == 0 && i < conf->native.modules.n; i++)
		rc = sn_native_load(w->ctx.native, conf->native.modules.item[i], why);
	if (rc == 0 && !check_only)
		rc = sn_native_init(w->ctx.native, why);
	return rc;
}

static int
compile_routes(struct sn_worker *w, struct sn_why *why)
{
	size_t n;
	const struct sn_endpoint *eps = sn_native_endpoints(w->ctx.native, &n);
	int rc = sn_matcher_new(&w->native_matcher, eps, n, why);
	if (rc < 0)
		return rc;
	w->ctx.router.native = w->native_matcher;
	if (!w->ctx.py)
		return 0;
	eps = sn_pyrt_endpoints(w->ctx.py, &n);
	rc = sn_matcher_new(&w->python_matcher, eps, n, why);
	w->ctx.router.python = w->python_matcher;
	w->ctx.missing = sn_pyrt_missing(w->ctx.py);
	return rc;
}

static void
trust_proxies(const struct sn_conf *conf)
{
	sn_proxy_configure(&(struct sn_proxy_conf){
		.hops = conf->proxy.hops,
		.which = conf->proxy.which,
		.trusts = conf->proxy.trusted.n ? sn_conf_trusts : NULL,
		.arg = conf,
	});
}

int
sn_worker_prepare(struct sn_worker **out, const struct sn_conf *conf,
                  const struct sn_tables *tables, bool check_only, struct sn_why *why)
{
	*out = NULL;
	struct sn_worker *w = calloc(1, sizeof(*w));
	if (!w)
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	struct sn_context *ctx = &w->ctx;
	ctx->conf = conf;
	ctx->access_fd = -1;
	ctx->chan = -1;
	ctx->ms.read = sn_clock_ms_of(conf->timeouts.read);
	ctx->ms.queue = sn_clock_ms_of(conf->timeouts.queue);
	ctx->ms.request = sn_clock_ms_of(conf->timeouts.request);
	ctx->ms.stream = sn_clock_ms_of(conf->timeouts.stream);
	ctx->ms.write = sn_clock_ms_of(conf->timeouts.write);
	ctx->ms.idle = sn_clock_ms_of(conf->timeouts.idle);
	ctx->ms.slow = sn_clock_ms_of(conf->log.slow);
	ctx->wire_limits.params = (uint32_t)conf->limits.params;
	ctx->wire_limits.connections = conf->limits.connections;
	ctx->wire_limits.requests = conf->limits.multiplexed;
	sn_response_set_head_limit(conf->limits.head);
	trust_proxies(conf);
	sn_body_set_spool_limit(conf->limits.spool);
	if (getrandom(&ctx->id_seed, sizeof(ctx->id_seed), GRND_NONBLOCK) != sizeof(ctx->id_seed))
		ctx->id_seed = (uint64_t)sn_clock_ns() ^ (uint64_t)getpid() << 40;
	int rc = load_native(w, tables, check_only, why);
	if (rc == 0)
		rc = start_python(w, check_only, why);
	if (rc == 0)
		rc = compile_routes(w, why);
	if (rc < 0) {
		if (sn_worker_stop(w, 1000, NULL, NULL))
			sn_worker_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

/* ---- serving -------------------------------------------------------------------------- */

static int
open_access_log(struct sn_context *ctx, struct sn_why *why)
{
	const char *file = ctx->conf->log.access;
	if (!file || !*file)
		return 0;
	int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
	if (fd >= 0 && ctx->access_fd >= 0) {
		dup3(fd, ctx->access_fd, O_CLOEXEC); /* threads write without a lock */
		close(fd);
		return 0;
	}
	if (fd >= 0)
		ctx->access_fd = fd;
	else
		return sn_why_set(why, SN_EIO,
		                  "cannot open the access log %s: %s; create its directory or make it "
		                  "writable, or set log.access = \"\"",
		                  file, strerror(errno));
	return 0;
}

void
sn_worker_channel(struct sn_worker *w, int chan)
{
	w->ctx.chan = chan;
}

void
sn_worker_retire(struct sn_worker *w)
{
	w->retiring = w->ctx.chan >= 0;
}

void
sn_worker_take(struct sn_worker *w, uint32_t listener, int fd)
{
	sn_handover_take(&w->ctx, listener, fd);
}

bool
sn_worker_is_full(const struct sn_worker *w)
{
	if (atomic_load(&w->ctx.connections) >= w->ctx.conf->limits.connections)
		return true;
	/* a descriptor that is received and finds no number is lost */
	int probe = w->ctx.chan >= 0 ? fcntl(w->ctx.chan, F_DUPFD_CLOEXEC, 0) : -1;
	if (probe >= 0)
		close(probe);
	return w->ctx.chan >= 0 && probe < 0;
}

/* Up to an eighth more, a different one in each process: not all at once. */
static uint64_t
jitter(const struct sn_worker *w, uint64_t n)
{
	return n + w->ctx.id_seed % (n / 8 + 1);
}

bool
sn_worker_is_fat(const struct sn_worker *w)
{
	return sn_process_rss() > jitter(w, w->ctx.conf->max_rss);
}

int
sn_worker_reopen(struct sn_worker *w, struct sn_why *why)
{
	return open_access_log(&w->ctx, why);
}

int
sn_worker_serve(struct sn_worker *w, struct sn_listeners *ls, struct sn_why *why)
{
	struct sn_context *ctx = &w->ctx;
	const struct sn_conf *conf = ctx->conf;
	int rc = open_access_log(ctx, why);
	if (rc < 0)
		return rc;
	ctx->listeners = w->listeners = ls;
	ctx->max_requests = (size_t)jitter(w, conf->max_requests);
	ctx->blocking = sn_blocking_new(conf->native.blocking_threads, conf->queue, ctx->ms.queue);
	ctx->io = calloc(conf->io_threads, sizeof(struct sn_iothread *));
	if (!ctx->blocking || !ctx->io)
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	/* the count is complete before the first accepts: threads read it without a lock */
	for (unsigned i = 0; i < conf->io_threads; i++) {
		rc = sn_iothread_start(&ctx->io[i], ctx, i, why);
		if (rc < 0)
			return rc;
	}
	ctx->nio = conf->io_threads;
	/* The last thread that is made here: while it makes one this thread takes no signals, and
	 * who has got an answer may send one. */
	rc = sn_watchdog_start(&w->watchdog, ctx, w->status, why);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < ctx->nio; i++)
		sn_iothread_accept(ctx->io[i]);
	return 0;
}

/* ---- stopping --------------------------------------------------------------------------- */

static void
nap_ms(long ms)
{
	struct timespec ts = sn_clock_timespec(ms);
	nanosleep(&ts, NULL);
}

static void
drain(struct sn_worker *w, int64_t deadline, bool (*hurry)(void *), void *arg)
{
	struct sn_context *ctx = &w->ctx;
	atomic_store(&ctx->handing, w->retiring);
	atomic_store(&ctx->draining, !w->retiring);
	for (unsigned i = 0; i < ctx->nio; i++)
		sn_iothread_drain(ctx->io[i]);
	for (unsigned i = 0; i < ctx->nio; i++)
		while (!sn_iothread_deaf(ctx->io[i]) && sn_clock_ms() < deadline)
			nap_ms(1);
	if (w->listeners)
		sn_listeners_shut(w->listeners);
	if (ctx->chan >= 0)
		sn_channel_send(ctx->chan, SN_MSG_DEAF, 0, -1, NULL);
	while (ctx->nio && atomic_load(&ctx->connections) && sn_clock_ms() < deadline &&
	       !(hurry && hurry(arg)))
		nap_ms(5);
}

bool
sn_worker_stop(struct sn_worker *w, int64_t ms, bool (*hurry)(void *arg), void *arg)
{
	if (!w || w->stopped)
		return true;
	struct sn_context *ctx = &w->ctx;
	int64_t now = sn_clock_ms(), deadline = now + ms;
	/* the last part is for ending what did not end by itself */
	drain(w, deadline - (ms / 10 < 2000 ? ms / 10 : 2000), hurry, arg);
	sn_watchdog_stop(w->watchdog);
	w->watchdog = NULL;
	bool left = ctx->nio && atomic_load(&ctx->connections);
	if (left)
		sn_log_warning("stopping with %u connections still open", atomic_load(&ctx->connections));
	if (hurry && hurry(arg))
		deadline = sn_clock_ms() + 1000;
	bool ended = true;
	if (ctx->py && sn_pyrt_stop(ctx->py, deadline) < 0) {
		sn_log_warning("Python did not end in time");
		ended = false;
	}
	if (!sn_blocking_stop(ctx->blocking, deadline)) {
		sn_log_warning("a blocking native handler did not end in time");
		ended = false;
	}
	if (left)
		nap_ms(20); /* the refusals above are on their way through the I/O threads */
	sn_worker_stats(w, &w->last);
	sn_status_publish(w->status); /* the last that is told of it */
	/* Each looks at the counts of the others to its end. */
	for (unsigned i = 0; ended && ctx->io && i < ctx->conf->io_threads; i++)
		sn_iothread_join(ctx->io[i]);
	for (unsigned i = 0; ended && ctx->io && i < ctx->conf->io_threads; i++) {
		sn_iothread_free(ctx->io[i]);
		ctx->io[i] = NULL;
	}
	w->stopped = true;
	return ended;
}

void
sn_worker_free(struct sn_worker *w)
{
	if (!w)
		return;
	sn_proxy_configure(NULL); /* it borrows the configuration */
	sn_matcher_free(w->native_matcher);
	sn_matcher_free(w->python_matcher);
	sn_pyrt_free(w->ctx.py);
	sn_blocking_free(w->ctx.blocking);
	sn_native_free(w->ctx.native);
	sn_status_free(w->status);
	if (w->ctx.access_fd >= 0)
		close(w->ctx.access_fd);
	free(w->ctx.io);
	free(w->package_path);
	free(w);
}

/* ---- looking ------------------------------------------------------------------------------ */

void
sn_worker_stats(const struct sn_worker *w, sn_stats *out)
{
	if (w->stopped) {
		*out = w->last;
		return;
	}
	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < w->ctx.nio; i++) {
		if (!w->ctx.io[i])
			continue;
		const struct sn_counters *n = sn_iothread_counters(w->ctx.io[i]);
		for (unsigned c = 0; c < SN_COUNT(n->answered); c++)
			out->requests += atomic_load(&n->answered[c]);
		out->native += atomic_load(&n->native);
		out->python += atomic_load(&n->python);
		out->rejected += atomic_load(&n->rejected);
		out->errors += atomic_load(&n->errors);
		out->in_flight += atomic_load(&n->in_flight);
	}
	out->connections = atomic_load(&w->ctx.connections);
	if (w->ctx.py) {
		struct sn_pyrt_stats py;
		sn_pyrt_stats(w->ctx.py, &py);
		out->queue_depth = (uint32_t)(py.sync_depth + py.async_depth);
		out->queue_peak = (uint32_t)(py.sync_peak > py.async_peak ? py.sync_peak : py.async_peak);
	}
}

const char *
sn_lane_name(enum sn_lane lane)
{
	switch (lane) {
	case SN_LANE_NATIVE: return "native";
	case SN_LANE_BLOCKING: return "native (blocking)";
	case SN_LANE_SYNC: return "sync";
	case SN_LANE_POOL: return "pool";
	case SN_LANE_ASYNC: return "async";
	case SN_LANE_ASYNC_POOL: return "async+pool";
	}
	return "?";
}

static void
log_endpoints(const struct sn_worker *w, const struct sn_endpoint *eps, size_t n, bool python)
{
	for (size_t i = 0; i < n; i++) {
		char store[128];
		struct sn_buf methods;
		sn_buf_init(&methods, store, sizeof(store));
		sn_method_list(eps[i].methods, &methods);
		sn_buf_terminate(&methods);
		sn_log_info("route %s %s: %s, %s (%s:%d)", methods.data, eps[i].rule,
		            sn_lane_name(eps[i].lane), eps[i].name, eps[i].file ? eps[i].file : "?",
		            eps[i].line);
		const struct sn_endpoint *by = python ? sn_worker_shadowing(w, &eps[i]) : NULL;
		if (by)
			sn_log_warning("route %s %s (%s) is never reached: the native %s answers it", methods.data,
			               eps[i].rule, eps[i].name, by->name);
		sn_buf_free(&methods);
	}
}

void
sn_worker_name_endpoints(const struct sn_worker *w)
{
	size_t n;
	const struct sn_endpoint *eps = sn_worker_native_endpoints(w, &n);
	for (size_t i = 0; i < n; i++)
		sn_board_name(&eps[i], eps[i].name);
	eps = sn_worker_python_endpoints(w, &n);
	for (size_t i = 0; i < n; i++)
		sn_board_name(&eps[i], eps[i].name);
}

void
sn_worker_log_routes(const struct sn_worker *w)
{
	size_t nn, np;
	const struct sn_endpoint *native = sn_worker_native_endpoints(w, &nn);
	const struct sn_endpoint *python = sn_worker_python_endpoints(w, &np);
	if (w->ctx.py)
		sn_log_info("Python %s", sn_pyrt_version(w->ctx.py));
	log_endpoints(w, native, nn, false);
	log_endpoints(w, python, np, true);
	if (nn + np == 0)
		sn_log_warning("there are no routes: every request will be answered 404; put a module "
		               "with @route functions into python.dir (%s) or name native.modules",
		               w->ctx.conf->python.dir ? w->ctx.conf->python.dir : "not set");
}

const struct sn_endpoint *
sn_worker_native_endpoints(const struct sn_worker *w, size_t *n)
{
	return sn_native_endpoints(w->ctx.native, n);
}

const struct sn_endpoint *
sn_worker_python_endpoints(const struct sn_worker *w, size_t *n)
{
	*n = 0;
	return w->ctx.py ? sn_pyrt_endpoints(w->ctx.py, n) : NULL;
}

const struct sn_endpoint *
sn_worker_shadowing(const struct sn_worker *w, const struct sn_endpoint *ep)
{
	return sn_matcher_shadows(w->native_matcher, ep);
}

struct sn_pyrt *
sn_worker_python(const struct sn_worker *w)
{
	return w->ctx.py;
}
