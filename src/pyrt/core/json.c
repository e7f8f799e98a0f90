/* SPDX-License-Identifier: MIT
 *
 * Python objects into JSON text, byte for byte what
 * json.dumps(obj, ensure_ascii=False, separators=(',', ':')) gives, at a few
 * nanoseconds a value. Differences, both on purpose: what is not JSON (NaN,
 * Infinity, lone surrogates) is an error or null, and errors name the place as
 * "$.a[3]". Knows nothing of requests. Runs under the GIL.
 *
 * Foreign code runs only in the hook, in iteration of list subclasses, in items() of
 * dict subclasses, in the repr() of an int of thousands of digits, and in that of a key
 * which an error names. Every object that such code could come with is held while it is
 * written, so that it may change the containers.
 *
 * Where the text goes (`p`) is handed from function to function in a register, and
 * comes back as where it ends; NULL: an exception is set. Room is made before it is
 * written to, and each value leaves SLACK bytes behind itself: what stands between
 * values, and any number or literal, needs no look.
 */
#include "pyrt/core/core_priv.h"

#include "base/number.h"
#include "pyrt/core/jsoncopy_priv.h"

#include <math.h>

#define JSON_DEPTH_MAX 1000 /* as deep as json.dumps gets; about 200 bytes of stack each */
#define PLACE_MAX 400
#define SLACK (SN_NUMBER_MAX + 16)

/* What is being written, innermost first: for places, and against circles. */
struct frame {
	const struct frame *up;
	PyObject *obj;    /* the container, or the object given to the hook */
	PyObject *key;    /* dict: of the value being written; borrowed, and held with a container */
	Py_ssize_t index; /* list or tuple; -1: neither (hook) */
	unsigned depth;
};

struct writer {
	struct sn_buf *out;
	char *end; /* of its room */
	PyObject *hook;
	bool nan_null;
};

static char *write_value(struct writer *w, char *p, PyObject *v, const struct frame *up);
static char *write_other(struct writer *w, char *p, PyObject *v, const struct frame *up);

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
	PyObject *keys[SN_COUNT(chain)]; /* the repr() of one may let go of another */
	unsigned total = at ? at->depth : 0, n = 0;

	for (; at && n < SN_COUNT(chain); at = at->up) {
		keys[n] = Py_XNewRef(at->key);
		chain[n++] = at;
	}
	sn_buf_adds(b, "$");
	if (total > n)
		sn_buf_adds(b, "...");
	while (n-- > 0) {
		if (keys[n])
			place_key(b, keys[n]);
		else if (chain[n]->index >= 0)
			sn_buf_addf(b, "[%zd]", chain[n]->index);
		Py_XDECREF(keys[n]);
	}
}

/* Raises `type` with "<place> <text>". Returns NULL. */
static char *
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
	return NULL;
}

static __attribute__((noinline)) char *
grow(struct writer *w, char *p, size_t n)
{
	w->out->len = (size_t)(p - w->out->data);
	if (sn_buf_reserve(w->out, n) < 0) {
		PyErr_NoMemory();
		return NULL;
	}
	w->end = w->out->data + w->out->cap;
	return w->out->data + w->out->len;
}

/* Room for `n` bytes and the SLACK. */
static inline char *
room(struct writer *w, char *p, size_t n)
{
	return sn_likely((size_t)(w->end - p) >= n + SLACK) ? p : grow(w, p, n + SLACK);
}

/* What fits into the slack. */
static inline char *
put(struct writer *w, char *p, const char *s, size_t len)
{
	memcpy(p, s, len);
	return room(w, p + len, 0);
}

/* ---- text ----------------------------------------------------------------- */

#define CHUNK 512 /* characters between two checks for room */

/* For PyUnicode_IS_COMPACT_ASCII(): without asking again where its letters are. */
static inline const uint8_t *
ascii_of(PyObject *s)
{
	return (const uint8_t *)((PyASCIIObject *)s + 1);
}

