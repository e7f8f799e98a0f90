/* SPDX-License-Identifier: MIT
 *
 * Matters of the whole process: open-file limit, pid file.
 */
#ifndef SN_SERVER_PROCESS_H
#define SN_SERVER_PROCESS_H

#include "conf/conf.h"

/* Raises the limit on open files as far as allowed and lowers limits.connections to fit,
 * with a warning. */
void sn_process_raise_limits(struct sn_conf *conf);
/* Writes our pid; SN_EIO. "" does nothing. */
int sn_process_write_pid(const char *file, struct sn_why *why);
/* Removes it when the number in it is ours. */
void sn_process_remove_pid(const char *file);
/* Resident memory of this process in bytes; 0: it cannot be told. */
uint64_t sn_process_rss(void);
/* The log as the configuration wants it. */
int sn_process_open_log(const struct sn_conf *conf, struct sn_why *why);

#endif
