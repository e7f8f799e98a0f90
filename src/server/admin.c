/* SPDX-License-Identifier: MIT
 *
 * The supervisor's end of `snacgi reload`. A client sends one line and waits; it gets
 * "ok" or "failed", a newline and a text. Whoever is neither root nor this user is
 * turned away. Nothing here blocks.
 */
#include "server/admin.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

struct client {
	int fd;         /* -1: free */
	unsigned asked; /* 0: nothing yet */
	bool begun;     /* what it asked for */
};

struct sn_admin {
	int fd;
	struct client client[SN_ADMIN_CLIENTS];
};

int
sn_admin_name(char *out, size_t size, long pid)
{
	return snprintf(out, size, "snacgi-supervisor-%ld", pid);
}

struct sn_admin *
sn_admin_new(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int len = sn_admin_name(un.sun_path + 1, sizeof(un.sun_path) - 1, (long)getpid());
	struct sn_admin *a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	for (unsigned i = 0; i < SN_ADMIN_CLIENTS; i++)
		a->client[i].fd = -1;
	a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd < 0 ||
	    bind(a->fd, (struct sockaddr *)&un,
	         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) < 0 ||
	    listen(a->fd, SN_ADMIN_CLIENTS) < 0) {
		sn_log_warning("'snacgi reload' will not find this server (%s); SIGHUP does the same",
		               strerror(errno));
		sn_admin_free(a);
		return NULL;
	}
	return a;
}

static void
drop(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->asked = 0;
	c->begun = false;
}

void
sn_admin_free(struct sn_admin *a)
{
	if (!a)
		return;
	for (unsigned i = 0; i < SN_ADMIN_CLIENTS; i++)
		drop(&a->client[i]);
	if (a->fd >= 0)
		close(a->fd);
	free(a);
}

nfds_t
sn_admin_poll(struct sn_admin *a, struct pollfd *p)
{
	if (!a)
		return 0;
	p[0] = (struct pollfd){ .fd = a->fd, .events = POLLIN };
	for (unsigned i = 0; i < SN_ADMIN_CLIENTS; i++)
		p[i + 1] = (struct pollfd){ .fd = a->client[i].fd, .events = POLLIN };
	return SN_ADMIN_CLIENTS + 1;
}

static bool
may(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
	       (who.uid == 0 || who.uid == geteuid());
}

static void
let_in(struct sn_admin *a)
{
	int fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	for (unsigned i = 0; i < SN_ADMIN_CLIENTS; i++)
		if (a->client[i].fd < 0 && may(fd)) {
			a->client[i].fd = fd;
			return;
		}
	close(fd);
}

unsigned
sn_admin_hear(struct sn_admin *a, const struct pollfd *p)
{
	unsigned asked = 0;
	if (!a)
		return 0;
	for (unsigned i = 0; i < SN_ADMIN_CLIENTS; i++) {
		struct client *c = &a->client[i];
		char line[32];
		if (c->fd < 0 || !p[i + 1].revents)
			continue;
		ssize_t n = recv(c->fd, line, sizeof(line), 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		unsigned what = n == 7 && memcmp(line, "reload\n", 7) == 0    ? SN_ADMIN_RELOAD
		                : n == 8 && memcmp(line, "upgrade\n", 8) == 0 ? SN_ADMIN_UPGRADE
		                                                              : 0;
		if (!what || c->asked) {
			drop(c); /* gone, or nonsense */
			continue;
		}
		c->asked = what;
		asked |= what;
	}
	if (p[0].revents)
		let_in(a);
	return asked;
}

void
sn_admin_begin(struct sn_admin *a, unsigned what)
{
	for (unsigned i = 0; a && i < SN_ADMIN_CLIENTS; i++)
		a->client[i].begun |= (a->client[i].asked & what) != 0;
}

/* A fresh socket's buffer takes it. */
static ssize_t
say(int fd, const char *text)
{
	ssize_t n;
	do
		n = send(fd, text, strlen(text), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Who left meanwhile misses nothing. */
static void
tell(struct client *c, bool ok, const char *text)
{
	if (say(c->fd, ok ? "ok\n" : "failed\n") < 0 || say(c->fd, text) < 0)
		sn_log_debug("the answer to a reload was not taken: %s", strerror(errno));
	drop(c);
}

void
sn_admin_result(struct sn_admin *a, bool ok, const char *text)
{
	for (unsigned i = 0; a && i < SN_ADMIN_CLIENTS; i++)
		if (a->client[i].begun)
			tell(&a->client[i], ok, text);
}

void
sn_admin_refuse(struct sn_admin *a, unsigned what, const char *text)
{
	for (unsigned i = 0; a && i < SN_ADMIN_CLIENTS; i++)
		if ((a->client[i].asked & what) && !a->client[i].begun)
			tell(&a->client[i], false, text);
}
