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

#include "route/rule.h"

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

static size_t
run_len(const struct sn_elem *e, const char *s, size_t left)
{
	size_t n = 0;
	if (e->lazy && left && s[0] == '/')
		return 0;
	while (n < left && in_class(e->cls, s[n]))
		n++;
	return n;
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
	while ((*next)->kind != SN_ELEM_RUN) {
		if (!fixed_match(*next, s + at, len - at))
			return SIZE_MAX;
		at += fixed_len(*next);
		(*next)++;
	}
	return at;
}

/* good: where this run may end. begins: from where it then matches. */
static void
begins_from_good(const struct sn_elem *e, const char *s, size_t len, const uint8_t *good,
                 uint8_t *begins, size_t row)
{
	bool reach = false;
	memset(begins, 0, row);
	for (size_t p = len; p-- > 0;) {
		reach = in_class(e->cls, s[p]) && (reach || bit(good, p + 1));
		if (reach && !(e->lazy && s[p] == '/'))
			set_bit(begins, p);
	}
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

/* e[0] is a run and e[n - 1] too; all of s. */
static bool
match_competing(const struct sn_elem *e, size_t n, const char *s, size_t len, size_t off,
                struct marker *m)
{
	uint8_t small[4096], *bits = small;
	size_t row = len / 8 + 1, runs = 0, pos = 0;
	bool ok = false;
	for (size_t i = 0; i < n; i++)
		runs += e[i].kind == SN_ELEM_RUN;
	if (row > sizeof(small) / (runs + 1)) {
		bits = malloc(row * (runs + 1));
		if (!bits)
			return false; /* a 404 is the honest answer that needs no memory */
	}
	uint8_t *begins = bits + row * runs;
	size_t r = runs;
	for (size_t i = n; i-- > 0;) {
		if (e[i].kind != SN_ELEM_RUN)
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
		size_t end = pos + fixed_len(&e[i]);
		if (e[i].kind == SN_ELEM_RUN) {
			const uint8_t *good = bits + row * r++;
			end = pos;
			for (size_t q = pos; q < len && in_class(e[i].cls, s[q]); q++) {
				if (!bit(good, q + 1))
					continue;
				end = q + 1;
				if (e[i].lazy)
					break;
			}
		}
		mark(m, &e[i], off + pos, off + end);
		pos = end;
	}
	ok = true;
out:
	if (bits != small)
		free(bits);
	return ok;
}

bool
sn_segment_match(const struct sn_segment *seg, const char *s, size_t len, size_t base,
                 struct sn_value *values)
{
	const struct sn_elem *e = seg->elems;
	struct marker m = { values, base };
	size_t n = seg->nelems, i = 0, pos = 0, end = len;

	/* what has a fixed length at the end does not depend on what is before it */
	for (; n > 0 && e[n - 1].kind != SN_ELEM_RUN; n--) {
		size_t last = fixed_len(&e[n - 1]);
		if (last > end || !fixed_match(&e[n - 1], s + end - last, last))
			return false;
		end -= last;
	}
	for (; i < n; i++) {
		size_t step;
		if (e[i].kind != SN_ELEM_RUN) {
			if (!fixed_match(&e[i], s + pos, end - pos))
				return false;
			step = fixed_len(&e[i]);
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
