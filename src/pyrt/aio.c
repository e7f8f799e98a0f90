/* SPDX-License-Identifier: MIT
 *
 * Async handlers. Requests come through a ring and an eventfd that the loop
 * reads; they are taken in bounded batches inside the loop, and each becomes a
 * real Task. A call_soon_threadsafe for each would cost a system call and a GIL
 * hand-off a request.
 *
 * Signalling: `signalled` is 1 from the moment somebody wrote the eventfd until
 * the loop has found the ring empty; only who turns 0 into 1 writes. While there
 * were any the loop looks again in its next turn (call_soon) and keeps it 1,
 * so that a busy loop costs producers no system call. After clearing it the loop
 * looks at the ring once more; producers push first.
 *
 * A call (struct call) is the coroutine that the task drives: a small object
 * around the handler's own, which it passes everything on to. So the answer
 * leaves in the very step in which the handler returns; a done callback would
 * cost one more turn of the loop. Exceptions end here as well: a handler's
 * sys.exit() does not reach the loop. The task and the call hold each other
 * until the handler ends; the loop itself keeps only weak references to tasks.
 * The list of calls belongs to the loop thread.
 *
 * Threads: any thread submits and cancels, without the GIL; the loop thread
 * does the rest, with it.
 */
#include "pyrt/aio_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/board.h"
#include "base/clock.h"
#include "base/log.h"
#include "pyrt/core/core.h"
#include "pyrt/futex.h"
#include "pyrt/interp.h"
#include "pyrt/dispatch.h"

#define BATCH 64           /* requests begun in one turn of the loop */
#define CANCEL_MARGIN 1.0  /* seconds before the deadline when tasks are cancelled, at most */

/* Interned once: looked up by pointer on every request. */
static struct {
	PyObject *cancel, *stop, *throw, *close, *create_task, *get_task_factory, *value;
} names;

/* ---- waking the loop --------------------------------------------------- */

void
sn_aio_ring_bell(struct sn_aio *a)
{
	uint64_t one = 1;

	sn_full_fence();
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

	/* A call with a request is held by its task, and that by the call. */
	SN_ASSERT(!c->req);
	Py_XDECREF(c->coro);
	Py_XDECREF(c->task);
	Py_XDECREF((PyObject *)c->out);
	PyObject_Free(self);
}

static void
end_loop(struct sn_aio *a)
{
	PyObject *r;

	a->ended = true;
	r = PyObject_CallMethodNoArgs(a->loop, names.stop);
	Py_XDECREF(r);
	if (!r)
		PyErr_Clear();
}

/* An answer in pieces. True: they are sent in this task, by c->coro. */
static bool
begin_stream(struct call *c, struct sn_pystream *s)
{
	PyObject *context, *coro;

	if (s->asynchronous) {
		coro = sn_aioout_begin(c->aio, s, &c->out);
		if (coro)
			Py_XSETREF(c->coro, coro);
		return coro;
	}
	context = PyContext_CopyCurrent();
	sn_dispatch_adopt(c->aio->dispatch, s, context);
	PyErr_Clear();
	Py_XDECREF(context);
	return false;
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
	sn_request_refuse(req, "The server is stopping.");
	return true;
}

/* c->coro has ended, with `result` (stolen; NULL: an exception is set). True: it is the answer, or
 * its end. False: the answer comes in pieces, and c->coro is what sends them now. */
static bool
answer(struct call *c, PyObject *result)
{
	struct sn_request *req = c->req;
	const struct sn_pytarget *t = req->endpoint->target;
	struct sn_pystream *s = NULL;

	if (c->out) {
		sn_aioout_end(c->out, result);
		c->out = NULL;
	} else if (result || !cancelled_by_us(c->aio, req)) {
		s = sn_pyanswer_send(req, result, t->name);
	}
	return sn_likely(!s) || !begin_stream(c, s);
}

