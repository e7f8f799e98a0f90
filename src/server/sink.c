/* SPDX-License-Identifier: MIT
 *
 * A connection's output side: the response sink. Answers are framed and written
 * here by the thread that made them, without blocking; what the socket does not
 * take is queued, and the connection's I/O thread goes on with it. Knows frames
 * only through the wire's functions.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/method.h"
#include "http/response.h"
#include "server/conn_priv.h"

/* Answers up to this go out in one piece, copied: one write, no allocation. */
#define COMPACT_MAX (16 * 1024)
#define FRAME_HEADER_MAX 8
#define END_MAX 32
#define PULL_CHUNK (32 * 1024)
#define PULL_TURN 16 /* chunks of one connection before the others get their turn */
#define IOV_MAX_HERE 32

/* ---- queue: mtx held --------------------------------------------------- */

static void
out_free(struct sn_out *o)
{
	if (o->done)
		o->done(o->arg);
	free(o);
}

void
sn_out_drop(struct sn_conn *c)
{
	while (c->out_head) {
		struct sn_out *o = c->out_head;
		c->out_head = o->next;
		out_free(o);
	}
	c->out_tail = NULL;
	c->out_bytes = 0;
}

static void
out_push(struct sn_conn *c, struct sn_out *o)
{
	o->next = NULL;
	if (c->out_tail)
		c->out_tail->next = o;
	else
		c->out_head = o;
	c->out_tail = o;
	c->out_bytes += o->len;
}

int
sn_out_raw(struct sn_conn *c, const void *data, size_t len)
{
	if (len == 0)
		return 0;
	struct sn_out *o = calloc(1, sizeof(*o) + len);
	if (!o)
		return SN_ENOMEM;
	memcpy(o + 1, data, len);
	o->data = (const uint8_t *)(o + 1);
	o->len = len;
	out_push(c, o);
	return 0;
}

static int
out_framed(struct sn_conn *c, const void *data, size_t len, uint16_t id, void (*done)(void *),
           void *arg)
{
	if (len == 0)
		return 0;
	size_t copy = done ? 0 : len;
	struct sn_out *o = calloc(1, sizeof(*o) + copy);
	if (!o)
		return SN_ENOMEM;
	if (copy)
		memcpy(o + 1, data, len);
	o->data = copy ? (const uint8_t *)(o + 1) : data;
	o->len = len;
	o->framed = true;
	o->id = id;
	o->done = done;
	o->arg = arg;
	out_push(c, o);
	return 0;
}

struct gather {
	struct iovec iov[IOV_MAX_HERE];
	int n;
	size_t total;
	uint8_t header[IOV_MAX_HERE][FRAME_HEADER_MAX];
};

static void
gather_add(struct gather *g, const void *data, size_t len)
{
	g->iov[g->n].iov_base = (void *)(uintptr_t)data;
	g->iov[g->n++].iov_len = len;
	g->total += len;
}

/* Where frame `k` of a framed piece lies is a matter of arithmetic, so a piece needs no
 * state but how many bytes of its framed form have gone. */
static void
gather_framed(struct sn_conn *c, const struct sn_out *o, struct gather *g)
{
	size_t max = c->wire.ops->frame_max, at = o->off;
	size_t header = c->wire.ops->frame(g->header[g->n], o->id, o->len < max ? o->len : max);
	while (g->n + 2 <= IOV_MAX_HERE) {
		size_t k = at / (max + header), in = at % (max + header), body = k * max;
		if (body >= o->len)
			return;
		size_t frame = o->len - body < max ? o->len - body : max;
		if (in < header) {
			c->wire.ops->frame(g->header[g->n], o->id, frame);
			gather_add(g, g->header[g->n] + in, header - in);
			at += header - in;
			in = header;
		}
		gather_add(g, o->data + body + (in - header), frame - (in - header));
		at += frame - (in - header);
	}
}

static size_t
framed_size(struct sn_conn *c, const struct sn_out *o)
{
	uint8_t scratch[FRAME_HEADER_MAX];
	size_t max = c->wire.ops->frame_max;
	size_t header = c->wire.ops->frame(scratch, o->id, o->len < max ? o->len : max);
	return o->len + (o->len + max - 1) / max * header;
}

