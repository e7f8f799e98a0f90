/* SPDX-License-Identifier: MIT
 *
 * A module made for another version of the library: loading must refuse it.
 */
#include <snacgi.h>

static int
never(sn_request *req, sn_response *res)
{
	(void)req;
	(void)res;
	return 500;
}

static const sn_route routes[] = {
	{ .rule = "/never", .handler = never },
	{ .rule = NULL },
};

SN_API const sn_module sn_module_entry = { SN_ABI_VERSION + 1000, sizeof(sn_route), "broken", routes, NULL, NULL };
