/* SPDX-License-Identifier: MIT
 *
 * Reads answers: FastCGI's records (SCGI has none), inside them a CGI head and
 * a body, and compares all of it with what is expected. Any split of the bytes
 * gives the same verdict. The reader goes on after a wrong status or body, so
 * that a kept connection stays usable; it stops at a broken record.
 */
#include "codec.h"

#include <string.h>
#include <strings.h>

#include "base/err.h"

enum {
	FCGI_END_REQUEST = 3,
	FCGI_STDOUT = 6,
	FCGI_STDERR = 7
};

enum phase { HEADER, CONTENT, PADDING };

void
bench_reply_reset(struct bench_reply *r, enum bench_proto proto)
{
	memset(r, 0, offsetof(struct bench_reply, line));
	r->proto = (uint8_t)proto;
	r->status = 200;
	r->content_length = -1;
}

static enum bench_state
broken(struct bench_reply *r, enum bench_fault fault)
{
	r->fault = (uint8_t)fault;
	r->state = BENCH_BROKEN;
	return BENCH_BROKEN;
}

/* ---- CGI head and body -------------------------------------------------- */

/* A number at the beginning of `s`; -1 when there is none or it is absurd. */
static int64_t
number(const char *s, size_t len)
{
	int64_t n = 0;
	size_t i = 0;

	while (i < len && (s[i] == ' ' || s[i] == '\t'))
		i++;
	if (i == len || s[i] < '0' || s[i] > '9')
		return -1;
	for (; i < len && s[i] >= '0' && s[i] <= '9'; i++) {
		if (n > INT64_MAX / 16)
			return -1;
		n = n * 10 + (s[i] - '0');
	}
	return n;
}

static bool
is_header(const char *line, size_t len, const char *name, size_t name_len)
{
	return len > name_len && line[name_len] == ':' && strncasecmp(line, name, name_len) == 0;
}

/* A line of the head without its end; an empty one ends the head. */
static void
head_line(struct bench_reply *r, const char *line, size_t len)
{
	int64_t n;

	if (len && line[len - 1] == '\r')
		len--;
	if (len == 0) {
		r->in_body = true;
	} else if (is_header(line, len, "Status", 6)) {
		n = number(line + 7, len - 7);
		if (n < 100 || n > 999)
			r->fault = BENCH_F_HEAD;
		else
			r->status = (uint16_t)n;
	} else if (is_header(line, len, "Content-Length", 14)) {
		r->content_length = number(line + 15, len - 15);
		if (r->content_length < 0)
			r->fault = BENCH_F_HEAD;
	} else if (!memchr(line, ':', len) && len < sizeof(r->line)) {
		r->fault = BENCH_F_HEAD;
	}
}

/* The part of a line that ended, or did not yet, in this piece of the head. */
static void
head_part(struct bench_reply *r, const char *part, size_t len, bool ended)
{
	size_t room = sizeof(r->line) - r->line_len;

	if (ended && r->line_len == 0) {
		head_line(r, part, len);
		return;
	}
	memcpy(r->line + r->line_len, part, len < room ? len : room);
	r->line_len = (uint8_t)(r->line_len + (len < room ? len : room));
	if (ended) {
		head_line(r, r->line, r->line_len);
		r->line_len = 0;
	}
}

static void
output(struct bench_reply *r, const struct bench_expect *want, const uint8_t *data, size_t len)
{
	const uint8_t *end;
	size_t n;

	while (len && !r->in_body) {
		end = memchr(data, '\n', len);
		n = end ? (size_t)(end - data) : len;
		head_part(r, (const char *)data, n, end != NULL);
		n += end != NULL;
		data += n;
		len -= n;
	}
	if (len && want->body && !r->body_differs &&
	    (r->body_len + len > want->body_len ||
	     memcmp((const uint8_t *)want->body + r->body_len, data, len) != 0))
		r->body_differs = true;
	if (len && want->keep && want->keep->len + len <= want->keep_max)
		sn_buf_add(want->keep, data, len); /* too little shows in its length */
	r->body_len += len;
}

/* The answer is complete: is it the right one? The first fault stands. */
static enum bench_state
judge(struct bench_reply *r, const struct bench_expect *want)
{
	r->state = BENCH_DONE;
	if (r->fault)
		return BENCH_DONE;
	if (r->protocol_status != 0)
		r->fault = BENCH_F_PROTOCOL;
	else if (!r->in_body)
		r->fault = BENCH_F_HEAD;
	else if (want->status && r->status != want->status)
		r->fault = BENCH_F_STATUS;
	else if ((!want->no_body && r->content_length >= 0 &&
	          (uint64_t)r->content_length != r->body_len) ||
	         (want->no_body && r->body_len) ||
	         (want->length >= 0 && (uint64_t)want->length != r->body_len))
		r->fault = BENCH_F_LENGTH;
	else if (want->body && (r->body_differs || r->body_len != want->body_len))
		r->fault = BENCH_F_BODY;
	return BENCH_DONE;
}

