/* SPDX-License-Identifier: MIT
 *
 * Where to listen and whom to let in, as text and as values: listener
 * addresses and CIDR networks. Pure: opens nothing, resolves no names.
 */
#ifndef SN_CONF_ADDRESS_H
#define SN_CONF_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

enum sn_address_kind { SN_ADDR_UNIX, SN_ADDR_ABSTRACT, SN_ADDR_TCP, SN_ADDR_FD, SN_ADDR_SYSTEMD };

#define SN_UNIX_PATH_MAX 107 /* sockaddr_un.sun_path less its NUL */

struct sn_address {
	enum sn_address_kind kind;
	char name[256]; /* Unix path as written, abstract name, systemd name, TCP host ("" any) */
	unsigned port;
	int fd;
};

/* "unix:/run/x", "unix:@name", "HOST:PORT", "[::1]:PORT", ":PORT", "fd:3",
 * "systemd:NAME". SN_EINVAL with what is wrong and the mend. */
int sn_address_parse(const char *text, struct sn_address *out, struct sn_why *why);
/* Splits what -l takes: *protocol becomes "fastcgi" or "scgi" (static), *address
 * points into `spec`. A leading ':' before an address is passed over. */
void sn_address_split(const char *spec, const char **protocol, const char **address);

struct sn_network {
	uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint8_t bits;     /* of 128 */
	bool ipv4;
};

/* "10.0.0.0/8", "fd00::/8", "192.0.2.7". SN_EINVAL with the mend. */
int sn_network_parse(const char *text, struct sn_network *out, struct sn_why *why);
/* An IPv4 peer on an IPv6 socket (::ffff:a.b.c.d) is an IPv4 peer. False for other families. */
bool sn_network_contains(const struct sn_network *net, const struct sockaddr *peer);

#endif
