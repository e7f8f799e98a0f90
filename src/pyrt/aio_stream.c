/* SPDX-License-Identifier: MIT
 *
 * Answers that async handlers stream. The handler's task goes on with a coroutine
 * of ours (snacgi._streaming.drive), which awaits piece after piece and gives them to
 * the object here. When the peer does not read, that awaits a future; the sink's
 * callback puts the object on a stack and rings the loop's bell, as a new request
 * does, and the loop's next turn sets the future. A cancelled task, an abort and
 * the end of the server reach the generator as they reach any handler.
 *
 * Threads: the loop's; on_room() on any, without the GIL.
 */
#include "pyrt/aio_priv.h"

#include "pyrt/enforce.h"
#include "pyrt/interp.h"

struct sn_aioout {
	PyObject_HEAD
	struct sn_aio *aio;
	struct sn_pystream *s;
	PyObject *future; /* while it waits for room; then the sink holds a reference of this */
	struct sn_aioout *next;
	struct sn_after after;
	bool is_after; /* GIL */
	bool ended;    /* GIL: the call is done with it; `aio` may be gone */
};

static PyObject *create_future, *set_result;

/* ---- room ------------------------------------------------------------------ */

/* The sink's: there is room, or nobody left to read. */
static void
on_room(struct sn_request *req SN_UNUSED, void *arg)
{
	struct sn_aioout *out = arg;
	struct sn_aio *a = out->aio;

	out->next = atomic_load_explicit(&a->roomy, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&a->roomy, &out->next, out, memory_order_release,
	                                              memory_order_relaxed))
		;
	sn_aio_ring_bell(a);
}

void
sn_aioout_go_on(struct sn_aio *a)
{
	struct sn_aioout *out = atomic_exchange_explicit(&a->roomy, NULL, memory_order_acquire);

	while (out) {
		struct sn_aioout *next = out->next;
		PyObject *future = out->future;
		PyObject *r;

		out->future = NULL;
		r = future ? PyObject_CallMethodOneArg(future, set_result, Py_None) : NULL;
		if (!r)
			PyErr_Clear(); /* cancelled meanwhile */
		Py_XDECREF(r);
		Py_XDECREF(future);
		Py_DECREF((PyObject *)out);
		out = next;
	}
}

/* New reference: a future to be awaited; None: there is room; False: nobody reads. */
static PyObject *
wait_room(struct sn_aioout *out)
{
	struct sn_request *req = out->s->req;
	PyObject *future = PyObject_CallMethodNoArgs(out->aio->loop, create_future);
	int rc;

	if (!future)
		return NULL;
	out->future = Py_NewRef(future);
	Py_INCREF((PyObject *)out);
	rc = req->sink->wait_room(req, on_room, out);
	if (rc == 0)
		return future;
	Py_CLEAR(out->future);
	Py_DECREF((PyObject *)out);
	Py_DECREF(future);
	if (rc > 0)
		Py_RETURN_NONE;
	out->s->over = true;
	Py_RETURN_FALSE;
}

/* ---- what the coroutine sees --------------------------------------------------- */

static PyObject *
py_write(PyObject *self, PyObject *piece)
{
	struct sn_aioout *out = (struct sn_aioout *)self;

	switch (sn_pystream_write(out->s, piece)) {
	case 0: Py_RETURN_NONE;
	case SN_EAGAIN: return wait_room(out);
	case SN_EINVAL: return NULL;
	default: Py_RETURN_FALSE;
	}
}

static PyObject *
py_finish(PyObject *self, PyObject *unused SN_UNUSED)
{
	sn_pystream_finish(((struct sn_aioout *)self)->s);
	Py_RETURN_NONE;
}

/* A task that was cancelled because nobody reads has nothing to tell. */
static bool
cancelled(const struct sn_aioout *out)
{
	if (!PyErr_ExceptionMatches(out->aio->cancelled_error))
		return false;
	return sn_request_marked(out->s->req) || out->aio->stopping;
}

/* An exception is set, which ends the answer. */
static void
fail(struct sn_aioout *out)
{
	struct sn_pystream *s = out->s;

	if (!cancelled(out)) {
		sn_pystream_broke(s);
		return;
	}
	PyErr_Clear();
	s->over = s->over || sn_request_marked(s->req);
	sn_pystream_refuse(s, "the server is stopping");
}

