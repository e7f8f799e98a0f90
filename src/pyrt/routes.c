/* SPDX-License-Identifier: MIT
 *
 * The registry of python/snacgi, copied into C once after the imports, so that
 * routing needs no Python. Duplicate rules are the matcher's to find.
 */
#include "pyrt/routes.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "http/method.h"
#include "pyrt/interp.h"

static int
convert(struct sn_pyroutes *r, size_t i, PyObject *tuple, struct sn_why *why)
{
	const char *rule, *methods, *name, *file;
	struct sn_endpoint *e = &r->endpoints[i];
	struct sn_why reason;
	PyObject *handler;
	int async, pool, idempotent, line, lax, stream;
	double timeout;

	if (!PyArg_ParseTuple(tuple, "ssOspppsidpp", &rule, &methods, &handler, &name, &async, &pool,
	                      &idempotent, &file, &line, &timeout, &lax, &stream))
		return sn_interp_fail(why, "A route cannot be read");
	if (sn_method_parse(methods, &e->methods, &reason) < 0)
		return sn_why_set(why, SN_EINVAL, "%s:%d: route %s: %s", file, line, rule, reason.text);
	if (async)
		e->lane = pool ? SN_LANE_ASYNC_POOL : SN_LANE_ASYNC;
	else
		e->lane = pool ? SN_LANE_POOL : SN_LANE_SYNC;
	r->async |= async;
	r->sync |= !async && !stream;
	r->readers |= !async && stream;
	r->pool |= pool;
	e->target = &r->targets[i];
	e->line = line;
	e->lax_slash = lax;
	e->stream = stream;
	e->timeout_ms = sn_clock_ms_of(timeout);
	e->rule = strdup(rule);
	e->name = strdup(name);
	e->file = strdup(file);
	if (!e->rule || !e->name || !e->file)
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	r->targets[i].name = e->name;
	r->targets[i].idempotent = idempotent;
	r->targets[i].handler = Py_NewRef(handler);
	if (async && !(r->targets[i].task_name = PyUnicode_FromString(name)))
		return sn_interp_fail(why, "A route cannot be read");
	return 0;
}

/* Where the application has hooks, 404, 405 and OPTIONS are for them to see. */
static int
convert_missing(struct sn_pyroutes *r, struct sn_why *why)
{
	PyObject *handler = sn_interp_call("missing", PyTuple_New(0));

	if (!handler)
		return sn_interp_fail(why, "The application's hooks cannot be read");
	if (handler == Py_None) {
		Py_DECREF(handler);
		return 0;
	}
	r->sync = true;
	r->missing_target = (struct sn_pytarget){ .handler = handler, .name = "(no route)" };
	r->missing = (struct sn_endpoint){ .rule = "", .lane = SN_LANE_SYNC, .target = &r->missing_target,
		                           .name = r->missing_target.name, .file = "" };
	return 0;
}

static int
ask_for_loop(struct sn_pyroutes *r, struct sn_why *why)
{
	PyObject *yes = sn_interp_call("needs_loop", PyTuple_New(0));

	if (!yes)
		return sn_interp_fail(why, "The application's hooks cannot be read");
	r->async |= yes == Py_True;
	Py_DECREF(yes);
	return 0;
}

int
sn_pyroutes_collect(struct sn_pyroutes *r, struct sn_why *why)
{
	PyObject *list = sn_interp_call("collect", PyTuple_New(0));
	Py_ssize_t n = list ? PyList_Size(list) : -1;
	int rc = 0;

	if (n < 0) {
		rc = sn_interp_fail(why, "The routes cannot be read");
		goto out;
	}
	r->endpoints = calloc((size_t)n + 1, sizeof(*r->endpoints));
	r->targets = calloc((size_t)n + 1, sizeof(*r->targets));
	if (!r->endpoints || !r->targets) {
		rc = sn_why_set(why, SN_ENOMEM, "out of memory");
		goto out;
	}
	for (r->n = 0; rc == 0 && r->n < (size_t)n; r->n++)
		rc = convert(r, r->n, PyList_GET_ITEM(list, (Py_ssize_t)r->n), why);
	if (rc == 0)
		rc = convert_missing(r, why);
	if (rc == 0)
		rc = ask_for_loop(r, why);
out:
	Py_XDECREF(list);
	return rc;
}

/* New; a C program's text need not be UTF-8. */
static PyObject *
text_of(const char *text)
{
	return PyUnicode_DecodeUTF8(text ? text : "", (Py_ssize_t)strlen(text ? text : ""), "replace");
}

/* New: (rule, methods, name, summary, description). */
static PyObject *
native_tuple(const struct sn_endpoint *e)
{
	char store[128];
	struct sn_buf methods;
	PyObject *tuple = NULL;

	sn_buf_init(&methods, store, sizeof(store));
	if (sn_method_list(e->methods, &methods) == 0 && sn_buf_terminate(&methods) == 0)
		tuple = Py_BuildValue("(NNNNN)", text_of(e->rule), text_of(methods.data), text_of(e->name),
		                      text_of(e->summary), text_of(e->description));
	else
		PyErr_NoMemory();
	sn_buf_free(&methods);
	return tuple;
}

int
sn_pyroutes_tell_native(const struct sn_endpoint *native, size_t n, struct sn_why *why)
{
	PyObject *list = PyList_New((Py_ssize_t)n), *done = NULL;

	for (size_t i = 0; list && i < n; i++) {
		PyObject *tuple = native_tuple(&native[i]);
		if (tuple)
			PyList_SET_ITEM(list, (Py_ssize_t)i, tuple);
		else
			Py_CLEAR(list);
	}
	done = list ? sn_interp_call("tell_native", Py_BuildValue("(N)", list)) : NULL;
	if (!done)
		return sn_interp_fail(why, "The native routes cannot be told to Python");
	Py_DECREF(done);
	return 0;
}

int
sn_pyroutes_set_pool(struct sn_pyroutes *r, PyObject *pool)
{
	PyObject *retrying = sn_interp_call("retrying", PyTuple_Pack(1, pool));

	if (!retrying)
		return -1;
	for (size_t i = 0; i < r->n; i++) {
		enum sn_lane lane = r->endpoints[i].lane;

		if (lane == SN_LANE_POOL || lane == SN_LANE_ASYNC_POOL)
			Py_XSETREF(r->targets[i].pool,
			           Py_NewRef(r->targets[i].idempotent ? retrying : pool));
	}
	Py_DECREF(retrying);
	return 0;
}

void
sn_pyroutes_free(struct sn_pyroutes *r)
{
	for (size_t i = 0; r->endpoints && i < r->n; i++) {
		free((char *)r->endpoints[i].rule);
		free((char *)r->endpoints[i].name);
		free((char *)r->endpoints[i].file);
	}
	free(r->endpoints);
	free(r->targets);
	r->endpoints = NULL;
	r->targets = NULL;
	r->n = 0;
}
