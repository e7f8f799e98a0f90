/* SPDX-License-Identifier: MIT
 *
 * Python objects into JSON text, byte for byte what
 * json.dumps(obj, ensure_ascii=False, separators=(',', ':')) gives, at a few
 * nanoseconds a value. Differences, both on purpose: what is not JSON (NaN,
 * Infinity, lone surrogates) is an error or null, and errors name the place as
 * "$.a[3]". Knows nothing of requests. Runs under the GIL.
 *
 * Foreign code runs only in the hook, in iteration of list subclasses and in
 * items() of dict subclasses; every object is held while it is written, so that
 * such code may change the containers.
 */
#include "pyrt/core/core_priv.h"

#include "base/number.h"
#include "pyrt/core/jsoncopy_priv.h"

#include <math.h>

#define JSON_DEPTH_MAX 1000 /* as deep as json.dumps gets; about 200 bytes of stack each */
#define PLACE_MAX 400

/* What is being written, innermost first: for places, and against circles. */
struct frame {
	const struct frame *up;
	PyObject *obj;    /* the container, or the object given to the hook */
	PyObject *key;    /* dict: of the value being written; borrowed from a held one */
	Py_ssize_t index; /* list or tuple; -1: neither (hook) */
	unsigned depth;
};

struct writer {
	struct sn_buf *out;
	PyObject *hook;
	bool nan_null;
};

static int write_value(struct writer *w, PyObject *v, const struct frame *up);

/* ---- errors and places ------------------------------------------------- */

static void
place_key(struct sn_buf *b, PyObject *key)
{
	PyObject *text = PyUnicode_Check(key) ? Py_NewRef(key) : PyObject_Repr(key);
	const char *s = text ? PyUnicode_AsUTF8(text) : NULL;

	if (!s) {
		PyErr_Clear();
		sn_buf_adds(b, "[?]");
	} else if (PyUnicode_IsIdentifier(text) == 1) {
		sn_buf_addf(b, ".%.80s", s);
	} else {
		sn_buf_addf(b, "[\"%.80s\"]", s);
	}
	Py_XDECREF(text);
}

/* "$.rows[3].name" into `b`; the middle of a very deep place is left out. */
static void
place(struct sn_buf *b, const struct frame *at)
{
	const struct frame *chain[16];
	unsigned total = at ? at->depth : 0, n = 0;

	for (; at && n < SN_COUNT(chain); at = at->up)
		chain[n++] = at;
	sn_buf_adds(b, "$");
	if (total > n)
		sn_buf_adds(b, "...");
	while (n-- > 0) {
		if (chain[n]->key)
			place_key(b, chain[n]->key);
		else if (chain[n]->index >= 0)
			sn_buf_addf(b, "[%zd]", chain[n]->index);
	}
}

/* Raises `type` with "<place> <text>". Returns -1. */
static int
fail(PyObject *type, const struct frame *at, const char *fmt, ...)
{
	char store[PLACE_MAX];
	struct sn_buf b;
	PyObject *text = NULL;
	va_list ap;

	sn_buf_init(&b, store, sizeof(store));
	place(&b, at);
	va_start(ap, fmt);
	text = PyUnicode_FromFormatV(fmt, ap);
	va_end(ap);
	if (text && sn_buf_terminate(&b) == 0)
		PyErr_Format(type, "%s %U", b.data, text);
	else if (text)
		PyErr_SetObject(type, text);
	Py_XDECREF(text);
	sn_buf_free(&b);
	return -1;
}

static int
no_memory(void)
{
	PyErr_NoMemory();
	return -1;
}

static inline int
put(struct writer *w, const char *s, size_t len)
{
	return sn_likely(sn_buf_add(w->out, s, len) == 0) ? 0 : no_memory();
}

static inline int
put_char(struct writer *w, char c)
{
	if (sn_unlikely(sn_buf_reserve(w->out, 1) < 0))
		return no_memory();
	w->out->data[w->out->len++] = c;
	return 0;
}

/* ---- text ----------------------------------------------------------------- */

#define CHUNK 512 /* characters between two checks for room */

