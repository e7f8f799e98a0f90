/* SPDX-License-Identifier: MIT
 *
 * Converter arguments. Numbers are compared as text, so that no value is too
 * long for a bound and no locale matters. Parsing runs at start, the rest
 * with every look-up.
 */
#include "route/convert.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum param { FIXED_DIGITS, MIN, MAX, SIGNED, MINLENGTH, MAXLENGTH, LENGTH, PARAMS };

static const char *const param_names[PARAMS] = {
	[FIXED_DIGITS] = "fixed_digits", [MIN] = "min",             [MAX] = "max",
	[SIGNED] = "signed",             [MINLENGTH] = "minlength", [MAXLENGTH] = "maxlength",
	[LENGTH] = "length",
};

/* In the order in which they may be given without their names. */
static const struct {
	enum sn_converter converter;
	unsigned n;
	enum param params[4];
} taken[] = {
	{ SN_CONV_INT, 4, { FIXED_DIGITS, MIN, MAX, SIGNED } },
	{ SN_CONV_FLOAT, 3, { MIN, MAX, SIGNED } },
	{ SN_CONV_STRING, 3, { MINLENGTH, MAXLENGTH, LENGTH } },
};

struct reader {
	const char *s;
	enum sn_converter converter;
	const char *name;
	struct sn_convert_args *args;
	unsigned seen; /* a bit for each param */
	char *err;
	size_t size;
};

struct arg {
	struct sn_text key, value; /* key.s NULL: none */
	bool quoted;
};

__attribute__((format(printf, 2, 3))) static int
bad(struct reader *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(r->err, r->size, fmt, ap);
	va_end(ap);
	return SN_EINVAL;
}

static void
skip_space(struct reader *r)
{
	while (*r->s == ' ' || *r->s == '\t')
		r->s++;
}

static bool
is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-' || (unsigned char)c >= 0x80;
}

static struct sn_text
read_word(struct reader *r)
{
	struct sn_text t = { r->s, 0 };
	while (*r->s && is_word(*r->s))
		r->s++;
	t.len = (uint32_t)(r->s - t.s);
	return t;
}

static int
read_quoted(struct reader *r, struct arg *a)
{
	char quote = *r->s++;
	a->quoted = true;
	a->value.s = r->s;
	while (*r->s && *r->s != quote) {
		if ((unsigned char)*r->s < 0x20 || *r->s == 0x7f)
			return bad(r, "a control character; take it out");
		r->s++;
	}
	if (!*r->s)
		return bad(r, "the text has no %c at its end; close it", quote);
	a->value.len = (uint32_t)(r->s - a->value.s);
	r->s++;
	return 0;
}

/* "key=value" or "value". */
static int
read_arg(struct reader *r, struct arg *a)
{
	memset(a, 0, sizeof(*a));
	skip_space(r);
	if (*r->s != '"' && *r->s != '\'') {
		a->value = read_word(r);
		skip_space(r);
		if (a->value.len && *r->s == '=') {
			r->s++;
			a->key = a->value;
			skip_space(r);
			if (*r->s != '"' && *r->s != '\'')
				a->value = read_word(r);
		}
	}
	if (*r->s == '"' || *r->s == '\'') {
		int rc = read_quoted(r, a);
		if (rc < 0)
			return rc;
	}
	skip_space(r);
	if (*r->s != ',' && *r->s != ')')
		return bad(r, *r->s && *r->s != '>' ? "an argument is a word, a number or a quoted text; "
		                                      "write '...' around others"
		                                    : "the arguments have no ')' at their end; close them");
	if (a->value.len == 0)
		return bad(r, "an argument is empty; take it out");
	return 0;
}

static bool
is_number(struct sn_text t, bool point)
{
	size_t digits = 0, points = 0;
	for (uint32_t i = 0; i < t.len; i++) {
		if (t.s[i] >= '0' && t.s[i] <= '9')
			digits++;
		else if (point && t.s[i] == '.')
			points++;
		else if (t.s[i] != '-' || i)
			return false;
	}
	return digits > 0 && points <= 1;
}

