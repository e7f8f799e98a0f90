/* SPDX-License-Identifier: MIT
 *
 * What a connection needs of a protocol: bytes in, events out; an answer's
 * frames. Pure: no descriptor, no allocation, any split of the bytes gives the
 * same events. FastCGI and SCGI implement it.
 */
#ifndef SN_TRANSPORT_WIRE_H
#define SN_TRANSPORT_WIRE_H

#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "http/request.h"

enum sn_wire_type {
	SN_WIRE_MORE,       /* all bytes consumed, nothing to tell yet */
	SN_WIRE_BEGIN,      /* a request `id` begins; `keep`: keep the connection afterwards.
	                       `stream`: the one that has this id already (its body is complete),
	                       or NULL. The connection accepts or refuses. */
	SN_WIRE_PARAMS,     /* `data` is more of the parameter bytes */
	SN_WIRE_PARAMS_END, /* parameters complete */
	SN_WIRE_BODY,       /* `data` is more of the body */
	SN_WIRE_BODY_END,   /* body complete */
	SN_WIRE_ABORT,      /* the peer no longer wants request `id` */
	SN_WIRE_REPLY,      /* `data` (inside the wire's own state, valid until the next call)
	                       is to be sent as it is: management answers (id 0, keep), and the
	                       refusal of an unknown role (its id and `keep`) */
	SN_WIRE_FAULT       /* protocol broken: nothing more can be read; `fault` says why.
	                       Every later call says the same. */
};

enum sn_wire_fault {
	SN_WIRE_F_NONE,
	SN_WIRE_F_VERSION,   /* FastCGI record version is not 1 */
	SN_WIRE_F_ORDER,     /* a record that cannot come now */
	SN_WIRE_F_LENGTH,    /* a record or netstring whose length is impossible */
	SN_WIRE_F_SYNTAX,    /* SCGI: not a netstring */
	SN_WIRE_F_TOO_LARGE  /* SCGI: a netstring over limits->params. BEGIN came before it and
	                        was answered, so the connection can still say 431 */
};

/* A request that was accepted and not yet released: the connection's memory, in the
 * wire's list, so that a codec has no limit and no allocation of its own. */
struct sn_wire_stream {
	struct sn_wire_stream *next;
	uint16_t id;
	uint8_t stage; /* the codec's */
};

struct sn_wire_event {
	enum sn_wire_type type;
	enum sn_wire_fault fault;
	uint16_t id;
	bool keep;
	struct sn_wire_stream *stream; /* whose event it is; NULL: the connection's */
	const uint8_t *data;
	size_t len;
};

#define SN_WIRE_REPLY_MAX 80 /* GET_VALUES_RESULT with all three values */
#define SN_FCGI_SEEN 4

struct sn_fcgi { /* idle connections hold one each: 72 bytes; see fastcgi.c */
	struct sn_wire_stream *streams; /* accepted, the latest first */
	struct sn_wire_stream *current; /* whose record is being handed out */
	uint8_t header[8];    /* of the current record */
	uint8_t have;         /* bytes of the header, the BEGIN body or a pair collected so far */
	uint8_t phase, fault;
	bool many;            /* the peer has had more than one request open at a time */
	uint16_t pending;     /* id of a BEGIN that was not yet accepted or refused; 0: none */
	uint16_t seen[SN_FCGI_SEEN]; /* last ids that ended or were refused: late records are ignored */
	uint8_t seen_next;
	uint8_t padding;      /* padding bytes left */
	uint16_t content;     /* content bytes left of this record */
	uint8_t small[16];    /* BEGIN body; a GET_VALUES name */
	uint32_t name, value; /* GET_VALUES: bytes left of the current pair */
	uint8_t asked;        /* GET_VALUES: which of the known names were asked for */
	uint8_t name_len;     /* GET_VALUES: 0: a name that cannot be a known one */
	bool late;            /* records of an ended or refused request may still come */
};

