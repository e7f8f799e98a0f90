/* SPDX-License-Identifier: MIT
 *
 * Listening sockets from one configuration to the next: what both have is carried over by
 * a second descriptor, so that the old list stays whole until the new one is taken.
 * The supervisor's thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "server/listener_priv.h"

static bool
same_socket(const struct sn_conf_listen *a, const struct sn_conf_listen *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case SN_ADDR_TCP: return a->port == b->port && strcmp(a->host, b->host) == 0;
	case SN_ADDR_FD: return a->fd == b->fd;
	default: return strcmp(a->path, b->path) == 0;
	}
}

/* The same socket once more, as `lc` wants it. */
static int
carry(struct sn_listeners *ls, const struct sn_listeners *old, size_t index,
      const struct sn_conf_listen *lc, struct sn_why *why)
{
	struct sn_listener *l = sn_listeners_add(ls, lc);
	if (!l)
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	const struct sn_wire_ops *wire = l->wire;
	*l = old->item[index];
	l->conf = lc;
	l->wire = wire;
	l->from = (unsigned)index + 1;
	l->fd = fcntl(old->item[index].fd, F_DUPFD_CLOEXEC, 10);
	if (l->fd < 0)
		return sn_listener_fail(why, lc, "dup", "see the limit on open files");
	return 0;
}

static int
carry_or_open(struct sn_listeners *ls, const struct sn_conf_listen *lc,
              const struct sn_listeners *old, struct sn_why *why)
{
	unsigned found = 0;
	for (size_t i = 0; i < old->n; i++) {
		if (!same_socket(old->item[i].conf, lc))
			continue;
		int rc = carry(ls, old, i, lc, why);
		if (rc < 0)
			return rc;
		found++;
	}
	if (found)
		return 0;
	if (lc->kind == SN_ADDR_FD || lc->kind == SN_ADDR_SYSTEMD)
		return sn_why_set(why, SN_ECONF,
		                  "cannot listen on %s: sockets are inherited at the start only; restart, or "
		                  "name an address of its own",
		                  lc->address);
	return sn_listeners_open_one(ls, lc, why);
}

int
sn_listeners_carry(struct sn_listeners *ls, const struct sn_conf *conf,
                   const struct sn_listeners *old, struct sn_why *why)
{
	int rc = 0;
	memset(ls, 0, sizeof(*ls));
	for (size_t i = 0; rc == 0 && i < conf->nlisten; i++)
		rc = carry_or_open(ls, &conf->listen[i], old, why);
	for (size_t i = 0; rc == 0 && conf->nlisten == 0 && i < old->n; i++)
		if (old->item[i].conf == &sn_listen_adopted)
			rc = carry(ls, old, i, &sn_listen_adopted, why);
	if (rc == 0 && ls->n == 0)
		rc = sn_why_set(why, SN_ECONF,
		                "nothing to listen on: the new configuration names no listener, and no socket "
		                "was inherited at the start");
	if (rc < 0)
		sn_listeners_close(ls);
	return rc;
}

static void
apply_changes(const struct sn_listener *l, const struct sn_conf_listen *was)
{
	const struct sn_conf_listen *lc = l->conf;
	struct sn_why why;
	if (lc->backlog != was->backlog && listen(l->fd, (int)lc->backlog) < 0)
		sn_log_warning("%s: the new backlog is not taken: %s", l->name, strerror(errno));
	if (!l->maker)
		return;
	if ((strcmp(lc->owner, was->owner) != 0 || strcmp(lc->group, was->group) != 0) &&
	    sn_listener_set_owner(lc, &why) < 0)
		sn_log_warning("%s", why.text);
	if (lc->mode != was->mode && chmod(lc->path, lc->mode) < 0)
		sn_log_warning("%s: the new mode is not taken: %s", l->name, strerror(errno));
}

void
sn_listeners_commit(struct sn_listeners *ls, struct sn_listeners *old)
{
	/* after an upgrade the files are this process's, whoever made them */
	for (size_t i = 0; i < old->n; i++)
		if (old->item[i].maker)
			old->item[i].maker = getpid();
	for (size_t i = 0; i < ls->n; i++) {
		struct sn_listener *l = &ls->item[i];
		if (!l->from)
			continue;
		l->maker = old->item[l->from - 1].maker;
		apply_changes(l, old->item[l->from - 1].conf);
		old->item[l->from - 1].maker = 0;
		l->from = 0;
	}
	sn_listeners_close(old);
}

const struct sn_listener *
sn_listeners_find(const struct sn_listeners *ls, uint32_t id)
{
	for (size_t i = 0; i < ls->n; i++)
		if (ls->item[i].id == id)
			return &ls->item[i];
	return NULL;
}
