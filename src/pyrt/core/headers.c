/* SPDX-License-Identifier: MIT
 *
 * Headers for Python: the read-only view of a request's HTTP_ parameters
 * (nothing is built until somebody iterates), and the mutable list of a
 * Response. Both are case-insensitive mappings with werkzeug's method names;
 * both iterate over names, as a Mapping must. Text is latin-1, as in WSGI.
 * Neither can be part of a reference cycle, so neither is known to the garbage
 * collector. Runs under the GIL.
 */
#include "pyrt/core/core_priv.h"

/* ---- from parameters ------------------------------------------------------- */

/* "USER_AGENT" to "User-Agent"; "_" to "-" and title case, as everybody shows them. */
static PyObject *
header_name(const char *name, size_t len)
{
	PyObject *str = PyUnicode_New((Py_ssize_t)len, 127);
	bool begin = true;

	if (!str)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];
		if (c >= 0x80)
			c = '?'; /* never a header's name: RFC 9110 tokens are ASCII */
		if (c == '_')
			c = '-';
		else if (begin)
			c = (unsigned char)Py_TOUPPER(c);
		else
			c = (unsigned char)Py_TOLOWER(c);
		begin = c == '-';
		PyUnicode_1BYTE_DATA(str)[i] = c;
	}
	return str;
}

static bool
name_is(const char *name, size_t len, const char *what)
{
	return len == strlen(what) && memcmp(name, what, len) == 0;
}

const char *
sn_param_find(const struct sn_request *req, const char *name)
{
	size_t len = strlen(name);

	for (uint32_t i = 0; i < req->nparams; i++)
		if (req->params[i].name_len == len && memcmp(req->raw + req->params[i].name, name, len) == 0)
			return req->raw + req->params[i].value;
	return NULL;
}

/* What joins the values of a repeated header. */
static const char *
glue_of(const char *param, size_t len)
{
	return name_is(param, len, "HTTP_COOKIE") ? "; " : ", ";
}

/* Puts `value` under `key` (both borrowed); a repeated key is joined with `glue`, or the
 * first stays when glue is NULL. */
static int
dict_fold(PyObject *dict, PyObject *key, PyObject *value, const char *glue)
{
	PyObject *old = PyDict_GetItemWithError(dict, key), *joined;
	int rc;

	if (!old)
		return PyErr_Occurred() ? -1 : PyDict_SetItem(dict, key, value);
	if (!glue)
		return 0;
	joined = PyUnicode_FromFormat("%U%s%U", old, glue, value);
	if (!joined)
		return -1;
	rc = PyDict_SetItem(dict, key, joined);
	Py_DECREF(joined);
	return rc;
}

/* One parameter into `dict` under its header's name (raw: its own). */
static int
fold_param(PyObject *dict, const struct sn_request *req, const struct sn_param *p, bool raw)
{
	const char *name = req->raw + p->name, *value = req->raw + p->value, *glue = NULL;
	size_t len = p->name_len;
	PyObject *key, *text;
	int rc = -1;

	if (p->flags & SN_PARAM_DROPPED)
		return 0;
	if (p->flags & SN_PARAM_HEADER) {
		glue = glue_of(name, len);
		if (!raw) {
			name += 5; /* HTTP_ */
			len -= 5;
		}
	} else if (!raw && (p->value_len == 0 || (!name_is(name, len, "CONTENT_TYPE") &&
	                                          !name_is(name, len, "CONTENT_LENGTH")))) {
		return 0;
	}
	key = raw ? PyUnicode_DecodeLatin1(name, (Py_ssize_t)len, NULL) : header_name(name, len);
	text = PyUnicode_DecodeLatin1(value, (Py_ssize_t)p->value_len, NULL);
	if (key && text)
		rc = dict_fold(dict, key, text, glue);
	Py_XDECREF(key);
	Py_XDECREF(text);
	return rc;
}

static PyObject *
fold_params(struct sn_request *req, bool raw)
{
	PyObject *dict = PyDict_New();

	for (uint32_t i = 0; dict && i < req->nparams; i++)
		if (fold_param(dict, req, &req->params[i], raw) < 0)
			Py_CLEAR(dict);
	return dict;
}

PyObject *
sn_param_dict(struct sn_request *req)
{
	return fold_params(req, true);
}

