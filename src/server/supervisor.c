/* SPDX-License-Identifier: MIT
 *
 * The supervisor and the life of its worker processes. One thread.
 */
#include "server/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/process.h"
#include "server/recycle.h"
#include "server/signals.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS 5000
#define STABLE_MS 10000   /* a worker that lived this long resets the back-off */
#define CRASH_LOOP 10     /* failures in a row after which the supervisor gives up */
#define KILL_GRACE_MS 3000 /* beyond timeouts.shutdown */
#define EXIT_NOT_READY 3

/* ---- the worker's side ------------------------------------------------------------ */

static bool
hurried(void *arg)
{
	unsigned stops;
	(void)arg;
	sn_signals_take(&stops);
	return stops > 1;
}

/* Returns when the worker shall stop; SN_RECYCLE_NOT: it was told to. */
static enum sn_recycle
wait_for_stop(int fd, struct sn_worker *w)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return SN_RECYCLE_NOT;
		unsigned stops, mask = sn_signals_take(&stops);
		struct sn_why why;
		if ((mask & SN_SIG_REOPEN) && (sn_log_reopen(&why) < 0 || sn_worker_reopen(w, &why) < 0))
			sn_log_error("%s", why.text);
		if (stops)
			return SN_RECYCLE_NOT;
		const char *reason;
		enum sn_recycle kind = mask & SN_SIG_RECYCLE ? sn_recycle_asked(&reason) : SN_RECYCLE_NOT;
		if (kind == SN_RECYCLE_NOT)
			continue;
		sn_log_for(kind == SN_RECYCLE_STUCK ? SN_LOG_ERROR : SN_LOG_INFO, 0,
		           "this process must be replaced: %s", reason);
		return kind;
	}
}

int
sn_worker_run(const struct sn_conf *conf, const struct sn_tables *tables,
              struct sn_listeners *ls, int ready_fd, unsigned number, bool supervised, bool *clean)
{
	struct sn_why why = { "" };
	struct sn_worker *w = NULL;
	*clean = true;
	int fd = sn_signals_install(!supervised, &why);
	if (fd < 0 || sn_process_drop(conf, &why) < 0 ||
	    sn_worker_prepare(&w, conf, tables, false, &why) < 0) {
		sn_log_error("%s", why.text);
		return EXIT_NOT_READY;
	}
	if (number == 0) {
		sn_worker_log_routes(w);
		for (size_t i = 0; i < ls->n; i++)
			sn_log_info("listening on %s (%s)", ls->item[i].name, ls->item[i].wire->name);
	}
	if (sn_worker_serve(w, ls, &why) < 0) {
		sn_log_error("%s", why.text);
		*clean = sn_worker_stop(w, 1000, NULL, NULL);
		if (*clean)
			sn_worker_free(w);
		return EXIT_NOT_READY;
	}
	if (ready_fd >= 0) {
		ssize_t put = write(ready_fd, "1", 1);
		(void)put; /* a dead supervisor kills us anyway */
		close(ready_fd);
	} else {
		sn_log_info("ready");
	}
	enum sn_recycle recycle = wait_for_stop(fd, w);
	sn_log_info("stopping: accepted requests are answered first");
	*clean = sn_worker_stop(w, sn_clock_ms_of(conf->timeouts.shutdown), hurried, NULL);
	if (*clean)
		sn_worker_free(w);
	return recycle == SN_RECYCLE_STUCK ? SN_EXIT_STUCK : 0;
}

/* ---- the supervisor's side ------------------------------------------------------------ */

struct child {
	pid_t pid; /* 0: none */
	int ready; /* the pipe's end; -1: told us, or gone */
	bool is_ready;
	int64_t started_ms, respawn_ms, backoff_ms;
};

struct supervisor {
	const struct sn_conf *conf;
	const struct sn_tables *tables;
	struct sn_listeners *ls;
	struct child *child;
	unsigned n;
	int signals;
	bool was_ready, stopping, failed;
	unsigned failures, stops_passed;
	int64_t kill_ms;
};

