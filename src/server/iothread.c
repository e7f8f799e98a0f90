/* SPDX-License-Identifier: MIT
 *
 * The I/O thread's loop: accept, events, deadlines, inbox. Connections are
 * edge-triggered and registered once; listeners are level-triggered with
 * EPOLLEXCLUSIVE, a few accepts per wake-up, given to the least loaded thread.
 */
#include "server/iothread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/address.h"
#include "server/conn_priv.h"
#include "server/stack.h"

#define EVENTS 256
#define PAUSE_MS 100          /* after EMFILE, and at limits.connections */
#define DRAIN_TICK_MS 20
#define ACCEPT_MAX 16         /* newcomers a round, from one listener */
#define ACCEPT_CALM 16        /* rounds of one newcomer, after one that found no more of them */
#define LONGEST_SLEEP_MS 1000 /* a connection given by another thread waits this at most */

SN_THREAD_LOCAL struct sn_iothread *sn_io_self;

/* ---- accepting --------------------------------------------------------------- */

static bool
is_listener(const struct sn_iothread *io, const void *ptr)
{
	const struct sn_listeners *ls = io->ctx->listeners;
	return (const struct sn_listener *)ptr >= ls->item &&
	       (const struct sn_listener *)ptr < ls->item + ls->n;
}

static void
watch_listeners(struct sn_iothread *io, bool on)
{
	if (io->accepting == on)
		return;
	io->accepting = on;
	for (size_t i = 0; i < io->ctx->listeners->n; i++) {
		struct sn_listener *l = &io->ctx->listeners->item[i];
		struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = l };
		if (epoll_ctl(io->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, l->fd, &ev) < 0)
			sn_log_error("%s: epoll_ctl: %s", l->name, strerror(errno));
	}
}

static void
pause_accepting(struct sn_iothread *io, const char *why)
{
	watch_listeners(io, false);
	pthread_mutex_lock(&io->inbox_mtx);
	io->paused = true;
	pthread_mutex_unlock(&io->inbox_mtx);
	io->paused_until = io->now_ms + PAUSE_MS;
	if (io->now_ms - io->last_accept_log > 5000) {
		io->last_accept_log = io->now_ms;
		sn_log_warning("not accepting connections for now: %s", why);
	}
}

static void
resume_accepting(struct sn_iothread *io)
{
	if (!io->paused || io->draining)
		return;
	const struct sn_context *ctx = io->ctx;
	if (io->now_ms < io->paused_until &&
	    atomic_load_explicit(&ctx->connections, memory_order_relaxed) >= ctx->conf->limits.connections)
		return;
	pthread_mutex_lock(&io->inbox_mtx);
	io->paused = false;
	pthread_mutex_unlock(&io->inbox_mtx);
	watch_listeners(io, true);
}

static bool
allowed(const struct sn_listener *l, const struct sockaddr_storage *peer)
{
	const struct sn_conf_listen *lc = l->conf;
	if (!l->tcp || lc->allow.n == 0)
		return true;
	for (size_t i = 0; i < lc->allow.n; i++)
		if (sn_network_contains(&lc->networks[i], (const struct sockaddr *)peer))
			return true;
	return false;
}

static struct sn_iothread *
least_loaded(const struct sn_context *ctx, struct sn_iothread *best)
{
	for (unsigned i = 0; i < ctx->nio; i++) {
		struct sn_iothread *io = ctx->io[i];
		if (io && atomic_load_explicit(&io->load, memory_order_relaxed) <
		              atomic_load_explicit(&best->load, memory_order_relaxed))
			best = io;
	}
	return best;
}

struct sn_iothread *
sn_iothread_least_loaded(const struct sn_context *ctx)
{
	return least_loaded(ctx, ctx->io[0]);
}

/* The kernel wakes the first waiter of a shared listener first, always the same one:
 * behind the others again, or one process would get every connection. */
static void
to_the_back(struct sn_iothread *io, const struct sn_listener *l)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = (void *)(uintptr_t)l };
	if (!io->accepting)
		return;
	epoll_ctl(io->epoll, EPOLL_CTL_DEL, l->fd, &ev);
	epoll_ctl(io->epoll, EPOLL_CTL_ADD, l->fd, &ev);
}

