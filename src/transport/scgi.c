/* SPDX-License-Identifier: MIT
 *
 * SCGI: one request a connection: a netstring of parameters, then as many body
 * bytes as CONTENT_LENGTH says. Pure: any split gives the same events; no
 * descriptor, no allocation. Bytes after the body are passed over. Runs on the
 * connection's I/O thread.
 */
#include "transport/wire.h"

#define DIGITS_MAX 10

enum phase {
	P_LENGTH,    /* digits of the netstring's length, to the colon */
	P_PENDING,   /* BEGIN told, not yet answered */
	P_TOO_LARGE, /* the same, and the block is over the limit */
	P_BLOCK,     /* the parameters */
	P_COMMA,
	P_EXPECT,    /* parameters told; waiting for the body's length */
	P_BODY,
	P_DRAIN,     /* nobody wants what still comes */
	P_BROKEN
};

enum { STREAM_OPEN, STREAM_DONE };

static void
broken(struct sn_scgi *s, struct sn_wire_event *ev, enum sn_wire_fault fault)
{
	s->phase = P_BROKEN;
	s->fault = (uint8_t)fault;
	ev->type = SN_WIRE_FAULT;
	ev->fault = fault;
}

/* One byte of the length. True: there is an event. */
static bool
take_length(struct sn_scgi *s, const struct sn_wire_limits *limits, uint8_t c,
            struct sn_wire_event *ev)
{
	if (c >= '0' && c <= '9') {
		if (s->digits == 1 && s->left == 0) { /* a netstring's length has no leading zero */
			broken(s, ev, SN_WIRE_F_SYNTAX);
			return true;
		}
		if (s->digits == DIGITS_MAX) {
			broken(s, ev, SN_WIRE_F_LENGTH);
			return true;
		}
		s->left = s->left * 10 + (uint64_t)(c - '0');
		s->digits++;
		return false;
	}
	if (c != ':' || s->digits == 0) {
		broken(s, ev, SN_WIRE_F_SYNTAX);
		return true;
	}
	s->phase = s->left > limits->params ? P_TOO_LARGE : P_PENDING;
	ev->type = SN_WIRE_BEGIN;
	return true;
}

/* Hands out up to `left` bytes. */
static size_t
hand_out(struct sn_scgi *s, enum sn_wire_type type, const uint8_t *data, size_t len,
         struct sn_wire_event *ev)
{
	size_t n = len < s->left ? len : (size_t)s->left;
	ev->type = type;
	ev->data = data;
	ev->len = n;
	s->left -= n;
	return n;
}

static size_t
feed_length(struct sn_scgi *s, const struct sn_wire_limits *limits, const uint8_t *data,
            size_t len, struct sn_wire_event *ev)
{
	for (size_t i = 0; i < len; i++)
		if (take_length(s, limits, data[i], ev))
			return s->phase == P_BROKEN ? i : i + 1;
	return len;
}

static size_t
feed(struct sn_wire *w, const struct sn_wire_limits *limits, const uint8_t *data, size_t len,
     struct sn_wire_event *ev)
{
	struct sn_scgi *s = &w->u.scgi;
	memset(ev, 0, sizeof(*ev));
	ev->id = 1;
	ev->stream = s->stream;
	SN_ASSERT(s->phase != P_PENDING); /* BEGIN must be accepted or refused first */
	switch ((enum phase)s->phase) {
	case P_LENGTH:
		return feed_length(s, limits, data, len, ev);
	case P_TOO_LARGE:
		broken(s, ev, SN_WIRE_F_TOO_LARGE);
		return 0;
	case P_BLOCK:
		if (s->left && len)
			return hand_out(s, SN_WIRE_PARAMS, data, len, ev);
		if (s->left)
			return 0;
		s->phase = P_COMMA;
		/* fallthrough */
	case P_COMMA:
		if (len == 0)
			return 0;
		if (*data != ',') {
			broken(s, ev, SN_WIRE_F_SYNTAX);
			return 0;
		}
		s->phase = P_EXPECT;
		ev->type = SN_WIRE_PARAMS_END;
		return 1;
	case P_BODY:
		if (s->left)
			return len ? hand_out(s, SN_WIRE_BODY, data, len, ev) : 0;
		s->phase = P_DRAIN;
		s->stream->stage = STREAM_DONE;
		ev->type = SN_WIRE_BODY_END;
		return 0;
	case P_EXPECT:
	case P_DRAIN:
		return len;
	case P_PENDING:
	case P_BROKEN:
		break;
	}
	broken(s, ev, (enum sn_wire_fault)s->fault);
	return 0;
}

