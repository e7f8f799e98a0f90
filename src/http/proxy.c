/* SPDX-License-Identifier: MIT
 *
 * X-Forwarded-*, from the right: each hop adds what it has seen at the end, so the
 * values of trusted hops are the last ones and everything to the left of them is
 * the client's invention. Two ways to know how many those are: a number
 * (Werkzeug's ProxyFix), or the addresses that the chain itself names.
 */
#include "http/proxy.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <string.h>

static struct sn_proxy_conf conf; /* written before the threads start */

static const char *const names[SN_FWD_COUNT] = {
	[SN_FWD_FOR] = "HTTP_X_FORWARDED_FOR",   [SN_FWD_PROTO] = "HTTP_X_FORWARDED_PROTO",
	[SN_FWD_HOST] = "HTTP_X_FORWARDED_HOST", [SN_FWD_PORT] = "HTTP_X_FORWARDED_PORT",
	[SN_FWD_PREFIX] = "HTTP_X_FORWARDED_PREFIX",
};

void
sn_proxy_configure(const struct sn_proxy_conf *c)
{
	static const struct sn_proxy_conf nobody;
	conf = c ? *c : nobody;
}

/* Values of a header from the last to the first, over its repetitions. */
struct cursor {
	const struct sn_request *req;
	const char *name;
	uint32_t param;        /* those before it are still to come */
	const char *begin, *end; /* what is left of the value; NULL: nothing */
};

struct slice {
	const char *s;
	size_t len;
};

static bool
previous_value(struct cursor *c)
{
	size_t len = strlen(c->name);
	while (c->param > 0) {
		const struct sn_param *p = &c->req->params[--c->param];
		if (p->name_len != len || memcmp(c->req->raw + p->name, c->name, len) != 0)
			continue;
		c->begin = c->req->raw + p->value;
		c->end = c->begin + p->value_len;
		return true;
	}
	return false;
}

static bool
previous(struct cursor *c, struct slice *out)
{
	if (!c->begin && !previous_value(c))
		return false;
	const char *s = c->end;
	while (s > c->begin && s[-1] != ',')
		s--;
	const char *from = s, *to = c->end;
	while (from < to && (*from == ' ' || *from == '\t'))
		from++;
	while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
		to--;
	*out = (struct slice){ from, (size_t)(to - from) };
	if (s > c->begin)
		c->end = s - 1; /* the comma */
	else
		c->begin = NULL;
	return true;
}

/* The n-th value from the right, or with `least` the leftmost when there are fewer. */
static bool
nth(const struct sn_request *req, enum sn_proxy_header h, unsigned n, bool least, struct slice *out)
{
	struct cursor c = { .req = req, .name = names[h], .param = req->nparams };
	unsigned got = 0;
	while (got < n && previous(&c, out))
		got++;
	return got == n || (least && got > 0);
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80": the address alone. */
static bool
parse_address(struct slice *t, struct sockaddr_storage *out)
{
	char text[INET6_ADDRSTRLEN];
	const char *s = t->s, *colon = memchr(s, ':', t->len), *close = memchr(s, ']', t->len);
	size_t len = t->len;
	if (len && s[0] == '[' && close) {
		s++;
		len = (size_t)(close - s);
	} else if (colon && !memchr(colon + 1, ':', len - (size_t)(colon + 1 - s))) {
		len = (size_t)(colon - s);
	}
	if (len == 0 || len >= sizeof(text))
		return false;
	memcpy(text, s, len);
	text[len] = '\0';
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &((struct sockaddr_in *)out)->sin_addr) == 1)
		out->ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)out)->sin6_addr) == 1)
		out->ss_family = AF_INET6;
	else
		return false;
	*t = (struct slice){ s, len };
	return true;
}

