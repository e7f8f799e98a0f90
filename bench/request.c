/* SPDX-License-Identifier: MIT
 *
 * A request's bytes as a front server would send them. FastCGI's records are
 * laid out as nginx does it: BEGIN, one PARAMS record where it fits, an empty
 * one, STDIN in pieces of 32 KiB padded to 8 bytes, an empty one.
 */
#include "codec.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

enum {
	FCGI_VERSION = 1,
	FCGI_BEGIN_REQUEST = 1,
	FCGI_PARAMS = 4,
	FCGI_STDIN = 5,
	FCGI_ROLE_RESPONDER = 1,
	FCGI_KEEP = 1,
	PARAMS_RECORD = 65528, /* a multiple of 8, so that it needs no padding */
	STDIN_RECORD = 32768,
	MAX_PAIRS = 256
};

struct pairs {
	struct bench_pair list[MAX_PAIRS];
	size_t n;
	char length[24], uri[8192];
};

static const struct bench_pair defaults[] = {
	{ "QUERY_STRING", NULL },
	{ "REQUEST_METHOD", NULL },
	{ "CONTENT_TYPE", NULL },
	{ "CONTENT_LENGTH", NULL },
	{ "SCRIPT_NAME", NULL },
	{ "REQUEST_URI", NULL },
	{ "DOCUMENT_URI", NULL },
	{ "DOCUMENT_ROOT", "/var/www/html" },
	{ "SERVER_PROTOCOL", "HTTP/1.1" },
	{ "REQUEST_SCHEME", "http" },
	{ "GATEWAY_INTERFACE", "CGI/1.1" },
	{ "SERVER_SOFTWARE", "nginx/1.22.1" },
	{ "REMOTE_ADDR", "192.0.2.17" },
	{ "REMOTE_PORT", "51234" },
	{ "SERVER_ADDR", "192.0.2.1" },
	{ "SERVER_PORT", "80" },
	{ "SERVER_NAME", "www.example.org" },
	{ "REDIRECT_STATUS", "200" }, /* SCGI sends SCGI=1 in its place */
	{ "HTTP_HOST", "www.example.org" },
	{ "HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0" },
	{ "HTTP_ACCEPT", "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8" },
	{ "HTTP_ACCEPT_ENCODING", "gzip, deflate, br" },
};

static const char *
default_value(struct pairs *p, const struct bench_request *req, const struct bench_pair *d)
{
	if (d->value)
		return d->value;
	if (strcmp(d->name, "QUERY_STRING") == 0)
		return req->query;
	if (strcmp(d->name, "REQUEST_METHOD") == 0)
		return req->method;
	if (strcmp(d->name, "CONTENT_TYPE") == 0)
		return req->body_len ? req->content_type : "";
	if (strcmp(d->name, "CONTENT_LENGTH") == 0)
		return p->length;
	if (strcmp(d->name, "REQUEST_URI") == 0)
		return p->uri;
	return req->path; /* SCRIPT_NAME, DOCUMENT_URI: no PATH_INFO, as nginx */
}

static int
collect(struct pairs *p, const struct bench_request *req)
{
	size_t i, k;

	/* nginx sends an empty CONTENT_LENGTH where there is no body; SCGI must have a number. */
	if (req->body_len || req->proto == BENCH_SCGI)
		snprintf(p->length, sizeof(p->length), "%zu", req->body_len);
	else
		p->length[0] = '\0';
	if (snprintf(p->uri, sizeof(p->uri), "%s%s%s", req->path, *req->query ? "?" : "",
	             req->query) >= (int)sizeof(p->uri))
		return SN_EINVAL;
	for (i = 0, p->n = 0; i < SN_COUNT(defaults); i++, p->n++) {
		p->list[p->n].name = defaults[i].name;
		p->list[p->n].value = default_value(p, req, &defaults[i]);
		if (req->proto == BENCH_SCGI && strcmp(defaults[i].name, "REDIRECT_STATUS") == 0)
			p->list[p->n] = (struct bench_pair){ "SCGI", "1" };
	}
	for (i = 0; i < req->n_extra; i++) {
		for (k = 0; k < p->n && strcmp(p->list[k].name, req->extra[i].name) != 0; k++)
			;
		if (k == MAX_PAIRS || !*req->extra[i].name)
			return SN_EINVAL;
		p->list[k] = req->extra[i];
		if (k == p->n)
			p->n++;
	}
	return 0;
}

