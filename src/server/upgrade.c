/* SPDX-License-Identifier: MIT
 *
 * Binary upgrade: the supervisor starts the program of now with copies of its listening
 * sockets, over a channel like a worker's. When the new supervisor's workers serve, it says so,
 * and the old one hands kept connections over and ends; when it fails, nothing has changed. One thread.
 */
#include "server/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/admin.h"
#include "server/channel.h"
#include "server/listener_priv.h"
#include "server/notify.h"
#include "server/pidfile.h"
#include "server/supervisor_priv.h"

#define VARIABLE "SNACGI_PREDECESSOR"
#define GIVE_MS 10000
#define INHERITED "-" /* instead of an address */

/* ---- the new one ------------------------------------------------------------------ */

static int
add_listener(struct sn_inherited *in, const struct sn_msg *m, struct sn_why *why)
{
	unsigned long long dev, ino;
	int maker, at = 0;
	if (sscanf(m->text, "%d %llu %llu %n", &maker, &dev, &ino, &at) != 3 || !at)
		return sn_why_set(why, SN_EINVAL, "the predecessor speaks another language; restart instead");
	const char *address = m->text + at;
	bool named = strcmp(address, INHERITED) != 0;
	int rc = named ? sn_conf_listen(in->conf, address, VARIABLE, why) : 0;
	struct sn_listener *l = rc == 0 ? sn_listeners_add(&in->ls, named ? NULL : &sn_listen_adopted) : NULL;
	if (!l)
		return rc < 0 ? rc : sn_why_set(why, SN_ENOMEM, "out of memory");
	sn_listeners_keep_id(l, m->id);
	l->fd = m->fd;
	l->maker = maker;
	l->dev = dev;
	l->ino = ino;
	snprintf(l->name, sizeof(l->name), "%.150s", address);
	return 0;
}

static int
take_listeners(struct sn_inherited *in, struct sn_why *why)
{
	struct sn_msg m;
	for (;;) {
		struct pollfd p = { .fd = in->chan, .events = POLLIN };
		int rc = sn_channel_recv(in->chan, &m);
		if (rc == SN_EGONE || (rc == SN_EAGAIN && poll(&p, 1, GIVE_MS) == 0))
			return sn_why_set(why, SN_EGONE, "the predecessor does not give its sockets");
		if (rc < 0)
			continue;
		if (m.kind == SN_MSG_GO)
			break;
		if (m.kind == SN_MSG_LISTENER && (rc = add_listener(in, &m, why)) < 0)
			return rc;
	}
	size_t named = 0; /* only now, since the list has moved while it grew */
	for (size_t i = 0; i < in->ls.n; i++)
		if (!in->ls.item[i].conf)
			in->ls.item[i].conf = &in->conf->listen[named++];
	return 0;
}

int
sn_upgrade_inherit(struct sn_inherited *in, struct sn_why *why)
{
	const char *number = getenv(VARIABLE);
	*in = (struct sn_inherited){ .chan = number ? (int)strtol(number, NULL, 10) : -1 };
	unsetenv(VARIABLE);
	if (in->chan < 0)
		return 0;
	fcntl(in->chan, F_SETFD, FD_CLOEXEC);
	in->conf = sn_conf_new();
	return in->conf ? take_listeners(in, why) : sn_why_set(why, SN_ENOMEM, "out of memory");
}

void
sn_upgrade_forget(struct sn_inherited *in)
{
	for (size_t i = 0; i < in->ls.n; i++)
		in->ls.item[i].maker = 0;
	sn_listeners_close(&in->ls);
	sn_conf_free(in->conf);
	in->conf = NULL;
}

void
sn_upgrade_take_over(struct sn_supervisor *s)
{
	if (s->before.chan < 0 || s->took_over)
		return;
	s->took_over = true;
	sn_listeners_commit(&s->now->ls, &s->before.ls);
	sn_channel_send(s->before.chan, SN_MSG_READY, 0, -1, NULL);
}

int
sn_upgrade_hear_predecessor(struct sn_supervisor *s)
{
	struct sn_why why;
	struct sn_msg m;
	int rc = 0;
	while (s->nwaiting < SN_WAITING_MOST && (rc = sn_channel_recv(s->before.chan, &m)) == 0)
		if (m.kind == SN_MSG_CONN && m.fd >= 0)
			sn_relay(s, 0, m.id, m.fd);
		else if (m.kind == SN_MSG_GO && sn_pidfile_open(s->now->conf->pid_file, &why) < 0)
			sn_log_error("%s", why.text);
	if (s->nwaiting < SN_WAITING_MOST && rc == SN_EGONE) {
		close(s->before.chan);
		s->before.chan = -1;
	}
	return 0;
}

/* ---- the old one -------------------------------------------------------------------- */

