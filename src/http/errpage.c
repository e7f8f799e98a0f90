/* SPDX-License-Identifier: MIT
 *
 * The page that goes with an error: JSON for programs, HTML for browsers. The
 * text may hold anything (a path, a message of an application): it is escaped
 * for both. One thread at a time.
 */
#include <inttypes.h>
#include <stdio.h>

#include "http/response.h"

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* The length of the UTF-8 character at `s`, 0 when there is none. */
static size_t
character(const char *s, size_t left)
{
	for (size_t n = 1; n <= 4 && n <= left; n++)
		if (sn_utf8_valid(s, n))
			return n;
	return 0;
}

static int
add_json_char(struct sn_buf *out, char c)
{
	switch (c) {
	case '"': return sn_buf_add(out, "\\\"", 2);
	case '\\': return sn_buf_add(out, "\\\\", 2);
	case '\n': return sn_buf_add(out, "\\n", 2);
	case '\r': return sn_buf_add(out, "\\r", 2);
	case '\t': return sn_buf_add(out, "\\t", 2);
	default:
		if ((unsigned char)c < 0x20)
			return sn_buf_addf(out, "\\u%04x", c);
		return sn_buf_add(out, &c, 1);
	}
}

static int
add_html_char(struct sn_buf *out, char c)
{
	switch (c) {
	case '<': return sn_buf_adds(out, "&lt;");
	case '>': return sn_buf_adds(out, "&gt;");
	case '&': return sn_buf_adds(out, "&amp;");
	case '"': return sn_buf_adds(out, "&quot;");
	case '\'': return sn_buf_adds(out, "&#39;");
	default:
		if ((unsigned char)c < 0x20 && c != '\n' && c != '\t')
			return sn_buf_adds(out, replacement);
		return sn_buf_add(out, &c, 1);
	}
}

static int
add_escaped(struct sn_buf *out, const char *s, int (*add)(struct sn_buf *, char))
{
	size_t left = strlen(s);
	while (left) {
		size_t n = character(s, left);
		int rc;
		if (n == 1)
			rc = add(out, *s);
		else if (n)
			rc = sn_buf_add(out, s, n);
		else
			rc = sn_buf_adds(out, replacement);
		if (rc < 0)
			return rc;
		n += n == 0;
		s += n;
		left -= n;
	}
	return 0;
}

static int
add_json_page(struct sn_buf *out, int status, const char *text, const struct sn_request *req)
{
	int rc = sn_buf_adds(out, "{\"error\":\"");
	if (rc == 0)
		rc = add_escaped(out, text, add_json_char);
	if (rc == 0)
		rc = sn_buf_addf(out, "\",\"status\":%d", status);
	if (rc == 0 && req)
		rc = sn_buf_addf(out, ",\"request_id\":\"%016" PRIx64 "\"", req->id);
	return rc == 0 ? sn_buf_adds(out, "}") : rc;
}

static int
add_html_page(struct sn_buf *out, int status, const char *text, const struct sn_request *req)
{
	const char *reason = sn_status_reason(status);
	const char *tag = strchr(text, '\n') ? "pre" : "p"; /* a traceback keeps its lines */
	int rc = sn_buf_addf(out,
	                     "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">"
	                     "<title>%d %s</title></head>\n<body>\n<h1>%d %s</h1>\n<%s>",
	                     status, reason, status, reason, tag);
	if (rc == 0)
		rc = add_escaped(out, text, add_html_char);
	if (rc == 0)
		rc = sn_buf_addf(out, "</%s>\n", tag);
	if (rc == 0 && req)
		rc = sn_buf_addf(out, "<p><small>Request %016" PRIx64 "</small></p>\n", req->id);
	return rc == 0 ? sn_buf_adds(out, "</body>\n</html>\n") : rc;
}

/* Beyond head_limit where it must be: the page has to say what it is. */
static int
set_type(struct sn_response *res, const char *type)
{
	static const char vary[] = "Vary: Accept\r\n";
	sn_response_remove_header(res, "Content-Type", 12);
	if (sn_buf_addf(&res->head, "Content-Type: %s\r\n", type) < 0)
		return SN_ENOMEM;
	res->has_type = true;
	if (!res->req || memmem(res->head.data, res->head.len, vary, sizeof(vary) - 1))
		return 0;
	if (sn_buf_add(&res->head, vary, sizeof(vary) - 1) < 0)
		return SN_ENOMEM;
	res->has_vary = true;
	return 0;
}

int
sn_response_error_page(struct sn_response *res, int status, const char *text)
{
	const struct sn_request *req = res->req;
	bool json = !req || sn_request_wants_json(req);

	sn_response_drop_body(res);
	res->status = status;
	res->raw_body_known = true;
	if (!text)
		text = sn_status_reason(status);
	int rc = set_type(res, json ? "application/json" : "text/html; charset=utf-8");
	if (rc == 0)
		rc = (json ? add_json_page : add_html_page)(&res->body, status, text, req);
	return rc < 0 ? SN_ENOMEM : 0;
}

void
sn_request_refuse(struct sn_request *req, const char *text)
{
	struct sn_response res;
	char head[512], body[1024];
	if (!req->sink)
		return;
	sn_response_init(&res, req, head, sizeof(head), body, sizeof(body));
	sn_response_header_n(&res, "Retry-After", 11, "1", 1);
	sn_response_error_page(&res, 503, text);
	req->sink->respond(req, &res);
	sn_response_free(&res);
}
