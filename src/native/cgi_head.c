/* SPDX-License-Identifier: MIT
 *
 * CGI heads, line by line. Strict: a line that is no header is a fault of the
 * program and ends in a 500, because passing on what was meant otherwise is
 * how answers get split. Runs on the handler's thread.
 */
#include "native/cgi_head.h"

#include <strings.h>

void
sn_cgi_head_init(struct sn_cgi_head *h, size_t max)
{
	memset(h, 0, sizeof(*h));
	sn_buf_init(&h->line, NULL, 0);
	h->max = max;
	h->length = -1;
}

void
sn_cgi_head_free(struct sn_cgi_head *h)
{
	sn_buf_free(&h->line);
}

static bool
is(const char *name, size_t len, const char *want)
{
	return strlen(want) == len && strncasecmp(name, want, len) == 0;
}

/* Framing is the server's and the front server's; CGI programs print these all the same. */
static bool
is_framing(const char *name, size_t len)
{
	static const char *const names[] = { "Transfer-Encoding", "Connection", "Keep-Alive",
		                             "Proxy-Connection", "Trailer", "TE", "Upgrade" };
	for (size_t i = 0; i < SN_COUNT(names); i++)
		if (is(name, len, names[i]))
			return true;
	return false;
}

/* "404 Not Found", "404". */
static int
take_status(struct sn_cgi_head *h, const char *v, size_t len, struct sn_why *why)
{
	int status = 0;
	if (len >= 3 && (len == 3 || v[3] == ' '))
		for (int i = 0; i < 3; i++)
			status = v[i] >= '0' && v[i] <= '9' && status >= 0 ? status * 10 + v[i] - '0' : -1;
	if (status < 200 || status > 599)
		return sn_why_set(why, SN_EINVAL, "Status: %.*s is not a status from 200 to 599",
		                  (int)(len > 80 ? 80 : len), v);
	h->status = status;
	return 0;
}

static int
take_length(struct sn_cgi_head *h, const char *v, size_t len, struct sn_why *why)
{
	int64_t n = 0;
	bool bad = len == 0;
	for (size_t i = 0; i < len && !bad; i++)
		bad = v[i] < '0' || v[i] > '9' || __builtin_mul_overflow(n, 10, &n) ||
		      __builtin_add_overflow(n, v[i] - '0', &n);
	if (bad || (h->length >= 0 && h->length != n))
		return sn_why_set(why, SN_EINVAL, "Content-Length: %.*s is not one number",
		                  (int)(len > 80 ? 80 : len), v);
	h->length = n;
	return 0;
}

static int
take_line(struct sn_cgi_head *h, struct sn_response *res, const char *s, size_t len,
          struct sn_why *why)
{
	const char *colon = memchr(s, ':', len);
	if (!colon || colon == s)
		return sn_why_set(why, SN_EINVAL, "the line \"%.*s\" is no header",
		                  (int)(len > 80 ? 80 : len), s);
	size_t name_len = (size_t)(colon - s);
	const char *v = colon + 1, *end = s + len;
	while (v < end && (*v == ' ' || *v == '\t'))
		v++;
	while (end > v && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	size_t v_len = (size_t)(end - v);

	if (is(s, name_len, "Status"))
		return take_status(h, v, v_len, why);
	if (is(s, name_len, "Content-Length"))
		return take_length(h, v, v_len, why);
	if (is_framing(s, name_len))
		return 0;
	if (is(s, name_len, "Location"))
		h->location = true;
	int rc = sn_response_header_n(res, s, name_len, v, v_len);
	if (rc == SN_ELIMIT)
		return sn_why_set(why, rc, "the headers are longer than %zu bytes together",
		                  res->head_limit);
	if (rc < 0)
		return sn_why_set(why, rc, "the header \"%.*s\" is not allowed (%s)",
		                  (int)(len > 80 ? 80 : len), s, sn_err_name(rc));
	return 0;
}

static int
end_of_line(struct sn_cgi_head *h, struct sn_response *res, struct sn_why *why)
{
	size_t len = h->line.len;
	const char *s = h->line.data;
	if (len && s[len - 1] == '\r')
		len--;
	h->line.len = 0;
	if (len)
		return take_line(h, res, s, len, why);
	/* RFC 3875 6.2.3 and 6.3.3: a Location without a Status is a redirect, all else 200,
	 * also without a body. */
	res->status = h->status ? h->status : h->location ? 302 : 200;
	h->done = true;
	return 0;
}

int
sn_cgi_head_feed(struct sn_cgi_head *h, struct sn_response *res, const char *data, size_t len,
                 size_t *used, struct sn_why *why)
{
	size_t at = 0;
	int rc = 0;
	while (rc == 0 && at < len && !h->done) {
		const char *lf = memchr(data + at, '\n', len - at);
		size_t n = lf ? (size_t)(lf - (data + at)) : len - at;
		h->seen += n + (lf ? 1 : 0);
		if (h->seen > h->max)
			rc = sn_why_set(why, SN_ELIMIT, "no empty line within the first %zu bytes", h->max);
		else if (sn_buf_add(&h->line, data + at, n) < 0)
			rc = sn_why_set(why, SN_ENOMEM, "out of memory");
		at += n + (lf ? 1 : 0);
		if (rc == 0 && lf)
			rc = end_of_line(h, res, why);
	}
	*used = at;
	return rc;
}
