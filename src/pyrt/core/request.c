/* SPDX-License-Identifier: MIT
 *
 * The Request type: a thin object around one struct sn_request, whose fields
 * (reqfields.c) become Python objects when somebody first asks. Knows nothing
 * of threads, queues and connections. Runs under the GIL.
 *
 * Most requests die young and hold no container, so objects come from a free
 * list and the garbage collector hears of one only once it could be part of a
 * cycle: when a mutable value is cached, or a handler sets an attribute.
 */
#include "pyrt/core/core_priv.h"

#define FREE_MAX 128

static struct { /* guarded by the GIL */
	PyObject *item[FREE_MAX];
	int n;
} free_list;

void
sn_pyrequest_track(struct sn_pyrequest *self)
{
	if (!self->tracked) {
		self->tracked = true;
		PyObject_GC_Track((PyObject *)self);
	}
}

PyObject *
sn_pyrequest_wrap(PyTypeObject *type, struct sn_request *req)
{
	struct sn_pyrequest *self;

	if (sn_likely(type == &sn_pyrequest_type && free_list.n > 0)) {
		self = (struct sn_pyrequest *)free_list.item[--free_list.n];
		PyObject_Init((PyObject *)self, type);
	} else if (type == &sn_pyrequest_type) {
		self = PyObject_GC_New(struct sn_pyrequest, type);
	} else {
		/* A subclass written in Python: tp_alloc knows its extra slots, and tracks. */
		self = (struct sn_pyrequest *)type->tp_alloc(type, 0);
	}
	if (!self) {
		sn_request_unref(req);
		return NULL;
	}
	self->req = req;
	self->dict = NULL;
	self->weakrefs = NULL;
	memset(self->field, 0, sizeof(self->field));
	self->filled = 0;
	self->tracked = type != &sn_pyrequest_type;
	return (PyObject *)self;
}

PyObject *
sn_pyrequest_new(struct sn_request *req)
{
	return sn_pyrequest_wrap(&sn_pyrequest_type, sn_request_ref(req));
}

struct sn_request *
sn_pyrequest_get(PyObject *obj)
{
	return PyObject_TypeCheck(obj, &sn_pyrequest_type) ? ((struct sn_pyrequest *)obj)->req : NULL;
}

PyObject *
sn_pyrequest_keep(struct sn_pyrequest *self, enum sn_reqfield id, PyObject *value)
{
	if (!value)
		return NULL;
	if (self->field[id]) {
		/* Building it ran foreign code that asked for the same: the first one stays. */
		Py_DECREF(value);
		return Py_NewRef(self->field[id]);
	}
	self->field[id] = value;
	self->filled |= 1u << id;
	if (PyObject_IS_GC(value))
		sn_pyrequest_track(self);
	return Py_NewRef(value);
}

void
sn_pyrequest_set_table(struct sn_pyrequest *self, PyObject *table)
{
	Py_CLEAR(self->field[SN_F_PATH_PARAMS]);
	Py_XSETREF(self->field[SN_F_TABLE], Py_NewRef(table));
	self->filled |= 1u << SN_F_TABLE;
}

static int
request_traverse(PyObject *obj, visitproc visit, void *arg)
{
	struct sn_pyrequest *self = (struct sn_pyrequest *)obj;

	Py_VISIT(self->dict);
	for (int i = 0; i < SN_F_COUNT; i++)
		Py_VISIT(self->field[i]);
	return 0;
}

static int
request_clear(PyObject *obj)
{
	struct sn_pyrequest *self = (struct sn_pyrequest *)obj;

	Py_CLEAR(self->dict);
	while (self->filled) {
		unsigned i = (unsigned)__builtin_ctz(self->filled);
		self->filled &= self->filled - 1;
		Py_CLEAR(self->field[i]);
	}
	return 0;
}

static void
request_dealloc(PyObject *obj)
{
	struct sn_pyrequest *self = (struct sn_pyrequest *)obj;

	if (self->tracked)
		PyObject_GC_UnTrack(obj);
	if (self->weakrefs)
		PyObject_ClearWeakRefs(obj);
	request_clear(obj);
	sn_request_unref(self->req);
	self->req = NULL;
	if (sn_likely(Py_IS_TYPE(obj, &sn_pyrequest_type))) {
		if (free_list.n < FREE_MAX)
			free_list.item[free_list.n++] = obj;
		else
			PyObject_GC_Del(obj);
	} else {
		/* A heap subclass: subtype_dealloc, which called us, drops the type itself. */
		Py_TYPE(obj)->tp_free(obj);
	}
}

static int
request_setattro(PyObject *obj, PyObject *name, PyObject *value)
{
	sn_pyrequest_track((struct sn_pyrequest *)obj); /* an attribute can lead back to the request */
	return PyObject_GenericSetAttr(obj, name, value);
}

static PyObject *
request_repr(PyObject *obj)
{
	PyObject *method = PyObject_GetAttrString(obj, "method");
	PyObject *path = method ? PyObject_GetAttrString(obj, "path") : NULL;
	PyObject *text = path ? PyUnicode_FromFormat("<Request %U %R>", method, path) : NULL;

	Py_XDECREF(method);
	Py_XDECREF(path);
	return text;
}

PyTypeObject sn_pyrequest_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "snacgi.Request",
	.tp_doc = "Request(method='GET', path='/', query_string='', headers=None, body=b'', "
	          "path_params=None, environ=None)\n--\n\n"
	          "One HTTP request. The server makes it and hands it to the handler; a test can make\n"
	          "one too: `path` is as in a URL (percent-escapes, perhaps with ?query), `headers` a\n"
	          "dict or a list of pairs, `body` bytes or str (sent as they are), or a dict or list\n"
	          "(sent as JSON), `environ` CGI parameters that win over the ones derived.",
	.tp_basicsize = sizeof(struct sn_pyrequest),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
	.tp_new = sn_request_tp_new,
	.tp_dealloc = request_dealloc,
	.tp_free = PyObject_GC_Del,
	.tp_traverse = request_traverse,
	.tp_clear = request_clear,
	.tp_repr = request_repr,
	.tp_getattro = PyObject_GenericGetAttr,
	.tp_setattro = request_setattro,
	.tp_getset = sn_request_getset,
	.tp_methods = sn_request_methods,
	.tp_dictoffset = offsetof(struct sn_pyrequest, dict),
	.tp_weaklistoffset = offsetof(struct sn_pyrequest, weakrefs),
};
