/* SPDX-License-Identifier: MIT
 *
 * "Replace this worker process": whoever finds that it cannot go on, or has done
 * enough, says so here; the worker's main thread acts on it.
 */
#ifndef SN_SERVER_RECYCLE_H
#define SN_SERVER_RECYCLE_H

#include "base/err.h"

/* Exit status of a worker that was replaced because something in it hangs. */
#define SN_EXIT_STUCK 5

enum sn_recycle {
	SN_RECYCLE_NOT,
	SN_RECYCLE_HEALTHY, /* it has served long enough: everything in it is finished first */
	SN_RECYCLE_STUCK    /* part of it hangs: what can be finished is, the rest is cut */
};

/* Asks for a replacement of this process. `reason` is a string that stays. Any thread, also
 * one that must not wait; STUCK wins over HEALTHY, else the first reason counts. In a program
 * that embeds the server nobody replaces it: it is logged. */
void sn_recycle_ask(enum sn_recycle kind, const char *reason);
/* What was asked for. */
enum sn_recycle sn_recycle_asked(const char **reason);

#endif