static void
out_consume(struct sn_conn *c, size_t n)
{
	while (c->out_head) {
		struct sn_out *o = c->out_head;
		size_t left = (o->framed ? framed_size(c, o) : o->len) - o->off;
		if (n < left) {
			o->off += n;
			return;
		}
		n -= left;
		c->out_bytes -= o->len;
		c->out_head = o->next;
		if (!c->out_head)
			c->out_tail = NULL;
		out_free(o);
	}
}

int
sn_out_flush(struct sn_conn *c)
{
	while (c->out_head) {
		if (c->fd < 0)
			return SN_EGONE;
		struct gather g;
		g.n = 0;
		g.total = 0;
		for (struct sn_out *o = c->out_head; o && g.n + 2 <= IOV_MAX_HERE; o = o->next) {
			if (o->framed)
				gather_framed(c, o, &g);
			else
				gather_add(&g, o->data + o->off, o->len - o->off);
		}
		struct msghdr msg = { .msg_iov = g.iov, .msg_iovlen = (size_t)g.n };
		ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM))
			return 0;
		if (n < 0)
			return SN_EGONE;
		c->wrote_ms = sn_clock_ms();
		out_consume(c, (size_t)n);
		if ((size_t)n < g.total)
			return 0;
	}
	return 0;
}

/* ---- shutting: mtx held -------------------------------------------------- */

void
sn_conn_shut(struct sn_conn *c)
{
	if (c->fd >= 0) {
		close(c->fd);
		c->fd = -1;
	}
	if (c->cur && c->ex != SN_EX_ENDED) {
		atomic_fetch_or_explicit(&c->cur->marks, SN_MARK_GONE, memory_order_relaxed);
		if (c->ex >= SN_EX_RUNNING)
			atomic_fetch_sub_explicit(&c->io->count.in_flight, 1, memory_order_relaxed);
		c->ex = SN_EX_ENDED;
	}
	sn_out_drop(c);
}

void
sn_sink_room(struct sn_conn *c)
{
	void (*room)(struct sn_request *, void *) = NULL;
	struct sn_request *req = NULL;
	void *arg = NULL;
	pthread_mutex_lock(&c->mtx);
	if (c->room && (c->fd < 0 || c->out_bytes <= c->io->ctx->conf->limits.send_buffer / 4)) {
		room = c->room;
		arg = c->room_arg;
		req = c->room_req;
		c->room = NULL;
	}
	pthread_mutex_unlock(&c->mtx);
	if (room)
		room(req, arg);
}

/* ---- ending an answer: mtx held --------------------------------------------- */

static void
count_answer(struct sn_conn *c, const struct sn_request *req, int status)
{
	struct sn_counters *n = &c->io->count;
	atomic_fetch_add_explicit(&n->requests, 1, memory_order_relaxed);
	if (status == 503)
		atomic_fetch_add_explicit(&n->rejected, 1, memory_order_relaxed);
	else if (status >= 500)
		atomic_fetch_add_explicit(&n->errors, 1, memory_order_relaxed);
	const struct sn_endpoint *ep = req->endpoint;
	if (ep)
		atomic_fetch_add_explicit(ep->lane <= SN_LANE_BLOCKING ? &n->native : &n->python, 1,
		                          memory_order_relaxed);
}

static void
end_exchange(struct sn_conn *c, const struct sn_request *req)
{
	c->ex = SN_EX_ENDED;
	c->ended_ms = sn_io_self ? c->io->now_ms : sn_clock_ms();
	atomic_fetch_sub_explicit(&c->io->count.in_flight, 1, memory_order_relaxed);
	count_answer(c, req, c->status);
	if (c->io->ctx->access_fd >= 0)
		sn_access_log(c->io->ctx, req, c->status, c->body_sent);
}

/* After output by an executor: what must the I/O thread do? On the I/O thread itself
 * sn_conn_after() comes anyway. Unlocks. */
static void
settle(struct sn_conn *c, int rc)
{
	if (c->io == sn_io_self) {
		if (rc < 0)
			sn_conn_shut(c);
		pthread_mutex_unlock(&c->mtx);
		return;
	}
	bool wake = false, post = false;
	if (rc < 0) {
		sn_conn_shut(c);
		post = true;
	} else if (c->out_head || c->needs_io) {
		c->needs_io = true;
		post = wake = true;
	} else if (c->ex == SN_EX_ENDED &&
	           (!c->keep || c->close_after ||
	            atomic_load_explicit(&c->io->ctx->draining, memory_order_relaxed))) {
		sn_conn_shut(c);
		post = true;
	}
	bool shut = c->fd < 0;
	pthread_mutex_unlock(&c->mtx);
	if (post)
		sn_conn_post(c, wake);
	if (shut)
		sn_sink_room(c);
}