/* The same, and lets go of everything when it is the end. */
static bool
complete(struct call *c, PyObject *result)
{
	struct sn_aio *a = c->aio;
	struct sn_request *req = c->req;

	if (!req) { /* abandoned: answered already */
		Py_XDECREF(result);
		PyErr_Clear();
		return true;
	}
	if (sn_unlikely(!answer(c, result)))
		return false;
	req->executor = NULL;
	c->req = NULL;
	unlink_call(c);
	Py_CLEAR(c->coro);
	Py_CLEAR(c->task);
	atomic_fetch_sub_explicit(&a->running, 1, memory_order_relaxed);
	forget_request(a, req);
	if (a->stopping && atomic_load(&a->in_flight) == 0)
		end_loop(a);
	return true;
}

/* What runs until step_end() is the handler's: an exception may be injected. */
static struct call *
step_begin(struct call *c)
{
	struct sn_aio *a = c->aio;
	struct call *outer = a->stepping;

	a->stepping = c;
	a->steps++;
	return outer;
}

static void
step_end(struct sn_aio *a, struct call *outer)
{
	a->stepping = outer;
	if (sn_unlikely(a->injected)) { /* not to hit anything else */
		a->injected = false;
		PyThreadState_SetAsyncExc(a->ident, NULL);
	}
}

/* As a coroutine's send(), without the detour of StopIteration. The task's own result is
 * None always: the answer has left. */
static PySendResult
call_send(PyObject *self, PyObject *arg, PyObject **result)
{
	struct call *c = (struct call *)self, *outer;
	PySendResult r;

	if (!c->coro) {
		PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
		*result = NULL;
		return PYGEN_ERROR;
	}
	do {
		if (c->req)
			sn_board_begin(c->req->id, c->req->endpoint);
		outer = step_begin(c);
		r = PyIter_Send(c->coro, arg, result);
		step_end(c->aio, outer);
		sn_board_end();
		if (r == PYGEN_NEXT)
			return r;
		arg = Py_None;
	} while (!complete(c, r == PYGEN_RETURN ? *result : NULL));
	*result = Py_NewRef(Py_None);
	return PYGEN_RETURN;
}

static PyObject *
py_send(PyObject *self, PyObject *arg)
{
	PyObject *result;

	if (call_send(self, arg, &result) == PYGEN_RETURN) {
		Py_CLEAR(result);
		PyErr_SetNone(PyExc_StopIteration);
	}
	return result;
}

/* New reference to the value of the StopIteration that is set (cleared); NULL, the exception
 * unchanged: it is another one. */
static PyObject *
returned_value(void)
{
	PyObject *type, *exc, *tb, *value = NULL;

	if (!PyErr_ExceptionMatches(PyExc_StopIteration))
		return NULL;
	PyErr_Fetch(&type, &exc, &tb);
	PyErr_NormalizeException(&type, &exc, &tb);
	value = exc ? PyObject_GetAttr(exc, names.value) : NULL;
	Py_XDECREF(type);
	Py_XDECREF(exc);
	Py_XDECREF(tb);
	return value;
}

/* As a coroutine's throw(): a cancellation, or what an awaited future has raised. */
static PyObject *
py_throw(PyObject *self, PyObject *args)
{
	struct call *c = (struct call *)self, *outer;
	PyObject *throw, *result;

	if (!c->coro) {
		PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
		return NULL;
	}
	throw = PyObject_GetAttr(c->coro, names.throw);
	if (!throw)
		return NULL;
	outer = step_begin(c);
	result = PyObject_CallObject(throw, args);
	step_end(c->aio, outer);
	Py_DECREF(throw);
	if (result)
		return result;
	if (!complete(c, returned_value()))
		return py_send(self, Py_None);
	PyErr_SetNone(PyExc_StopIteration);
	return NULL;
}

static PyObject *
py_close(PyObject *self, PyObject *unused SN_UNUSED)
{
	struct call *c = (struct call *)self;

	if (!c->coro)
		Py_RETURN_NONE;
	return PyObject_CallMethodNoArgs(c->coro, names.close);
}

static PyObject *
call_self(PyObject *self)
{
	return Py_NewRef(self);
}

