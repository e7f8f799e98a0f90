/* SPDX-License-Identifier: MIT
 *
 * Binding TCP sockets, IPv4 and IPv6. Main thread only, before workers start.
 */
#include "server/listener_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
sn_listener_name_tcp(struct sn_listener *l)
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

int
sn_listen_tcp(struct sn_listener *l, struct sn_why *why)
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
		return sn_listener_fail(why, lc, "bind",
		               "use an address of this machine and a free port (above 1023 unless root)");
	if (listen(l->fd, (int)lc->backlog) < 0)
		return sn_listener_fail(why, lc, "listen", "another socket may hold the port");
	l->tcp = true;
	sn_listener_name_tcp(l);
	return 0;
}