static void
failed(struct sn_supervisor *s, const char *reason)
{
	struct sn_why why;
	sn_why_set(&why, SN_ECONF, "%s%s", s->stopping ? "" : "this server goes on: ", reason);
	sn_log_error("upgrade failed, %s", why.text);
	sn_admin_result(s->admin, false, why.text);
}

static void
become_heir(struct sn_supervisor *s, int chan)
{
	struct sn_why why;
	char number[16];
	snprintf(number, sizeof(number), "%d", chan);
	fcntl(chan, F_SETFD, 0);
	setenv(VARIABLE, number, 1);
	sn_notify_inherit();
	execv(s->loader->program, s->loader->argv);
	sn_why_set(&why, SN_EIO, "cannot execute %s: %s", s->loader->program, strerror(errno));
	sn_channel_send(chan, SN_MSG_FAILED, 0, -1, why.text);
	_exit(127);
}

static bool
give(const struct sn_supervisor *s)
{
	for (size_t i = 0; i < s->now->ls.n; i++) {
		const struct sn_listener *l = &s->now->ls.item[i];
		char text[512];
		snprintf(text, sizeof(text), "%d %llu %llu %s", (int)l->maker, (unsigned long long)l->dev,
		         (unsigned long long)l->ino, l->conf == &sn_listen_adopted ? INHERITED : l->conf->address);
		if (sn_channel_send(s->heir.chan, SN_MSG_LISTENER, l->id, l->fd, text) < 0)
			return false;
	}
	return sn_channel_send(s->heir.chan, SN_MSG_GO, 0, -1, NULL) == 0;
}

void
sn_upgrade(struct sn_supervisor *s)
{
	struct sn_why why = { "" };
	int chan[2];
	if (s->stopping)
		return;
	if (s->heir.pid || s->next || s->settling || !s->was_ready) {
		static const char reason[] = "this server goes on: a start, a reload or an upgrade is under way";
		sn_log_error("upgrade refused, %s", reason);
		sn_admin_refuse(s->admin, SN_ADMIN_UPGRADE, reason);
		return;
	}
	sn_admin_begin(s->admin, SN_ADMIN_UPGRADE);
	if (sn_channel_pair(chan, &why) < 0) {
		failed(s, why.text);
		return;
	}
	sn_log_info("upgrade: %s starts", s->loader->program);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		become_heir(s, chan[1]);
	close(chan[1]);
	s->heir.chan = chan[0];
	s->heir.pid = pid;
	s->heir.kill_ms = sn_clock_ms() + sn_clock_ms_of(s->now->conf->timeouts.start) + SN_KILL_GRACE_MS;
	if (pid < 0 || !give(s)) {
		if (pid > 0)
			kill(pid, SIGKILL); /* its end tells */
		else
			s->heir.pid = 0;
		failed(s, "it could not be started");
	}
}

static void
succeed(struct sn_supervisor *s)
{
	sn_log_info("upgraded: process %d serves; this one answers what it has, and ends", (int)s->heir.pid);
	s->stopping = s->succeeded = true;
	s->heir.kill_ms = 0;
	sn_notify_successor(s->heir.pid);
	for (size_t i = 0; i < s->now->ls.n; i++)
		s->now->ls.item[i].maker = 0; /* the files are the new one's */
	sn_pidfile_close(s->now->conf->pid_file);
	sn_channel_send(s->heir.chan, SN_MSG_GO, 0, -1, NULL); /* the pid file is free */
	sn_listeners_shut(&s->now->ls);
	for (struct sn_child *c = s->children; c; c = c->next)
		if (c->state != SN_CHILD_RETIRING)
			sn_child_retire(c, s->now->conf);
	char text[64];
	snprintf(text, sizeof(text), "upgraded: process %d serves", (int)s->heir.pid);
	sn_admin_result(s->admin, true, text);
}

void
sn_upgrade_hear(struct sn_supervisor *s)
{
	struct sn_msg m;
	int rc;
	while ((rc = sn_channel_recv(s->heir.chan, &m)) == 0)
		if (m.kind == SN_MSG_READY && !s->succeeded && !s->stopping)
			succeed(s);
		else if (m.kind == SN_MSG_FAILED)
			memcpy(s->heir.failure, m.text, sizeof(s->heir.failure));
	if (rc == SN_EGONE) {
		close(s->heir.chan);
		s->heir.chan = -1;
	}
}

bool
sn_upgrade_ended(struct sn_supervisor *s, pid_t pid, int status)
{
	char text[64];
	if (!s->heir.pid || pid != s->heir.pid)
		return false;
	if (s->heir.chan >= 0)
		sn_upgrade_hear(s);
	if (s->heir.chan >= 0)
		close(s->heir.chan);
	snprintf(text, sizeof(text), "the new program ended with %s %d; see its lines above",
	         WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	if (s->succeeded)
		sn_log_error("%s", text);
	else
		failed(s, *s->heir.failure ? s->heir.failure : text);
	memset(&s->heir, 0, sizeof(s->heir));
	s->heir.chan = -1;
	return true;
}
