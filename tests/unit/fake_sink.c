/* SPDX-License-Identifier: MIT
 *
 * The recording sink. Everything is under one mutex; callbacks of producers
 * are called without it, as an I/O thread would.
 */
#include "fake_sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

void
fake_sink_init(struct fake_sink *s)
{
	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->mtx, NULL);
	sn_clock_cond_init(&s->changed);
	s->length = -1;
}

void
fake_sink_free(struct fake_sink *s)
{
	sn_buf_free(&s->head);
	sn_buf_free(&s->body);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->mtx);
}

static struct fake_sink *
lock_of(struct sn_request *req)
{
	struct fake_sink *s = req->owner;
	pthread_mutex_lock(&s->mtx);
	return s;
}

static int
unlock(struct fake_sink *s, int rc)
{
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->mtx);
	return rc;
}

static void
add_body(struct fake_sink *s, const void *data, size_t len)
{
	SN_ASSERT(sn_buf_add(&s->body, data, len) == 0 && sn_buf_terminate(&s->body) == 0);
}

static bool
ended(const struct fake_sink *s)
{
	return s->responds || s->finishes || s->cuts;
}

/* Records the head; true when body bytes follow. */
static bool
take_head(struct fake_sink *s, const struct sn_response *res)
{
	bool suppress = false;
	s->length = sn_response_length(res, &suppress);
	SN_ASSERT(sn_response_head(res, &s->head) == 0 && sn_buf_terminate(&s->head) == 0);
	SN_ASSERT(strncmp(s->head.data, "Status: ", 8) == 0);
	s->status = atoi(s->head.data + 8);
	add_body(s, "", 0);
	return !suppress;
}

static void
pull_all(struct fake_sink *s, struct sn_response *res, bool keep)
{
	size_t size = s->pull_size ? s->pull_size : 4096;
	char *chunk = malloc(size);
	SN_ASSERT(chunk);
	for (;;) {
		ssize_t n = res->pull(res->pull_arg, chunk, size);
		if (n < 0)
			s->cuts++;
		if (n <= 0)
			break;
		SN_ASSERT((size_t)n <= size);
		if (keep)
			add_body(s, chunk, (size_t)n);
	}
	free(chunk);
	if (res->pull_done)
		res->pull_done(res->pull_arg);
	res->pull = NULL;
	res->pull_done = NULL;
}

static int
fake_respond(struct sn_request *req, struct sn_response *res)
{
	struct fake_sink *s = lock_of(req);
	if (s->gone || ended(s) || s->starts)
		return unlock(s, SN_EGONE);
	bool keep = take_head(s, res);
	if (res->pull)
		pull_all(s, res, keep);
	else if (keep)
		add_body(s, res->ext ? res->ext : res->body.data, res->ext ? res->ext_len : res->body.len);
	if (res->done) {
		res->done(res->done_arg);
		res->done = NULL;
	}
	s->responds++;
	return unlock(s, 0);
}

static int
fake_start(struct sn_request *req, struct sn_response *res)
{
	struct fake_sink *s = lock_of(req);
	if (s->gone || ended(s) || s->starts)
		return unlock(s, SN_EGONE);
	take_head(s, res);
	s->starts++;
	return unlock(s, 0);
}

static int
fake_write(struct sn_request *req, const void *data, size_t len)
{
	struct fake_sink *s = lock_of(req);
	SN_ASSERT(s->starts == 1);
	if (s->gone || ended(s))
		return unlock(s, SN_EGONE);
	add_body(s, data, len);
	s->writes++;
	s->untaken += len;
	return unlock(s, s->room && s->untaken >= s->room ? SN_EAGAIN : 0);
}

static int
fake_wait_room(struct sn_request *req, void (*room)(struct sn_request *, void *), void *arg)
{
	struct fake_sink *s = lock_of(req);
	SN_ASSERT(!s->waiter);
	if (s->gone || ended(s))
		return unlock(s, SN_EGONE);
	if (!s->room || s->untaken < s->room)
		return unlock(s, 1);
	s->waiter = room;
	s->waiter_arg = arg;
	s->waiter_req = req;
	return unlock(s, 0);
}

static int
fake_finish(struct sn_request *req)
{
	struct fake_sink *s = lock_of(req);
	SN_ASSERT(s->starts == 1);
	if (s->gone || ended(s))
		return unlock(s, SN_EGONE);
	s->finishes++;
	return unlock(s, 0);
}

static void
fake_cut(struct sn_request *req)
{
	struct fake_sink *s = lock_of(req);
	s->cuts++;
	unlock(s, 0);
}

static void
fake_release(void *owner)
{
	struct fake_sink *s = owner;
	pthread_mutex_lock(&s->mtx);
	s->released++;
	unlock(s, 0);
}

const struct sn_sink_ops fake_sink_ops = {
	.respond = fake_respond,
	.start = fake_start,
	.write = fake_write,
	.wait_room = fake_wait_room,
	.finish = fake_finish,
	.cut = fake_cut,
	.release = fake_release,
};

