/* SPDX-License-Identifier: MIT
 *
 * The Python runtime: its thread, and the way it starts and stops. The runtime
 * thread makes the interpreter, imports the user's modules, starts pool, loop
 * and workers, becomes worker 0, and takes all of it down again.
 *
 * Stopping: submits are refused (SN_EGONE); what is queued and in flight goes
 * on; then pool, loop, threads; then what an interpreter's end would run of
 * the user's (threading's joins, atexit hooks), with a grace of its own, since
 * a thread of the user's may never end. The interpreter itself is not finalised:
 * Py_FinalizeEx beside threads that are not ours crashes or hangs, and the
 * process is about to end. A handler that does not return by the deadline is
 * left to the end of the process, its client answered 503.
 *
 * Threads: start, stop, free: one thread of the server's; submit, cancel, stats:
 * any thread, never with or for the GIL.
 */
#include "pyrt/pyrt_priv.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/response.h"
#include "pyrt/aio.h"
#include "pyrt/core/core.h"
#include "pyrt/dispatch.h"
#include "pyrt/enforce.h"
#include "pyrt/interp.h"
#include "pyrt/modules.h"
#include "pyrt/routes.h"

#define HOOKS_GRACE 5000  /* ms for the user's threads and exit hooks, after all answers */
#define POOL_GRACE 5000   /* ms for the pool's workers to leave, after all answers */
#define LOOK_MS 100       /* between two looks at whether the runtime thread hangs */
#define CUT_MARGIN 1000   /* ms before the deadline when answers in pieces are cut, at most */
#define FAILED_GRACE 5000 /* ms to take down what a failed start had begun */

enum state { STARTING, READY, FAILED, ANSWERED, LEFT, ENDED };

struct sn_pyrt {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum state state;
	int64_t answered_ms;
	int start_rc;
	bool left_behind; /* a failed start has threads that do not end */
	atomic_llong deadline_ms;

	const struct sn_pyrt_options *opt; /* while starting */
	struct sn_why *why;                /* the same */
	char **modules;                    /* the names that were imported */
	size_t nmodules;
	struct sn_pyroutes routes;
	struct sn_dispatch *dispatch;
	struct sn_aio *aio; /* NULL: no async route */
	struct sn_enforcer *enforcer;
	atomic_bool hangs;   /* no Python code can run any more */
	atomic_bool winding; /* somebody takes everything down */
	pthread_t ender;     /* in place of a runtime thread that hangs; 0: none */
	PyObject *pool;     /* NULL: no pool route */
	unsigned pool_workers;
	char version[256];
};

/* ---- answers without Python ------------------------------------------------ */

bool
sn_pyrt_begin(struct sn_request *req, int64_t limit_ms, atomic_ullong *expired)
{
	int rc = sn_request_begin(req, sn_clock_ms(), limit_ms);

	if (rc == SN_EAGAIN) {
		atomic_fetch_add_explicit(expired, 1, memory_order_relaxed);
		sn_request_refuse(req, "The request waited too long for its turn.");
	}
	return rc == 0;
}

bool
sn_pyrt_stale(struct sn_request *req, int64_t limit_ms, atomic_ullong *expired)
{
	if (sn_request_marked(req))
		return true;
	if (limit_ms <= 0 || sn_clock_ms() - req->queued_ms <= limit_ms)
		return false;
	return !sn_pyrt_begin(req, limit_ms, expired);
}

/* ---- starting, in the runtime thread ------------------------------------------ */

static int
choose_modules(struct sn_pyrt *rt)
{
	const struct sn_pyrt_options *opt = rt->opt;
	size_t n = 0;

	while (opt->modules && opt->modules[n])
		n++;
	if (n == 0)
		return opt->dir ? sn_modules_list(opt->dir, &rt->modules, &rt->nmodules, rt->why) : 0;
	rt->modules = calloc(n + 1, sizeof(*rt->modules));
	for (size_t i = 0; rt->modules && i < n; i++, rt->nmodules++)
		if (!(rt->modules[i] = strdup(opt->modules[i])))
			return sn_why_set(rt->why, SN_ENOMEM, "out of memory");
	return rt->modules ? 0 : sn_why_set(rt->why, SN_ENOMEM, "out of memory");
}

