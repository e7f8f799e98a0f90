/* SPDX-License-Identifier: MIT
 *
 * Request parameters: the bytes of a FastCGI PARAMS stream (FastCGI spec
 * 3.4) or of an SCGI header block, checked and turned into one canonical form
 * in memory: "NAME\0value\0" one after the other, and an index. Pure: no
 * allocation, no descriptor.
 */
#ifndef SN_HTTP_PARAMS_H
#define SN_HTTP_PARAMS_H

#include <stdint.h>

#include "base/err.h"
#include "base/vec.h"

struct sn_param {
	uint32_t name, value; /* offsets into the canonical bytes */
	uint32_t value_len;
	uint16_t name_len;
	uint16_t flags; /* enum sn_param_flags */
};

enum sn_param_flags {
	SN_PARAM_HEADER = 1, /* HTTP_*: counts against limits.headers */
	SN_PARAM_DROPPED = 2 /* HTTP_PROXY (httpoxy), HTTP_CONTENT_TYPE, HTTP_CONTENT_LENGTH: not shown to handlers */
};

/* The parameters that the server itself reads, found once while decoding. */
enum sn_param_id {
	SN_P_REQUEST_METHOD,
	SN_P_SCRIPT_NAME,
	SN_P_PATH_INFO,
	SN_P_DOCUMENT_URI,
	SN_P_REQUEST_URI,
	SN_P_QUERY_STRING,
	SN_P_CONTENT_TYPE,
	SN_P_CONTENT_LENGTH,
	SN_P_TRANSFER_ENCODING, /* HTTP_TRANSFER_ENCODING */
	SN_P_ACCEPT,            /* HTTP_ACCEPT */
	SN_P_REMOTE_ADDR,
	SN_P_KNOWN
};

enum sn_params_fault {
	SN_PARAMS_OK = 0,
	SN_PARAMS_TRUNCATED, /* a length points past the end; SCGI: no closing NUL */
	SN_PARAMS_NAME,      /* an empty name, or NUL or '=' in it, or over 65535 bytes */
	SN_PARAMS_VALUE,     /* NUL in a value */
	SN_PARAMS_METHOD,    /* REQUEST_METHOD is absent or empty (sn_request_build) */
	SN_PARAMS_ROOM       /* no fault of the bytes: the index is full */
};

/* More pairs than this cannot be indexed by `known`: sn_request_build refuses them. */
#define SN_PARAMS_MAX 65534

/* How many pairs. Lengths are below 4 GiB. A fault of `enum sn_params_fault` as a negative number. */
long sn_params_count_fcgi(const uint8_t *src, size_t len);
long sn_params_count_scgi(const uint8_t *src, size_t len);

/* What the names of the latest parameters meant, by their places: a front server sends the same names
 * in the same order again and again, so most of a request's are known before they are looked at. The
 * caller's, one a thread; all zero: nothing yet. Never changes what is decoded. */
#define SN_PARAMS_NAMES 48
struct sn_params_names {
	struct sn_params_name {
		sn_vec head, tail;           /* the name */
		sn_vec head_mask, tail_mask; /* which of these bytes are */
		uint32_t len;                /* 0: none; at most 32 */
		uint16_t flags;              /* enum sn_param_flags */
		int16_t id;                  /* enum sn_param_id, or -1 */
	} item[SN_PARAMS_NAMES];
};

struct sn_params {
	struct sn_param *index; /* given: has room for `room` pairs */
	size_t room;
	char *bytes;            /* given: has room for the source's length, and may be the source itself */
	struct sn_params_names *names; /* given, or NULL; only FastCGI's have them */
	size_t used;            /* length of the canonical form */
	uint32_t n;             /* pairs */
	uint32_t headers;       /* of them, SN_PARAM_HEADER */
	uint16_t known[SN_P_KNOWN]; /* an index + 1, 0 when absent (the first of a repeated one) */
};

/* Fills used, n, headers and known, and what index and bytes point to. Returns 0 or a fault as a
 * negative number; -SN_PARAMS_ROOM: the index is too small, count and come again (the bytes
 * are spoilt then). */
int sn_params_decode_fcgi(struct sn_params *p, const uint8_t *src, size_t len);
int sn_params_decode_scgi(struct sn_params *p, const uint8_t *src, size_t len);
/* "a parameter name is empty or holds NUL or '='", for the 400's text. Takes the
 * fault with either sign. */
const char *sn_params_fault_text(int fault);

#endif
