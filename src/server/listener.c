/* SPDX-License-Identifier: MIT
 *
 * Binding, adopting and giving up listening sockets. Main thread only, before
 * workers start and after they are gone.
 */
#include "server/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

#define LISTEN_FDS_START 3 /* sd_listen_fds(3) */

static int
fail_at(struct sn_why *why, const struct sn_conf_listen *lc, const char *what, const char *mend)
{
	return sn_why_set(why, SN_EIO, "cannot listen on %s: %s: %s; %s", lc->address, what,
	                  strerror(errno), mend);
}

/* ---- Unix sockets ----------------------------------------------------- */

static socklen_t
unix_address(const struct sn_conf_listen *lc, struct sockaddr_un *un)
{
	size_t len = strlen(lc->path);
	bool abstract = lc->kind == SN_ADDR_ABSTRACT;
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	SN_ASSERT(len + abstract < sizeof(un->sun_path)); /* conf/ refuses longer ones */
	memcpy(un->sun_path + abstract, lc->path, len);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
}

/* A file left by a process that died is removed; a live server's, or a file that is no
 * socket, is an error. */
static int
clear_stale(const struct sn_conf_listen *lc, const struct sockaddr_un *un, socklen_t len,
            struct sn_why *why)
{
	struct stat st;
	if (lstat(lc->path, &st) < 0)
		return errno == ENOENT
		           ? 0
		           : fail_at(why, lc, "its directory cannot be searched",
		                     "create the directory, or give this user the right to it");
	if (!S_ISSOCK(st.st_mode))
		return sn_why_set(why, SN_EIO,
		                  "cannot listen on %s: the file exists and is not a socket; remove it "
		                  "or choose another path",
		                  lc->address);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail_at(why, lc, "socket", "see the system's limits");
	int rc = connect(fd, (const struct sockaddr *)un, len);
	int err = errno;
	close(fd);
	if (rc == 0 || err == EAGAIN || err == EINPROGRESS)
		return sn_why_set(why, SN_EIO,
		                  "cannot listen on %s: another server is listening there; stop it or "
		                  "choose another path",
		                  lc->address);
	if (err != ECONNREFUSED && err != ENOENT) {
		errno = err;
		return fail_at(why, lc, "the socket file is in the way", "remove it if nobody uses it");
	}
	sn_log_info("removing the stale socket %s", lc->path);
	unlink(lc->path);
	return 0;
}

static int
set_owner(const struct sn_conf_listen *lc, struct sn_why *why)
{
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;
	if (*lc->owner) {
		struct passwd *pw = getpwnam(lc->owner);
		if (!pw)
			return sn_why_set(why, SN_ECONF,
			                  "%s: there is no user '%s'; create it or change owner", lc->address,
			                  lc->owner);
		uid = pw->pw_uid;
	}
	if (*lc->group) {
		struct group *gr = getgrnam(lc->group);
		if (!gr)
			return sn_why_set(why, SN_ECONF,
			                  "%s: there is no group '%s'; create it or change group",
			                  lc->address, lc->group);
		gid = gr->gr_gid;
	}
	if ((uid != (uid_t)-1 || gid != (gid_t)-1) && lchown(lc->path, uid, gid) < 0)
		return fail_at(why, lc, "cannot give the socket its owner or group",
		               "start as root, or join the group, or leave owner and group empty");
	return 0;
}

static int
listen_unix(struct sn_listener *l, struct sn_why *why)
{
	const struct sn_conf_listen *lc = l->conf;
	struct sockaddr_un un;
	socklen_t len = unix_address(lc, &un);
	bool file = lc->kind == SN_ADDR_UNIX;
	int rc;
	if (file && (rc = clear_stale(lc, &un, len, why)) < 0)
		return rc;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return fail_at(why, lc, "socket", "see the system's limits");
	if (!file) /* an abstract name has no file: its length excludes the closing NUL */
		len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(lc->path));
	/* No moment with wider permissions than asked for: made closed, then opened. */
	mode_t old = umask(0177);
	rc = bind(l->fd, (struct sockaddr *)&un, len);
	umask(old);
	if (rc < 0)
		return fail_at(why, lc, "bind",
		               file ? "create the directory, or give this user the right to write there"
		                    : "another process holds this name: choose another");
	struct stat st;
	if (file && lstat(lc->path, &st) == 0) {
		l->unlink_path = true;
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	if (file && (rc = set_owner(lc, why)) < 0)
		return rc;
	if (file && chmod(lc->path, lc->mode) < 0)
		return fail_at(why, lc, "chmod", "check the file system");
	snprintf(l->name, sizeof(l->name), "unix:%s%s", file ? "" : "@", lc->path);
	return 0;
}

