/* SPDX-License-Identifier: MIT
 *
 * Listening sockets: bound from the configuration, or adopted (a descriptor,
 * LISTEN_FDS). Made once, by the process that owns them (the supervisor); workers
 * share them. Never steals a live server's socket, never unlinks an inherited one.
 */
#ifndef SN_SERVER_LISTENER_H
#define SN_SERVER_LISTENER_H

#include <sys/types.h>

#include "conf/conf.h"
#include "transport/wire.h"

struct sn_listener {
	int fd;
	const struct sn_wire_ops *wire;
	const struct sn_conf_listen *conf; /* borrowed from the configuration */
	bool tcp;
	pid_t maker;        /* of the socket's file: that process removes it; 0: nobody */
	uint64_t dev, ino;  /* of the file we made: only that one is removed */
	char name[160];     /* "unix:/run/x.sock", with the real port */
};

struct sn_listeners {
	struct sn_listener *item;
	size_t n;
};

/* Binds and adopts everything `conf` names; without listeners there: LISTEN_FDS when
 * LISTEN_PID is ours, else descriptor 0 when it is a listening socket, else SN_ECONF
 * with what to do. */
int sn_listeners_open(struct sn_listeners *ls, const struct sn_conf *conf, struct sn_why *why);
/* Warns of sockets that systemd passes and `conf` does not name: who connects there
 * would wait in vain. For a program that owns the process, before sn_listeners_open. */
void sn_listeners_warn_unnamed(const struct sn_conf *conf);
/* Nobody can connect any more; the rest of the struct stays usable. The process that
 * made a socket's file removes it; one that was forked from it does not. */
void sn_listeners_shut(struct sn_listeners *ls);
/* The same, and frees. */
void sn_listeners_close(struct sn_listeners *ls);

#endif