/* False: there was nobody, or nobody could be taken. */
static bool
accept_one(struct sn_iothread *io, const struct sn_listener *l)
{
	struct sn_context *ctx = io->ctx;
	if (atomic_load_explicit(&ctx->connections, memory_order_relaxed) >= ctx->conf->limits.connections) {
		pause_accepting(io, "limits.connections is reached");
		return false;
	}
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int fd = accept4(l->fd, l->tcp ? (struct sockaddr *)&peer : NULL, l->tcp ? &len : NULL,
	                 SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			pause_accepting(io, strerror(errno));
		else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			pause_accepting(io, strerror(errno));
		return false;
	}
	if (!allowed(l, &peer)) {
		sn_log_info("%s: connection refused: its address is not in the listener's allow list",
		            l->name);
		close(fd);
		return false;
	}
	struct sn_iothread *to = least_loaded(io->ctx, io);
	struct sn_conn *c = sn_conn_new(to, l, fd);
	if (!c) {
		close(fd);
		pause_accepting(io, "out of memory");
		return false;
	}
	if (to == io)
		sn_conn_adopt(c);
	else {
		sn_conn_post(c, true);
	}
	return true;
}

/* A newcomer must not wait for its turn behind a full round of events for each one before
 * it, so the more events there were, the more newcomers are taken. Alone with the listener a
 * process also takes more while there are more; asking in vain costs a system call, so not
 * again for a while after that. Processes that share a listener leave them to each other. */
static void
accept_some(struct sn_iothread *io, const struct sn_listener *l, int events)
{
	bool alone = io->ctx->conf->processes <= 1;
	int most = 1 + events / ACCEPT_MAX, taken = 0;
	if (alone && io->accept_calm > 0)
		io->accept_calm--;
	else if (alone)
		most = ACCEPT_MAX;
	while (taken < most && accept_one(io, l))
		taken++;
	if (taken > 0 && taken < most)
		io->accept_calm = ACCEPT_CALM;
	if (taken > 0 && !alone)
		to_the_back(io, l);
}

/* ---- the loop ------------------------------------------------------------------- */

static void
take_inbox(struct sn_iothread *io)
{
	pthread_mutex_lock(&io->inbox_mtx);
	struct sn_conn *c = io->inbox;
	io->inbox = NULL;
	pthread_mutex_unlock(&io->inbox_mtx);
	while (c) {
		struct sn_conn *next = c->inbox_next;
		pthread_mutex_lock(&io->inbox_mtx);
		c->posted = false;
		pthread_mutex_unlock(&io->inbox_mtx);
		if (!c->registered && c->fd >= 0 && !c->lingering)
			sn_conn_adopt(c);
		else
			sn_conn_after(c);
		sn_conn_unref(c);
		c = next;
	}
}

static void
run_ready(struct sn_iothread *io)
{
	struct sn_conn *c = io->ready;
	io->ready = NULL;
	while (c) {
		struct sn_conn *next = c->ready_next;
		c->ready = false;
		sn_conn_go_on(c);
		sn_conn_unref(c);
		c = next;
	}
}

static void
bury(struct sn_iothread *io)
{
	while (io->grave) {
		struct sn_conn *c = io->grave;
		io->grave = c->next;
		sn_conn_unref(c);
	}
}

static void
give_up_python(struct sn_iothread *io)
{
	for (struct sn_conn *c = io->conns, *next; c; c = next) {
		next = c->next;
		for (struct sn_exchange *x = c->active, *after; x; x = after) {
			after = x->next;
			sn_timeout_python_hangs(x);
		}
		sn_conn_after(c);
	}
}

static void
obey(struct sn_iothread *io)
{
	if (sn_unlikely(atomic_load_explicit(&io->want_python_given_up, memory_order_relaxed)) &&
	    atomic_exchange(&io->want_python_given_up, false))
		give_up_python(io);
	if (atomic_load(&io->want_drain) && !io->draining) {
		io->draining = true;
		watch_listeners(io, false);
		/* who is connected already is served */
		for (size_t i = 0; i < io->ctx->listeners->n; i++)
			for (unsigned k = 0; k < io->ctx->listeners->item[i].conf->backlog; k++)
				if (!accept_one(io, &io->ctx->listeners->item[i]))
					break;
		atomic_store(&io->deaf, true);
	}
	if (!io->draining && !io->paused && atomic_load(&io->want_accept))
		watch_listeners(io, true);
	if (io->draining)
		for (struct sn_conn *c = io->conns, *next; c; c = next) {
			next = c->next;
			sn_conn_drain(c);
		}
	resume_accepting(io);
}

static int
sleep_for(struct sn_iothread *io)
{
	if (io->ready)
		return 0;
	if (io->draining)
		return DRAIN_TICK_MS;
	int wait = sn_wheel_wait(&io->wheel, io->now_ms);
	if (io->paused && (wait < 0 || wait > PAUSE_MS))
		return PAUSE_MS;
	if (io->conns && (wait < 0 || wait > LONGEST_SLEEP_MS) && io->ctx->nio > 1)
		return LONGEST_SLEEP_MS;
	return wait;
}

