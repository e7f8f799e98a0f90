/* SPDX-License-Identifier: MIT
 *
 * The supervisor's loop: signals, messages, deaths and what follows from them. One
 * thread. Rule of the crash loop: CRASH_LOOP deaths in a row, each of a worker that
 * served for less than SERVED_MS, at a moment when no worker serves.
 */
#include "server/supervisor.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/admin.h"
#include "server/channel.h"
#include "server/notify.h"
#include "server/pidfile.h"
#include "server/process.h"
#include "server/signals.h"
#include "server/supervisor_priv.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS 5000
#define RELAY_MS 20
#define TELL_AGAIN_MS 1000
#define SERVED_MS 1000  /* who serves so long and dies is no sign that none ever will */
#define STABLE_MS 10000 /* and so long, is replaced without a pause */
#define CRASH_LOOP 10
#define EXIT_NO_START 1
#define EXIT_CRASH_LOOP 4

/* ---- stopping ------------------------------------------------------------------- */

static void
pass_signal(struct sn_supervisor *s, int number)
{
	for (struct sn_child *c = s->children; c; c = c->next)
		kill(c->pid, number);
}

static void
begin_stop(struct sn_supervisor *s)
{
	s->stopping = true;
	s->reload_again = false;
	if (s->heir.pid)
		kill(s->heir.pid, SIGTERM);
	if (s->next)
		sn_reload_abort(s, "the server is stopping");
	sn_listeners_shut(&s->now->ls);
	int64_t limit = sn_clock_ms() + sn_clock_ms_of(s->now->conf->timeouts.shutdown) + SN_KILL_GRACE_MS;
	sn_notify_stopping(limit - sn_clock_ms());
	for (struct sn_child *c = s->children; c; c = c->next)
		c->kill_ms = limit;
}

static void
give_up(struct sn_supervisor *s, int status)
{
	s->status = status;
	begin_stop(s);
	pass_signal(s, SIGTERM);
}

/* ---- messages --------------------------------------------------------------------- */

/* The manager's status line, from the first "ready" on. */
static void
tell_serving(const struct sn_supervisor *s)
{
	if (s->was_ready && !s->stopping && !s->next && !s->settling)
		sn_notify_status(SN_SERVING_STATUS, sn_child_count(s, s->now, SN_CHILD_SERVING), s->now->n);
}

static void
became_ready(struct sn_supervisor *s, struct sn_child *c)
{
	if (c->state != SN_CHILD_STARTING)
		return;
	c->state = SN_CHILD_SERVING;
	c->ready_ms = sn_clock_ms();
	c->kill_ms = s->stopping ? c->kill_ms : 0;
	if (s->next && c->gen == s->next) {
		sn_reload_ready(s);
		return;
	}
	for (struct sn_child *old = s->children; old; old = old->next)
		if (old != c && old->gen == c->gen && old->slot == c->slot && old->state == SN_CHILD_SERVING)
			sn_child_retire(old, s->now->conf);
	if (!s->was_ready && sn_child_count(s, s->now, SN_CHILD_SERVING) == s->now->n) {
		s->was_ready = true;
		sn_notify_ready(SN_SERVING_STATUS, s->now->n, s->now->n);
		sn_upgrade_take_over(s);
		sn_log_info("ready: %u worker process%s", s->now->n, s->now->n == 1 ? "" : "es");
	} else {
		tell_serving(s);
	}
}

/* SN_EGONE when the other end is closed. */
static int
hear(struct sn_supervisor *s, struct sn_child *c)
{
	struct sn_msg m;
	int rc;
	while ((rc = sn_channel_recv(c->chan, &m)) == 0) {
		if (m.kind == SN_MSG_CONN && m.fd >= 0) {
			sn_relay(s, c->pid, m.id, m.fd);
			if (s->nwaiting >= SN_WAITING_MOST)
				return 0; /* the rest stays where it is */
		} else if (m.kind == SN_MSG_READY)
			became_ready(s, c);
		else if (m.kind == SN_MSG_FAILED)
			memcpy(c->failure, m.text, sizeof(c->failure));
		else if (m.kind == SN_MSG_DEAF)
			c->deaf = true;
		else if (m.kind == SN_MSG_RECYCLE && c->gen) {
			sn_log_info("worker %d asks for a successor: %s", (int)c->pid, m.text);
			c->recycle = true;
		}
	}
	return rc;
}

/* ---- deaths ------------------------------------------------------------------------- */

static void
put_off(struct sn_slot *slot)
{
	slot->respawn_ms = sn_clock_ms() + slot->backoff_ms;
	slot->backoff_ms = slot->backoff_ms == 0 ? BACKOFF_FIRST_MS : slot->backoff_ms * 2;
	if (slot->backoff_ms > BACKOFF_MOST_MS)
		slot->backoff_ms = BACKOFF_MOST_MS;
}