/* Text of one byte a letter. */
static SN_INLINE char *
write_narrow(struct writer *w, char *p, const uint8_t *s, size_t len, bool latin)
{
	/* with both quotes, and the escape that ends a clean part */
	if (sn_unlikely(!(p = room(w, p, len + 8))))
		return NULL;
	*p++ = '"';
	for (;;) {
		size_t n = sn_json_copy_clean(p, s, len, latin);
		p += n;
		if (n == len)
			break;
		p = latin ? sn_json_put_letter(p, s[n]) : sn_json_put_escaped(p, s[n]);
		s += n + 1;
		len -= n + 1;
		if (sn_unlikely(!(p = room(w, p, len + 7))))
			return NULL;
	}
	*p++ = '"';
	return p;
}

/* Text of two or four bytes a letter. *bad: where a lone surrogate is; what was written counts for nothing then. */
static char *
write_wide(struct writer *w, char *p, PyObject *s, Py_ssize_t *bad)
{
	int kind = (int)PyUnicode_KIND(s);
	const void *data = PyUnicode_DATA(s);
	Py_ssize_t len = PyUnicode_GET_LENGTH(s), i = 0;

	*p++ = '"';
	while (i < len) {
		Py_ssize_t end = len - i < CHUNK ? len : i + CHUNK;
		if (!(p = room(w, p, (size_t)(end - i) * 6)))
			return NULL;
		for (; i < end; i++) {
			Py_UCS4 c = PyUnicode_READ(kind, data, i);
			if (c < 0x80) {
				p = sn_json_put_escaped(p, (uint8_t)c);
			} else if (sn_unlikely(Py_UNICODE_IS_SURROGATE(c))) {
				*bad = i;
				return p;
			} else {
				p = sn_json_put_utf8(p, c);
			}
		}
	}
	*p++ = '"';
	return room(w, p, 0);
}

static char *
write_wide_or_null(struct writer *w, char *p, PyObject *s, const struct frame *at, bool is_key)
{
	size_t begin = (size_t)(p - w->out->data);
	Py_ssize_t bad = -1;

	p = write_wide(w, p, s, &bad);
	if (!p || bad < 0)
		return p;
	if (w->nan_null && !is_key)
		return put(w, w->out->data + begin, "null", 4);
	return fail(PyExc_ValueError, at,
	            is_key ? "has a key with a lone surrogate at character %zd: not UTF-8, so not JSON"
	                   : "is text with a lone surrogate at character %zd: not UTF-8, so not JSON",
	            bad);
}

/* `is_key`: nothing may stand for a bad one. */
static char *
write_text(struct writer *w, char *p, PyObject *s, const struct frame *at, bool is_key)
{
	if (sn_likely(PyUnicode_IS_COMPACT_ASCII(s)))
		return write_narrow(w, p, ascii_of(s), (size_t)((PyASCIIObject *)s)->length, false);
#if PY_VERSION_HEX < 0x030c0000
	if (PyUnicode_READY(s) < 0)
		return NULL;
#endif
	if (PyUnicode_IS_ASCII(s)) /* of a subclass */
		return write_narrow(w, p, PyUnicode_1BYTE_DATA(s), (size_t)PyUnicode_GET_LENGTH(s), false);
	if (PyUnicode_KIND(s) == PyUnicode_1BYTE_KIND)
		return write_narrow(w, p, PyUnicode_1BYTE_DATA(s), (size_t)PyUnicode_GET_LENGTH(s), true);
	return write_wide_or_null(w, p, s, at, is_key);
}

/* ---- numbers ----------------------------------------------------------- */

/* One digit of CPython's. */
static inline bool
is_short(PyObject *v, long long *n)
{
#if PY_VERSION_HEX >= 0x030c0000
	if (!PyUnstable_Long_IsCompact((PyLongObject *)v))
		return false;
	*n = PyUnstable_Long_CompactValue((PyLongObject *)v);
#else
	Py_ssize_t size = Py_SIZE(v);
	if (size < -1 || size > 1)
		return false;
	*n = (long long)size * (long long)((PyLongObject *)v)->ob_digit[0];
#endif
	return true;
}