/* From the front server's peer on, as long as whoever sent it on is trusted. How many are. */
static unsigned
walk(const struct sn_request *req, struct slice *client)
{
	const char *addr = sn_request_known(req, SN_P_REMOTE_ADDR);
	struct cursor c = { .req = req, .name = names[SN_FWD_FOR], .param = req->nparams };
	struct slice at = { addr, addr ? strlen(addr) : 0 };
	struct sockaddr_storage peer;
	unsigned n = 0;
	if (!addr || !parse_address(&at, &peer))
		return 0;
	while (conf.trusts(conf.arg, (struct sockaddr *)&peer)) {
		n++;
		if (!previous(&c, &at) || !parse_address(&at, &peer))
			break; /* who sent it is not known: the last one who is, is the client */
		*client = at;
	}
	return n;
}

static bool
is_proto(struct slice t)
{
	return (t.len == 4 && strncasecmp(t.s, "http", 4) == 0) ||
	       (t.len == 5 && strncasecmp(t.s, "https", 5) == 0);
}

static bool
is_host(struct slice t)
{
	for (size_t i = 0; i < t.len; i++)
		if (!isalnum((unsigned char)t.s[i]) && !(t.s[i] && strchr(".-_:[]", t.s[i])))
			return false;
	return t.len > 0 && t.len <= 255;
}

static bool
is_port(struct slice t)
{
	unsigned n = 0;
	for (size_t i = 0; i < t.len; i++) {
		if (t.s[i] < '0' || t.s[i] > '9' || i > 4)
			return false;
		n = n * 10 + (unsigned)(t.s[i] - '0');
	}
	return n > 0 && n < 65536;
}

/* "/app", of unreserved characters: it becomes the beginning of paths. */
static bool
is_prefix(struct slice *t)
{
	while (t->len && t->s[t->len - 1] == '/')
		t->len--;
	for (size_t i = 0; i < t->len; i++)
		if ((!isalnum((unsigned char)t->s[i]) && !(t->s[i] && strchr("/-._~", t->s[i]))) ||
		    (i && t->s[i] == '/' && t->s[i - 1] == '/'))
			return false;
	return t->len > 0 && t->s[0] == '/';
}

static bool
is_well(enum sn_proxy_header h, struct slice *t)
{
	struct sockaddr_storage unused;
	switch (h) {
	case SN_FWD_FOR: return parse_address(t, &unused);
	case SN_FWD_PROTO: return is_proto(*t);
	case SN_FWD_HOST: return is_host(*t);
	case SN_FWD_PORT: return is_port(*t);
	default: return is_prefix(t);
	}
}

bool
sn_proxy_read(const struct sn_request *req, struct sn_forwarded *out)
{
	struct slice client = { NULL, 0 }, t;
	unsigned hops = conf.hops;
	memset(out, 0, sizeof(*out));
	if (!hops && !conf.trusts)
		return false;
	if (!hops)
		hops = walk(req, &client);
	for (int h = 0; hops && h < SN_FWD_COUNT; h++) {
		if (!(conf.which & 1u << h))
			continue;
		if (h == SN_FWD_FOR && !conf.hops)
			t = client;
		else if (!nth(req, (enum sn_proxy_header)h, hops, !conf.hops, &t))
			continue;
		if (t.s && is_well((enum sn_proxy_header)h, &t)) {
			out->value[h].s = t.s;
			out->value[h].len = t.len;
		}
	}
	return true;
}

const char *
sn_proxy_client(const struct sn_request *req, char text[SN_PROXY_ADDRESS])
{
	struct sn_forwarded fwd;
	if (!sn_proxy_read(req, &fwd) || !fwd.value[SN_FWD_FOR].s || fwd.value[SN_FWD_FOR].len >= SN_PROXY_ADDRESS)
		return sn_request_known(req, SN_P_REMOTE_ADDR);
	memcpy(text, fwd.value[SN_FWD_FOR].s, fwd.value[SN_FWD_FOR].len);
	text[fwd.value[SN_FWD_FOR].len] = '\0';
	return text;
}
