/* SPDX-License-Identifier: MIT
 *
 * The list of listening sockets: what the configuration names, else what was
 * inherited; giving them up. Main thread only, before workers start and after
 * they are gone. How each kind is made is in listen_unix.c, listen_tcp.c and
 * listen_adopt.c.
 */
#include "server/listener_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

int
sn_listener_fail(struct sn_why *why, const struct sn_conf_listen *lc, const char *what, const char *mend)
{
	return sn_why_set(why, SN_EIO, "cannot listen on %s: %s: %s; %s", lc->address, what,
	                  strerror(errno), mend);
}

static uint32_t last_id; /* the main thread's */

void
sn_listeners_keep_id(struct sn_listener *l, uint32_t id)
{
	l->id = id;
	if (id > last_id)
		last_id = id;
}

struct sn_listener *
sn_listeners_add(struct sn_listeners *ls, const struct sn_conf_listen *lc)
{
	struct sn_listener *item = realloc(ls->item, (ls->n + 1) * sizeof(*item));
	if (!item)
		return NULL;
	ls->item = item;
	struct sn_listener *l = &item[ls->n++];
	memset(l, 0, sizeof(*l));
	l->fd = -1;
	l->id = ++last_id;
	l->conf = lc;
	l->wire = lc && strcmp(lc->protocol, "scgi") == 0 ? &sn_wire_scgi : &sn_wire_fastcgi;
	return l;
}

static int
open_systemd(struct sn_listeners *ls, const struct sn_conf_listen *lc, struct sn_why *why)
{
	int n = sn_listen_fds(), found = 0;
	for (int i = 0; i < n; i++) {
		if (!sn_listen_fd_is_named(i, lc->path))
			continue;
		struct sn_listener *l = sn_listeners_add(ls, lc);
		if (!l)
			return sn_why_set(why, SN_ENOMEM, "out of memory");
		int rc = sn_listen_adopt(l, SN_LISTEN_FDS_START + i, why);
		if (rc < 0)
			return rc;
		found++;
	}
	if (!found)
		return sn_why_set(why, SN_ECONF,
		                  "cannot listen on %s: systemd passed no socket of this name "
		                  "(LISTEN_FDS=%d); set FileDescriptorName=%s in the socket unit",
		                  lc->address, n, lc->path);
	return 0;
}

void
sn_listeners_warn_unnamed(const struct sn_conf *conf)
{
	int n = conf->nlisten ? sn_listen_fds() : 0; /* without listeners all are taken */
	for (int i = 0; i < n; i++) {
		bool named = false;
		int fd = SN_LISTEN_FDS_START + i;
		for (size_t k = 0; !named && k < conf->nlisten; k++) {
			const struct sn_conf_listen *lc = &conf->listen[k];
			named = (lc->kind == SN_ADDR_SYSTEMD && sn_listen_fd_is_named(i, lc->path)) ||
			        (lc->kind == SN_ADDR_FD && lc->fd == fd);
		}
		if (named)
			continue;
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		sn_log_warning("systemd passes descriptor %d of LISTEN_FDS, but no listener takes it: who "
		               "connects there waits in vain; listen on systemd:NAME, or remove the socket "
		               "unit",
		               fd);
	}
}

int
sn_listeners_open_one(struct sn_listeners *ls, const struct sn_conf_listen *lc, struct sn_why *why)
{
	if (lc->kind == SN_ADDR_SYSTEMD)
		return open_systemd(ls, lc, why);
	struct sn_listener *l = sn_listeners_add(ls, lc);
	if (!l)
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	switch (lc->kind) {
	case SN_ADDR_FD: return sn_listen_adopt(l, lc->fd, why);
	case SN_ADDR_TCP: return sn_listen_tcp(l, why);
	default: return sn_listen_unix(l, why);
	}
}

struct sn_conf_listen sn_listen_adopted = {
	.protocol = (char *)"fastcgi",
	.address = (char *)"the inherited socket",
	.kind = SN_ADDR_FD,
	.path = (char *)"",
	.host = (char *)"",
	.owner = (char *)"",
	.group = (char *)"",
	.prefix = (char *)"",
	.backlog = 1024,
};

static int
open_inherited(struct sn_listeners *ls, struct sn_why *why)
{
	int n = sn_listen_fds();
	if (n == 0 && sn_is_listening(STDIN_FILENO))
		n = -1; /* spawn-fcgi's way */
	if (n == 0)
		return sn_why_set(why, SN_ECONF,
		                  "nothing to listen on: give an address with -l "
		                  "(snacgi -l unix:/run/snacgi/snacgi.sock), a configuration file with -c, "
		                  "or start through spawn-fcgi (descriptor 0) or systemd socket "
		                  "activation (LISTEN_FDS)");
	for (int i = 0; i < (n < 0 ? 1 : n); i++) {
		struct sn_listener *l = sn_listeners_add(ls, &sn_listen_adopted);
		if (!l)
			return sn_why_set(why, SN_ENOMEM, "out of memory");
		int rc = sn_listen_adopt(l, n < 0 ? STDIN_FILENO : SN_LISTEN_FDS_START + i, why);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
sn_listeners_open(struct sn_listeners *ls, const struct sn_conf *conf, struct sn_why *why)
{
	int rc = 0;
	memset(ls, 0, sizeof(*ls));
	if (conf->nlisten == 0)
		rc = open_inherited(ls, why);
	for (size_t i = 0; rc == 0 && i < conf->nlisten; i++)
		rc = sn_listeners_open_one(ls, &conf->listen[i], why);
	/* ours now: a child must not take them for its own (sd_listen_fds unset_environment) */
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (rc < 0)
		sn_listeners_close(ls);
	return rc;
}

/* Only while the socket is open: a file system gives the number of a file whose socket
 * is gone to the next one that is made, and that may be another server's. */
static void
remove_file(struct sn_listener *l)
{
	struct stat st;
	if (l->maker == getpid() && !l->from && l->fd >= 0 && lstat(l->conf->path, &st) == 0 &&
	    (uint64_t)st.st_dev == l->dev && (uint64_t)st.st_ino == l->ino)
		unlink(l->conf->path);
	l->maker = 0;
}

void
sn_listeners_shut(struct sn_listeners *ls)
{
	for (size_t i = 0; i < ls->n; i++) {
		struct sn_listener *l = &ls->item[i];
		remove_file(l);
		if (l->fd >= 0)
			close(l->fd);
		l->fd = -1;
	}
}

void
sn_listeners_close(struct sn_listeners *ls)
{
	sn_listeners_shut(ls);
	free(ls->item);
	memset(ls, 0, sizeof(*ls));
}
