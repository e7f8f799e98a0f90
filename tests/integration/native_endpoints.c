/* SPDX-License-Identifier: MIT
 *
 * The native endpoints that integration tests ask, as a loadable module for
 * the stock daemon. Uses nothing but the public header.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>
#include <snacgi.h>

static void
nap(long ms)
{
	struct timespec ts = { ms / 1000, (ms % 1000) * 1000000 };

	while (nanosleep(&ts, &ts) != 0)
		;
}

static long
query_long(sn_request *req, const char *name, long fallback)
{
	const char *text = sn_request_query(req, name);

	return text ? strtol(text, NULL, 10) : fallback;
}

static int
hello(sn_request *req, sn_response *res)
{
	(void)req;
	sn_response_type(res, "application/json");
	return sn_response_puts(res, "{\"hello\":\"native\"}");
}

static int
user(sn_request *req, sn_response *res)
{
	struct json_object *obj;
	int64_t id;
	int err;

	err = sn_request_value_int(req, "id", &id);
	if (err)
		return sn_response_error(res, 404, "no such user: %s", sn_request_value(req, "id"));
	obj = json_object_new_object();
	if (!obj)
		return SN_ENOMEM;
	json_object_object_add(obj, "user_id", json_object_new_int64(id));
	err = sn_response_json(res, obj);
	json_object_put(obj);
	return err;
}

static int
add_param(void *arg, const char *name, const char *value)
{
	json_object_object_add(arg, name, json_object_new_string(value));
	return 0;
}

/* Everything that the request API tells, so that tests can compare it. */
static int
show(sn_request *req, sn_response *res)
{
	struct json_object *obj = json_object_new_object(), *params = json_object_new_object();
	const char *name = sn_request_query(req, "header");
	const uint8_t *body;
	unsigned sum = 0;
	size_t len, i;
	int err;

	body = sn_request_body(req, &len);
	for (i = 0; i < len; i++)
		sum += body[i];
	sn_request_each_param(req, add_param, params);
	json_object_object_add(obj, "method", json_object_new_string(sn_request_method(req)));
	json_object_object_add(obj, "path", json_object_new_string(sn_request_path(req)));
	json_object_object_add(obj, "query", json_object_new_string(sn_request_query_string(req)));
	json_object_object_add(obj, "type", json_object_new_string(sn_request_content_type(req)));
	json_object_object_add(obj, "length", json_object_new_int64((int64_t)len));
	json_object_object_add(obj, "sum", json_object_new_int64(sum % 65536));
	json_object_object_add(obj, "params", params);
	if (name && sn_request_header(req, name))
		json_object_object_add(obj, "header", json_object_new_string(sn_request_header(req, name)));
	if (sn_request_query(req, "q"))
		json_object_object_add(obj, "q", json_object_new_string(sn_request_query(req, "q")));
	err = sn_response_json(res, obj);
	json_object_put(obj);
	return err ? 500 : 0;
}

static int
file(sn_request *req, sn_response *res)
{
	struct json_object *obj = json_object_new_object();
	int err;

	json_object_object_add(obj, "name", json_object_new_string(sn_request_value(req, "name")));
	json_object_object_add(obj, "path", json_object_new_string(sn_request_path(req)));
	err = sn_response_json(res, obj);
	json_object_put(obj);
	return err ? 500 : 0;
}

static int
echo_json(sn_request *req, sn_response *res)
{
	struct json_object *body = sn_request_json(req);

	if (!body)
		return sn_response_error(res, 400, "%s", sn_request_json_error(req));
	return sn_response_json(res, body) ? 500 : 0;
}

static int
text(sn_request *req, sn_response *res)
{
	sn_response_puts(res, sn_request_ctx(req));
	return 0;
}

/* ---- wrong ones ---------------------------------------------------------- */

static int
fail(sn_request *req, sn_response *res)
{
	(void)res;
	return (int)query_long(req, "code", -4711);
}

