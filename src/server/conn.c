/* SPDX-License-Identifier: MIT
 *
 * A connection's input side and its life: bytes are read, fed to the wire's codec,
 * and its events become a request; then routed and run (exec.c). Runs on the
 * connection's I/O thread, except for sn_conn_post and the last unref.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/method.h"
#include "server/conn_priv.h"

#define READ_TURN 16 /* reads of one connection before the others get their turn */
#define LINGER_BYTES (1024 * 1024)
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
	sn_buf_free(&c->params);
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

static void
set_deadline(struct sn_conn *c, int64_t ms)
{
	if (ms > 0)
		sn_wheel_set(&c->io->wheel, &c->timer, c->io->now_ms + ms);
	else
		sn_wheel_remove(&c->timer);
}

/* The executor may stop: nobody wants the answer any more. */
static void
cancel(struct sn_conn *c, struct sn_request *req)
{
	if (c->remote && c->io->ctx->py && req->endpoint && req->endpoint->lane >= SN_LANE_SYNC)
		sn_pyrt_cancel(c->io->ctx->py, req);
}

static void
set_close_after(struct sn_conn *c)
{
	pthread_mutex_lock(&c->mtx);
	c->close_after = true;
	pthread_mutex_unlock(&c->mtx);
}

/* The exchange's state; another thread may be changing it while c->remote. */
static enum sn_exchange
exchange(struct sn_conn *c)
{
	if (!c->remote)
		return c->ex;
	pthread_mutex_lock(&c->mtx);
	enum sn_exchange ex = c->ex;
	pthread_mutex_unlock(&c->mtx);
	return ex;
}

void
sn_conn_close(struct sn_conn *c)
{
	pthread_mutex_lock(&c->mtx);
	sn_conn_shut(c);
	struct sn_request *cur = c->cur;
	c->cur = NULL;
	void (*pull_done)(void *) = c->pull_done;
	c->pull = NULL;
	c->pull_done = NULL;
	pthread_mutex_unlock(&c->mtx);
	sn_sink_room(c);
	if (pull_done)
		pull_done(c->pull_arg);
	if (cur && sn_request_marked(cur))
		cancel(c, cur);
	sn_request_unref(cur);
	sn_wheel_remove(&c->timer);
	sn_buf_free(&c->params);
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

/* ---- answering what cannot be run ------------------------------------------- */

static const struct sn_request *
begin_request(struct sn_conn *c, struct sn_request *req)
{
	struct sn_iothread *io = c->io;
	req->sink = &sn_conn_sink;
	req->owner = c;
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	req->wire_id = c->wire_id;
	req->wire_keep = c->keep;
	req->begun_ms = c->begun_ms;
	/* distinct over processes and restarts by the seed, over threads by the stride */
	req->id = io->ctx->id_seed + io->next_id * io->ctx->nio + io->number;
	io->next_id++;
	c->cur = req;
	return req;
}

/* The parameters cannot be used: a request of nothing stands for it, so that the answer
 * takes the usual way. */
static int
begin_unusable(struct sn_conn *c)
{
	static const uint8_t bytes[] = "REQUEST_METHOD\0GET";
	struct sn_request *req;
	int fault;
	int rc = sn_request_build(&req, SN_FORM_SCGI, bytes, sizeof(bytes), 1, &fault);
	if (rc < 0)
		return rc;
	begin_request(c, req);
	return 0;
}

/* Answers at once although more of the request may come; then half-closes and drains, so
 * that the answer is not lost to a reset. */
static void
reject_now(struct sn_conn *c, int status, const char *text)
{
	c->verdict = status;
	if (!c->cur && begin_unusable(c) < 0) {
		sn_conn_close(c);
		return;
	}
	set_close_after(c);
	sn_log_debug("request %016llx refused: %d %s", (unsigned long long)c->cur->id, status, text);
	sn_sink_error(c, status, text, 0);
}

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
	if (c->cur && ev->id == c->wire_id && !c->close_after) {
		hold(c, ev);
		return;
	}
	if (c->remote || c->ex != SN_EX_NONE || c->cur || c->close_after) {
		uint8_t out[SN_WIRE_REPLY_MAX];
		size_t n = c->wire.ops->refuse(&c->wire, ev->id, out);
		pthread_mutex_lock(&c->mtx);
		if (n == 0 || sn_out_raw(c, out, n) < 0 || sn_out_flush(c) < 0)
			c->close_after = true;
		pthread_mutex_unlock(&c->mtx);
		return;
	}
	c->wire.ops->accept(&c->wire, ev->id);
	c->wire_id = ev->id;
	c->keep = ev->keep;
	c->ex = SN_EX_READING;
	c->begun_ms = c->io->now_ms;
	c->params_len = 0;
	c->slice = NULL;
	sn_buf_free(&c->params);
	c->verdict = 0;
	c->verdict_text = NULL;
	c->verdict_allow = 0;
	c->dropped = 0;
	set_deadline(c, c->io->ctx->ms.read);
}