static bool
is_text(struct sn_text t, const char *s)
{
	return strlen(s) == t.len && memcmp(s, t.s, t.len) == 0;
}

static int
read_count(struct reader *r, enum param p, struct sn_text t, uint32_t *out)
{
	unsigned long n = 0;
	if (is_number(t, false) && t.len < 9)
		n = strtoul(t.s, NULL, 10);
	if (t.s[0] == '-' || n == 0)
		return bad(r, "%s is a number from 1 to 99999999, not '%.*s'", param_names[p], (int)t.len, t.s);
	*out = (uint32_t)n;
	return 0;
}

static int
set_param(struct reader *r, enum param p, const struct arg *a)
{
	struct sn_convert_args *args = r->args;
	struct sn_text t = a->value;
	bool point = r->converter == SN_CONV_FLOAT;
	if (r->seen & 1u << p)
		return bad(r, "%s is there twice; take one out", param_names[p]);
	r->seen |= 1u << p;
	args->given++;
	switch (p) {
	case SIGNED:
		if (a->quoted || (!is_text(t, "True") && !is_text(t, "False")))
			return bad(r, "signed is True or False, not '%.*s'", (int)t.len, t.s);
		args->sign = is_text(t, "True");
		return 0;
	case MIN:
	case MAX:
		if (a->quoted || !is_number(t, point))
			return bad(r, "%s is a number such as %s, not '%.*s'", param_names[p],
			           point ? "1.5" : "1", (int)t.len, t.s);
		*(p == MIN ? &args->bound.min : &args->bound.max) = t;
		args->bounded = true;
		return 0;
	case FIXED_DIGITS:
		args->bounded = true;
		return read_count(r, p, t, &args->bound.digits);
	case MINLENGTH: return read_count(r, p, t, &args->min);
	case MAXLENGTH: return read_count(r, p, t, &args->max);
	default: {
		int rc = read_count(r, p, t, &args->min);
		args->max = args->min;
		return rc;
	}
	}
}

static int
find_param(struct reader *r, unsigned position, const struct arg *a, enum param *p)
{
	size_t i = 0, k;
	while (i < SN_COUNT(taken) && taken[i].converter != r->converter)
		i++;
	if (i == SN_COUNT(taken))
		return bad(r, "%s takes no arguments; write <%s:name>", r->name, r->name);
	for (k = 0; a->key.s && k < taken[i].n; k++)
		if (is_text(a->key, param_names[taken[i].params[k]]))
			break;
	if (!a->key.s)
		k = position;
	if (k >= taken[i].n) {
		char list[64] = "";
		for (k = 0; k < taken[i].n; k++) {
			size_t at = strlen(list);
			snprintf(list + at, sizeof(list) - at, "%s%s", k ? ", " : "", param_names[taken[i].params[k]]);
		}
		if (a->key.s)
			return bad(r, "%s has no argument '%.*s'; it takes %s", r->name, (int)a->key.len,
			           a->key.s, list);
		return bad(r, "%s takes no more arguments than %s", r->name, list);
	}
	*p = taken[i].params[k];
	return 0;
}

static int
add_item(struct reader *r, const struct arg *a)
{
	struct sn_convert_args *args = r->args;
	if (a->key.s)
		return bad(r, "any() lists texts, and '%.*s=' is none; write any(a,b)", (int)a->key.len, a->key.s);
	for (uint32_t i = 0; i < args->nitems; i++)
		if (args->items[i].len == a->value.len &&
		    memcmp(args->items[i].s, a->value.s, a->value.len) == 0)
			return bad(r, "'%.*s' is there twice; take one out", (int)a->value.len, a->value.s);
	args->items[args->nitems++] = a->value;
	args->slash |= memchr(a->value.s, '/', a->value.len) != NULL;
	args->given = 1;
	return 0;
}