/* mtx held, SN_EX_RUNNING. */
static void
begin_answer(struct sn_conn *c, struct sn_response *res, int64_t len, bool suppress)
{
	c->status = sn_response_final_status(res);
	c->body_sent = suppress || len < 0 ? 0 : (uint64_t)len;
	c->body_left = suppress ? -1 : len;
	c->body_none = suppress;
	c->wrote_ms = sn_clock_ms();
}

static bool
owns(const struct sn_conn *c, const struct sn_request *req, enum sn_exchange ex)
{
	return c->cur == req && c->ex == ex && c->fd >= 0;
}

/* ---- whole answers -------------------------------------------------------------- */

static const void *
body_of(const struct sn_response *res, size_t *len)
{
	*len = res->ext ? res->ext_len : res->body.len;
	return res->ext ? res->ext : res->body.data;
}

/* Head, body and end in one buffer: `out` begins with room for the frame header. */
static int
compact(struct sn_conn *c, struct sn_request *req, struct sn_buf *out, bool suppress,
        const void *body, size_t body_len)
{
	const struct sn_wire_ops *wire = c->wire.ops;
	if (!suppress && body_len)
		sn_buf_add(out, body, body_len);
	uint8_t header[FRAME_HEADER_MAX];
	size_t h = wire->frame(header, req->wire_id, out->len - FRAME_HEADER_MAX);
	memcpy(out->data + FRAME_HEADER_MAX - h, header, h);
	out->len += wire->end((uint8_t *)out->data + out->len, req->wire_id, 0);
	const char *from = out->data + FRAME_HEADER_MAX - h;
	size_t len = out->len - (FRAME_HEADER_MAX - h), put = 0;
	if (!c->out_head) {
		ssize_t n = send(c->fd, from, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ENOMEM)
			return SN_EGONE;
		put = n < 0 ? 0 : (size_t)n;
	}
	return put == len ? 0 : sn_out_raw(c, from + put, len - put);
}

static int
pieces(struct sn_conn *c, struct sn_request *req, struct sn_response *res, struct sn_buf *out,
       bool suppress)
{
	uint8_t end[END_MAX];
	size_t len;
	const void *body = body_of(res, &len);
	int rc = out_framed(c, out->data + FRAME_HEADER_MAX, out->len - FRAME_HEADER_MAX, req->wire_id,
	                    NULL, NULL);
	if (rc == 0 && !suppress && res->ext) {
		rc = out_framed(c, body, len, req->wire_id, res->done, res->done_arg);
		if (rc == 0)
			res->done = NULL; /* the queue's now */
	} else if (rc == 0 && !suppress && res->body.heap) {
		rc = out_framed(c, body, len, req->wire_id, free, res->body.data);
		if (rc == 0)
			sn_buf_init(&res->body, NULL, 0);
	} else if (rc == 0 && !suppress) {
		rc = out_framed(c, body, len, req->wire_id, NULL, NULL);
	}
	if (rc == 0)
		rc = sn_out_raw(c, end, c->wire.ops->end(end, req->wire_id, 0));
	/* Without memory the answer cannot be complete: better cut than a part for the whole. */
	return rc < 0 ? SN_EGONE : sn_out_flush(c);
}

static int
respond_pull(struct sn_conn *c, struct sn_request *req, struct sn_response *res)
{
	int rc = sn_conn_sink.start(req, res);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&c->mtx);
	if (!owns(c, req, SN_EX_STREAMING)) {
		pthread_mutex_unlock(&c->mtx);
		return SN_EGONE;
	}
	c->pull = res->pull;
	c->pull_done = res->pull_done;
	c->pull_arg = res->pull_arg;
	res->pull = NULL;
	res->pull_done = NULL;
	c->needs_io = true;
	settle(c, 0);
	return 0;
}