/* Keeps parameter bytes beyond the read buffer's life. */
static int
keep_slice(struct sn_conn *c)
{
	if (!c->slice)
		return 0;
	int rc = sn_buf_add(&c->params, c->slice, c->slice_len);
	c->slice = NULL;
	return rc;
}

static void
on_params(struct sn_conn *c, const struct sn_wire_event *ev)
{
	if (c->verdict)
		return;
	c->params_len += ev->len;
	if (c->params_len > c->io->ctx->conf->limits.params) {
		c->verdict = 431;
		c->verdict_text = "the request parameters are larger than limits.params allows";
		c->slice = NULL;
		sn_buf_free(&c->params);
		return;
	}
	if (!c->slice && c->params.len == 0) {
		c->slice = ev->data;
		c->slice_len = ev->len;
		return;
	}
	if (keep_slice(c) < 0 || sn_buf_add(&c->params, ev->data, ev->len) < 0) {
		c->verdict = 503;
		c->verdict_text = "out of memory";
	}
}

static void
set_verdict(struct sn_conn *c, int status, const char *text)
{
	c->verdict = status;
	c->verdict_text = text;
}

/* Turns the collected bytes into c->cur. */
static void
build(struct sn_conn *c)
{
	const struct sn_conf *conf = c->io->ctx->conf;
	const uint8_t *src = c->slice ? c->slice : (const uint8_t *)c->params.data;
	size_t len = c->slice ? c->slice_len : c->params.len;
	struct sn_request *req = NULL;
	int fault = 0;
	int rc = sn_request_build(&req, c->wire.ops->form, src, len, conf->limits.headers, &fault);
	c->slice = NULL;
	sn_buf_free(&c->params);
	if (rc == 0)
		begin_request(c, req);
	else if (rc == SN_ELIMIT)
		set_verdict(c, 431, "more request headers than limits.headers allows");
	else if (rc == SN_ENOMEM)
		set_verdict(c, 503, "out of memory");
	else
		set_verdict(c, 400, sn_params_fault_text(fault));
}

static void
on_params_end(struct sn_conn *c)
{
	const struct sn_conf *conf = c->io->ctx->conf;
	if (!c->verdict)
		build(c);
	if (!c->cur && begin_unusable(c) < 0) {
		set_close_after(c);
		return;
	}
	int64_t length = sn_request_content_length(c->cur);
	if (!c->verdict && length == -2)
		set_verdict(c, 400, "CONTENT_LENGTH is not a number");
	bool scgi = c->wire.ops->form == SN_FORM_SCGI;
	const char *te = scgi ? sn_request_known(c->cur, SN_P_TRANSFER_ENCODING) : NULL;
	if (!c->verdict && te && *te && length <= 0)
		set_verdict(c, 411, "a chunked request body cannot come over SCGI: let the front "
		                    "server buffer it, or use FastCGI");
	const char *bad = NULL;
	int unfit = c->verdict ? 0 : c->wire.ops->check(c->cur, &bad);
	if (unfit)
		set_verdict(c, unfit, bad);
	if (scgi) {
		c->wire.ops->expect(&c->wire, length > 0 ? (uint64_t)length : 0);
		if (c->verdict == 411 || c->verdict == 400 || c->verdict == 431) {
			reject_now(c, c->verdict, c->verdict_text);
			return;
		}
	}
	if (!c->verdict) {
		const char *reason = NULL;
		int status = sn_request_resolve(c->cur, (enum sn_path_source)c->listener->conf->path_source,
		                                c->listener->conf->prefix, &reason);
		if (status)
			set_verdict(c, status, reason);
	}
	if (!c->verdict)
		sn_exec_route(c);
	if (length > 0 && (uint64_t)length > conf->limits.body)
		reject_now(c, 413, "the request body is larger than limits.body allows");
	else if (!c->verdict && length > 0 &&
	         sn_body_expect(&c->cur->body, (uint64_t)length, conf->limits.memory_body) < 0)
		set_verdict(c, 503, "out of memory");
}