/* Text of one byte a letter. */
static SN_INLINE int
write_narrow(struct writer *w, const uint8_t *s, size_t len, bool latin)
{
	/* with both quotes, and the escape that ends a clean part */
	if (sn_unlikely(sn_buf_reserve(w->out, len + 8) < 0))
		return no_memory();
	char *p = w->out->data + w->out->len;
	*p++ = '"';
	for (;;) {
		size_t n = sn_json_copy_clean(p, s, len, latin);
		p += n;
		if (n == len)
			break;
		p = latin ? sn_json_put_letter(p, s[n]) : sn_json_put_escaped(p, s[n]);
		s += n + 1;
		len -= n + 1;
		w->out->len = (size_t)(p - w->out->data);
		if (sn_unlikely(sn_buf_reserve(w->out, len + 7) < 0))
			return no_memory();
		p = w->out->data + w->out->len;
	}
	*p++ = '"';
	w->out->len = (size_t)(p - w->out->data);
	return 0;
}

/* Text of two or four bytes a letter. 1: a lone surrogate at *bad. */
static int
write_wide(struct writer *w, PyObject *s, Py_ssize_t *bad)
{
	int kind = (int)PyUnicode_KIND(s);
	const void *data = PyUnicode_DATA(s);
	Py_ssize_t len = PyUnicode_GET_LENGTH(s), i = 0;

	if (put_char(w, '"') < 0)
		return -1;
	while (i < len) {
		Py_ssize_t end = len - i < CHUNK ? len : i + CHUNK;
		if (sn_buf_reserve(w->out, (size_t)(end - i) * 6) < 0)
			return no_memory();
		char *p = w->out->data + w->out->len;
		for (; i < end; i++) {
			Py_UCS4 c = PyUnicode_READ(kind, data, i);
			if (c < 0x80) {
				p = sn_json_put_escaped(p, (uint8_t)c);
			} else if (sn_unlikely(Py_UNICODE_IS_SURROGATE(c))) {
				*bad = i;
				return 1;
			} else {
				p = sn_json_put_utf8(p, c);
			}
		}
		w->out->len = (size_t)(p - w->out->data);
	}
	return put_char(w, '"');
}

/* `is_key`: nothing may stand for a bad one. */
static int
write_text(struct writer *w, PyObject *s, const struct frame *at, bool is_key)
{
	size_t begin = w->out->len;
	Py_ssize_t bad = 0;
	int rc;

#if PY_VERSION_HEX < 0x030c0000
	if (PyUnicode_READY(s) < 0)
		return -1;
#endif
	if (sn_likely(PyUnicode_IS_ASCII(s)))
		return write_narrow(w, PyUnicode_1BYTE_DATA(s), (size_t)PyUnicode_GET_LENGTH(s), false);
	if (PyUnicode_KIND(s) == PyUnicode_1BYTE_KIND)
		return write_narrow(w, PyUnicode_1BYTE_DATA(s), (size_t)PyUnicode_GET_LENGTH(s), true);
	rc = write_wide(w, s, &bad);
	if (rc <= 0)
		return rc;
	if (w->nan_null && !is_key) {
		w->out->len = begin;
		return put(w, "null", 4);
	}
	return fail(PyExc_ValueError, at,
	            is_key ? "has a key with a lone surrogate at character %zd: not UTF-8, so not JSON"
	                   : "is text with a lone surrogate at character %zd: not UTF-8, so not JSON",
	            bad);
}

/* ---- numbers ----------------------------------------------------------- */

static inline int
write_digits(struct writer *w, long long v)
{
	if (sn_unlikely(sn_buf_reserve(w->out, SN_NUMBER_MAX) < 0))
		return no_memory();
	w->out->len += sn_number_signed(w->out->data + w->out->len, v);
	return 0;
}

static int
write_int(struct writer *w, PyObject *v, const struct frame *at)
{
	int overflow = 0, rc;
	long long n = PyLong_AsLongLongAndOverflow(v, &overflow);
	PyObject *text, *type, *value, *tb;

	if (sn_likely(!overflow)) {
		if (sn_unlikely(n == -1 && PyErr_Occurred()))
			return -1;
		return write_digits(w, n);
	}
	text = PyLong_Type.tp_repr(v); /* not the subclass's: json.dumps does so too */
	if (!text) {
		/* Above sys.get_int_max_str_digits(): say where, keep CPython's advice. */
		if (PyErr_ExceptionMatches(PyExc_ValueError)) {
			PyErr_Fetch(&type, &value, &tb);
			fail(PyExc_ValueError, at, "is too large an int: %S", value ? value : Py_None);
			Py_XDECREF(type);
			Py_XDECREF(value);
			Py_XDECREF(tb);
		}
		return -1;
	}
	rc = put(w, (const char *)PyUnicode_1BYTE_DATA(text), (size_t)PyUnicode_GET_LENGTH(text));
	Py_DECREF(text);
	return rc;
}