static int
sink_respond(struct sn_request *req, struct sn_response *res)
{
	struct sn_conn *c = req->owner;
	if (res->pull)
		return respond_pull(c, req, res);
	bool suppress;
	int64_t len = sn_response_length(res, &suppress);
	char store[FRAME_HEADER_MAX + COMPACT_MAX + END_MAX];
	struct sn_buf out;
	sn_buf_init(&out, store, sizeof(store));
	out.len = FRAME_HEADER_MAX;
	int rc = sn_response_head(res, &out);
	size_t body_len;
	const void *body = body_of(res, &body_len);
	bool small = out.len + (suppress ? 0 : body_len) + END_MAX <= sizeof(store) && !out.heap;

	pthread_mutex_lock(&c->mtx);
	if (!owns(c, req, SN_EX_RUNNING)) {
		pthread_mutex_unlock(&c->mtx);
		sn_buf_free(&out);
		return SN_EGONE;
	}
	begin_answer(c, res, len, suppress);
	if (rc == 0)
		rc = small ? compact(c, req, &out, suppress, body, body_len)
		           : pieces(c, req, res, &out, suppress);
	if (rc == 0)
		end_exchange(c, req);
	settle(c, rc);
	sn_buf_free(&out);
	return rc < 0 ? SN_EGONE : 0;
}

/* ---- streamed answers -------------------------------------------------------------- */

static int
sink_start(struct sn_request *req, struct sn_response *res)
{
	struct sn_conn *c = req->owner;
	bool suppress;
	int64_t len = sn_response_length(res, &suppress);
	char store[2048];
	struct sn_buf out;
	sn_buf_init(&out, store, sizeof(store));
	int rc = sn_response_head(res, &out);
	pthread_mutex_lock(&c->mtx);
	if (!owns(c, req, SN_EX_RUNNING)) {
		pthread_mutex_unlock(&c->mtx);
		sn_buf_free(&out);
		return SN_EGONE;
	}
	begin_answer(c, res, len, suppress);
	c->body_sent = 0;
	if (rc == 0)
		rc = out_framed(c, out.data, out.len, req->wire_id, NULL, NULL);
	if (rc == 0)
		rc = sn_out_flush(c);
	if (rc == 0)
		c->ex = SN_EX_STREAMING;
	settle(c, rc);
	sn_buf_free(&out);
	return rc < 0 ? SN_EGONE : 0;
}

static int
sink_write(struct sn_request *req, const void *data, size_t len)
{
	struct sn_conn *c = req->owner;
	pthread_mutex_lock(&c->mtx);
	if (!owns(c, req, SN_EX_STREAMING)) {
		pthread_mutex_unlock(&c->mtx);
		return SN_EGONE;
	}
	int rc = 0;
	if (!c->body_none) {
		bool over = c->body_left >= 0 && (uint64_t)len > (uint64_t)c->body_left;
		rc = over ? SN_EGONE : out_framed(c, data, len, req->wire_id, NULL, NULL);
		if (over)
			sn_log_for(SN_LOG_ERROR, req->id,
			           "the body is longer than the Content-Length announced; connection cut");
		else if (c->body_left >= 0)
			c->body_left -= (int64_t)len;
		if (rc == 0)
			rc = sn_out_flush(c);
		c->body_sent += len;
	}
	bool full = c->out_bytes > c->io->ctx->conf->limits.send_buffer;
	settle(c, rc);
	return rc < 0 ? SN_EGONE : full ? SN_EAGAIN : 0;
}

static int
sink_wait_room(struct sn_request *req, void (*room)(struct sn_request *, void *), void *arg)
{
	struct sn_conn *c = req->owner;
	int rc = 0;
	pthread_mutex_lock(&c->mtx);
	if (!owns(c, req, SN_EX_STREAMING)) {
		rc = SN_EGONE;
	} else if (c->out_bytes <= c->io->ctx->conf->limits.send_buffer / 4) {
		rc = 1;
	} else {
		c->room = room;
		c->room_arg = arg;
		c->room_req = req;
	}
	pthread_mutex_unlock(&c->mtx);
	return rc;
}

static int
sink_finish(struct sn_request *req)
{
	struct sn_conn *c = req->owner;
	pthread_mutex_lock(&c->mtx);
	if (!owns(c, req, SN_EX_STREAMING)) {
		pthread_mutex_unlock(&c->mtx);
		return SN_EGONE;
	}
	uint8_t end[END_MAX];
	int rc;
	if (c->body_left > 0) {
		sn_log_for(SN_LOG_ERROR, req->id,
		           "the body is %lld bytes shorter than the Content-Length announced; connection cut",
		           (long long)c->body_left);
		rc = SN_EGONE;
	} else {
		rc = sn_out_raw(c, end, c->wire.ops->end(end, req->wire_id, 0));
	}
	if (rc == 0)
		rc = sn_out_flush(c);
	if (rc == 0)
		end_exchange(c, req);
	settle(c, rc);
	return rc < 0 ? SN_EGONE : 0;
}