static void
on_body(struct sn_conn *c, const struct sn_wire_event *ev)
{
	const struct sn_conf *conf = c->io->ctx->conf;
	if (!c->cur || exchange(c) != SN_EX_READING)
		return; /* answered already: passed over */
	c->dropped += ev->len;
	if (c->dropped > conf->limits.body) {
		reject_now(c, 413, "the request body is larger than limits.body allows");
		return;
	}
	if (c->verdict)
		return;
	int rc = sn_body_append(&c->cur->body, ev->data, ev->len, conf->limits.memory_body,
	                        conf->spool_dir);
	if (rc < 0) {
		sn_log_for(SN_LOG_ERROR, c->cur->id, "cannot keep the request body: %s: %s",
		           sn_err_name(rc), rc == SN_EIO ? strerror(errno) : "out of memory");
		set_verdict(c, 503, "the server cannot keep the request body now");
	}
}

static void
on_body_end(struct sn_conn *c)
{
	if (!c->cur || exchange(c) != SN_EX_READING)
		return;
	c->ex = SN_EX_RUNNING;
	atomic_fetch_add_explicit(&c->io->count.in_flight, 1, memory_order_relaxed);
	if (c->verdict)
		sn_sink_error(c, c->verdict, c->verdict_text, c->verdict_allow);
	else
		sn_exec_run(c);
}

static void
on_reply(struct sn_conn *c, const struct sn_wire_event *ev)
{
	pthread_mutex_lock(&c->mtx);
	bool failed = c->fd >= 0 && (sn_out_raw(c, ev->data, ev->len) < 0 || sn_out_flush(c) < 0);
	/* a refused role without KEEP_CONN ends the connection, unless a request is under way */
	if (failed || (!ev->keep && c->ex == SN_EX_NONE))
		c->close_after = true;
	pthread_mutex_unlock(&c->mtx);
}

static void
on_fault(struct sn_conn *c, const struct sn_wire_event *ev)
{
	const char *text = sn_wire_fault_text(ev->fault);
	sn_log_info("%s: connection closed: %s", c->listener->name, text);
	set_close_after(c);
	c->broken = true; /* nothing more can be understood */
	enum sn_exchange ex = exchange(c);
	if (ex == SN_EX_RUNNING && c->cur)
		atomic_fetch_or_explicit(&c->cur->marks, SN_MARK_GONE, memory_order_relaxed);
	if (ev->fault == SN_WIRE_F_TOO_LARGE)
		reject_now(c, 431, "the request parameters are larger than limits.params allows");
	else if (ex == SN_EX_READING || ex == SN_EX_RUNNING)
		reject_now(c, 400, text);
}

static void
on_abort(struct sn_conn *c)
{
	struct sn_request *req = c->cur;
	if (!req && c->ex == SN_EX_READING && begin_unusable(c) == 0)
		req = c->cur;
	if (!req)
		return;
	sn_sink_abort(c);
	cancel(c, req);
}

