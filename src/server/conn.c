/* SPDX-License-Identifier: MIT
 *
 * A connection's life: taken in, gone on with after input or output, out of time,
 * drained, closed. Knows what its exchange does only by its state. Runs on the
 * connection's I/O thread, except for sn_conn_post and the last unref.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "server/conn_priv.h"

#define LINGER_MS 2000
#define DRAIN_QUIET_MS 1000

/* ---- life ----------------------------------------------------------------- */

struct sn_conn *
sn_conn_new(struct sn_iothread *io, const struct sn_listener *l, int fd)
{
	struct sn_conn *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	atomic_init(&c->refs, 1);
	c->fd = fd;
	c->io = io;
	c->listener = l;
	c->first.conn = c;
	sn_wire_init(&c->wire, l->wire);
	pthread_mutex_init(&c->mtx, NULL);
	atomic_fetch_add_explicit(&io->ctx->connections, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&io->load, 1, memory_order_relaxed);
	return c;
}

void
sn_conn_unref(struct sn_conn *c)
{
	if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	sn_buf_free(&c->first.params);
	sn_buf_free(&c->stash);
	pthread_mutex_destroy(&c->mtx);
	free(c);
}

void
sn_conn_post(struct sn_conn *c, bool wake)
{
	struct sn_iothread *io = c->io;
	pthread_mutex_lock(&io->inbox_mtx);
	if (!c->posted) {
		c->posted = true;
		atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
		c->inbox_next = io->inbox;
		io->inbox = c;
	}
	/* a thread that cannot accept more waits for burials */
	wake = wake || io->paused;
	pthread_mutex_unlock(&io->inbox_mtx);
	if (wake)
		eventfd_write(io->wake, 1);
}

void
sn_conn_ready(struct sn_conn *c)
{
	if (c->ready)
		return;
	c->ready = true;
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	c->ready_next = c->io->ready;
	c->io->ready = c;
}

void
sn_conn_deadline(struct sn_conn *c, int64_t ms)
{
	if (ms > 0)
		sn_wheel_set(&c->io->wheel, &c->timer, c->io->now_ms + ms);
	else
		sn_wheel_remove(&c->timer);
}

void
sn_conn_close_after(struct sn_conn *c)
{
	pthread_mutex_lock(&c->mtx);
	c->close_after = true;
	pthread_mutex_unlock(&c->mtx);
}

void
sn_conn_close(struct sn_conn *c)
{
	struct sn_exchange *x = &c->first;
	pthread_mutex_lock(&c->mtx);
	sn_conn_shut(c);
	struct sn_request *cur = x->req;
	x->req = NULL;
	void (*pull_done)(void *) = x->pull_done;
	x->pull = NULL;
	x->pull_done = NULL;
	pthread_mutex_unlock(&c->mtx);
	sn_sink_room(x);
	if (pull_done)
		pull_done(x->pull_arg);
	if (cur && sn_request_marked(cur))
		sn_exchange_cancel(x, cur);
	sn_request_unref(cur);
	sn_wheel_remove(&c->timer);
	sn_buf_free(&x->params);
	if (!c->registered)
		return;
	c->registered = false;
	if (c->prev)
		c->prev->next = c->next;
	else
		c->io->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	atomic_fetch_sub_explicit(&c->io->ctx->connections, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&c->io->load, 1, memory_order_relaxed);
	/* callers further up still look at it: let go at the end of the round */
	c->next = c->io->grave;
	c->io->grave = c;
}

/* ---- what next ----------------------------------------------------------------------- */

static void
arm(struct sn_conn *c, bool out)
{
	if (c->fd < 0 || (c->in_epoll && c->armed_out == out))
		return;
	struct epoll_event ev = {
		.events = EPOLLIN | EPOLLRDHUP | EPOLLET | (out ? EPOLLOUT : 0),
		.data.ptr = c,
	};
	if (epoll_ctl(c->io->epoll, c->in_epoll ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &ev) < 0) {
		sn_log_error("epoll_ctl: %s", strerror(errno));
		c->close_after = true;
		return;
	}
	c->in_epoll = true;
	c->armed_out = out;
}

static void
begin_lingering(struct sn_conn *c)
{
	c->lingering = true;
	c->lingered = 0;
	shutdown(c->fd, SHUT_WR);
	sn_conn_deadline(c, LINGER_MS);
	sn_conn_ready(c);
}

/* Nothing to do but to wait for the peer's next bytes. Without the lock: no other thread has
 * a request here (x->remote), so none changes what is looked at. */
static bool
is_at_rest(const struct sn_conn *c)
{
	const struct sn_exchange *x = &c->first;
	return !x->remote && x->state == SN_EX_NONE && !x->req && !x->pull && !x->room &&
	       !c->out_head && !c->close_after && !c->held && c->in_epoll && !c->armed_out &&
	       c->fd >= 0;
}

static bool
hands_over(struct sn_conn *c)
{
	return atomic_load(&c->io->ctx->handing) && sn_conn_hand_over(c);
}

