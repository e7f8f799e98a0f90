/* SPDX-License-Identifier: MIT
 *
 * Which path to route by. What the front server decoded and checked its access
 * rules against comes first (SCRIPT_NAME with PATH_INFO, DOCUMENT_URI); the raw
 * REQUEST_URI is read only when there is nothing else, or to learn which
 * slashes of that same path were encoded. Runs of slashes are merged after
 * decoding, encoded or not, as nginx does: both views of one request then
 * agree. "*" (OPTIONS *) is not a path: front servers answer it themselves.
 * Pure, allocates nothing; any thread.
 */
#include "http/path.h"

#include <string.h>

#include "base/hex.h"

static const char not_utf8[] = "the path is not UTF-8";

static bool
utf8_tail(const unsigned char **at, const unsigned char *end)
{
	const unsigned char *p = *at;
	unsigned char c = *p++, low = 0x80, high = 0xbf;
	int more;
	if (c >= 0xc2 && c <= 0xdf)
		more = 1;
	else if (c >= 0xe0 && c <= 0xef) {
		more = 2;
		low = c == 0xe0 ? 0xa0 : low;   /* no overlong forms */
		high = c == 0xed ? 0x9f : high; /* no surrogates */
	} else if (c >= 0xf0 && c <= 0xf4) {
		more = 3;
		low = c == 0xf0 ? 0x90 : low;
		high = c == 0xf4 ? 0x8f : high; /* not above U+10FFFF */
	} else
		return false;
	if (end - p < more)
		return false;
	for (; more; more--, p++, low = 0x80, high = 0xbf)
		if (*p < low || *p > high)
			return false;
	*at = p;
	return true;
}

bool
sn_utf8_valid(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + len;
	while (p < end) {
		uint64_t w;
		if (end - p >= 8 && (memcpy(&w, p, 8), (w & UINT64_C(0x8080808080808080)) == 0))
			p += 8;
		else if (*p < 0x80)
			p++;
		else if (!utf8_tail(&p, end))
			return false;
	}
	return true;
}

size_t
sn_percent_decode(char *dst, const char *src, size_t len, bool plus)
{
	const char *end = src + len;
	char *out = dst;
	while (src < end) {
		char c = *src++;
		int byte;
		if (c == '%' && (byte = sn_hex_pair(src, (size_t)(end - src))) >= 0) {
			c = (char)byte;
			src += 2;
		} else if (c == '+' && plus)
			c = ' ';
		*out++ = c;
	}
	return (size_t)(out - dst);
}

static inline size_t
length(const char *s)
{
	return s ? strlen(s) : 0;
}

size_t
sn_path_room(const struct sn_path_in *in)
{
	size_t most = length(in->script_name) + length(in->path_info);
	size_t n = length(in->document_uri);
	if (n > most)
		most = n;
	n = length(in->request_uri);
	if (n > most)
		most = n;
	return 2 * (most + 2);
}

/* The path part of a request target: after "scheme://authority" (absolute form),
 * before the query. False: it has none ("*", "host:port", nothing). */
static bool
target_path(const char *uri, const char **path, size_t *len)
{
	if (!uri)
		return false;
	const char *p = uri;
	if (*p != '/') {
		size_t scheme = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		                          "0123456789+-.");
		if (scheme == 0 || strncmp(p + scheme, "://", 3) != 0)
			return false;
		p += scheme + 3;
		p += strcspn(p, "/?#");
	}
	*path = p;
	*len = strcspn(p, "?#");
	if (*len == 0) { /* "http://host" asks for its root */
		*path = "/";
		*len = 1;
	}
	return true;
}

/* Decodes a raw path once into `match`, encoded slashes marked, runs of slashes merged.
 * *slashes: a marked one is left. NULL, or what is wrong with it. */
static const char *
decode_target(const char *src, size_t len, char *match, uint32_t *match_len, bool *slashes)
{
	const char *end = src + len;
	uint32_t n = 0, marked = 0;
	while (src < end) {
		char c = *src++;
		if (c == '%') {
			int byte = sn_hex_pair(src, (size_t)(end - src));
			if (byte < 0)
				return "the path holds a bad percent escape";
			if (byte == 0)
				return "the path holds an encoded NUL";
			c = byte == '/' ? SN_PATH_SLASH : (char)byte;
			src += 2;
			if (byte == 0xff)
				return not_utf8;
		} else if (c == SN_PATH_SLASH)
			return not_utf8; /* it could be taken for the mark */
		if ((c == '/' || c == SN_PATH_SLASH) && n &&
		    (match[n - 1] == '/' || match[n - 1] == SN_PATH_SLASH)) {
			/* A literal slash in a run separates segments, whatever stands beside it. */
			if (c == '/' && match[n - 1] == SN_PATH_SLASH) {
				match[n - 1] = '/';
				marked--;
			}
			continue;
		}
		marked += c == SN_PATH_SLASH;
		match[n++] = c;
	}
	match[n] = '\0';
	*match_len = n;
	*slashes = marked > 0;
	return NULL;
}