static void
become_worker(struct supervisor *s, unsigned i, int ready, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(0);
	for (unsigned k = 0; k < s->n; k++)
		if (s->child[k].ready >= 0)
			close(s->child[k].ready);
	bool clean;
	int status = sn_worker_run(s->conf, s->tables, s->ls, ready, i, true, &clean);
	if (!clean)
		_exit(status);
	sn_listeners_close(s->ls);
	free(s->child);
	exit(status);
}

static void
spawn(struct supervisor *s, unsigned i)
{
	struct child *c = &s->child[i];
	int pipes[2];
	pid_t parent = getpid();
	c->respawn_ms = 0;
	if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0) {
		sn_log_error("cannot start a worker: pipe: %s", strerror(errno));
		c->respawn_ms = sn_clock_ms() + BACKOFF_MOST_MS;
		return;
	}
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		close(pipes[0]);
		become_worker(s, i, pipes[1], parent);
	}
	close(pipes[1]);
	if (pid < 0) {
		sn_log_error("cannot start a worker: fork: %s", strerror(errno));
		close(pipes[0]);
		c->respawn_ms = sn_clock_ms() + BACKOFF_MOST_MS;
		return;
	}
	c->pid = pid;
	c->ready = pipes[0];
	c->is_ready = false;
	c->started_ms = sn_clock_ms();
}

static void
all_ready(struct supervisor *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (!s->child[i].is_ready)
			return;
	if (!s->was_ready)
		sn_log_info("ready: %u worker process%s", s->n, s->n == 1 ? "" : "es");
	s->was_ready = true;
}

static void
hear(struct supervisor *s, struct child *c)
{
	char byte;
	ssize_t n = read(c->ready, &byte, 1);
	if (n < 0)
		return;
	close(c->ready);
	c->ready = -1;
	if (n == 1) {
		c->is_ready = true;
		s->failures = 0;
		all_ready(s);
	}
}

static void
pass_stop(struct supervisor *s, int number)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->child[i].pid)
			kill(s->child[i].pid, number);
}

static void
begin_stop(struct supervisor *s)
{
	s->stopping = true;
	sn_listeners_shut(s->ls);
	s->kill_ms = sn_clock_ms() + sn_clock_ms_of(s->conf->timeouts.shutdown) + KILL_GRACE_MS;
	for (unsigned i = 0; i < s->n; i++)
		s->child[i].respawn_ms = 0;
}

static void
describe(pid_t pid, int status, int64_t lived_ms)
{
	if (WIFSIGNALED(status))
		sn_log_error("worker %d was killed by signal %d (%s)%s after %lld.%01lld s", (int)pid,
		             WTERMSIG(status), strsignal(WTERMSIG(status)),
		             WCOREDUMP(status) ? ", core dumped" : "", (long long)lived_ms / 1000,
		             (long long)lived_ms / 100 % 10);
	else
		sn_log_error("worker %d ended by itself with status %d after %lld.%01lld s", (int)pid,
		             WEXITSTATUS(status), (long long)lived_ms / 1000, (long long)lived_ms / 100 % 10);
}

static void
ended(struct supervisor *s, struct child *c, int status)
{
	int64_t now = sn_clock_ms(), lived = now - c->started_ms;
	pid_t pid = c->pid;
	if (c->ready >= 0)
		hear(s, c); /* ready and dead at once */
	if (c->ready >= 0)
		close(c->ready);
	c->pid = 0;
	c->ready = -1;
	bool normal = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (s->stopping) {
		if (!normal)
			describe(pid, status, lived);
		return;
	}
	describe(pid, status, lived);
	bool unready = !c->is_ready;
	c->is_ready = false;
	s->failures++;
	if (!s->was_ready && unready && WIFEXITED(status)) {
		/* the very first start: the configuration or the code is wrong, and said so above */
		s->failed = true;
	} else if (s->failures >= CRASH_LOOP) {
		sn_log_error("GIVING UP: %u workers died in a row; see their last lines above", s->failures);
		s->failed = true;
	}
	if (s->failed) {
		begin_stop(s);
		pass_stop(s, SIGTERM);
		return;
	}
	if (lived >= STABLE_MS)
		c->backoff_ms = 0;
	c->respawn_ms = now + c->backoff_ms;
	c->backoff_ms = c->backoff_ms == 0 ? BACKOFF_FIRST_MS : c->backoff_ms * 2;
	if (c->backoff_ms > BACKOFF_MOST_MS)
		c->backoff_ms = BACKOFF_MOST_MS;
}