static void
one_round(struct sn_iothread *io)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(io->epoll, events, EVENTS, sleep_for(io));
	io->now_ms = sn_clock_ms();
	io->batch.open = n > 1;
	for (int i = 0; i < n; i++) {
		void *ptr = events[i].data.ptr;
		if (ptr == io) {
			eventfd_t count;
			eventfd_read(io->wake, &count);
		} else if (is_listener(io, ptr)) {
			if (io->accepting)
				accept_some(io, ptr, n);
		} else {
			sn_conn_event(ptr, events[i].events);
		}
	}
	io->batch.open = false;
	sn_batch_flush(io);
	/* only after the events: they may name connections that the inbox buries */
	take_inbox(io);
	run_ready(io);
	struct sn_timer *t;
	while ((t = sn_wheel_due(&io->wheel, io->now_ms)))
		t->fire(t);
	bury(io);
}

static void *
io_main(void *arg)
{
	struct sn_iothread *io = arg;
	sn_io_self = io;
	while (!atomic_load_explicit(&io->want_stop, memory_order_acquire)) {
		obey(io);
		one_round(io);
	}
	take_inbox(io);
	while (io->conns)
		sn_conn_close(io->conns);
	run_ready(io);
	take_inbox(io);
	bury(io);
	return NULL;
}

/* ---- start and stop ---------------------------------------------------------------- */

int
sn_iothread_start(struct sn_iothread **out, struct sn_context *ctx, unsigned number,
                  struct sn_why *why)
{
	struct sn_iothread *io = calloc(1, sizeof(*io));
	if (!io)
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	io->ctx = ctx;
	io->number = number;
	io->now_ms = sn_clock_ms();
	io->next_id = 1;
	sn_wheel_init(&io->wheel, io->now_ms);
	pthread_mutex_init(&io->inbox_mtx, NULL);
	io->epoll = epoll_create1(EPOLL_CLOEXEC);
	io->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	io->rbuf = malloc(SN_IO_READ_SIZE);
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.ptr = io };
	if (io->epoll < 0 || io->wake < 0 || !io->rbuf ||
	    epoll_ctl(io->epoll, EPOLL_CTL_ADD, io->wake, &ev) < 0) {
		int rc = sn_why_set(why, SN_EIO, "cannot start an I/O thread: %s", strerror(errno));
		sn_iothread_free(io);
		return rc;
	}
	int err = pthread_create(&io->thread, NULL, io_main, io);
	if (err) {
		sn_iothread_free(io);
		return sn_why_set(why, SN_EIO, "cannot start an I/O thread: %s", strerror(err));
	}
	pthread_setname_np(io->thread, "snacgi-io");
	*out = io;
	return 0;
}

void
sn_iothread_accept(struct sn_iothread *io)
{
	atomic_store(&io->want_accept, true);
	eventfd_write(io->wake, 1);
}

void
sn_iothread_drain(struct sn_iothread *io)
{
	atomic_store(&io->want_drain, true);
	eventfd_write(io->wake, 1);
}

void
sn_iothread_give_up_python(struct sn_iothread *io)
{
	atomic_store(&io->want_python_given_up, true);
	eventfd_write(io->wake, 1);
}

const struct sn_endpoint *
sn_iothread_at(const struct sn_iothread *io, uint64_t *id)
{
	const struct sn_endpoint *ep = atomic_load_explicit(&io->native, memory_order_acquire);
	*id = atomic_load_explicit(&io->native_id, memory_order_relaxed);
	return ep;
}

bool
sn_iothread_stack(const struct sn_iothread *io, struct sn_buf *out)
{
	return sn_stack_take(io->thread, out);
}

bool
sn_iothread_deaf(const struct sn_iothread *io)
{
	return atomic_load(&io->deaf);
}

void
sn_iothread_join(struct sn_iothread *io)
{
	if (!io)
		return;
	atomic_store_explicit(&io->want_stop, true, memory_order_release);
	eventfd_write(io->wake, 1);
	pthread_join(io->thread, NULL);
}

void
sn_iothread_free(struct sn_iothread *io)
{
	if (!io)
		return;
	if (io->epoll >= 0)
		close(io->epoll);
	if (io->wake >= 0)
		close(io->wake);
	pthread_mutex_destroy(&io->inbox_mtx);
	free(io->rbuf);
	sn_request_reuse_free(&io->reuse);
	free(io);
}

const struct sn_counters *
sn_iothread_counters(const struct sn_iothread *io)
{
	return &io->count;
}
