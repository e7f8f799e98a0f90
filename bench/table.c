/* SPDX-License-Identifier: MIT
 *
 * The native side of the benchmark: a server with a table of its own, whose
 * endpoint answers what the peers answer. Takes snacgi's command line.
 */
#include <stdlib.h>
#include <string.h>

#include <snacgi.h>

/* GET /users/<int:id>, converted and formatted as a real endpoint would. */
static int
user(sn_request *req, sn_response *res)
{
	int64_t id;

	if (sn_request_value_int(req, "id", &id) < 0)
		return 404;
	sn_response_type(res, "application/json");
	return sn_response_printf(res, "{\"user_id\":%lld,\"name\":\"user\",\"active\":true}",
	                          (long long)id);
}

/* GET /fixed: nothing but the server's own work. */
static int
fixed(sn_request *req, sn_response *res)
{
	(void)req;
	sn_response_type(res, "application/json");
	return sn_response_puts(res, "{\"user_id\":42,\"name\":\"user\",\"active\":true}");
}

/* POST /size: reads the whole body and tells its size. */
static int
size(sn_request *req, sn_response *res)
{
	char buf[65536];
	uint64_t at = 0;
	ssize_t n;

	while ((n = sn_request_body_read(req, at, buf, sizeof(buf))) > 0)
		at += (uint64_t)n;
	if (n < 0)
		return 500;
	sn_response_type(res, "application/json");
	return sn_response_printf(res, "{\"size\":%llu}", (unsigned long long)at);
}

/* POST /length: the same, and leaves the body where it is, as one does who hands the file on. */
static int
length(sn_request *req, sn_response *res)
{
	sn_response_type(res, "application/json");
	return sn_response_printf(res, "{\"size\":%llu}", (unsigned long long)sn_request_body_size(req));
}

/* GET /bytes?n=N: that many bytes, pulled. */
static ssize_t
pull(void *arg, void *buf, size_t len)
{
	uint64_t *left = arg;
	size_t n = len < *left ? len : (size_t)*left;

	memset(buf, 'x', n);
	*left -= n;
	return (ssize_t)n;
}

static int
bytes(sn_request *req, sn_response *res)
{
	const char *text = sn_request_query(req, "n");
	uint64_t *left;
	int rc;

	if (!text || *text < '0' || *text > '9')
		return 400;
	left = malloc(sizeof(*left));
	if (!left)
		return SN_ENOMEM;
	*left = strtoull(text, NULL, 10);
	rc = sn_response_pull(res, (int64_t)*left, pull, free, left);
	if (rc < 0)
		free(left);
	return rc;
}

static const sn_route routes[] = {
	{ .rule = "/users/<int:id>", .handler = user, SN_HERE },
	{ .rule = "/fixed", .handler = fixed, SN_HERE },
	{ .rule = "/size", .handler = size, .methods = "POST, PUT", SN_HERE },
	{ .rule = "/length", .handler = length, .methods = "POST, PUT", SN_HERE },
	{ .rule = "/bytes", .handler = bytes, SN_HERE },
	{ .rule = NULL },
};

int
main(int argc, char **argv)
{
	return sn_main(argc, argv, routes);
}
