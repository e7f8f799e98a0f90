/* SPDX-License-Identifier: MIT
 *
 * Both tables together: any native match on path and method wins over any
 * Python one; 404, 405 and OPTIONS are decided here, without Python.
 */
#ifndef SN_ROUTE_ROUTER_H
#define SN_ROUTE_ROUTER_H

#include "route/matcher.h"

struct sn_router {
	const struct sn_matcher *native, *python; /* either may be NULL */
};

/* As sn_matcher_find; out->allow is the union over both tables. */
enum sn_match_result sn_router_find(const struct sn_router *r, const char *path, size_t len,
                                    uint64_t method, struct sn_match *out);

#endif
