/* SPDX-License-Identifier: MIT
 *
 * Forks the workers before any starts Python or loads native modules, respawns
 * and reloads them, passes signals on, cleans up after them. Never runs request code.
 */
#ifndef SN_SERVER_SUPERVISOR_H
#define SN_SERVER_SUPERVISOR_H

#include "server/upgrade.h"
#include "server/worker.h"

struct sn_loader { /* reads the configuration again, for a reload */
	int (*load)(void *arg, struct sn_conf **out, struct sn_why *why);
	void *arg;
	const char *program; /* for an upgrade: what to execute, and how */
	char **argv;
};

/* Takes the configuration, the listeners and the inheritance, whose structs are empty afterwards.
 * Runs until stopped; returns the process's exit status. */
int sn_supervise(struct sn_conf *conf, const struct sn_tables *tables, struct sn_listeners *ls,
                 const struct sn_loader *loader, struct sn_inherited *before);

/* The body of a worker process, and of the only process with --no-supervisor: serves until
 * a stop signal. `chan` is the channel to the supervisor (-1: none); `log_routes`: this is the one
 * that tells the log about routes and listeners. Returns the exit status; *clean tells
 * whether the process may end by returning (else by _exit). */
int sn_worker_run(const struct sn_conf *conf, const struct sn_tables *tables,
                  struct sn_listeners *ls, int chan, bool log_routes, bool *clean);

/* sn_worker_run()'s status when it never served. */
#define SN_EXIT_NOT_READY 3

#endif
