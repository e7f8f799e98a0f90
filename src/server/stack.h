/* SPDX-License-Identifier: MIT
 *
 * Where another thread of this process stands, in C.
 */
#ifndef SN_SERVER_STACK_H
#define SN_SERVER_STACK_H

#include <pthread.h>

#include "base/buf.h"
#include "base/err.h"

/* Installs the signal's handler and loads what it needs; once, before threads hang. */
void sn_stack_install(void);
/* Appends the stack of `thread`, which exists, a line a call, the innermost first. False: it does
 * not answer. One caller at a time; waits a second at most. The thread takes SIGRTMIN+6, so a
 * system call that it sleeps in may end with EINTR. */
bool sn_stack_take(pthread_t thread, struct sn_buf *out);

#endif
