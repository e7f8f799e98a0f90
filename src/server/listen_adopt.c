/* SPDX-License-Identifier: MIT
 *
 * Taking over listening sockets that another program opened: descriptor 0
 * (spawn-fcgi, lighttpd, mod_fcgid), LISTEN_FDS (systemd), any number. Main thread
 * only, before workers start. Such a socket's file is never removed.
 */
#include "server/listener_priv.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool
sn_is_listening(int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

/* Takes an inherited descriptor over: non-blocking, closed on exec, and away from the
 * standard ones, so that no grandchild keeps it and nothing prints into it. */
int
sn_listen_adopt(struct sn_listener *l, int fd, struct sn_why *why)
{
	if (!sn_is_listening(fd))
		return sn_why_set(why, SN_ECONF,
		                  "cannot listen on %s: descriptor %d is not a listening stream socket; "
		                  "let spawn-fcgi or systemd open it, or name an address with -l",
		                  l->conf->address, fd);
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	if (own < 0)
		return sn_listener_fail(why, l->conf, "dup", "see the limit on open files");
	l->fd = own;
	if (fd <= 2) {
		int null = open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
		if (null >= 0 && null != fd) {
			dup2(null, fd);
			close(null);
		}
	} else {
		close(fd);
	}
	if (*l->conf->address && l->conf->allow.n) {
		int domain = 0;
		socklen_t size = sizeof(domain);
		if (getsockopt(own, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX)
			return sn_why_set(why, SN_ECONF,
			                  "%s: the inherited socket is a Unix socket, where allow has no meaning; "
			                  "use its mode and group instead",
			                  l->conf->address);
	}
	fcntl(own, F_SETFL, fcntl(own, F_GETFL) | O_NONBLOCK);
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	memset(&ss, 0, sizeof(ss));
	getsockname(own, (struct sockaddr *)&ss, &len);
	if (ss.ss_family == AF_INET || ss.ss_family == AF_INET6) {
		int on = 1;
		setsockopt(own, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		l->tcp = true;
		sn_listener_name_tcp(l);
	} else {
		const struct sockaddr_un *un = (const struct sockaddr_un *)&ss;
		bool abstract = len > offsetof(struct sockaddr_un, sun_path) && !un->sun_path[0];
		snprintf(l->name, sizeof(l->name), "unix:%s%.107s", abstract ? "@" : "",
		         un->sun_path + abstract);
	}
	return 0;
}

int
sn_listen_fds(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	if (!pid || !fds || strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	long n = strtol(fds, NULL, 10);
	return n > 0 && n < 1024 ? (int)n : 0;
}

/* Is descriptor number `i` of LISTEN_FDS named `name` in LISTEN_FDNAMES? */
bool
sn_listen_fd_is_named(int i, const char *name)
{
	const char *at = getenv("LISTEN_FDNAMES");
	if (!at)
		return strcmp(name, "unknown") == 0;
	while (i-- > 0) {
		at = strchr(at, ':');
		if (!at)
			return false;
		at++;
	}
	size_t len = strcspn(at, ":");
	return strlen(name) == len && memcmp(at, name, len) == 0;
}