/* As float.__repr__. */
static int
write_finite(struct writer *w, double d)
{
	if (sn_unlikely(sn_buf_reserve(w->out, SN_NUMBER_MAX) < 0))
		return no_memory();
	w->out->len += sn_number_double(w->out->data + w->out->len, d);
	return 0;
}

static const char *
non_finite_name(double d)
{
	return isnan(d) ? "NaN" : d > 0 ? "Infinity" : "-Infinity";
}

static int
write_float(struct writer *w, double d, const struct frame *at)
{
	if (sn_likely(isfinite(d)))
		return write_finite(w, d);
	if (w->nan_null)
		return put(w, "null", 4);
	return fail(PyExc_ValueError, at, "is %s: not JSON (send None instead)", non_finite_name(d));
}

/* ---- containers ------------------------------------------------------------ */

/* Steps into a container: refuses circles and what is too deep. */
static int
enter(struct frame *f, PyObject *obj, const struct frame *up)
{
	f->up = up;
	f->obj = obj;
	f->key = NULL;
	f->index = -1;
	f->depth = up ? up->depth + 1 : 1;
	if (sn_unlikely(f->depth > JSON_DEPTH_MAX))
		return fail(PyExc_ValueError, up, "is nested deeper than %d levels", JSON_DEPTH_MAX);
	for (; up; up = up->up)
		if (sn_unlikely(up->obj == obj))
			return fail(PyExc_ValueError, f->up, "is a circular reference: it contains itself");
	return 0;
}

static int
write_list(struct writer *w, PyObject *v, const struct frame *up)
{
	struct frame f;
	PyObject *seq;
	int rc = -1;

	if (enter(&f, v, up) < 0)
		return -1;
	seq = PySequence_Fast(v, "a list whose items cannot be had");
	if (!seq || put_char(w, '[') < 0)
		goto out;
	/* The size is read anew: a hook may change the list. */
	for (f.index = 0; f.index < PySequence_Fast_GET_SIZE(seq); f.index++) {
		PyObject *item = Py_NewRef(PySequence_Fast_GET_ITEM(seq, f.index));
		int r = f.index ? put_char(w, ',') : 0;
		if (r == 0)
			r = write_value(w, item, &f);
		Py_DECREF(item);
		if (r < 0)
			goto out;
	}
	rc = put_char(w, ']');
out:
	Py_XDECREF(seq);
	return rc;
}

/* A key that is not text, coerced as json.dumps does. `key` is named by the place. */
static int
write_other_key(struct writer *w, PyObject *key, const struct frame *at)
{
	if (put_char(w, '"') < 0)
		return -1;
	if (PyFloat_Check(key)) {
		/* Between quotes NaN is JSON, and json.dumps writes it. */
		double d = PyFloat_AS_DOUBLE(key);
		const char *name = non_finite_name(d);
		if (isfinite(d) ? write_finite(w, d) < 0 : put(w, name, strlen(name)) < 0)
			return -1;
	} else if (key == Py_True || key == Py_False || key == Py_None) {
		const char *name = key == Py_True ? "true" : key == Py_False ? "false" : "null";
		if (put(w, name, strlen(name)) < 0)
			return -1;
	} else if (PyLong_Check(key)) {
		if (write_int(w, key, at) < 0)
			return -1;
	} else {
		return fail(PyExc_TypeError, at->up,
		            "has a key of type %.100s: keys must be str, int, float, bool or None",
		            Py_TYPE(key)->tp_name);
	}
	return put_char(w, '"');
}

/* A key that is what it looks like, with what stands around it. False: nothing was written. */
static SN_INLINE bool
write_plain_key(struct writer *w, PyObject *key, bool first)
{
	size_t len = (size_t)PyUnicode_GET_LENGTH(key);

	if (sn_unlikely(!PyUnicode_IS_COMPACT_ASCII(key) || sn_buf_reserve(w->out, len + 4) < 0))
		return false;
	char *begin = w->out->data + w->out->len, *p = begin;
	if (!first)
		*p++ = ',';
	*p++ = '"';
	if (sn_unlikely(sn_json_copy_clean(p, PyUnicode_1BYTE_DATA(key), len, false) != len))
		return false;
	p += len;
	*p++ = '"';
	*p++ = ':';
	w->out->len += (size_t)(p - begin);
	return true;
}

