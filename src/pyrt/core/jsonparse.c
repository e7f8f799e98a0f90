/* SPDX-License-Identifier: MIT
 *
 * JSON text in UTF-8 straight into Python objects, in one pass over the bytes:
 * no text of the whole body is made first, and a key that comes again is the
 * same object. It takes plain, correct JSON only and gives up at everything
 * else, without a word: what is wrong, in another encoding, with lone
 * surrogates, or nested very deep is read by the standard library, which says
 * what json.loads says (jsonread.c). So what is read here has to be what
 * json.loads reads, and nothing that it refuses. Runs under the GIL.
 *
 * Every function that returns an object returns a new reference, or NULL to
 * give up, perhaps with an exception set.
 */
#include "pyrt/core/jsonparse.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/hex.h"
#include "pyrt/core/jsontext_priv.h"

#define DEPTH_MAX 256 /* about 150 bytes of stack each; deeper ones are the library's */
#define KEYS 64       /* a power of two */
#define KEY_MAX 64    /* bytes of a key that is kept for the next time */

struct reader {
	const uint8_t *p, *end;
	unsigned depth;
	struct sn_buf text;    /* a text with escapes, or a long number, while it is read */
	PyObject *keys[KEYS];  /* owned: the last key of each hash; ASCII */
	char storage[256];     /* of `text` */
};

static PyObject *read_value(struct reader *r);

/* The next byte that is not space; 0 at the end, which nobody takes for anything. */
static inline uint8_t
next_byte(struct reader *r)
{
	for (; r->p < r->end; r->p++)
		if (sn_likely(*r->p != ' ' && *r->p != '\n' && *r->p != '\r' && *r->p != '\t'))
			return *r->p;
	return 0;
}

/* ---- text ------------------------------------------------------------------ */

/* How many bytes from `s` on stand for themselves; *wide gets a high bit where one is not ASCII. */
static inline size_t
plain_run(const uint8_t *s, const uint8_t *end, uint8_t *wide)
{
	const uint8_t *p = s;
	sn_vec seen = { 0 };
	uint8_t all = 0;

	for (; end - p >= 16; p += 16) {
		sn_vec v = sn_vec_load(p);
		if (sn_json_vec_special(v))
			break;
		seen |= v;
	}
	for (; p < end && !sn_json_special(*p); p++)
		all |= *p;
	*wide = sn_vec_any(seen & 0x80) ? 0x80 : all & 0x80;
	return (size_t)(p - s);
}

static PyObject *
make_ascii(const uint8_t *s, size_t len)
{
	PyObject *str;

	if (len == 1)
		return PyUnicode_FromOrdinal(s[0]); /* the interpreter has these */
	str = PyUnicode_New((Py_ssize_t)len, 127);
	if (str)
		memcpy(PyUnicode_1BYTE_DATA(str), s, len);
	return str;
}

static PyObject *
make_text(const uint8_t *s, size_t len, bool wide)
{
	return wide ? PyUnicode_DecodeUTF8((const char *)s, (Py_ssize_t)len, NULL) : make_ascii(s, len);
}

/* Four hexadecimal digits; -1 if they are not. */
static int32_t
read_hex(struct reader *r)
{
	int32_t n = 0;

	if (r->end - r->p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int value = sn_hex_digit((char)*r->p++);
		if (value < 0)
			return -1;
		n = n << 4 | value;
	}
	return n;
}

