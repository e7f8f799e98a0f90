/* SPDX-License-Identifier: MIT
 *
 * The supervisor's part in handing kept connections over: it passes descriptors from one
 * worker to another and never reads from them. Those that nobody takes at the moment wait.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "server/channel.h"
#include "server/supervisor_priv.h"

struct sn_waiting {
	uint32_t listener;
	int fd;
	pid_t from;
};

static bool
may_take(const struct sn_supervisor *s, const struct sn_child *c, pid_t from)
{
	return c->gen == s->now && c->state == SN_CHILD_SERVING && c->pid != from && !c->chan_closed;
}

/* Whether anybody could take a connection of that listener. */
static bool
wanted(const struct sn_supervisor *s, uint32_t listener)
{
	if (s->succeeded)
		return s->heir.chan >= 0;
	return !s->stopping && sn_listeners_find(&s->now->ls, listener);
}

/* In turn: the one after the last that took one, first. */
static bool
pass_on(struct sn_supervisor *s, const struct sn_waiting *w)
{
	const struct sn_child *start = s->children;
	if (s->succeeded)
		return sn_channel_send(s->heir.chan, SN_MSG_CONN, w->listener, w->fd, NULL) == 0;
	while (start && start->pid != s->last_taker)
		start = start->next;
	const struct sn_child *c = start;
	for (const struct sn_child *each = s->children; each; each = each->next) {
		c = c && c->next ? c->next : s->children;
		if (may_take(s, c, w->from) &&
		    sn_channel_send(c->chan, SN_MSG_CONN, w->listener, w->fd, NULL) == 0) {
			s->last_taker = c->pid;
			return true;
		}
	}
	return false;
}

void
sn_relay(struct sn_supervisor *s, pid_t from, uint32_t listener, int fd)
{
	struct sn_waiting w = { .listener = listener, .fd = fd, .from = from };
	if (!wanted(s, listener) || pass_on(s, &w)) {
		close(fd);
		return;
	}
	struct sn_waiting *grown = realloc(s->waiting, (s->nwaiting + 1) * sizeof(*grown));
	if (!grown) {
		sn_log_error("a kept connection is lost: out of memory");
		close(fd);
		return;
	}
	s->waiting = grown;
	s->waiting[s->nwaiting++] = w;
}

void
sn_relay_again(struct sn_supervisor *s)
{
	size_t left = 0;
	for (size_t i = 0; i < s->nwaiting; i++) {
		struct sn_waiting *w = &s->waiting[i];
		if (!wanted(s, w->listener) || pass_on(s, w))
			close(w->fd);
		else
			s->waiting[left++] = *w;
	}
	s->nwaiting = left;
}

void
sn_relay_drop(struct sn_supervisor *s)
{
	for (size_t i = 0; i < s->nwaiting; i++)
		close(s->waiting[i].fd);
	free(s->waiting);
	s->waiting = NULL;
	s->nwaiting = 0;
}