static void
accept_request(struct sn_wire *w, struct sn_wire_stream *stream, uint16_t id)
{
	struct sn_scgi *s = &w->u.scgi;
	SN_ASSERT(s->phase == P_PENDING || s->phase == P_TOO_LARGE);
	if (s->phase == P_PENDING)
		s->phase = P_BLOCK;
	stream->id = id;
	stream->stage = STREAM_OPEN;
	s->stream = stream;
}

static size_t
refuse(struct sn_wire *w, const struct sn_wire_limits *limits, uint16_t id, uint8_t *out)
{
	(void)limits;
	(void)id;
	(void)out; /* SCGI has no word for it */
	w->u.scgi.phase = P_DRAIN;
	return 0;
}

static bool
is(const struct sn_request *req, const struct sn_param *p, const char *name)
{
	size_t len = strlen(name);
	return p->name_len == len && memcmp(req->raw + p->name, name, len) == 0;
}

/* nginx with scgi_request_buffering off writes what has arrived by then into CONTENT_LENGTH,
 * and the client's own into HTTP_CONTENT_LENGTH: taken at its word, uploads would be cut
 * without anybody's noticing. */
static bool
contradicts(const struct sn_request *req, const struct sn_param *p)
{
	uint64_t length = 0;
	if (p->value_len == 0 || p->value_len > 18)
		return false;
	for (uint32_t i = 0; i < p->value_len; i++) {
		char c = (char)req->raw[p->value + i];
		if (c < '0' || c > '9')
			return false; /* no number: nothing is known */
		length = length * 10 + (uint64_t)(c - '0');
	}
	return length != (uint64_t)sn_request_content_length(req);
}

/* SCGI's specification: CONTENT_LENGTH comes first, never empty, and SCGI is "1". */
static int
check(const struct sn_request *req, const char **reason)
{
	const struct sn_param *p = req->params;
	if (req->nparams == 0 || !is(req, p, "CONTENT_LENGTH")) {
		*reason = "the first SCGI parameter is not CONTENT_LENGTH";
		return 400;
	}
	if (sn_request_content_length(req) < 0) {
		*reason = "CONTENT_LENGTH is not a number";
		return 400;
	}
	bool scgi = false;
	for (uint32_t i = 1; i < req->nparams; i++) {
		p = &req->params[i];
		if (is(req, p, "SCGI"))
			scgi = p->value_len == 1 && req->raw[p->value] == '1';
		else if (is(req, p, "HTTP_CONTENT_LENGTH") && contradicts(req, p)) {
			*reason = "the front server announces less of the body than the client has: let it buffer "
			          "requests (nginx: scgi_request_buffering on), or use FastCGI";
			return 411;
		}
	}
	if (scgi)
		return 0;
	*reason = "the parameter SCGI=1 is missing";
	return 400;
}

static void
expect(struct sn_wire *w, uint64_t body)
{
	SN_ASSERT(w->u.scgi.phase == P_EXPECT);
	w->u.scgi.phase = P_BODY;
	w->u.scgi.left = body;
}

static void
release(struct sn_wire *w, struct sn_wire_stream *stream)
{
	SN_ASSERT(w->u.scgi.stream == stream);
	w->u.scgi.stream = NULL;
	if (w->u.scgi.phase != P_BROKEN)
		w->u.scgi.phase = P_DRAIN;
}

static bool
receiving(const struct sn_wire_stream *stream)
{
	return stream->stage == STREAM_OPEN;
}

static bool
multiplexed(const struct sn_wire *w)
{
	(void)w;
	return false;
}

static bool
between(const struct sn_wire *w)
{
	return w->u.scgi.phase == P_LENGTH && w->u.scgi.digits == 0; /* nothing was read at all */
}

static size_t
frame(uint8_t *out, uint16_t id, size_t len)
{
	(void)out;
	(void)id;
	(void)len;
	return 0;
}

static size_t
end_answer(uint8_t *out, uint16_t id, uint32_t app_status)
{
	(void)out;
	(void)id;
	(void)app_status;
	return 0; /* the end of the connection is the end of the answer */
}

const struct sn_wire_ops sn_wire_scgi = {
	.name = "scgi",
	.form = SN_FORM_SCGI,
	.half_close_is_alive = true,
	.feed = feed,
	.accept = accept_request,
	.refuse = refuse,
	.check = check,
	.expect = expect,
	.release = release,
	.receiving = receiving,
	.between = between,
	.multiplexed = multiplexed,
	.frame_max = (size_t)1 << 30,
	.frame = frame,
	.end = end_answer,
};
