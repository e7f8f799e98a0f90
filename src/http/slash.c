/* SPDX-License-Identifier: MIT
 *
 * The redirect to a path with a slash at its end. REQUEST_URI has the path that the client
 * knows, with what a front server takes off before it is routed; what it holds is the
 * client's, so all that could lead elsewhere is written in percent signs.
 */
#include "http/slash.h"

#include <string.h>

#include "http/proxy.h"

static bool
is_plain(unsigned char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
	       (c && strchr("-._~!$&'()*+,;=:@/%?", c));
}

/* `raw`: percent signs are escapes already. */
static int
add_quoted(struct sn_buf *out, const char *s, size_t len, bool raw)
{
	static const char hex[] = "0123456789ABCDEF";
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		char escape[3] = { '%', hex[c >> 4], hex[c & 15] };
		bool plain = is_plain(c) && (raw || (c != '%' && c != '?'));
		rc = plain ? sn_buf_add(out, s + i, 1) : sn_buf_add(out, escape, 3);
	}
	return rc;
}

int
sn_slash_location(const struct sn_request *req, struct sn_buf *out)
{
	const char *uri = sn_request_known(req, SN_P_REQUEST_URI), *path = req->path.path;
	bool raw = uri && uri[0] == '/';
	size_t len = req->path.len;
	if (raw) {
		path = uri;
		len = strcspn(uri, "?");
	}
	while (len > 1 && path[0] == '/' && path[1] == '/') { /* "//host" is a host */
		path++;
		len--;
	}
	struct sn_forwarded fwd;
	int rc = 0;
	if (sn_proxy_read(req, &fwd) && fwd.value[SN_FWD_PREFIX].s)
		rc = sn_buf_add(out, fwd.value[SN_FWD_PREFIX].s, fwd.value[SN_FWD_PREFIX].len);
	if (rc == 0 && !raw)
		rc = add_quoted(out, req->mount, strlen(req->mount), false);
	if (rc == 0)
		rc = add_quoted(out, path, len, raw);
	if (rc == 0)
		rc = sn_buf_add(out, "/", 1);
	if (rc == 0 && req->query_len)
		rc = sn_buf_add(out, "?", 1);
	return rc < 0 ? rc : add_quoted(out, req->query, req->query_len, true);
}