static char *
write_long(struct writer *w, char *p, PyObject *v, const struct frame *at)
{
	PyObject *key = at ? Py_XNewRef(at->key) : NULL;
	Py_INCREF(v);
	PyObject *text = PyLong_Type.tp_repr(v); /* not the subclass's: json.dumps does so too */
	PyObject *type, *value, *tb;

	Py_DECREF(v);
	if (!text) {
		/* Above sys.get_int_max_str_digits(): say where, keep CPython's advice. */
		if (PyErr_ExceptionMatches(PyExc_ValueError)) {
			PyErr_Fetch(&type, &value, &tb);
			fail(PyExc_ValueError, at, "is too large an int: %S", value ? value : Py_None);
			Py_XDECREF(type);
			Py_XDECREF(value);
			Py_XDECREF(tb);
		}
		Py_XDECREF(key);
		return NULL;
	}
	Py_XDECREF(key);
	size_t len = (size_t)PyUnicode_GET_LENGTH(text);
	p = room(w, p, len);
	if (p)
		p = put(w, p, (const char *)PyUnicode_1BYTE_DATA(text), len);
	Py_DECREF(text);
	return p;
}

static char *
write_int(struct writer *w, char *p, PyObject *v, const struct frame *at)
{
	int overflow = 0;
	long long n;

	if (sn_unlikely(!is_short(v, &n))) {
		n = PyLong_AsLongLongAndOverflow(v, &overflow);
		if (n == -1 && PyErr_Occurred())
			return NULL;
		if (overflow)
			return write_long(w, p, v, at);
	}
	return room(w, p + sn_number_signed(p, n), 0);
}

static const char *
non_finite_name(double d)
{
	return isnan(d) ? "NaN" : d > 0 ? "Infinity" : "-Infinity";
}

/* As float.__repr__. */
static char *
write_float(struct writer *w, char *p, double d, const struct frame *at)
{
	if (sn_likely(isfinite(d)))
		return room(w, p + sn_number_double(p, d), 0);
	if (w->nan_null)
		return put(w, p, "null", 4);
	return fail(PyExc_ValueError, at, "is %s: not JSON (send None instead)", non_finite_name(d));
}

/* ---- containers ------------------------------------------------------------ */

/* Steps into a container. False: it is a circle, or too deep. */
static inline bool
enter(struct frame *f, PyObject *obj, const struct frame *up)
{
	f->up = up;
	f->obj = obj;
	f->key = NULL;
	f->index = -1;
	f->depth = up ? up->depth + 1 : 1;
	if (sn_unlikely(f->depth > JSON_DEPTH_MAX)) {
		fail(PyExc_ValueError, up, "is nested deeper than %d levels", JSON_DEPTH_MAX);
		return false;
	}
	for (; up; up = up->up)
		if (sn_unlikely(up->obj == obj)) {
			fail(PyExc_ValueError, f->up, "is a circular reference: it contains itself");
			return false;
		}
	return true;
}

/* What no foreign code comes with, so that nobody has to hold it. *is: it was one. */
static SN_INLINE char *
write_leaf(struct writer *w, char *p, PyObject *v, const struct frame *up, bool *is)
{
	*is = true;
	if (PyUnicode_Check(v))
		return write_text(w, p, v, up, false);
	if (v == Py_None)
		return put(w, p, "null", 4);
	if (v == Py_True)
		return put(w, p, "true", 4);
	if (v == Py_False)
		return put(w, p, "false", 5);
	if (PyLong_Check(v))
		return write_int(w, p, v, up);
	if (PyFloat_CheckExact(v)) /* of a subclass: in write_other(); to ask for that is a call */
		return write_float(w, p, PyFloat_AS_DOUBLE(v), up);
	*is = false;
	return p;
}

/* A value of a container, which foreign code may take it out of. */
static SN_INLINE char *
write_item(struct writer *w, char *p, PyObject *v, PyObject *key, const struct frame *f)
{
	bool leaf;

	p = write_leaf(w, p, v, f, &leaf);
	if (sn_likely(leaf))
		return p;
	Py_INCREF(v);
	Py_XINCREF(key);
	p = write_other(w, p, v, f);
	Py_DECREF(v);
	Py_XDECREF(key);
	return p;
}