static void
lost_worker(struct sn_supervisor *s, const struct sn_child *c, int status)
{
	struct sn_slot *slot = &s->now->slot[c->slot];
	int64_t served = c->ready_ms ? sn_clock_ms() - c->ready_ms : 0;
	bool stable = served >= STABLE_MS;
	if (!s->was_ready && !c->ready_ms && WIFEXITED(status)) {
		/* the very first start: the configuration or the code is wrong, and said so above */
		give_up(s, EXIT_NO_START);
		return;
	}
	if (served >= SERVED_MS)
		s->failures = 0;
	if (sn_child_find(s, s->now, c->slot, SN_CHILD_SERVING)) {
		put_off(slot); /* a successor that failed: the one that asked for it goes on */
		return;
	}
	s->failures++;
	if (s->failures >= CRASH_LOOP && sn_child_count(s, s->now, SN_CHILD_SERVING) == 0) {
		sn_log_error("GIVING UP: %u workers in a row ended within %d s of service and none serves; "
		             "see their last lines above",
		             s->failures, SERVED_MS / 1000);
		give_up(s, EXIT_CRASH_LOOP);
		return;
	}
	if (stable)
		slot->backoff_ms = 0;
	put_off(slot);
}

static void
ended(struct sn_supervisor *s, struct sn_child *c, int status)
{
	bool normal = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	char reason[sizeof(c->failure)];
	while (hear(s, c) == 0) /* ready and dead at once; its last words; what it gave up */
		;
	struct sn_child dead = *c;
	if (!normal || !(s->stopping || c->state == SN_CHILD_RETIRING))
		sn_child_describe(c, status, c->state == SN_CHILD_RETIRING ? "while it drained, " : "");
	memcpy(reason, c->failure, sizeof(reason));
	sn_child_free(s, c);
	if (s->stopping || dead.state == SN_CHILD_RETIRING)
		return;
	if (dead.gen == s->next)
		sn_reload_abort(s, *reason ? reason : "a new worker ended before all were ready; see above");
	else
		lost_worker(s, &dead, status);
	tell_serving(s);
}

static void
reap(struct sn_supervisor *s)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0 && !sn_upgrade_ended(s, pid, status))
		for (struct sn_child *c = s->children; c; c = c->next)
			if (c->pid == pid) {
				ended(s, c, status);
				break;
			}
}

/* ---- the loop ------------------------------------------------------------------------- */

static void
on_signals(struct sn_supervisor *s)
{
	unsigned stops, mask = sn_signals_take(&stops);
	if (mask & SN_SIG_REOPEN) {
		struct sn_why why;
		if (sn_log_reopen(&why) < 0)
			sn_log_error("%s", why.text);
		pass_signal(s, SIGUSR1);
	}
	if (stops && !s->stopping) {
		sn_log_info("stopping %u worker%s", s->now->n, s->now->n == 1 ? "" : "s");
		begin_stop(s);
	}
	for (; s->stops_passed < stops; s->stops_passed++)
		pass_signal(s, s->stops_passed < 2 ? SIGTERM : SIGKILL); /* a third one is the last */
	if (mask & SN_SIG_CHILD)
		reap(s);
	if (mask & SN_SIG_RELOAD)
		sn_reload(s);
	if (mask & (SN_SIG_RETIRE | SN_SIG_SUCCEED))
		sn_upgrade(s);
}

/* Whether a worker shall be started there. Successors are started one at a time, so that
 * never all of them warm up at once; a reload under way replaces everybody anyway. */
static bool
wants_worker(const struct sn_supervisor *s, unsigned slot, bool *successor)
{
	const struct sn_child *serving = sn_child_find(s, s->now, slot, SN_CHILD_SERVING);
	if (sn_child_find(s, s->now, slot, SN_CHILD_STARTING))
		return false;
	if (!serving)
		return true;
	if (!serving->recycle || s->next || *successor)
		return false;
	return *successor = true;
}

/* Fills the places that are empty. */
static void
fill(struct sn_supervisor *s, int64_t now)
{
	struct sn_generation *g = s->now;
	bool successor = false;
	for (unsigned i = 0; i < g->n && !successor; i++)
		successor = sn_child_find(s, g, i, SN_CHILD_STARTING) &&
		            sn_child_find(s, g, i, SN_CHILD_SERVING);
	for (unsigned i = 0; i < g->n && !s->stopping; i++) {
		if (g->slot[i].respawn_ms > now || !wants_worker(s, i, &successor))
			continue;
		if (!sn_child_spawn(s, g, i))
			g->slot[i].respawn_ms = now + BACKOFF_MOST_MS;
	}
}

static void
kill_late(struct sn_supervisor *s, int64_t now)
{
	if (s->heir.kill_ms && s->heir.kill_ms <= now) {
		sn_log_error("the new program was not ready within timeouts.start; killing it");
		kill(s->heir.pid, SIGKILL);
		s->heir.kill_ms = now + SN_KILL_GRACE_MS;
	}
	for (struct sn_child *c = s->children; c; c = c->next) {
		if (!c->kill_ms || c->kill_ms > now)
			continue;
		if (c->state == SN_CHILD_STARTING && !s->stopping)
			sn_log_error("worker %d was not ready within timeouts.start; killing it", (int)c->pid);
		else
			sn_log_error("worker %d did not end within timeouts.shutdown; killing it", (int)c->pid);
		kill(c->pid, SIGKILL);
		c->kill_ms = now + SN_KILL_GRACE_MS;
	}
}

