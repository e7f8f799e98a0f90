/* SPDX-License-Identifier: MIT
 *
 * What the ways to a listening socket share: for listener.c, listener_carry.c, listen_unix.c,
 * listen_tcp.c and listen_adopt.c only.
 */
#ifndef SN_SERVER_LISTENER_PRIV_H
#define SN_SERVER_LISTENER_PRIV_H

#include "server/listener.h"

/* SN_EIO with errno's text: "cannot listen on ADDRESS: WHAT: ...; MEND". */
int sn_listener_fail(struct sn_why *why, const struct sn_conf_listen *lc, const char *what,
                     const char *mend);

struct sn_listener *sn_listeners_add(struct sn_listeners *ls, const struct sn_conf_listen *lc); /* NULL: no memory */
/* The socket's id is the one that another process gave it. */
void sn_listeners_keep_id(struct sn_listener *l, uint32_t id);
/* Adds and opens; of a systemd name every socket. */
int sn_listeners_open_one(struct sn_listeners *ls, const struct sn_conf_listen *lc, struct sn_why *why);
/* Stands for the listeners that no configuration names. */
extern struct sn_conf_listen sn_listen_adopted;

/* Gives a socket's file its owner and group. */
int sn_listener_set_owner(const struct sn_conf_listen *lc, struct sn_why *why);

/* Each fills l->fd and l->name, or leaves what it made to sn_listeners_close. */
int sn_listen_unix(struct sn_listener *l, struct sn_why *why); /* bound and listening */
int sn_listen_tcp(struct sn_listener *l, struct sn_why *why);  /* bound and listening */
int sn_listen_adopt(struct sn_listener *l, int fd, struct sn_why *why);

/* "127.0.0.1:9000", with the real port, into l->name. */
void sn_listener_name_tcp(struct sn_listener *l);

/* The first descriptor that systemd passes, and how many (0 when none are for us). */
#define SN_LISTEN_FDS_START 3
int sn_listen_fds(void);
/* Is number `i` of them called `name`? */
bool sn_listen_fd_is_named(int i, const char *name);
bool sn_is_listening(int fd);

#endif
