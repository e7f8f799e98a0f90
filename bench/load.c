/* SPDX-License-Identifier: MIT
 *
 * A run from outside: the probe, the threads, the reading of the server's CPU
 * time at both ends of the measured span, the sum. Runs in the calling thread.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "load_priv.h"

static volatile sig_atomic_t interrupted;

void
bench_load_interrupt(void)
{
	interrupted = 1;
}

bool
bench_interrupted(void)
{
	return interrupted;
}

/* ---- probe ----------------------------------------------------------------- */

/* Waits for `events`; SN_EIO at the deadline. */
static int
wait_for(int fd, short events, int64_t deadline, struct sn_why *why)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left;
	int n;

	for (;;) {
		left = deadline - sn_clock_ms();
		if (left <= 0)
			return sn_why_set(why, SN_EIO, "the server did not answer in time");
		if (interrupted)
			return sn_why_set(why, SN_EIO, "interrupted");
		n = poll(&p, 1, left > 100 ? 100 : (int)left);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return sn_why_set(why, SN_EIO, "poll: %s", strerror(errno));
	}
}

static int
probe_connect(const struct bench_load *l, int64_t deadline, struct sn_why *why)
{
	socklen_t len = sizeof(int);
	bool pending;
	int fd, error = 0;

	/* A backlog may be full for a moment. */
	while ((fd = bench_target_connect(l->target, &pending)) == -EAGAIN &&
	       sn_clock_ms() < deadline)
		poll(NULL, 0, 10);
	if (fd < 0)
		return bench_target_explain(l->target, -fd, why);
	if (!pending)
		return fd;
	if (wait_for(fd, POLLOUT, deadline, why) < 0) {
		close(fd);
		return SN_EIO;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error) {
		close(fd);
		return bench_target_explain(l->target, error, why);
	}
	return fd;
}

static int
probe_exchange(const struct bench_load *l, int fd, struct bench_reply *r,
               const struct bench_expect *want, int64_t deadline, struct sn_why *why)
{
	enum bench_state state = BENCH_MORE;
	size_t sent = 0;
	char buf[16384];
	ssize_t n;

	while (state == BENCH_MORE) {
		if (wait_for(fd, sent < l->request_len ? POLLIN | POLLOUT : POLLIN, deadline, why) < 0)
			return SN_EIO;
		if (sent < l->request_len) {
			n = send(fd, (const char *)l->request + sent, l->request_len - sent, MSG_NOSIGNAL);
			if (n > 0)
				sent += (size_t)n;
			else if (n < 0 && errno != EAGAIN && errno != EINTR)
				sent = l->request_len; /* refused: the answer tells */
		}
		n = recv(fd, buf, sizeof(buf), 0);
		if (n > 0)
			state = bench_reply_feed(r, want, (const uint8_t *)buf, (size_t)n);
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			state = bench_reply_eof(r, want);
	}
	return 0;
}

int
bench_load_probe(const struct bench_load *load, struct bench_reply *reply, struct sn_buf *body,
                 struct sn_why *why)
{
	int64_t deadline = sn_clock_ms() + sn_clock_ms_of(load->timeout);
	struct bench_expect want = load->expect;
	int fd, rc;

	want.keep = body;
	want.keep_max = 64 << 20;
	bench_reply_reset(reply, load->target->proto);
	fd = probe_connect(load, deadline, why);
	if (fd < 0)
		return fd;
	rc = probe_exchange(load, fd, reply, &want, deadline, why);
	close(fd);
	return rc;
}

/* ---- run ------------------------------------------------------------------- */

/* Until `at`, or until every worker has ended. */
static void
wait_until(struct run *run, int64_t at)
{
	struct timespec ts = { .tv_sec = at / 1000000000, .tv_nsec = at % 1000000000 };
	int rc = 0;

	pthread_mutex_lock(&run->mtx);
	while (run->ended < run->load->threads && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&run->cond, &run->mtx, &ts);
	pthread_mutex_unlock(&run->mtx);
}

