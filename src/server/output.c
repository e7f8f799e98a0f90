/* SPDX-License-Identifier: MIT
 *
 * What waits to be sent: pieces of output, cut into the wire's frames while they are
 * gathered for the socket, without blocking. Under the connection's lock, on any thread;
 * knows frames only through the wire's functions, and nothing of requests.
 *
 * Several answers share a connection: each has a queue, and those that have something
 * take turns of about a record, so that a long answer does not hold up a short one. A
 * record is never broken up: only the queue at the head can be in the middle of one, and
 * it stays there until that is out.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "server/conn_priv.h"

#define FRAME_HEADER_MAX 8
#define IOV_MAX_HERE 32
#define TURN_BYTES (64 * 1024) /* about what a queue sends before the next one's turn */

struct sn_out { /* a piece */
	struct sn_out *next;
	const uint8_t *data;
	size_t len, off; /* framed: `off` counts frame headers too */
	bool framed;     /* still to be cut into frames of request `id` */
	bool blank;      /* of sn_out_blank(): used again */
	bool lent;       /* of sn_out_now(): not to be freed */
	uint16_t id;
	void (*done)(void *arg);
	void *arg;
};

/* ---- queues ----------------------------------------------------------------- */

static void
out_free(struct sn_conn *c, struct sn_out *o)
{
	if (o->done)
		o->done(o->arg);
	if (o->blank && c->pulls && !c->blank)
		c->blank = o;
	else if (!o->lent)
		free(o);
}

static void
turn_push(struct sn_conn *c, struct sn_outq *q)
{
	q->next = NULL;
	q->queued = true;
	if (c->turn_tail)
		c->turn_tail->next = q;
	else
		c->turn_head = q;
	c->turn_tail = q;
}

static void
turn_pop(struct sn_conn *c)
{
	struct sn_outq *q = c->turn_head;
	c->turn_head = q->next;
	if (!c->turn_head)
		c->turn_tail = NULL;
	q->next = NULL;
	q->queued = false;
}

static void
turn_remove(struct sn_conn *c, struct sn_outq *q)
{
	struct sn_outq *before = NULL;
	for (struct sn_outq *at = c->turn_head; at != q; at = at->next)
		before = at;
	if (!before) {
		turn_pop(c);
		return;
	}
	before->next = q->next;
	if (c->turn_tail == q)
		c->turn_tail = before;
	q->next = NULL;
	q->queued = false;
}

static void
queue_drop(struct sn_conn *c, struct sn_outq *q)
{
	while (q->head) {
		struct sn_out *o = q->head;
		q->head = o->next;
		out_free(c, o);
	}
	q->tail = NULL;
	q->bytes = 0;
}

void
sn_out_drop(struct sn_conn *c)
{
	while (c->turn_head) {
		queue_drop(c, c->turn_head);
		turn_pop(c);
	}
}

static void
out_push(struct sn_conn *c, struct sn_outq *q, struct sn_out *o)
{
	if (c->batched)
		sn_batch_send(c);
	o->next = NULL;
	if (q->tail)
		q->tail->next = o;
	else
		q->head = o;
	q->tail = o;
	q->bytes += o->len;
	if (!c->turn_head)
		c->wrote_ms = sn_clock_ms(); /* timeouts.write counts from here, or the last byte taken */
	if (!q->queued)
		turn_push(c, q);
}

int
sn_out_raw(struct sn_conn *c, struct sn_outq *q, const void *data, size_t len)
{
	if (len == 0)
		return 0;
	struct sn_out *o = malloc(sizeof(*o) + len);
	if (!o)
		return SN_ENOMEM;
	memcpy(o + 1, data, len);
	*o = (struct sn_out){ .data = (const uint8_t *)(o + 1), .len = len };
	out_push(c, q, o);
	return 0;
}

int
sn_out_framed(struct sn_conn *c, struct sn_outq *q, const void *data, size_t len, uint16_t id,
              void (*done)(void *), void *arg)
{
	if (len == 0)
		return 0;
	size_t copy = done ? 0 : len;
	struct sn_out *o = malloc(sizeof(*o) + copy);
	if (!o)
		return SN_ENOMEM;
	if (copy)
		memcpy(o + 1, data, len);
	*o = (struct sn_out){
		.data = copy ? (const uint8_t *)(o + 1) : data,
		.len = len,
		.framed = true,
		.id = id,
		.done = done,
		.arg = arg,
	};
	out_push(c, q, o);
	return 0;
}

/* ---- bodies that are pulled: filled in where they are sent from ----- */

struct sn_out *
sn_out_blank(struct sn_conn *c, size_t room)
{
	struct sn_out *o = c->blank;
	c->blank = NULL;
	return o ? o : malloc(sizeof(*o) + room);
}

void *
sn_out_room(struct sn_out *o)
{
	return o + 1;
}

void
sn_out_fill(struct sn_conn *c, struct sn_outq *q, struct sn_out *o, size_t len, uint16_t id)
{
	*o = (struct sn_out){
		.data = (const uint8_t *)(o + 1),
		.len = len,
		.framed = true,
		.blank = true,
		.id = id,
	};
	out_push(c, q, o);
}

void
sn_out_unused(struct sn_conn *c, struct sn_out *o)
{
	free(c->blank);
	c->blank = c->pulls ? o : NULL;
	if (!c->pulls)
		free(o);
}

/* ---- frames ----------------------------------------------------------------- */

static size_t
header_size(struct sn_conn *c, const struct sn_out *o)
{
	uint8_t scratch[FRAME_HEADER_MAX];
	size_t max = c->wire.ops->frame_max;
	return c->wire.ops->frame(scratch, o->id, o->len < max ? o->len : max);
}

