/* SPDX-License-Identifier: MIT
 *
 * An answer while it is built. Every header line passes the checks here, so no
 * application can inject a line or contradict the framing. Refuses to know how
 * the bytes leave. One thread at a time.
 */
#include "http/response.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/vec.h"
#include "http/method.h"

/* Of the process: the sites that make responses know no configuration. */
static atomic_size_t head_limit = SN_HEAD_LIMIT;

void
sn_response_set_head_limit(size_t limit)
{
	atomic_store_explicit(&head_limit, limit, memory_order_relaxed);
}

void
sn_response_init(struct sn_response *res, struct sn_request *req, void *head_store,
                 size_t head_size, void *body_store, size_t body_size)
{
	memset(res, 0, sizeof(*res));
	res->req = req;
	res->head_limit = atomic_load_explicit(&head_limit, memory_order_relaxed);
	res->length = -1;
	sn_buf_init(&res->head, head_store, head_size);
	sn_buf_init(&res->body, body_store, body_size);
}

void
sn_response_drop_body(struct sn_response *res)
{
	if (res->done)
		res->done(res->done_arg);
	if (res->pull_done)
		res->pull_done(res->pull_arg);
	res->ext = NULL;
	res->ext_len = 0;
	res->done = NULL;
	res->done_arg = NULL;
	res->pull = NULL;
	res->pull_done = NULL;
	res->pull_arg = NULL;
	res->length = -1;
	res->body.len = 0;
	res->raw_body_known = false;
}

void
sn_response_free(struct sn_response *res)
{
	sn_response_drop_body(res);
	sn_buf_free(&res->head);
	sn_buf_free(&res->body);
}

void
sn_response_reset(struct sn_response *res)
{
	sn_response_drop_body(res);
	res->head.len = 0;
	res->status = 0;
	res->has_type = res->has_vary = false;
}

