/* SPDX-License-Identifier: MIT
 *
 * Signals as a descriptor to poll: handlers (SA_RESTART) set a flag and write an
 * eventfd. No signal is ever blocked: a mask would survive exec, and a child of a
 * handler could then not be terminated.
 */
#ifndef SN_SERVER_SIGNALS_H
#define SN_SERVER_SIGNALS_H

#include "base/err.h"

enum sn_signal {
	SN_SIG_STOP = 1,
	SN_SIG_CHILD = 2,
	SN_SIG_REOPEN = 4, /* SIGUSR1 */
	SN_SIG_RELOAD = 8, /* SIGHUP */
	SN_SIG_RETIRE = 16, /* SIGUSR2 of our parent: another worker has our place */
	SN_SIG_SUCCEED = 64, /* SIGUSR2 of somebody else: a successor is wanted */
	SN_SIG_RECYCLE = 32 /* of our own: see recycle.h */
};

/* Installs the handlers; once in a process, again in a forked one. `interrupt_stops`:
 * whether SIGINT means stop (else it is taken and ignored: the terminal sends it to the
 * whole group and the supervisor passes it on). Returns the descriptor, or SN_EIO. */
int sn_signals_install(bool interrupt_stops, struct sn_why *why);
/* As if a signal had come, from any thread of this process. False: no handlers are
 * installed, so nobody would hear. */
bool sn_signals_raise(enum sn_signal bit);
/* What came since the last call, as a mask; *stops counts the stop signals ever. */
unsigned sn_signals_take(unsigned *stops);

#endif
