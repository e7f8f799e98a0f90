/* SPDX-License-Identifier: MIT
 *
 * Giving up what a worker does not need: root, the file system outside a tree, set-user-id
 * programs.
 */
#ifndef SN_SERVER_PRIVILEGE_H
#define SN_SERVER_PRIVILEGE_H

#include "conf/conf.h"

/* Once, before any worker: would the workers run as root, and may they? Says so in one loud
 * line, or refuses. SN_ECONF with the mend: also for an account or a tree that is not there,
 * and where only root could do what is asked for. */
int sn_privilege_check(const struct sn_conf *conf, struct sn_why *why);
/* In a worker, before it has threads: enters the tree, becomes user and group, and can get
 * nothing of it back. SN_ECONF, SN_EIO. */
int sn_privilege_drop(const struct sn_conf *conf, struct sn_why *why);
/* Only the first part of that, for looking at what the workers would see. */
int sn_privilege_enter_tree(const struct sn_conf *conf, struct sn_why *why);

#endif
