/* SPDX-License-Identifier: MIT
 *
 * Any path against any rules, compared with the plainest matcher there is: every rule
 * alone, trying out every split in a regular expression's order. Lines up to an empty
 * one are rules, those behind it paths.
 */
#include <stdlib.h>
#include <string.h>

#include "http/method.h"
#include "http/path.h"
#include "route/convert.h"
#include "route/matcher.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RULES = 16, STEPS = 200000 };

struct plain { /* a rule as one sequence */
	struct sn_elem elem[4096];
	size_t n;
	const char *path;
	size_t len;
	long steps;
	size_t begin[SN_ROUTE_VALUES_MAX], end[SN_ROUTE_VALUES_MAX];
};

static struct plain plain;

static void
flatten(const struct sn_rule *r)
{
	plain.n = 0;
	for (uint32_t i = 0; i < r->nsegments; i++) {
		const struct sn_segment *seg = &r->segments[i];
		plain.elem[plain.n++] = (struct sn_elem){ .kind = SN_ELEM_TEXT, .text = "/", .len = 1 };
		if (!seg->nelems)
			plain.elem[plain.n++] = (struct sn_elem){ .kind = SN_ELEM_TEXT, .text = seg->key, .len = seg->key_len };
		for (uint16_t k = 0; k < seg->nelems; k++)
			plain.elem[plain.n++] = seg->elems[k];
	}
}

static bool
hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* May element `e`, by its item of that number, take path[pos, pos + n)? */
static bool
takes(const struct sn_elem *e, size_t pos, size_t n, size_t item)
{
	const char *s = plain.path + pos;
	if (e->kind == SN_ELEM_TEXT)
		return n == e->len && memcmp(s, e->text, n) == 0;
	if (e->kind == SN_ELEM_UUID) {
		for (size_t i = 0; i < n; i++)
			if (strchr("\x08\x0d\x12\x17", (int)i) && i ? s[i] != '-' : !hex(s[i]))
				return false;
		return n == 36;
	}
	if (e->kind == SN_ELEM_ANY)
		return n == e->items[item].len && memcmp(s, e->items[item].s, n) == 0;
	size_t chars = 0, sign = e->sign && n && s[0] == '-';
	if (pos + n < plain.len && ((unsigned char)s[n] & 0xc0) == 0x80)
		return false; /* a character is not cut */
	for (size_t i = sign; i < n; i++) {
		if ((e->cls == SN_CLASS_DIGIT && (s[i] < '0' || s[i] > '9')) ||
		    (e->cls == SN_CLASS_NOT_SLASH && s[i] == '/') || (e->lazy && i == 0 && s[i] == '/'))
			return false;
		chars += ((unsigned char)s[i] & 0xc0) != 0x80;
	}
	return n > sign && chars >= e->min && chars <= e->max && ((unsigned char)s[0] & 0xc0) != 0x80;
}

/* How many ways there are for `e` to take something of `left` bytes; way k is of *n bytes. */
static size_t
ways(const struct sn_elem *e, size_t left)
{
	return e->kind == SN_ELEM_RUN ? left + 1 : e->kind == SN_ELEM_ANY ? e->nitems : 1;
}

static size_t
way(const struct sn_elem *e, size_t left, size_t k)
{
	switch (e->kind) {
	case SN_ELEM_RUN: return e->lazy ? k + 1 : left - k;
	case SN_ELEM_ANY: return e->items[k].len;
	case SN_ELEM_UUID: return 36;
	default: return e->len;
	}
}

static bool
try(size_t i, size_t pos, size_t value)
{
	if (i == plain.n)
		return pos == plain.len;
	const struct sn_elem *e = &plain.elem[i];
	size_t left = plain.len - pos;
	if (e->begin)
		plain.begin[value] = pos;
	for (size_t k = 0; k < ways(e, left); k++) {
		size_t n = way(e, left, k);
		if (++plain.steps > STEPS)
			return false;
		if (n <= left && takes(e, pos, n, k)) {
			if (e->end)
				plain.end[value] = pos + n;
			if (try(i + 1, pos + n, value + e->end))
				return true;
			if (e->begin)
				plain.begin[value] = pos;
		}
	}
	return false;
}

/* Numbers are looked at when all of the path fits. */
static bool
within_bounds(const struct sn_rule *r)
{
	size_t first = 0;
	for (uint32_t i = 0; i < r->nsegments; i++) {
		const struct sn_segment *seg = &r->segments[i];
		for (uint16_t k = 0; k < seg->nbounds; k++) {
			size_t v = first + seg->bounds[k].variable;
			if (!sn_bound_holds(&seg->bounds[k], plain.path + plain.begin[v],
			                    plain.end[v] - plain.begin[v]))
				return false;
		}
		first += seg->nvars;
	}
	return true;
}

static void
compare(const struct sn_matcher *m, struct sn_rule *const *rules, const struct sn_endpoint *e,
        size_t n, const char *path, size_t len)
{
	struct sn_match match;
	char *exact = malloc(len ? len : 1); /* no byte behind it */
	SN_ASSERT(exact);
	memcpy(exact, path, len);
	enum sn_match_result got = sn_matcher_find(m, exact, len, SN_METHOD_GET, &match);
	plain.path = exact;
	plain.len = len;
	/* the server routes nothing else; matching it must be safe all the same */
	for (size_t i = 0; i < n && sn_utf8_valid(path, len); i++) {
		flatten(rules[i]);
		plain.steps = 0;
		bool matches = try(0, 0, 0) && within_bounds(rules[i]);
		if (plain.steps > STEPS)
			continue;
		SN_ASSERT(!matches || got == SN_MATCH_FOUND || got == SN_MATCH_SLASH);
		if (got != SN_MATCH_FOUND || match.endpoint != &e[i])
			continue;
		SN_ASSERT(matches && match.nvalues == rules[i]->info.nvariables);
		for (uint32_t v = 0; v < match.nvalues; v++)
			SN_ASSERT(match.values[v].off == plain.begin[v] &&
			          match.values[v].off + match.values[v].len == plain.end[v]);
	}
	free(exact);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sn_endpoint e[RULES] = { { .rule = NULL } };
	struct sn_rule *rules[RULES];
	struct sn_matcher *m;
	size_t n = 0;
	char *text = malloc(size + 1);
	SN_ASSERT(text);
	memcpy(text, data, size);
	text[size] = '\0';
	char *end = text + size, *at = text;
	while (at < end && *at != '\n') {
		char *newline = memchr(at, '\n', (size_t)(end - at));
		if (newline)
			*newline = '\0';
		if (n < RULES && strlen(at) < 1000 && sn_rule_parse(&rules[n], at, NULL) == 0) {
			e[n] = (struct sn_endpoint){ .rule = at, .methods = SN_METHOD_GET };
			n++;
		}
		at = newline ? newline + 1 : end;
	}
	if (sn_matcher_new(&m, e, n, NULL) == 0) { /* else two are the same */
		while (at < end) {
			at++;
			char *newline = memchr(at, '\n', (size_t)(end - at));
			size_t len = newline ? (size_t)(newline - at) : (size_t)(end - at);
			compare(m, rules, e, n, at, len < 200 ? len : 200);
			at += len;
		}
		sn_matcher_free(m);
	}
	for (size_t i = 0; i < n; i++)
		sn_rule_free(rules[i]);
	free(text);
	return 0;
}
