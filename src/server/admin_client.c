/* SPDX-License-Identifier: MIT
 *
 * `snacgi reload`: finds the supervisor, asks, waits, tells. A short-lived process of
 * its own; it may block.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "server/admin.h"

static int
say(const char *what, const char *mend)
{
	fprintf(stderr, "snacgi: %s; %s\n", what, mend);
	return 1;
}

static long
pid_of(const char *file)
{
	char text[32];
	FILE *f = *file ? fopen(file, "re") : NULL;
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = '\0';
	char *end;
	long pid = strtol(text, &end, 10);
	return pid > 0 && (*end == '\n' || *end == '\0') ? pid : 0;
}

/* Anybody may take an abstract name: it must be that process that listens there, when the kernel knows
 * its id here. */
static bool
is_that(int fd, long pid)
{
	struct ucred who;
	socklen_t len = sizeof(who);
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.pid == pid;
}

static int
tell_answer(int fd, const char *command)
{
	struct sn_buf b;
	char piece[4096];
	ssize_t n;
	sn_buf_init(&b, NULL, 0);
	while ((n = recv(fd, piece, sizeof(piece), 0)) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && sn_buf_add(&b, piece, (size_t)n) < 0)
			break;
	int status = 1;
	if (sn_buf_terminate(&b) == 0 && b.len > 3 && memcmp(b.data, "ok\n", 3) == 0) {
		printf("%s\n", b.data + 3);
		status = 0;
	} else if (b.len > 7 && memcmp(b.data, "failed\n", 7) == 0) {
		fprintf(stderr, "snacgi: %s failed, %s\n", command, b.data + 7);
	} else {
		say("the supervisor ended the connection without an answer", "its log says why");
	}
	sn_buf_free(&b);
	return status;
}

int
sn_admin_ask(const struct sn_conf *conf, long pid, const char *command)
{
	char what[160], line[32];
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	if (pid == 0)
		pid = pid_of(conf->pid_file);
	if (pid == 0 && !*conf->pid_file)
		return say("which server?", "name its process with --pid, or its configuration, which must "
		                            "have a pid_file, with -c");
	if (pid == 0) {
		snprintf(what, sizeof(what), "there is no process id in %.100s", conf->pid_file);
		return say(what, "does the server run? name its process with --pid");
	}
	int len = sn_admin_name(un.sun_path + 1, sizeof(un.sun_path) - 1, pid);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int status = 1;
	if (fd < 0 ||
	    connect(fd, (struct sockaddr *)&un,
	            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) < 0) {
		snprintf(what, sizeof(what), "process %ld is no snacgi supervisor that can be reached: %s", pid,
		         strerror(errno));
		say(what, "is it the main process, and in this network name space?");
	} else if (!is_that(fd, pid)) {
		snprintf(what, sizeof(what), "it is not process %ld that listens there", pid);
		say(what, "send it SIGHUP instead");
	} else {
		int n = snprintf(line, sizeof(line), "%s\n", command);
		ssize_t sent;
		do
			sent = send(fd, line, (size_t)n, MSG_NOSIGNAL);
		while (sent < 0 && errno == EINTR);
		if (sent != n)
			say("the supervisor hung up", "only root and the user it runs as may ask; its log may say more");
		else
			status = tell_answer(fd, command);
	}
	if (fd >= 0)
		close(fd);
	return status;
}