/* An ended request makes room for the next one. */
static void
collect(struct sn_conn *c)
{
	struct sn_request *done = NULL;
	if (!c->remote && c->ex != SN_EX_ENDED)
		return;
	pthread_mutex_lock(&c->mtx);
	if (c->fd >= 0 && c->ex == SN_EX_ENDED && !c->out_head && c->keep && !c->close_after) {
		done = c->cur;
		c->cur = NULL;
		c->ex = SN_EX_NONE;
		c->needs_io = false;
		c->wire.ops->release(&c->wire, c->wire_id);
		c->remote = false;
		c->served = true;
		if (c->io->ctx->ms.idle > 0)
			sn_wheel_set(&c->io->wheel, &c->timer, c->ended_ms + c->io->ctx->ms.idle);
		else
			sn_wheel_remove(&c->timer);
	}
	pthread_mutex_unlock(&c->mtx);
	sn_request_unref(done);
}

/* Feeds bytes until there are none left or nobody wants them. */
static void
process(struct sn_conn *c, const uint8_t *data, size_t len)
{
	const struct sn_wire_ops *wire = c->wire.ops;
	for (;;) {
		struct sn_wire_event ev;
		size_t used = wire->feed(&c->wire, &c->io->ctx->wire_limits, data, len, &ev);
		data += used;
		len -= used;
		c->partial = ev.type == SN_WIRE_MORE && used > 0;
		switch (ev.type) {
		case SN_WIRE_MORE:
			if (keep_slice(c) < 0)
				set_verdict(c, 503, "out of memory");
			return;
		case SN_WIRE_BEGIN:
			on_begin(c, &ev);
			if (!c->held)
				break;
			if (sn_buf_add(&c->stash, data, len) < 0)
				set_close_after(c);
			return;
		case SN_WIRE_PARAMS: on_params(c, &ev); break;
		case SN_WIRE_PARAMS_END: on_params_end(c); break;
		case SN_WIRE_BODY: on_body(c, &ev); break;
		case SN_WIRE_BODY_END: on_body_end(c); break;
		case SN_WIRE_ABORT: on_abort(c); break;
		case SN_WIRE_REPLY: on_reply(c, &ev); break;
		case SN_WIRE_FAULT: on_fault(c, &ev); return;
		}
		if (!c->remote && c->fd < 0)
			return;
		collect(c);
		if (c->close_after && exchange(c) == SN_EX_ENDED)
			return; /* what follows is drained unread */
	}
}

