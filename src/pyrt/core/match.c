/* SPDX-License-Identifier: MIT
 *
 * The matcher for plain Python: the test client routes its requests through the
 * very table that the daemon asks. Runs under the GIL; a table is built once
 * and then only read.
 */
#include "pyrt/core/core_priv.h"

#include <stdlib.h>
#include <string.h>

#include "http/method.h"
#include "route/matcher.h"

struct pymatcher {
	PyObject_HEAD
	struct sn_matcher *m;
	struct sn_endpoint *endpoints;
	size_t n;
};

static void
matcher_dealloc(PyObject *obj)
{
	struct pymatcher *self = (struct pymatcher *)obj;

	sn_matcher_free(self->m);
	for (size_t i = 0; i < self->n; i++) {
		free((char *)self->endpoints[i].rule);
		free((char *)self->endpoints[i].name);
		free((char *)self->endpoints[i].file);
	}
	free(self->endpoints);
	Py_TYPE(obj)->tp_free(obj);
}

/* One (rule, methods, name, file, line[, lax slash]). */
static int
add_endpoint(struct pymatcher *self, PyObject *tuple)
{
	const char *rule, *methods, *name, *file;
	struct sn_endpoint *e = &self->endpoints[self->n];
	struct sn_why why;
	int lax = 0;

	if (!PyTuple_Check(tuple)) {
		PyErr_SetString(PyExc_TypeError, "a route is (rule, methods, name, file, line[, lax_slash])");
		return -1;
	}
	if (!PyArg_ParseTuple(tuple, "ssssi|p:Matcher", &rule, &methods, &name, &file, &e->line, &lax))
		return -1;
	e->lax_slash = lax;
	if (sn_method_parse(methods, &e->methods, &why) < 0) {
		PyErr_SetString(PyExc_ValueError, why.text);
		return -1;
	}
	self->n++; /* from here on the dealloc frees what there is of it */
	e->rule = strdup(rule);
	e->name = strdup(name);
	e->file = strdup(file);
	if (e->rule && e->name && e->file)
		return 0;
	PyErr_NoMemory();
	return -1;
}

static int
build(struct pymatcher *self, PyObject *list)
{
	Py_ssize_t n = PyList_GET_SIZE(list);
	struct sn_why why;
	int rc;

	self->endpoints = calloc((size_t)n + 1, sizeof(*self->endpoints));
	if (!self->endpoints) {
		PyErr_NoMemory();
		return -1;
	}
	for (Py_ssize_t i = 0; i < n; i++)
		if (add_endpoint(self, PyList_GET_ITEM(list, i)) < 0)
			return -1;
	rc = sn_matcher_new(&self->m, self->endpoints, self->n, &why);
	if (rc == SN_ENOMEM)
		PyErr_NoMemory();
	else if (rc < 0)
		PyErr_SetString(PyExc_ValueError, why.text);
	return rc;
}

static PyObject *
matcher_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { SN_KW("routes"), NULL };
	PyObject *routes, *list, *self = NULL;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Matcher", names, &routes))
		return NULL;
	list = PySequence_List(routes);
	if (list)
		self = type->tp_alloc(type, 0);
	if (self && build((struct pymatcher *)self, list) < 0)
		Py_CLEAR(self);
	Py_XDECREF(list);
	return self;
}

/* The values stay slices that the table's rule explains, as in the daemon: so the request
 * keeps the table. */
static PyObject *
matcher_match(PyObject *obj, PyObject *request)
{
	struct pymatcher *self = (struct pymatcher *)obj;
	struct sn_request *req = sn_pyrequest_get(request);
	struct sn_match m;

	if (!req) {
		PyErr_SetString(PyExc_TypeError, "match() needs a Request");
		return NULL;
	}
	switch (sn_matcher_find(self->m, req->path.match, req->path.len, req->method, &m)) {
	case SN_MATCH_SLASH:
		req->slash = true;
		Py_RETURN_NONE;
	case SN_MATCH_NO_PATH:
	case SN_MATCH_NO_METHOD:
		req->allow = m.allow;
		Py_RETURN_NONE;
	case SN_MATCH_FOUND: break;
	}
	sn_pyrequest_set_table((struct sn_pyrequest *)request, obj);
	req->rule = m.info;
	if (m.nvalues && sn_request_set_values(req, m.values, m.nvalues) < 0)
		return PyErr_NoMemory();
	return PyLong_FromSsize_t(m.endpoint - self->endpoints);
}

static PyMethodDef matcher_methods[] = {
	{ "match", matcher_match, METH_O,
	  "match(request): the route's index, and request.path_params are set; None when no route\n"
	  "takes it, and request._allowed has the methods of the path, or request._slash the path\n"
	  "with the slash that it lacks." },
	{ NULL, NULL, 0, NULL },
};

PyTypeObject sn_pymatcher_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "_snacgi.Matcher",
	.tp_doc = "Matcher(routes)\n--\n\n"
	          "A table of routes: (rule, methods, name, file, line[, lax_slash]) each, methods as in\n"
	          "'GET, POST'.\n"
	          "ValueError names what is wrong, such as a rule that is there twice.",
	.tp_basicsize = sizeof(struct pymatcher),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = matcher_new,
	.tp_dealloc = matcher_dealloc,
	.tp_methods = matcher_methods,
};
