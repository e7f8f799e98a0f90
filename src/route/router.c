/* SPDX-License-Identifier: MIT
 *
 * The native table first, then Python's; what neither answers is told apart
 * here. Any thread, no lock.
 */
#include "route/router.h"

enum sn_match_result
sn_router_find(const struct sn_router *r, const char *path, size_t len, uint64_t method,
               struct sn_match *out)
{
	enum sn_match_result native = SN_MATCH_NO_PATH, python = SN_MATCH_NO_PATH;
	uint64_t allow = 0;
	if (r->native) {
		native = sn_matcher_find(r->native, path, len, method, out);
		if (native == SN_MATCH_FOUND)
			return native;
		allow = out->allow;
	}
	if (r->python) {
		python = sn_matcher_find(r->python, path, len, method, out);
		allow |= out->allow;
	} else if (!r->native) {
		out->endpoint = NULL;
		out->info = NULL;
		out->nvalues = 0;
	}
	out->allow = allow;
	if (python == SN_MATCH_FOUND)
		return python;
	if (native == SN_MATCH_SLASH || python == SN_MATCH_SLASH)
		return SN_MATCH_SLASH;
	return allow ? SN_MATCH_NO_METHOD : SN_MATCH_NO_PATH;
}