/* The source has raised `exc`; it is not closed yet. */
static PyObject *
py_failed(PyObject *self, PyObject *exc)
{
	struct sn_aioout *out = (struct sn_aioout *)self;

	if (!PyExceptionInstance_Check(exc)) {
		PyErr_SetString(PyExc_TypeError, "an exception is expected");
		return NULL;
	}
	PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(exc)), Py_NewRef(exc), PyException_GetTraceback(exc));
	if (out->ended)
		return NULL; /* nobody to tell */
	fail(out);
	Py_RETURN_NONE;
}

/* The source is to be closed now, which does what comes after the answer. In how many seconds; 0: as
 * long as it likes. */
static PyObject *
py_after(PyObject *self, PyObject *unused SN_UNUSED)
{
	struct sn_aioout *out = (struct sn_aioout *)self;

	out->is_after = true;
	if (out->ended)
		return PyFloat_FromDouble(0);
	sn_enforcer_after(out->aio->enforcer, &out->after, out->s->req);
	return PyFloat_FromDouble((double)sn_enforcer_after_ms(out->aio->enforcer) / 1000);
}

static PyObject *
get_bodyless(PyObject *self, void *unused SN_UNUSED)
{
	return PyBool_FromLong(((struct sn_aioout *)self)->s->bodyless);
}

static void
out_dealloc(PyObject *self)
{
	struct sn_aioout *out = (struct sn_aioout *)self;

	if (!out->ended)
		sn_enforcer_after_end(out->aio->enforcer, &out->after);
	Py_XDECREF(out->future);
	sn_pystream_free(out->s);
	PyObject_Free(self);
}

static PyMethodDef out_methods[] = {
	{ "write", py_write, METH_O, NULL },
	{ "finish", py_finish, METH_NOARGS, NULL },
	{ "failed", py_failed, METH_O, NULL },
	{ "after", py_after, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef out_getset[] = {
	{ "bodyless", get_bodyless, NULL, NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyTypeObject out_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "snacgi._AsyncOut",
	.tp_doc = "Where the pieces of an async answer go.",
	.tp_basicsize = sizeof(struct sn_aioout),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_methods = out_methods,
	.tp_getset = out_getset,
	.tp_dealloc = out_dealloc,
};

/* ---- life -------------------------------------------------------------------------- */

int
sn_aioout_ready(void)
{
	create_future = PyUnicode_InternFromString("create_future");
	set_result = PyUnicode_InternFromString("set_result");
	return create_future && set_result ? PyType_Ready(&out_type) : -1;
}

PyObject *
sn_aioout_begin(struct sn_aio *a, struct sn_pystream *s, struct sn_aioout **result)
{
	struct sn_aioout *out = PyObject_New(struct sn_aioout, &out_type);
	PyObject *coro;

	if (!out) {
		sn_pystream_broke(s);
		sn_pystream_free(s);
		return NULL;
	}
	out->aio = a;
	out->s = s;
	out->future = NULL;
	out->next = NULL;
	out->after = (struct sn_after){ .linked = false };
	out->is_after = out->ended = false;
	coro = sn_interp_call("drive", Py_BuildValue("(OO)", (PyObject *)out, s->source));
	if (!coro) {
		sn_pystream_broke(s);
		Py_DECREF((PyObject *)out);
		return NULL;
	}
	*result = out;
	return coro;
}

/* Its exception's traceback, or a task that never ended, may keep it beyond the end of `aio`. */
static void
let_go(struct sn_aioout *out)
{
	sn_enforcer_after_end(out->aio->enforcer, &out->after);
	out->ended = true;
}

void
sn_aioout_end(struct sn_aioout *out, PyObject *result)
{
	let_go(out);
	if (result) {
		Py_DECREF(result);
		sn_pystream_finish(out->s);
	} else {
		fail(out);
	}
	Py_DECREF((PyObject *)out);
}

bool
sn_aioout_is_after(const struct sn_aioout *out)
{
	return out->is_after;
}

bool
sn_aioout_is_over(const struct sn_aioout *out)
{
	return out->s->over;
}

void
sn_aioout_abandon(struct sn_aioout *out, const char *text)
{
	let_go(out);
	sn_pystream_refuse(out->s, text);
	Py_DECREF((PyObject *)out);
}
