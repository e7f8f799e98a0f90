/* SPDX-License-Identifier: MIT
 *
 * `snacgi check` and `snacgi routes`: looks at a configuration without serving.
 */
#ifndef SN_SERVER_CHECK_H
#define SN_SERVER_CHECK_H

#include "server/worker.h"

/* Prints findings to stderr, each with its mend, and a summary to stdout; 0 when none is an error, else 1. */
int sn_check(const struct sn_conf *conf, const struct sn_tables *tables);
/* Prints the routes of both tables; 0, or 1 with the reason on stderr. */
int sn_print_routes(const struct sn_conf *conf, const struct sn_tables *tables);

#endif