static bool
has_dot_segment(const char *path, size_t len)
{
	const char *p = path, *end = path + len;
	while ((p = memchr(p, '/', (size_t)(end - p)))) {
		p++;
		size_t left = (size_t)(end - p);
		if (left == 0 || p[0] != '.')
			continue;
		if (left == 1 || p[1] == '/')
			return true;
		if (p[1] == '.' && (left == 2 || p[2] == '/'))
			return true;
	}
	return false;
}

/* True when the two parts, one after the other, begin like a path. */
static bool
makes_path(const char *first, const char *second)
{
	return first && *first ? *first == '/' : second && *second == '/';
}

/* Puts a decoded path together; without copying where it is in one piece and holds
 * no run of slashes. */
static void
take_decoded(const char *first, const char *second, char *buf, struct sn_path *out)
{
	size_t a = length(first), b = length(second);
	const char *whole = a ? first : second;
	if ((a == 0 || b == 0) && !strstr(whole, "//")) {
		out->path = whole;
		out->len = (uint32_t)(a + b);
		return;
	}
	uint32_t n = 0;
	for (size_t i = 0; i < a + b; i++) {
		char c = i < a ? first[i] : second[i - a];
		if (c == '/' && n && buf[n - 1] == '/')
			continue;
		buf[n++] = c;
	}
	buf[n] = '\0';
	out->path = buf;
	out->len = n;
}

static bool
has_encoded_slash(const char *uri)
{
	for (const char *p = uri; p && (p = strchr(p, '%')); p++)
		if (p[1] == '2' && (p[2] == 'F' || p[2] == 'f'))
			return true;
	return false;
}

/* Which slashes of the chosen path were encoded on the wire: only REQUEST_URI tells,
 * and only when it decodes to exactly that path (nothing was rewritten). */
static void
find_encoded_slashes(const char *request_uri, char *match, struct sn_path *out)
{
	const char *raw;
	size_t len;
	uint32_t n;
	bool slashes;
	if (!has_encoded_slash(request_uri) || !target_path(request_uri, &raw, &len) ||
	    decode_target(raw, len, match, &n, &slashes) || !slashes || n != out->len)
		return;
	for (uint32_t i = 0; i < n; i++)
		if (out->path[i] != (match[i] == SN_PATH_SLASH ? '/' : match[i]))
			return;
	out->match = match;
}

/* REQUEST_URI as the source: `path` and `match` are two halves of the buffer. */
static const char *
take_target(const char *raw, size_t len, char *path, char *match, struct sn_path *out)
{
	bool slashes;
	const char *wrong = decode_target(raw, len, match, &out->len, &slashes);
	if (wrong)
		return wrong;
	out->path = out->match = match;
	if (slashes) {
		for (uint32_t i = 0; i <= out->len; i++)
			path[i] = match[i] == SN_PATH_SLASH ? '/' : match[i];
		out->path = path;
	}
	return NULL;
}

static int
choose(const struct sn_path_in *in, char *buf, size_t half, struct sn_path *out,
       const char **reason)
{
	const char *raw;
	size_t len;
	if (in->source != SN_PATH_REQUEST_URI && makes_path(in->script_name, in->path_info))
		take_decoded(in->script_name, in->path_info, buf, out);
	else if (in->source == SN_PATH_AUTO && makes_path(in->document_uri, NULL))
		take_decoded(in->document_uri, NULL, buf, out);
	else if (in->source != SN_PATH_SCRIPT_NAME && target_path(in->request_uri, &raw, &len)) {
		*reason = take_target(raw, len, buf, buf + half, out);
		return *reason ? 400 : 0;
	} else {
		*reason = "the front server sent no path";
		return 400;
	}
	out->match = out->path;
	if (in->source == SN_PATH_AUTO)
		find_encoded_slashes(in->request_uri, buf + half, out);
	return 0;
}

static int
take_off_prefix(const char *prefix, struct sn_path *out, const char **reason)
{
	size_t n = length(prefix);
	if (n == 0)
		return 0;
	/* By `match`: "/app%2Fx" is one segment, not something below "/app". */
	if (n > out->len || memcmp(out->match, prefix, n) != 0 ||
	    (out->match[n] != '/' && out->match[n] != '\0')) {
		*reason = "the path is outside the listener's prefix";
		return 404;
	}
	if (n == out->len) {
		*out = (struct sn_path){ "/", "/", 1 };
		return 0;
	}
	out->path += n;
	out->match += n;
	out->len -= (uint32_t)n;
	return 0;
}

int
sn_path_resolve(const struct sn_path_in *in, char *buf, size_t room, struct sn_path *out,
                const char **reason)
{
	*reason = NULL;
	int status = choose(in, buf, room / 2, out, reason);
	if (status)
		return status;
	if (!sn_utf8_valid(out->path, out->len)) {
		*reason = not_utf8;
		return 400;
	}
	/* Every slash counts here, encoded or not, so "a%2F..%2Fb" is caught too. */
	if (has_dot_segment(out->path, out->len)) {
		*reason = "the path holds a '.' or '..' segment";
		return 400;
	}
	return take_off_prefix(in->prefix, out, reason);
}
