/* SPDX-License-Identifier: MIT
 *
 * A tree of nodes, one level a path segment. Static segments of all nodes are
 * in one hash table (node, text) -> node, so 10,000 routes cost a look-up no
 * more than ten; segments with variables are tried in order of specificity. A
 * node stands for one depth of the path, so no look-up visits a node twice:
 * backtracking is bounded by the table, never by the path. Does not know what
 * endpoints do. Built once, by one thread; then read by any.
 */
#include "route/matcher.h"

#include <stdlib.h>
#include <string.h>

#include "http/method.h"
#include "route/rule.h"

struct leaf { /* one endpoint at the end of its rule */
	const struct sn_endpoint *endpoint;
	const struct sn_rule_info *info;
};

struct edge { /* a segment with variables */
	const struct sn_segment *seg;
	uint32_t child;
};

struct node {
	struct edge *edges;
	struct leaf *leaves;
	uint32_t nedges, nleaves;
	bool statics; /* a static segment follows */
};

struct slot { /* a static segment; child 0 (the root is nobody's child): free */
	const char *text;
	uint32_t len, parent, child, hash;
};

struct sn_matcher {
	const struct sn_endpoint *endpoints;
	size_t n;
	struct sn_rule **rules;
	struct node *nodes;
	uint32_t nnodes, nodes_cap;
	struct slot *slots;
	uint32_t mask;
};

#define ROOT 0

static uint32_t
hash_of(uint32_t parent, const char *s, size_t len)
{
	uint32_t h = 2166136261u ^ parent * 0x9e3779b1u; /* FNV-1a */
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * 16777619u;
	return h ^ h >> 15;
}

/* The slot of a static segment, or the free one where it would go. */
static struct slot *
find_slot(const struct sn_matcher *m, uint32_t parent, const char *s, size_t len)
{
	uint32_t h = hash_of(parent, s, len);
	for (uint32_t i = h & m->mask;; i = (i + 1) & m->mask) {
		struct slot *slot = &m->slots[i];
		if (!slot->child || (slot->hash == h && slot->parent == parent &&
		                     slot->len == len && memcmp(slot->text, s, len) == 0))
			return slot;
	}
}

/* ---- building ------------------------------------------------------------- */

static int
new_node(struct sn_matcher *m, uint32_t *id)
{
	if (m->nnodes == m->nodes_cap) {
		uint32_t cap = m->nodes_cap ? m->nodes_cap * 2 : 16;
		struct node *nodes = realloc(m->nodes, cap * sizeof(*nodes));
		if (!nodes)
			return SN_ENOMEM;
		m->nodes = nodes;
		m->nodes_cap = cap;
	}
	memset(&m->nodes[m->nnodes], 0, sizeof(*m->nodes));
	*id = m->nnodes++;
	return 0;
}

static int
static_child(struct sn_matcher *m, uint32_t parent, const struct sn_segment *seg, uint32_t *child)
{
	struct slot *slot = find_slot(m, parent, seg->key, seg->key_len);
	if (slot->child) {
		*child = slot->child;
		return 0;
	}
	int rc = new_node(m, child);
	if (rc < 0)
		return rc;
	*slot = (struct slot){ seg->key, seg->key_len, parent, *child,
		               hash_of(parent, seg->key, seg->key_len) };
	m->nodes[parent].statics = true;
	return 0;
}

static const struct edge *
find_edge(const struct node *node, const struct sn_segment *seg)
{
	for (uint32_t i = 0; i < node->nedges; i++) {
		const struct sn_segment *s = node->edges[i].seg;
		if (s->key_len == seg->key_len && memcmp(s->key, seg->key, seg->key_len) == 0)
			return &node->edges[i];
	}
	return NULL;
}

