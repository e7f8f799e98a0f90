/* SPDX-License-Identifier: MIT
 *
 * One thread of load: an epoll and its share of the connections. Edge-
 * triggered; EPOLLOUT is asked for only while a request does not fit into the
 * socket, because a Unix socket otherwise reports it with every read of the
 * peer's, which would cost this side a wake-up and the server CPU time.
 *
 * A FastCGI connection that is not kept is closed as nginx does, at
 * END_REQUEST. Over TCP we wait for the server's close instead: the side that
 * closes first keeps the port for a minute, and ours would soon be used up.
 */
#include "load_priv.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

#define MS INT64_C(1000000)
#define SWEEP (100 * MS)
#define DRAIN (1000 * MS)    /* for answers under way when measuring ends */
#define EVENTS 256

static void receive(struct worker *w, struct conn *c);

int
bench_worker_init(struct worker *w, struct run *run, unsigned index)
{
	const struct bench_load *l = run->load;
	unsigned i;

	w->run = run;
	w->load = l;
	w->index = index;
	bench_hist_init(&w->result.latency);
	w->n_conns = l->connections / l->threads + (index < l->connections % l->threads);
	w->quota = l->requests / l->threads + (index < l->requests % l->threads);
	w->conns = calloc(w->n_conns, sizeof(*w->conns));
	w->buf = malloc(WORKER_BUFFER);
	w->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (!w->conns || !w->buf || w->epfd < 0)
		return SN_ENOMEM;
	for (i = w->n_conns; i-- > 0;) {
		w->conns[i].fd = -1;
		w->conns[i].next = w->idle;
		w->idle = &w->conns[i];
	}
	return 0;
}

void
bench_worker_free(struct worker *w)
{
	unsigned i;

	for (i = 0; w->conns && i < w->n_conns; i++) {
		if (w->conns[i].fd >= 0)
			close(w->conns[i].fd);
	}
	if (w->epfd >= 0)
		close(w->epfd);
	free(w->conns);
	free(w->buf);
}

static void
die(struct worker *w, const char *call)
{
	if (!w->fatal) {
		w->fatal = call;
		w->fatal_errno = errno;
	}
}

/* ---- connections ----------------------------------------------------------- */

static void
arm(struct worker *w, struct conn *c, int op, bool out)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET | (out ? EPOLLOUT : 0u),
		                  .data.ptr = c };

	c->armed_out = out;
	if (epoll_ctl(w->epfd, op, c->fd, &ev) < 0)
		die(w, "epoll_ctl");
}

static void
hang_up(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->on_this_fd = 0;
}

static void
put_off(struct worker *w, struct conn *c, int64_t delay)
{
	int64_t at = sn_clock_ns() + delay;

	c->phase = PUT_OFF;
	c->next = w->put_off;
	if (!w->put_off || at < w->retry_at)
		w->retry_at = at;
	w->put_off = c;
}

static void
connect_failed(struct worker *w, struct conn *c, int error)
{
	hang_up(c);
	if (error == EAGAIN) {
		w->result.backlog_full++;
		put_off(w, c, MS / 2);
		return;
	}
	w->result.connect_errors++;
	w->result.connect_errno = error;
	put_off(w, c, 10 * MS); /* a server that is down must not be hammered */
}

static void
send_more(struct worker *w, struct conn *c)
{
	const struct bench_load *l = w->load;
	ssize_t n;

	while (c->sent < l->request_len) {
		n = send(c->fd, (const char *)l->request + c->sent, l->request_len - c->sent,
		         MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (!c->armed_out)
				arm(w, c, EPOLL_CTL_MOD, true);
			return;
		}
		if (n < 0) {
			receive(w, c); /* an early answer may be there, or else its end is */
			return;
		}
		c->sent += (size_t)n;
	}
	if (c->armed_out)
		arm(w, c, EPOLL_CTL_MOD, false);
}

