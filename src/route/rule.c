/* SPDX-License-Identifier: MIT
 *
 * The rule syntax (Werkzeug's): text, and variables "<name>", "<converter:name>"
 * or "<converter(arguments):name>" anywhere between slashes. Every message
 * says what is wrong, where, and what to write instead. Runs at start.
 */
#include "route/rule.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/path.h"
#include "route/convert.h"

#define RULE_MAX 2048 /* also bounds the matcher's recursion */

static const struct {
	const char *name;
	enum sn_converter converter;
	char key;
} converters[] = {
	{ "int", SN_CONV_INT, 'i' },       { "float", SN_CONV_FLOAT, 'f' },
	{ "uuid", SN_CONV_UUID, 'u' },     { "string", SN_CONV_STRING, 's' },
	{ "path", SN_CONV_PATH, 'p' },     { "any", SN_CONV_ANY, 'a' },
	{ "default", SN_CONV_STRING, 's' },
};

struct parser {
	const char *rule;  /* as given, for messages and positions */
	struct sn_rule *r; /* r->text is a copy: names get their NUL there */
	size_t pos;
	struct sn_segment *seg;
	char *key;         /* where the next key byte goes, in r->keys */
	uint32_t nelems, nitems, nbounds;
	struct sn_why *why;
};

/* "rule '/a/<int>', character 4: ..." */
__attribute__((format(printf, 3, 4))) static int
bad(struct parser *p, size_t at, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return sn_why_set(p->why, SN_EINVAL, "rule '%s', character %zu: %s", p->rule, at + 1, text);
}

static int
find_converter(const char *name, size_t len)
{
	for (size_t i = 0; i < SN_COUNT(converters); i++)
		if (strlen(converters[i].name) == len && memcmp(converters[i].name, name, len) == 0)
			return (int)i;
	return -1;
}

