/* SPDX-License-Identifier: MIT
 *
 * One variable of a rule by itself: may it be this text? For those who build
 * URLs from rules. Pure; any thread.
 */
#include <string.h>

#include "route/matcher.h"
#include "route/rule.h"

/* The segment of the rule's variable `i`, which becomes the segment's. */
static const struct sn_segment *
segment_of(const struct sn_rule *r, uint32_t *i)
{
	const struct sn_segment *seg = r->segments;
	for (; *i >= seg->nvars; seg++)
		*i -= seg->nvars;
	return seg;
}

static bool
takes(const struct sn_segment *seg, uint32_t i, const char *text, size_t len)
{
	struct sn_value value;
	struct sn_segment alone = { .nvars = 1 };
	struct sn_bound bound;
	struct sn_elem *e = seg->elems;
	for (uint32_t begun = 0; (begun += e->begin) <= i; e++)
		;
	alone.elems = e;
	while (!e->end)
		e++;
	alone.nelems = (uint16_t)(e - alone.elems + 1);
	for (uint16_t k = 0; k < seg->nbounds; k++)
		if (seg->bounds[k].variable == i) {
			bound = seg->bounds[k];
			bound.variable = 0;
			alone.bounds = &bound;
			alone.nbounds = 1;
		}
	return len > 0 && sn_segment_match(&alone, text, len, 0, &value);
}

int
sn_rule_takes(const char *rule, const char *name, const char *text, size_t len, struct sn_why *why)
{
	struct sn_rule *r;
	uint32_t i = 0;
	int rc = sn_rule_parse(&r, rule, why);
	if (rc < 0)
		return rc;
	while (i < r->info.nvariables && strcmp(r->info.variables[i].name, name) != 0)
		i++;
	if (i == r->info.nvariables)
		rc = sn_why_set(why, SN_ENOENT, "rule '%s' has no variable '%s'", rule, name);
	if (rc == 0) {
		const struct sn_segment *seg = segment_of(r, &i);
		rc = takes(seg, i, text, len);
	}
	sn_rule_free(r);
	return rc;
}