static int
configure_core(struct sn_pyrt *rt)
{
	const struct sn_pyrt_options *opt = rt->opt;
	PyObject *dumps = sn_interp_call("dumps", Py_BuildValue("(s)", opt->json ? opt->json : "builtin"));
	struct sn_pycore_options core = { .debug = opt->debug };
	int rc;

	core.nan_null = opt->nan && strcmp(opt->nan, "null") == 0;
	core.dumps = dumps && dumps != Py_None ? dumps : NULL;
	rc = dumps ? sn_pycore_configure(&core) : -1;
	if (rc < 0)
		rc = sn_interp_fail(rt->why, "Python's JSON writer could not be set up");
	Py_XDECREF(dumps);
	return rc;
}

/* The web server sends files from some directories. */
static int
configure_files(struct sn_pyrt *rt)
{
	const char *const *at = rt->opt->send_file_from;
	PyObject *entries = PyList_New(0), *r;
	int rc;

	for (; entries && at && *at; at++) {
		PyObject *entry = PyUnicode_DecodeFSDefault(*at);
		if (!entry || PyList_Append(entries, entry) < 0)
			Py_CLEAR(entries);
		Py_XDECREF(entry);
	}
	r = entries ? sn_interp_call("send_files", Py_BuildValue("(sN)", rt->opt->send_file, entries)) : NULL;
	rc = r ? 0 : sn_interp_fail(rt->why, "python.send_file_from cannot be used");
	Py_XDECREF(r);
	return rc;
}

static int
import_all(struct sn_pyrt *rt)
{
	const struct sn_pyrt_options *opt = rt->opt;
	PyObject *r = sn_interp_call("prepare", Py_BuildValue("(Inn)", opt->form_parts, (Py_ssize_t)opt->form_memory,
	                                                      (Py_ssize_t)opt->form_file));
	int rc = r ? 0 : sn_interp_fail(rt->why, "Python could not be prepared");

	Py_XDECREF(r);
	if (rc == 0 && opt->send_file && strcmp(opt->send_file, "stream") != 0)
		rc = configure_files(rt);
	if (rc == 0 && opt->nnative)
		rc = sn_pyroutes_tell_native(opt->native, opt->nnative, rt->why);
	for (size_t i = 0; rc == 0 && i < rt->nmodules; i++)
		rc = sn_interp_import(rt->modules[i], rt->why);
	if (rc == 0)
		rc = sn_pyroutes_collect(&rt->routes, rt->why);
	if (rc < 0 || rt->routes.n)
		return rc;
	if (rt->nmodules == 0)
		sn_log_warning("Python: %s holds no module, so there is no Python endpoint; put a NAME.py "
		               "with an @route function there, or name python.modules",
		               rt->opt->dir ? rt->opt->dir : "no directory is given, which");
	else
		sn_log_warning("Python: none of the %zu imported modules has an @route function, so there "
		               "is no Python endpoint", rt->nmodules);
	return 0;
}

static int
start_pool(struct sn_pyrt *rt)
{
	const struct sn_pyrt_options *opt = rt->opt;
	PyObject *names = PyTuple_New((Py_ssize_t)rt->nmodules);

	for (size_t i = 0; names && i < rt->nmodules; i++) {
		PyObject *s = PyUnicode_DecodeFSDefault(rt->modules[i]);
		if (!s)
			Py_CLEAR(names);
		else
			PyTuple_SET_ITEM(names, (Py_ssize_t)i, s);
	}
	rt->pool = names ? sn_interp_call("start_pool", Py_BuildValue("(InNId)", opt->pool_workers,
	                                  (Py_ssize_t)opt->queue, names, opt->pool_max_tasks,
	                                  opt->pool_timeout)) : NULL;
	if (!rt->pool || sn_pyroutes_set_pool(&rt->routes, rt->pool) < 0)
		return sn_interp_fail(rt->why, "The process pool could not be started");
	rt->pool_workers = opt->pool_workers;
	return 0;
}