static int
write_pair(struct writer *w, PyObject *key, PyObject *value, struct frame *f, bool first)
{
	int rc;

	if (sn_likely(PyUnicode_Check(key)) && write_plain_key(w, key, first)) {
		f->key = key;
		return write_value(w, value, f);
	}
	rc = first ? 0 : put_char(w, ',');
	if (rc < 0)
		return rc;
	if (sn_likely(PyUnicode_Check(key)))
		rc = write_text(w, key, f->up, true);
	else
		f->key = key, rc = write_other_key(w, key, f);
	if (rc < 0 || put_char(w, ':') < 0)
		return -1;
	f->key = key;
	return write_value(w, value, f);
}

static int
write_plain_dict(struct writer *w, PyObject *v, struct frame *f)
{
	Py_ssize_t pos = 0, size = PyDict_GET_SIZE(v);
	PyObject *key, *value;
	bool first = true;

	while (PyDict_Next(v, &pos, &key, &value)) {
		int rc;
		Py_INCREF(key);
		Py_INCREF(value);
		rc = write_pair(w, key, value, f, first);
		f->key = NULL;
		Py_DECREF(key);
		Py_DECREF(value);
		if (rc < 0)
			return -1;
		first = false;
		if (sn_unlikely(PyDict_GET_SIZE(v) != size))
			return fail(PyExc_RuntimeError, f->up, "changed its size while it was written as JSON");
	}
	return 0;
}

/* A subclass may have items() of its own (OrderedDict, defaultdict: the plain one). */
static int
write_dict_subclass(struct writer *w, PyObject *v, struct frame *f)
{
	PyObject *items = PyMapping_Items(v);
	int rc = items ? 0 : -1;

	for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(items); i++) {
		PyObject *item = Py_NewRef(PyList_GET_ITEM(items, i));
		if (PyTuple_Check(item) && PyTuple_GET_SIZE(item) == 2)
			rc = write_pair(w, PyTuple_GET_ITEM(item, 0), PyTuple_GET_ITEM(item, 1), f, i == 0);
		else
			rc = fail(PyExc_ValueError, f->up, "has items() that are not pairs");
		f->key = NULL;
		Py_DECREF(item);
	}
	Py_XDECREF(items);
	return rc;
}

static int
write_dict(struct writer *w, PyObject *v, const struct frame *up)
{
	struct frame f;
	int rc;

	if (enter(&f, v, up) < 0 || put_char(w, '{') < 0)
		return -1;
	rc = PyDict_CheckExact(v) ? write_plain_dict(w, v, &f) : write_dict_subclass(w, v, &f);
	return rc < 0 ? rc : put_char(w, '}');
}

static int
write_hooked(struct writer *w, PyObject *v, const struct frame *up)
{
	struct frame f;
	PyObject *stand_in;
	int rc;

	if (!w->hook)
		return fail(PyExc_TypeError, up, "is of type %.200s: not JSON", Py_TYPE(v)->tp_name);
	if (enter(&f, v, up) < 0)
		return -1;
	stand_in = PyObject_CallOneArg(w->hook, v);
	if (!stand_in) {
		/* The hook's plain "no" gets the place, as without a hook. */
		if (PyErr_ExceptionMatches(PyExc_TypeError)) {
			PyObject *type, *value, *tb;
			PyErr_Fetch(&type, &value, &tb);
			fail(PyExc_TypeError, up, "is of type %.200s: %S", Py_TYPE(v)->tp_name,
			     value ? value : Py_None);
			Py_XDECREF(type);
			Py_XDECREF(value);
			Py_XDECREF(tb);
		}
		return -1;
	}
	rc = write_value(w, stand_in, &f);
	Py_DECREF(stand_in);
	return rc;
}

static int
write_value(struct writer *w, PyObject *v, const struct frame *up)
{
	if (PyUnicode_Check(v))
		return write_text(w, v, up, false);
	if (v == Py_None)
		return put(w, "null", 4);
	if (v == Py_True)
		return put(w, "true", 4);
	if (v == Py_False)
		return put(w, "false", 5);
	if (PyLong_Check(v))
		return write_int(w, v, up);
	if (PyFloat_Check(v))
		return write_float(w, PyFloat_AS_DOUBLE(v), up);
	if (PyDict_Check(v))
		return write_dict(w, v, up);
	if (PyList_Check(v) || PyTuple_Check(v))
		return write_list(w, v, up);
	return write_hooked(w, v, up);
}

int
sn_json_write(struct sn_buf *out, PyObject *obj, const struct sn_json_options *opt)
{
	struct writer w = { .out = out, .hook = opt->hook, .nan_null = opt->nan_null };

	return write_value(&w, obj, NULL);
}
