/* SPDX-License-Identifier: MIT
 *
 * What a supervisor and its workers say to each other: whole messages over a
 * socket pair (SOCK_SEQPACKET), a descriptor with each where one belongs to it.
 * Sending never blocks and may be done by any thread. Knows nobody's state.
 */
#ifndef SN_SERVER_CHANNEL_H
#define SN_SERVER_CHANNEL_H

#include <stdint.h>

#include "base/err.h"

enum sn_msg_kind {
	SN_MSG_READY = 1, /* worker: requests are served */
	SN_MSG_FAILED,    /* worker: cannot serve; the text says why */
	SN_MSG_RECYCLE,   /* worker: start my successor; the text says why */
	SN_MSG_DEAF,      /* worker: retiring, and accepts nobody any more */
	SN_MSG_LISTENER,  /* to a successor's program: a listening socket, and what is to be known of it */
	SN_MSG_GO,        /* the same: that was the last one */
	SN_MSG_CONN       /* both ways: take this kept connection of listener `id` */
};

struct sn_msg {
	uint32_t kind;
	uint32_t id;    /* a listener's */
	int fd;         /* -1: none. Received: owned by the receiver */
	char text[4096]; /* cut where it is longer */
};

/* Both ends close on exec and do not block. SN_EIO. */
int sn_channel_pair(int fd[2], struct sn_why *why);
/* `text` may be NULL; `fd` (-1: none) stays the sender's. 0; SN_EAGAIN: not now, SN_EGONE: nobody
 * is there. */
int sn_channel_send(int chan, enum sn_msg_kind kind, uint32_t id, int fd, const char *text);
/* 0; SN_EAGAIN: nothing there, SN_EGONE: the other end is closed. */
int sn_channel_recv(int chan, struct sn_msg *m);

#endif
