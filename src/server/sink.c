/* SPDX-License-Identifier: MIT
 *
 * A connection's output side: the response sink. Answers are framed and written
 * here by the thread that made them, without blocking; what the socket does not
 * take is queued (output.c), and the connection's I/O thread goes on with it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/method.h"
#include "http/slash.h"
#include "http/response.h"
#include "server/conn_priv.h"

/* Answers up to this go out in one piece, copied: one write, no allocation. */
#define COMPACT_MAX (16 * 1024)
#define FRAME_HEADER_MAX 8
#define END_MAX 32
#define PULL_CHUNK (64 * 1024 - 8) /* a whole record */
#define SOCKET_BUFFER (256 * 1024) /* of a stream; the kernel lowers it to its limit, and doubles it */
#define PULL_TURN 16 /* chunks of one connection before the others get their turn */

/* The I/O thread needs no lock while nobody else knows a request of the connection. */
static void
enter(struct sn_conn *c)
{
	if (c->io != sn_io_self || c->shared)
		pthread_mutex_lock(&c->mtx);
}

static void
leave(struct sn_conn *c)
{
	if (c->io != sn_io_self || c->shared)
		pthread_mutex_unlock(&c->mtx);
}

/* ---- shutting: mtx held -------------------------------------------------- */

/* What of the body the socket has taken. */
static uint64_t
body_taken(const struct sn_exchange *x)
{
	size_t left = sn_out_left(x->conn, &x->out);
	return x->body_sent > left ? x->body_sent - left : 0;
}

