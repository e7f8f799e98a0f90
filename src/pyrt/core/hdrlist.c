/* SPDX-License-Identifier: MIT
 *
 * Headers: the mutable, ordered, case-insensitive headers of a Response, with
 * werkzeug's method names. Values are checked when they are set, so that a
 * traceback names the line that did it. Runs under the GIL.
 */
#include "pyrt/core/core_priv.h"

struct headers {
	PyObject_HEAD
	PyObject *pairs; /* list of (str, str) tuples, never shown to anybody */
};

PyObject *
sn_header_list_new(void)
{
	return PyObject_CallNoArgs((PyObject *)&sn_pyheaders_type);
}

PyObject *
sn_header_list_pairs(PyObject *headers)
{
	return ((struct headers *)headers)->pairs;
}

/* ---- values -------------------------------------------------------------- */

/* New reference: a plain str out of str, bytes (latin-1), or a number. */
PyObject *
sn_header_text(PyObject *value, const char *what)
{
	PyObject *text;
	Py_ssize_t len;

	if (PyUnicode_CheckExact(value))
		text = Py_NewRef(value);
	else if (PyUnicode_Check(value))
		text = PyUnicode_FromObject(value);
	else if (PyBytes_Check(value))
		text = PyUnicode_DecodeLatin1(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), NULL);
	else if (PyLong_Check(value) || PyFloat_Check(value))
		text = PyObject_Str(value);
	else
		return PyErr_Format(PyExc_TypeError, "a header's %s must be str, not %.100s", what,
		                    Py_TYPE(value)->tp_name);
	if (!text)
		return NULL;
	len = PyUnicode_GET_LENGTH(text);
	if (PyUnicode_MAX_CHAR_VALUE(text) > 0xff)
		PyErr_Format(PyExc_ValueError, "a header's %s must be latin-1: %R", what, text);
	else if (PyUnicode_FindChar(text, '\n', 0, len, 1) >= 0 ||
	         PyUnicode_FindChar(text, '\r', 0, len, 1) >= 0 ||
	         PyUnicode_FindChar(text, 0, 0, len, 1) >= 0)
		PyErr_Format(PyExc_ValueError, "a header's %s must not hold CR, LF or NUL: %R", what, text);
	else
		return text;
	Py_DECREF(text);
	return NULL;
}

/* ASCII names only can be equal. */
bool
sn_header_name_is(PyObject *name, const char *other, size_t len)
{
	const Py_UCS1 *s;

	if (!PyUnicode_IS_ASCII(name) || (size_t)PyUnicode_GET_LENGTH(name) != len)
		return false;
	s = PyUnicode_1BYTE_DATA(name);
	for (size_t i = 0; i < len; i++)
		if (Py_TOLOWER(s[i]) != Py_TOLOWER((unsigned char)other[i]))
			return false;
	return true;
}

static PyObject *
pair_name(PyObject *pairs, Py_ssize_t i)
{
	return PyTuple_GET_ITEM(PyList_GET_ITEM(pairs, i), 0);
}

static PyObject *
pair_value(PyObject *pairs, Py_ssize_t i)
{
	return PyTuple_GET_ITEM(PyList_GET_ITEM(pairs, i), 1);
}

/* Index from `begin` on of the header of this name, or -1. */
static Py_ssize_t
locate(PyObject *pairs, PyObject *key, Py_ssize_t begin)
{
	if (!PyUnicode_Check(key) || !PyUnicode_IS_ASCII(key))
		return -1;
	for (Py_ssize_t i = begin; i < PyList_GET_SIZE(pairs); i++)
		if (sn_header_name_is(pair_name(pairs, i), (const char *)PyUnicode_1BYTE_DATA(key),
		                      (size_t)PyUnicode_GET_LENGTH(key)))
			return i;
	return -1;
}

bool
sn_header_list_has(PyObject *headers, const char *name, size_t len)
{
	PyObject *pairs = sn_header_list_pairs(headers);

	for (Py_ssize_t i = 0; i < PyList_GET_SIZE(pairs); i++)
		if (sn_header_name_is(pair_name(pairs, i), name, len))
			return true;
	return false;
}

/* ---- changes --------------------------------------------------------------- */

