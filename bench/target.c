/* SPDX-License-Identifier: MIT
 *
 * Addresses and connecting.
 */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static int
parse_unix(struct bench_target *t, const char *path, struct sn_why *why)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&t->addr;
	size_t len = strlen(path);

	if (len < 2 && *path != '/')
		return sn_why_set(why, SN_EINVAL, "'unix:%s' names no socket", path);
	if (len >= sizeof(un->sun_path))
		return sn_why_set(why, SN_EINVAL, "the socket path '%s' is longer than %zu bytes",
		                  path, sizeof(un->sun_path) - 1);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, len);
	t->addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	if (*path == '@') {
		un->sun_path[0] = '\0';
		t->addr_len--;
	}
	return 0;
}

static int
parse_tcp(struct bench_target *t, const char *text, struct sn_why *why)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *found;
	const char *colon = strrchr(text, ':');
	char host[256], *end;
	long port;
	size_t len;
	int rc;

	if (!colon || !colon[1])
		return sn_why_set(why, SN_EINVAL,
		                  "'%s' is no address; write unix:/PATH, unix:@NAME, HOST:PORT or "
		                  "[IPV6]:PORT", text);
	port = strtol(colon + 1, &end, 10);
	if (*end || port < 1 || port > 65535) /* getaddrinfo() would cut a larger one */
		return sn_why_set(why, SN_EINVAL, "'%s' is no port: a number from 1 to 65535", colon + 1);
	len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return sn_why_set(why, SN_EINVAL, "the host name in '%s' is too long", text);
	memcpy(host, text, len);
	host[len] = '\0';
	rc = getaddrinfo(len ? host : "127.0.0.1", colon + 1, &hints, &found);
	if (rc != 0)
		return sn_why_set(why, SN_ENOENT, "no address for '%s': %s", t->text, gai_strerror(rc));
	memcpy(&t->addr, found->ai_addr, found->ai_addrlen);
	t->addr_len = found->ai_addrlen;
	t->tcp = true;
	freeaddrinfo(found);
	return 0;
}

int
bench_target_parse(struct bench_target *t, const char *text, struct sn_why *why)
{
	memset(t, 0, sizeof(*t));
	if (strncmp(text, "fastcgi:", 8) == 0) {
		text += 8;
	} else if (strncmp(text, "scgi:", 5) == 0) {
		text += 5;
		t->proto = BENCH_SCGI;
	}
	if (strlen(text) >= sizeof(t->text))
		return sn_why_set(why, SN_EINVAL, "the address is too long");
	strcpy(t->text, text);
	return strncmp(text, "unix:", 5) == 0 ? parse_unix(t, text + 5, why)
	                                      : parse_tcp(t, text, why);
}

int
bench_target_connect(const struct bench_target *t, bool *pending)
{
	int fd = socket(t->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, error;

	*pending = false;
	if (fd < 0)
		return -errno;
	if (t->tcp)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&t->addr, t->addr_len) == 0)
		return fd;
	if (errno == EINPROGRESS) {
		*pending = true;
		return fd;
	}
	error = errno;
	close(fd);
	return -error;
}

int
bench_target_explain(const struct bench_target *t, int error, struct sn_why *why)
{
	const char *hint = "";

	switch (error) {
	case ENOENT:
		hint = "; there is no such socket: is the server running?";
		break;
	case ECONNREFUSED:
		hint = "; nothing listens there: is the server running?";
		break;
	case EACCES:
		hint = "; the socket's mode or group shuts this user out";
		break;
	case EAGAIN:
		hint = "; the listener's backlog is full";
		break;
	case EADDRNOTAVAIL:
		hint = "; local ports are used up: keep connections, or use a Unix socket";
		break;
	case EMFILE:
		hint = "; raise the open-file limit (ulimit -n) or use fewer connections";
		break;
	}
	return sn_why_set(why, SN_EIO, "cannot connect to %s: %s%s", t->text, strerror(error), hint);
}