static void
reap(struct supervisor *s)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (unsigned i = 0; i < s->n; i++)
			if (s->child[i].pid == pid)
				ended(s, &s->child[i], status);
}

static void
on_signals(struct supervisor *s)
{
	unsigned stops, mask = sn_signals_take(&stops);
	if (mask & SN_SIG_REOPEN) {
		struct sn_why why;
		if (sn_log_reopen(&why) < 0)
			sn_log_error("%s", why.text);
		pass_stop(s, SIGUSR1);
	}
	if (stops && !s->stopping) {
		sn_log_info("stopping %u worker%s", s->n, s->n == 1 ? "" : "s");
		begin_stop(s);
	}
	for (; s->stops_passed < stops; s->stops_passed++)
		pass_stop(s, s->stops_passed < 2 ? SIGTERM : SIGKILL); /* a third one is the last */
	if (mask & SN_SIG_CHILD)
		reap(s);
}

static int
next_wait(struct supervisor *s, int64_t now)
{
	int64_t until = s->stopping ? s->kill_ms : INT64_MAX;
	for (unsigned i = 0; i < s->n; i++)
		if (s->child[i].respawn_ms && s->child[i].respawn_ms < until)
			until = s->child[i].respawn_ms;
	if (until == INT64_MAX)
		return -1;
	return until <= now ? 0 : (int)(until - now);
}

static bool
any_alive(const struct supervisor *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->child[i].pid)
			return true;
	return false;
}

static void
watch(struct supervisor *s, struct pollfd *p)
{
	while (!s->stopping || any_alive(s)) {
		nfds_t n = 0;
		p[n++] = (struct pollfd){ .fd = s->signals, .events = POLLIN };
		for (unsigned i = 0; i < s->n; i++)
			p[n++] = (struct pollfd){ .fd = s->child[i].ready, .events = POLLIN };
		poll(p, n, next_wait(s, sn_clock_ms()));
		for (unsigned i = 0; i < s->n; i++)
			if (s->child[i].ready >= 0 && p[i + 1].revents)
				hear(s, &s->child[i]);
		on_signals(s);
		int64_t now = sn_clock_ms();
		for (unsigned i = 0; i < s->n && !s->stopping; i++)
			if (s->child[i].respawn_ms && s->child[i].respawn_ms <= now)
				spawn(s, i);
		if (s->stopping && now >= s->kill_ms) {
			sn_log_error("workers did not end within timeouts.shutdown; killing them");
			pass_stop(s, SIGKILL);
			s->kill_ms = now + KILL_GRACE_MS;
		}
	}
}

int
sn_supervise(const struct sn_conf *conf, const struct sn_tables *tables, struct sn_listeners *ls)
{
	struct sn_why why;
	struct supervisor s = { .conf = conf, .tables = tables, .ls = ls, .n = conf->processes };
	s.child = calloc(s.n, sizeof(*s.child));
	struct pollfd *p = calloc(s.n + 1, sizeof(*p));
	s.signals = sn_signals_install(true, &why);
	if (!s.child || !p || s.signals < 0) {
		sn_log_error("cannot start: %s", s.signals < 0 ? why.text : "out of memory");
		free(s.child);
		free(p);
		return 1;
	}
	for (unsigned i = 0; i < s.n; i++)
		s.child[i].ready = -1;
	for (unsigned i = 0; i < s.n; i++) {
		spawn(&s, i);
		if (!s.child[i].pid)
			s.failed = true;
	}
	watch(&s, p);
	free(s.child);
	free(p);
	return s.failed ? 1 : 0;
}
