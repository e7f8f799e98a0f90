/* SPDX-License-Identifier: MIT
 *
 * A connection's input side: bytes are read and fed to the wire's codec, and what it
 * tells goes to the exchange (exchange.c). Runs on the connection's I/O thread.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "server/conn_priv.h"

#define READ_TURN 16 /* reads of one connection before the others get their turn */
#define LINGER_BYTES (1024 * 1024)
#define REPLIES_MAX (16 * 1024) /* of the wire itself, not taken by the peer: read no more */

/* ---- events ------------------------------------------------------------------ */

/* Nothing of what follows will be answered. */
static bool
finished(struct sn_conn *c)
{
	sn_conn_lock(c);
	bool over = c->fd < 0 || (c->close_after && c->open == 0);
	sn_conn_unlock(c);
	return over;
}

/* The peer pipelines: its next request has the id of one that is open, so it waits (and
 * nothing more is read) until that one is answered. */
static void
hold(struct sn_conn *c, const struct sn_wire_event *ev)
{
	c->held = true;
	c->held_keep = ev->keep;
	c->held_id = ev->id;
	sn_conn_lock(c);
	c->needs_io = true; /* the executor's end wakes this thread */
	sn_conn_unlock(c);
}

/* The wire's own words. A peer that asks on and on and reads nothing is not read either. */
static void
send_reply(struct sn_conn *c, const void *data, size_t len)
{
	sn_conn_lock(c);
	if (c->fd >= 0 && (sn_out_raw(c, &c->replies, data, len) < 0 || sn_out_flush(c) < 0))
		sn_conn_shut(c);
	c->choked = c->replies.bytes > REPLIES_MAX;
	sn_conn_unlock(c);
}

static void
refuse(struct sn_conn *c, uint16_t id)
{
	uint8_t out[SN_WIRE_REPLY_MAX];
	size_t n = c->wire.ops->refuse(&c->wire, &c->io->ctx->wire_limits, id, out);
	if (n)
		send_reply(c, out, n);
	else
		sn_conn_close_after(c);
}

static void
on_begin(struct sn_conn *c, const struct sn_wire_event *ev)
{
	const struct sn_wire_limits *limits = &c->io->ctx->wire_limits;
	struct sn_exchange *same = ev->stream ? sn_exchange_of(ev->stream) : NULL;
	if (c->shared && (same || c->nactive >= limits->requests))
		sn_exchange_collect(c);
	sn_conn_lock(c);
	bool closing = c->close_after;
	sn_conn_unlock(c);
	if (same && !closing && sn_exchange_state(same) != SN_EX_NONE)
		hold(c, ev);
	else if (closing || c->nactive >= limits->requests || !sn_exchange_begin(c, ev->id, ev->keep))
		refuse(c, ev->id);
}

static void
on_reply(struct sn_conn *c, const struct sn_wire_event *ev)
{
	send_reply(c, ev->data, ev->len);
	/* a refused role without KEEP_CONN ends the connection, unless a request is under way */
	if (!ev->keep && c->nactive == 0)
		sn_conn_close_after(c);
}

static void
on_fault(struct sn_conn *c, const struct sn_wire_event *ev)
{
	const char *text = sn_wire_fault_text(ev->fault);
	sn_log_info("%s: connection closed: %s", c->listener->name, text);
	sn_conn_close_after(c);
	c->broken = true; /* nothing more can be understood */
	for (struct sn_exchange *x = c->active; x; x = x->next) {
		enum sn_ex_state state = sn_exchange_state(x);
		if (state == SN_EX_RUNNING)
			atomic_fetch_or_explicit(&x->req->marks, SN_MARK_GONE, memory_order_relaxed);
		if (ev->fault == SN_WIRE_F_TOO_LARGE)
			sn_exchange_reject(x, 431, "the request parameters are larger than limits.params allows");
		else if (state == SN_EX_READING || state == SN_EX_RUNNING)
			sn_exchange_reject(x, 400, text);
		if (state == SN_EX_RUNNING)
			sn_exchange_cancel(x, x->req);
	}
}

static void
on_exchange(struct sn_conn *c, const struct sn_wire_event *ev)
{
	struct sn_exchange *x = sn_exchange_of(ev->stream);
	sn_exchange_event(x, ev);
	if (sn_exchange_state(x) == SN_EX_ENDED)
		sn_exchange_collect(c);
}

/* ---- feeding the wire ------------------------------------------------------------ */

/* Bytes that wait, unseen by the wire, with what stopped them. */
static void
stash(struct sn_conn *c, const uint8_t *data, size_t len)
{
	if (sn_buf_add(&c->stash, data, len) < 0)
		sn_conn_close_after(c);
}