/* A signal that meets another one of its number on the way is one with it. */
static void
tell_again(struct sn_supervisor *s, int64_t now)
{
	for (struct sn_child *c = s->children; c; c = c->next)
		if (c->told_ms && !c->deaf && now - c->told_ms >= TELL_AGAIN_MS) {
			kill(c->pid, SIGUSR2);
			c->told_ms = now;
		}
}

static int
next_wait(const struct sn_supervisor *s, int64_t now)
{
	int64_t until = s->heir.kill_ms ? s->heir.kill_ms : INT64_MAX;
	for (const struct sn_child *c = s->children; c; c = c->next)
		if (c->kill_ms && c->kill_ms < until)
			until = c->kill_ms;
	for (const struct sn_child *c = s->children; c; c = c->next)
		if (c->told_ms && !c->deaf && c->told_ms + TELL_AGAIN_MS < until)
			until = c->told_ms + TELL_AGAIN_MS;
	for (unsigned i = 0; i < s->now->n && !s->stopping; i++) {
		int64_t at = s->now->slot[i].respawn_ms;
		if (at > now && at < until)
			until = at;
	}
	if (s->nwaiting && now + RELAY_MS < until)
		until = now + RELAY_MS;
	if (until == INT64_MAX)
		return -1;
	return until <= now ? 0 : (int)(until - now);
}

/* Waits for something to happen, and hears the workers. */
static void
wait_and_hear(struct sn_supervisor *s)
{
	enum { MOST = SN_WORKERS_MOST }; /* more wait for their turn */
	static struct pollfd p[MOST];
	static struct sn_child *who[MOST];
	nfds_t n = 0, first;
	p[n++] = (struct pollfd){ .fd = s->signals, .events = POLLIN };
	p[n++] = (struct pollfd){ .fd = s->heir.chan, .events = POLLIN };
	bool room = s->nwaiting < SN_WAITING_MOST;
	p[n++] = (struct pollfd){ .fd = room ? s->before.chan : -1, .events = POLLIN };
	n += sn_admin_poll(s->admin, p + n);
	first = n;
	for (struct sn_child *c = s->children; c && n < MOST; c = c->next) {
		who[n] = c;
		/* a worker that gives connections up waits while nobody takes them */
		bool full = c->state == SN_CHILD_RETIRING && s->nwaiting >= SN_WAITING_MOST;
		p[n++] = (struct pollfd){ .fd = c->chan_closed || full ? -1 : c->chan, .events = POLLIN };
	}
	int64_t now = sn_clock_ms();
	if (poll(p, n, sn_notify_wait(next_wait(s, now), now)) <= 0)
		return;
	/* nobody leaves the list here: that is for reap() */
	for (nfds_t i = first; i < n; i++)
		if (p[i].revents && hear(s, who[i]) == SN_EGONE)
			who[i]->chan_closed = true;
	if (p[1].revents)
		sn_upgrade_hear(s);
	if (p[2].revents)
		sn_upgrade_hear_predecessor(s);
	unsigned asked = sn_admin_hear(s->admin, p + 3);
	if (asked & SN_ADMIN_RELOAD)
		sn_reload(s);
	if (asked & SN_ADMIN_UPGRADE)
		sn_upgrade(s);
}

static void
watch(struct sn_supervisor *s)
{
	fill(s, sn_clock_ms());
	while (!s->stopping || s->children || (s->succeeded && s->nwaiting)) {
		wait_and_hear(s);
		on_signals(s);
		int64_t now = sn_clock_ms();
		sn_relay_again(s);
		sn_reload_settle(s);
		fill(s, now);
		tell_again(s, now);
		kill_late(s, now);
	}
}

int
sn_supervise(struct sn_conf *conf, const struct sn_tables *tables, struct sn_listeners *ls,
             const struct sn_loader *loader, struct sn_inherited *before)
{
	struct sn_why why;
	struct sn_supervisor s = { .tables = tables, .loader = loader, .before = *before, .heir.chan = -1 };
	*before = (struct sn_inherited){ .chan = -1 };
	s.now = sn_generation_new(conf);
	s.signals = sn_signals_install(true, &why);
	if (!s.now || s.signals < 0) {
		sn_log_error("cannot start: %s", s.now ? why.text : "out of memory");
		sn_generation_free(s.now);
		return EXIT_NO_START;
	}
	s.now->ls = *ls;
	memset(ls, 0, sizeof(*ls));
	s.scores = sn_scores_new(SN_WORKERS_MOST);
	s.admin = sn_admin_new();
	watch(&s);
	sn_relay_drop(&s);
	sn_upgrade_forget(&s.before);
	sn_admin_begin(s.admin, SN_ADMIN_RELOAD | SN_ADMIN_UPGRADE);
	sn_admin_result(s.admin, false, "the server has stopped");
	sn_admin_free(s.admin);
	sn_pidfile_close(s.now->conf->pid_file);
	sn_generation_free(s.now);
	sn_scores_free(s.scores);
	return s.status;
}