void
sn_conn_after(struct sn_conn *c)
{
	struct sn_exchange *x = &c->first;
	if (!c->registered)
		return;
	if (c->lingering) {
		if (!c->in_epoll)
			arm(c, false);
		return;
	}
	sn_exchange_collect(x);
	sn_input_resume(c);
	if (!c->registered || (c->io->draining && hands_over(c)) || is_at_rest(c))
		return;
	pthread_mutex_lock(&c->mtx);
	if (c->fd >= 0 && c->out_head && sn_out_flush(c) < 0)
		sn_conn_shut(c);
	bool gone = c->fd < 0, pending = c->out_head != NULL, ended = x->state == SN_EX_ENDED;
	bool pulling = x->pull && c->out_bytes <= c->io->ctx->conf->limits.send_buffer / 4;
	bool idle = x->state == SN_EX_NONE && !x->req, unread = c->wire.ops->receiving(&c->wire);
	bool closes = !pending && ((ended && !x->keep) || ((ended || idle) && c->close_after));
	bool room = x->room != NULL;
	if (!gone && !closes) /* a fresh connection with one short request never meets epoll */
		arm(c, pending);
	if (!pending)
		c->needs_io = c->held;
	pthread_mutex_unlock(&c->mtx);

	if (gone) {
		sn_conn_close(c);
		return;
	}
	if (pending) {
		sn_conn_deadline(c, c->io->ctx->ms.write);
		if (ended)
			return;
	} else if (ended || (idle && c->close_after)) {
		if (ended && x->keep && !c->close_after) {
			sn_exchange_collect(x);
			if (c->held) {
				sn_conn_ready(c);
				return;
			}
			if (atomic_load_explicit(&c->io->ctx->draining, memory_order_relaxed))
				sn_conn_close(c);
			return;
		}
		/* Unread bytes make the kernel reset the connection and lose the answer. */
		if ((unread || c->close_after) && !c->eof)
			begin_lingering(c);
		else
			sn_conn_close(c);
		return;
	}
	if (room)
		sn_sink_room(x);
	if (pulling)
		sn_conn_ready(c);
}

void
sn_conn_adopt(struct sn_conn *c)
{
	struct sn_iothread *io = c->io;
	c->registered = true;
	c->next = io->conns;
	if (io->conns)
		io->conns->prev = c;
	io->conns = c;
	c->ended_ms = io->now_ms;
	sn_conn_deadline(c, io->ctx->ms.idle);
	/* The front server's first bytes are usually there already: a short request is then
	 * answered, and its connection closed, without epoll. */
	sn_input_read(c, 0);
	sn_conn_after(c);
}

void
sn_conn_event(struct sn_conn *c, uint32_t events)
{
	if (!c->registered)
		return;
	if (c->eof && (events & (EPOLLHUP | EPOLLERR))) {
		sn_conn_close(c); /* a half-closed peer is gone for good now */
		return;
	}
	if (c->io->draining && hands_over(c))
		return; /* unread */
	if (events & ~(uint32_t)EPOLLOUT)
		sn_input_read(c, events);
	sn_conn_after(c);
}

void
sn_conn_go_on(struct sn_conn *c)
{
	struct sn_exchange *x = &c->first;
	if (!c->registered)
		return;
	pthread_mutex_lock(&c->mtx);
	bool pull = x->pull != NULL && c->fd >= 0;
	pthread_mutex_unlock(&c->mtx);
	if (pull)
		sn_sink_pull(x);
	sn_input_read(c, 0);
	sn_conn_after(c);
}

/* ---- deadlines -------------------------------------------------------------------------- */

void
sn_conn_timer(struct sn_conn *c)
{
	struct sn_exchange *x = &c->first;
	const struct sn_context *ctx = c->io->ctx;
	if (!c->registered)
		return;
	sn_exchange_collect(x); /* sets the idle deadline when an executor has ended meanwhile */
	if (c->timer.next)
		return;
	pthread_mutex_lock(&c->mtx);
	enum sn_ex_state state = x->state;
	bool pending = c->out_head != NULL, gone = c->fd < 0;
	int64_t wrote = c->wrote_ms, now = c->io->now_ms;
	pthread_mutex_unlock(&c->mtx);
	if (c->lingering || gone) {
		sn_conn_close(c);
	} else if (pending) {
		if (ctx->ms.write > 0 && now - wrote < ctx->ms.write) {
			sn_wheel_set(&c->io->wheel, &c->timer, wrote + ctx->ms.write);
			return;
		}
		sn_log_info("%s: connection closed: the peer took no byte of the answer within timeouts.write",
		            c->listener->name);
		sn_conn_close(c);
	} else if (state == SN_EX_READING || state == SN_EX_RUNNING) {
		sn_exchange_timeout(x);
		sn_conn_after(c);
	} else if (state == SN_EX_STREAMING) {
		sn_conn_deadline(c, ctx->ms.write); /* nothing waits for the peer: the producer is slow */
	} else {
		sn_conn_close(c);
	}
}

void
sn_conn_drain(struct sn_conn *c)
{
	struct sn_exchange *x = &c->first;
	if (atomic_load(&c->io->ctx->handing)) {
		sn_conn_hand_over(c);
		return;
	}
	if (x->remote)
		sn_exchange_collect(x);
	if (sn_exchange_state(x) != SN_EX_NONE || x->req || c->lingering)
		return;
	sn_input_read(c, 0); /* a request may be on its way in */
	if (!c->registered)
		return;
	/* a fresh connection, or a piece of a request, is given a moment: somebody is about to
	 * speak there */
	if (sn_exchange_state(x) == SN_EX_NONE && !x->req && !c->out_head &&
	    ((c->served && !c->partial) || c->io->now_ms - c->ended_ms > DRAIN_QUIET_MS))
		sn_conn_close(c);
	else
		sn_conn_after(c);
}
