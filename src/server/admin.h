/* SPDX-License-Identifier: MIT
 *
 * How `snacgi reload` speaks to a running supervisor and learns what came of it:
 * a Unix socket in the abstract name space, named after the supervisor's process
 * id. Both ends ask the kernel who the other one is. The supervisor's thread.
 */
#ifndef SN_SERVER_ADMIN_H
#define SN_SERVER_ADMIN_H

#include <poll.h>

#include "conf/conf.h"

#define SN_ADMIN_CLIENTS 8

struct sn_admin;

/* NULL: it cannot be had (logged); then there are signals only. Every function below takes NULL. */
struct sn_admin *sn_admin_new(void);
void sn_admin_free(struct sn_admin *a);
/* Fills up to SN_ADMIN_CLIENTS + 1 entries; their count. */
nfds_t sn_admin_poll(struct sn_admin *a, struct pollfd *p);
enum { SN_ADMIN_RELOAD = 1, SN_ADMIN_UPGRADE = 2 };
/* After a poll over those entries. What is asked for: a mask. */
unsigned sn_admin_hear(struct sn_admin *a, const struct pollfd *p);
/* `what` (a mask) begins: its outcome is theirs who have asked for it by now, not of those who ask later. */
void sn_admin_begin(struct sn_admin *a, unsigned what);
/* Tells everybody whose wish had begun what came of it. */
void sn_admin_result(struct sn_admin *a, bool ok, const char *text);
/* Tells everybody whose wish for `what` has not begun that it will not. */
void sn_admin_refuse(struct sn_admin *a, unsigned what, const char *text);

/* The command: asks the supervisor `pid` (0: that of conf->pid_file) and waits for the result. The exit
 * status. */
int sn_admin_ask(const struct sn_conf *conf, long pid, const char *command);
/* The name's bytes after the leading NUL; its length. */
int sn_admin_name(char *out, size_t size, long pid);

#endif