/* ---- TCP ---------------------------------------------------------------- */

static void
name_tcp(struct sn_listener *l)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char host[INET6_ADDRSTRLEN] = "?";
	unsigned port = 0;
	memset(&ss, 0, sizeof(ss));
	getsockname(l->fd, (struct sockaddr *)&ss, &len);
	if (ss.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&ss;
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		port = ntohs(in6->sin6_port);
		snprintf(l->name, sizeof(l->name), "[%s]:%u", host, port);
	} else if (ss.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&ss;
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		port = ntohs(in->sin_port);
		snprintf(l->name, sizeof(l->name), "%s:%u", host, port);
	}
}

static int
listen_tcp(struct sn_listener *l, struct sn_why *why)
{
	const struct sn_conf_listen *lc = l->conf;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	char port[12];
	bool any = !*lc->host;
	snprintf(port, sizeof(port), "%u", lc->port);
	hints.ai_family = any ? AF_INET6 : AF_UNSPEC;
	int rc = getaddrinfo(any ? NULL : lc->host, port, &hints, &list);
	if (rc != 0 && any) { /* a machine without IPv6 */
		hints.ai_family = AF_INET;
		rc = getaddrinfo(NULL, port, &hints, &list);
	}
	if (rc != 0)
		return sn_why_set(why, SN_ECONF,
		                  "cannot listen on %s: %s; write an address of this machine, such as "
		                  "127.0.0.1:%u",
		                  lc->address, gai_strerror(rc), lc->port);
	int on = 1, off = 0;
	for (struct addrinfo *ai = list; ai; ai = ai->ai_next) {
		l->fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (l->fd < 0)
			continue;
		setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (ai->ai_family == AF_INET6)
			setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, any ? &off : &on, sizeof(on));
		/* accepted sockets inherit it */
		setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (bind(l->fd, ai->ai_addr, ai->ai_addrlen) == 0)
			break;
		int err = errno;
		close(l->fd);
		l->fd = -1;
		errno = err;
	}
	freeaddrinfo(list);
	if (l->fd < 0)
		return fail_at(why, lc, "bind",
		               "use an address of this machine and a free port (above 1023 unless root)");
	l->tcp = true;
	name_tcp(l);
	return 0;
}

/* ---- adopted descriptors ------------------------------------------------ */

