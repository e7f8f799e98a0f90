/* SPDX-License-Identifier: MIT
 *
 * The group `proxy`: which of the hops before the front server are believed,
 * and in what. Opens nothing. Runs at start.
 */
#include <stdlib.h>
#include <string.h>

#include "conf/conf_priv.h"

static const char *const header_names[] = { "for", "proto", "host", "port", "prefix" };

static void
apply_headers(struct sn_conf *c, const struct sn_node *v, struct sn_faults *f)
{
	c->proxy.which = 0;
	for (size_t i = 0; i < c->proxy.headers.n; i++) {
		const char *name = c->proxy.headers.item[i];
		size_t k = 0;
		while (k < SN_COUNT(header_names) && strcmp(name, header_names[k]) != 0)
			k++;
		if (k == SN_COUNT(header_names))
			sn_fault(f, v->from, v->line, "key 'proxy.headers': '%s' is not one of for, proto, host, "
			         "port, prefix; X-Forwarded- stands before them", name);
		else
			c->proxy.which |= 1u << k;
	}
}

void
sn_proxy_apply(struct sn_conf *c, const struct sn_node *v, struct sn_faults *f)
{
	struct sn_why why;
	apply_headers(c, v, f);
	free(c->proxy.networks);
	c->proxy.networks = calloc(c->proxy.trusted.n + 1, sizeof(*c->proxy.networks));
	if (!c->proxy.networks)
		sn_fault(f, v->from, v->line, "out of memory");
	for (size_t i = 0; c->proxy.networks && i < c->proxy.trusted.n; i++)
		if (sn_network_parse(c->proxy.trusted.item[i], &c->proxy.networks[i], &why) < 0)
			sn_fault(f, v->from, v->line, "key 'proxy.trusted': %s", why.text);
}

bool
sn_conf_trusts(const void *conf, const struct sockaddr *peer)
{
	const struct sn_conf *c = conf;
	for (size_t i = 0; i < c->proxy.trusted.n; i++)
		if (sn_network_contains(&c->proxy.networks[i], peer))
			return true;
	return false;
}
