/* SPDX-License-Identifier: MIT
 *
 * What proxies before the front server say of the client, in X-Forwarded-For, -Proto,
 * -Host, -Port and -Prefix: believed only from hops that the configuration trusts,
 * since everybody can send such headers. Pure but for the configuration, which is
 * the process's.
 */
#ifndef SN_HTTP_PROXY_H
#define SN_HTTP_PROXY_H

#include <sys/socket.h>

#include "http/request.h"

enum sn_proxy_header { SN_FWD_FOR, SN_FWD_PROTO, SN_FWD_HOST, SN_FWD_PORT, SN_FWD_PREFIX, SN_FWD_COUNT };

struct sn_proxy_conf {
	unsigned hops;  /* so many proxies, each of which adds to the headers; 0: see trusts */
	unsigned which; /* a bit for each header that is believed */
	bool (*trusts)(const void *arg, const struct sockaddr *peer); /* NULL: nobody */
	const void *arg;
};

struct sn_forwarded { /* slices of the request; s is NULL where there is nothing to believe */
	struct {
		const char *s;
		size_t len;
	} value[SN_FWD_COUNT];
};

/* Once, before the first request; NULL: nobody is believed (as at first). Copies. */
void sn_proxy_configure(const struct sn_proxy_conf *conf);
/* False, at no cost, where nobody is believed. Otherwise what the hops say, each value of
 * the form that it must have: an address, http or https, a host, a port, a path. */
bool sn_proxy_read(const struct sn_request *req, struct sn_forwarded *out);
#define SN_PROXY_ADDRESS 64 /* has room for every address */
/* The client's address, believed or as the front server tells it; `text` is room for it. NULL: unknown. */
const char *sn_proxy_client(const struct sn_request *req, char text[SN_PROXY_ADDRESS]);

#endif
