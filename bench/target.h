/* SPDX-License-Identifier: MIT
 *
 * Where to send requests: an address as the daemon's -l takes it, resolved
 * once. Knows nothing of what is sent.
 */
#ifndef BENCH_TARGET_H
#define BENCH_TARGET_H

#include <sys/socket.h>

#include "base/err.h"
#include "codec.h"

struct bench_target {
	enum bench_proto proto;
	bool tcp;
	char text[256]; /* without the protocol, for messages */
	struct sockaddr_storage addr;
	socklen_t addr_len;
};

/* "[fastcgi:|scgi:]unix:/PATH | unix:@ABSTRACT | HOST:PORT | :PORT | [::1]:PORT".
 * 0, SN_EINVAL, or SN_ENOENT when the host name has no address. */
int bench_target_parse(struct bench_target *t, const char *text, struct sn_why *why);
/* A new non-blocking socket, connecting (TCP: *pending may become true).
 * The descriptor, or -errno: -EAGAIN says that a Unix backlog is full. */
int bench_target_connect(const struct bench_target *t, bool *pending);
/* A sentence for a failed connect that says what to look at. */
int bench_target_explain(const struct bench_target *t, int error, struct sn_why *why);

#endif