static bool
is_name(const char *s, size_t len)
{
	if (len == 0 || isdigit((unsigned char)s[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!(isascii((unsigned char)s[i]) && isalnum((unsigned char)s[i])) && s[i] != '_')
			return false;
	return true;
}

static struct sn_elem *
add_elem(struct parser *p, enum sn_elem_kind kind, enum sn_elem_class cls)
{
	struct sn_elem *e = &p->r->elems[p->nelems++];
	memset(e, 0, sizeof(*e));
	e->kind = kind;
	e->cls = cls;
	e->lazy = cls == SN_CLASS_ANY;
	e->min = 1;
	e->max = UINT32_MAX;
	p->seg->nelems++;
	if (kind == SN_ELEM_RUN || kind == SN_ELEM_ANY)
		p->seg->nruns++;
	return e;
}

static void
add_text(struct parser *p, const char *text, size_t len)
{
	struct sn_elem *e = add_elem(p, SN_ELEM_TEXT, 0);
	e->text = text;
	e->len = (uint32_t)len;
}

static uint8_t
rank_of(enum sn_converter c)
{
	switch (c) {
	case SN_CONV_ANY: return 0;
	case SN_CONV_STRING: return 2;
	case SN_CONV_PATH: return 3;
	default: return 1;
	}
}

static struct sn_elem *
add_any(struct parser *p, const struct sn_convert_args *args)
{
	struct sn_elem *e = add_elem(p, SN_ELEM_ANY, 0);
	struct sn_text *sorted = args->items + args->nitems;
	memcpy(sorted, args->items, args->nitems * sizeof(*sorted));
	qsort(sorted, args->nitems, sizeof(*sorted), sn_text_cmp);
	e->items = args->items;
	e->sorted = sorted;
	e->nitems = args->nitems;
	p->nitems += 2 * args->nitems;
	p->seg->tail |= args->slash;
	return e;
}

/* The elements of a variable; its last one is returned, *first is the first. */
static struct sn_elem *
add_elems(struct parser *p, enum sn_converter c, const struct sn_convert_args *args,
          struct sn_elem **first)
{
	switch (c) {
	case SN_CONV_UUID: return *first = add_elem(p, SN_ELEM_UUID, 0);
	case SN_CONV_ANY: return *first = add_any(p, args);
	case SN_CONV_FLOAT:
		*first = add_elem(p, SN_ELEM_RUN, SN_CLASS_DIGIT);
		(*first)->sign = args->sign;
		add_text(p, ".", 1);
		return add_elem(p, SN_ELEM_RUN, SN_CLASS_DIGIT);
	case SN_CONV_INT:
		*first = add_elem(p, SN_ELEM_RUN, SN_CLASS_DIGIT);
		(*first)->sign = args->sign;
		return *first;
	case SN_CONV_STRING:
		*first = add_elem(p, SN_ELEM_RUN, SN_CLASS_NOT_SLASH);
		(*first)->min = args->min;
		(*first)->max = args->max;
		return *first;
	case SN_CONV_PATH:
	default:
		p->seg->tail = true;
		return *first = add_elem(p, SN_ELEM_RUN, SN_CLASS_ANY);
	}
}

static void
add_bound(struct parser *p, const struct sn_convert_args *args)
{
	struct sn_bound *b = &p->r->bounds[p->nbounds++];
	if (!p->seg->bounds)
		p->seg->bounds = b;
	*b = args->bound;
	b->variable = p->seg->nvars;
	p->seg->nbounds++;
}

static void
add_variable(struct parser *p, int conv, const char *name, const struct sn_convert_args *args,
             const char *written, size_t len)
{
	enum sn_converter c = converters[conv].converter;
	struct sn_rule_info *info = &p->r->info;
	struct sn_elem *first, *last = add_elems(p, c, args, &first);
	first->begin = true;
	last->end = true;
	if (args->bounded)
		add_bound(p, args);
	info->variables[info->nvariables].name = name;
	info->variables[info->nvariables++].converter = c;
	if (rank_of(c) > p->seg->rank)
		p->seg->rank = rank_of(c);
	p->seg->narrowed += args->given && c != SN_CONV_ANY;
	p->seg->nvars++;
	/* '<' cannot be in a text, so keys of different patterns never look alike */
	*p->key++ = '<';
	*p->key++ = converters[conv].key;
	memcpy(p->key, written, len);
	p->key += len;
}

/* "(min=1)" at *body, which is left behind it. */
static int
parse_args(struct parser *p, int conv, const char **body, struct sn_convert_args *args)
{
	const char *s = p->r->text + (*body - p->rule); /* slices of the copy, which stays */
	char err[512];
	args->items = p->r->items + p->nitems;
	int rc = sn_convert_parse(args, converters[conv].converter, converters[conv].name, &s, err,
	                          sizeof(err));
	if (rc < 0)
		return bad(p, (size_t)(s - p->r->text), "%s", err);
	*body = p->rule + (s - p->r->text);
	if (**body != ':')
		return bad(p, (size_t)(s - p->r->text), "after ')' comes the name; write <%s(...):name>",
		           converters[conv].name);
	return 0;
}

/* What is wrong with "<conv:name>", conv and name being what stands before and behind the
 * colon; NULL for none. */
static int
check_variable(struct parser *p, const char *conv, size_t conv_len, const char *name,
               size_t name_len)
{
	size_t at = p->pos;
	int named = find_converter(name, name_len);
	int found = conv ? find_converter(conv, conv_len) : 0;

	if (!conv && name_len == 0)
		return bad(p, at, "a variable needs a name; write <name> or <int:name>");
	if (!conv && named >= 0)
		return bad(p, at, "'<%.*s>' has a converter and no name; write <%.*s:name>",
		           (int)name_len, name, (int)name_len, name);
	if (found < 0 && named >= 0 && is_name(conv, conv_len))
		return bad(p, at, "the converter comes before the name; write <%.*s:%.*s>",
		           (int)name_len, name, (int)conv_len, conv);
	if (found < 0)
		return bad(p, at, "converter '%.*s' is not known; write one of int, float, uuid, any, "
		                  "string, path", (int)conv_len, conv);
	if (name_len == 0)
		return bad(p, at, "the variable has no name; write <%.*s:name>", (int)conv_len, conv);
	if (!is_name(name, name_len))
		return bad(p, at, "'%.*s' cannot be a variable's name; use letters, digits and '_', "
		                  "not beginning with a digit", (int)name_len, name);
	const struct sn_rule_info *info = &p->r->info;
	for (uint32_t i = 0; i < info->nvariables; i++)
		if (strlen(info->variables[i].name) == name_len &&
		    memcmp(info->variables[i].name, name, name_len) == 0)
			return bad(p, at, "variable '%.*s' is there twice; give each its own name",
			           (int)name_len, name);
	if (info->nvariables == SN_ROUTE_VALUES_MAX)
		return bad(p, at, "more than %d variables; take the rest with one <path:name>",
		           SN_ROUTE_VALUES_MAX);
	return 0;
}

/* "<int:name>" at p->pos. */
static int
parse_variable(struct parser *p)
{
	const char *body = p->rule + p->pos + 1, *name = body, *args_at = body, *conv_name = NULL;
	size_t conv_len = strcspn(body, "(:<>");
	struct sn_convert_args args = { .min = 1, .max = UINT32_MAX };
	int conv = find_converter("string", 6), rc;

	if (body[conv_len] == '(' || body[conv_len] == ':') {
		conv_name = body;
		name = args_at = body + conv_len;
		conv = find_converter(body, conv_len);
		if (*name == '(' && conv < 0)
			return check_variable(p, body, conv_len, "", 0);
		if (*name == '(' && (rc = parse_args(p, conv, &name, &args)) < 0)
			return rc;
		name++; /* the colon */
	}
	size_t written = conv_name ? (size_t)(name - 1 - args_at) : 0;
	size_t name_len = strcspn(name, "<>");
	if (name[name_len] != '>')
		return bad(p, p->pos, "'<' is not closed; write <name> or <int:name>");
	if ((rc = check_variable(p, conv_name, conv_len, name, name_len)) < 0)
		return rc;
	if (converters[conv].converter == SN_CONV_ANY && !args.given)
		return bad(p, p->pos, "any lists what it takes; write <any(a,b):%.*s>", (int)name_len, name);
	char *own = p->r->text + (name - p->rule);
	own[name_len] = '\0'; /* was '>' */
	add_variable(p, conv, own, &args, args_at, written);
	p->pos = (size_t)(name + name_len + 1 - p->rule);
	return 0;
}

/* Text up to the next '<', and in a plain part up to the next '/'. */
static int
parse_text(struct parser *p)
{
	const char *s = p->rule + p->pos;
	size_t len = strcspn(s, p->seg->tail ? "<>?" : "</>?");
	if (s[len] == '>')
		return bad(p, p->pos + len, "'>' without '<'; write <name> or <int:name>");
	if (s[len] == '?')
		return bad(p, p->pos + len, "the query string is not part of a rule; take it off "
		                            "and read it from the request");
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '%' && i + 2 < len && isxdigit((unsigned char)s[i + 1]) &&
		    isxdigit((unsigned char)s[i + 2]))
			return bad(p, p->pos + i, "rules are compared with the decoded path; write "
			                          "the character itself, not '%.3s'", s + i);
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return bad(p, p->pos + i, "a control character; take it out");
	}
	add_text(p, p->r->text + p->pos, len);
	p->seg->ntexts++;
	p->seg->text_len += (uint32_t)len;
	memcpy(p->key, s, len);
	p->key += len;
	p->pos += len;
	return 0;
}