static char *
write_list(struct writer *w, char *p, PyObject *v, const struct frame *up)
{
	struct frame f;
	bool plain = PyList_CheckExact(v) || PyTuple_CheckExact(v);
	PyObject *seq;

	if (!enter(&f, v, up))
		return NULL;
	seq = plain ? v : PySequence_Fast(v, "a list whose items cannot be had");
	if (!seq)
		return NULL;
	*p++ = '[';
	p = room(w, p, 0); /* the next may be a list, too, and so on */
	/* The size is read anew: a hook may change the list. */
	for (f.index = 0; p && f.index < PySequence_Fast_GET_SIZE(seq); f.index++) {
		if (f.index)
			*p++ = ',';
		p = write_item(w, p, PySequence_Fast_GET_ITEM(seq, f.index), NULL, &f);
	}
	if (!plain)
		Py_DECREF(seq);
	if (!p)
		return NULL;
	*p++ = ']';
	return room(w, p, 0);
}

/* A key that is not text, coerced as json.dumps does. `key` is named by the place. */
static char *
write_other_key(struct writer *w, char *p, PyObject *key, const struct frame *at)
{
	*p++ = '"';
	if (PyFloat_Check(key)) {
		/* Between quotes NaN is JSON, and json.dumps writes it. */
		double d = PyFloat_AS_DOUBLE(key);
		const char *name = non_finite_name(d);
		p = isfinite(d) ? write_float(w, p, d, at) : put(w, p, name, strlen(name));
	} else if (key == Py_True || key == Py_False || key == Py_None) {
		const char *name = key == Py_True ? "true" : key == Py_False ? "false" : "null";
		p = put(w, p, name, strlen(name));
	} else if (PyLong_Check(key)) {
		p = write_int(w, p, key, at);
	} else {
		return fail(PyExc_TypeError, at->up,
		            "has a key of type %.100s: keys must be str, int, float, bool or None",
		            Py_TYPE(key)->tp_name);
	}
	if (p)
		*p++ = '"';
	return p;
}

/* A key that is what it looks like, with what stands around it. NULL, without an exception: it is
 * not, or there is no room for it; `p` is still where the text ends. */
static SN_INLINE char *
write_plain_key(struct writer *w, char *p, PyObject *key, bool first)
{
	size_t len = (size_t)((PyASCIIObject *)key)->length;

	if (sn_unlikely(!PyUnicode_IS_COMPACT_ASCII(key) || (size_t)(w->end - p) < len + 4 + SLACK))
		return NULL;
	if (!first)
		*p++ = ',';
	*p++ = '"';
	if (sn_unlikely(sn_json_copy_clean(p, ascii_of(key), len, false) != len))
		return NULL;
	p += len;
	*p++ = '"';
	*p++ = ':';
	return p;
}

static char *
write_any_key(struct writer *w, char *p, PyObject *key, struct frame *f, bool first)
{
	if (!first)
		*p++ = ',';
	if (sn_likely(PyUnicode_Check(key)))
		p = write_text(w, p, key, f->up, true);
	else
		f->key = key, p = write_other_key(w, p, key, f);
	if (p)
		*p++ = ':';
	return p ? room(w, p, 0) : NULL;
}

/* Any other key, whose repr() may be foreign, or one that needs room. */
static __attribute__((noinline)) char *
write_odd_pair(struct writer *w, char *p, PyObject *key, PyObject *value, struct frame *f, bool first)
{
	Py_INCREF(key);
	Py_INCREF(value);
	p = write_any_key(w, p, key, f, first);
	f->key = key;
	if (p)
		p = write_item(w, p, value, key, f);
	f->key = NULL;
	Py_DECREF(key);
	Py_DECREF(value);
	return p;
}

