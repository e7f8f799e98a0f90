/* SPDX-License-Identifier: MIT
 *
 * One worker process as its supervisor sees it: fork, look up, retire, bury.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/admin.h"
#include "server/channel.h"
#include "server/notify.h"
#include "server/process.h"
#include "server/supervisor_priv.h"

/* A worker keeps nothing of the supervisor's open: a listener that a reload takes away would
 * go on taking connections that nobody accepts. */
static void
let_go(struct sn_supervisor *s, const struct sn_generation *mine)
{
	for (struct sn_child *c = s->children; c; c = c->next)
		close(c->chan);
	if (mine != s->now)
		sn_listeners_close(&s->now->ls);
	sn_admin_free(s->admin);
	s->admin = NULL;
	sn_relay_drop(s);
	sn_upgrade_forget(&s->before);
	if (s->before.chan >= 0)
		close(s->before.chan);
	if (s->heir.chan >= 0)
		close(s->heir.chan);
}

static void
become_worker(struct sn_supervisor *s, struct sn_generation *g, int chan, bool log_routes, pid_t parent)
{
	struct sn_why why;
	bool clean = true;
	int status = SN_EXIT_NOT_READY;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sn_notify_forked();
	if (getppid() != parent)
		_exit(0);
	let_go(s, g);
	if (g != s->now && sn_process_open_log(g->conf, &why) < 0)
		sn_channel_send(chan, SN_MSG_FAILED, 0, -1, why.text);
	else
		status = sn_worker_run(g->conf, s->tables, &g->ls, chan, log_routes, &clean);
	if (!clean)
		_exit(status);
	while (s->children) {
		struct sn_child *c = s->children;
		s->children = c->next;
		free(c);
	}
	if (g != s->now)
		sn_generation_free(s->now);
	sn_generation_free(g);
	exit(status);
}

bool
sn_child_spawn(struct sn_supervisor *s, struct sn_generation *g, unsigned slot)
{
	struct sn_why why;
	int chan[2];
	pid_t parent = getpid();
	bool log_routes = slot == 0 && (g != s->now || !s->was_ready);
	struct sn_child *c = calloc(1, sizeof(*c));
	struct sn_board *board = sn_board_new(); /* without one a crash is told without its requests */
	struct sn_row *row = sn_scores_take(s->scores, g->number, slot);
	if (!c || sn_channel_pair(chan, &why) < 0) {
		sn_log_error("cannot start a worker: %s", c ? why.text : "out of memory");
		sn_board_free(board);
		sn_scores_give(s->scores, row);
		free(c);
		return false;
	}
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		free(c);
		close(chan[0]);
		sn_board_use(board);
		sn_scores_use(s->scores, row);
		become_worker(s, g, chan[1], log_routes, parent);
	}
	close(chan[1]);
	if (pid < 0) {
		sn_log_error("cannot start a worker: fork: %s", strerror(errno));
		close(chan[0]);
		sn_board_free(board);
		sn_scores_give(s->scores, row);
		free(c);
		return false;
	}
	*c = (struct sn_child){
		.next = s->children, .gen = g, .slot = slot, .state = SN_CHILD_STARTING,
		.pid = pid, .chan = chan[0], .board = board, .row = row, .started_ms = sn_clock_ms(),
	};
	if (g->conf->timeouts.start > 0)
		c->kill_ms = c->started_ms + sn_clock_ms_of(g->conf->timeouts.start);
	s->children = c;
	return true;
}

struct sn_child *
sn_child_find(const struct sn_supervisor *s, const struct sn_generation *g, unsigned slot,
              enum sn_child_state state)
{
	for (struct sn_child *c = s->children; c; c = c->next)
		if (c->gen == g && c->slot == slot && c->state == state)
			return c;
	return NULL;
}

unsigned
sn_child_count(const struct sn_supervisor *s, const struct sn_generation *g, enum sn_child_state state)
{
	unsigned n = 0;
	for (const struct sn_child *c = s->children; c; c = c->next)
		n += c->gen == g && c->state == state;
	return n;
}

void
sn_child_retire(struct sn_child *c, const struct sn_conf *conf)
{
	/* One that starts looks at its signals when it is ready, and may be the only one then: connections that
	 * it has accepted until it looks are handed on as by any other. It is given the same time. */
	kill(c->pid, SIGUSR2);
	c->told_ms = sn_clock_ms();
	c->kill_ms = sn_clock_ms() + sn_clock_ms_of(conf->timeouts.shutdown) + SN_KILL_GRACE_MS;
	c->state = SN_CHILD_RETIRING;
	c->gen = NULL;
}

void
sn_child_describe(const struct sn_child *c, int status, const char *when)
{
	long long lived = (long long)(sn_clock_ms() - c->started_ms);
	char store[512];
	struct sn_buf at;
	sn_buf_init(&at, store, sizeof(store));
	sn_buf_adds(&at, ", ");
	if (!sn_board_tell(c->board, &at))
		at.len = 0;
	const char *work = sn_buf_terminate(&at) == 0 ? at.data : "";
	if (WIFSIGNALED(status))
		sn_log_error("worker %d was killed by signal %d (%s)%s %safter %lld.%01lld s%s", (int)c->pid,
		             WTERMSIG(status), strsignal(WTERMSIG(status)),
		             WCOREDUMP(status) ? ", core dumped" : "", when, lived / 1000, lived / 100 % 10, work);
	else
		sn_log_error("worker %d ended by itself with status %d %safter %lld.%01lld s%s", (int)c->pid,
		             WEXITSTATUS(status), when, lived / 1000, lived / 100 % 10, work);
	sn_buf_free(&at);
}

void
sn_child_free(struct sn_supervisor *s, struct sn_child *c)
{
	struct sn_child **at = &s->children;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	close(c->chan);
	sn_board_free(c->board);
	sn_scores_give(s->scores, c->row);
	free(c);
}