/* What the application does before its first request: on_startup, lifespan. */
static int
start_life(struct sn_pyrt *rt)
{
	PyObject *loop = rt->aio ? sn_aio_loop(rt->aio) : Py_None;
	PyObject *r = sn_interp_call("start_life", Py_BuildValue("(O)", loop));

	if (!r)
		return sn_interp_fail(rt->why, "The application could not start (on_startup, lifespan)");
	Py_DECREF(r);
	return 0;
}

static int
start_lanes(struct sn_pyrt *rt)
{
	const struct sn_pyrt_options *opt = rt->opt;
	int64_t limit = sn_clock_ms_of(opt->queue_timeout);
	bool serve = !opt->check_only;
	unsigned workers = serve && rt->routes.sync ? opt->dispatch_workers : 1;
	int rc;

	if (sn_dispatch_new(&rt->dispatch, workers, serve ? opt->max_stuck : 0, opt->queue, limit) < 0)
		return sn_why_set(rt->why, SN_ENOMEM, "out of memory: Python's queue of %zu", opt->queue);
	if (!serve)
		return 0;
	if (rt->routes.readers &&
	    sn_dispatch_add_readers(rt->dispatch, opt->stream_workers, opt->max_stuck, opt->queue) < 0)
		return sn_why_set(rt->why, SN_ENOMEM, "out of memory: python.stream_workers");
	rc = rt->routes.pool ? start_pool(rt) : 0;
	if (rc == 0 && rt->routes.async) {
		rc = sn_aio_new(&rt->aio, rt->dispatch, opt->async_max, limit, rt->why);
		if (rc == 0)
			rc = sn_aio_start(rt->aio, opt->loop, rt->why);
	}
	if (rc == 0)
		rc = sn_enforcer_start(&rt->enforcer, rt->dispatch, rt->aio, sn_clock_ms_of(opt->grace),
		                       sn_clock_ms_of(opt->after), rt->why);
	if (rc == 0 && sn_dispatch_start(rt->dispatch) < 0)
		rc = sn_why_set(rt->why, SN_ENOMEM, "Python's dispatch threads could not be started");
	return rc == 0 ? start_life(rt) : rc;
}

static int
bring_up(struct sn_pyrt *rt)
{
	int rc = choose_modules(rt);

	if (rc == 0)
		rc = sn_interp_start(rt->opt, rt->why);
	if (rc < 0)
		return rc;
	sn_interp_version(rt->version, sizeof(rt->version));
	rc = configure_core(rt);
	if (rc == 0)
		rc = import_all(rt);
	if (rc == 0)
		rc = start_lanes(rt);
	return rc;
}

/* ---- stopping, in the runtime thread --------------------------------------------- */

static void
set_state(struct sn_pyrt *rt, enum state state)
{
	pthread_mutex_lock(&rt->lock);
	rt->state = state;
	if (state == ANSWERED)
		rt->answered_ms = sn_clock_ms();
	pthread_cond_broadcast(&rt->changed);
	pthread_mutex_unlock(&rt->lock);
}

static void
call_quietly(const char *name, PyObject *args, const char *what)
{
	PyObject *r = sn_interp_call(name, args);
	struct sn_why why;

	if (!r) {
		sn_interp_fail(&why, what);
		sn_log_error("%s", why.text);
	}
	Py_XDECREF(r);
}

/* Handlers have ended (0), or the deadline has passed (SN_EGONE); SN_EAGAIN: all but those that
 * were given up long ago. */
