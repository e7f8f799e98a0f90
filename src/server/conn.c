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
#define STARVED_MS 50 /* the kernel has no memory for our bytes: until the next try */

static void on_timer(struct sn_timer *t);

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
	c->timer.fire = on_timer;
	sn_exchange_init(&c->first, c);
	sn_wire_init(&c->wire, l->wire);
	pthread_mutex_init(&c->mtx, NULL);
	atomic_fetch_add_explicit(&io->ctx->connections, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&io->load, 1, memory_order_relaxed);
	return c;
}

/* All but the embedded one. */
static void
free_exchanges(struct sn_exchange *x)
{
	while (x) {
		struct sn_exchange *next = x->next;
		if (x != &x->conn->first) {
			sn_buf_free(&x->params);
			free(x);
		}
		x = next;
	}
}

void
sn_conn_unref(struct sn_conn *c)
{
	if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	free_exchanges(c->active);
	free_exchanges(c->spare);
	sn_buf_free(&c->first.params);
	sn_buf_free(&c->stash);
	free(c->blank);
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
}

void
sn_conn_close_after(struct sn_conn *c)
{
	sn_batch_send(c);
	sn_conn_lock(c);
	c->close_after = true;
	c->needs_io = true; /* to linger; an executor would just close */
	sn_conn_unlock(c);
	c->unread = true;
}

/* After sn_conn_shut(): nobody is left waiting for something of it. */
static void
let_go(struct sn_exchange *x)
{
	struct sn_conn *c = x->conn;
	sn_conn_lock(c);
	struct sn_request *req = x->req;
	x->req = NULL;
	sn_conn_unlock(c);
	sn_sink_room(x);
	sn_sink_end_pull(x);
	if (req && (atomic_load_explicit(&req->marks, memory_order_relaxed) & SN_MARK_GONE))
		sn_exchange_cancel(x, req);
	sn_request_unref(req);
	sn_buf_free(&x->params);
	sn_wheel_remove(&x->timer);
}