static int
check_whole(struct reader *r)
{
	const struct sn_bound *b = &r->args->bound;
	bool length = r->seen & 1u << LENGTH;
	if (length && r->seen & (1u << MINLENGTH | 1u << MAXLENGTH))
		return bad(r, "length says what minlength and maxlength say; keep the one or the others");
	if (r->args->min > r->args->max)
		return bad(r, "minlength is above maxlength, which no text is; exchange them");
	if (b->min.s && b->max.s && sn_decimal_cmp(b->min.s, b->min.len, b->max.s, b->max.len) > 0)
		return bad(r, "min is above max, which no number is; exchange them");
	if (b->max.s && b->max.s[0] == '-' && !r->args->sign)
		return bad(r, "max is negative, and the numbers are not; add signed=True");
	return 0;
}

int
sn_convert_parse(struct sn_convert_args *args, enum sn_converter converter, const char *name,
                 const char **s, char *err, size_t size)
{
	struct reader r = { .s = *s, .converter = converter, .name = name, .args = args,
		            .err = err, .size = size };
	unsigned position = 0;
	struct arg a;
	enum param p = PARAMS;
	int rc = 0;
	args->min = 1;
	args->max = UINT32_MAX;
	do {
		r.s++; /* '(' or ',' */
		rc = read_arg(&r, &a);
		if (rc == 0 && converter == SN_CONV_ANY)
			rc = add_item(&r, &a);
		else if (rc == 0 && (rc = find_param(&r, position++, &a, &p)) == 0)
			rc = set_param(&r, p, &a);
	} while (rc == 0 && *r.s == ',');
	if (rc == 0)
		rc = check_whole(&r);
	*s = r.s + (rc == 0);
	return rc;
}

/* ---- with every look-up ----------------------------------------------------- */

struct decimal {
	const char *whole, *part; /* digits without leading, without trailing zeros */
	size_t whole_len, part_len;
	bool minus;
};

static struct decimal
decimal_of(const char *s, size_t len)
{
	struct decimal d = { .minus = len && s[0] == '-' };
	s += d.minus;
	len -= d.minus;
	const char *point = memchr(s, '.', len);
	d.whole = s;
	d.whole_len = point ? (size_t)(point - s) : len;
	d.part = point ? point + 1 : s + len;
	d.part_len = (size_t)(s + len - d.part);
	for (; d.whole_len && *d.whole == '0'; d.whole_len--)
		d.whole++;
	while (d.part_len && d.part[d.part_len - 1] == '0')
		d.part_len--;
	d.minus = d.minus && (d.whole_len || d.part_len);
	return d;
}

int
sn_decimal_cmp(const char *a, size_t alen, const char *b, size_t blen)
{
	struct decimal x = decimal_of(a, alen), y = decimal_of(b, blen);
	int less = -1;
	if (x.minus != y.minus)
		return x.minus ? -1 : 1;
	if (x.minus)
		less = 1;
	if (x.whole_len != y.whole_len)
		return x.whole_len < y.whole_len ? less : -less;
	int d = memcmp(x.whole, y.whole, x.whole_len);
	if (d == 0) {
		d = memcmp(x.part, y.part, x.part_len < y.part_len ? x.part_len : y.part_len);
		if (d == 0)
			d = x.part_len < y.part_len ? -1 : x.part_len > y.part_len;
	}
	return d < 0 ? less : d > 0 ? -less : 0;
}

bool
sn_bound_holds(const struct sn_bound *bound, const char *s, size_t len)
{
	return (!bound->digits || len == bound->digits) &&
	       (!bound->min.s || sn_decimal_cmp(s, len, bound->min.s, bound->min.len) >= 0) &&
	       (!bound->max.s || sn_decimal_cmp(s, len, bound->max.s, bound->max.len) <= 0);
}

int
sn_text_cmp(const void *a, const void *b)
{
	const struct sn_text *x = a, *y = b;
	int d = memcmp(x->s, y->s, x->len < y->len ? x->len : y->len);
	return d ? d : x->len < y->len ? -1 : x->len > y->len;
}

bool
sn_text_find(const struct sn_text *sorted, uint32_t n, const char *s, size_t len)
{
	uint32_t low = 0, high = n;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		size_t least = sorted[mid].len < len ? sorted[mid].len : len;
		int d = memcmp(sorted[mid].s, s, least);
		if (d == 0)
			d = sorted[mid].len < len ? -1 : sorted[mid].len > len;
		if (d == 0)
			return true;
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}
