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

/* ---- events ------------------------------------------------------------------ */

/* The peer pipelines: its next request has the present one's id, so it waits (and nothing
 * more is read) until that one is answered. */
static void
hold(struct sn_conn *c, const struct sn_wire_event *ev)
{
	c->held = true;
	c->held_keep = ev->keep;
	pthread_mutex_lock(&c->mtx);
	c->needs_io = true; /* the executor's end wakes this thread */
	pthread_mutex_unlock(&c->mtx);
}

static void
on_begin(struct sn_conn *c, const struct sn_wire_event *ev)
{
	struct sn_exchange *x = &c->first;
	if (x->req && ev->id == x->id && !c->close_after) {
		hold(c, ev);
		return;
	}
	if (x->remote || x->state != SN_EX_NONE || x->req || c->close_after) {
		uint8_t out[SN_WIRE_REPLY_MAX];
		size_t n = c->wire.ops->refuse(&c->wire, ev->id, out);
		pthread_mutex_lock(&c->mtx);
		if (n == 0 || sn_out_raw(c, out, n) < 0 || sn_out_flush(c) < 0)
			c->close_after = true;
		pthread_mutex_unlock(&c->mtx);
		return;
	}
	c->wire.ops->accept(&c->wire, ev->id);
	sn_exchange_begin(x, ev->id, ev->keep);
}

static void
on_reply(struct sn_conn *c, const struct sn_wire_event *ev)
{
	struct sn_exchange *x = &c->first;
	pthread_mutex_lock(&c->mtx);
	bool failed = c->fd >= 0 && (sn_out_raw(c, ev->data, ev->len) < 0 || sn_out_flush(c) < 0);
	/* a refused role without KEEP_CONN ends the connection, unless a request is under way */
	if (failed || (!ev->keep && x->state == SN_EX_NONE))
		c->close_after = true;
	pthread_mutex_unlock(&c->mtx);
}

static void
on_fault(struct sn_conn *c, const struct sn_wire_event *ev)
{
	struct sn_exchange *x = &c->first;
	const char *text = sn_wire_fault_text(ev->fault);
	sn_log_info("%s: connection closed: %s", c->listener->name, text);
	sn_conn_close_after(c);
	c->broken = true; /* nothing more can be understood */
	enum sn_ex_state ex = sn_exchange_state(x);
	if (ex == SN_EX_RUNNING && x->req)
		atomic_fetch_or_explicit(&x->req->marks, SN_MARK_GONE, memory_order_relaxed);
	if (ev->fault == SN_WIRE_F_TOO_LARGE)
		sn_exchange_reject(x, 431, "the request parameters are larger than limits.params allows");
	else if (ex == SN_EX_READING || ex == SN_EX_RUNNING)
		sn_exchange_reject(x, 400, text);
}

/* Feeds bytes until there are none left or nobody wants them. */
static void
process(struct sn_conn *c, const uint8_t *data, size_t len)
{
	struct sn_exchange *x = &c->first;
	const struct sn_wire_ops *wire = c->wire.ops;
	for (;;) {
		struct sn_wire_event ev;
		size_t used = wire->feed(&c->wire, &c->io->ctx->wire_limits, data, len, &ev);
		data += used;
		len -= used;
		c->partial = ev.type == SN_WIRE_MORE && used > 0;
		switch (ev.type) {
		case SN_WIRE_MORE:
			sn_exchange_keep_slice(x);
			return;
		case SN_WIRE_BEGIN:
			on_begin(c, &ev);
			if (!c->held)
				break;
			if (sn_buf_add(&c->stash, data, len) < 0)
				sn_conn_close_after(c);
			return;
		case SN_WIRE_REPLY: on_reply(c, &ev); break;
		case SN_WIRE_FAULT: on_fault(c, &ev); return;
		default: sn_exchange_event(x, &ev);
		}
		if (!x->remote && c->fd < 0)
			return;
		sn_exchange_collect(x);
		if (c->close_after && sn_exchange_state(x) == SN_EX_ENDED)
			return; /* what follows is drained unread */
	}
}

void
sn_input_resume(struct sn_conn *c)
{
	struct sn_exchange *x = &c->first;
	while (c->held && !x->req && sn_exchange_state(x) == SN_EX_NONE && c->registered) {
		struct sn_wire_event ev = { .type = SN_WIRE_BEGIN, .id = x->id, .keep = c->held_keep };
		struct sn_buf bytes = c->stash;
		sn_buf_init(&c->stash, NULL, 0);
		c->held = false;
		on_begin(c, &ev);
		process(c, (const uint8_t *)bytes.data, bytes.len);
		sn_buf_free(&bytes);
		if (!c->held)
			sn_conn_ready(c); /* more may have come meanwhile, unread */
	}
}

/* ---- reading -------------------------------------------------------------------- */

/* An executor on another thread may close the descriptor: then it is read under the lock,
 * else its number could be another connection's by now. */
static ssize_t
read_some(struct sn_conn *c)
{
	struct sn_exchange *x = &c->first;
	ssize_t n;
	if (!x->remote)
		return c->fd < 0 ? 0 : recv(c->fd, c->io->rbuf, SN_IO_READ_SIZE, MSG_DONTWAIT);
	pthread_mutex_lock(&c->mtx);
	n = c->fd < 0 ? 0 : recv(c->fd, c->io->rbuf, SN_IO_READ_SIZE, MSG_DONTWAIT);
	pthread_mutex_unlock(&c->mtx);
	return n;
}

static void
on_eof(struct sn_conn *c, bool whole)
{
	struct sn_exchange *x = &c->first;
	c->eof = true;
	if (c->lingering) {
		sn_conn_close(c);
		return;
	}
	pthread_mutex_lock(&c->mtx);
	enum sn_ex_state ex = x->state;
	bool alive = c->wire.ops->half_close_is_alive && !whole && c->fd >= 0 && ex != SN_EX_NONE;
	pthread_mutex_unlock(&c->mtx);
	if (alive && ex == SN_EX_READING)
		sn_exchange_reject(x, 400, "the request ends before its announced length");
	if (!alive)
		sn_conn_close(c);
}

void
sn_input_read(struct sn_conn *c, uint32_t events)
{
	struct sn_exchange *x = &c->first;
	bool closing = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
	for (int turn = 0; !c->eof && !(c->broken && !c->lingering); turn++) {
		if (c->held && !c->lingering) {
			if (closing) /* nobody waits for the present answer either */
				on_eof(c, events & (EPOLLHUP | EPOLLERR));
			return;
		}
		if (turn == READ_TURN) {
			sn_conn_ready(c);
			return;
		}
		if (x->remote)
			sn_exchange_collect(x);
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
			c->lingered += (uint64_t)n;
			if (c->lingered > LINGER_BYTES) {
				sn_conn_close(c);
				return;
			}
			continue;
		}
		if (sn_exchange_state(x) == SN_EX_READING)
			sn_conn_deadline(c, c->io->ctx->ms.read);
		if (x->remote)
			sn_exchange_collect(x);
		process(c, c->io->rbuf, (size_t)n);
		if (!c->registered)
			return; /* closed on the way */
		if (c->close_after && sn_exchange_state(x) == SN_EX_ENDED)
			return; /* sn_conn_after() half-closes and drains */
		if (n < SN_IO_READ_SIZE && !closing)
			return;
	}
}
