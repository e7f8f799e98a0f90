/* SPDX-License-Identifier: MIT
 *
 * Loadable modules for test_native_table: built once a fault, by a macro.
 */
#include <snacgi.h>

#include <stdlib.h>
#include <string.h>

int native_module_handler(sn_request *req, sn_response *res);

/* Not static: its name must be found when the route has none. */
SN_API int
native_module_handler(sn_request *req, sn_response *res)
{
	(void)req;
	return sn_response_puts(res, "from a module");
}

#ifdef MODULE_SHORT
/* What sn_route was before it had a description. */
struct short_route {
	const char *rule;
	sn_handler *handler;
	const char *methods;
	unsigned flags;
	void *ctx;
	const char *summary;
	sn_fcgx_handler *fcgx;
	const char *name;
	const char *file;
	int line;
};

static const struct short_route short_routes[] = {
	{ .rule = "/one", .handler = native_module_handler, .summary = "The first." },
	{ .rule = "/two", .handler = native_module_handler, .name = "two" },
	{ .rule = NULL }
};
#else
static const sn_route routes[] = {
	{ .rule = "/module", .handler = native_module_handler, SN_HERE },
#ifdef MODULE_BAD_ENTRY
	{ .rule = "/bad", .handler = native_module_handler, .methods = "GET, FROB", SN_HERE },
#endif
	{ .rule = NULL }
};
#endif

/* The test counts the calls through the environment: a module has no other way out. */
static void
count(const char *name)
{
	const char *old = getenv(name);
	char text[2] = { (char)((old ? old[0] : '0') + 1), '\0' };
	setenv(name, text, 1);
}

static int
begin(void)
{
	count("NATIVE_MODULE_INIT");
#ifdef MODULE_BAD_INIT
	return 7;
#else
	return 0;
#endif
}

static void
end(void)
{
	count("NATIVE_MODULE_FINI");
}

#if defined(MODULE_OLD)
SN_API const sn_module sn_module_entry = { SN_ABI_VERSION + 1, sizeof(sn_route), "old",
	                                   routes, begin, end };
#elif defined(MODULE_SIZE)
SN_API const sn_module sn_module_entry = { SN_ABI_VERSION, sizeof(sn_route) + 8, "size",
	                                   routes, begin, end };
#elif defined(MODULE_SHORT)
SN_API const sn_module sn_module_entry = { SN_ABI_VERSION, sizeof(struct short_route), "short",
	                                   (const void *)short_routes, begin, end };
#elif defined(MODULE_NO_ENTRY)
SN_API const sn_route *native_module_routes(void);
SN_API const sn_route *
native_module_routes(void)
{
	begin();
	end();
	return routes;
}
#else
SN_MODULE("native_module", routes, begin, end);
#endif
