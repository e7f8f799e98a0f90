/* SPDX-License-Identifier: MIT
 *
 * Handlers written for libfcgi: FCGX_Streams whose fill and empty functions
 * read our body and write our response, so that libfcgi's own FCGX_GetStr,
 * FCGX_FPrintF and the like work on them, and nothing of libfcgi's accept loop
 * or record reader is touched. The only file that includes <fcgiapp.h>.
 * Everything belongs to the blocking thread that runs the handler.
 *
 * libfcgi's rules for a stream, which its functions rely on: a fill leaves bytes
 * or sets isClosed; an empty leaves room or sets isClosed; a closed stream has
 * no room (stop == wrNext), or the bytes would be taken and lost silently.
 *
 * The answer's head is parsed as it is printed. The body is kept back up to
 * SN_FCGX_KEEP bytes, so that a small answer has a Content-Length; a larger
 * one, or a handler that calls FCGX_FFlush(), streams with sn_response_send().
 */
#define SN_FCGX_IMPLEMENTATION
#include <snacgi-fcgx.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "native/cgi_head.h"
#include "native/native_priv.h"

#define IN_SIZE 8192
#define OUT_SIZE 8192
#define ERR_SIZE 1024

struct call {
	struct sn_request *req;
	struct sn_response *res;
	struct sn_cgi_head head;
	uint64_t in_at;  /* of the body */
	uint64_t printed; /* body bytes */
	int failed;      /* enum sn_err: the answer cannot be given; logged */
	int exit_status;
	FCGX_Stream in, out, err;
	unsigned char in_buf[IN_SIZE], out_buf[OUT_SIZE], err_buf[ERR_SIZE];
};

static void
set_error(FCGX_Stream *s, int error)
{
	if (s->FCGI_errno == 0)
		s->FCGI_errno = error;
	s->isClosed = 1;
}

/* ---- standard input --------------------------------------------------------- */

static void
fill_in(FCGX_Stream *s)
{
	struct call *c = s->data;
	if (s->isClosed)
		return;
	ssize_t n = sn_body_read(&c->req->body, c->in_at, c->in_buf, IN_SIZE);
	if (n < 0)
		set_error(s, EIO);
	else if (n == 0)
		s->isClosed = 1;
	else
		c->in_at += (uint64_t)n;
	s->rdNext = s->stopUnget = c->in_buf;
	s->stop = s->wrNext = c->in_buf + (n > 0 ? n : 0);
}

/* ---- standard output --------------------------------------------------------- */

static int
fail(struct call *c, int err, const char *text)
{
	if (!c->failed)
		sn_log_for(SN_LOG_ERROR, c->req->id, "FCGX handler %s: %s", c->req->endpoint->name,
		           text);
	c->failed = err;
	return err;
}

/* Sends the head, and the body as far as it was kept back. */
static int
begin_sending(struct call *c)
{
	struct sn_response *res = c->res;
	if (res->started || !res->can_send)
		return 0;
	res->length = c->head.length;
	if (res->length >= 0 && (uint64_t)res->length < c->printed) {
		sn_log_for(SN_LOG_WARNING, c->req->id,
		           "FCGX handler %s printed more than its Content-Length of %lld; it is left out",
		           c->req->endpoint->name, (long long)res->length);
		res->length = -1;
	}
	return sn_response_send(res, NULL, 0);
}

static int
print_body(struct call *c, const char *data, size_t len)
{
	struct sn_response *res = c->res;
	int rc;
	if (len == 0)
		return 0;
	c->printed += len;
	if (res->started) {
		/* Past an announced length the front server would take the rest for
		 * another answer's beginning. */
		if (res->length >= 0 && c->printed > (uint64_t)res->length)
			return fail(c, SN_EINVAL, "printed more than the Content-Length that was sent");
		return sn_response_send(res, data, len);
	}
	rc = sn_response_write(res, data, len);
	if (rc == 0 && res->body.len > SN_FCGX_KEEP)
		rc = begin_sending(c);
	return rc == SN_ENOMEM ? fail(c, rc, "out of memory for its answer") : rc;
}

static int
print(struct call *c, const char *data, size_t len)
{
	size_t used = 0;
	if (c->failed)
		return c->failed;
	if (!c->head.done) {
		struct sn_why why;
		int rc = sn_cgi_head_feed(&c->head, c->res, data, len, &used, &why);
		if (rc < 0)
			return fail(c, rc, why.text);
	}
	return print_body(c, data + used, len - used);
}

static void
empty_out(FCGX_Stream *s, int closing)
{
	struct call *c = s->data;
	if (s->isClosed)
		return;
	/* A buffer that is not full was flushed on purpose: the peer waits for it. */
	bool flush = !closing && s->wrNext != s->stop;
	int rc = print(c, (const char *)c->out_buf, (size_t)(s->wrNext - c->out_buf));
	if (rc == 0 && flush && c->head.done)
		rc = begin_sending(c);
	s->wrNext = c->out_buf;
	s->stop = s->rdNext = c->out_buf + OUT_SIZE;
	if (rc < 0) {
		set_error(s, rc == SN_EGONE ? EPIPE : rc == SN_ENOMEM ? ENOMEM : FCGX_PROTOCOL_ERROR);
		s->stop = s->rdNext = s->wrNext;
	}
}

/* ---- standard error ------------------------------------------------------------ */