static size_t
framed_size(struct sn_conn *c, const struct sn_out *o)
{
	size_t max = c->wire.ops->frame_max;
	return o->len + (o->len + max - 1) / max * header_size(c, o);
}

size_t
sn_out_left(struct sn_conn *c, const struct sn_outq *q)
{
	const struct sn_out *o = q->head;
	if (!o)
		return 0;
	if (!o->framed)
		return q->bytes - o->off;
	size_t max = c->wire.ops->frame_max, header = header_size(c, o);
	size_t whole = o->off / (max + header), in = o->off % (max + header);
	return q->bytes - whole * max - (in > header ? in - header : 0);
}

void
sn_out_cut(struct sn_conn *c, struct sn_outq *q)
{
	struct sn_out *o = q->head;
	size_t max = c->wire.ops->frame_max;
	if (!q->queued)
		return;
	size_t frame = o->framed ? max + header_size(c, o) : o->len;
	if (o->off % frame == 0) {
		queue_drop(c, q);
		turn_remove(c, q);
		return;
	}
	if (o->framed && o->len > (o->off / frame + 1) * max)
		o->len = (o->off / frame + 1) * max;
	struct sn_outq rest = { .head = o->next };
	queue_drop(c, &rest);
	o->next = NULL;
	q->tail = o;
	q->bytes = o->len;
}

/* ---- sending ------------------------------------------------------------------ */

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
 * state but how many bytes of its framed form have gone. Ends at the end of a frame. */
static void
gather_framed(struct sn_conn *c, const struct sn_out *o, struct gather *g, size_t until)
{
	size_t max = c->wire.ops->frame_max, at = o->off, header = header_size(c, o);
	while (g->n + 2 <= IOV_MAX_HERE && g->total < until) {
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

/* One queue's turn; how many bytes it is. */
static size_t
gather_turn(struct sn_conn *c, const struct sn_outq *q, struct gather *g, size_t turn)
{
	size_t from = g->total, until = turn < SIZE_MAX - from ? from + turn : SIZE_MAX;
	for (const struct sn_out *o = q->head; o && g->n + 2 <= IOV_MAX_HERE && g->total < until;
	     o = o->next) {
		if (o->framed)
			gather_framed(c, o, g, until);
		else
			gather_add(g, o->data + o->off, o->len - o->off);
	}
	return g->total - from;
}

static void
out_consume(struct sn_conn *c, struct sn_outq *q, size_t n)
{
	while (q->head) {
		struct sn_out *o = q->head;
		size_t left = (o->framed ? framed_size(c, o) : o->len) - o->off;
		if (n < left) {
			o->off += n;
			return;
		}
		n -= left;
		q->bytes -= o->len;
		q->head = o->next;
		if (!q->head)
			q->tail = NULL;
		out_free(c, o);
	}
}

/* The socket took `n` bytes of the turns `turn[]`: those whose turn is out go to the end. */
static void
take_turns(struct sn_conn *c, const size_t *turn, size_t n)
{
	for (size_t i = 0; n > 0; i++) {
		struct sn_outq *q = c->turn_head;
		size_t part = n < turn[i] ? n : turn[i];
		out_consume(c, q, part);
		n -= part;
		if (part < turn[i])
			return; /* in the middle of a record */
		turn_pop(c);
		if (q->head)
			turn_push(c, q);
	}
}

int
sn_out_flush(struct sn_conn *c)
{
	while (c->turn_head) {
		if (c->fd < 0)
			return SN_EGONE;
		struct gather g;
		size_t turn[IOV_MAX_HERE], turns = 0;
		size_t most = c->turn_head->next ? TURN_BYTES : SIZE_MAX;
		g.n = 0;
		g.total = 0;
		for (struct sn_outq *q = c->turn_head; q && g.n + 2 <= IOV_MAX_HERE; q = q->next)
			turn[turns++] = gather_turn(c, q, &g, most);
		struct msghdr msg = { .msg_iov = g.iov, .msg_iovlen = (size_t)g.n };
		ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == ENOBUFS || errno == ENOMEM)) {
			c->starved = true; /* no event will tell */
			return 0;
		}
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (n < 0)
			return SN_EGONE;
		c->wrote_ms = sn_clock_ms();
		take_turns(c, turn, (size_t)n);
		if ((size_t)n < g.total)
			return 0;
	}
	return 0;
}

int
sn_out_now(struct sn_conn *c, struct sn_outq *q, const void *data, size_t len, uint16_t id)
{
	struct sn_out now = { .data = data, .len = len, .framed = true, .lent = true, .id = id }, *rest;
	if (sn_out_pending(c)) {
		int rc = sn_out_framed(c, q, data, len, id, NULL, NULL);
		return rc < 0 ? rc : sn_out_flush(c);
	}
	if (len == 0)
		return 0;
	out_push(c, q, &now);
	int rc = sn_out_flush(c);
	if (rc == 0 && !q->head)
		return 0;
	rest = rc == 0 ? malloc(sizeof(*rest) + len) : NULL;
	if (!rest) {
		queue_drop(c, q);
		turn_remove(c, q);
		return rc < 0 ? rc : now.off ? SN_EGONE : SN_ENOMEM; /* a record that cannot be completed */
	}
	memcpy(rest + 1, data, len);
	*rest = now;
	rest->data = (const uint8_t *)(rest + 1);
	rest->lent = false;
	q->head = q->tail = rest;
	return 0;
}