/* New reference: a checked pair. */
static PyObject *
make_pair(PyObject *name, PyObject *value)
{
	PyObject *n = sn_header_text(name, "name"), *v = n ? sn_header_text(value, "value") : NULL;
	PyObject *pair = v ? PyTuple_Pack(2, n, v) : NULL;

	Py_XDECREF(n);
	Py_XDECREF(v);
	return pair;
}

static int
add(PyObject *pairs, PyObject *name, PyObject *value)
{
	PyObject *pair = make_pair(name, value);
	int rc = pair ? PyList_Append(pairs, pair) : -1;

	Py_XDECREF(pair);
	return rc;
}

static int
drop(PyObject *pairs, PyObject *key, Py_ssize_t begin)
{
	Py_ssize_t i = begin;

	while ((i = locate(pairs, key, i)) >= 0)
		if (PySequence_DelItem(pairs, i) < 0)
			return -1;
	return 0;
}

/* Replaces every header of this name by one, at the first one's place. */
static int
replace(PyObject *pairs, PyObject *name, PyObject *value)
{
	Py_ssize_t i = locate(pairs, name, 0);
	PyObject *pair = make_pair(name, value);

	if (!pair)
		return -1;
	if (i < 0) {
		int rc = PyList_Append(pairs, pair);
		Py_DECREF(pair);
		return rc;
	}
	if (PyList_SetItem(pairs, i, pair) < 0) /* steals */
		return -1;
	return drop(pairs, name, i + 1);
}

static int
extend_sequence(PyObject *pairs, PyObject *source)
{
	PyObject *seq = PySequence_Fast(source, "headers must be a dict or a list of pairs");
	int rc = seq ? 0 : -1;

	for (Py_ssize_t i = 0; rc == 0 && i < PySequence_Fast_GET_SIZE(seq); i++) {
		PyObject *item = PySequence_Fast_GET_ITEM(seq, i);
		if ((PyTuple_Check(item) || PyList_Check(item)) && PySequence_Fast_GET_SIZE(item) == 2) {
			rc = add(pairs, PySequence_Fast_GET_ITEM(item, 0), PySequence_Fast_GET_ITEM(item, 1));
		} else {
			PyErr_Format(PyExc_TypeError, "headers must be a dict or a list of (name, value), not %R", item);
			rc = -1;
		}
	}
	Py_XDECREF(seq);
	return rc;
}

/* A value that is a list stands for several headers, as in werkzeug. */
static int
extend_mapping(PyObject *pairs, PyObject *source)
{
	PyObject *items = PyMapping_Items(source);
	int rc = items ? 0 : -1;

	for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(items); i++) {
		PyObject *item = PyList_GET_ITEM(items, i), *value;
		if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 2) {
			PyErr_SetString(PyExc_TypeError, "headers whose items() are not pairs");
			rc = -1;
			break;
		}
		value = PyTuple_GET_ITEM(item, 1);
		if (PyList_Check(value) || PyTuple_Check(value)) {
			for (Py_ssize_t k = 0; rc == 0 && k < PySequence_Fast_GET_SIZE(value); k++)
				rc = add(pairs, PyTuple_GET_ITEM(item, 0), PySequence_Fast_GET_ITEM(value, k));
		} else {
			rc = add(pairs, PyTuple_GET_ITEM(item, 0), value);
		}
	}
	Py_XDECREF(items);
	return rc;
}

int
sn_header_list_extend(PyObject *headers, PyObject *source)
{
	PyObject *pairs = sn_header_list_pairs(headers);

	if (source == Py_None)
		return 0;
	if (Py_IS_TYPE(source, &sn_pyheaders_type)) {
		Py_ssize_t end = PyList_GET_SIZE(pairs);
		return PyList_SetSlice(pairs, end, end, sn_header_list_pairs(source));
	}
	if (PyList_Check(source) || PyTuple_Check(source))
		return extend_sequence(pairs, source);
	if (PyMapping_Check(source) && PyObject_HasAttrString(source, "items") &&
	    !PyUnicode_Check(source))
		return extend_mapping(pairs, source);
	PyErr_Format(PyExc_TypeError, "headers must be a dict or a list of (name, value), not %.100s",
	             Py_TYPE(source)->tp_name);
	return -1;
}

