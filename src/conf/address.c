/* SPDX-License-Identifier: MIT
 *
 * Listener addresses and networks out of their text. Pure; runs at start,
 * sn_network_contains() on any thread.
 */
#include "conf/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define FORMS "unix:/run/x.sock, unix:@name, 127.0.0.1:9000, [::1]:9000, :9000, fd:3 or systemd:NAME"

static const char *
after(const char *text, const char *prefix)
{
	size_t n = strlen(prefix);
	return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

/* A decimal number up to `max` that is the whole text. */
static bool
number(const char *s, unsigned max, unsigned *out)
{
	unsigned long n = 0;
	if (!*s)
		return false;
	for (; *s; s++) {
		if (!isdigit((unsigned char)*s))
			return false;
		n = n * 10 + (unsigned long)(*s - '0');
		if (n > max)
			return false;
	}
	*out = (unsigned)n;
	return true;
}

static int
parse_unix(const char *text, const char *path, struct sn_address *out, struct sn_why *why)
{
	out->kind = path[0] == '@' ? SN_ADDR_ABSTRACT : SN_ADDR_UNIX;
	if (out->kind == SN_ADDR_ABSTRACT)
		path++;
	size_t len = strlen(path);
	if (len == 0)
		return sn_why_set(why, SN_EINVAL, "address '%s' has no path; write unix:/run/x.sock "
		                  "or unix:@name", text);
	if (len > SN_UNIX_PATH_MAX)
		return sn_why_set(why, SN_EINVAL, "address '%s': a Unix socket's path has at most %d "
		                  "characters, this one %zu; use a shorter one, such as "
		                  "unix:/run/snacgi.sock", text, SN_UNIX_PATH_MAX, len);
	memcpy(out->name, path, len + 1);
	return 0;
}

static bool
is_host_name(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '.' && s[i] != '-' && s[i] != '_')
			return false;
	return len > 0;
}

/* What a host that is no host was probably meant to be. */
static int
no_host(const char *text, const char *host, size_t len, struct sn_why *why)
{
	if (memchr(host, '/', len))
		return sn_why_set(why, SN_EINVAL, "address '%s' is not known; a Unix socket is "
		                  "written unix:/run/x.sock", text);
	if (memchr(host, ':', len)) {
		unsigned char v6[16];
		char copy[64];
		snprintf(copy, sizeof(copy), "%.*s", (int)(len < 63 ? len : 63), host);
		if (inet_pton(AF_INET6, text, v6) == 1)
			return sn_why_set(why, SN_EINVAL, "address '%s': an IPv6 address goes in "
			                  "brackets and needs a port; write [%s]:PORT", text, text);
		if (inet_pton(AF_INET6, copy, v6) == 1)
			return sn_why_set(why, SN_EINVAL, "address '%s': an IPv6 address goes in "
			                  "brackets; write [%s]:PORT", text, copy);
		return sn_why_set(why, SN_EINVAL, "address '%s' is not known (a protocol is fastcgi "
		                  "or scgi); write " FORMS, text);
	}
	return sn_why_set(why, SN_EINVAL, "address '%s': '%.*s' is no host; write " FORMS, text,
	                  (int)len, host);
}

static int
parse_tcp(const char *text, struct sn_address *out, struct sn_why *why)
{
	const char *host = text, *colon = strrchr(text, ':');
	unsigned char any[16];
	size_t len;
	out->kind = SN_ADDR_TCP;
	if (text[0] == '[') {
		const char *close = strchr(text, ']');
		host++;
		if (!close || close[1] != ':')
			return sn_why_set(why, SN_EINVAL, "address '%s': write [::1]:PORT", text);
		colon = close + 1;
		len = (size_t)(close - host);
	} else {
		unsigned port;
		if (!colon && number(text, 65535, &port))
			return sn_why_set(why, SN_EINVAL, "address '%s': write :%u for this port on "
			                  "every address, or 127.0.0.1:%u", text, port, port);
		if (!colon && text[0] == '/')
			return sn_why_set(why, SN_EINVAL, "address '%s': write unix:%s", text, text);
		if (!colon)
			return sn_why_set(why, SN_EINVAL, "address '%s' has no port; write " FORMS, text);
		len = (size_t)(colon - host);
	}
	if (len >= sizeof(out->name))
		return sn_why_set(why, SN_EINVAL, "address '%.40s...': the host is too long; write "
		                  "127.0.0.1:PORT", text);
	if (len == 1 && host[0] == '*' && text[0] != '[')
		len = 0;
	memcpy(out->name, host, len);
	out->name[len] = '\0';
	if (text[0] == '[' && inet_pton(AF_INET6, out->name, any) != 1)
		return sn_why_set(why, SN_EINVAL, "address '%s': '%s' is not an IPv6 address; write "
		                  "[::1]:PORT", text, out->name);
	if (text[0] != '[' && len > 0 && !is_host_name(host, len))
		return no_host(text, host, len, why);
	if (!number(colon + 1, 65535, &out->port))
		return sn_why_set(why, SN_EINVAL, "address '%s': '%s' is not a port; write a number "
		                  "from 0 (the system chooses) to 65535, as in %s:9000", text,
		                  colon + 1, len ? out->name : "");
	return 0;
}

