/* SPDX-License-Identifier: MIT
 *
 * The commands for who develops an application: dev, request, shell, new.
 */
#ifndef SN_SERVER_COMMAND_H
#define SN_SERVER_COMMAND_H

#include <stdbool.h>

/* True when `name` is one of them. */
bool sn_command_known(const char *name);
/* Becomes that command; argv[1] is its name. Returns an exit status when it cannot. */
int sn_command_exec(char **argv);

#endif