/* Sends, or sends again on a new connection, what the slot has to send. */
static void
transmit(struct worker *w, struct conn *c)
{
	bool pending;
	int fd;

	c->sent = 0;
	bench_reply_reset(&c->reply, w->load->target->proto);
	if (c->fd < 0) {
		fd = bench_target_connect(w->load->target, &pending);
		if (fd < 0) {
			connect_failed(w, c, -fd);
			return;
		}
		c->fd = fd;
		arm(w, c, EPOLL_CTL_ADD, pending);
		if (pending) {
			c->phase = CONNECTING;
			return;
		}
	}
	c->phase = BUSY;
	send_more(w, c);
}

static void
connected(struct worker *w, struct conn *c)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
		connect_failed(w, c, error ? error : errno);
		return;
	}
	c->phase = BUSY;
	send_more(w, c);
}

/* ---- requests -------------------------------------------------------------- */

static int64_t
due_time(const struct worker *w, uint64_t k)
{
	double number = (double)(k * w->load->threads + w->index);

	return w->run->start + (int64_t)(number * 1e9 / w->load->rate);
}

/* Gives an idle slot a request whose latency counts from `begin`. */
static void
issue(struct worker *w, struct conn *c, int64_t begin, int64_t now)
{
	c->begin = begin;
	c->issued = now;
	w->in_flight++;
	if (w->quota && now >= w->run->measure)
		w->issued++;
	transmit(w, c);
}

static bool
may_issue(const struct worker *w)
{
	return !w->closing && !w->fatal && !(w->load->requests && w->issued >= w->quota);
}

/* The slot has no request any more. */
static void
rest(struct worker *w, struct conn *c)
{
	c->phase = IDLE;
	c->next = w->idle;
	w->idle = c;
}

static void
note_fault(struct worker *w, const struct bench_reply *r)
{
	struct bench_result *res = &w->result;

	res->wrong[r->fault]++;
	if (!r->fault || res->first_fault[0])
		return;
	snprintf(res->first_fault, sizeof(res->first_fault),
	         "%s (status %u, body of %llu bytes%s)", bench_fault_text((enum bench_fault)r->fault),
	         r->status, (unsigned long long)r->body_len,
	         r->stderr_len ? ", with text for the error log" : "");
}

static void
account(struct worker *w, struct conn *c, int64_t now)
{
	const struct run *run = w->run;
	struct bench_result *res = &w->result;
	bool counted = w->load->requests ? c->issued >= run->measure
	                                 : now >= run->measure && now < run->end;
	bool timed = w->load->rate > 0 && !w->load->requests
	                     ? c->begin >= run->measure && c->begin < run->end
	                     : counted;

	c->answered++;
	c->on_this_fd++;
	w->in_flight--;
	if (c->reply.fault)
		note_fault(w, &c->reply);
	if (counted) {
		res->requests++;
		res->status[c->reply.status < 600 ? c->reply.status : 0]++;
		res->bytes_in += c->reply.bytes;
		res->bytes_out += c->sent;
	}
	if (timed)
		bench_hist_add(&res->latency, (uint64_t)(now - c->begin), 1);
}

/* The answer is complete, or broken. */
static void
finish(struct worker *w, struct conn *c)
{
	const struct bench_load *l = w->load;
	int64_t now = sn_clock_ns();
	bool whole = c->reply.state == BENCH_DONE && c->sent == l->request_len;

	account(w, c, now);
	if (!whole || l->target->proto == BENCH_SCGI) {
		hang_up(c);
	} else if (!l->keep) {
		if (l->target->tcp) {
			c->phase = CLOSING;
			return;
		}
		hang_up(c);
	}
	/* After a fault not at once: a peer that only closes would have us recurse for ever. */
	if (l->rate > 0 || !whole || c->reply.fault || !may_issue(w))
		rest(w, c);
	else
		issue(w, c, now, now);
}