/* A run is "sure" when what follows cannot be in its class, or nothing follows. */
static void
mark_sure(struct sn_segment *seg)
{
	for (uint16_t i = 0; i < seg->nelems; i++) {
		struct sn_elem *e = &seg->elems[i];
		const struct sn_elem *next = i + 1 < seg->nelems ? e + 1 : NULL;
		if (e->kind != SN_ELEM_RUN && e->kind != SN_ELEM_ANY)
			continue;
		if (!next)
			e->sure = true;
		else if (next->kind != SN_ELEM_TEXT || e->cls == SN_CLASS_ANY || e->kind == SN_ELEM_ANY)
			e->sure = false;
		else if (e->cls == SN_CLASS_DIGIT)
			e->sure = !isdigit((unsigned char)next->text[0]);
		else
			e->sure = next->text[0] == '/';
	}
}

static int
parse_segment(struct parser *p)
{
	struct sn_segment *seg = p->seg = &p->r->segments[p->r->nsegments++];
	size_t begin = p->pos;
	int rc = 0;
	seg->elems = p->r->elems + p->nelems;
	seg->key = p->key;
	while (rc == 0 && p->rule[p->pos] && (seg->tail || p->rule[p->pos] != '/'))
		rc = p->rule[p->pos] == '<' ? parse_variable(p) : parse_text(p);
	if (rc < 0)
		return rc;
	seg->key_len = (uint32_t)(p->key - seg->key);
	if (seg->nvars == 0) {
		p->nelems -= seg->nelems;
		seg->nelems = 0;
		if (seg->key_len == 0 && p->rule[p->pos] == '/')
			return bad(p, begin, "an empty segment ('//'), which no path has; write '/'");
		if ((seg->key_len == 1 && seg->key[0] == '.') ||
		    (seg->key_len == 2 && memcmp(seg->key, "..", 2) == 0))
			return bad(p, begin, "a '%.*s' segment, which no path has; take it out",
			           (int)seg->key_len, seg->key);
	}
	if (seg->tail && strstr(p->rule + begin, "//"))
		return bad(p, (size_t)(strstr(p->rule + begin, "//") - p->rule),
		           "an empty segment ('//'), which no path has; write '/'");
	seg->slashed = seg->tail && p->rule[p->pos - 1] == '/';
	mark_sure(seg);
	return 0;
}