/* RFC 9110 section 5.6.2: what a header name may be made of. */
static bool
is_token(const char *s, size_t len)
{
	static const uint8_t token[256] = {
		['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1,
		['+'] = 1, ['-'] = 1, ['.'] = 1, ['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1,
		['~'] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
	};
	for (size_t i = 0; i < len; i++)
		if (!token[(uint8_t)s[i]])
			return false;
	return len > 0;
}

/* RFC 9110 section 5.5: no control characters but the tabulator. */
static bool
is_value(const char *s, size_t len)
{
	size_t i = 0;
	for (; len - i >= sizeof(sn_vec); i += sizeof(sn_vec)) {
		sn_vec v = sn_vec_load(s + i);
		if (sn_vec_any((sn_vec)(v < 0x20) & (sn_vec)(v != '\t')) || sn_vec_any((sn_vec)(v == 0x7f)))
			return false;
	}
	for (; i < len; i++) {
		uint8_t c = (uint8_t)s[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool
name_is(const char *name, size_t len, const char *other, size_t other_len)
{
	return len == other_len && strncasecmp(name, other, len) == 0;
}

#define NAME_IS(name, len, text) name_is(name, len, text, sizeof(text) - 1)

/* Names that only the server or the front server's connection may speak of. */
static bool
is_refused(const char *name, size_t len)
{
	switch (len) {
	case 2: return NAME_IS(name, len, "TE");
	case 6: return NAME_IS(name, len, "Status");
	case 7: return NAME_IS(name, len, "Trailer") || NAME_IS(name, len, "Upgrade");
	case 10: return NAME_IS(name, len, "Connection") || NAME_IS(name, len, "Keep-Alive");
	case 14: return NAME_IS(name, len, "Content-Length");
	case 16: return NAME_IS(name, len, "Proxy-Connection");
	case 17: return NAME_IS(name, len, "Transfer-Encoding");
	default: return false;
	}
}

/* The next line of that name at or after `*at`: its length with CRLF, 0: none. Every
 * line here went through add_line(), so it has a colon and ends with CRLF. */
static size_t
find_line(const struct sn_buf *head, size_t *at, const char *name, size_t name_len)
{
	while (*at < head->len) {
		const char *line = head->data + *at, *end = head->data + head->len;
		const char *nl = memchr(line, '\n', (size_t)(end - line));
		size_t len = (size_t)(nl + 1 - line);
		if (len > name_len && line[name_len] == ':' && strncasecmp(line, name, name_len) == 0)
			return len;
		*at += len;
	}
	return 0;
}

bool
sn_response_has_header(const struct sn_response *res, const char *name, size_t name_len)
{
	size_t at = 0;
	return find_line(&res->head, &at, name, name_len) > 0;
}

unsigned
sn_response_remove_header(struct sn_response *res, const char *name, size_t name_len)
{
	unsigned n = 0;
	size_t at = 0, len;
	while ((len = find_line(&res->head, &at, name, name_len))) {
		char *line = res->head.data + at;
		memmove(line, line + len, res->head.len - at - len);
		res->head.len -= len;
		n++;
	}
	if (NAME_IS(name, name_len, "Content-Type"))
		res->has_type = false;
	else if (NAME_IS(name, name_len, "Vary"))
		res->has_vary = false;
	return n;
}

static int
add_line(struct sn_response *res, const char *name, size_t name_len, const char *value,
         size_t value_len)
{
	struct sn_buf *head = &res->head;
	if (sn_buf_reserve(head, name_len + value_len + 4) < 0)
		return SN_ENOMEM;
	char *p = head->data + head->len;
	memcpy(p, name, name_len);
	memcpy(p + name_len, ": ", 2);
	if (value_len)
		memcpy(p + name_len + 2, value, value_len);
	memcpy(p + name_len + 2 + value_len, "\r\n", 2);
	head->len += name_len + value_len + 4;
	return 0;
}

static size_t
limit_of(const struct sn_response *res)
{
	return res->head_limit > SN_HEAD_RESERVE ? res->head_limit - SN_HEAD_RESERVE : 0;
}

int
sn_response_default_type(struct sn_response *res, const char *type)
{
	static const char name[] = "Content-Type";
	size_t len = strlen(type);
	if (res->has_type)
		return 0;
	if (res->head.len + sizeof(name) - 1 + len + 4 > limit_of(res))
		return SN_ELIMIT;
	int rc = add_line(res, name, sizeof(name) - 1, type, len);
	res->has_type = rc == 0;
	return rc;
}

int
sn_response_header_n(struct sn_response *res, const char *name, size_t name_len,
                     const char *value, size_t value_len)
{
	size_t limit = limit_of(res);
	if (!is_token(name, name_len) || !is_value(value, value_len) || is_refused(name, name_len))
		return SN_EINVAL;
	bool type = NAME_IS(name, name_len, "Content-Type");
	size_t at = 0, old = type && res->has_type ? find_line(&res->head, &at, name, name_len) : 0;
	size_t len = res->head.len - old;
	if (name_len > limit || value_len > limit || len + name_len + value_len + 4 > limit)
		return SN_ELIMIT;
	int rc = add_line(res, name, name_len, value, value_len);
	if (rc < 0)
		return rc;
	if (old) { /* after the addition, so that a failure loses nothing */
		char *line = res->head.data + at;
		memmove(line, line + old, res->head.len - at - old);
		res->head.len -= old;
	}
	res->has_type |= type;
	res->has_vary |= NAME_IS(name, name_len, "Vary");
	return 0;
}

static int64_t
body_length(const struct sn_response *res)
{
	if (res->pull || res->started)
		return res->length;
	return res->ext ? (int64_t)res->ext_len : (int64_t)res->body.len;
}

int
sn_response_final_status(const struct sn_response *res)
{
	if (res->status)
		return res->status;
	return res->raw_body_known || res->pull || res->ext || res->body.len ? 200 : 204;
}

int64_t
sn_response_length(const struct sn_response *res, bool *suppress)
{
	bool allowed = sn_status_has_body(sn_response_final_status(res));
	*suppress = !allowed || (res->req && res->req->method == SN_METHOD_HEAD);
	return allowed ? body_length(res) : 0;
}

/* "Content-Length: 123\r\n" without printf: on the way of every answer. */
static int
add_length(struct sn_buf *out, uint64_t n)
{
	static const char name[] = "Content-Length: ";
	char line[sizeof(name) + 24];
	char *p = line + sizeof(line);
	*--p = '\n';
	*--p = '\r';
	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	p -= sizeof(name) - 1;
	memcpy(p, name, sizeof(name) - 1);
	return sn_buf_add(out, p, (size_t)(line + sizeof(line) - p));
}

int
sn_response_head(const struct sn_response *res, struct sn_buf *out)
{
	static const char type[] = "Content-Type: text/html; charset=utf-8\r\n";
	int status = sn_response_final_status(res);
	const char *reason = sn_status_reason(status);
	size_t reason_len = strlen(reason);
	bool suppress;
	int64_t length = sn_response_length(res, &suppress);

	if (status < 100 || status > 999)
		return SN_EINVAL;
	if (sn_buf_reserve(out, reason_len + res->head.len + SN_HEAD_RESERVE) < 0)
		return SN_ENOMEM;
	char code[] = { 'S', 't', 'a', 't', 'u', 's', ':', ' ', (char)('0' + status / 100),
		        (char)('0' + status / 10 % 10), (char)('0' + status % 10), ' ' };
	sn_buf_add(out, code, sizeof(code));
	sn_buf_add(out, reason, reason_len);
	sn_buf_add(out, "\r\n", 2);
	sn_buf_add(out, res->head.data, res->head.len);
	if (sn_status_has_body(status)) {
		if (!res->has_type && (length != 0 || res->raw_body_known))
			sn_buf_add(out, type, sizeof(type) - 1);
		if (length >= 0)
			add_length(out, (uint64_t)length);
	}
	return sn_buf_add(out, "\r\n", 2);
}
