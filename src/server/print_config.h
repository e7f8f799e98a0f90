/* SPDX-License-Identifier: MIT
 *
 * `snacgi print-config SERVER`: a front server's configuration, filled in from ours.
 */
#ifndef SN_SERVER_PRINT_CONFIG_H
#define SN_SERVER_PRINT_CONFIG_H

#include <stdbool.h>

#include "conf/conf.h"

/* The names that SERVER may have, in one line. */
const char *sn_print_config_names(void);
/* What is printed for SERVER starts snacgi, with -c and no other option. */
bool sn_print_config_starts(const char *server);
/* Prints to stdout; 0, or 1 with the reason and the mend on stderr. */
int sn_print_config(const struct sn_conf *conf, const char *server);

#endif
