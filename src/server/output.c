/* SPDX-License-Identifier: MIT
 *
 * What waits to be sent: pieces of output, cut into the wire's frames while they are
 * gathered for the socket, without blocking. Under the connection's lock, on any thread;
 * knows frames only through the wire's functions, and nothing of requests.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "server/conn_priv.h"

#define FRAME_HEADER_MAX 8
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
	if (c->out_tail) {
		c->out_tail->next = o;
	} else {
		c->out_head = o;
		c->wrote_ms = sn_clock_ms(); /* timeouts.write counts from here, or the last byte taken */
	}
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

int
sn_out_framed(struct sn_conn *c, const void *data, size_t len, uint16_t id,
              void (*done)(void *), void *arg)
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