/* ---- the type ------------------------------------------------------------- */

static PyObject *
headers_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { SN_KW("defaults"), NULL };
	PyObject *source = Py_None;
	struct headers *self;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:Headers", names, &source))
		return NULL;
	self = (struct headers *)type->tp_alloc(type, 0);
	if (!self)
		return NULL;
	self->pairs = PyList_New(0);
	if (!self->pairs || sn_header_list_extend((PyObject *)self, source) < 0)
		Py_CLEAR(self);
	return (PyObject *)self;
}

static void
headers_dealloc(PyObject *self)
{
	Py_XDECREF(((struct headers *)self)->pairs);
	Py_TYPE(self)->tp_free(self);
}

static PyObject *
headers_find(PyObject *self, PyObject *key)
{
	PyObject *pairs = sn_header_list_pairs(self);
	Py_ssize_t i = locate(pairs, key, 0);

	return i < 0 ? NULL : Py_NewRef(pair_value(pairs, i));
}

static PyObject *
headers_get(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { SN_KW("key"), SN_KW("default"), SN_KW("type"), NULL };
	PyObject *key, *fallback = Py_None, *convert = Py_None, *found, *value;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OO:get", names, &key, &fallback, &convert))
		return NULL;
	found = headers_find(self, key);
	if (!found)
		return Py_NewRef(fallback);
	if (convert == Py_None)
		return found;
	value = PyObject_CallOneArg(convert, found);
	Py_DECREF(found);
	if (!value && PyErr_ExceptionMatches(PyExc_ValueError)) {
		PyErr_Clear();
		return Py_NewRef(fallback);
	}
	return value;
}

static PyObject *
headers_getlist(PyObject *self, PyObject *key)
{
	PyObject *pairs = sn_header_list_pairs(self), *list = PyList_New(0);
	Py_ssize_t i = -1;

	while (list && (i = locate(pairs, key, i + 1)) >= 0)
		if (PyList_Append(list, pair_value(pairs, i)) < 0)
			Py_CLEAR(list);
	return list;
}

static PyObject *
headers_subscript(PyObject *self, PyObject *key)
{
	PyObject *found = headers_find(self, key);

	if (!found)
		PyErr_SetObject(PyExc_KeyError, key);
	return found;
}

static int
headers_ass_subscript(PyObject *self, PyObject *key, PyObject *value)
{
	PyObject *pairs = sn_header_list_pairs(self);

	return value ? replace(pairs, key, value) : drop(pairs, key, 0);
}

static int
headers_contains(PyObject *self, PyObject *key)
{
	return locate(sn_header_list_pairs(self), key, 0) >= 0;
}

static Py_ssize_t
headers_len(PyObject *self)
{
	return PyList_GET_SIZE(sn_header_list_pairs(self));
}

static PyObject *
headers_items(PyObject *self, PyObject *arg SN_UNUSED)
{
	PyObject *pairs = sn_header_list_pairs(self);

	return PyList_GetSlice(pairs, 0, PyList_GET_SIZE(pairs));
}

static PyObject *
headers_column(PyObject *self, Py_ssize_t which)
{
	PyObject *pairs = sn_header_list_pairs(self), *list = PyList_New(PyList_GET_SIZE(pairs));

	for (Py_ssize_t i = 0; list && i < PyList_GET_SIZE(pairs); i++)
		PyList_SET_ITEM(list, i, Py_NewRef(PyTuple_GET_ITEM(PyList_GET_ITEM(pairs, i), which)));
	return list;
}

static PyObject *
headers_keys(PyObject *self, PyObject *arg SN_UNUSED)
{
	return headers_column(self, 0);
}

static PyObject *
headers_values(PyObject *self, PyObject *arg SN_UNUSED)
{
	return headers_column(self, 1);
}

static PyObject *
headers_iter(PyObject *self)
{
	PyObject *keys = headers_column(self, 0), *it = keys ? PyObject_GetIter(keys) : NULL;

	Py_XDECREF(keys);
	return it;
}

