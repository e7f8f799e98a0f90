/* SPDX-License-Identifier: MIT
 *
 * Text on its way into JSON: what stands for itself is copied, sixteen letters a step,
 * and what does not is escaped. For json.c only. Pure; knows letters of one byte, ASCII
 * or (`latin`) Latin-1, and no Python.
 */
#ifndef SN_PYRT_CORE_JSONCOPY_PRIV_H
#define SN_PYRT_CORE_JSONCOPY_PRIV_H

#include "base/err.h"
#include "pyrt/core/jsontext_priv.h"

/* 0: as it is; 'u': \u00XX; else the letter after the backslash. */
static const char sn_json_escape[128] = {
	'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b', 't', 'n', 'u', 'f', 'r', 'u', 'u',
	'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u',
	['"'] = '"', ['\\'] = '\\',
};

/* One ASCII character; room for six bytes. */
static inline char *
sn_json_put_escaped(char *p, uint8_t c)
{
	static const char hex[] = "0123456789abcdef";
	char e = sn_json_escape[c];

	if (sn_likely(!e)) {
		*p++ = (char)c;
	} else if (e != 'u') {
		*p++ = '\\';
		*p++ = e;
	} else {
		memcpy(p, "\\u00", 4);
		p[4] = hex[c >> 4];
		p[5] = hex[c & 15];
		p += 6;
	}
	return p;
}

/* A letter of Latin-1, escaped or as UTF-8; room for six bytes. */
static inline char *
sn_json_put_letter(char *p, uint8_t c)
{
	return c < 0x80 ? sn_json_put_escaped(p, c) : sn_json_put_utf8(p, c);
}

/* Non-zero when one of eight bytes cannot stand for itself. The lowest bit is that of the first
 * of them: what the subtractions borrow from is higher. */
static SN_INLINE uint64_t
sn_json_stops(uint64_t letters, bool latin)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
	uint64_t x = latin ? letters & ~high : letters;
	uint64_t quote = x ^ (ones * '"'), slash = x ^ (ones * '\\');

	return (((x - ones * 0x20) | (quote - ones) | (slash - ones)) & high) |
	       (latin ? letters & high : 0);
}

static inline uint64_t
sn_json_load8(const uint8_t *s)
{
	uint64_t x;
	memcpy(&x, s, sizeof(x));
	return x;
}

static inline bool
sn_json_stands(uint8_t c, bool latin)
{
	return !(latin && c >= 0x80) && !sn_json_special(c);
}

/* The last letters, fewer than sixteen, of which `all` there are, in two words that overlap.
 * False: one of them stops, or there are too few. */
static SN_INLINE bool
sn_json_copy_tail(char *p, const uint8_t *s, size_t left, size_t all, bool latin)
{
	uint64_t x, y;
	uint32_t a, b;

	if (all >= 8) {
		y = sn_json_load8(s + left - 8); /* some of it once more, perhaps */
		x = left >= 8 ? sn_json_load8(s) : y;
		if (sn_json_stops(x, latin) | sn_json_stops(y, latin))
			return false;
		memcpy(p + left - 8, &y, 8);
		if (left >= 8)
			memcpy(p, &x, 8);
		return true;
	}
	if (all < 4)
		return false;
	memcpy(&a, s, 4);
	memcpy(&b, s + left - 4, 4);
	if (sn_json_stops(a | (uint64_t)b << 32, latin))
		return false;
	memcpy(p, &a, 4);
	memcpy(p + left - 4, &b, 4);
	return true;
}

/* Copies up to the first letter that does not stand for itself; how many. `p` has room for `len`. */
static SN_INLINE size_t
sn_json_copy_clean(char *p, const uint8_t *s, size_t len, bool latin)
{
	size_t i = 0;

	for (; len - i >= 16; i += 16) {
		sn_vec v = sn_vec_load(s + i);
		if (latin ? sn_json_vec_special(v) || sn_vec_any((sn_vec)(v >= 0x80)) : sn_json_vec_special(v))
			break;
		memcpy(p + i, &v, 16);
	}
	if (len - i < 16 && sn_json_copy_tail(p + i, s + i, len - i, len, latin))
		return len;
	for (; len - i >= 8; i += 8) {
		uint64_t x = sn_json_load8(s + i), stop = sn_json_stops(x, latin);
		memcpy(p + i, &x, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		if (stop)
			return i + (size_t)__builtin_ctzll(stop) / 8;
#else
		if (stop)
			break;
#endif
	}
	for (; i < len && sn_json_stands(s[i], latin); i++)
		p[i] = (char)s[i];
	return i;
}

#endif