/* ---- FastCGI records ----------------------------------------------------- */

static int
take_header(struct bench_reply *r, const uint8_t *h)
{
	r->type = h[1];
	r->content = (uint16_t)(h[4] << 8 | h[5]);
	r->padding = h[6];
	r->have = 0;
	r->phase = CONTENT;
	if (h[0] != 1 || (h[2] << 8 | h[3]) != BENCH_REQUEST_ID)
		return SN_EINVAL;
	if (r->type == FCGI_END_REQUEST)
		return r->content == 8 ? 0 : SN_EINVAL;
	return r->type == FCGI_STDOUT || r->type == FCGI_STDERR ? 0 : SN_EINVAL;
}

/* Collects what is left of 8 bytes; true when they are complete in `header`. */
static bool
collect(struct bench_reply *r, const uint8_t **data, size_t *len)
{
	size_t n = 8u - r->have < *len ? 8u - r->have : *len;

	memcpy(r->header + r->have, *data, n);
	r->have = (uint8_t)(r->have + n);
	*data += n;
	*len -= n;
	return r->have == 8;
}

static void
take_content(struct bench_reply *r, const struct bench_expect *want, const uint8_t **data,
             size_t *len)
{
	size_t n = r->content < *len ? r->content : *len;

	if (r->type == FCGI_END_REQUEST) {
		if (collect(r, data, len)) {
			r->protocol_status = r->header[4];
			r->content = 0;
			r->have = 0;
		}
		return;
	}
	if (r->type == FCGI_STDOUT)
		output(r, want, *data, n);
	else
		r->stderr_len += n;
	r->content = (uint16_t)(r->content - n);
	*data += n;
	*len -= n;
}

static enum bench_state
feed_fastcgi(struct bench_reply *r, const struct bench_expect *want, const uint8_t *data,
             size_t len)
{
	size_t n;

	for (;;) {
		if (r->phase == HEADER) {
			if (!collect(r, &data, &len))
				return BENCH_MORE;
			if (take_header(r, r->header) < 0)
				return broken(r, BENCH_F_RECORD);
		}
		if (r->phase == CONTENT) {
			if (r->content && len)
				take_content(r, want, &data, &len);
			if (r->content)
				return BENCH_MORE;
			r->phase = PADDING;
		}
		n = r->padding < len ? r->padding : len;
		r->padding = (uint8_t)(r->padding - n);
		data += n;
		len -= n;
		if (r->padding)
			return BENCH_MORE;
		r->phase = HEADER;
		if (r->type == FCGI_END_REQUEST)
			return len ? broken(r, BENCH_F_EXTRA) : judge(r, want);
	}
}

enum bench_state
bench_reply_feed(struct bench_reply *r, const struct bench_expect *want, const uint8_t *data,
                 size_t len)
{
	if (r->state != BENCH_MORE || len == 0)
		return (enum bench_state)r->state;
	r->bytes += len;
	if (r->proto == BENCH_FASTCGI)
		return feed_fastcgi(r, want, data, len);
	output(r, want, data, len);
	return BENCH_MORE;
}

enum bench_state
bench_reply_eof(struct bench_reply *r, const struct bench_expect *want)
{
	if (r->state != BENCH_MORE)
		return (enum bench_state)r->state;
	/* An SCGI answer that ends inside its head is as good as a cut one. */
	if (r->proto == BENCH_SCGI && r->in_body)
		return judge(r, want);
	return broken(r, BENCH_F_CUT);
}

static const struct {
	const char *name, *text;
} faults[BENCH_FAULTS] = {
	[BENCH_OK] = { "ok", "nothing is wrong" },
	[BENCH_F_RECORD] = { "record", "not a FastCGI record that can come here" },
	[BENCH_F_PROTOCOL] = { "protocol", "END_REQUEST refuses the request" },
	[BENCH_F_HEAD] = { "head", "the head of the answer is missing or malformed" },
	[BENCH_F_STATUS] = { "status", "the status is not the expected one" },
	[BENCH_F_LENGTH] = { "length", "the body has another length than announced or expected" },
	[BENCH_F_BODY] = { "body", "the body is not the expected one" },
	[BENCH_F_CUT] = { "cut", "the connection ended before the answer did" },
	[BENCH_F_EXTRA] = { "extra", "bytes came after the end of the answer" },
};

const char *
bench_fault_name(enum bench_fault fault)
{
	return faults[fault].name;
}

const char *
bench_fault_text(enum bench_fault fault)
{
	return faults[fault].text;
}
