/* SPDX-License-Identifier: MIT
 *
 * Binding Unix sockets: files, with their owner and permissions, and abstract
 * names. Main thread only, before workers start.
 */
#include "server/listener_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define LOCK_WAIT_MS 10000

static socklen_t
unix_address(const struct sn_conf_listen *lc, struct sockaddr_un *un)
{
	size_t len = strlen(lc->path);
	bool abstract = lc->kind == SN_ADDR_ABSTRACT;
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	SN_ASSERT(len + abstract < sizeof(un->sun_path)); /* conf/ refuses longer ones */
	memcpy(un->sun_path + abstract, lc->path, len);
	/* a path with its NUL, an abstract name with the NUL before it: the same length */
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
		           : sn_listener_fail(why, lc, "its directory cannot be searched",
		                     "create the directory, or give this user the right to it");
	if (!S_ISSOCK(st.st_mode))
		return sn_why_set(why, SN_EIO,
		                  "cannot listen on %s: the file exists and is not a socket; remove it "
		                  "or choose another path",
		                  lc->address);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return sn_listener_fail(why, lc, "socket", "see the system's limits");
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
		return sn_listener_fail(why, lc, "the socket file is in the way", "remove it if nobody uses it");
	}
	sn_log_info("removing the stale socket %s", lc->path);
	unlink(lc->path);
	return 0;
}

int
sn_listener_set_owner(const struct sn_conf_listen *lc, struct sn_why *why)
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
		return sn_listener_fail(why, lc, "cannot give the socket its owner or group",
		               "start as root, or join the group, or leave owner and group empty");
	return 0;
}

/* Two servers that start at once must not each find the other's socket stale: between
 * bind and listen nobody answers there. The directory is locked, for that moment only;
 * a lock file of our own would have to be left behind. -1: no lock, which is all that a
 * directory without read permission or a file system without locks allows. */
static int
lock_directory(const struct sn_conf_listen *lc, int *fd, struct sn_why *why)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	snprintf(dir, sizeof(dir), "%s", lc->path);
	char *slash = strrchr(dir, '/');
	SN_ASSERT(slash); /* paths are absolute after conf/ */
	slash[slash == dir ? 1 : 0] = '\0';
	*fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int64_t until = sn_clock_ms() + LOCK_WAIT_MS;
	while (*fd >= 0 && flock(*fd, LOCK_EX | LOCK_NB) < 0) {
		bool held = errno == EWOULDBLOCK;
		if (!held && errno != EINTR) {
			close(*fd);
			*fd = -1;
		} else if (held && sn_clock_ms() > until) {
			close(*fd);
			*fd = -1;
			return sn_why_set(why, SN_EIO,
			                  "cannot listen on %s: another process holds a lock on %s for more "
			                  "than %d s; end it (fuser %s) or choose another directory",
			                  lc->address, dir, LOCK_WAIT_MS / 1000, dir);
		} else {
			nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
		}
	}
	return 0;
}

static int
bind_file(struct sn_listener *l, struct sn_why *why)
{
	const struct sn_conf_listen *lc = l->conf;
	struct sockaddr_un un;
	struct stat st;
	socklen_t len = unix_address(lc, &un);
	int rc = clear_stale(lc, &un, len, why);
	if (rc < 0)
		return rc;
	/* No moment with wider permissions than asked for: the file takes on those of the
	 * socket. The umask is left alone, it belongs to every thread of an embedder. */
	fchmod(l->fd, 0600);
	if (bind(l->fd, (struct sockaddr *)&un, len) < 0)
		return sn_listener_fail(why, lc, "bind",
		                        "create the directory, or give this user the right to write there");
	if (lstat(lc->path, &st) == 0) {
		l->maker = getpid();
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	rc = sn_listener_set_owner(lc, why);
	if (rc == 0 && chmod(lc->path, lc->mode) < 0)
		rc = sn_listener_fail(why, lc, "chmod", "check the file system");
	if (rc == 0 && listen(l->fd, (int)lc->backlog) < 0)
		rc = sn_listener_fail(why, lc, "listen", "see the system's limits");
	return rc;
}

static int
bind_abstract(struct sn_listener *l, struct sn_why *why)
{
	struct sockaddr_un un;
	socklen_t len = unix_address(l->conf, &un);
	if (bind(l->fd, (struct sockaddr *)&un, len) < 0)
		return sn_listener_fail(why, l->conf, "bind",
		                        "another process holds this name: choose another");
	if (listen(l->fd, (int)l->conf->backlog) < 0)
		return sn_listener_fail(why, l->conf, "listen", "see the system's limits");
	return 0;
}

int
sn_listen_unix(struct sn_listener *l, struct sn_why *why)
{
	const struct sn_conf_listen *lc = l->conf;
	bool file = lc->kind == SN_ADDR_UNIX;
	int lock = -1;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return sn_listener_fail(why, lc, "socket", "see the system's limits");
	snprintf(l->name, sizeof(l->name), "unix:%s%s", file ? "" : "@", lc->path);
	if (!file)
		return bind_abstract(l, why);
	int rc = lock_directory(lc, &lock, why);
	if (rc == 0)
		rc = bind_file(l, why);
	if (lock >= 0)
		close(lock);
	return rc;
}
