/* SPDX-License-Identifier: MIT
 *
 * Forks the workers before any starts Python or loads native modules, respawns
 * them, passes signals on, cleans up after them. Never runs request code.
 */
#ifndef SN_SERVER_SUPERVISOR_H
#define SN_SERVER_SUPERVISOR_H

#include "server/worker.h"

/* Runs until stopped; returns the process's exit status. */
int sn_supervise(const struct sn_conf *conf, const struct sn_tables *tables,
                 struct sn_listeners *ls);
/* The body of a worker process, and of the only process with --no-supervisor: serves until
 * a stop signal. `ready_fd` (-1: none) gets one byte when requests are served; `number` is
 * the worker's. Returns the exit status; *clean tells whether the process may end by
 * returning (else by _exit). */
int sn_worker_run(const struct sn_conf *conf, const struct sn_tables *tables,
                  struct sn_listeners *ls, int ready_fd, unsigned number, bool supervised,
                  bool *clean);

#endif
