/* SPDX-License-Identifier: MIT
 *
 * Answers of one round, sent together. A send wakes the front server when it sleeps, and on a
 * busy connection pair it goes to sleep again before the next answer comes: each answer then
 * pays for a wake-up, which is half of what it costs the kernel. So in a round with several
 * events the I/O thread keeps whole small answers until it has been through them, and the front
 * server finds all of them with one. A round that has become long keeps nothing back any more.
 *
 * Only while nobody else knows a request of the connection: whoever is about to give one away,
 * to close the connection, or to queue bytes for it, sends first. I/O thread only.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "server/conn_priv.h"

#define ANSWER_MAX 4096 /* larger ones cost more to copy than a wake-up */
#define LOOK_EVERY 8    /* answers between two looks at the clock */
#define ROUND_MS 1      /* a round longer than that keeps nothing back */

static bool
takes(const struct sn_conn *c, size_t len, bool keep)
{
	return c->io->batch.open && keep && !c->close_after && !c->shared && c->in_epoll &&
	       len <= ANSWER_MAX && c->fd >= 0 && !sn_out_pending(c);
}

/* Room for one more, if the round is not too long already. */
static bool
make_room(struct sn_iothread *io, size_t len)
{
	struct sn_batch *b = &io->batch;
	if (b->n == SN_BATCH_CONNS || b->used + len > SN_BATCH_BYTES)
		sn_batch_flush(io);
	if (b->n % LOOK_EVERY == LOOK_EVERY - 1 && sn_clock_ms() - io->now_ms > ROUND_MS) {
		sn_batch_flush(io);
		b->open = false;
	}
	return b->open;
}

bool
sn_batch_add(struct sn_conn *c, const void *data, size_t len, bool keep)
{
	struct sn_batch *b = &c->io->batch;
	if (c->io != sn_io_self)
		return false;
	/* Making room sends, and what it sends may be this connection's, which may then be full or gone. */
	if (!takes(c, len, keep) || !make_room(c->io, len) || (b->n == 0 && !takes(c, len, keep))) {
		sn_batch_send(c);
		return false;
	}
	struct sn_batch_item *last = b->n ? &b->item[b->n - 1] : NULL;
	if (c->batched && (!last || last->conn != c)) {
		sn_batch_send(c);
		if (sn_out_pending(c) || c->fd < 0)
			return false;
	}
	if (!c->batched)
		b->item[b->n++] = (struct sn_batch_item){ .conn = c, .off = b->used };
	memcpy(b->bytes + b->used, data, len); /* its second answer stands behind the first */
	b->item[b->n - 1].len += len;
	b->used += len;
	c->batched = true;
	return true;
}

/* False: not all of it went. The rest is queued, or the connection is shut. */
static bool
send_item(const struct sn_batch *b, struct sn_batch_item *i)
{
	struct sn_conn *c = i->conn;
	i->conn = NULL;
	c->batched = false;
	ssize_t n = send(c->fd, b->bytes + i->off, i->len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n == (ssize_t)i->len)
		return true;
	bool lost = n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ENOMEM;
	size_t put = n < 0 ? 0 : (size_t)n;
	/* Whole records of answers that are done with, so the wire's own queue carries them. */
	if (lost || sn_out_raw(c, &c->replies, b->bytes + i->off + put, i->len - put) < 0)
		sn_conn_shut(c);
	return false;
}

void
sn_batch_send(struct sn_conn *c)
{
	struct sn_batch *b = &c->io->batch;
	for (unsigned i = 0; c->batched && i < b->n; i++)
		if (b->item[i].conn == c)
			send_item(b, &b->item[i]);
}

void
sn_batch_flush(struct sn_iothread *io)
{
	struct sn_batch *b = &io->batch;
	for (unsigned i = 0; i < b->n; i++) {
		struct sn_conn *c = b->item[i].conn;
		if (c && !send_item(b, &b->item[i]))
			sn_conn_ready(c);
	}
	b->n = 0;
	b->used = 0;
}
