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
	uint32_t id;        /* of the socket, the same in every configuration that has it */
	unsigned from;      /* 1 + its index in the list it was carried over from; 0: opened anew */
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
/* For a reload: what `old` has is carried over, by a second descriptor of the same socket; the rest
 * is opened. Nothing of `old` changes before sn_listeners_commit(); to give up instead,
 * sn_listeners_close(ls) removes what was made anew. */
int sn_listeners_carry(struct sn_listeners *ls, const struct sn_conf *conf,
                       const struct sn_listeners *old, struct sn_why *why);
/* `ls` takes the place of `old`: changed backlog, mode and owner apply; sockets that `ls` does not have
 * are closed and their files removed; `old` is empty afterwards. */
void sn_listeners_commit(struct sn_listeners *ls, struct sn_listeners *old);
/* The listener of this id; NULL. */
const struct sn_listener *sn_listeners_find(const struct sn_listeners *ls, uint32_t id);
/* Nobody can connect any more; the rest of the struct stays usable. The process that
 * made a socket's file removes it; one that was forked from it does not. */
void sn_listeners_shut(struct sn_listeners *ls);
/* The same, and frees. */
void sn_listeners_close(struct sn_listeners *ls);

#endif