struct sn_scgi {
	struct sn_wire_stream *stream;
	uint8_t phase, fault, digits;
	uint64_t left; /* bytes of the netstring, then of the body */
};

struct sn_wire {
	const struct sn_wire_ops *ops;
	union {
		struct sn_fcgi fcgi;
		struct sn_scgi scgi;
	} u;
	uint8_t reply[SN_WIRE_REPLY_MAX]; /* SN_WIRE_REPLY points here */
};

struct sn_wire_limits {
	uint32_t params; /* SCGI: the longest netstring; FastCGI: not looked at */
	uint32_t connections; /* announced as FCGI_MAX_CONNS */
	uint32_t requests;    /* of one connection at a time; FCGI_MPXS_CONNS is 1 above 1 */
};

struct sn_wire_ops {
	const char *name; /* "fastcgi" */
	enum sn_params_form form;
	bool half_close_is_alive; /* a peer that shut its writing side still reads */

	/* Consumes some of `data` (the count is returned) and fills `ev` with one event.
	 * Call again with the rest until SN_WIRE_MORE or SN_WIRE_FAULT. An event may come
	 * with 0 bytes consumed; call also with len 0 until SN_WIRE_MORE. */
	size_t (*feed)(struct sn_wire *w, const struct sn_wire_limits *limits, const uint8_t *data,
	               size_t len, struct sn_wire_event *ev);
	/* After BEGIN, before the next feed: take the request, in `stream` (not while another
	 * has its id: release that one first) ... */
	void (*accept)(struct sn_wire *w, struct sn_wire_stream *stream, uint16_t id);
	/* ... or refuse it: then its records are passed over. Writes the refusal frame to `out`,
	 * at least 32 bytes; the length is returned: 0 for SCGI, close then. */
	size_t (*refuse)(struct sn_wire *w, const struct sn_wire_limits *limits, uint16_t id,
	                 uint8_t *out);
	/* What the protocol asks of the parameters beyond their form (SCGI: CONTENT_LENGTH
	 * first, SCGI=1). 0, or the HTTP status to answer and its reason. */
	int (*check)(const struct sn_request *req, const char **reason);
	/* After PARAMS_END: the length of the body (SCGI; no-op for FastCGI). SCGI without it:
	 * what comes is passed over, and BODY_END never comes. */
	void (*expect)(struct sn_wire *w, uint64_t body);
	/* The answer is complete (or the request was aborted): the stream is the connection's
	 * again; what is left of the request's body is passed over silently. */
	void (*release)(struct sn_wire *w, struct sn_wire_stream *stream);
	/* True when the body of the accepted request has not ended yet. */
	bool (*receiving)(const struct sn_wire_stream *stream);
	/* True when the peer has had more than one request open at a time: it may have begun
	 * another one that is still under way. */
	bool (*multiplexed)(const struct sn_wire *w);

	/* Nothing of a next request was read, and nothing of earlier ones is still to come that only this
	 * state tells from garbage: another reader may go on with the bytes that follow. */
	bool (*between)(const struct sn_wire *w);

	/* Framing of answers. No state: any thread. */
	size_t frame_max; /* most body bytes one frame carries */
	/* Writes the frame header for `len` (1 to frame_max) bytes of output; its size, at most 8. */
	size_t (*frame)(uint8_t *out, uint16_t id, size_t len);
	/* Writes the end of the answer; its size, at most 32. */
	size_t (*end)(uint8_t *out, uint16_t id, uint32_t app_status);
};

extern const struct sn_wire_ops sn_wire_fastcgi, sn_wire_scgi;

static inline void
sn_wire_init(struct sn_wire *w, const struct sn_wire_ops *ops)
{
	memset(&w->u, 0, sizeof(w->u));
	w->ops = ops;
}

/* "the record version is not 1", for the log. */
const char *sn_wire_fault_text(enum sn_wire_fault fault);

#endif
