/* SPDX-License-Identifier: MIT
 *
 * The pid file: who runs, and a lock that keeps a second one from starting. For
 * one thread, of the process that the file names.
 */
#ifndef SN_SERVER_PIDFILE_H
#define SN_SERVER_PIDFILE_H

#include "base/err.h"

/* Makes or takes over the file, locks it and writes this process's number; "" is no file.
 * SN_EIO with who holds it, or what is in the way. A reload may hold two. */
int sn_pidfile_open(const char *path, struct sn_why *why);
/* Removes a file that this process opened, and gives up its lock; any other is left alone. */
void sn_pidfile_close(const char *path);

#endif
