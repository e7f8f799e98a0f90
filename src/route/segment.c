/* SPDX-License-Identifier: MIT
 *
 * Bytes against one segment's elements. Nearly every segment has at most one
 * place where a run may end, and is matched in one pass. Where several runs
 * compete ("<a>-<b>-<c>"), trying out would take exponential time on hostile
 * paths, so it is computed from the end which positions can lead to a match
 * (one bit per run and byte), and then each run takes the end that a
 * backtracking regular expression would: strings the longest, paths the
 * shortest. Any thread; no allocation but for those bits when they are many.
 */
#include <stdlib.h>
#include <string.h>

#include "route/convert.h"

#define UUID_LEN 36

static bool
in_class(uint8_t cls, char c)
{
	switch (cls) {
	case SN_CLASS_DIGIT: return c >= '0' && c <= '9';
	case SN_CLASS_NOT_SLASH: return c != '/';
	default: return true;
	}
}

static bool
is_uuid(const char *s)
{
	for (int i = 0; i < UUID_LEN; i++) {
		char c = s[i];
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? c != '-'
		         : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
			return false;
	}
	return true;
}

static bool
is_fixed(const struct sn_elem *e)
{
	return e->kind == SN_ELEM_TEXT || e->kind == SN_ELEM_UUID;
}