int
sn_address_parse(const char *text, struct sn_address *out, struct sn_why *why)
{
	const char *rest;
	unsigned n;
	memset(out, 0, sizeof(*out));
	out->fd = -1;
	if (!*text)
		return sn_why_set(why, SN_EINVAL, "the address is empty; write " FORMS);
	if ((rest = after(text, "unix:")))
		return parse_unix(text, rest, out, why);
	if ((rest = after(text, "fd:"))) {
		out->kind = SN_ADDR_FD;
		if (!number(rest, 1u << 20, &n))
			return sn_why_set(why, SN_EINVAL, "address '%s': '%s' is not a descriptor's "
			                  "number; write fd:3", text, rest);
		out->fd = (int)n;
		return 0;
	}
	if ((rest = after(text, "systemd:"))) {
		size_t len = strlen(rest);
		out->kind = SN_ADDR_SYSTEMD;
		if (len == 0 || len >= sizeof(out->name))
			return sn_why_set(why, SN_EINVAL, "address '%.60s': write systemd:NAME with the "
			                  "FileDescriptorName= of the socket unit (1 to 255 characters)",
			                  text);
		memcpy(out->name, rest, len + 1);
		return 0;
	}
	return parse_tcp(text, out, why);
}

void
sn_address_split(const char *spec, const char **protocol, const char **address)
{
	const char *rest;
	unsigned port;
	*protocol = "fastcgi";
	if ((rest = after(spec, "scgi:")))
		*protocol = "scgi";
	else if (!(rest = after(spec, "fastcgi:")))
		rest = spec;
	/* ":9000" is a port on every address; the colon of ":unix:/x" says nothing */
	if (rest[0] == ':' && rest[1] && !number(rest + 1, 65535, &port))
		rest++;
	*address = rest;
}

/* ---- networks ----------------------------------------------------------------- */

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static void
clear_after(uint8_t addr[16], unsigned bits)
{
	for (unsigned i = bits; i < 128; i++)
		addr[i / 8] &= (uint8_t) ~(0x80u >> (i % 8));
}

/* The network in its own notation, for the mend. */
static void
show(const struct sn_network *net, char *out, size_t size)
{
	char text[INET6_ADDRSTRLEN] = "";
	if (net->ipv4)
		inet_ntop(AF_INET, net->addr + 12, text, sizeof(text));
	else
		inet_ntop(AF_INET6, net->addr, text, sizeof(text));
	snprintf(out, size, "%s/%u", text, net->ipv4 ? net->bits - 96u : net->bits);
}

int
sn_network_parse(const char *text, struct sn_network *out, struct sn_why *why)
{
	char addr[64], good[80];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	uint8_t before[16];
	unsigned max, bits;
	memset(out, 0, sizeof(*out));
	if (len == 0 || len >= sizeof(addr))
		goto bad;
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (inet_pton(AF_INET, addr, out->addr + 12) == 1) {
		memcpy(out->addr, mapped, sizeof(mapped));
		out->ipv4 = true;
	} else if (inet_pton(AF_INET6, addr, out->addr) != 1) {
		goto bad;
	}
	max = out->ipv4 ? 32 : 128;
	bits = max;
	if (slash && !number(slash + 1, max, &bits))
		return sn_why_set(why, SN_EINVAL, "network '%s': the number after '/' is 0 to %u",
		                  text, max);
	out->bits = (uint8_t)(out->ipv4 ? bits + 96 : bits);
	if (!out->ipv4 && out->bits >= 96 && memcmp(out->addr, mapped, sizeof(mapped)) == 0)
		out->ipv4 = true; /* ::ffff:10.0.0.0/104 is 10.0.0.0/8 */
	memcpy(before, out->addr, sizeof(before));
	clear_after(out->addr, out->bits);
	show(out, good, sizeof(good));
	if (memcmp(before, out->addr, sizeof(before)) != 0)
		return sn_why_set(why, SN_EINVAL, "network '%s' has bits set behind the first %u; "
		                  "write %s, or the address alone", text, bits, good);
	return 0;
bad:
	return sn_why_set(why, SN_EINVAL, "'%s' is not a network; write one such as 10.0.0.0/8, "
	                  "fd00::/8 or 192.0.2.7", text);
}

bool
sn_network_contains(const struct sn_network *net, const struct sockaddr *peer)
{
	uint8_t addr[16];
	if (peer->sa_family == AF_INET) {
		memcpy(addr, mapped, sizeof(mapped));
		memcpy(addr + 12, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
	} else if (peer->sa_family == AF_INET6) {
		memcpy(addr, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, 16);
	} else {
		return false;
	}
	/* "::/0" holds every IPv6 address, but no IPv4 one in IPv6's clothes */
	if (net->ipv4 != (memcmp(addr, mapped, sizeof(mapped)) == 0))
		return false;
	clear_after(addr, net->bits);
	return memcmp(addr, net->addr, sizeof(addr)) == 0;
}