static void
log_lines(struct call *c, bool all)
{
	FCGX_Stream *s = &c->err;
	const char *at = (const char *)c->err_buf, *end = (const char *)s->wrNext;
	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));
		/* A line longer than the buffer is logged in parts. */
		if (!lf && !all && at != (const char *)c->err_buf)
			break;
		size_t n = (size_t)((lf ? lf : end) - at), text = n;
		if (text && at[text - 1] == '\r')
			text--;
		if (text)
			sn_log_for(SN_LOG_WARNING, c->req->id, "FCGX handler %s: %.*s",
			           c->req->endpoint->name, (int)text, at);
		at += n + (lf ? 1 : 0);
	}
	size_t left = (size_t)(end - at);
	memmove(c->err_buf, at, left);
	s->wrNext = c->err_buf + left;
}

static void
empty_err(FCGX_Stream *s, int closing)
{
	if (s->isClosed)
		return;
	log_lines(s->data, closing || s->wrNext != s->stop);
}

/* ---- a call ---------------------------------------------------------------------- */

static void
open_streams(struct call *c)
{
	c->in = (FCGX_Stream){ .isReader = 1, .fillBuffProc = fill_in, .data = c };
	c->in.rdNext = c->in.wrNext = c->in.stop = c->in.stopUnget = c->in_buf;
	c->out = (FCGX_Stream){ .emptyBuffProc = empty_out, .data = c };
	c->out.wrNext = c->out_buf;
	c->out.rdNext = c->out.stop = c->out_buf + OUT_SIZE;
	c->err = (FCGX_Stream){ .emptyBuffProc = empty_err, .data = c };
	c->err.wrNext = c->err_buf;
	c->err.rdNext = c->err.stop = c->err_buf + ERR_SIZE;
}

/* "NAME=value" of every parameter that handlers may see; in the request's memory. */
static char **
make_envp(struct sn_request *req)
{
	size_t n = 0, bytes = 0;
	for (uint32_t i = 0; i < req->nparams; i++)
		if (!(req->params[i].flags & SN_PARAM_DROPPED)) {
			n++;
			bytes += (size_t)req->params[i].name_len + req->params[i].value_len + 2;
		}
	char **envp = sn_request_alloc(req, (n + 1) * sizeof(*envp) + bytes);
	if (!envp)
		return NULL;
	char *to = (char *)(envp + n + 1);
	n = 0;
	for (uint32_t i = 0; i < req->nparams; i++) {
		const struct sn_param *p = &req->params[i];
		if (p->flags & SN_PARAM_DROPPED)
			continue;
		envp[n++] = to;
		memcpy(to, req->raw + p->name, p->name_len);
		to[p->name_len] = '=';
		memcpy(to + p->name_len + 1, req->raw + p->value, p->value_len);
		to += (size_t)p->name_len + 1 + p->value_len;
		*to++ = '\0';
	}
	envp[n] = NULL;
	return envp;
}

static ssize_t
no_bytes(void *arg SN_UNUSED, void *buf SN_UNUSED, size_t size SN_UNUSED)
{
	return 0;
}

/* A program that prints no body for HEAD: its answer must not claim a length of 0. */
static int
end_head(struct call *c)
{
	if (strcmp(c->req->method_name, "HEAD") != 0 || c->printed)
		return 0;
	return sn_response_pull(c->res, c->head.length, no_bytes, NULL, NULL);
}

/* The handler has returned: completes the answer in the response, or says why not. */
static int
end_call(struct call *c)
{
	struct sn_response *res = c->res;

	if (!c->out.wasFCloseCalled)
		empty_out(&c->out, 1);
	if (!c->err.wasFCloseCalled)
		empty_err(&c->err, 1);
	if (c->exit_status)
		sn_log_for(SN_LOG_INFO, c->req->id, "FCGX handler %s ended with status %d",
		           c->req->endpoint->name, c->exit_status);
	if (res->gone)
		return SN_EGONE;
	if (!c->head.done && !c->failed)
		fail(c, SN_EINVAL, c->head.seen ? "ended within its headers: an empty line is missing"
		                                : "printed nothing");
	bool suppress = false;
	sn_response_length(res, &suppress);
	if (!c->failed && res->started && !suppress && res->length >= 0 &&
	    c->printed < (uint64_t)res->length)
		fail(c, SN_EINVAL, "printed less than the Content-Length that was sent");
	if (!c->failed)
		return res->started ? 0 : end_head(c);
	if (res->started) {
		/* Logged above; nobody may take this for a whole answer. */
		res->gone = true;
		c->req->sink->cut(c->req);
		return SN_EGONE;
	}
	sn_response_reset(res);
	return 500;
}

int
sn_fcgx_call(struct sn_request *req, struct sn_response *res, sn_fcgx_handler *handler)
{
	struct call *c = malloc(sizeof(*c));
	char **envp = make_envp(req);
	int rc = SN_ENOMEM;
	if (!c || !envp)
		goto out;
	/* Without the buffers: they need no zeros. */
	memset(c, 0, offsetof(struct call, in_buf));
	c->req = req;
	c->res = res;
	sn_cgi_head_init(&c->head, SN_FCGX_HEAD_MAX);
	open_streams(c);
	rc = handler(&c->in, &c->out, &c->err, envp);
	if (rc != 0)
		c->exit_status = rc;
	rc = end_call(c);
	sn_cgi_head_free(&c->head);
out:
	free(c);
	return rc;
}

void
sn_fcgx_set_exit_status(int status, FCGX_Stream *stream)
{
	struct call *c = stream->data;
	c->exit_status = status;
}

int
sn_fcgx_start_filter_data(FCGX_Stream *stream)
{
	set_error(stream, FCGX_CALL_SEQ_ERROR);
	return -1;
}