static int
variable_child(struct sn_matcher *m, uint32_t parent, const struct sn_segment *seg, uint32_t *child)
{
	const struct edge *found = find_edge(&m->nodes[parent], seg);
	if (found) {
		*child = found->child;
		return 0;
	}
	int rc = new_node(m, child);
	if (rc < 0)
		return rc;
	struct node *node = &m->nodes[parent];
	struct edge *edges = realloc(node->edges, (node->nedges + 1) * sizeof(*edges));
	if (!edges)
		return SN_ENOMEM;
	node->edges = edges;
	uint32_t at = node->nedges++;
	for (; at > 0 && sn_segment_order(seg, edges[at - 1].seg) < 0; at--)
		edges[at] = edges[at - 1];
	edges[at] = (struct edge){ seg, *child };
	return 0;
}

static const char *
shown(const struct sn_endpoint *e)
{
	return e->name ? e->name : e->rule;
}

static int
clash(const struct sn_endpoint *a, const struct sn_endpoint *b, struct sn_why *why)
{
	char storage[256];
	struct sn_buf methods;
	sn_buf_init(&methods, storage, sizeof(storage));
	const char *list = "a method";
	if (sn_method_list(a->methods & b->methods, &methods) == 0 &&
	    sn_buf_terminate(&methods) == 0)
		list = methods.data;
	int rc = sn_why_set(why, SN_EINVAL,
	                    "rule '%s' for %s is there twice: '%s' (%s:%d) and '%s' (%s:%d); "
	                    "change the rule or the methods of one",
	                    b->rule, list, shown(a), a->file ? a->file : "?", a->line, shown(b),
	                    b->file ? b->file : "?", b->line);
	sn_buf_free(&methods);
	return rc;
}

static int
add_leaf(struct node *node, const struct sn_endpoint *e, const struct sn_rule_info *info,
         struct sn_why *why)
{
	for (uint32_t i = 0; i < node->nleaves; i++)
		if (node->leaves[i].endpoint->methods & e->methods)
			return clash(node->leaves[i].endpoint, e, why);
	struct leaf *leaves = realloc(node->leaves, (node->nleaves + 1) * sizeof(*leaves));
	if (!leaves)
		return SN_ENOMEM;
	node->leaves = leaves;
	leaves[node->nleaves++] = (struct leaf){ e, info };
	return 0;
}

static int
add_rule(struct sn_matcher *m, size_t i, struct sn_why *why)
{
	const struct sn_rule *rule = m->rules[i];
	uint32_t node = ROOT;
	int rc = 0;
	for (uint32_t k = 0; rc == 0 && k < rule->nsegments; k++) {
		const struct sn_segment *seg = &rule->segments[k];
		rc = seg->nelems ? variable_child(m, node, seg, &node)
		                 : static_child(m, node, seg, &node);
	}
	return rc < 0 ? rc : add_leaf(&m->nodes[node], &m->endpoints[i], &rule->info, why);
}

/* Parses every rule and makes a hash table that stays at most half full. */
static int
prepare(struct sn_matcher *m, struct sn_why *why)
{
	size_t statics = 0, size = 16;
	for (size_t i = 0; i < m->n; i++) {
		const struct sn_endpoint *e = &m->endpoints[i];
		int rc = sn_rule_parse(&m->rules[i], e->rule, why);
		if (rc < 0)
			return rc;
		if (!e->methods)
			return sn_why_set(why, SN_EINVAL, "rule '%s': '%s' (%s:%d) has no method; "
			                  "give it one, such as GET", e->rule, shown(e),
			                  e->file ? e->file : "?", e->line);
		for (uint32_t k = 0; k < m->rules[i]->nsegments; k++)
			statics += m->rules[i]->segments[k].nelems == 0;
	}
	while (size < 2 * statics)
		size *= 2;
	m->slots = calloc(size, sizeof(*m->slots));
	m->mask = (uint32_t)(size - 1);
	return m->slots ? 0 : SN_ENOMEM;
}

