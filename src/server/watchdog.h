/* SPDX-License-Identifier: MIT
 *
 * A thread that needs nothing that a handler could hold, and looks now and then
 * whether something hangs.
 */
#ifndef SN_SERVER_WATCHDOG_H
#define SN_SERVER_WATCHDOG_H

#include "server/context.h"

struct sn_status;
struct sn_watchdog;

int sn_watchdog_start(struct sn_watchdog **out, struct sn_context *ctx, struct sn_status *status,
                      struct sn_why *why);
void sn_watchdog_stop(struct sn_watchdog *w); /* joins and frees; NULL is fine */

#endif