/* Takes the waiting producer under the lock, calls it without. */
static void
wake_waiter(struct fake_sink *s)
{
	void (*waiter)(struct sn_request *, void *) = s->waiter;
	void *arg = s->waiter_arg;
	struct sn_request *req = s->waiter_req;
	s->waiter = NULL;
	unlock(s, 0);
	if (waiter)
		waiter(req, arg);
}

void
fake_sink_drain(struct fake_sink *s)
{
	pthread_mutex_lock(&s->mtx);
	s->untaken = 0;
	wake_waiter(s);
}

void
fake_sink_go(struct fake_sink *s, struct sn_request *req)
{
	pthread_mutex_lock(&s->mtx);
	s->gone = true;
	atomic_fetch_or(&req->marks, SN_MARK_GONE);
	wake_waiter(s);
}

static bool
wait_for(struct fake_sink *s, int ms, bool stuck)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&s->mtx);
	int rc = 0;
	while (rc == 0 && !ended(s) && !(stuck && s->waiter))
		rc = pthread_cond_timedwait(&s->changed, &s->mtx, &until);
	bool ok = stuck ? s->waiter != NULL : ended(s);
	pthread_mutex_unlock(&s->mtx);
	return ok;
}

int
fake_sink_responds(struct fake_sink *s)
{
	pthread_mutex_lock(&s->mtx);
	int n = s->responds;
	pthread_mutex_unlock(&s->mtx);
	return n;
}

bool
fake_sink_wait_end(struct fake_sink *s, int ms)
{
	return wait_for(s, ms, false);
}

bool
fake_sink_wait_stuck(struct fake_sink *s, int ms)
{
	return wait_for(s, ms, true);
}

const char *
fake_sink_header(struct fake_sink *s, const char *name)
{
	static char value[8192];
	size_t n = strlen(name);
	for (const char *at = s->head.data; at && *at;) {
		const char *end = strstr(at, "\r\n");
		if (!end)
			break;
		if (strncasecmp(at, name, n) == 0 && at[n] == ':') {
			for (at += n + 1; *at == ' '; at++)
				;
			snprintf(value, sizeof(value), "%.*s", (int)(end - at), at);
			return value;
		}
		at = end + 2;
	}
	return NULL;
}

static void
add_length(struct sn_buf *b, size_t len)
{
	unsigned char form[4] = { (unsigned char)(len >> 24 | 0x80), (unsigned char)(len >> 16),
		                  (unsigned char)(len >> 8), (unsigned char)len };
	if (len < 128)
		SN_ASSERT(sn_buf_add(b, &form[3], 1) == 0);
	else
		SN_ASSERT(sn_buf_add(b, form, 4) == 0);
}

static void
add_param(struct sn_buf *b, const char *name, const char *value)
{
	add_length(b, strlen(name));
	add_length(b, strlen(value));
	SN_ASSERT(sn_buf_adds(b, name) == 0 && sn_buf_adds(b, value) == 0);
}

struct sn_request *
fake_request(struct fake_sink *s, const char *method, const char *target, ...)
{
	struct sn_buf b;
	struct sn_request *req = NULL;
	const char *query = strchr(target, '?'), *name, *reason = NULL;
	int fault = 0;
	va_list ap;

	sn_buf_init(&b, NULL, 0);
	add_param(&b, "REQUEST_METHOD", method);
	add_param(&b, "REQUEST_URI", target);
	add_param(&b, "QUERY_STRING", query ? query + 1 : "");
	va_start(ap, target);
	while ((name = va_arg(ap, const char *)) != NULL)
		add_param(&b, name, va_arg(ap, const char *));
	va_end(ap);
	int rc = sn_request_build(&req, SN_FORM_FCGI, (const uint8_t *)b.data, b.len, 128, NULL, &fault);
	SN_ASSERT(rc == 0 && req);
	sn_buf_free(&b);
	req->id = 0x1234;
	if (s) {
		req->sink = &fake_sink_ops;
		req->owner = s;
	}
	rc = sn_request_resolve(req, SN_PATH_AUTO, "", &reason);
	SN_ASSERT(rc == 0);
	return req;
}

void
fake_request_body(struct sn_request *req, const void *data, size_t len, size_t memory)
{
	SN_ASSERT(sn_body_append(&req->body, data, len, memory, NULL) == 0);
}

void
fake_request_values(struct sn_request *req, struct sn_rule_info *info, ...)
{
	struct sn_value values[SN_ROUTE_VALUES_MAX];
	const char *name, *from = req->path.path;
	va_list ap;

	memset(info, 0, sizeof(*info));
	va_start(ap, info);
	while ((name = va_arg(ap, const char *)) != NULL) {
		const char *value = va_arg(ap, const char *);
		const char *at = strstr(from, value);
		SN_ASSERT(at && info->nvariables < SN_ROUTE_VALUES_MAX);
		values[info->nvariables].off = (uint32_t)(at - req->path.path);
		values[info->nvariables].len = (uint32_t)strlen(value);
		info->variables[info->nvariables++].name = name;
		from = at + strlen(value);
	}
	va_end(ap);
	req->rule = info;
	SN_ASSERT(sn_request_set_values(req, values, info->nvariables) == 0);
}