static PyObject *
py_await(PyObject *self, PyObject *unused SN_UNUSED)
{
	return Py_NewRef(self);
}

static PyObject *
call_next(PyObject *self)
{
	return py_send(self, Py_None);
}

/* What debuggers and Task.print_stack() look at is the handler's. */
static PyObject *
call_get(PyObject *self, void *name)
{
	struct call *c = (struct call *)self;

	if (!c->coro)
		Py_RETURN_NONE;
	return PyObject_GetAttrString(c->coro, name);
}

static PyMethodDef call_methods[] = {
	{ "send", py_send, METH_O, NULL },
	{ "throw", py_throw, METH_VARARGS, NULL },
	{ "close", py_close, METH_NOARGS, NULL },
	{ "__await__", py_await, METH_NOARGS, NULL }, /* collections.abc.Coroutine asks for it */
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef call_getset[] = {
	{ "cr_frame", call_get, NULL, NULL, (void *)"cr_frame" },
	{ "cr_code", call_get, NULL, NULL, (void *)"cr_code" },
	{ "cr_running", call_get, NULL, NULL, (void *)"cr_running" },
	{ "cr_await", call_get, NULL, NULL, (void *)"cr_await" },
	{ "__name__", call_get, NULL, NULL, (void *)"__name__" },
	{ "__qualname__", call_get, NULL, NULL, (void *)"__qualname__" },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyAsyncMethods call_async = { .am_await = call_self, .am_send = call_send };

static PyTypeObject call_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "snacgi._AsyncCall",
	.tp_doc = "The coroutine of one async request, around the handler's.",
	.tp_basicsize = sizeof(struct call),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_as_async = &call_async,
	.tp_iter = call_self,
	.tp_iternext = call_next,
	.tp_methods = call_methods,
	.tp_getset = call_getset,
	.tp_dealloc = call_dealloc,
};

static struct call *
call_new(struct sn_aio *a, struct sn_request *req)
{
	struct call *c = PyObject_New(struct call, &call_type);
	size_t running, peak;

	if (!c)
		return NULL;
	c->aio = a;
	c->req = req;
	c->coro = NULL;
	c->task = NULL;
	c->out = NULL;
	c->told = false;
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

/* New reference: a Task, eager where the interpreter has it (then it may be over). */
static PyObject *
make_task(struct sn_aio *a, PyObject *coro, const struct sn_pytarget *t)
{
	PyObject *argv[] = { coro, a->loop, t->task_name, Py_True };

	if (sn_unlikely(a->own_tasks))
		return PyObject_CallMethodOneArg(a->loop, names.create_task, coro);
	return PyObject_Vectorcall(a->task_type, argv, 1, a->task_names);
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

/* An exception is set, from before the handler ran. */
static void
fail(struct sn_aio *a, struct sn_request *req)
{
	sn_pyanswer_send(req, NULL, ((struct sn_pytarget *)req->endpoint->target)->name);
	forget_request(a, req);
}

/* Owns one reference of `req`. */
static void
begin(struct sn_aio *a, struct sn_request *req)
{
	PyObject *request, *coro, *task;
	struct call *c;

	if (!sn_pyrt_begin(req, a->limit_ms, &a->expired)) {
		forget_request(a, req);
		return;
	}
	request = sn_pyrequest_new(req);
	coro = request ? call_coroutine(req->endpoint->target, request) : NULL;
	Py_XDECREF(request);
	c = coro ? call_new(a, req) : NULL;
	if (!c) {
		Py_XDECREF(coro);
		fail(a, req);
		return;
	}
	c->coro = coro;
	task = make_task(a, (PyObject *)c, req->endpoint->target);
	if (!task)
		complete(c, NULL);
	else if (c->req)
		c->task = task;
	else /* over in its first step */
		Py_DECREF(task);
	Py_DECREF(c);
}

/* ---- cancelling ----------------------------------------------------------------- */

static void
cancel_call(struct call *c)
{
	PyObject *r = c->task ? PyObject_CallMethodNoArgs(c->task, names.cancel) : NULL;

	Py_XDECREF(r);
	if (!r)
		PyErr_Clear();
}

/* Nobody waits for its answer. Once, and not when it has seen that by itself: a second time would
 * hit what the handler, or its generator, does to clean up. */
static void
tell_gone(struct call *c)
{
	if (!c->told && !(c->out && sn_aioout_is_over(c->out)))
		cancel_call(c);
	c->told = true;
}

/* cancel() runs no coroutine, so the list stands still meanwhile. */
static void
cancel_calls(struct sn_aio *a, bool marked_only)
{
	for (struct call *c = a->calls.next; c != &a->calls; c = c->next)
		if (!marked_only)
			cancel_call(c);
		else if (sn_request_marked(c->req))
			tell_gone(c);
}

static void
take_cancels(struct sn_aio *a)
{
	struct sn_request *req;

	while ((req = sn_ring_pop(a->cancels))) {
		if (req->executor)
			tell_gone(req->executor);
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
	return sn_ring_depth(a->ring) || sn_ring_depth(a->cancels) || atomic_load(&a->roomy) ||
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

/* Takes a batch of requests. Returns how many, or -1 with an exception. */
static int
take_requests(struct sn_aio *a)
{
	struct sn_request *req;
	PyObject *factory;
	int n = 0;

	if (sn_ring_depth(a->ring) == 0)
		return 0;
	factory = PyObject_CallMethodNoArgs(a->loop, names.get_task_factory);
	if (!factory)
		return -1;
	a->own_tasks = factory != Py_None;
	Py_DECREF(factory);
	while (n < BATCH && (req = sn_ring_pop(a->ring))) {
		begin(a, req);
		n++;
	}
	return n;
}

/* One turn. NULL with an exception only for want of memory. */
static PyObject *
turn(struct sn_aio *a)
{
	int n;

	take_cancels(a);
	if (sn_unlikely(atomic_load_explicit(&a->roomy, memory_order_relaxed) != NULL))
		sn_aioout_go_on(a);
	n = take_requests(a);
	sn_pycore_drain();
	if (n < 0)
		return NULL;
	if (n)
		return turn_again(a);
	atomic_store(&a->signalled, 0);
	sn_full_fence();
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

		if (c->out)
			sn_aioout_abandon(c->out, "the server is stopping");
		else
			sn_request_refuse(req, "The server is stopping.");
		c->out = NULL;
		req->executor = NULL;
		c->req = NULL;
		unlink_call(c);
		atomic_fetch_sub_explicit(&a->running, 1, memory_order_relaxed);
		forget_request(a, req);
		Py_INCREF(c); /* the task, and it the call, may go */
		Py_CLEAR(c->task);
		Py_DECREF(c);
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

	a->ident = PyThread_get_thread_ident();
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
	a->task_names = Py_BuildValue("(sss)", "loop", "name", "eager_start");
#else
	a->task_names = Py_BuildValue("(ss)", "loop", "name");
#endif
	a->task_type = PyObject_GetAttrString(asyncio, "Task");
	a->cancelled_error = PyObject_GetAttrString(asyncio, "CancelledError");
	return a->task_names && a->task_type && a->cancelled_error ? 0 : -1;
}

static int
intern_names(void)
{
	names.cancel = PyUnicode_InternFromString("cancel");
	names.stop = PyUnicode_InternFromString("stop");
	names.throw = PyUnicode_InternFromString("throw");
	names.close = PyUnicode_InternFromString("close");
	names.create_task = PyUnicode_InternFromString("create_task");
	names.get_task_factory = PyUnicode_InternFromString("get_task_factory");
	names.value = PyUnicode_InternFromString("value");
	return names.cancel && names.stop && names.throw && names.close && names.create_task &&
	       names.get_task_factory && names.value ? 0 : -1;
}

static int
look_up(struct sn_aio *a, const char *loop)
{
	PyObject *asyncio = PyImport_ImportModule("asyncio");
	int rc = -1;

	if (!asyncio || intern_names() < 0 || PyType_Ready(&call_type) < 0 || sn_aioout_ready() < 0 ||
	    look_up_task(a, asyncio) < 0)
		goto out;
	a->again = method(a, M_TURN);
	a->cancel_all = method(a, M_CANCEL_ALL);
	a->end = method(a, M_END);
	a->loop = sn_interp_call("new_loop", Py_BuildValue("(s)", loop));
	if (!a->again || !a->cancel_all || !a->end || !a->loop)
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
sn_aio_new(struct sn_aio **out, struct sn_dispatch *dispatch, size_t max, int64_t queue_timeout_ms, struct sn_why *why)
{
	struct sn_aio *a = aligned_alloc(64, (sizeof(*a) + 63) / 64 * 64);

	*out = NULL;
	if (!a)
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	memset(a, 0, sizeof(*a));
	a->ring = sn_ring_new(max);
	a->cancels = sn_ring_new(max < 1024 ? max : 1024);
	a->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	a->max = max;
	a->dispatch = dispatch;
	a->limit_ms = queue_timeout_ms;
	a->calls.prev = a->calls.next = &a->calls;
	pthread_mutex_init(&a->lock, NULL);
	sn_clock_cond_init(&a->changed);
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
	sn_aio_ring_bell(a);
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
	sn_aio_ring_bell(a);
}

void
sn_aio_close(struct sn_aio *a, int64_t deadline_ms)
{
	atomic_store(&a->deadline_ms, deadline_ms);
	atomic_store(&a->closed, true);
	sn_aio_ring_bell(a);
}

PyObject *
sn_aio_loop(const struct sn_aio *a)
{
	return a->loop;
}

bool
sn_aio_join(struct sn_aio *a, int64_t deadline_ms)
{
	struct timespec until = sn_clock_timespec(deadline_ms);
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
		sn_request_refuse(req, "The server is stopping.");
		forget_request(a, req);
	}
	while ((req = sn_ring_pop(a->cancels)))
		sn_request_unref(req);
}

/* A step may be a short one that only happens to run now: only one that was there at the last
 * look is interrupted. */
enum sn_hold
sn_aio_interrupt(struct sn_aio *a, const struct sn_request *req, bool after, PyObject *exc, uint64_t *step)
{
	const struct call *c = req->executor;
	uint64_t last = *step;

	*step = a->steps;
	if (!c || (c->out && sn_aioout_is_after(c->out)) != after) /* what was late has ended */
		return SN_HOLD_NOT;
	if (!a->stepping || a->stepping != c || last != a->steps)
		return SN_HOLD_RUNS;
	if (!a->injected)
		a->injected = PyThreadState_SetAsyncExc(a->ident, exc) > 0;
	return a->injected ? SN_HOLD_INJECTED : SN_HOLD_RUNS;
}

PyObject *
sn_aio_stack(const struct sn_aio *a, const struct sn_request *req)
{
	struct call *c = req->executor;

	if (!c || !c->coro)
		return NULL;
	if (a->stepping == c)
		return sn_interp_call("stack_of_thread", Py_BuildValue("(k)", a->ident));
	return sn_interp_call("stack_of_coroutine", Py_BuildValue("(O)", c->coro));
}

void
sn_aio_set_enforcer(struct sn_aio *a, struct sn_enforcer *e)
{
	a->enforcer = e;
}

bool
sn_aio_deaf(const struct sn_aio *a)
{
	return sn_ring_depth(a->cancels) || atomic_load(&a->cancel_scan);
}

bool
sn_aio_steps(const struct sn_aio *a)
{
	return a->stepping != NULL;
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
	Py_CLEAR(a->task_type);
	Py_CLEAR(a->task_names);
	Py_CLEAR(a->cancelled_error);
}

void
sn_aio_free(struct sn_aio *a)
{
	if (!a)
		return;
	if (a->ring && a->cancels)
		sn_aio_refuse_queued(a); /* what I/O threads have told since the loop ended */
	if (a->efd >= 0)
		close(a->efd);
	sn_ring_free(a->cancels);
	sn_ring_free(a->ring);
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a);
}
