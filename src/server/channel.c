/* SPDX-License-Identifier: MIT
 *
 * Messages between supervisor and workers. The two are the same program, so a
 * message is the struct's bytes up to the end of its text.
 */
#include "server/channel.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD offsetof(struct sn_msg, text)

union control { /* aligned for cmsg */
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(int))];
};

int
sn_channel_pair(int fd[2], struct sn_why *why)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) < 0)
		return sn_why_set(why, SN_EIO, "socketpair: %s", strerror(errno));
	return 0;
}

int
sn_channel_send(int chan, enum sn_msg_kind kind, uint32_t id, int fd, const char *text)
{
	struct sn_msg m = { .kind = kind, .id = id, .fd = -1 };
	size_t len = text ? strnlen(text, sizeof(m.text) - 1) : 0;
	if (len)
		memcpy(m.text, text, len);
	union control control;
	struct iovec iov = { .iov_base = &m, .iov_len = HEAD + len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	ssize_t n;
	do
		n = sendmsg(chan, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	/* too many descriptors on their way, no buffers: later */
	return errno == EPIPE || errno == ECONNRESET || errno == EBADF || errno == ENOTCONN ? SN_EGONE
	                                                                                    : SN_EAGAIN;
}

static int
descriptor_of(struct msghdr *msg)
{
	int fd = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		    c->cmsg_len == CMSG_LEN(sizeof(int)))
			memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

int
sn_channel_recv(int chan, struct sn_msg *m)
{
	union control control;
	struct iovec iov = { .iov_base = m, .iov_len = sizeof(*m) - 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
	                      .msg_controllen = sizeof(control) };
	ssize_t n;
	/* the reset of a peer that left something unread is told once, before what it sent itself */
	do
		n = recvmsg(chan, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return errno == EBADF || errno == ENOTCONN ? SN_EGONE : SN_EAGAIN;
	if ((size_t)n < HEAD)
		return SN_EGONE;
	((char *)m)[n] = '\0';
	m->fd = descriptor_of(&msg);
	return 0;
}