static int
join_lanes(struct sn_pyrt *rt)
{
	int64_t deadline = atomic_load(&rt->deadline_ms);
	PyThreadState *ts = PyEval_SaveThread();
	int sync = rt->dispatch ? sn_dispatch_join(rt->dispatch, deadline) : 0;
	bool async;

	PyEval_RestoreThread(ts);
	call_quietly("lanes_ended", PyTuple_New(0), "The application's end could not begin");
	ts = PyEval_SaveThread();
	async = !rt->aio || sn_aio_join(rt->aio, deadline);
	if (sync == SN_EGONE)
		sn_dispatch_refuse_all(rt->dispatch);
	if (!async)
		sn_aio_refuse_queued(rt->aio);
	if (rt->enforcer)
		sn_enforcer_stop(rt->enforcer);
	PyEval_RestoreThread(ts);
	return async ? sync : SN_EGONE;
}

static void
close_pool(struct sn_pyrt *rt)
{
	int64_t left = atomic_load(&rt->deadline_ms) - sn_clock_ms();

	if (!rt->pool)
		return;
	if (left > POOL_GRACE)
		left = POOL_GRACE;
	call_quietly("close_pool", Py_BuildValue("(Od)", rt->pool, (double)left / 1000.0),
	             "The process pool could not be closed");
}

/* Holds the GIL. Not 0: threads of ours are left, as join_lanes() says, and nothing may be
 * freed. */
static int
take_down(struct sn_pyrt *rt)
{
	int rc;

	if (rt->aio)
		sn_aio_close(rt->aio, atomic_load(&rt->deadline_ms));
	rc = join_lanes(rt);
	if (rc != SN_EGONE)
		call_quietly("end_life", PyTuple_New(0), "The application's end failed (on_shutdown)");
	close_pool(rt);
	if (rt->aio && rc != SN_EGONE)
		sn_aio_finish(rt->aio);
	sn_pycore_drain();
	return rc;
}

/* Nothing that bring_up() had begun is left, but where a thread hangs. */
static void
clean_up_failed(struct sn_pyrt *rt)
{
	bool all;

	if (!Py_IsInitialized() || !PyGILState_GetThisThreadState())
		return; /* Python did not start, or is not ours */
	atomic_store(&rt->deadline_ms, sn_clock_ms() + FAILED_GRACE);
	all = take_down(rt) == 0;
	if (all && rt->version[0])
		call_quietly("end", PyTuple_New(0), "Python's exit hooks failed");
	rt->left_behind = !all;
	PyEval_SaveThread();
}

/* Holds the GIL, and lets go of it. Once: the runtime thread does it, or the one in its place. */
static void
wind_up(struct sn_pyrt *rt)
{
	int rc;

	if (!atomic_exchange(&rt->winding, true)) {
		rc = take_down(rt);
		set_state(rt, ANSWERED);
		if (rc != SN_EGONE)
			call_quietly("end", PyTuple_New(0), "Python's exit hooks failed");
		PyEval_SaveThread();
		if (rc != SN_EGONE)
			set_state(rt, rc == 0 ? ENDED : LEFT);
	} else {
		PyEval_SaveThread();
	}
}

static void *
ender_main(void *arg)
{
	struct sn_pyrt *rt = arg;

	sn_dispatch_await_end(rt->dispatch, atomic_load(&rt->deadline_ms));
	PyGILState_Ensure();
	wind_up(rt);
	return NULL;
}

/* The runtime thread hangs in a handler: everything else is ended properly without it. */
static void
replace_runtime_thread(struct sn_pyrt *rt)
{
	if (rt->ender || atomic_load(&rt->hangs) || !sn_dispatch_lost_first(rt->dispatch))
		return;
	if (pthread_create(&rt->ender, NULL, ender_main, rt) != 0) {
		rt->ender = 0;
		return;
	}
	pthread_setname_np(rt->ender, "sn-py-ender");
	pthread_detach(rt->ender);
}

