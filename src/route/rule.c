/* SPDX-License-Identifier: MIT
 *
 * The rule syntax (Werkzeug's, without converter arguments): text, and
 * variables "<name>" or "<converter:name>" anywhere between slashes. Every
 * message says what is wrong, where, and what to write instead. Runs at start.
 */
#include "route/rule.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULE_MAX 2048 /* also bounds the matcher's recursion */

static const struct {
	const char *name;
	enum sn_converter converter;
	char key;
} converters[] = {
	{ "int", SN_CONV_INT, 'i' },       { "float", SN_CONV_FLOAT, 'f' },
	{ "uuid", SN_CONV_UUID, 'u' },     { "string", SN_CONV_STRING, 's' },
	{ "path", SN_CONV_PATH, 'p' },
};

struct parser {
	const char *rule;  /* as given, for messages and positions */
	struct sn_rule *r; /* r->text is a copy: names get their NUL there */
	size_t pos;
	struct sn_segment *seg;
	char *key;         /* where the next key byte goes, in r->keys */
	uint32_t nelems;
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
	p->seg->nelems++;
	if (kind == SN_ELEM_RUN)
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
	return c == SN_CONV_PATH ? 2 : c == SN_CONV_STRING ? 1 : 0;
}

static void
add_variable(struct parser *p, int conv, const char *name)
{
	enum sn_converter c = converters[conv].converter;
	struct sn_rule_info *info = &p->r->info;
	struct sn_elem *first, *last;
	switch (c) {
	case SN_CONV_UUID:
		first = last = add_elem(p, SN_ELEM_UUID, 0);
		break;
	case SN_CONV_FLOAT:
		first = add_elem(p, SN_ELEM_RUN, SN_CLASS_DIGIT);
		add_text(p, ".", 1);
		last = add_elem(p, SN_ELEM_RUN, SN_CLASS_DIGIT);
		break;
	case SN_CONV_INT:
		first = last = add_elem(p, SN_ELEM_RUN, SN_CLASS_DIGIT);
		break;
	case SN_CONV_STRING:
		first = last = add_elem(p, SN_ELEM_RUN, SN_CLASS_NOT_SLASH);
		break;
	case SN_CONV_PATH:
	default:
		first = last = add_elem(p, SN_ELEM_RUN, SN_CLASS_ANY);
		p->seg->tail = true;
		break;
	}
	first->begin = true;
	last->end = true;
	info->variables[info->nvariables].name = name;
	info->variables[info->nvariables++].converter = c;
	if (rank_of(c) > p->seg->rank)
		p->seg->rank = rank_of(c);
	p->seg->nvars++;
	/* '<' cannot be in a text, so keys of different patterns never look alike */
	*p->key++ = '<';
	*p->key++ = converters[conv].key;
}

/* "<int:name>" at p->pos. */
static int
parse_variable(struct parser *p)
{
	size_t at = p->pos;
	const char *body = p->rule + at + 1;
	size_t len = strcspn(body, "<>");
	if (body[len] != '>')
		return bad(p, at, "'<' is not closed; write <name> or <int:name>");
	const char *colon = memchr(body, ':', len);
	const char *name = colon ? colon + 1 : body;
	size_t name_len = (size_t)(body + len - name);
	size_t conv_len = colon ? (size_t)(colon - body) : 0;
	int conv = colon ? find_converter(body, conv_len) : find_converter("string", 6);
	int named = find_converter(name, name_len);

	if (memchr(body, '(', len))
		return bad(p, at, "converters take no arguments here; write <%.*s:name> and check "
		                  "the value in the handler",
		           (int)strcspn(body, "("), body);
	if (!colon && len == 0)
		return bad(p, at, "a variable needs a name; write <name> or <int:name>");
	if (!colon && named >= 0)
		return bad(p, at, "'<%.*s>' has a converter and no name; write <%.*s:name>",
		           (int)len, body, (int)len, body);
	if (conv < 0 && named >= 0 && is_name(body, conv_len))
		return bad(p, at, "the converter comes before the name; write <%.*s:%.*s>",
		           (int)name_len, name, (int)conv_len, body);
	if (conv < 0)
		return bad(p, at, "converter '%.*s' is not known; write one of int, float, uuid, "
		                  "string, path", (int)conv_len, body);
	if (name_len == 0)
		return bad(p, at, "the variable has no name; write <%.*s:name>", (int)conv_len, body);
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
	char *own = p->r->text + (name - p->rule);
	own[name_len] = '\0'; /* was '>' */
	add_variable(p, conv, own);
	p->pos = at + len + 2;
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
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f || s[i] == SN_PATH_SLASH)
			return bad(p, p->pos + i, "a control character or a byte that is not "
			                          "UTF-8; take it out");
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
		if (e->kind != SN_ELEM_RUN)
			continue;
		if (!next)
			e->sure = true;
		else if (next->kind != SN_ELEM_TEXT || e->cls == SN_CLASS_ANY)
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
	mark_sure(seg);
	return 0;
}

static int
parse(struct parser *p)
{
	int rc = 0;
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
	size_t slashes = 0;
	for (size_t i = 0; i < len; i++)
		slashes += rule[i] == '/';
	struct sn_rule *r = calloc(1, sizeof(*r));
	if (!r)
		goto out;
	/* a byte of the rule gives at most one text, or a third of a float's three elements */
	r->elems = calloc(len + 1, sizeof(*r->elems));
	r->segments = calloc(slashes + 1, sizeof(*r->segments));
	r->text = strdup(rule);
	r->keys = malloc(len + 1);
	if (!r->elems || !r->segments || !r->text || !r->keys)
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
	/* two texts' worth of variables split a segment finer than one */
	if (a->nvars != b->nvars)
		return a->nvars > b->nvars ? -1 : 1;
	/* any order will do, but the same in every build of the table */
	uint32_t n = a->key_len < b->key_len ? a->key_len : b->key_len;
	int d = memcmp(a->key, b->key, n);
	return d ? d : a->key_len < b->key_len ? -1 : a->key_len > b->key_len;
}