PyObject *
sn_header_items(struct sn_request *req)
{
	PyObject *dict = fold_params(req, false), *items;

	if (!dict)
		return NULL;
	items = PyDict_Items(dict);
	Py_DECREF(dict);
	return items;
}

/* ---- shared by both kinds -------------------------------------------------- */

/* A header of this name from `self`: new reference; NULL without an exception: absent. */
typedef PyObject *find_fn(PyObject *self, PyObject *key);
/* New reference: a list of pairs. */
typedef PyObject *items_fn(PyObject *self);

static PyObject *
mapping_get(PyObject *found, PyObject *fallback, PyObject *convert)
{
	PyObject *value;

	if (!found)
		return PyErr_Occurred() ? NULL : Py_NewRef(fallback);
	if (!convert || convert == Py_None)
		return found;
	value = PyObject_CallOneArg(convert, found);
	Py_DECREF(found);
	if (!value && PyErr_ExceptionMatches(PyExc_ValueError)) {
		/* werkzeug: what cannot be converted is absent */
		PyErr_Clear();
		return Py_NewRef(fallback);
	}
	return value;
}

static PyObject *
header_get(PyObject *self, PyObject *args, PyObject *kwargs, find_fn *find)
{
	static char *names[] = { SN_KW("key"), SN_KW("default"), SN_KW("type"), NULL };
	PyObject *key, *fallback = Py_None, *convert = NULL;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OO:get", names, &key, &fallback, &convert))
		return NULL;
	return mapping_get(find(self, key), fallback, convert);
}

static PyObject *
header_subscript(PyObject *self, PyObject *key, find_fn *find)
{
	PyObject *found = find(self, key);

	if (!found && !PyErr_Occurred())
		sn_pycore_raise("BadRequestKeyError", Py_NewRef(key));
	return found;
}

static int
header_contains(PyObject *self, PyObject *key, find_fn *find)
{
	PyObject *found = find(self, key);

	if (!found)
		return PyErr_Occurred() ? -1 : 0;
	Py_DECREF(found);
	return 1;
}

/* Column 0 or 1 of a list of pairs (stolen). */
static PyObject *
column(PyObject *items, Py_ssize_t which)
{
	PyObject *list = items ? PyList_New(PyList_GET_SIZE(items)) : NULL;

	for (Py_ssize_t i = 0; list && i < PyList_GET_SIZE(items); i++)
		PyList_SET_ITEM(list, i, Py_NewRef(PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), which)));
	Py_XDECREF(items);
	return list;
}

static PyObject *
iterate(PyObject *list)
{
	PyObject *it = list ? PyObject_GetIter(list) : NULL;

	Py_XDECREF(list);
	return it;
}

static PyObject *
show(const char *type, PyObject *items)
{
	PyObject *text = items ? PyUnicode_FromFormat("%s(%R)", type, items) : NULL;

	Py_XDECREF(items);
	return text;
}

/* ---- the view of a request ---------------------------------------------------- */

struct view {
	PyObject_HEAD
	struct sn_request *req;
};

PyObject *
sn_header_view_new(struct sn_request *req)
{
	struct view *self = PyObject_New(struct view, &sn_pyheaderview_type);

	if (self)
		self->req = sn_request_ref(req);
	return (PyObject *)self;
}

static void
view_dealloc(PyObject *self)
{
	sn_request_unref(((struct view *)self)->req);
	PyObject_Free(self);
}

#define NAME_MAX_LEN 256

/* The parameters called `param` ("HTTP_X_FOO"), joined; new reference. CONTENT_TYPE and
 * CONTENT_LENGTH go without HTTP_, and are sent empty when the client sent none. */
static PyObject *
find_header(const struct sn_request *req, const char *param, size_t len)
{
	PyObject *found = NULL;

	if (name_is(param, len, "HTTP_CONTENT_TYPE") || name_is(param, len, "HTTP_CONTENT_LENGTH")) {
		const char *value = sn_param_find(req, param + 5);
		return value && *value ? PyUnicode_DecodeLatin1(value, (Py_ssize_t)strlen(value), NULL) : NULL;
	}
	for (uint32_t i = 0; i < req->nparams; i++) {
		const struct sn_param *p = &req->params[i];
		PyObject *text, *joined;
		if (p->name_len != len || (p->flags & SN_PARAM_DROPPED) || memcmp(req->raw + p->name, param, len))
			continue;
		text = PyUnicode_DecodeLatin1(req->raw + p->value, (Py_ssize_t)p->value_len, NULL);
		if (!found || !text) {
			Py_XDECREF(found);
			found = text;
		} else {
			joined = PyUnicode_FromFormat("%U%s%U", found, glue_of(param, len), text);
			Py_DECREF(text);
			Py_SETREF(found, joined);
		}
		if (!found)
			return NULL;
	}
	return found;
}