void
sn_conn_close(struct sn_conn *c)
{
	sn_conn_lock(c);
	sn_conn_shut(c);
	sn_conn_unlock(c);
	for (struct sn_exchange *x = c->active; x; x = x->next)
		let_go(x);
	for (struct sn_exchange *x = c->spare; x; x = x->next)
		sn_wheel_remove(&x->timer);
	sn_wheel_remove(&c->first.timer);
	sn_wheel_remove(&c->timer);
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
 * a request here, so none changes what is looked at. */
static bool
is_at_rest(const struct sn_conn *c)
{
	return !c->shared && c->nactive == 0 && !sn_out_pending(c) && !c->close_after &&
	       !c->needs_io && !c->starved && !c->held && !c->choked && !c->stalled && c->in_epoll &&
	       !c->armed_out && c->fd >= 0;
}

/* Those whose queues have been taken may go on. */
static void
make_room(struct sn_conn *c)
{
	bool pulling = false, waiting = false;
	size_t low = c->io->ctx->conf->limits.send_buffer / 4;
	sn_conn_lock(c);
	for (struct sn_exchange *x = c->active; x; x = x->next) {
		bool room = x->out.bytes <= low;
		pulling = pulling || (x->pull && room);
		waiting = waiting || (x->room && room);
	}
	sn_conn_unlock(c);
	for (struct sn_exchange *x = c->active; x && waiting; x = x->next)
		sn_sink_room(x);
	if (pulling)
		sn_conn_ready(c);
}

/* Sends what waits. */
static void
push(struct sn_conn *c)
{
	sn_conn_lock(c);
	if (c->fd >= 0 && sn_out_pending(c) && sn_out_flush(c) < 0)
		sn_conn_shut(c);
	sn_conn_unlock(c);
}

static bool
hands_over(struct sn_conn *c)
{
	return atomic_load(&c->io->ctx->handing) && sn_conn_hand_over(c);
}

void
sn_conn_after(struct sn_conn *c)
{
	if (!c->registered)
		return;
	if (c->lingering) {
		if (!c->in_epoll)
			arm(c, false);
		return;
	}
	push(c);
	sn_exchange_collect(c);
	sn_input_resume(c);
	if (!c->registered || (c->io->draining && hands_over(c)) || is_at_rest(c))
		return;
	sn_conn_lock(c);
	bool gone = c->fd < 0, pending = sn_out_pending(c), starved = c->starved;
	bool over = c->close_after && !c->nactive && !pending;
	if (!gone && !over) /* a fresh connection with one short request never meets epoll */
		arm(c, pending || (c->armed_out && c->pulls)); /* that will wait again, soon */
	c->needs_io = pending || c->held || c->choked || c->stalled || (c->close_after && c->unread);
	sn_conn_unlock(c);
	if (gone) {
		sn_conn_close(c);
	} else if (over) {
		/* Unread bytes make the kernel reset the connection and lose the answer. */
		if (c->unread && !c->eof)
			begin_lingering(c);
		else
			sn_conn_close(c);
	} else {
		if (pending || starved)
			sn_conn_deadline(c, starved ? STARVED_MS : c->io->ctx->ms.write);
		if (c->nactive)
			make_room(c);
	}
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
	if (!c->registered)
		return;
	for (struct sn_exchange *x = c->active; x; x = x->next) {
		sn_conn_lock(c);
		bool pull = x->pull && c->fd >= 0;
		sn_conn_unlock(c);
		if (pull)
			sn_sink_pull(x);
	}
	sn_input_read(c, 0);
	sn_conn_after(c);
}

/* ---- deadlines -------------------------------------------------------------------------- */

/* The connection's own: idle, or its peer takes nothing. Nobody moves it when a request
 * begins or ends: it finds out here. */
static void
on_timer(struct sn_timer *t)
{
	struct sn_conn *c = (struct sn_conn *)t;
	const struct sn_context *ctx = c->io->ctx;
	if (!c->registered)
		return;
	sn_exchange_collect(c);
	sn_conn_lock(c);
	bool pending = sn_out_pending(c), gone = c->fd < 0, starved = c->starved && !gone;
	int64_t since = pending ? c->wrote_ms : c->nactive ? c->io->now_ms : c->ended_ms;
	sn_conn_unlock(c);
	int64_t limit = pending ? ctx->ms.write : ctx->ms.idle;
	if (c->lingering || gone) {
		sn_conn_close(c);
		return;
	}
	if (limit == 0) {
		sn_conn_deadline(c, ctx->ms.idle);
	} else if (c->io->now_ms - since < limit) {
		sn_wheel_set(&c->io->wheel, &c->timer, since + limit);
	} else {
		if (pending)
			sn_log_info("%s: connection closed: the peer took no byte of the answer within "
			            "timeouts.write", c->listener->name);
		sn_conn_close(c);
		return;
	}
	if (starved) {
		sn_conn_lock(c);
		c->starved = false; /* only here: what reads and what writes may both set it again */
		sn_conn_unlock(c);
		sn_conn_go_on(c);
	}
}

void
sn_conn_drain(struct sn_conn *c)
{
	if (atomic_load(&c->io->ctx->handing)) {
		sn_conn_hand_over(c);
		return;
	}
	if (c->shared)
		sn_exchange_collect(c);
	if (c->nactive || c->lingering)
		return;
	sn_input_read(c, 0); /* a request may be on its way in */
	if (!c->registered)
		return;
	/* a fresh connection, or a piece of a request, is given a moment: somebody is about to
	 * speak there */
	if (c->nactive == 0 && !sn_out_pending(c) &&
	    ((c->served && !c->partial) || c->io->now_ms - c->ended_ms > DRAIN_QUIET_MS))
		sn_conn_close(c);
	else
		sn_conn_after(c);
}