/* Its handler has begun, or waits for its turn: there would have been an answer. */
static void
count_unanswered(const struct sn_exchange *x, bool broken)
{
	struct sn_iothread *io = x->conn->io;
	bool begun = x->state == SN_EX_STREAMING;
	int status = begun ? x->status : broken ? 503 : SN_ACCESS_GONE;
	if (io->ctx->access_fd >= 0 && x->req)
		sn_access_log(io->ctx, x->req, status, begun ? body_taken(x) : 0);
	atomic_fetch_sub_explicit(&io->count.in_flight, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(broken ? &io->count.broken : &io->count.gone, 1, memory_order_relaxed);
}

/* Ends it without an answer, or with a part of one: `broken`, we cannot go on; else the peer has gone. */
static void
end_cut(struct sn_exchange *x, bool broken)
{
	struct sn_conn *c = x->conn;
	if (x->state == SN_EX_ENDED)
		return;
	if (x->req)
		atomic_fetch_or_explicit(&x->req->marks, SN_MARK_GONE, memory_order_relaxed);
	if (x->req && x->req->input)
		sn_instream_end(x->req->input, SN_EGONE);
	if (x->state >= SN_EX_RUNNING)
		count_unanswered(x, broken);
	x->state = SN_EX_ENDED;
	c->open--;
}

void
sn_conn_shut(struct sn_conn *c)
{
	if (c->batched)
		sn_batch_send(c);
	if (c->fd >= 0) {
		close(c->fd);
		c->fd = -1;
	}
	for (struct sn_exchange *x = c->active; x; x = x->next)
		end_cut(x, false);
	sn_out_drop(c);
}

static bool
alone(const struct sn_exchange *x)
{
	return x->conn->active == x && !x->next;
}

/* The answer of `x` cannot be completed. Only the end of the connection tells the peer so
 * that he believes it; the other answers go out before. */
static void
cut(struct sn_exchange *x)
{
	struct sn_conn *c = x->conn;
	end_cut(x, true);
	sn_out_cut(c, &x->out);
	c->close_after = true;
	if (alone(x) || (c->open == 0 && !sn_out_pending(c)))
		sn_conn_shut(c);
}

/* Off the I/O threads its round's time would be old. */
static int64_t
now_of(const struct sn_conn *c)
{
	return sn_io_self ? c->io->now_ms : sn_clock_ms();
}

static bool
has_room(const struct sn_exchange *x)
{
	return x->out.bytes <= x->conn->io->ctx->conf->limits.send_buffer / 4;
}

void
sn_sink_room(struct sn_exchange *x)
{
	struct sn_conn *c = x->conn;
	void (*room)(struct sn_request *, void *) = NULL;
	struct sn_request *req = NULL;
	void *arg = NULL;
	enter(c);
	if (x->room && (c->fd < 0 || x->state == SN_EX_ENDED || has_room(x))) {
		room = x->room;
		arg = x->room_arg;
		req = x->room_req;
		x->room = NULL;
		x->made_ms = now_of(c); /* its time begins */
	}
	leave(c);
	if (room)
		room(req, arg);
}

/* ---- ending an answer: mtx held --------------------------------------------- */

static void
count_answer(struct sn_conn *c, int status, const struct sn_request *req)
{
	struct sn_counters *n = &c->io->count;
	atomic_fetch_add_explicit(&n->answered[status / 100], 1, memory_order_relaxed);
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
end_exchange(struct sn_exchange *x, const struct sn_request *req)
{
	struct sn_conn *c = x->conn;
	x->state = SN_EX_ENDED;
	c->open--;
	if (!x->keep)
		c->close_after = true;
	if (sn_unlikely(req->input != NULL)) {
		if (!sn_instream_complete(req->input))
			c->needs_io = true; /* which decides what becomes of the rest */
		sn_instream_end(req->input, SN_EINVAL);
	}
	c->ended_ms = now_of(c);
	atomic_fetch_sub_explicit(&c->io->count.in_flight, 1, memory_order_relaxed);
	count_answer(c, x->status, req);
	if (c->io->ctx->access_fd >= 0)
		sn_access_log(c->io->ctx, req, x->status, x->body_sent);
}

/* After output: SN_EGONE ends the connection, another failure this answer. What must the
 * I/O thread do then? On the I/O thread itself sn_conn_after() comes anyway. Leaves. */
static void
settle(struct sn_exchange *x, int rc)
{
	struct sn_conn *c = x->conn;
	bool wake = false, post = false;
	if (rc == SN_EGONE)
		sn_conn_shut(c);
	else if (rc < 0)
		cut(x);
	if (c->io == sn_io_self) {
		leave(c);
		return;
	}
	if (c->fd >= 0 && (sn_out_pending(c) || c->needs_io)) {
		c->needs_io = true;
		post = wake = true;
	} else if (c->fd >= 0 && c->open == 0 &&
	           (c->close_after ||
	            atomic_load_explicit(&c->io->ctx->draining, memory_order_relaxed))) {
		sn_conn_shut(c);
	} else if (c->fd >= 0 && c->open == 0 &&
	           atomic_load_explicit(&c->io->ctx->handing, memory_order_relaxed)) {
		post = wake = true; /* it can go to another worker now */
	}
	bool shut = c->fd < 0;
	if (shut) {
		post = true;
		wake = c->active->next; /* the others do not know yet */
	}
	leave(c);
	if (post)
		sn_conn_post(c, wake);
	if (shut)
		sn_sink_room(x);
}

/* mtx held, SN_EX_RUNNING. */
static void
begin_answer(struct sn_exchange *x, struct sn_response *res, int64_t len, bool suppress)
{
	x->status = sn_response_final_status(res);
	x->body_sent = suppress || len < 0 ? 0 : (uint64_t)len;
	x->body_left = suppress ? -1 : len;
	x->body_none = suppress;
}

static bool
owns(const struct sn_exchange *x, const struct sn_request *req, enum sn_ex_state state)
{
	return x->req == req && x->state == state && x->conn->fd >= 0;
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
compact(struct sn_exchange *x, struct sn_request *req, struct sn_buf *out, bool suppress,
        const void *body, size_t body_len)
{
	struct sn_conn *c = x->conn;
	const struct sn_wire_ops *wire = c->wire.ops;
	if (!suppress && body_len)
		sn_buf_add(out, body, body_len);
	uint8_t header[FRAME_HEADER_MAX];
	size_t h = wire->frame(header, req->wire_id, out->len - FRAME_HEADER_MAX);
	memcpy(out->data + FRAME_HEADER_MAX - h, header, h);
	out->len += wire->end((uint8_t *)out->data + out->len, req->wire_id, 0);
	const char *from = out->data + FRAME_HEADER_MAX - h;
	size_t len = out->len - (FRAME_HEADER_MAX - h), put = 0;
	if (sn_batch_add(c, from, len, x->keep))
		return 0;
	if (!sn_out_pending(c)) {
		ssize_t n = send(c->fd, from, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ENOMEM)
			return SN_EGONE;
		put = n < 0 ? 0 : (size_t)n;
	}
	if (put == len)
		return 0;
	int rc = sn_out_raw(c, &x->out, from + put, len - put);
	return rc < 0 && put ? SN_EGONE : rc; /* a record that cannot be completed */
}

static int
pieces(struct sn_exchange *x, struct sn_request *req, struct sn_response *res,
       struct sn_buf *out, bool suppress)
{
	struct sn_conn *c = x->conn;
	struct sn_outq *q = &x->out;
	uint8_t end[END_MAX];
	size_t len;
	const void *body = body_of(res, &len);
	int rc = sn_out_framed(c, q, out->data + FRAME_HEADER_MAX, out->len - FRAME_HEADER_MAX,
	                       req->wire_id, NULL, NULL);
	if (rc == 0 && !suppress && res->ext) {
		rc = sn_out_framed(c, q, body, len, req->wire_id, res->done, res->done_arg);
		if (rc == 0)
			res->done = NULL; /* the queue's now */
	} else if (rc == 0 && !suppress && res->body.heap) {
		rc = sn_out_framed(c, q, body, len, req->wire_id, free, res->body.data);
		if (rc == 0)
			sn_buf_init(&res->body, NULL, 0);
	} else if (rc == 0 && !suppress) {
		rc = sn_out_framed(c, q, body, len, req->wire_id, NULL, NULL);
	}
	if (rc == 0)
		rc = sn_out_raw(c, q, end, c->wire.ops->end(end, req->wire_id, 0));
	/* Without memory the answer cannot be complete: better cut than a part for the whole. */
	return rc < 0 ? rc : sn_out_flush(c);
}

static int
respond_pull(struct sn_exchange *x, struct sn_request *req, struct sn_response *res)
{
	struct sn_conn *c = x->conn;
	int rc = sn_conn_sink.start(req, res);
	if (rc < 0)
		return rc;
	enter(c);
	if (!owns(x, req, SN_EX_STREAMING)) {
		leave(c);
		return SN_EGONE;
	}
	x->pull = res->pull;
	x->pull_done = res->pull_done;
	x->pull_arg = res->pull_arg;
	c->pulls++;
	res->pull = NULL;
	res->pull_done = NULL;
	c->needs_io = true;
	settle(x, 0);
	return 0;
}

static int
sink_respond(struct sn_request *req, struct sn_response *res)
{
	struct sn_exchange *x = req->owner;
	struct sn_conn *c = x->conn;
	if (res->pull)
		return respond_pull(x, req, res);
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

	enter(c);
	if (!owns(x, req, SN_EX_RUNNING)) {
		leave(c);
		sn_buf_free(&out);
		return SN_EGONE;
	}
	begin_answer(x, res, len, suppress);
	if (rc == 0)
		rc = small ? compact(x, req, &out, suppress, body, body_len)
		           : pieces(x, req, res, &out, suppress);
	if (rc == 0)
		end_exchange(x, req);
	settle(x, rc);
	sn_buf_free(&out);
	return rc < 0 ? SN_EGONE : 0;
}

/* ---- streamed answers -------------------------------------------------------------- */

static int
sink_start(struct sn_request *req, struct sn_response *res)
{
	struct sn_exchange *x = req->owner;
	struct sn_conn *c = x->conn;
	bool suppress;
	int64_t len = sn_response_length(res, &suppress);
	char store[2048];
	struct sn_buf out;
	sn_buf_init(&out, store, sizeof(store));
	int rc = sn_response_head(res, &out);
	enter(c);
	if (!owns(x, req, SN_EX_RUNNING)) {
		leave(c);
		sn_buf_free(&out);
		return SN_EGONE;
	}
	begin_answer(x, res, len, suppress);
	x->body_sent = 0;
	x->made_ms = now_of(c);
	if (rc == 0)
		rc = sn_out_framed(c, &x->out, out.data, out.len, req->wire_id, NULL, NULL);
	if (rc == 0)
		rc = sn_out_flush(c);
	if (rc == 0)
		x->state = SN_EX_STREAMING;
	settle(x, rc);
	sn_buf_free(&out);
	return rc < 0 ? SN_EGONE : 0;
}

/* A stream has filled the socket. With twice of what a Unix socket takes by default the peer still
 * has some of it to read when there is room again, so that neither waits for the other to wake up.
 * TCP finds its own size. */
static void
widen(struct sn_conn *c)
{
	int size = SOCKET_BUFFER;
	if (!c->wide && !c->listener->tcp && c->fd >= 0)
		setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	c->wide = true;
}

/* Body bytes: a copy of `data`, or those that lie in `blank`, which is taken. */
static int
write_body(struct sn_request *req, const void *data, size_t len, struct sn_out *blank)
{
	struct sn_exchange *x = req->owner;
	struct sn_conn *c = x->conn;
	enter(c);
	bool mine = owns(x, req, SN_EX_STREAMING);
	bool over = mine && x->body_left >= 0 && !x->body_none && (uint64_t)len > (uint64_t)x->body_left;
	int rc = 0;
	if (blank && (!mine || over))
		sn_out_unused(c, blank);
	if (!mine) {
		leave(c);
		return SN_EGONE;
	}
	if (over) {
		sn_log_for(SN_LOG_ERROR, req->id,
		           "the body is longer than the Content-Length announced; connection cut");
		rc = SN_ELIMIT;
	} else if (!x->body_none) {
		bool queues = blank || sn_out_pending(c);
		if (x->body_left >= 0)
			x->body_left -= (int64_t)len;
		if (blank) {
			sn_out_fill(c, &x->out, blank, len, req->wire_id);
			rc = sn_out_flush(c);
		} else {
			rc = sn_out_now(c, &x->out, data, len, req->wire_id);
		}
		if (rc == 0 && sn_out_pending(c))
			widen(c);
		if (rc == 0 || (queues && rc == SN_EGONE)) /* else it does not wait */
			x->body_sent += len;
		x->made_ms = now_of(c);
	}
	bool full = blank ? !has_room(x) : x->out.bytes > c->io->ctx->conf->limits.send_buffer;
	settle(x, rc);
	return rc < 0 ? SN_EGONE : full ? SN_EAGAIN : 0;
}

static int
sink_write(struct sn_request *req, const void *data, size_t len)
{
	return write_body(req, data, len, NULL);
}

static int
sink_wait_room(struct sn_request *req, void (*room)(struct sn_request *, void *), void *arg)
{
	struct sn_exchange *x = req->owner;
	struct sn_conn *c = x->conn;
	int rc = 0;
	enter(c);
	if (!owns(x, req, SN_EX_STREAMING)) {
		rc = SN_EGONE;
	} else if (has_room(x)) {
		rc = 1;
	} else {
		x->room = room;
		x->room_arg = arg;
		x->room_req = req;
	}
	leave(c);
	return rc;
}

static int
sink_finish(struct sn_request *req)
{
	struct sn_exchange *x = req->owner;
	struct sn_conn *c = x->conn;
	enter(c);
	if (!owns(x, req, SN_EX_STREAMING)) {
		leave(c);
		return SN_EGONE;
	}
	uint8_t end[END_MAX];
	int rc;
	if (x->body_left > 0) {
		sn_log_for(SN_LOG_ERROR, req->id,
		           "the body is %lld bytes shorter than the Content-Length announced; connection cut",
		           (long long)x->body_left);
		rc = SN_EINVAL;
	} else {
		rc = sn_out_raw(c, &x->out, end, c->wire.ops->end(end, req->wire_id, 0));
	}
	if (rc == 0)
		rc = sn_out_flush(c);
	if (rc == 0)
		end_exchange(x, req);
	settle(x, rc);
	return rc < 0 ? SN_EGONE : 0;
}

static void
sink_cut(struct sn_request *req)
{
	struct sn_exchange *x = req->owner;
	struct sn_conn *c = x->conn;
	enter(c);
	bool mine = x->req == req && x->state != SN_EX_ENDED;
	if (mine && c->fd >= 0 && c->listener->tcp && alone(x)) {
		/* a reset, not an orderly end that SCGI would take for the end of the body */
		struct linger hard = { .l_onoff = 1, .l_linger = 0 };
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	}
	if (mine)
		settle(x, SN_EINVAL);
	else
		leave(c);
	sn_sink_room(x); /* who waits is told now: where others share the connection it may stay */
}

static void
sink_release(void *owner)
{
	struct sn_exchange *x = owner;
	sn_conn_unref(x->conn);
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

/* One piece of the body, filled in where it is sent from. 0: another one; SN_EAGAIN: when
 * there is room; else nothing more. */
static int
pull_once(struct sn_exchange *x, size_t room)
{
	struct sn_conn *c = x->conn;
	struct sn_request *req = x->req;
	if (x->body_none)
		return sink_finish(req) < 0 ? SN_EGONE : 1;
	enter(c);
	struct sn_out *blank = sn_out_blank(c, room);
	leave(c);
	ssize_t n = blank ? x->pull(x->pull_arg, sn_out_room(blank), room) : SN_ENOMEM;
	if (n > 0 && (size_t)n <= room)
		return write_body(req, NULL, (size_t)n, blank);
	enter(c);
	sn_out_unused(c, blank);
	leave(c);
	if (n == 0)
		return sink_finish(req) < 0 ? SN_EGONE : 1;
	sn_log_for(SN_LOG_ERROR, req->id, "%s: the pull callback failed (%zd); connection cut",
	           req->endpoint ? req->endpoint->name : "?", n);
	sink_cut(req);
	return SN_EGONE;
}

void
sn_sink_pull(struct sn_exchange *x)
{
	struct sn_conn *c = x->conn;
	size_t limit = c->io->ctx->conf->limits.send_buffer, room = limit < PULL_CHUNK ? limit : PULL_CHUNK;
	for (int turn = 0; turn < PULL_TURN && x->pull; turn++) {
		int rc = pull_once(x, room);
		if (rc == SN_EAGAIN)
			return; /* sn_conn_after() comes back when there is room */
		if (rc != 0) {
			sn_sink_end_pull(x);
			return;
		}
	}
	sn_conn_ready(c);
}

void
sn_sink_end_pull(struct sn_exchange *x)
{
	struct sn_conn *c = x->conn;
	void (*done)(void *) = x->pull_done;
	if (!x->pull)
		return;
	x->pull = NULL;
	x->pull_done = NULL;
	if (done)
		done(x->pull_arg);
	enter(c);
	c->pulls--;
	sn_out_unused(c, NULL);
	leave(c);
}

static int
add_location(struct sn_response *res, const struct sn_request *req)
{
	char store[1024];
	struct sn_buf url;
	sn_buf_init(&url, store, sizeof(store));
	int rc = sn_slash_location(req, &url);
	if (rc == 0)
		rc = sn_response_header_n(res, "Location", 8, url.data, url.len);
	sn_buf_free(&url);
	return rc;
}

int
sn_sink_error(struct sn_exchange *x, int status, const char *text, uint64_t allow)
{
	struct sn_conn *c = x->conn;
	struct sn_request *req = x->req;
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
	if (status == 308)
		status = add_location(&res, req) < 0 ? 503 : 308;
	if (status == 200)
		res.status = 200; /* OPTIONS: Allow and no body, as Flask does */
	else
		sn_response_error_page(&res, status, text);
	enter(c);
	if (x->state == SN_EX_READING) { /* an answer before the request was complete */
		x->state = SN_EX_RUNNING;
		atomic_fetch_add_explicit(&c->io->count.in_flight, 1, memory_order_relaxed);
	}
	leave(c);
	int rc = sink_respond(req, &res);
	sn_response_free(&res);
	return rc;
}

void
sn_sink_abort(struct sn_exchange *x)
{
	struct sn_conn *c = x->conn;
	uint8_t end[END_MAX];
	enter(c);
	if (x->state != SN_EX_ENDED) {
		end_cut(x, false);
		c->ended_ms = c->io->now_ms;
		if (!x->keep)
			c->close_after = true;
		sn_out_cut(c, &x->out);
		if (sn_out_raw(c, &x->out, end, c->wire.ops->end(end, x->stream.id, 0)) < 0 ||
		    sn_out_flush(c) < 0)
			sn_conn_shut(c);
	}
	leave(c);
	sn_sink_room(x);
	sn_sink_end_pull(x);
}