static void
observe(struct run *run, struct bench_result *out)
{
	const struct bench_load *l = run->load;
	bool ok;

	wait_until(run, run->measure);
	ok = l->roots.n && bench_cputime_read(&l->roots, &out->before, &out->server_why) == 0;
	wait_until(run, run->end);
	if (!ok || bench_cputime_read(&l->roots, &out->after, &out->server_why) < 0)
		return;
	if (out->after.seconds < out->before.seconds)
		sn_why_set(&out->server_why, SN_EIO, "a process of the server ended meanwhile");
	else
		out->has_server = true;
}

static void
add_result(struct bench_result *out, const struct worker *w)
{
	const struct bench_result *r = &w->result;
	size_t i;

	out->requests += r->requests;
	for (i = 0; i < BENCH_FAULTS; i++)
		out->wrong[i] += r->wrong[i];
	for (i = 0; i < SN_COUNT(out->status); i++)
		out->status[i] += r->status[i];
	out->bytes_in += r->bytes_in;
	out->bytes_out += r->bytes_out;
	out->timeouts += r->timeouts;
	out->connect_errors += r->connect_errors;
	if (r->connect_errno)
		out->connect_errno = r->connect_errno;
	out->backlog_full += r->backlog_full;
	out->reconnects += r->reconnects;
	out->unanswered += r->unanswered;
	out->unserved += r->unserved;
	if (r->worst_lag > out->worst_lag)
		out->worst_lag = r->worst_lag;
	bench_hist_merge(&out->latency, &r->latency);
	out->client_cpu += r->client_cpu;
	if (!out->first_fault[0])
		memcpy(out->first_fault, r->first_fault, sizeof(out->first_fault));
}

static int
collect(struct run *run, struct worker *workers, unsigned n, struct bench_result *out,
        struct sn_why *why)
{
	int64_t ended = run->measure;
	unsigned i;
	int rc = 0;

	for (i = 0; i < n; i++) {
		add_result(out, &workers[i]);
		if (workers[i].ended_at > ended)
			ended = workers[i].ended_at;
		if (workers[i].fatal)
			rc = sn_why_set(why, SN_EIO, "%s: %s", workers[i].fatal,
			                strerror(workers[i].fatal_errno));
	}
	out->seconds = (double)(ended - run->measure) / 1e9;
	return rc;
}

int
bench_load_run(const struct bench_load *load, struct bench_result *out, struct sn_why *why)
{
	struct run run = { .load = load, .mtx = PTHREAD_MUTEX_INITIALIZER };
	struct worker *workers = calloc(load->threads, sizeof(*workers));
	pthread_condattr_t attr;
	unsigned i, made = 0, started = 0;
	int rc = sn_why_set(why, SN_ENOMEM, "out of memory or descriptors");

	memset(out, 0, sizeof(*out));
	bench_hist_init(&out->latency);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&run.cond, &attr);
	pthread_condattr_destroy(&attr);
	if (!workers)
		goto out;
	for (; made < load->threads; made++) {
		if (bench_worker_init(&workers[made], &run, made) < 0) {
			made++; /* half built: freed too */
			goto out;
		}
	}
	run.start = sn_clock_ns() + 5000000; /* all threads begin together */
	run.measure = run.start + (int64_t)(load->warmup * 1e9);
	run.end = run.measure + (int64_t)(load->seconds * 1e9);
	for (; started < load->threads; started++) {
		rc = pthread_create(&workers[started].thread, NULL, bench_worker_main, &workers[started]);
		if (rc != 0) {
			rc = sn_why_set(why, SN_ENOMEM, "cannot start a thread: %s", strerror(rc));
			bench_load_interrupt();
			goto out;
		}
	}
	observe(&run, out);
	rc = 0;
out:
	for (i = 0; i < started; i++)
		pthread_join(workers[i].thread, NULL);
	if (rc == 0)
		rc = collect(&run, workers, made, out, why);
	for (i = 0; i < made; i++)
		bench_worker_free(&workers[i]);
	free(workers);
	pthread_cond_destroy(&run.cond);
	pthread_mutex_destroy(&run.mtx);
	return rc;
}
