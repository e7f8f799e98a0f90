/* SPDX-License-Identifier: MIT
 *
 * json-c's strict mode still takes NaN and Infinity, raw control characters,
 * "1." and "[00]"; it silently clamps integers beyond 64 bits and cuts keys at
 * \u0000. A front server, a cache or a Python endpoint may read such a text
 * otherwise, so none of it passes. This walks over text that json-c has already
 * accepted and looks at those places only; and over a tree, for numbers that
 * JSON does not have. Pure; any thread.
 */
#include <math.h>
#include <string.h>

#include <json-c/json.h>

#include "native/native_priv.h"

struct walk {
	const char *text, *end;
	const char *at;
	const char *what;
};

static int
bad(struct walk *w, const char *at, const char *what)
{
	w->at = at;
	w->what = what;
	return SN_EINVAL;
}

static bool
digit(const struct walk *w, const char *p)
{
	return p < w->end && *p >= '0' && *p <= '9';
}

/* On the opening quote; leaves behind the closing one. */
static int
walk_string(struct walk *w)
{
	const char *p = w->at + 1, *nul = NULL;
	for (; p < w->end && *p != '"'; p++) {
		if ((unsigned char)*p < 0x20)
			return bad(w, p, "a control character in a string");
		if (*p != '\\')
			continue;
		if (w->end - p > 5 && memcmp(p, "\\u0000", 6) == 0)
			nul = p;
		p++;
	}
	if (p >= w->end)
		return bad(w, w->end, "unexpected end of data");
	p++;
	const char *next = p;
	while (next < w->end && (*next == ' ' || *next == '\t' || *next == '\r' || *next == '\n'))
		next++;
	if (nul && next < w->end && *next == ':')
		return bad(w, nul, "NUL in an object's key");
	w->at = p;
	return 0;
}

/* Too large for json-c's 64 bits (signed, and unsigned above)? `p` is at the first
 * digit, `n` of them. */
static bool
integer_fits(const char *p, size_t n, bool minus)
{
	const char *max = minus ? "9223372036854775808" : "18446744073709551615";
	size_t len = strlen(max);
	return n < len || (n == len && memcmp(p, max, len) <= 0);
}

static int
walk_number(struct walk *w)
{
	const char *start = w->at, *p = start;
	bool minus = *p == '-', whole = true;
	p += minus;
	const char *first = p;
	while (digit(w, p))
		p++;
	size_t n = (size_t)(p - first);
	if (n == 0)
		return bad(w, p, "a digit was expected");
	if (n > 1 && *first == '0')
		return bad(w, first, "a number must not begin with 0");
	if (p < w->end && *p == '.') {
		whole = false;
		if (!digit(w, ++p))
			return bad(w, p, "a digit was expected after the decimal point");
		while (digit(w, p))
			p++;
	}
	if (p < w->end && (*p == 'e' || *p == 'E')) {
		whole = false;
		p++;
		if (p < w->end && (*p == '-' || *p == '+'))
			p++;
		if (!digit(w, p))
			return bad(w, p, "a digit was expected in the exponent");
		while (digit(w, p))
			p++;
	}
	if (whole && !integer_fits(first, n, minus))
		return bad(w, start, "the integer does not fit into 64 bits");
	w->at = p;
	return 0;
}

int
sn_json_strict(const char *text, size_t len, size_t *at, const char **what)
{
	struct walk w = { text, text + len, text, "" };
	int rc = 0;
	while (rc == 0 && w.at < w.end) {
		if (*w.at == '"')
			rc = walk_string(&w);
		else if (*w.at == '-' || (*w.at >= '0' && *w.at <= '9'))
			rc = walk_number(&w);
		else if (*w.at == 'N' || *w.at == 'I')
			rc = bad(&w, w.at, "NaN and Infinity are not JSON");
		else
			w.at++;
	}
	*at = (size_t)(w.at - text);
	*what = w.what;
	return rc;
}

bool
sn_json_finite(struct json_object *obj)
{
	if (json_object_is_type(obj, json_type_double))
		return isfinite(json_object_get_double(obj));
	if (json_object_is_type(obj, json_type_array)) {
		size_t n = json_object_array_length(obj);
		for (size_t i = 0; i < n; i++)
			if (!sn_json_finite(json_object_array_get_idx(obj, i)))
				return false;
	} else if (json_object_is_type(obj, json_type_object)) {
		json_object_object_foreach(obj, key, value) {
			(void)key;
			if (!sn_json_finite(value))
				return false;
		}
	}
	return true;
}