int
sn_matcher_new(struct sn_matcher **out, const struct sn_endpoint *endpoints, size_t n,
               struct sn_why *why)
{
	uint32_t root;
	int rc = SN_ENOMEM;
	*out = NULL;
	if (why)
		why->text[0] = '\0';
	struct sn_matcher *m = calloc(1, sizeof(*m));
	if (!m)
		goto out;
	m->endpoints = endpoints;
	m->n = n;
	m->rules = calloc(n + 1, sizeof(struct sn_rule *));
	if (!m->rules || (rc = new_node(m, &root)) < 0)
		goto out;
	rc = prepare(m, why);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = add_rule(m, i, why);
out:
	if (rc == SN_ENOMEM)
		sn_why_set(why, rc, "out of memory while building a table of %zu routes", n);
	if (rc < 0)
		sn_matcher_free(m);
	else
		*out = m;
	return rc;
}

void
sn_matcher_free(struct sn_matcher *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->nnodes; i++) {
		free(m->nodes[i].edges);
		free(m->nodes[i].leaves);
	}
	for (size_t i = 0; m->rules && i < m->n; i++)
		sn_rule_free(m->rules[i]);
	free(m->rules);
	free(m->nodes);
	free(m->slots);
	free(m);
}

/* ---- looking up ------------------------------------------------------------- */

struct search {
	const struct sn_matcher *m;
	const char *path;
	size_t len;
	uint64_t method;
	struct sn_match *out;
	bool slash; /* found, but for the slash that the path lacks */
};

static uint64_t
answered(uint64_t methods)
{
	return methods | (methods & SN_METHOD_GET ? SN_METHOD_HEAD : 0);
}

enum slash { EXACT, LACKING, SPARE }; /* at the path's end, for the rule */

static bool
at_leaf(struct search *s, const struct node *node, uint32_t nvalues, enum slash slash)
{
	const struct leaf *found = NULL;
	for (uint32_t i = 0; i < node->nleaves; i++) {
		const struct leaf *leaf = &node->leaves[i];
		uint64_t methods = leaf->endpoint->methods;
		if (slash != EXACT && !leaf->endpoint->lax_slash) {
			s->slash |= slash == LACKING && (answered(methods) & s->method);
			continue;
		}
		s->out->allow |= answered(methods) | SN_METHOD_OPTIONS;
		/* a HEAD of its own wins over the one that GET brings */
		if ((methods & s->method) || (!found && (answered(methods) & s->method)))
			found = leaf;
	}
	if (!found)
		return s->slash;
	s->slash = false;
	s->out->endpoint = found->endpoint;
	s->out->info = found->info;
	s->out->nvalues = nvalues;
	return true;
}

/* The path is used up; a rule that goes on with a slash only is one that it lacks. */
static bool
at_end(struct search *s, uint32_t id, uint32_t nvalues)
{
	const struct sn_matcher *m = s->m;
	if (at_leaf(s, &m->nodes[id], nvalues, EXACT))
		return true;
	const struct slot *slot = find_slot(m, id, "", 0);
	return slot->child && at_leaf(s, &m->nodes[slot->child], nvalues, LACKING);
}

/* No rule goes on with what is at `pos`: with a slash more, or less? */
static bool
other_slash(struct search *s, const struct node *node, size_t pos, uint32_t nvalues)
{
	const char *rest = s->path + pos;
	size_t len = s->len - pos;
	struct sn_value *values = s->out->values + nvalues;
	bool spare = s->len > 1 && s->path[s->len - 1] == '/';
	if (spare && len == 0)
		return at_leaf(s, node, nvalues, SPARE);
	for (uint32_t i = 0; i < node->nedges; i++) {
		const struct edge *e = &node->edges[i];
		const struct node *child = &s->m->nodes[e->child];
		uint32_t n = nvalues + e->seg->nvars;
		if (e->seg->slashed && sn_segment_match_slash(e->seg, rest, len, pos, values) &&
		    at_leaf(s, child, n, LACKING))
			return true;
		if (e->seg->tail && spare && sn_segment_match(e->seg, rest, len - 1, pos, values) &&
		    at_leaf(s, child, n, SPARE))
			return true;
	}
	return false;
}

