/* SPDX-License-Identifier: MIT
 *
 * Rules compiled into a tree of path segments; a look-up's cost does not grow
 * with the number of rules. Pure after compilation: any thread, no lock, no GIL.
 */
#ifndef SN_ROUTE_MATCHER_H
#define SN_ROUTE_MATCHER_H

#include "base/err.h"
#include "http/endpoint.h"
#include "http/request.h"

struct sn_matcher;

struct sn_match {
	const struct sn_endpoint *endpoint;
	const struct sn_rule_info *info;
	/* Methods of every rule that matches the path (HEAD with GET, OPTIONS). Complete
	 * when nothing answers the method; a found one stops the search. */
	uint64_t allow;
	uint32_t nvalues;
	struct sn_value values[SN_ROUTE_VALUES_MAX];
};

/* SLASH: the path with a slash at its end would be found; the answer is a redirect there. */
enum sn_match_result { SN_MATCH_FOUND, SN_MATCH_NO_PATH, SN_MATCH_NO_METHOD, SN_MATCH_SLASH };

/* Checks one rule's syntax: SN_EINVAL with what is wrong, where, and the mend. `info`
 * (may be NULL) gets the variables' number and converters; their names are NULL. */
int sn_rule_check(const char *rule, struct sn_rule_info *info, struct sn_why *why);
/* May the rule's variable of that name be this text? 1 or 0; SN_EINVAL: the rule is wrong,
 * SN_ENOENT: it has no such variable. */
int sn_rule_takes(const char *rule, const char *name, const char *text, size_t len,
                  struct sn_why *why);
/* Borrows the endpoints. A rule that two endpoints share for one method is SN_EINVAL,
 * naming both places. */
int sn_matcher_new(struct sn_matcher **out, const struct sn_endpoint *endpoints, size_t n,
                   struct sn_why *why);
void sn_matcher_free(struct sn_matcher *m);
/* `path` is sn_path.match. HEAD falls back to GET; among rules the more specific wins:
 * static text before converters, any before int, float and uuid before string before
 * path, with arguments before without, decided at the first segment that differs. "/a" for the rule "/a/" is SLASH, where no
 * more specific rule takes it; "/a/" for the rule "/a" is not found; both are found where the
 * endpoint has lax_slash. Needs no memory but for a path of several KiB against a segment
 * with several variables; when that is not to be had, the segment does not match.
 * A more specific rule without the method does not hide a less specific one with it. */
enum sn_match_result sn_matcher_find(const struct sn_matcher *m, const char *path, size_t len,
                                     uint64_t method, struct sn_match *out);
/* The endpoint of `m` that hides `endpoint` of a table asked later, for one of its
 * methods at least: one that answers every path of its rule (the same rule up to
 * variable names, or any that answers the one path of a rule without variables).
 * NULL: none. For `check`. */
const struct sn_endpoint *sn_matcher_shadows(const struct sn_matcher *m,
                                             const struct sn_endpoint *endpoint);
/* The compiled info of an endpoint's rule. */
const struct sn_rule_info *sn_matcher_info(const struct sn_matcher *m,
                                           const struct sn_endpoint *endpoint);

#endif
