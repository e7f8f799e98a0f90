/* SPDX-License-Identifier: MIT
 *
 * Async handlers. Requests come through a ring and an eventfd that the loop
 * reads; they are taken in bounded batches inside the loop, and each becomes a
 * real Task. A call_soon_threadsafe for each would cost a system call and a GIL
 * hand-off a request.
 *
 * Signalling: `signalled` is 1 from the moment somebody wrote the eventfd until
 * the loop has found the ring empty; only who turns 0 into 1 writes. While there
 * is more than a batch the loop calls itself again (call_soon) and keeps it 1,
 * so that a busy loop costs producers no system call. After clearing it the loop
 * looks at the ring once more; producers push first.
 *
 * A call (struct call) is a small Python object: the task's done callback. The
 * task and it hold each other until the task ends; the loop itself keeps only
 * weak references to tasks. The list of calls belongs to the loop thread.
 *
 * Threads: any thread submits and cancels, without the GIL; the loop thread
 * does the rest, with it.
 */
#include "pyrt/aio.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "pyrt/core/core.h"
#include "pyrt/interp.h"
#include "queue/ring.h"

#define BATCH 64           /* requests begun in one turn of the loop */
#define CANCEL_MARGIN 1.0  /* seconds before the deadline when tasks are cancelled, at most */

struct call {
	PyObject_HEAD
	vectorcallfunc vectorcall;
	struct sn_aio *aio;
	struct sn_request *req;
	PyObject *task;
	struct call *prev, *next;
};

struct sn_aio {
	struct sn_ring *ring, *cancels;
	int efd;
	size_t max;
	int64_t limit_ms;

	_Alignas(64) atomic_int signalled;
	atomic_bool closed;
	atomic_bool gone; /* the loop's thread has ended */
	atomic_bool cancel_scan; /* the ring of cancels was full: look at every call */
	_Alignas(64) atomic_size_t in_flight; /* queued and running */
	atomic_size_t running, peak;
	atomic_ullong rejected, expired;
	atomic_llong deadline_ms;

	/* The loop thread's. */
	struct call calls; /* list head, no object */
	bool stopping;     /* the loop has seen `closed` */
	bool ended;        /* it was told to end */
	PyObject *loop, *context, *again, *cancel_all, *end, *call_soon, *task_type, *task_names;
	PyObject *cancelled_error;

	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum { NOT_YET, RUNS, ENDED } state;
};

/* ---- waking the loop --------------------------------------------------- */

