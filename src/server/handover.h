/* SPDX-License-Identifier: MIT
 *
 * Taking kept connections over from a worker that ends. Main thread.
 */
#ifndef SN_SERVER_HANDOVER_H
#define SN_SERVER_HANDOVER_H

#include "server/context.h"

/* Takes `fd`, a connection of the listener `id`. */
void sn_handover_take(struct sn_context *ctx, uint32_t id, int fd);

#endif