static void
peer_closed(struct worker *w, struct conn *c)
{
	if (c->phase == CLOSING) {
		hang_up(c);
		rest(w, c);
		return;
	}
	/* Closed after the last answer, before this one: every server may do that. */
	if (c->on_this_fd && c->reply.bytes == 0) {
		w->result.reconnects++;
		hang_up(c);
		transmit(w, c);
		return;
	}
	bench_reply_eof(&c->reply, &w->load->expect);
	finish(w, c);
}

/* Reads to the end of what is there: the edge that told of it tells once. */
static void
receive(struct worker *w, struct conn *c)
{
	ssize_t n;

	for (;;) {
		n = recv(c->fd, w->buf, WORKER_BUFFER, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			peer_closed(w, c);
			return;
		}
		if (c->phase == CLOSING)
			continue;
		if (bench_reply_feed(&c->reply, &w->load->expect, w->buf, (size_t)n) == BENCH_MORE)
			continue;
		finish(w, c);
		if (c->phase != CLOSING)
			return;
	}
}

static void
on_event(struct worker *w, struct conn *c, uint32_t events)
{
	if (c->fd < 0)
		return; /* closed while this batch was worked on */
	if (c->phase == CONNECTING) {
		if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
			connected(w, c);
		return;
	}
	if (c->phase == IDLE) { /* a kept connection that the peer closes: the next request tells */
		return;
	}
	if ((events & EPOLLOUT) && c->phase == BUSY)
		send_more(w, c);
	if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) && c->fd >= 0 &&
	    (c->phase == BUSY || c->phase == CLOSING))
		receive(w, c);
}

/* ---- time -------------------------------------------------------------------- */

static void
dispatch(struct worker *w, int64_t now)
{
	const struct run *run = w->run;
	struct conn *c;
	int64_t due = now;

	while (w->idle && may_issue(w)) {
		if (w->load->rate > 0) {
			due = due_time(w, w->next_due);
			if (due > now || due >= run->end)
				break;
			if (!w->starved && due >= run->measure && now - due > w->result.worst_lag)
				w->result.worst_lag = now - due;
			w->next_due++;
		}
		c = w->idle;
		w->idle = c->next;
		issue(w, c, due, now);
	}
	w->starved = !w->idle;
}

static void
retry(struct worker *w, int64_t now)
{
	struct conn *list = w->put_off, *c;

	if (!list || now < w->retry_at)
		return;
	w->put_off = NULL;
	while ((c = list)) {
		list = c->next;
		transmit(w, c);
	}
}

/* A slot that waits in put_off leaves it. */
static void
unlink_put_off(struct worker *w, const struct conn *c)
{
	struct conn **at = &w->put_off;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
}

static void
sweep(struct worker *w, int64_t now)
{
	int64_t limit = (int64_t)(w->load->timeout * 1e9);
	struct conn *c;
	unsigned i;

	w->next_sweep = now + SWEEP;
	for (i = 0; i < w->n_conns; i++) {
		c = &w->conns[i];
		if (c->phase == IDLE || now - c->issued < limit)
			continue;
		if (c->phase != CLOSING) {
			w->result.timeouts++;
			w->in_flight--;
		}
		if (c->phase == PUT_OFF)
			unlink_put_off(w, c);
		hang_up(c);
		rest(w, c);
	}
}

/* Measuring has ended: what the connections look like now counts. */
static void
close_measuring(struct worker *w, int64_t now)
{
	const struct conn *c;
	unsigned i;

	w->closing = true;
	w->ended_at = now < w->run->end ? now : w->run->end;
	for (i = 0; i < w->n_conns; i++) {
		c = &w->conns[i];
		if (c->answered == 0 && c->phase != IDLE)
			w->result.unserved++;
	}
}

static void
tell(struct worker *w)
{
	struct run *run = w->run;

	if (w->told)
		return;
	w->told = true;
	pthread_mutex_lock(&run->mtx);
	run->ended++;
	pthread_cond_signal(&run->cond);
	pthread_mutex_unlock(&run->mtx);
}