static SN_INLINE char *
write_pair(struct writer *w, char *p, PyObject *key, PyObject *value, struct frame *f, bool first)
{
	char *after = sn_likely(PyUnicode_Check(key)) ? write_plain_key(w, p, key, first) : NULL;

	if (sn_unlikely(!after))
		return write_odd_pair(w, p, key, value, f, first);
	f->key = key;
	p = write_item(w, after, value, key, f);
	f->key = NULL;
	return p;
}

static char *
write_plain_dict(struct writer *w, char *p, PyObject *v, struct frame *f)
{
	Py_ssize_t pos = 0, size = PyDict_GET_SIZE(v);
	PyObject *key, *value;
	bool first = true;

	while (PyDict_Next(v, &pos, &key, &value)) {
		p = write_pair(w, p, key, value, f, first);
		if (!p)
			return NULL;
		first = false;
		if (sn_unlikely(PyDict_GET_SIZE(v) != size))
			return fail(PyExc_RuntimeError, f->up, "changed its size while it was written as JSON");
	}
	return p;
}

/* A subclass may have items() of its own (OrderedDict, defaultdict: the plain one). */
static char *
write_dict_subclass(struct writer *w, char *p, PyObject *v, struct frame *f)
{
	PyObject *items = PyMapping_Items(v);

	if (!items)
		return NULL;
	for (Py_ssize_t i = 0; p && i < PyList_GET_SIZE(items); i++) {
		PyObject *item = Py_NewRef(PyList_GET_ITEM(items, i));
		if (PyTuple_Check(item) && PyTuple_GET_SIZE(item) == 2)
			p = write_pair(w, p, PyTuple_GET_ITEM(item, 0), PyTuple_GET_ITEM(item, 1), f, i == 0);
		else
			p = fail(PyExc_ValueError, f->up, "has items() that are not pairs");
		Py_DECREF(item);
	}
	Py_DECREF(items);
	return p;
}

static char *
write_dict(struct writer *w, char *p, PyObject *v, const struct frame *up)
{
	struct frame f;

	if (!enter(&f, v, up))
		return NULL;
	*p++ = '{';
	p = PyDict_CheckExact(v) ? write_plain_dict(w, p, v, &f) : write_dict_subclass(w, p, v, &f);
	if (!p)
		return NULL;
	*p++ = '}';
	return room(w, p, 0);
}

static char *
write_hooked(struct writer *w, char *p, PyObject *v, const struct frame *up)
{
	struct frame f;
	PyObject *stand_in;

	if (!w->hook)
		return fail(PyExc_TypeError, up, "is of type %.200s: not JSON", Py_TYPE(v)->tp_name);
	if (!enter(&f, v, up))
		return NULL;
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
		return NULL;
	}
	p = write_value(w, p, stand_in, &f);
	Py_DECREF(stand_in);
	return p;
}

/* What write_leaf() does not know. The caller holds it. */
static char *
write_other(struct writer *w, char *p, PyObject *v, const struct frame *up)
{
	if (PyDict_Check(v))
		return write_dict(w, p, v, up);
	if (PyList_Check(v) || PyTuple_Check(v))
		return write_list(w, p, v, up);
	if (PyFloat_Check(v))
		return write_float(w, p, PyFloat_AS_DOUBLE(v), up);
	return write_hooked(w, p, v, up);
}

static char *
write_value(struct writer *w, char *p, PyObject *v, const struct frame *up)
{
	bool leaf;

	p = write_leaf(w, p, v, up, &leaf);
	return leaf ? p : write_other(w, p, v, up);
}

int
sn_json_write(struct sn_buf *out, PyObject *obj, const struct sn_json_options *opt)
{
	struct writer w = { .out = out, .hook = opt->hook, .nan_null = opt->nan_null };
	char *p;

	if (sn_buf_reserve(out, SLACK) < 0) {
		PyErr_NoMemory();
		return -1;
	}
	w.end = out->data + out->cap;
	p = write_value(&w, out->data + out->len, obj, NULL);
	if (!p)
		return -1;
	out->len = (size_t)(p - out->data);
	return 0;
}