/* Feeds bytes until there are none left or nobody wants them. */
static void
feed(struct sn_conn *c, const uint8_t *data, size_t len)
{
	const struct sn_wire_ops *wire = c->wire.ops;
	for (;;) {
		struct sn_wire_event ev;
		size_t used = wire->feed(&c->wire, &c->io->ctx->wire_limits, data, len, &ev);
		data += used;
		len -= used;
		c->partial = ev.type == SN_WIRE_MORE && used > 0;
		switch (ev.type) {
		case SN_WIRE_MORE: return;
		case SN_WIRE_BEGIN: on_begin(c, &ev); break;
		case SN_WIRE_REPLY: on_reply(c, &ev); break;
		case SN_WIRE_FAULT: on_fault(c, &ev); return;
		default: on_exchange(c, &ev);
		}
		if (!c->registered)
			return;
		if (finished(c)) {
			c->unread = c->unread || len > 0;
			return; /* what follows is drained unread */
		}
		if (c->held || c->choked || c->stalled) {
			stash(c, data, len);
			return;
		}
	}
}

static void
process(struct sn_conn *c, const uint8_t *data, size_t len)
{
	feed(c, data, len);
	for (struct sn_exchange *x = c->active; x; x = x->next)
		sn_exchange_keep_slice(x);
}

static bool
is_open(const struct sn_conn *c, uint16_t id)
{
	for (const struct sn_exchange *x = c->active; x; x = x->next)
		if (x->stream.id == id)
			return true;
	return false;
}

void
sn_input_resume(struct sn_conn *c)
{
	while (c->registered && (c->held || c->choked || c->stalled)) {
		if (c->stalled && sn_early_stalls(c))
			return;
		sn_conn_lock(c);
		bool choked = c->choked && c->replies.bytes > REPLIES_MAX / 4;
		sn_conn_unlock(c);
		if (choked || (c->held && is_open(c, c->held_id)))
			return;
		struct sn_wire_event ev = { .type = SN_WIRE_BEGIN, .id = c->held_id, .keep = c->held_keep };
		struct sn_buf bytes = c->stash;
		bool held = c->held;
		sn_buf_init(&c->stash, NULL, 0);
		c->held = c->choked = c->stalled = false;
		if (held)
			on_begin(c, &ev);
		process(c, (const uint8_t *)bytes.data, bytes.len);
		sn_buf_free(&bytes);
		if (!c->held && !c->choked && !c->stalled)
			sn_conn_ready(c); /* more may have come meanwhile, unread */
	}
}

/* ---- reading -------------------------------------------------------------------- */

/* An executor on another thread may close the descriptor: then it is read under the lock,
 * else its number could be another connection's by now. */
static ssize_t
read_some(struct sn_conn *c)
{
	sn_conn_lock(c);
	ssize_t n = c->fd < 0 ? 0 : recv(c->fd, c->io->rbuf, SN_IO_READ_SIZE, MSG_DONTWAIT);
	if (n < 0 && (errno == ENOBUFS || errno == ENOMEM)) {
		c->starved = true; /* no event will tell */
		errno = EAGAIN;
	}
	sn_conn_unlock(c);
	return n;
}

static void
on_eof(struct sn_conn *c, bool whole)
{
	c->eof = true;
	sn_conn_lock(c);
	bool alive = c->wire.ops->half_close_is_alive && !whole && c->fd >= 0 && c->active &&
	             !c->lingering;
	sn_conn_unlock(c);
	if (!alive)
		sn_conn_close(c);
	else if (sn_exchange_state(c->active) == SN_EX_READING)
		sn_exchange_reject(c->active, 400, "the request ends before its announced length");
	else
		sn_early_cut(c->active);
}

static void
drain(struct sn_conn *c, size_t n)
{
	c->lingered += n;
	if (c->lingered > LINGER_BYTES)
		sn_conn_close(c);
}

void
sn_input_read(struct sn_conn *c, uint32_t events)
{
	bool closing = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
	for (int turn = 0; c->registered && !c->eof && !(c->broken && !c->lingering); turn++) {
		if ((c->held || c->choked || c->stalled) && !c->lingering) {
			bool gone = events & (EPOLLHUP | EPOLLERR);
			/* Nobody waits for the present answers either. But the bytes before a half-close
			 * may be those that wait to be read. */
			if (gone || (closing && !(c->stalled && c->wire.ops->half_close_is_alive)))
				on_eof(c, gone);
			return;
		}
		if (turn == READ_TURN) {
			sn_conn_ready(c);
			return;
		}
		if (c->shared)
			sn_exchange_collect(c);
		ssize_t n = read_some(c);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0) {
			on_eof(c, n < 0 || (events & (EPOLLHUP | EPOLLERR)));
			return;
		}
		if (c->lingering) {
			drain(c, (size_t)n);
			continue;
		}
		if (c->shared)
			sn_exchange_collect(c);
		process(c, c->io->rbuf, (size_t)n);
		if (!c->registered || finished(c))
			return; /* sn_conn_after() half-closes and drains */
		if (n < SN_IO_READ_SIZE && !closing)
			return;
	}
}