/* ---- FastCGI ------------------------------------------------------------ */

static int
add_record(struct sn_buf *out, int type, const void *data, size_t len)
{
	static const uint8_t zero[8];
	size_t padding = -len & 7;
	uint8_t h[8] = { FCGI_VERSION, (uint8_t)type, BENCH_REQUEST_ID >> 8, BENCH_REQUEST_ID & 255,
		         (uint8_t)(len >> 8), (uint8_t)len, (uint8_t)padding, 0 };

	if (sn_buf_add(out, h, sizeof(h)) < 0 || sn_buf_add(out, data, len) < 0 ||
	    sn_buf_add(out, zero, padding) < 0)
		return SN_ENOMEM;
	return 0;
}

static int
add_stream(struct sn_buf *out, int type, const void *data, size_t len, size_t piece)
{
	size_t at, n;

	for (at = 0; at < len; at += n) {
		n = len - at < piece ? len - at : piece;
		if (add_record(out, type, (const char *)data + at, n) < 0)
			return SN_ENOMEM;
	}
	return add_record(out, type, NULL, 0);
}

static int
add_length(struct sn_buf *out, size_t len)
{
	uint8_t b[4] = { (uint8_t)(len >> 24 | 0x80), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
		         (uint8_t)len };

	return len < 128 ? sn_buf_add(out, &b[3], 1) : sn_buf_add(out, b, 4);
}

static int
encode_fastcgi(struct sn_buf *out, const struct bench_request *req, const struct pairs *p)
{
	const uint8_t begin[8] = { 0, FCGI_ROLE_RESPONDER, req->keep ? FCGI_KEEP : 0 };
	struct sn_buf params;
	int rc = SN_ENOMEM;
	size_t i;

	sn_buf_init(&params, NULL, 0);
	for (i = 0; i < p->n; i++) {
		if (add_length(&params, strlen(p->list[i].name)) < 0 ||
		    add_length(&params, strlen(p->list[i].value)) < 0 ||
		    sn_buf_adds(&params, p->list[i].name) < 0 ||
		    sn_buf_adds(&params, p->list[i].value) < 0)
			goto out;
	}
	if (add_record(out, FCGI_BEGIN_REQUEST, begin, sizeof(begin)) < 0 ||
	    add_stream(out, FCGI_PARAMS, params.data, params.len, PARAMS_RECORD) < 0 ||
	    add_stream(out, FCGI_STDIN, req->body, req->body_len, STDIN_RECORD) < 0)
		goto out;
	rc = 0;
out:
	sn_buf_free(&params);
	return rc;
}

/* ---- SCGI ----------------------------------------------------------------- */

static int
add_header(struct sn_buf *b, const struct bench_pair *pair)
{
	return sn_buf_add(b, pair->name, strlen(pair->name) + 1) < 0 ||
	       sn_buf_add(b, pair->value, strlen(pair->value) + 1) < 0 ? SN_ENOMEM : 0;
}

static int
encode_scgi(struct sn_buf *out, const struct bench_request *req, const struct pairs *p)
{
	struct sn_buf headers;
	int rc = SN_ENOMEM;
	size_t i, first = 0;

	sn_buf_init(&headers, NULL, 0);
	while (strcmp(p->list[first].name, "CONTENT_LENGTH") != 0)
		first++; /* always there: one of the defaults */
	if (add_header(&headers, &p->list[first]) < 0)
		goto out;
	for (i = 0; i < p->n; i++) {
		if (i != first && add_header(&headers, &p->list[i]) < 0)
			goto out;
	}
	if (sn_buf_addf(out, "%zu:", headers.len) < 0 ||
	    sn_buf_add(out, headers.data, headers.len) < 0 || sn_buf_adds(out, ",") < 0 ||
	    sn_buf_add(out, req->body, req->body_len) < 0)
		goto out;
	rc = 0;
out:
	sn_buf_free(&headers);
	return rc;
}

int
bench_request_encode(struct sn_buf *out, const struct bench_request *req)
{
	struct pairs p;

	if (collect(&p, req) < 0)
		return SN_EINVAL;
	return req->proto == BENCH_SCGI ? encode_scgi(out, req, &p) : encode_fastcgi(out, req, &p);
}