static void
sink_cut(struct sn_request *req)
{
	struct sn_conn *c = req->owner;
	pthread_mutex_lock(&c->mtx);
	bool mine = c->cur == req && c->ex != SN_EX_ENDED;
	if (mine && c->fd >= 0 && c->listener->tcp) {
		/* a reset, not an orderly end that SCGI would take for the end of the body */
		struct linger hard = { .l_onoff = 1, .l_linger = 0 };
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	}
	if (mine)
		settle(c, SN_EGONE);
	else
		pthread_mutex_unlock(&c->mtx);
}

static void
sink_release(void *owner)
{
	sn_conn_unref(owner);
}

const struct sn_sink_ops sn_conn_sink = {
	.respond = sink_respond,
	.start = sink_start,
	.write = sink_write,
	.wait_room = sink_wait_room,
	.finish = sink_finish,
	.cut = sink_cut,
	.release = sink_release,
};

/* ---- the I/O thread's own answers --------------------------------------------------- */

void
sn_sink_pull(struct sn_conn *c)
{
	uint8_t chunk[PULL_CHUNK];
	struct sn_request *req = c->cur;
	for (int turn = 0; turn < PULL_TURN && c->pull; turn++) {
		ssize_t n = c->body_none ? 0 : c->pull(c->pull_arg, chunk, sizeof(chunk));
		if (n > (ssize_t)sizeof(chunk) || n < 0) {
			sn_log_for(SN_LOG_ERROR, req->id, "%s: the pull callback failed (%zd); connection cut",
			           req->endpoint ? req->endpoint->name : "?", n);
			sink_cut(req);
			break;
		}
		int rc = n ? sink_write(req, chunk, (size_t)n) : sink_finish(req);
		if (n == 0 || rc == SN_EGONE)
			break;
		if (rc == SN_EAGAIN)
			return; /* sn_conn_after() comes back when there is room */
		if (turn + 1 == PULL_TURN) {
			sn_conn_ready(c);
			return;
		}
	}
	void (*done)(void *) = c->pull_done;
	c->pull = NULL;
	c->pull_done = NULL;
	if (done)
		done(c->pull_arg);
}

int
sn_sink_error(struct sn_conn *c, int status, const char *text, uint64_t allow)
{
	struct sn_request *req = c->cur;
	struct sn_response res;
	struct sn_buf list;
	char head[512], body[2048], allow_store[256];
	sn_response_init(&res, req, head, sizeof(head), body, sizeof(body));
	if (allow) {
		sn_buf_init(&list, allow_store, sizeof(allow_store));
		if (sn_method_list(allow, &list) == 0)
			sn_response_header_n(&res, "Allow", 5, list.data, list.len);
		sn_buf_free(&list);
	}
	if (status == 503)
		sn_response_header_n(&res, "Retry-After", 11, "1", 1);
	if (status == 200)
		res.status = 200; /* OPTIONS: Allow and no body, as Flask does */
	else
		sn_response_error_page(&res, status, text);
	pthread_mutex_lock(&c->mtx);
	if (c->ex == SN_EX_READING) { /* an answer before the request was complete */
		c->ex = SN_EX_RUNNING;
		atomic_fetch_add_explicit(&c->io->count.in_flight, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&c->mtx);
	int rc = sink_respond(req, &res);
	sn_response_free(&res);
	return rc;
}

void
sn_sink_abort(struct sn_conn *c)
{
	uint8_t end[END_MAX];
	pthread_mutex_lock(&c->mtx);
	struct sn_request *req = c->cur;
	if (req && c->ex != SN_EX_ENDED) {
		atomic_fetch_or_explicit(&req->marks, SN_MARK_GONE, memory_order_relaxed);
		if (c->ex >= SN_EX_RUNNING)
			atomic_fetch_sub_explicit(&c->io->count.in_flight, 1, memory_order_relaxed);
		c->ex = SN_EX_ENDED;
		c->ended_ms = c->io->now_ms;
		sn_out_raw(c, end, c->wire.ops->end(end, c->wire_id, 0));
		if (sn_out_flush(c) < 0)
			sn_conn_shut(c);
	}
	pthread_mutex_unlock(&c->mtx);
	sn_sink_room(c);
}