static bool
is_listening(int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

/* Takes an inherited descriptor over: non-blocking, closed on exec, and away from the
 * standard ones, so that no grandchild keeps it and nothing prints into it. */
static int
adopt(struct sn_listener *l, int fd, struct sn_why *why)
{
	if (!is_listening(fd))
		return sn_why_set(why, SN_ECONF,
		                  "cannot listen on %s: descriptor %d is not a listening stream socket; "
		                  "let spawn-fcgi or systemd open it, or name an address with -l",
		                  l->conf->address, fd);
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	if (own < 0)
		return fail_at(why, l->conf, "dup", "see the limit on open files");
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
	l->fd = own;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	memset(&ss, 0, sizeof(ss));
	getsockname(own, (struct sockaddr *)&ss, &len);
	if (ss.ss_family == AF_INET || ss.ss_family == AF_INET6) {
		int on = 1;
		setsockopt(own, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		l->tcp = true;
		name_tcp(l);
	} else {
		const struct sockaddr_un *un = (const struct sockaddr_un *)&ss;
		bool abstract = len > offsetof(struct sockaddr_un, sun_path) && !un->sun_path[0];
		snprintf(l->name, sizeof(l->name), "unix:%s%.107s", abstract ? "@" : "",
		         un->sun_path + abstract);
	}
	return 0;
}

static int
listen_fds(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	if (!pid || !fds || strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	long n = strtol(fds, NULL, 10);
	return n > 0 && n < 1024 ? (int)n : 0;
}

/* Is descriptor number `i` of LISTEN_FDS named `name` in LISTEN_FDNAMES? */
static bool
fd_is_named(int i, const char *name)
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

/* ---- all of them ---------------------------------------------------------- */

static struct sn_listener *
add(struct sn_listeners *ls, const struct sn_conf_listen *lc)
{
	struct sn_listener *item = realloc(ls->item, (ls->n + 1) * sizeof(*item));
	if (!item)
		return NULL;
	ls->item = item;
	struct sn_listener *l = &item[ls->n++];
	memset(l, 0, sizeof(*l));
	l->fd = -1;
	l->conf = lc;
	l->wire = strcmp(lc->protocol, "scgi") == 0 ? &sn_wire_scgi : &sn_wire_fastcgi;
	return l;
}

static int
open_systemd(struct sn_listeners *ls, const struct sn_conf_listen *lc, struct sn_why *why)
{
	int n = listen_fds(), found = 0;
	for (int i = 0; i < n; i++) {
		if (!fd_is_named(i, lc->path))
			continue;
		struct sn_listener *l = add(ls, lc);
		if (!l)
			return sn_why_set(why, SN_ENOMEM, "out of memory");
		int rc = adopt(l, LISTEN_FDS_START + i, why);
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

static int
open_one(struct sn_listeners *ls, const struct sn_conf_listen *lc, struct sn_why *why)
{
	if (lc->kind == SN_ADDR_SYSTEMD)
		return open_systemd(ls, lc, why);
	struct sn_listener *l = add(ls, lc);
	if (!l)
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	int rc = SN_OK;
	switch (lc->kind) {
	case SN_ADDR_FD: return adopt(l, lc->fd, why);
	case SN_ADDR_TCP: rc = listen_tcp(l, why); break;
	default: rc = listen_unix(l, why); break;
	}
	if (rc == 0 && listen(l->fd, (int)lc->backlog) < 0)
		rc = fail_at(why, lc, "listen", "another socket may hold the port");
	return rc;
}

static struct sn_conf_listen adopted_default = {
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
	int n = listen_fds();
	if (n == 0 && is_listening(STDIN_FILENO))
		n = -1; /* spawn-fcgi's way */
	if (n == 0)
		return sn_why_set(why, SN_ECONF,
		                  "nothing to listen on: give an address with -l "
		                  "(snacgi -l unix:/run/snacgi/snacgi.sock), a configuration file with -c, "
		                  "or start through spawn-fcgi (descriptor 0) or systemd socket "
		                  "activation (LISTEN_FDS)");
	for (int i = 0; i < (n < 0 ? 1 : n); i++) {
		struct sn_listener *l = add(ls, &adopted_default);
		if (!l)
			return sn_why_set(why, SN_ENOMEM, "out of memory");
		int rc = adopt(l, n < 0 ? STDIN_FILENO : LISTEN_FDS_START + i, why);
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
		rc = open_one(ls, &conf->listen[i], why);
	/* ours now: a child must not take them for its own (sd_listen_fds unset_environment) */
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (rc < 0)
		sn_listeners_close(ls, true);
	return rc;
}

void
sn_listeners_shut(struct sn_listeners *ls)
{
	for (size_t i = 0; i < ls->n; i++) {
		if (ls->item[i].fd >= 0)
			close(ls->item[i].fd);
		ls->item[i].fd = -1;
	}
}

void
sn_listeners_close(struct sn_listeners *ls, bool unlink_files)
{
	for (size_t i = 0; i < ls->n; i++) {
		struct sn_listener *l = &ls->item[i];
		struct stat st;
		if (unlink_files && l->unlink_path && lstat(l->conf->path, &st) == 0 &&
		    (uint64_t)st.st_dev == l->dev && (uint64_t)st.st_ino == l->ino)
			unlink(l->conf->path);
		if (l->fd >= 0)
			close(l->fd);
	}
	free(ls->item);
	memset(ls, 0, sizeof(*ls));
}