/* `pos`: where the next segment begins; len + 1: the path is used up. */
static bool
walk(struct search *s, uint32_t id, size_t pos, uint32_t nvalues)
{
	const struct sn_matcher *m = s->m;
	const struct node *node = &m->nodes[id];
	if (pos > s->len)
		return at_end(s, id, nvalues);
	const char *seg = s->path + pos;
	const char *slash = memchr(seg, '/', s->len - pos);
	size_t len = slash ? (size_t)(slash - seg) : s->len - pos;

	const struct slot *slot = node->statics ? find_slot(m, id, seg, len) : NULL;
	if (slot && slot->child && walk(s, slot->child, pos + len + 1, nvalues))
		return true;
	for (uint32_t i = 0; i < node->nedges; i++) {
		const struct edge *e = &node->edges[i];
		size_t take = e->seg->tail ? s->len - pos : len;
		if (sn_segment_match(e->seg, seg, take, pos, s->out->values + nvalues) &&
		    walk(s, e->child, pos + take + 1, nvalues + e->seg->nvars))
			return true;
	}
	return other_slash(s, node, pos, nvalues);
}

enum sn_match_result
sn_matcher_find(const struct sn_matcher *m, const char *path, size_t len, uint64_t method,
                struct sn_match *out)
{
	struct search s = { m, path, len, method, out, false };
	out->endpoint = NULL;
	out->info = NULL;
	out->allow = 0;
	out->nvalues = 0;
	if (len == 0 || path[0] != '/' || len > UINT32_MAX)
		return SN_MATCH_NO_PATH;
	if (walk(&s, ROOT, 1, 0))
		return s.slash ? SN_MATCH_SLASH : SN_MATCH_FOUND;
	return out->allow ? SN_MATCH_NO_METHOD : SN_MATCH_NO_PATH;
}

/* ---- for `check` ------------------------------------------------------------- */

int
sn_rule_check(const char *rule, struct sn_rule_info *info, struct sn_why *why)
{
	struct sn_rule *r;
	int rc = sn_rule_parse(&r, rule, why);
	if (rc == 0 && info) {
		*info = r->info;
		for (uint32_t i = 0; i < info->nvariables; i++)
			info->variables[i].name = NULL; /* they end with the rule */
	}
	sn_rule_free(r);
	return rc;
}

const struct sn_endpoint *
sn_matcher_shadows(const struct sn_matcher *m, const struct sn_endpoint *endpoint)
{
	const struct sn_endpoint *found = NULL;
	struct sn_match match;
	struct sn_rule *r;
	uint32_t id = ROOT;
	bool there = true;
	if (sn_rule_parse(&r, endpoint->rule, NULL) < 0)
		return NULL;
	/* A rule without variables matches one path: itself. */
	for (uint64_t bit = 1; bit && !found && r->info.nvariables == 0; bit <<= 1)
		if ((endpoint->methods & bit) &&
		    sn_matcher_find(m, endpoint->rule, strlen(endpoint->rule), bit, &match) ==
		            SN_MATCH_FOUND)
			found = match.endpoint;
	for (uint32_t k = 0; there && k < r->nsegments; k++) {
		const struct sn_segment *seg = &r->segments[k];
		const struct edge *e = seg->nelems ? find_edge(&m->nodes[id], seg) : NULL;
		const struct slot *slot =
			seg->nelems ? NULL : find_slot(m, id, seg->key, seg->key_len);
		there = e || (slot && slot->child);
		if (there)
			id = e ? e->child : slot->child;
	}
	for (uint32_t i = 0; there && !found && i < m->nodes[id].nleaves; i++)
		if (answered(m->nodes[id].leaves[i].endpoint->methods) & endpoint->methods)
			found = m->nodes[id].leaves[i].endpoint;
	sn_rule_free(r);
	return found;
}

const struct sn_rule_info *
sn_matcher_info(const struct sn_matcher *m, const struct sn_endpoint *endpoint)
{
	size_t i = (size_t)(endpoint - m->endpoints);
	if (endpoint < m->endpoints || i >= m->n)
		return NULL;
	return &m->rules[i]->info;
}