static void *
runtime_main(void *arg)
{
	struct sn_pyrt *rt = arg;

	rt->start_rc = bring_up(rt);
	if (rt->start_rc < 0) {
		clean_up_failed(rt);
		set_state(rt, FAILED);
		return NULL;
	}
	set_state(rt, READY);
	sn_dispatch_run(rt->dispatch);
	wind_up(rt);
	return NULL;
}

/* ---- the interface ------------------------------------------------------------------ */

int
sn_pyrt_start(struct sn_pyrt **out, const struct sn_pyrt_options *opt, struct sn_why *why)
{
	struct sn_pyrt *rt = calloc(1, sizeof(*rt));
	int rc;

	*out = NULL;
	if (!rt)
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	SN_ASSERT(opt->dispatch_workers >= 1 && opt->pool_workers >= 1);
	rt->opt = opt;
	rt->why = why;
	pthread_mutex_init(&rt->lock, NULL);
	sn_clock_cond_init(&rt->changed);
	if (pthread_create(&rt->thread, NULL, runtime_main, rt) != 0) {
		sn_why_set(why, SN_ENOMEM, "Python's thread could not be started");
		rt->state = FAILED;
		rt->start_rc = SN_ENOMEM;
		rt->thread = 0;
	} else {
		pthread_setname_np(rt->thread, "sn-python");
	}
	pthread_mutex_lock(&rt->lock);
	while (rt->state == STARTING)
		pthread_cond_wait(&rt->changed, &rt->lock);
	rc = rt->state == FAILED ? rt->start_rc : 0;
	pthread_mutex_unlock(&rt->lock);
	rt->opt = NULL;
	rt->why = NULL;
	if (rc < 0) {
		sn_pyrt_free(rt);
		return rc;
	}
	*out = rt;
	return 0;
}

const struct sn_endpoint *
sn_pyrt_endpoints(const struct sn_pyrt *rt, size_t *n)
{
	*n = rt->routes.n;
	return rt->routes.endpoints;
}

const struct sn_endpoint *
sn_pyrt_missing(const struct sn_pyrt *rt)
{
	return rt->routes.missing.target ? &rt->routes.missing : NULL;
}

const char *
sn_pyrt_version(const struct sn_pyrt *rt)
{
	return rt->version;
}

int
sn_pyrt_submit(struct sn_pyrt *rt, struct sn_request *req)
{
	int rc;

	if (sn_unlikely(atomic_load_explicit(&rt->hangs, memory_order_relaxed)))
		return SN_EGONE;
	sn_request_ref(req);
	if (!sn_lane_is_async(req->endpoint->lane))
		rc = sn_dispatch_submit(rt->dispatch, req);
	else
		rc = rt->aio ? sn_aio_submit(rt->aio, req) : SN_EGONE;
	if (rc < 0)
		sn_request_unref(req);
	return rc;
}

void
sn_pyrt_cancel(struct sn_pyrt *rt, struct sn_request *req)
{
	if (sn_lane_is_async(req->endpoint->lane) && rt->aio)
		sn_aio_cancel(rt->aio, req);
	if (atomic_load_explicit(&req->marks, memory_order_relaxed) & SN_MARK_TIMEOUT)
		sn_enforcer_late(rt->enforcer, req);
}

void
sn_pyrt_tell_stack(struct sn_pyrt *rt, struct sn_request *req)
{
	sn_enforcer_slow(rt->enforcer, req);
}

const char *
sn_pyrt_hangs(struct sn_pyrt *rt, bool *all)
{
	const char *what = rt->enforcer ? sn_enforcer_hangs(rt->enforcer, all) : NULL;

	if (what && *all)
		atomic_store(&rt->hangs, true);
	return what;
}