static void
ring_bell(struct sn_aio *a)
{
	uint64_t one = 1;

	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&a->signalled, memory_order_relaxed) ||
	    atomic_exchange(&a->signalled, 1))
		return;
	while (write(a->efd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* ---- calls ---------------------------------------------------------------- */

static void
unlink_call(struct call *c)
{
	if (!c->next)
		return;
	c->prev->next = c->next;
	c->next->prev = c->prev;
	c->prev = c->next = NULL;
}

static void
forget_request(struct sn_aio *a, struct sn_request *req)
{
	atomic_fetch_sub_explicit(&a->in_flight, 1, memory_order_relaxed);
	sn_request_unref(req);
}

static void
call_dealloc(PyObject *self)
{
	struct call *c = (struct call *)self;

	/* A live call with a request is held by its task; only a failed start is not. */
	SN_ASSERT(!c->req);
	Py_XDECREF(c->task);
	PyObject_Free(self);
}

static void
end_loop(struct sn_aio *a)
{
	PyObject *r;

	a->ended = true;
	r = PyObject_CallMethod(a->loop, "stop", NULL);
	Py_XDECREF(r);
	if (!r)
		PyErr_Clear();
}

/* The answer of a task that was cancelled: nobody waits for it, or we stop. Else it is the
 * handler's own doing, and an exception like any other. True: no answer is needed. */
static bool
cancelled_by_us(struct sn_aio *a, struct sn_request *req)
{
	if (!PyErr_ExceptionMatches(a->cancelled_error))
		return false;
	if (sn_request_marked(req)) {
		PyErr_Clear();
		return true;
	}
	if (!a->stopping)
		return false;
	PyErr_Clear();
	sn_pyrt_refuse(req, "The server is stopping.");
	return true;
}

/* Sends `result` (stolen; NULL: an exception is set) and lets go of everything. */
static void
complete(struct call *c, PyObject *result)
{
	struct sn_aio *a = c->aio;
	struct sn_request *req = c->req;
	const struct sn_pytarget *t = req->endpoint->target;

	if (result || !cancelled_by_us(a, req))
		sn_pyanswer_send(req, result, t->name);
	req->executor = NULL;
	c->req = NULL;
	unlink_call(c);
	Py_CLEAR(c->task);
	atomic_fetch_sub_explicit(&a->running, 1, memory_order_relaxed);
	forget_request(a, req);
	if (a->stopping && atomic_load(&a->in_flight) == 0)
		end_loop(a);
}

/* The done callback: call(task). */
static PyObject *
call_done(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames SN_UNUSED)
{
	struct call *c = (struct call *)self;

	if (PyVectorcall_NARGS(nargsf) != 1) {
		PyErr_SetString(PyExc_TypeError, "one argument is expected: the task");
		return NULL;
	}
	if (c->req)
		complete(c, PyObject_CallMethod(args[0], "result", NULL));
	Py_RETURN_NONE;
}

static PyTypeObject call_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "snacgi._AsyncCall",
	.tp_doc = "The done callback of one async request.",
	.tp_basicsize = sizeof(struct call),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
	.tp_vectorcall_offset = offsetof(struct call, vectorcall),
	.tp_call = PyVectorcall_Call,
	.tp_dealloc = call_dealloc,
};

static struct call *
call_new(struct sn_aio *a, struct sn_request *req)
{
	struct call *c = PyObject_New(struct call, &call_type);
	size_t running, peak;

	if (!c)
		return NULL;
	c->vectorcall = call_done;
	c->aio = a;
	c->req = req;
	c->task = NULL;
	c->next = &a->calls;
	c->prev = a->calls.prev;
	c->prev->next = c;
	a->calls.prev = c;
	req->executor = c;
	running = atomic_fetch_add_explicit(&a->running, 1, memory_order_relaxed) + 1;
	peak = atomic_load_explicit(&a->peak, memory_order_relaxed);
	if (running > peak) /* this thread alone writes it */
		atomic_store_explicit(&a->peak, running, memory_order_relaxed);
	return c;
}

/* ---- one request ------------------------------------------------------------ */

/* New reference. The coroutine is stolen. */
static PyObject *
make_task(struct sn_aio *a, PyObject *coro)
{
	PyObject *factory = PyObject_CallMethod(a->loop, "get_task_factory", NULL);
	PyObject *task = NULL;

	if (factory == Py_None) {
		PyObject *argv[] = { coro, a->loop, Py_True };
		task = PyObject_Vectorcall(a->task_type, argv, 1, a->task_names);
	} else if (factory) {
		task = PyObject_CallMethod(a->loop, "create_task", "O", coro);
	}
	Py_XDECREF(factory);
	Py_DECREF(coro);
	return task;
}

/* 1: the task is done already (it was started eagerly), 0: it will call, -1: exception. */
static int
watch_task(struct sn_aio *a, struct call *c)
{
	PyObject *done = PyObject_CallMethod(c->task, "done", NULL), *r, *add;
	PyObject *argv[] = { (PyObject *)c, a->context };
	static PyObject *names;
	int is;

	if (!done)
		return -1;
	is = PyObject_IsTrue(done);
	Py_DECREF(done);
	if (is)
		return is;
	if (!names && !(names = Py_BuildValue("(s)", "context")))
		return -1;
	add = PyObject_GetAttrString(c->task, "add_done_callback");
	r = add ? PyObject_Vectorcall(add, argv, 1, names) : NULL;
	Py_XDECREF(add);
	Py_XDECREF(r);
	return r ? 0 : -1;
}

static PyObject *
call_coroutine(const struct sn_pytarget *t, PyObject *request)
{
	PyObject *coro = sn_pytarget_call(t, request);

	if (coro && !PyCoro_CheckExact(coro) && !PyObject_HasAttrString(coro, "send")) {
		PyErr_Format(PyExc_TypeError, "async handler %s returned %s, not a coroutine", t->name,
		             Py_TYPE(coro)->tp_name);
		Py_CLEAR(coro);
	}
	return coro;
}

/* Owns one reference of `req`. */
static void
begin(struct sn_aio *a, struct sn_request *req)
{
	struct call *c = NULL;
	PyObject *request, *coro = NULL;
	int done = -1;

	if (sn_pyrt_stale(req, a->limit_ms, &a->expired)) {
		forget_request(a, req);
		return;
	}
	request = sn_pyrequest_new(req);
	if (request)
		c = call_new(a, req);
	if (c)
		coro = call_coroutine(req->endpoint->target, request);
	if (coro)
		c->task = make_task(a, coro);
	Py_XDECREF(request);
	if (!c) { /* memory */
		sn_pyanswer_send(req, NULL, ((struct sn_pytarget *)req->endpoint->target)->name);
		forget_request(a, req);
		return;
	}
	if (c->task)
		done = watch_task(a, c);
	if (done < 0)
		complete(c, NULL);
	else if (done)
		complete(c, PyObject_CallMethod(c->task, "result", NULL));
	Py_DECREF(c); /* the task's callback holds it, or it is over */
}

/* ---- cancelling ----------------------------------------------------------------- */

static void
cancel_call(struct call *c)
{
	PyObject *r = c->task ? PyObject_CallMethod(c->task, "cancel", NULL) : NULL;

	Py_XDECREF(r);
	if (!r)
		PyErr_Clear();
}

/* cancel() runs no coroutine, so the list stands still meanwhile. */
static void
cancel_calls(struct sn_aio *a, bool marked_only)
{
	for (struct call *c = a->calls.next; c != &a->calls; c = c->next)
		if (!marked_only || sn_request_marked(c->req))
			cancel_call(c);
}

static void
take_cancels(struct sn_aio *a)
{
	struct sn_request *req;

	while ((req = sn_ring_pop(a->cancels))) {
		if (req->executor)
			cancel_call(req->executor);
		sn_request_unref(req);
	}
	if (atomic_load_explicit(&a->cancel_scan, memory_order_relaxed) &&
	    atomic_exchange(&a->cancel_scan, false))
		cancel_calls(a, true);
}

/* ---- inside the loop --------------------------------------------------------------- */

static bool
has_work(const struct sn_aio *a)
{
	return sn_ring_depth(a->ring) || sn_ring_depth(a->cancels) ||
	       atomic_load(&a->cancel_scan) || (atomic_load(&a->closed) && !a->stopping);
}

static PyObject *
turn_again(struct sn_aio *a)
{
	return PyObject_CallOneArg(a->call_soon, a->again);
}

/* Once, when `closed` is seen: the deadline becomes two timers of the loop. */
static PyObject *
begin_stopping(struct sn_aio *a)
{
	double left = (double)(atomic_load(&a->deadline_ms) - sn_clock_ms()) / 1000.0;
	double margin = left / 5 < CANCEL_MARGIN ? left / 5 : CANCEL_MARGIN;

	a->stopping = true;
	if (left < 0)
		left = margin = 0;
	return sn_interp_call("cancel_later", Py_BuildValue("(OddOO)", a->loop, left - margin,
	                                                    margin / 2, a->cancel_all, a->end));
}

/* One turn: a batch of requests. NULL with an exception only for want of memory. */
static PyObject *
turn(struct sn_aio *a)
{
	struct sn_request *req;

	take_cancels(a);
	for (int n = 0; n < BATCH && (req = sn_ring_pop(a->ring)); n++)
		begin(a, req);
	sn_pycore_drain();
	if (sn_ring_depth(a->ring))
		return turn_again(a);
	atomic_store(&a->signalled, 0);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&a->closed) && !a->stopping) {
		PyObject *r = begin_stopping(a);
		if (!r)
			return NULL;
		Py_DECREF(r);
	}
	if (a->stopping && atomic_load(&a->in_flight) == 0)
		end_loop(a);
	if (has_work(a) && atomic_exchange(&a->signalled, 1) == 0)
		return turn_again(a);
	Py_RETURN_NONE;
}

