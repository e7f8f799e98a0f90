/* SPDX-License-Identifier: MIT
 *
 * Matters of the whole process: open-file limit, log.
 */
#ifndef SN_SERVER_PROCESS_H
#define SN_SERVER_PROCESS_H

#include "conf/conf.h"

/* Raises the limit on open files as far as allowed and lowers limits.connections to fit,
 * with a warning. */
void sn_process_raise_limits(struct sn_conf *conf);
/* Resident memory of this process in bytes; 0: it cannot be told. */
uint64_t sn_process_rss(void);
/* The log as the configuration wants it. */
int sn_process_open_log(const struct sn_conf *conf, struct sn_why *why);

#endif
