/* SPDX-License-Identifier: MIT
 *
 * demo_native.so: endpoints for the stock daemon,
 *     native = { modules = [ "demo_native.so" ]; };
 * one for each thing that a native endpoint can do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>
#include <snacgi.h>

/* echo-fcgx.c: a program for libfcgi, ported. */
sn_fcgx_handler echo_fcgx;

/* GET /native/hello?name=... */
static int
hello(sn_request *req, sn_response *res)
{
	const char *name = sn_request_query(req, "name");

	sn_response_type(res, "text/plain; charset=utf-8");
	return sn_response_printf(res, "Hello, %s, from C!\n", name ? name : "world");
}

/* Takes `answer`: every handler that answers with JSON ends here. */
static int
answer_json(sn_response *res, struct json_object *answer)
{
	int rc = answer ? sn_response_json(res, answer) : SN_ENOMEM;

	json_object_put(answer);
	return rc;
}

/* GET /native/users/<int:id> */
static int
get_user(sn_request *req, sn_response *res)
{
	int64_t id;
	char name[32];
	struct json_object *user;

	/* The rule lets any number of digits pass; this one must fit 64 bits. */
	if (sn_request_value_int(req, "id", &id) < 0)
		return 404;
	user = json_object_new_object();
	if (!user)
		return SN_ENOMEM;
	snprintf(name, sizeof(name), "user %lld", (long long)id);
	json_object_object_add(user, "user_id", json_object_new_int64(id));
	json_object_object_add(user, "name", json_object_new_string(name));
	return answer_json(res, user);
}

/* POST /native/echo, a JSON body: {"echo": the body, "bytes": its size} */
static int
echo_json(sn_request *req, sn_response *res)
{
	struct json_object *body = sn_request_json(req), *answer;

	/* A JSON null is NULL without an error. */
	if (!body && *sn_request_json_error(req))
		return sn_response_error(res, 400, "malformed JSON: %s", sn_request_json_error(req));
	answer = json_object_new_object();
	if (!answer)
		return SN_ENOMEM;
	/* The request keeps its reference; the answer takes one of its own. */
	json_object_object_add(answer, "echo", json_object_get(body));
	json_object_object_add(answer, "bytes", json_object_new_int64((int64_t)sn_request_body_size(req)));
	return answer_json(res, answer);
}

/* A whole number from the query, within bounds; -1 when it is none. */
static long
query_number(sn_request *req, const char *name, long preset, long max)
{
	const char *text = sn_request_query(req, name);
	char *end;
	long n;

	if (!text)
		return preset;
	n = strtol(text, &end, 10);
	return *text && !*end && n >= 0 && n <= max ? n : -1;
}

/* GET /native/stream?lines=N: written as fast as the peer reads, in constant
 * memory, on an I/O thread that is never kept waiting. */
struct lines {
	long next, end;
};

static ssize_t
pull_lines(void *arg, void *buf, size_t size)
{
	struct lines *l = arg;
	size_t used = 0;

	while (l->next < l->end && size - used >= 32)
		used += (size_t)snprintf((char *)buf + used, size - used, "line %ld\n", l->next++);
	return (ssize_t)used;
}

static int
stream(sn_request *req, sn_response *res)
{
	long n = query_number(req, "lines", 1000, 100000000);
	struct lines *l;
	int rc;

	if (n < 0)
		return sn_response_error(res, 400, "lines must be a number up to 100000000");
	l = malloc(sizeof(*l));
	if (!l)
		return SN_ENOMEM;
	*l = (struct lines){ 0, n };
	sn_response_type(res, "text/plain");
	/* From here on free() is called when the stream has ended, however it ends. */
	rc = sn_response_pull(res, -1, pull_lines, free, l);
	if (rc < 0)
		free(l);
	return rc;
}

static void
sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&ts, &ts) != 0)
		;
}

/* GET /native/slow?ms=N: blocks its thread, and delays nobody else. */
static int
slow(sn_request *req, sn_response *res)
{
	long ms = query_number(req, "ms", 1000, 60000), left;

	if (ms < 0)
		return sn_response_error(res, 400, "ms must be a number up to 60000");
	for (left = ms; left > 0 && !sn_request_gone(req); left -= 50)
		sleep_ms(left < 50 ? left : 50);
	sn_response_type(res, "application/json");
	return sn_response_printf(res, "{\"slept_ms\":%ld}", ms);
}

/* GET /native/ticks?n=N&ms=N: a stream from a blocking handler; sn_response_send()
 * waits while the peer has no room. */
static int
ticks(sn_request *req, sn_response *res)
{
	long n = query_number(req, "n", 5, 10000), ms = query_number(req, "ms", 100, 10000), i;
	char line[32];
	int rc = 0;

	if (n < 0 || ms < 0)
		return sn_response_error(res, 400, "n and ms must be numbers up to 10000");
	sn_response_type(res, "text/plain");
	for (i = 0; i < n && rc == 0; i++) {
		if (i)
			sleep_ms(ms);
		snprintf(line, sizeof(line), "tick %ld\n", i);
		rc = sn_response_send(res, line, strlen(line));
	}
	return rc == SN_EGONE ? 0 : rc; /* nobody reads any more: that is no failure */
}

static const sn_route routes[] = {
	{ .rule = "/native/hello", .handler = hello, .name = "hello", .summary = "a greeting", SN_HERE },
	{ .rule = "/native/users/<int:id>", .handler = get_user, .name = "get_user", SN_HERE },
	{ .rule = "/native/echo", .handler = echo_json, .methods = "POST", .name = "echo_json", SN_HERE },
	{ .rule = "/native/stream", .handler = stream, .name = "stream", SN_HERE },
	{ .rule = "/native/slow", .handler = slow, .flags = SN_BLOCKING, .name = "slow", SN_HERE },
	{ .rule = "/native/ticks", .handler = ticks, .flags = SN_BLOCKING, .name = "ticks", SN_HERE },
	{ .rule = "/native/fcgx", .fcgx = echo_fcgx, .methods = "GET, POST", .name = "echo_fcgx", SN_HERE },
	{ .rule = NULL },
};

SN_MODULE("demo_native", routes, NULL, NULL);