/* add(name, value), set(name, value), setdefault(name, value) */
static PyObject *
headers_add(PyObject *self, PyObject *args)
{
	PyObject *name, *value;

	if (!PyArg_ParseTuple(args, "OO:add", &name, &value) ||
	    add(sn_header_list_pairs(self), name, value) < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
headers_set(PyObject *self, PyObject *args)
{
	PyObject *name, *value;

	if (!PyArg_ParseTuple(args, "OO:set", &name, &value) ||
	    replace(sn_header_list_pairs(self), name, value) < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
headers_setdefault(PyObject *self, PyObject *args)
{
	PyObject *name, *value;

	if (!PyArg_ParseTuple(args, "OO:setdefault", &name, &value))
		return NULL;
	if (!headers_contains(self, name) && add(sn_header_list_pairs(self), name, value) < 0)
		return NULL;
	return headers_find(self, name);
}

static PyObject *
headers_remove(PyObject *self, PyObject *key)
{
	if (drop(sn_header_list_pairs(self), key, 0) < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
headers_extend(PyObject *self, PyObject *source)
{
	if (sn_header_list_extend(self, source) < 0)
		return NULL;
	Py_RETURN_NONE;
}

/* As update() of a dict: names in `source` replace. */
static PyObject *
headers_update(PyObject *self, PyObject *source)
{
	PyObject *other = PyObject_CallOneArg((PyObject *)&sn_pyheaders_type, source), *pairs;
	int rc = other ? 0 : -1;

	pairs = other ? sn_header_list_pairs(other) : NULL;
	for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(pairs); i++)
		rc = drop(sn_header_list_pairs(self), pair_name(pairs, i), 0);
	if (rc == 0)
		rc = sn_header_list_extend(self, other);
	Py_XDECREF(other);
	if (rc < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
headers_repr(PyObject *self)
{
	return PyUnicode_FromFormat("Headers(%R)", sn_header_list_pairs(self));
}

static PyObject *
headers_compare(PyObject *a, PyObject *b, int op)
{
	if (!Py_IS_TYPE(a, &sn_pyheaders_type) || !Py_IS_TYPE(b, &sn_pyheaders_type))
		Py_RETURN_NOTIMPLEMENTED;
	return PyObject_RichCompare(sn_header_list_pairs(a), sn_header_list_pairs(b), op);
}

static PyMethodDef headers_methods[] = {
	{ "get", (PyCFunction)(void (*)(void))headers_get, METH_VARARGS | METH_KEYWORDS,
	  "get(key, default=None, type=None): the first value, any case of the name." },
	{ "getlist", headers_getlist, METH_O, "A list of all values of this name." },
	{ "get_all", headers_getlist, METH_O, "A list of all values of this name." },
	{ "add", headers_add, METH_VARARGS, "add(name, value): one more header." },
	{ "set", headers_set, METH_VARARGS, "set(name, value): replaces every header of this name." },
	{ "setdefault", headers_setdefault, METH_VARARGS, "setdefault(name, value): adds it when absent." },
	{ "remove", headers_remove, METH_O, "Removes every header of this name." },
	{ "extend", headers_extend, METH_O, "Adds headers out of a dict or a list of pairs." },
	{ "update", headers_update, METH_O, "Replaces headers out of a dict or a list of pairs." },
	{ "items", headers_items, METH_NOARGS, "A list of (name, value)." },
	{ "keys", headers_keys, METH_NOARGS, "A list of the names." },
	{ "values", headers_values, METH_NOARGS, "A list of the values." },
	{ NULL, NULL, 0, NULL },
};

static PyMappingMethods headers_mapping = {
	.mp_length = headers_len,
	.mp_subscript = headers_subscript,
	.mp_ass_subscript = headers_ass_subscript,
};
static PySequenceMethods headers_sequence = { .sq_contains = headers_contains };

PyTypeObject sn_pyheaders_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "snacgi.Headers",
	.tp_doc = "Headers(defaults=None)\n--\n\n"
	          "Ordered, case-insensitive headers of a response, from a dict or a list of pairs.",
	.tp_basicsize = sizeof(struct headers),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = headers_new,
	.tp_dealloc = headers_dealloc,
	.tp_repr = headers_repr,
	.tp_iter = headers_iter,
	.tp_richcompare = headers_compare,
	.tp_hash = PyObject_HashNotImplemented,
	.tp_as_mapping = &headers_mapping,
	.tp_as_sequence = &headers_sequence,
	.tp_methods = headers_methods,
};