/* What was due or sent and has no answer. Open loop: it was late by at least
 * so much, and leaving it out would be the omission that we correct for. */
static void
count_unanswered(struct worker *w, int64_t now)
{
	const struct run *run = w->run;
	struct bench_result *res = &w->result;
	const struct conn *c;
	int64_t due;
	unsigned i;

	for (i = 0; i < w->n_conns; i++) {
		c = &w->conns[i];
		if (c->phase == IDLE || c->phase == CLOSING)
			continue;
		res->unanswered++;
		if (w->load->rate > 0 && c->begin >= run->measure)
			bench_hist_add(&res->latency, (uint64_t)(now - c->begin), 1);
	}
	if (w->load->rate <= 0 || w->load->requests)
		return;
	for (; (due = due_time(w, w->next_due)) < w->ended_at; w->next_due++) {
		if (due < run->measure)
			continue;
		res->unanswered++;
		bench_hist_add(&res->latency, (uint64_t)(now - due), 1);
	}
}

static int64_t
next_wake(const struct worker *w)
{
	int64_t at = w->next_sweep, due;

	if (w->closing)
		return at < w->run->end + DRAIN ? at : w->run->end + DRAIN;
	if (w->run->end < at)
		at = w->run->end;
	if (w->put_off && w->retry_at < at)
		at = w->retry_at;
	if (w->idle && may_issue(w)) {
		due = w->load->rate > 0 ? due_time(w, w->next_due) : 0;
		at = due < at ? due : at;
	}
	return at;
}

/* epoll_wait() counts in milliseconds, and requests are due every few microseconds. */
static int
wait_events(struct worker *w, struct epoll_event *events, int64_t ns)
{
#if defined(SYS_epoll_pwait2) && LONG_MAX > 2147483647L
	static _Thread_local bool missing;
	struct timespec ts = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	long n;

	if (!missing) {
		n = syscall(SYS_epoll_pwait2, w->epfd, events, EVENTS, &ts, NULL, (size_t)0);
		if (n >= 0 || (errno != ENOSYS && errno != EPERM))
			return (int)n;
		missing = true;
	}
#endif
	return epoll_wait(w->epfd, events, EVENTS, (int)((ns + MS - 1) / MS));
}

static bool
turn(struct worker *w)
{
	struct epoll_event events[EVENTS];
	struct run *run = w->run;
	int64_t now = sn_clock_ns(), wake;
	int i, n;

	if (!w->closing && (now >= run->end || bench_interrupted() || w->fatal ||
	                    (w->load->requests && w->issued >= w->quota && w->in_flight == 0)))
		close_measuring(w, now);
	if (w->closing) {
		tell(w);
		if (w->in_flight == 0 || w->fatal || bench_interrupted() || now >= run->end + DRAIN)
			return false;
	}
	if (now >= w->next_sweep)
		sweep(w, now);
	retry(w, now);
	if (!w->closing)
		dispatch(w, now);
	wake = next_wake(w);
	now = sn_clock_ns();
	n = wait_events(w, events, wake > now ? wake - now : 0);
	if (n < 0 && errno != EINTR)
		die(w, "epoll_wait");
	for (i = 0; i < n; i++)
		on_event(w, events[i].data.ptr, events[i].events);
	return true;
}

void *
bench_worker_main(void *worker)
{
	struct worker *w = worker;
	struct rusage use;
	struct timespec start = { .tv_sec = w->run->start / 1000000000,
		                  .tv_nsec = w->run->start % 1000000000 };

	prctl(PR_SET_TIMERSLACK, 1UL); /* the default of 50 us would be latency of ours */
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &start, NULL) == EINTR)
		;
	w->next_sweep = w->run->start + SWEEP;
	while (turn(w))
		;
	count_unanswered(w, sn_clock_ns());
	tell(w);
	if (getrusage(RUSAGE_THREAD, &use) == 0)
		w->result.client_cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
		                       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
	return NULL;
}