/* Of a character of UTF-8, not its first byte. */
static bool
continues(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

static size_t
fixed_len(const struct sn_elem *e)
{
	return e->kind == SN_ELEM_UUID ? UUID_LEN : e->len;
}

/* An element of fixed length at s, where `left` bytes are. */
static bool
fixed_match(const struct sn_elem *e, const char *s, size_t left)
{
	if (fixed_len(e) > left)
		return false;
	return e->kind == SN_ELEM_UUID ? is_uuid(s) : memcmp(s, e->text, e->len) == 0;
}

/* As much as the run can take; 0: nothing, or not as many characters as it must. */
static size_t
run_len(const struct sn_elem *e, const char *s, size_t left)
{
	size_t sign = e->sign && left && s[0] == '-', n = sign, chars = 0;
	if (e->lazy && left && s[0] == '/')
		return 0;
	while (n < left && in_class(e->cls, s[n]))
		n++;
	if (n == sign || (e->min <= 1 && e->max == UINT32_MAX))
		return n == sign ? 0 : n;
	for (size_t i = sign; i < n; i++)
		chars += !continues(s[i]);
	return chars < e->min || chars > e->max ? 0 : n;
}

struct marker {
	struct sn_value *value;
	size_t base;
};

static void
mark(struct marker *m, const struct sn_elem *e, size_t from, size_t to)
{
	if (e->begin)
		m->value->off = (uint32_t)(m->base + from);
	if (e->end) {
		m->value->len = (uint32_t)(m->base + to) - m->value->off;
		m->value++;
	}
}

/* ---- several runs that compete -------------------------------------------- */

static bool
bit(const uint8_t *row, size_t i)
{
	return row[i / 8] >> (i % 8) & 1;
}

static void
set_bit(uint8_t *row, size_t i)
{
	row[i / 8] |= (uint8_t)(1u << (i % 8));
}

/* Where the fixed elements that follow `e` lead to from `at`; SIZE_MAX: nowhere.
 * `next` becomes the run behind them. */
static size_t
skip_fixed(const struct sn_elem **next, const char *s, size_t len, size_t at)
{
	while (is_fixed(*next)) {
		if (!fixed_match(*next, s + at, len - at))
			return SIZE_MAX;
		at += fixed_len(*next);
		(*next)++;
	}
	return at;
}

static bool
item_at(const struct sn_text *item, const char *s, size_t left)
{
	return item->len <= left && memcmp(item->s, s, item->len) == 0;
}

/* The first item at s + p behind which `good` is; its end, or SIZE_MAX. */
static size_t
any_end(const struct sn_elem *e, const char *s, size_t len, size_t p, const uint8_t *good)
{
	for (uint32_t i = 0; i < e->nitems; i++)
		if (item_at(&e->items[i], s + p, len - p) && bit(good, p + e->items[i].len))
			return p + e->items[i].len;
	return SIZE_MAX;
}

static size_t
char_before(const char *s, size_t at)
{
	do
		at--;
	while (at && continues(s[at]));
	return at;
}

/* good: where this run may end. begins: from where it then matches. From the end, `low` and
 * `high` stay min and max characters behind p, and `near` is the first good end from `low` on. */
static void
begins_of_run(const struct sn_elem *e, const char *s, size_t len, const uint8_t *good,
              uint8_t *begins)
{
	size_t chars = 0, low = SIZE_MAX, high = len, near = SIZE_MAX, end = len;
	for (size_t p = len; p-- > 0;) {
		if (e->sign && s[p] == '-' && p + 1 < len && s[p + 1] != '-' && bit(begins, p + 1))
			set_bit(begins, p);
		if (!in_class(e->cls, s[p]))
			end = p;
		if (continues(s[p]))
			continue;
		chars++;
		if (chars >= e->min) {
			low = chars == e->min ? len : char_before(s, low);
			if (bit(good, low))
				near = low;
		}
		if (chars > e->max)
			high = char_before(s, high);
		if (near != SIZE_MAX && near <= end && near <= high && !(e->lazy && s[p] == '/'))
			set_bit(begins, p);
	}
}

static void
begins_from_good(const struct sn_elem *e, const char *s, size_t len, const uint8_t *good,
                 uint8_t *begins, size_t row)
{
	memset(begins, 0, row);
	if (e->kind == SN_ELEM_RUN) {
		begins_of_run(e, s, len, good, begins);
		return;
	}
	for (size_t p = 0; p < len; p++)
		if (any_end(e, s, len, p, good) != SIZE_MAX)
			set_bit(begins, p);
}

/* Where the run that begins at p ends: strings the longest, paths the shortest. */
static size_t
run_end(const struct sn_elem *e, const char *s, size_t len, size_t p, const uint8_t *good)
{
	size_t q = p + (e->sign && s[p] == '-'), end = p;
	for (uint32_t chars = 1; q < len && in_class(e->cls, s[q]) && chars <= e->max; chars++) {
		do
			q++;
		while (q < len && continues(s[q]));
		if (chars < e->min || !bit(good, q))
			continue;
		end = q;
		if (e->lazy)
			break;
	}
	return end;
}

static void
good_from_begins(const struct sn_elem *after, const char *s, size_t len, const uint8_t *begins,
                 uint8_t *good, size_t row)
{
	memset(good, 0, row);
	for (size_t q = 0; q <= len; q++) {
		const struct sn_elem *next = after;
		size_t at = skip_fixed(&next, s, len, q);
		if (at != SIZE_MAX && at < len && bit(begins, at))
			set_bit(good, q);
	}
}

/* e[0] is a run, or any(), and e[n - 1] too; all of s. */
static bool
match_competing(const struct sn_elem *e, size_t n, const char *s, size_t len, size_t off,
                struct marker *m)
{
	uint8_t small[4096], *bits = small;
	size_t row = len / 8 + 1, runs = 0, pos = 0;
	bool ok = false;
	for (size_t i = 0; i < n; i++)
		runs += !is_fixed(&e[i]);
	if (row > sizeof(small) / (runs + 1)) {
		bits = malloc(row * (runs + 1));
		if (!bits)
			return false; /* a 404 is the honest answer that needs no memory */
	}
	uint8_t *begins = bits + row * runs;
	size_t r = runs;
	for (size_t i = n; i-- > 0;) {
		if (is_fixed(&e[i]))
			continue;
		uint8_t *good = bits + row * --r;
		if (i == n - 1) {
			memset(good, 0, row);
			set_bit(good, len);
		} else {
			good_from_begins(e + i + 1, s, len, begins, good, row);
		}
		begins_from_good(&e[i], s, len, good, begins, row);
	}
	if (len == 0 || !bit(begins, 0))
		goto out;
	for (size_t i = 0; i < n; i++) {
		size_t end;
		if (is_fixed(&e[i]))
			end = pos + fixed_len(&e[i]);
		else if (e[i].kind == SN_ELEM_RUN)
			end = run_end(&e[i], s, len, pos, bits + row * r++);
		else
			end = any_end(&e[i], s, len, pos, bits + row * r++);
		mark(m, &e[i], off + pos, off + end);
		pos = end;
	}
	ok = true;
out:
	if (bits != small)
		free(bits);
	return ok;
}

/* `lacks`: so many bytes of the last text need not be there. */
static bool
match_elems(const struct sn_segment *seg, const char *s, size_t len, size_t base,
            struct sn_value *values, size_t lacks)
{
	const struct sn_elem *e = seg->elems;
	struct marker m = { values, base };
	size_t n = seg->nelems, i = 0, pos = 0, end = len;

	/* what has a fixed length at the end does not depend on what is before it */
	if (lacks) {
		size_t last = e[--n].len - lacks;
		if (last > end || memcmp(e[n].text, s + end - last, last) != 0)
			return false;
		end -= last;
	}
	for (; n > 0 && is_fixed(&e[n - 1]); n--) {
		size_t last = fixed_len(&e[n - 1]);
		if (last > end || !fixed_match(&e[n - 1], s + end - last, last))
			return false;
		end -= last;
	}
	for (; i < n; i++) {
		size_t step;
		if (is_fixed(&e[i])) {
			if (!fixed_match(&e[i], s + pos, end - pos))
				return false;
			step = fixed_len(&e[i]);
		} else if (e[i].kind == SN_ELEM_ANY && i == n - 1) {
			step = end - pos;
			if (!sn_text_find(e[i].sorted, e[i].nitems, s + pos, step))
				return false;
		} else if (i == n - 1 || e[i].sure) {
			step = run_len(&e[i], s + pos, end - pos);
			if (step == 0)
				return false;
		} else {
			if (!match_competing(e + i, n - i, s + pos, end - pos, pos, &m))
				return false;
			pos = end;
			break;
		}
		mark(&m, &e[i], pos, pos + step);
		pos += step;
	}
	if (pos != end)
		return false;
	for (i = n, pos = end; i < seg->nelems; i++) {
		mark(&m, &e[i], pos, pos + fixed_len(&e[i]));
		pos += fixed_len(&e[i]);
	}
	return true;
}

static bool
match(const struct sn_segment *seg, const char *s, size_t len, size_t base,
      struct sn_value *values, size_t lacks)
{
	if (!match_elems(seg, s, len, base, values, lacks))
		return false;
	for (uint16_t i = 0; i < seg->nbounds; i++) {
		const struct sn_bound *b = &seg->bounds[i];
		const struct sn_value *v = &values[b->variable];
		if (!sn_bound_holds(b, s + (v->off - base), v->len))
			return false;
	}
	return true;
}

bool
sn_segment_match(const struct sn_segment *seg, const char *s, size_t len, size_t base,
                 struct sn_value *values)
{
	return match(seg, s, len, base, values, 0);
}

bool
sn_segment_match_slash(const struct sn_segment *seg, const char *s, size_t len, size_t base,
                       struct sn_value *values)
{
	return match(seg, s, len, base, values, 1);
}