static int
inject(sn_request *req, sn_response *res)
{
	int refused = 0;

	(void)req;
	refused += sn_response_header(res, "X-Bad", "a\r\nX-Injected: yes") == SN_EINVAL;
	refused += sn_response_header(res, "X-Bad", "a\nX-Injected: yes") == SN_EINVAL;
	refused += sn_response_header(res, "X-Bad\r\nX-Injected", "yes") == SN_EINVAL;
	refused += sn_response_header(res, "X-Bad: x", "yes") == SN_EINVAL;
	refused += sn_response_header(res, "", "yes") == SN_EINVAL;
	refused += sn_response_header(res, "Transfer-Encoding", "chunked") == SN_EINVAL;
	refused += sn_response_header(res, "Content-Length", "7") == SN_EINVAL;
	refused += sn_response_header(res, "Status", "200 OK") == SN_EINVAL;
	refused += sn_response_type(res, "text/plain\r\nX-Injected: yes") == SN_EINVAL;
	return sn_response_printf(res, "%d", refused) ? 500 : 0;
}

/* ---- streams ------------------------------------------------------------- */

struct source {
	int64_t left;
	int64_t cut_at;
	char *done; /* a file to make at the end */
};

static void
touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	if (fd >= 0)
		close(fd);
}

static ssize_t
source_pull(void *arg, void *buf, size_t size)
{
	struct source *src = arg;

	if (src->left <= src->cut_at)
		return -1;
	if ((int64_t)size > src->left - (src->cut_at > 0 ? src->cut_at : 0))
		size = (size_t)(src->left - (src->cut_at > 0 ? src->cut_at : 0));
	memset(buf, 'p', size);
	src->left -= (int64_t)size;
	return (ssize_t)size;
}

static int done_calls; /* only for the test's own eyes; I/O threads add, any reads */

static void
source_done(void *arg)
{
	struct source *src = arg;

	__atomic_add_fetch(&done_calls, 1, __ATOMIC_SEQ_CST);
	if (src->done)
		touch(src->done);
	free(src->done);
	free(src);
}

static int
pulled(sn_request *req, sn_response *res)
{
	struct source *src = malloc(sizeof(*src));
	long size = query_long(req, "size", 100000);

	if (!src)
		return 503;
	src->left = size;
	src->cut_at = query_long(req, "cut", -1);
	src->done = sn_request_query(req, "done") ? strdup(sn_request_query(req, "done")) : NULL;
	sn_response_type(res, "application/octet-stream");
	return sn_response_pull(res, query_long(req, "known", 1) ? size : -1, source_pull, source_done, src) ? 500 : 0;
}

static int
pulls_done(sn_request *req, sn_response *res)
{
	(void)req;
	return sn_response_printf(res, "%d", __atomic_load_n(&done_calls, __ATOMIC_SEQ_CST)) ? 500 : 0;
}

static int
blocking(sn_request *req, sn_response *res)
{
	nap(query_long(req, "ms", 1));
	return sn_response_puts(res, "rested");
}

/* A crash, as the supervisor sees it. */
static int
die(sn_request *req, sn_response *res)
{
	(void)req;
	(void)res;
	kill(getpid(), SIGKILL);
	return 500;
}

/* `n` and as many bytes as asked for, whole. */
static int
fill(sn_request *req, sn_response *res)
{
	static char bytes[8192];
	long n = query_long(req, "n", 0), size = query_long(req, "size", 0);

	if (!bytes[0])
		memset(bytes, 'f', sizeof(bytes));
	if (size < 0 || size > (long)sizeof(bytes))
		return 400;
	return sn_response_printf(res, "%ld %.*s", n, (int)size, bytes) ? 500 : 0;
}

/* Stands there until the file `gate` exists; says so in a file beside it. */
static int
stand(sn_request *req, sn_response *res)
{
	const char *gate = sn_request_query(req, "gate");
	char here[4096];
	FILE *f;

	if (!gate || snprintf(here, sizeof(here), "%s.here", gate) >= (int)sizeof(here))
		return 400;
	f = fopen(here, "a");
	if (!f)
		return 500;
	fputc('x', f);
	fclose(f);
	while (access(gate, F_OK) != 0)
		nap(2);
	return sn_response_puts(res, "opened") ? 500 : 0;
}

