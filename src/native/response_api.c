/* SPDX-License-Identifier: MIT
 *
 * The public functions that build an answer (snacgi.h). They belong to the
 * thread that runs the handler. Only sn_response_send() waits: on a blocking
 * thread, for an I/O thread to say that the peer has room.
 *
 * Wake-up: the sink calls room() exactly once for each wait_room() that
 * returned 0, also when the peer goes; the waiter lives on the stack of
 * sn_response_send(), which therefore never leaves before that call is over
 * (room() still holds the mutex while it signals).
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/log.h"
#include "http/path.h"
#include "native/native_priv.h"

/* Bytes handed to the sink at once: it takes all it is given, so this bounds
 * what it keeps for a slow peer. */
#define SEND_CHUNK (64 * 1024)

int
sn_response_status(sn_response *res, int status)
{
	if (status < 200 || status > 599 || res->started)
		return SN_EINVAL;
	res->status = status;
	return 0;
}

int
sn_response_header(sn_response *res, const char *name, const char *value)
{
	if (!name || !value || res->started)
		return SN_EINVAL;
	return sn_response_header_n(res, name, strlen(name), value, strlen(value));
}

int
sn_response_type(sn_response *res, const char *content_type)
{
	return sn_response_header(res, "Content-Type", content_type);
}

/* A body can be added only while none was given in another way. */
static bool
takes_bytes(const struct sn_response *res)
{
	return !res->started && !res->gone && !res->pull && !res->ext;
}

int
sn_response_write(sn_response *res, const void *data, size_t len)
{
	if (!takes_bytes(res))
		return SN_EINVAL;
	if (sn_buf_add(&res->body, data, len) < 0)
		return SN_ENOMEM;
	res->raw_body_known = true;
	return 0;
}

int
sn_response_puts(sn_response *res, const char *text)
{
	return sn_response_write(res, text, strlen(text));
}

int
sn_response_printf(sn_response *res, const char *fmt, ...)
{
	if (!takes_bytes(res))
		return SN_EINVAL;
	va_list ap;
	va_start(ap, fmt);
	int rc = sn_buf_addv(&res->body, fmt, ap);
	va_end(ap);
	if (rc == 0)
		res->raw_body_known = true;
	return rc;
}

int
sn_response_json(sn_response *res, struct json_object *obj)
{
	if (!takes_bytes(res) || res->body.len)
		return SN_EINVAL;
	if (!sn_json_finite(obj))
		return SN_EINVAL;
	size_t len = 4;
	const char *text = "null";
	if (obj)
		text = json_object_to_json_string_length(
			obj, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	if (!text)
		return SN_ENOMEM;
	if (!sn_utf8_valid(text, len))
		return SN_EINVAL;
	int rc = sn_response_type(res, "application/json");
	return rc < 0 ? rc : sn_response_write(res, text, len);
}

int
sn_response_error(sn_response *res, int status, const char *fmt, ...)
{
	struct sn_buf text;
	char store[512];
	int rc;

	if (res->started || res->gone)
		return SN_EINVAL; /* the call's end then cuts what was begun */
	if (status < 400 || status > 599) {
		sn_log_for(SN_LOG_ERROR, res->req ? res->req->id : 0,
		           "sn_response_error() with status %d: an error is 400 to 599; 500 is sent",
		           status);
		status = 500;
	}
	sn_buf_init(&text, store, sizeof(store));
	if (fmt) {
		va_list ap;
		va_start(ap, fmt);
		if (sn_buf_addv(&text, fmt, ap) == SN_EINVAL)
			fmt = NULL; /* without memory: what fitted */
		va_end(ap);
	}
	rc = sn_response_error_page(res, status, fmt ? text.data : NULL);
	sn_buf_free(&text);
	/* Without memory for the page, the status alone: the caller answers with it. */
	return rc < 0 ? status : 0;
}

int
sn_response_pull(sn_response *res, int64_t length,
                 ssize_t (*pull)(void *arg, void *buf, size_t size), void (*done)(void *arg),
                 void *arg)
{
	if (!pull || length < -1 || !takes_bytes(res) || res->body.len)
		return SN_EINVAL;
	res->pull = pull;
	res->pull_done = done;
	res->pull_arg = arg;
	res->length = length;
	return 0;
}

/* ---- sending from a blocking thread ------------------------------------------ */

struct waiter {
	pthread_mutex_t mtx;
	pthread_cond_t cond;
	bool room; /* mtx */
};

static void
room(struct sn_request *req SN_UNUSED, void *arg)
{
	struct waiter *w = arg;
	pthread_mutex_lock(&w->mtx);
	w->room = true;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->mtx);
}

static int
wait_room(struct sn_request *req)
{
	struct waiter w = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };
	int rc = req->sink->wait_room(req, room, &w);
	if (rc == 0) {
		pthread_mutex_lock(&w.mtx);
		while (!w.room)
			pthread_cond_wait(&w.cond, &w.mtx);
		pthread_mutex_unlock(&w.mtx);
	}
	pthread_cond_destroy(&w.cond);
	pthread_mutex_destroy(&w.mtx);
	return rc < 0 ? rc : 0;
}

static int
send_bytes(struct sn_request *req, const char *data, size_t len)
{
	while (len) {
		size_t n = len < SEND_CHUNK ? len : SEND_CHUNK;
		int rc = req->sink->write(req, data, n);
		if (rc == SN_EAGAIN)
			rc = wait_room(req);
		if (rc < 0)
			return rc;
		data += n;
		len -= n;
	}
	return 0;
}

/* The head, and what sn_response_write() has gathered before. */
static int
send_start(struct sn_request *req, struct sn_response *res, bool suppress)
{
	/* Before the call: a sink that refuses has ended the request all the same. */
	res->started = true;
	int rc = req->sink->start(req, res);
	if (rc == 0 && !suppress)
		rc = send_bytes(req, res->body.data, res->body.len);
	sn_buf_free(&res->body);
	return rc;
}

int
sn_response_send(sn_response *res, const void *data, size_t len)
{
	struct sn_request *req = res->req;
	bool suppress = false;
	int rc = 0;

	if (res->gone)
		return SN_EGONE;
	if (!res->can_send || !req || !req->sink || res->pull || res->ext)
		return SN_EINVAL;
	if (!res->started)
		res->raw_body_known = true;
	sn_response_length(res, &suppress);
	if (!res->started)
		rc = send_start(req, res, suppress);
	if (rc == 0 && !suppress)
		rc = send_bytes(req, data, len);
	if (rc == 0 && sn_request_gone(req))
		rc = SN_EGONE;
	res->gone = rc == SN_EGONE;
	return rc;
}
