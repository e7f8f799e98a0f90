/* SPDX-License-Identifier: MIT
 *
 * The words of print-config's templates that start snacgi: units of systemd, a container.
 */
#ifndef SN_SERVER_PRINT_UNITS_H
#define SN_SERVER_PRINT_UNITS_H

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"

enum sn_print_units_kind {
	SN_UNITS_SERVICE, /* with a sandbox */
	SN_UNITS_MINIMAL, /* the service without one of its own */
	SN_UNITS_SOCKET,
	SN_UNITS_CONTAINER,
};

/* What is printed; `listen` is the socket that a unit is for, NULL: none is configured. */
struct sn_print_units {
	const struct sn_conf *conf;
	const struct sn_conf_listen *listen;
	enum sn_print_units_kind kind;
};

/* Whether the configuration allows it; SN_ECONF with the reason. */
int sn_print_units_check(const struct sn_print_units *u, struct sn_why *why);
/* Appends the value of a word: 1; 0: there is no such word; SN_ENOMEM. */
int sn_print_units_value(struct sn_buf *out, const struct sn_print_units *u, const char *name);
/* Whether the service manager opens that socket. */
bool sn_print_units_adopted(const struct sn_conf_listen *l);

#endif