static struct sn_aio *
aio_of(PyObject *capsule)
{
	return PyCapsule_GetPointer(capsule, "sn_aio");
}

static PyObject *
py_turn(PyObject *self, PyObject *unused SN_UNUSED)
{
	struct sn_aio *a = aio_of(self);

	return a ? turn(a) : NULL;
}

/* The eventfd's reader. */
static PyObject *
py_bell(PyObject *self, PyObject *unused SN_UNUSED)
{
	struct sn_aio *a = aio_of(self);
	uint64_t n;

	if (!a)
		return NULL;
	while (read(a->efd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
	return turn(a);
}

static PyObject *
py_cancel_all(PyObject *self, PyObject *unused SN_UNUSED)
{
	struct sn_aio *a = aio_of(self);

	if (!a)
		return NULL;
	cancel_calls(a, false);
	Py_RETURN_NONE;
}

static void
set_state(struct sn_aio *a, int state)
{
	pthread_mutex_lock(&a->lock);
	a->state = state;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

static PyObject *
py_started(PyObject *self, PyObject *unused SN_UNUSED)
{
	struct sn_aio *a = aio_of(self);

	if (!a)
		return NULL;
	set_state(a, RUNS);
	Py_RETURN_NONE;
}

static PyObject *
py_ended(PyObject *self, PyObject *unused SN_UNUSED)
{
	struct sn_aio *a = aio_of(self);

	return a ? PyBool_FromLong(a->ended) : NULL;
}

static PyObject *
py_end(PyObject *self, PyObject *unused SN_UNUSED)
{
	struct sn_aio *a = aio_of(self);

	if (!a)
		return NULL;
	end_loop(a);
	Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
	{ "turn", py_turn, METH_NOARGS, NULL },         { "bell", py_bell, METH_NOARGS, NULL },
	{ "cancel_all", py_cancel_all, METH_NOARGS, NULL }, { "started", py_started, METH_NOARGS, NULL },
	{ "ended", py_ended, METH_NOARGS, NULL },       { "end", py_end, METH_NOARGS, NULL },
};

enum { M_TURN, M_BELL, M_CANCEL_ALL, M_STARTED, M_ENDED, M_END };

/* New reference. */
static PyObject *
method(struct sn_aio *a, int which)
{
	PyObject *capsule = PyCapsule_New(a, "sn_aio", NULL);
	PyObject *fn = capsule ? PyCFunction_New(&methods[which], capsule) : NULL;

	Py_XDECREF(capsule);
	return fn;
}

/* ---- the thread -------------------------------------------------------------------------- */

/* The loop has ended: tasks that did not obey their cancellation get their 503 here. */
static void
abandon_calls(struct sn_aio *a)
{
	while (a->calls.next != &a->calls) {
		struct call *c = a->calls.next;
		struct sn_request *req = c->req;

		sn_pyrt_refuse(req, "The server is stopping.");
		req->executor = NULL;
		c->req = NULL; /* its done callback, should it still run, does nothing */
		unlink_call(c);
		Py_CLEAR(c->task);
		forget_request(a, req);
	}
}

static void
log_exception(const char *what)
{
	PyObject *text = sn_pycore_traceback();
	const char *s = text ? PyUnicode_AsUTF8(text) : NULL;

	sn_log_error("%s\n%s", what, s ? s : "(no traceback)");
	PyErr_Clear();
	Py_XDECREF(text);
}

static void *
loop_main(void *arg)
{
	struct sn_aio *a = arg;
	PyGILState_STATE gil = PyGILState_Ensure();
	PyObject *bell = method(a, M_BELL), *started = method(a, M_STARTED);
	PyObject *ended = method(a, M_ENDED), *r = NULL;

	if (bell && started && ended)
		r = sn_interp_call("run_loop",
		                   Py_BuildValue("(OiOOO)", a->loop, a->efd, bell, started, ended));
	if (!r)
		log_exception("The event loop ended with an exception:");
	abandon_calls(a);
	Py_XDECREF(r);
	Py_XDECREF(ended);
	Py_XDECREF(started);
	Py_XDECREF(bell);
	sn_pycore_drain();
	PyGILState_Release(gil);
	atomic_store(&a->gone, true);
	set_state(a, ENDED);
	return NULL;
}

/* The Task's constructor arguments: eager where the interpreter has it. */
static int
look_up_task(struct sn_aio *a, PyObject *asyncio)
{
#if PY_VERSION_HEX >= 0x030c0000
	a->task_names = Py_BuildValue("(ss)", "loop", "eager_start");
#else
	a->task_names = Py_BuildValue("(s)", "loop");
#endif
	a->task_type = PyObject_GetAttrString(asyncio, "Task");
	a->cancelled_error = PyObject_GetAttrString(asyncio, "CancelledError");
	return a->task_names && a->task_type && a->cancelled_error ? 0 : -1;
}

static int
look_up(struct sn_aio *a, const char *loop)
{
	PyObject *asyncio = PyImport_ImportModule("asyncio");
	int rc = -1;

	if (!asyncio || PyType_Ready(&call_type) < 0 || look_up_task(a, asyncio) < 0)
		goto out;
	a->context = PyContext_New();
	a->again = method(a, M_TURN);
	a->cancel_all = method(a, M_CANCEL_ALL);
	a->end = method(a, M_END);
	a->loop = sn_interp_call("new_loop", Py_BuildValue("(s)", loop));
	if (!a->context || !a->again || !a->cancel_all || !a->end || !a->loop)
		goto out;
	a->call_soon = PyObject_GetAttrString(a->loop, "call_soon");
	rc = a->call_soon ? 0 : -1;
out:
	Py_XDECREF(asyncio);
	return rc;
}

int
sn_aio_start(struct sn_aio *a, const char *loop, struct sn_why *why)
{
	PyThreadState *ts;
	int state;

	if (look_up(a, loop && loop[0] ? loop : "asyncio") < 0)
		return sn_interp_fail(why, "The event loop could not be made");
	if (pthread_create(&a->thread, NULL, loop_main, a) != 0)
		return sn_why_set(why, SN_ENOMEM, "the event loop's thread could not be started");
	pthread_setname_np(a->thread, "sn-asyncio");
	a->started = true;
	ts = PyEval_SaveThread();
	pthread_mutex_lock(&a->lock);
	while (a->state == NOT_YET)
		pthread_cond_wait(&a->changed, &a->lock);
	state = a->state;
	pthread_mutex_unlock(&a->lock);
	PyEval_RestoreThread(ts);
	if (state == RUNS)
		return 0;
	return sn_why_set(why, SN_EPYTHON, "the event loop ended at once; see the log");
}

/* ---- from outside --------------------------------------------------------------------------- */

int
sn_aio_new(struct sn_aio **out, size_t max, int64_t queue_timeout_ms, struct sn_why *why)
{
	struct sn_aio *a = aligned_alloc(64, (sizeof(*a) + 63) / 64 * 64);
	pthread_condattr_t attr;

	*out = NULL;
	if (!a)
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	memset(a, 0, sizeof(*a));
	a->ring = sn_ring_new(max);
	a->cancels = sn_ring_new(max < 1024 ? max : 1024);
	a->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	a->max = max;
	a->limit_ms = queue_timeout_ms;
	a->calls.prev = a->calls.next = &a->calls;
	pthread_mutex_init(&a->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&a->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (!a->ring || !a->cancels || a->efd < 0) {
		sn_aio_free(a);
		return sn_why_set(why, SN_ENOMEM, "the event loop's queue could not be made");
	}
	*out = a;
	return 0;
}

int
sn_aio_submit(struct sn_aio *a, struct sn_request *req)
{
	if (sn_unlikely(atomic_load_explicit(&a->closed, memory_order_acquire)))
		return SN_EGONE;
	if (atomic_fetch_add(&a->in_flight, 1) >= a->max || sn_ring_push(a->ring, req) < 0) {
		atomic_fetch_sub(&a->in_flight, 1);
		atomic_fetch_add_explicit(&a->rejected, 1, memory_order_relaxed);
		return SN_EFULL;
	}
	ring_bell(a);
	if (sn_unlikely(atomic_load(&a->gone)))
		sn_aio_refuse_queued(a);
	return 0;
}

void
sn_aio_cancel(struct sn_aio *a, struct sn_request *req)
{
	if (sn_ring_push(a->cancels, sn_request_ref(req)) < 0) {
		sn_request_unref(req);
		atomic_store(&a->cancel_scan, true);
	}
	ring_bell(a);
}

void
sn_aio_close(struct sn_aio *a, int64_t deadline_ms)
{
	atomic_store(&a->deadline_ms, deadline_ms);
	atomic_store(&a->closed, true);
	ring_bell(a);
}

bool
sn_aio_join(struct sn_aio *a, int64_t deadline_ms)
{
	struct timespec until = { .tv_sec = deadline_ms / 1000,
		                  .tv_nsec = (deadline_ms % 1000) * 1000000 };
	bool ended;
	int rc = 0;

	if (!a->started)
		return true;
	pthread_mutex_lock(&a->lock);
	while (a->state != ENDED && rc == 0)
		rc = pthread_cond_timedwait(&a->changed, &a->lock, &until);
	ended = a->state == ENDED;
	pthread_mutex_unlock(&a->lock);
	if (!ended)
		return false;
	pthread_join(a->thread, NULL);
	a->started = false;
	sn_aio_refuse_queued(a);
	return true;
}

void
sn_aio_refuse_queued(struct sn_aio *a)
{
	struct sn_request *req;

	while ((req = sn_ring_pop(a->ring))) {
		sn_pyrt_refuse(req, "The server is stopping.");
		forget_request(a, req);
	}
	while ((req = sn_ring_pop(a->cancels)))
		sn_request_unref(req);
}

void
sn_aio_stats(const struct sn_aio *a, struct sn_pyrt_stats *out)
{
	struct sn_ring_stats ring;

	sn_ring_stats(a->ring, &ring);
	out->async_depth = ring.depth;
	out->async_peak = ring.peak;
	out->async_in_flight = atomic_load(&a->running);
	out->rejected += atomic_load(&a->rejected);
	out->expired += atomic_load(&a->expired);
}

void
sn_aio_finish(struct sn_aio *a)
{
	PyObject *r = a->loop ? PyObject_CallMethod(a->loop, "close", NULL) : NULL;

	if (a->loop && !r)
		log_exception("The event loop could not be closed:");
	Py_XDECREF(r);
	Py_CLEAR(a->call_soon);
	Py_CLEAR(a->loop);
	Py_CLEAR(a->again);
	Py_CLEAR(a->cancel_all);
	Py_CLEAR(a->end);
	Py_CLEAR(a->context);
	Py_CLEAR(a->task_type);
	Py_CLEAR(a->task_names);
	Py_CLEAR(a->cancelled_error);
}

void
sn_aio_free(struct sn_aio *a)
{
	if (!a)
		return;
	if (a->efd >= 0)
		close(a->efd);
	sn_ring_free(a->cancels);
	sn_ring_free(a->ring);
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a);
}