static int
sender(sn_request *req, sn_response *res)
{
	long chunks = query_long(req, "chunks", 10), size = query_long(req, "size", 1000), i;
	char *buf = malloc((size_t)size);
	int err = 0;

	if (!buf)
		return 503;
	memset(buf, 's', (size_t)size);
	sn_response_type(res, "application/octet-stream");
	for (i = 0; i < chunks && !err; i++)
		err = sn_response_send(res, buf, (size_t)size);
	free(buf);
	return 0;
}

/* Sends `size` bytes, says so by the file `gate`/sent, and the rest when `gate`/open is there. */
static int
gated(sn_request *req, sn_response *res)
{
	const char *gate = sn_request_query(req, "gate");
	long size = query_long(req, "size", 1), i;
	char path[4096], *buf;
	int err;

	if (!gate || !(buf = malloc((size_t)size)))
		return 503;
	memset(buf, 'g', (size_t)size);
	sn_response_type(res, "text/plain");
	err = sn_response_send(res, buf, (size_t)size);
	free(buf);
	snprintf(path, sizeof(path), "%s/sent", gate);
	touch(path);
	snprintf(path, sizeof(path), "%s/open", gate);
	for (i = 0; !err && i < 50000 && access(path, F_OK) != 0; i++)
		nap(1);
	if (!err)
		sn_response_send(res, "end", 3);
	return 0;
}

static int
send_refused(sn_request *req, sn_response *res)
{
	(void)req;
	return sn_response_printf(res, "%d", sn_response_send(res, "x", 1)) ? 500 : 0;
}

static char greeting[] = "from the context";

/* As a write to where nobody may: this process ends. */
static int
crash(sn_request *req, sn_response *res)
{
	(void)req;
	(void)res;
	raise(SIGSEGV);
	return 500;
}

static const sn_route routes[] = {
	{ .rule = "/native/hello", .handler = hello, .summary = "Says hello.",
	  .description = "In C.\n\nWith <b>nothing</b> \"else\".", SN_HERE },
	{ .rule = "/native/kill", .handler = die, SN_HERE },
	{ .rule = "/native/kill-blocking", .handler = die, .flags = SN_BLOCKING, SN_HERE },
	{ .rule = "/native/users/<int:id>", .handler = user, SN_HERE },
	{ .rule = "/native/show", .handler = show, .methods = "GET, POST, PUT, DELETE, PATCH", SN_HERE },
	{ .rule = "/native/files/<path:name>", .handler = file, SN_HERE },
	{ .rule = "/native/one/<name>/end", .handler = file, SN_HERE },
	{ .rule = "/native/slash/<name>/", .handler = file, SN_HERE },
	{ .rule = "/native/echo", .handler = echo_json, .methods = "POST", SN_HERE },
	{ .rule = "/native/text", .handler = text, .ctx = greeting, SN_HERE },
	{ .rule = "/native/fail", .handler = fail, SN_HERE },
	{ .rule = "/native/inject", .handler = inject, SN_HERE },
	{ .rule = "/native/pull", .handler = pulled, SN_HERE },
	{ .rule = "/native/pulls-done", .handler = pulls_done, SN_HERE },
	{ .rule = "/native/blocking", .handler = blocking, .flags = SN_BLOCKING, SN_HERE },
	{ .rule = "/native/wait", .handler = stand, .flags = SN_BLOCKING, SN_HERE },
	{ .rule = "/native/stand", .handler = stand, SN_HERE },
	{ .rule = "/native/send", .handler = sender, .flags = SN_BLOCKING, SN_HERE },
	{ .rule = "/native/fill", .handler = fill, SN_HERE },
	{ .rule = "/native/gated", .handler = gated, .flags = SN_BLOCKING, SN_HERE },
	{ .rule = "/native/send-refused", .handler = send_refused, SN_HERE },
	{ .rule = "/native/crash", .handler = crash, SN_HERE },
	{ .rule = "/native/blocking-crash", .handler = crash, .flags = SN_BLOCKING, SN_HERE },
	{ .rule = "/both", .handler = text, .methods = "POST", .ctx = greeting, SN_HERE },
	{ .rule = NULL },
};

SN_MODULE("test endpoints", routes, NULL, NULL);
