/* SPDX-License-Identifier: MIT
 *
 * One answer while it is built: status, checked header lines, body. The head is
 * the CGI one (RFC 3875 section 6: "Status: 200 OK"). Owned by the thread that
 * builds it; handed whole to a sink.
 */
#ifndef SN_HTTP_RESPONSE_H
#define SN_HTTP_RESPONSE_H

#include "base/buf.h"
#include "http/request.h"
#include "http/status.h"

/* The answer's head stays below this by default: every front server's buffer holds it. */
#define SN_HEAD_LIMIT 4096
/* Of the limit, kept for the lines that the server writes: Status, Content-Length, a
 * default Content-Type. */
#define SN_HEAD_RESERVE 160

struct sn_response {
	struct sn_request *req; /* borrowed; may be NULL in tests */
	int status;             /* 0: not set: sn_response_final_status() */
	bool has_type, has_vary;
	bool can_send;          /* a blocking thread: sn_response_send() may be used */
	bool started;           /* the body is streamed by the sink's write; set before its start() */
	bool gone;              /* sn_response_send() saw SN_EGONE: the sink has ended the request */
	bool raw_body_known;    /* a body was set, be it of length 0 */
	size_t head_limit;
	struct sn_buf head;     /* "Name: value\r\n"... */
	struct sn_buf body;     /* copied bytes */

	/* A body that lies elsewhere, instead of `body`. `done(done_arg)` may be called by
	 * any thread and must not block; a sink that takes it over sets it to NULL here.
	 * done == NULL: valid until respond returns. */
	const void *ext;
	size_t ext_len;
	void (*done)(void *arg);
	void *done_arg;

	/* A streamed body, instead of both. */
	ssize_t (*pull)(void *arg, void *buf, size_t size);
	void (*pull_done)(void *arg);
	void *pull_arg;
	int64_t length; /* of a streamed body; -1: unknown */
};

/* The limit that responses begin with from now on (limits.head); SN_HEAD_LIMIT until
 * then. Once, before the first request: it is the process's. Any thread may read it. */
void sn_response_set_head_limit(size_t limit);
/* Begins on storage lent by the caller (may be NULL, 0). */
void sn_response_init(struct sn_response *res, struct sn_request *req, void *head_store,
                      size_t head_size, void *body_store, size_t body_size);
/* Frees the buffers; calls done and pull_done if nobody has yet. */
void sn_response_free(struct sn_response *res);
/* Header with lengths; the same checks as sn_response_header(). SN_EINVAL: a name that is
 * not a token; control characters but TAB in the value; a name that is the server's
 * (Status, Content-Length) or the connection's (Connection, Keep-Alive, Proxy-Connection,
 * TE, Trailer, Transfer-Encoding, Upgrade). A second Content-Type replaces the first, any
 * other name repeats. SN_ELIMIT: over head_limit; the head is unchanged then. */
int sn_response_header_n(struct sn_response *res, const char *name, size_t name_len,
                         const char *value, size_t value_len);
/* Content-Type, where none was set: of the server's own, which need no checks. SN_ELIMIT as above. */
int sn_response_default_type(struct sn_response *res, const char *type);
/* True when a header of that name was set (any case). */
bool sn_response_has_header(const struct sn_response *res, const char *name, size_t name_len);
/* Takes every header of that name out; how many there were. */
unsigned sn_response_remove_header(struct sn_response *res, const char *name, size_t name_len);
/* The status that will be sent: 200, or 204 without a body, when none was set. */
int sn_response_final_status(const struct sn_response *res);
/* Drops what was built, to answer something else. Keeps req, can_send, started and
 * head_limit. */
void sn_response_reset(struct sn_response *res);
/* Drops the body, of whatever kind; status and headers stay. */
void sn_response_drop_body(struct sn_response *res);
/* The body's length as it will be sent; -1: unknown. `suppress` tells whether the bytes
 * stay behind (HEAD, 204, 304). */
int64_t sn_response_length(const struct sn_response *res, bool *suppress);
/* Appends "Status: ...\r\n" + headers + Content-Length (where known and allowed) +
 * "\r\n". Content-Type defaults to text/html; charset=utf-8 when there is a body and
 * none was set. */
int sn_response_head(const struct sn_response *res, struct sn_buf *out);
/* A complete error answer, by sn_request_wants_json: compact JSON
 * {"error":"No such user","status":404,"request_id":"00000000000004d2"}, or a small HTML
 * page with the same three. `text` NULL: the reason phrase; bytes that are not UTF-8 become
 * U+FFFD. request_id is absent without a request. Replaces the body, the type and the
 * status, keeps headers already set (Allow), adds Vary: Accept. SN_ENOMEM. */
int sn_response_error_page(struct sn_response *res, int status, const char *text);
/* Answers 503 with Retry-After and that page; nothing where the request has no sink. Any thread;
 * keeps `req`. */
void sn_request_refuse(struct sn_request *req, const char *text);

#endif