/* The request that was held begins, with the bytes that came behind it. */
static void
resume(struct sn_conn *c)
{
	while (c->held && !c->cur && exchange(c) == SN_EX_NONE && c->registered) {
		struct sn_wire_event ev = { .type = SN_WIRE_BEGIN, .id = c->wire_id, .keep = c->held_keep };
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
	ssize_t n;
	if (!c->remote)
		return c->fd < 0 ? 0 : recv(c->fd, c->io->rbuf, SN_IO_READ_SIZE, MSG_DONTWAIT);
	pthread_mutex_lock(&c->mtx);
	if (c->fd < 0) {
		n = 0;
	} else {
		n = recv(c->fd, c->io->rbuf, SN_IO_READ_SIZE, MSG_DONTWAIT);
	}
	pthread_mutex_unlock(&c->mtx);
	return n;
}

static void
on_eof(struct sn_conn *c, bool whole)
{
	c->eof = true;
	if (c->lingering) {
		sn_conn_close(c);
		return;
	}
	pthread_mutex_lock(&c->mtx);
	enum sn_exchange ex = c->ex;
	bool alive = c->wire.ops->half_close_is_alive && !whole && c->fd >= 0 && ex != SN_EX_NONE;
	pthread_mutex_unlock(&c->mtx);
	if (alive && ex == SN_EX_READING)
		reject_now(c, 400, "the request ends before its announced length");
	if (!alive)
		sn_conn_close(c);
}

static void
read_all(struct sn_conn *c, uint32_t events)
{
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
		if (c->remote)
			collect(c);
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
		if (exchange(c) == SN_EX_READING)
			set_deadline(c, c->io->ctx->ms.read);
		if (c->remote)
			collect(c);
		process(c, c->io->rbuf, (size_t)n);
		if (!c->registered)
			return; /* closed on the way */
		if (c->close_after && exchange(c) == SN_EX_ENDED)
			return; /* sn_conn_after() half-closes and drains */
		if (n < SN_IO_READ_SIZE && !closing)
			return;
	}
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
	set_deadline(c, LINGER_MS);
	sn_conn_ready(c);
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
	collect(c);
	resume(c);
	if (!c->registered)
		return;
	pthread_mutex_lock(&c->mtx);
	if (c->fd >= 0 && c->out_head && sn_out_flush(c) < 0)
		sn_conn_shut(c);
	bool gone = c->fd < 0, pending = c->out_head != NULL, ended = c->ex == SN_EX_ENDED;
	bool pulling = c->pull && c->out_bytes <= c->io->ctx->conf->limits.send_buffer / 4;
	bool idle = c->ex == SN_EX_NONE && !c->cur, unread = c->wire.ops->receiving(&c->wire);
	if (!gone)
		arm(c, pending);
	if (!pending)
		c->needs_io = c->held;
	pthread_mutex_unlock(&c->mtx);

	if (gone) {
		sn_conn_close(c);
		return;
	}
	if (pending) {
		set_deadline(c, c->io->ctx->ms.write);
		if (ended)
			return;
	} else if (ended || (idle && c->close_after)) {
		if (ended && c->keep && !c->close_after) {
			collect(c);
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
	sn_sink_room(c);
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
	set_deadline(c, io->ctx->ms.idle);
	/* The front server's first bytes are usually there already: a short request is then
	 * answered, and its connection closed, without epoll. */
	read_all(c, 0);
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
	if (events & ~(uint32_t)EPOLLOUT)
		read_all(c, events);
	sn_conn_after(c);
}

void
sn_conn_go_on(struct sn_conn *c)
{
	if (!c->registered)
		return;
	pthread_mutex_lock(&c->mtx);
	bool pull = c->pull != NULL && c->fd >= 0;
	pthread_mutex_unlock(&c->mtx);
	if (pull)
		sn_sink_pull(c);
	read_all(c, 0);
	sn_conn_after(c);
}

/* ---- deadlines -------------------------------------------------------------------------- */

static void
request_timeout(struct sn_conn *c)
{
	struct sn_request *req = sn_request_ref(c->cur);
	if (sn_sink_error(c, 504, "the handler did not answer in time", 0) == 0) {
		atomic_fetch_or_explicit(&req->marks, SN_MARK_TIMEOUT, memory_order_relaxed);
		sn_log_for(SN_LOG_WARNING, req->id,
		           "%s %s: no answer from %s within timeouts.request; answered 504",
		           req->method_name, req->path.path, req->endpoint ? req->endpoint->name : "?");
		cancel(c, req);
	} /* else the handler was just in time */
	sn_request_unref(req);
	sn_conn_after(c);
}

void
sn_conn_timer(struct sn_conn *c)
{
	const struct sn_context *ctx = c->io->ctx;
	if (!c->registered)
		return;
	collect(c); /* sets the idle deadline when an executor has ended meanwhile */
	if (c->timer.next)
		return;
	pthread_mutex_lock(&c->mtx);
	enum sn_exchange ex = c->ex;
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
	} else if (ex == SN_EX_READING) {
		reject_now(c, 408, "the request did not arrive in time");
		sn_conn_after(c);
	} else if (ex == SN_EX_RUNNING) {
		request_timeout(c);
	} else if (ex == SN_EX_STREAMING) {
		set_deadline(c, ctx->ms.write); /* nothing waits for the peer: the producer is slow */
	} else {
		sn_conn_close(c);
	}
}

void
sn_conn_drain(struct sn_conn *c)
{
	if (c->remote)
		collect(c);
	if (exchange(c) != SN_EX_NONE || c->cur || c->lingering)
		return;
	read_all(c, 0); /* a request may be on its way in */
	if (!c->registered)
		return;
	/* a fresh connection, or a piece of a request, is given a moment: somebody is about to
	 * speak there */
	if (exchange(c) == SN_EX_NONE && !c->cur && !c->out_head &&
	    ((c->served && !c->partial) || c->io->now_ms - c->ended_ms > DRAIN_QUIET_MS))
		sn_conn_close(c);
	else
		sn_conn_after(c);
}
