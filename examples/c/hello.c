/* SPDX-License-Identifier: MIT
 *
 * A whole server with a table of its own. Build it with the Makefile beside
 * it, then:   ./hello -l unix:/tmp/hello.sock
 */
#include <snacgi.h>

static int
hello(sn_request *req, sn_response *res)
{
	const char *name = sn_request_query(req, "name");

	sn_response_type(res, "text/plain; charset=utf-8");
	return sn_response_printf(res, "Hello, %s!\n", name ? name : "world");
}

static int
square(sn_request *req, sn_response *res)
{
	int64_t n;

	if (sn_request_value_int(req, "n", &n) < 0 || n > 3037000499)
		return 400; /* too large for its square */
	sn_response_type(res, "application/json");
	return sn_response_printf(res, "{\"square\":%lld}", (long long)(n * n));
}

static const sn_route routes[] = {
	{ .rule = "/hello", .handler = hello, SN_HERE },
	{ .rule = "/square/<int:n>", .handler = square, SN_HERE },
	{ .rule = NULL },
};

int
main(int argc, char **argv)
{
	return sn_main(argc, argv, routes);
}
