/* SPDX-License-Identifier: MIT
 *
 * The pid file. Its lock, not its existence, says that somebody runs: the kernel
 * gives the lock up with the process, however that ends, so a file that was left
 * behind is in nobody's way. It is a POSIX lock, which a forked worker that outlives
 * the supervisor does not hold.
 */
#include "server/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ATTEMPTS 100 /* of others that leave while we come */

static struct held_file {
	char *path; /* NULL: a free place */
	int fd;
} files[2]; /* the second while a reload moves the file */

static struct held_file *
held_file(const char *path)
{
	for (size_t i = 0; i < SN_COUNT(files); i++)
		if (path ? files[i].path && strcmp(files[i].path, path) == 0 : !files[i].path)
			return &files[i];
	return NULL;
}

static int
held(const char *path, int fd, struct sn_why *why)
{
	char who[48] = "another process";
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0)
		snprintf(who, sizeof(who), "process %d", (int)lock.l_pid);
	return sn_why_set(why, SN_EIO,
	                  "already running: %s holds the pid file %s; stop it, or choose another "
	                  "pid_file",
	                  who, path);
}

static int
failed(const char *path, const char *what, struct sn_why *why)
{
	return sn_why_set(why, SN_EIO,
	                  "cannot write the pid file %s: %s; create its directory or make it "
	                  "writable, or set pid_file = \"\"",
	                  path, what);
}

/* Locked, and still the file of that name: its last holder removes it while holding it. */
static int
lock_file(const char *path, bool *gone, int *out, struct sn_why *why)
{
	struct stat ours, there;
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0644);
	int rc = 0;
	*gone = false;
	if (fd < 0)
		return failed(path, errno == ELOOP ? "it is a symbolic link" : strerror(errno), why);
	if (fstat(fd, &ours) < 0 || !S_ISREG(ours.st_mode))
		rc = failed(path, "it is no regular file", why);
	else if (fcntl(fd, F_SETLK, &lock) < 0)
		rc = errno == EAGAIN || errno == EACCES ? held(path, fd, why)
		                                        : failed(path, strerror(errno), why);
	else
		*gone = stat(path, &there) < 0 || there.st_dev != ours.st_dev || there.st_ino != ours.st_ino;
	if (rc == 0 && !*gone)
		*out = fd;
	else
		close(fd);
	return rc;
}

static bool
put(int fd, const char *text, size_t len)
{
	size_t done = 0;
	while (done < len) {
		ssize_t n = pwrite(fd, text + done, len - done, (off_t)done);
		if (n < 0 && errno != EINTR)
			return false;
		done += n > 0 ? (size_t)n : 0;
	}
	return true;
}

int
sn_pidfile_open(const char *path, struct sn_why *why)
{
	char text[32];
	bool gone = true;
	int fd = -1;
	struct held_file *h = held_file(NULL);
	if (!*path)
		return 0;
	SN_ASSERT(h); /* the old one is closed before the next reload */
	for (int i = 0; gone && i < ATTEMPTS; i++) {
		int rc = lock_file(path, &gone, &fd, why);
		if (rc < 0)
			return rc;
	}
	if (gone)
		return failed(path, "others take it and leave it all the time", why);
	int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	h->path = strdup(path);
	h->fd = fd;
	if (h->path && ftruncate(fd, 0) == 0 && put(fd, text, (size_t)len))
		return 0;
	int rc = failed(path, strerror(errno), why);
	if (h->path)
		sn_pidfile_close(path);
	else
		close(fd);
	return rc;
}

void
sn_pidfile_close(const char *path)
{
	struct held_file *h = held_file(path);
	if (!h || !*path)
		return;
	/* A process that has given up its rights may be unable to remove it: then it is empty. */
	if (unlink(path) < 0 && ftruncate(h->fd, 0) < 0) {
		/* nothing else can be done; without the lock the number binds nobody */
	}
	close(h->fd);
	free(h->path);
	h->path = NULL;
}