static int
parse(struct parser *p)
{
	int rc = 0;
	size_t valid = 0, len = strlen(p->rule);
	if (!sn_utf8_valid(p->rule, len)) {
		for (size_t n = 1; n < len; n++)
			if (sn_utf8_valid(p->rule, n))
				valid = n;
		return bad(p, valid, "a byte that is not UTF-8; take it out");
	}
	if (p->rule[0] != '/')
		return bad(p, 0, "a rule begins with '/'; write '/%s'", p->rule);
	while (rc == 0 && p->rule[p->pos] == '/') {
		p->pos++;
		rc = parse_segment(p);
	}
	return rc;
}

int
sn_rule_parse(struct sn_rule **out, const char *rule, struct sn_why *why)
{
	int rc = SN_ENOMEM;
	*out = NULL;
	size_t len = strlen(rule);
	if (len > RULE_MAX)
		return sn_why_set(why, SN_EINVAL, "rule '%.40s...': %zu characters; the most is %d",
		                  rule, len, RULE_MAX);
	size_t slashes = 0, lists = 0, commas = 0;
	for (size_t i = 0; i < len; i++) {
		slashes += rule[i] == '/';
		lists += rule[i] == '(';
		commas += rule[i] == ',';
	}
	struct sn_rule *r = calloc(1, sizeof(*r));
	if (!r)
		goto out;
	/* a byte of the rule gives at most one text, or a third of a float's three elements */
	r->elems = calloc(len + 1, sizeof(*r->elems));
	r->segments = calloc(slashes + 1, sizeof(*r->segments));
	r->items = calloc(2 * (lists + commas) + 1, sizeof(*r->items));
	r->bounds = calloc(lists + 1, sizeof(*r->bounds));
	r->text = strdup(rule);
	r->keys = malloc(len + 1);
	if (!r->elems || !r->segments || !r->items || !r->bounds || !r->text || !r->keys)
		goto out;
	struct parser p = { .rule = rule, .r = r, .key = r->keys, .why = why };
	rc = parse(&p);
out:
	if (rc == SN_ENOMEM)
		sn_why_set(why, rc, "rule '%s': out of memory", rule);
	if (rc < 0)
		sn_rule_free(r);
	else
		*out = r;
	return rc;
}

void
sn_rule_free(struct sn_rule *r)
{
	if (!r)
		return;
	free(r->elems);
	free(r->segments);
	free(r->items);
	free(r->bounds);
	free(r->text);
	free(r->keys);
	free(r);
}

int
sn_segment_order(const struct sn_segment *a, const struct sn_segment *b)
{
	if (a->tail != b->tail)
		return a->tail ? 1 : -1;
	/* more text, in more pieces, is more specific */
	if (a->ntexts != b->ntexts)
		return a->ntexts > b->ntexts ? -1 : 1;
	if (a->text_len != b->text_len)
		return a->text_len > b->text_len ? -1 : 1;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->narrowed != b->narrowed)
		return a->narrowed > b->narrowed ? -1 : 1;
	/* two texts' worth of variables split a segment finer than one */
	if (a->nvars != b->nvars)
		return a->nvars > b->nvars ? -1 : 1;
	/* any order will do, but the same in every build of the table */
	uint32_t n = a->key_len < b->key_len ? a->key_len : b->key_len;
	int d = memcmp(a->key, b->key, n);
	return d ? d : a->key_len < b->key_len ? -1 : a->key_len > b->key_len;
}