int
sn_pyrt_check(struct sn_pyrt *rt SN_UNUSED, void (*finding)(void *arg, const char *text), void *arg)
{
	PyGILState_STATE gil = PyGILState_Ensure();
	PyObject *list = sn_interp_call("check", PyTuple_New(0));
	struct sn_why why;
	int rc = 0;

	if (!list || !PyList_Check(list)) {
		rc = sn_interp_fail(&why, "The check of the Python side failed");
		finding(arg, why.text);
	}
	for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(list); i++) {
		const char *text = PyUnicode_AsUTF8(PyList_GET_ITEM(list, i));
		if (text)
			finding(arg, text);
		PyErr_Clear();
	}
	Py_XDECREF(list);
	PyGILState_Release(gil);
	return rc;
}

void
sn_pyrt_stats(const struct sn_pyrt *rt, struct sn_pyrt_stats *out)
{
	memset(out, 0, sizeof(*out));
	sn_dispatch_stats(rt->dispatch, out);
	if (rt->aio)
		sn_aio_stats(rt->aio, out);
	out->pool_workers = rt->pool_workers;
}

/* The moment after which waiting is of no use. Locked. */
static int64_t
give_up_at(const struct sn_pyrt *rt, int64_t deadline_ms)
{
	if (rt->state == ANSWERED && rt->answered_ms + HOOKS_GRACE < deadline_ms)
		return rt->answered_ms + HOOKS_GRACE;
	return deadline_ms;
}

int
sn_pyrt_stop(struct sn_pyrt *rt, int64_t deadline_ms)
{
	int64_t margin = (deadline_ms - sn_clock_ms()) / 2;
	int64_t cut_at = deadline_ms - (margin < CUT_MARGIN ? margin : CUT_MARGIN);
	bool answered, left, ended;

	atomic_store(&rt->deadline_ms, deadline_ms);
	if (rt->aio)
		sn_aio_close(rt->aio, deadline_ms);
	sn_dispatch_close(rt->dispatch);
	pthread_mutex_lock(&rt->lock);
	while (rt->state < LEFT && !atomic_load(&rt->hangs)) {
		int64_t now = sn_clock_ms(), at = give_up_at(rt, deadline_ms);
		struct timespec until;

		if (now >= at)
			break;
		if (now >= cut_at)
			sn_dispatch_cut_streams(rt->dispatch);
		else if (at > cut_at)
			at = cut_at;
		replace_runtime_thread(rt);
		if (rt->state == READY && at > now + LOOK_MS)
			at = now + LOOK_MS;
		until = sn_clock_timespec(at);
		pthread_cond_timedwait(&rt->changed, &rt->lock, &until);
	}
	ended = rt->state == ENDED;
	left = rt->state == LEFT;
	answered = ended || left || rt->state == ANSWERED;
	pthread_mutex_unlock(&rt->lock);
	if (ended) {
		pthread_join(rt->thread, NULL);
		rt->thread = 0;
		return 0;
	}
	if (!answered) {
		sn_dispatch_refuse_all(rt->dispatch);
		if (rt->aio)
			sn_aio_refuse_queued(rt->aio);
	}
	sn_log_warning("Python: %s; the end of the process will end it",
	               left      ? "a handler that was given up has not returned"
	               : answered ? "a thread or an exit hook of the application does not end"
	                          : "a handler has not returned by the deadline");
	return SN_EAGAIN;
}

/* After a stop that left threads behind everything stays: they may use it. */
void
sn_pyrt_free(struct sn_pyrt *rt)
{
	bool ended;

	if (!rt)
		return;
	pthread_mutex_lock(&rt->lock);
	ended = (rt->state == ENDED || rt->state == FAILED) && !rt->left_behind;
	pthread_mutex_unlock(&rt->lock);
	if (!ended)
		return;
	if (rt->thread)
		pthread_join(rt->thread, NULL);
	sn_dispatch_free(rt->dispatch);
	sn_aio_free(rt->aio);
	sn_enforcer_free(rt->enforcer);
	sn_pyroutes_free(&rt->routes);
	sn_modules_free(rt->modules);
	pthread_cond_destroy(&rt->changed);
	pthread_mutex_destroy(&rt->lock);
	free(rt);
}
