/* SPDX-License-Identifier: MIT
 *
 * Another program in the place of the running one: the new one's side, before it
 * listens. The running one's is in supervisor_priv.h.
 */
#ifndef SN_SERVER_UPGRADE_H
#define SN_SERVER_UPGRADE_H

#include "server/listener.h"

struct sn_inherited {
	int chan;               /* to the predecessor; -1: there is none */
	struct sn_conf *conf;   /* stands for the listeners' own */
	struct sn_listeners ls; /* the predecessor's */
};

/* Takes what a predecessor gives; nothing (chan -1) when there is none. */
int sn_upgrade_inherit(struct sn_inherited *in, struct sn_why *why);
/* Closes and frees; what the predecessor has stays his. */
void sn_upgrade_forget(struct sn_inherited *in);

#endif
