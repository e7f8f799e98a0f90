/* SPDX-License-Identifier: MIT
 *
 * The client's side of FastCGI and SCGI: the bytes of one request, made once
 * and sent many times, and an incremental reader that checks every answer.
 * Written apart from the server's codecs on purpose: it would otherwise agree
 * with their mistakes. Pure: no descriptor; the reader allocates nothing.
 */
#ifndef BENCH_CODEC_H
#define BENCH_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum bench_proto { BENCH_FASTCGI, BENCH_SCGI };

#define BENCH_REQUEST_ID 1

struct bench_pair {
	const char *name, *value;
};

struct bench_request {
	enum bench_proto proto;
	bool keep;                      /* FastCGI: FCGI_KEEP_CONN */
	const char *method;
	const char *path;               /* decoded; the part before '?' */
	const char *query;              /* "" for none */
	const char *content_type;
	const void *body;               /* borrowed */
	size_t body_len;
	const struct bench_pair *extra; /* added, or put in the place of the same name */
	size_t n_extra;
};

/* Appends the whole request: the parameters that nginx sends (22 without
 * extras) and the body. SN_ENOMEM, or SN_EINVAL when a pair cannot be sent. */
int bench_request_encode(struct sn_buf *out, const struct bench_request *req);

struct bench_expect {
	int status;           /* 0: any */
	const void *body;     /* NULL: not compared */
	size_t body_len;
	int64_t length;       /* -1: not compared */
	bool no_body;         /* the answer to a HEAD: Content-Length promises nothing */
	struct sn_buf *keep;  /* the body is appended here, up to keep_max; NULL: nowhere */
	size_t keep_max;
};

enum bench_fault {
	BENCH_OK,
	BENCH_F_RECORD,   /* version, type, id or length of a FastCGI record */
	BENCH_F_PROTOCOL, /* END_REQUEST's protocolStatus is not REQUEST_COMPLETE */
	BENCH_F_HEAD,     /* no head, or a malformed one */
	BENCH_F_STATUS,
	BENCH_F_LENGTH,   /* not Content-Length, or not the expected length */
	BENCH_F_BODY,     /* not the expected text */
	BENCH_F_CUT,      /* the connection ended inside the answer */
	BENCH_F_EXTRA,    /* bytes after the answer */
	BENCH_FAULTS
};

enum bench_state { BENCH_MORE, BENCH_DONE, BENCH_BROKEN };

struct bench_reply {
	uint8_t proto, state, fault;
	uint8_t have;            /* bytes of `header` */
	uint8_t phase, type;
	uint8_t padding;
	bool in_body, body_differs;
	uint8_t line_len;        /* bytes of `line`; longer lines keep their beginning */
	uint16_t content;        /* left of this record */
	uint16_t status;         /* as far as known: 200 by default */
	uint8_t protocol_status; /* of END_REQUEST */
	uint8_t header[8];
	int64_t content_length;  /* -1: not said */
	uint64_t body_len, stderr_len;
	uint64_t bytes;          /* everything of this answer */
	char line[104];
};

void bench_reply_reset(struct bench_reply *r, enum bench_proto proto);
/* Consumes `len` bytes. BENCH_MORE, BENCH_DONE (FastCGI: END_REQUEST came; the
 * verdict is in `fault`) or BENCH_BROKEN (nothing more can be read). */
enum bench_state bench_reply_feed(struct bench_reply *r, const struct bench_expect *want,
                                  const uint8_t *data, size_t len);
/* The peer closed. SCGI answers end so; anything else was cut. */
enum bench_state bench_reply_eof(struct bench_reply *r, const struct bench_expect *want);
/* "status", as in the JSON report; and a sentence. */
const char *bench_fault_name(enum bench_fault fault);
const char *bench_fault_text(enum bench_fault fault);

#endif