/* Behind \u. -1 for what is no character by itself, too. */
static int32_t
read_unicode(struct reader *r)
{
	int32_t c = read_hex(r), low;

	if (c < 0xd800 || c > 0xdfff)
		return c;
	if (c > 0xdbff || r->end - r->p < 6 || r->p[0] != '\\' || r->p[1] != 'u')
		return -1;
	r->p += 2;
	low = read_hex(r);
	if (low < 0xdc00 || low > 0xdfff)
		return -1;
	return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

/* On a backslash: appends what the escape stands for. */
static int
read_escape(struct reader *r, uint8_t *wide)
{
	static const char meant[128] = { ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
		                         ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t' };
	char one[4], *end = one + 1;

	if (r->end - r->p < 2 || r->p[1] >= 128)
		return -1;
	one[0] = meant[r->p[1]];
	r->p += 2;
	if (r->p[-1] == 'u') {
		int32_t c = read_unicode(r);
		if (c < 0)
			return -1;
		one[0] = (char)c;
		if (c >= 128) {
			*wide = 0x80;
			end = sn_json_put_utf8(one, (uint32_t)c);
		}
	} else if (!one[0]) {
		return -1;
	}
	return sn_buf_add(&r->text, one, (size_t)(end - one));
}

/* On the first backslash of a text whose `run` bytes before it are plain. */
static PyObject *
read_escaped(struct reader *r, size_t run, uint8_t wide)
{
	uint8_t more;

	r->text.len = 0;
	for (;;) {
		if (sn_buf_add(&r->text, r->p - run, run) < 0)
			return NULL;
		if (r->p == r->end || *r->p < 0x20)
			return NULL;
		if (*r->p == '"') {
			r->p++;
			return make_text((const uint8_t *)r->text.data, r->text.len, wide);
		}
		if (read_escape(r, &wide) < 0)
			return NULL;
		run = plain_run(r->p, r->end, &more);
		wide |= more;
		r->p += run;
	}
}

static PyObject *
read_text(struct reader *r)
{
	const uint8_t *s = ++r->p;
	uint8_t wide;
	size_t n = plain_run(s, r->end, &wide);

	r->p += n;
	if (r->p == r->end || *r->p != '"')
		return read_escaped(r, n, wide);
	r->p++;
	return make_text(s, n, wide);
}

static inline unsigned
key_slot(const uint8_t *s, size_t len)
{
	uint32_t h = s[0] | (uint32_t)s[len / 2] << 8 | (uint32_t)s[len - 1] << 16 | (uint32_t)len << 24;

	return (h * UINT32_C(0x9e3779b1)) >> 26; /* KEYS is 2^6 */
}

static PyObject *
read_key(struct reader *r)
{
	const uint8_t *s = r->p + 1;
	uint8_t wide;
	size_t n = plain_run(s, r->end, &wide);
	PyObject **slot, *key;

	if (wide || n == 0 || n > KEY_MAX || s + n == r->end || s[n] != '"')
		return read_text(r);
	r->p = s + n + 1;
	slot = &r->keys[key_slot(s, n)];
	key = *slot;
	if (key && (size_t)PyUnicode_GET_LENGTH(key) == n && memcmp(PyUnicode_1BYTE_DATA(key), s, n) == 0)
		return Py_NewRef(key);
	key = make_ascii(s, n);
	if (key)
		Py_XSETREF(*slot, Py_NewRef(key));
	return key;
}

/* ---- numbers ----------------------------------------------------------------- */

/* Leaves behind the digits; how many. */
static size_t
skip_digits(struct reader *r)
{
	const uint8_t *begin = r->p;

	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return (size_t)(r->p - begin);
}

/* The number from `begin` to here as the interpreter reads it. */
static PyObject *
read_as_text(struct reader *r, const uint8_t *begin, bool is_float)
{
	double d;

	r->text.len = 0;
	if (sn_buf_add(&r->text, begin, (size_t)(r->p - begin)) < 0 || sn_buf_terminate(&r->text) < 0)
		return NULL;
	if (!is_float)
		return PyLong_FromString(r->text.data, NULL, 10);
	d = PyOS_string_to_double(r->text.data, NULL, NULL);
	return d == -1.0 && PyErr_Occurred() ? NULL : PyFloat_FromDouble(d);
}

/* Behind a number's integer part, at "." or "e". */
static PyObject *
read_float(struct reader *r, const uint8_t *begin)
{
	if (*r->p == '.') {
		r->p++;
		if (skip_digits(r) == 0)
			return NULL;
	}
	if (r->p < r->end && (*r->p | 0x20) == 'e') {
		r->p++;
		if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
			r->p++;
		if (skip_digits(r) == 0)
			return NULL;
	}
	return read_as_text(r, begin, true);
}

static PyObject *
read_number(struct reader *r)
{
	const uint8_t *begin = r->p, *digits;
	long long n = 0;

	if (*r->p == '-')
		r->p++;
	digits = r->p;
	if (skip_digits(r) == 0 || (*digits == '0' && r->p - digits > 1))
		return NULL;
	if (r->p < r->end && (*r->p == '.' || (*r->p | 0x20) == 'e'))
		return read_float(r, begin);
	if (r->p - digits > 18)
		return read_as_text(r, begin, false);
	for (; digits < r->p; digits++)
		n = n * 10 + (*digits - '0');
	return PyLong_FromLongLong(*begin == '-' ? -n : n);
}

/* ---- containers ------------------------------------------------------------ */

/* Behind an opening bracket: true when `close` follows, which is then read. */
static inline bool
is_empty(struct reader *r, uint8_t close)
{
	if (next_byte(r) != close)
		return false;
	r->p++;
	return true;
}

/* Behind a value: 1 when another follows, 0 behind `close`, -1 for something else. */
static inline int
more(struct reader *r, uint8_t close)
{
	uint8_t c = next_byte(r);

	if (c != ',' && c != close)
		return -1;
	r->p++;
	return c == ',';
}

static PyObject *
read_list(struct reader *r)
{
	PyObject *list = PyList_New(0), *item;
	int rc = 1;

	r->p++;
	if (!list || is_empty(r, ']'))
		return list;
	while (rc > 0) {
		item = read_value(r);
		rc = item ? PyList_Append(list, item) : -1;
		Py_XDECREF(item);
		if (rc == 0)
			rc = more(r, ']');
	}
	if (rc < 0)
		Py_CLEAR(list);
	return list;
}

static int
read_pair(struct reader *r, PyObject *dict)
{
	PyObject *key, *value = NULL;
	int rc = -1;

	if (next_byte(r) != '"')
		return -1;
	key = read_key(r);
	if (key && next_byte(r) == ':') {
		r->p++;
		value = read_value(r);
	}
	if (value)
		rc = PyDict_SetItem(dict, key, value);
	Py_XDECREF(key);
	Py_XDECREF(value);
	return rc;
}

static PyObject *
read_dict(struct reader *r)
{
	PyObject *dict = PyDict_New();
	int rc = 1;

	r->p++;
	if (!dict || is_empty(r, '}'))
		return dict;
	while (rc > 0) {
		rc = read_pair(r, dict);
		if (rc == 0)
			rc = more(r, '}');
	}
	if (rc < 0)
		Py_CLEAR(dict);
	return dict;
}

static PyObject *
read_word(struct reader *r, const char *word, size_t len, PyObject *value)
{
	if ((size_t)(r->end - r->p) < len || memcmp(r->p, word, len) != 0)
		return NULL;
	r->p += len;
	return Py_NewRef(value);
}

static PyObject *
read_container(struct reader *r)
{
	PyObject *value;

	if (++r->depth > DEPTH_MAX)
		return NULL;
	value = *r->p == '{' ? read_dict(r) : read_list(r);
	r->depth--;
	return value;
}

static PyObject *
read_value(struct reader *r)
{
	switch (next_byte(r)) {
	case '"':
		return read_text(r);
	case '{':
	case '[':
		return read_container(r);
	case 't':
		return read_word(r, "true", 4, Py_True);
	case 'f':
		return read_word(r, "false", 5, Py_False);
	case 'n':
		return read_word(r, "null", 4, Py_None);
	case '-':
	case '0': case '1': case '2': case '3': case '4':
	case '5': case '6': case '7': case '8': case '9':
		return read_number(r);
	default:
		return NULL;
	}
}

PyObject *
sn_json_parse(const char *text, size_t len)
{
	struct reader r;
	PyObject *value;

	r.p = (const uint8_t *)text;
	r.end = r.p + len;
	r.depth = 0;
	memset(r.keys, 0, sizeof(r.keys));
	sn_buf_init(&r.text, r.storage, sizeof(r.storage));
	value = read_value(&r);
	if (value && (next_byte(&r) || r.p < r.end))
		Py_CLEAR(value);
	for (unsigned i = 0; i < KEYS; i++)
		Py_XDECREF(r.keys[i]);
	sn_buf_free(&r.text);
	return value;
}