static PyObject *
view_find(PyObject *self, PyObject *key)
{
	Py_ssize_t len;
	char param[5 + NAME_MAX_LEN] = "HTTP_";
	const Py_UCS1 *name;

	/* Anything else is absent, as in a dict. */
	if (!PyUnicode_Check(key) || !PyUnicode_IS_ASCII(key))
		return NULL;
	len = PyUnicode_GET_LENGTH(key);
	if (len > NAME_MAX_LEN)
		return NULL;
	name = PyUnicode_1BYTE_DATA(key);
	for (Py_ssize_t i = 0; i < len; i++)
		param[5 + i] = name[i] == '-' ? '_' : (char)Py_TOUPPER(name[i]);
	return find_header(((struct view *)self)->req, param, (size_t)len + 5);
}

static PyObject *
view_items(PyObject *self, PyObject *arg SN_UNUSED)
{
	return sn_header_items(((struct view *)self)->req);
}

static PyObject *
view_get(PyObject *self, PyObject *args, PyObject *kwargs)
{
	return header_get(self, args, kwargs, view_find);
}

static PyObject *
view_subscript(PyObject *self, PyObject *key)
{
	return header_subscript(self, key, view_find);
}

static int
view_contains(PyObject *self, PyObject *key)
{
	return header_contains(self, key, view_find);
}

static Py_ssize_t
view_len(PyObject *self)
{
	PyObject *items = view_items(self, NULL);
	Py_ssize_t n = items ? PyList_GET_SIZE(items) : -1;

	Py_XDECREF(items);
	return n;
}

static PyObject *
view_keys(PyObject *self, PyObject *arg SN_UNUSED)
{
	return column(view_items(self, NULL), 0);
}

static PyObject *
view_values(PyObject *self, PyObject *arg SN_UNUSED)
{
	return column(view_items(self, NULL), 1);
}

static PyObject *
view_getlist(PyObject *self, PyObject *key)
{
	PyObject *found = view_find(self, key), *list;

	if (!found)
		return PyErr_Occurred() ? NULL : PyList_New(0);
	list = PyList_New(1);
	if (list)
		PyList_SET_ITEM(list, 0, found);
	else
		Py_DECREF(found);
	return list;
}

static PyObject *
view_iter(PyObject *self)
{
	return iterate(view_keys(self, NULL));
}

static PyObject *
view_repr(PyObject *self)
{
	return show("RequestHeaders", view_items(self, NULL));
}

static PyMethodDef view_methods[] = {
	{ "get", (PyCFunction)(void (*)(void))view_get, METH_VARARGS | METH_KEYWORDS,
	  "get(key, default=None, type=None): the header's value, any case; repeats are joined." },
	{ "getlist", view_getlist, METH_O, "A list with the header's value, or an empty one." },
	{ "items", view_items, METH_NOARGS, "A list of (name, value)." },
	{ "keys", view_keys, METH_NOARGS, "A list of the names." },
	{ "values", view_values, METH_NOARGS, "A list of the values." },
	{ NULL, NULL, 0, NULL },
};

static PyMappingMethods view_mapping = { .mp_length = view_len, .mp_subscript = view_subscript };
static PySequenceMethods view_sequence = { .sq_contains = view_contains };

PyTypeObject sn_pyheaderview_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "snacgi.RequestHeaders",
	.tp_doc = "The headers of a request: a read-only, case-insensitive mapping.",
	.tp_basicsize = sizeof(struct view),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.tp_dealloc = view_dealloc,
	.tp_repr = view_repr,
	.tp_iter = view_iter,
	.tp_as_mapping = &view_mapping,
	.tp_as_sequence = &view_sequence,
	.tp_methods = view_methods,
};
