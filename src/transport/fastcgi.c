/* SPDX-License-Identifier: MIT
 *
 * FastCGI 1.0 records into events, for a responder that serves many requests of
 * a connection at a time. Pure: any split of the bytes gives the same events;
 * no descriptor, no allocation. Refuses to know what the parameters mean. Runs
 * on the connection's I/O thread; the framing functions on any.
 *
 * phase: where in a record the bytes are. stage: how far an accepted request
 * is. A record's header is judged once, when it is complete (judge()); what it
 * decided is the phase that its content goes through.
 *
 * Lenient where peers differ and nothing is lost by it: an empty STDIN after
 * the end of STDIN, a GET_VALUES whose last pair is cut short, ABORT of a
 * request that is gone, unknown types on a request's id.
 */
#include <stdio.h>

#include "transport/wire.h"

enum { /* record types, spec section 8 */
	T_BEGIN = 1,
	T_ABORT = 2,
	T_END = 3,
	T_PARAMS = 4,
	T_STDIN = 5,
	T_STDOUT = 6,
	T_STDERR = 7,
	T_DATA = 8,
	T_GET_VALUES = 9,
	T_GET_VALUES_RESULT = 10,
	T_UNKNOWN = 11
};

enum { END_COMPLETE = 0, END_CANT_MPX = 1, END_OVERLOADED = 2, END_UNKNOWN_ROLE = 3 };
enum { ROLE_RESPONDER = 1, FLAG_KEEP = 1 };

enum phase {
	P_HEADER, /* collecting the header */
	P_BEGIN,  /* collecting the body of BEGIN */
	P_STREAM, /* handing out PARAMS or STDIN */
	P_VALUES, /* GET_VALUES: length bytes of a pair */
	P_NAME,   /* GET_VALUES: a name that may be known */
	P_SKIP,   /* GET_VALUES: the rest of a pair */
	P_PASS,   /* content that nobody wants */
	P_PADDING,
	P_BROKEN
};

enum stage { S_PARAMS, S_BODY, S_DONE };

enum { V_MAX_CONNS = 1, V_MAX_REQS = 2, V_MPXS_CONNS = 4 };

static const struct {
	const char *name;
	uint8_t len, bit;
} values[] = {
	{ "FCGI_MAX_CONNS", 14, V_MAX_CONNS },
	{ "FCGI_MAX_REQS", 13, V_MAX_REQS },
	{ "FCGI_MPXS_CONNS", 15, V_MPXS_CONNS },
};

static size_t
put_header(uint8_t *out, uint8_t type, uint16_t id, size_t len, uint8_t padding)
{
	out[0] = 1;
	out[1] = type;
	out[2] = (uint8_t)(id >> 8);
	out[3] = (uint8_t)id;
	out[4] = (uint8_t)(len >> 8);
	out[5] = (uint8_t)len;
	out[6] = padding;
	out[7] = 0;
	return 8;
}

static size_t
put_end(uint8_t *out, uint16_t id, uint32_t app_status, uint8_t protocol_status)
{
	size_t n = put_header(out, T_END, id, 8, 0);
	out[n] = (uint8_t)(app_status >> 24);
	out[n + 1] = (uint8_t)(app_status >> 16);
	out[n + 2] = (uint8_t)(app_status >> 8);
	out[n + 3] = (uint8_t)app_status;
	out[n + 4] = protocol_status;
	memset(out + n + 5, 0, 3);
	return n + 8;
}

static uint16_t
record_id(const struct sn_fcgi *f)
{
	return (uint16_t)(f->header[2] << 8 | f->header[3]);
}

static bool
was_seen(const struct sn_fcgi *f, uint16_t id)
{
	for (size_t i = 0; i < SN_FCGI_SEEN; i++)
		if (f->seen[i] == id)
			return true;
	return false;
}

static void
remember(struct sn_fcgi *f, uint16_t id)
{
	if (was_seen(f, id))
		return;
	f->seen[f->seen_next] = id;
	f->seen_next = (uint8_t)((f->seen_next + 1) % SN_FCGI_SEEN);
}

/* Few are open at a time, and the one that is looked for is most often the latest. */
static struct sn_wire_stream *
find(const struct sn_fcgi *f, uint16_t id)
{
	struct sn_wire_stream *s = f->streams;
	while (s && s->id != id)
		s = s->next;
	return s;
}

static bool
broken(struct sn_fcgi *f, struct sn_wire_event *ev, enum sn_wire_fault fault)
{
	f->phase = P_BROKEN;
	f->fault = (uint8_t)fault;
	ev->type = SN_WIRE_FAULT;
	ev->fault = fault;
	return true;
}

static bool
tell(struct sn_wire_event *ev, enum sn_wire_type type, struct sn_wire_stream *s)
{
	ev->type = type;
	ev->id = s->id;
	ev->stream = s;
	return true;
}

static bool
reply(struct sn_wire *w, struct sn_wire_event *ev, size_t len, uint16_t id, bool keep)
{
	ev->type = SN_WIRE_REPLY;
	ev->id = id;
	ev->keep = keep;
	ev->data = w->reply;
	ev->len = len;
	return true;
}

/* The content is over: padding, then the next header. */
static void
after_content(struct sn_fcgi *f)
{
	f->have = 0;
	f->phase = f->padding ? P_PADDING : P_HEADER;
}

static void
pass_over(struct sn_fcgi *f)
{
	f->phase = P_PASS;
	if (f->content == 0)
		after_content(f);
}

/* ---- GET_VALUES ---------------------------------------------------------- */

static void
put_value(uint8_t *out, size_t *n, size_t which, uint32_t number)
{
	char text[12];
	int len = snprintf(text, sizeof(text), "%u", number);
	out[(*n)++] = values[which].len;
	out[(*n)++] = (uint8_t)len;
	memcpy(out + *n, values[which].name, values[which].len);
	*n += values[which].len;
	memcpy(out + *n, text, (size_t)len);
	*n += (size_t)len;
}

static bool
answer_values(struct sn_wire *w, const struct sn_wire_limits *limits, struct sn_wire_event *ev)
{
	struct sn_fcgi *f = &w->u.fcgi;
	bool many = limits->requests > 1;
	/* The only peer that asks (HAProxy) takes FCGI_MAX_REQS for one connection's. */
	const uint32_t numbers[SN_COUNT(values)] = {
		limits->connections, many ? limits->requests : limits->connections, many
	};
	size_t n = 8;
	for (size_t i = 0; i < SN_COUNT(values); i++)
		if (f->asked & values[i].bit)
			put_value(w->reply, &n, i, numbers[i]);
	uint8_t padding = (uint8_t)(-n & 7);
	memset(w->reply + n, 0, padding);
	put_header(w->reply, T_GET_VALUES_RESULT, 0, n - 8, padding);
	after_content(f);
	return reply(w, ev, n + padding, 0, true);
}

/* One length byte of a pair. Both lengths complete: on to the name. */
static void
take_length_byte(struct sn_fcgi *f, uint8_t byte)
{
	f->small[f->have++] = byte;
	size_t name_bytes = f->small[0] & 0x80 ? 4 : 1;
	if (f->have <= name_bytes)
		return;
	size_t value_bytes = f->small[name_bytes] & 0x80 ? 4 : 1;
	if (f->have < name_bytes + value_bytes)
		return;
	const uint8_t *p = f->small;
	uint32_t *out[2] = { &f->name, &f->value };
	for (int i = 0; i < 2; i++) {
		bool is_long = *p & 0x80;
		*out[i] = is_long ? (uint32_t)(p[0] & 0x7f) << 24 | (uint32_t)p[1] << 16 |
		                            (uint32_t)p[2] << 8 | p[3]
		                  : *p;
		p += is_long ? 4 : 1;
	}
	f->have = 0;
	f->name_len = f->name && f->name <= sizeof(f->small) ? (uint8_t)f->name : 0;
	f->phase = f->name_len ? P_NAME : f->name || f->value ? P_SKIP : P_VALUES;
}

static void
take_name(struct sn_fcgi *f)
{
	for (size_t i = 0; i < SN_COUNT(values); i++)
		if (f->name_len == values[i].len && memcmp(f->small, values[i].name, f->name_len) == 0)
			f->asked |= values[i].bit;
	f->have = 0;
	f->phase = f->value ? P_SKIP : P_VALUES;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The rest of a pair: first of its name, then of its value. */
static size_t
skip_pair(struct sn_fcgi *f, size_t len)
{
	uint32_t *left = f->name ? &f->name : &f->value;
	size_t n = least(len, *left);
	*left -= (uint32_t)n;
	if (f->name == 0 && f->value == 0)
		f->phase = P_VALUES;
	return n;
}

/* Consumes some of the content of GET_VALUES. */
static size_t
feed_values(struct sn_fcgi *f, const uint8_t *data, size_t len)
{
	size_t n = 1;
	len = least(len, f->content);
	if (f->phase == P_VALUES)
		take_length_byte(f, *data);
	else if (f->phase == P_NAME) {
		n = least(len, f->name);
		memcpy(f->small + f->have, data, n);
		f->have = (uint8_t)(f->have + n);
		f->name -= (uint32_t)n;
		if (f->name == 0)
			take_name(f);
	} else
		n = skip_pair(f, len);
	f->content = (uint16_t)(f->content - n);
	return n;
}

/* ---- records ------------------------------------------------------------- */

static bool
judge_management(struct sn_wire *w, const struct sn_wire_limits *limits, struct sn_wire_event *ev)
{
	struct sn_fcgi *f = &w->u.fcgi;
	uint8_t type = f->header[1];
	if (type >= T_BEGIN && type <= T_DATA)
		return broken(f, ev, SN_WIRE_F_ORDER); /* these belong to a request */
	if (type == T_GET_VALUES) {
		f->asked = 0;
		f->have = 0;
		f->phase = P_VALUES;
		return f->content == 0 ? answer_values(w, limits, ev) : false;
	}
	size_t n = put_header(w->reply, T_UNKNOWN, 0, 8, 0);
	memset(w->reply + n, 0, 8);
	w->reply[n] = type;
	pass_over(f);
	return reply(w, ev, n + 8, 0, true);
}

/* PARAMS, STDIN and DATA of an id that is not open. A peer that multiplexes may be late
 * with any of its requests; another one only with those that were just answered. */
static bool
judge_stray(struct sn_fcgi *f, struct sn_wire_event *ev, uint16_t id)
{
	if (!f->streams && !f->many && !was_seen(f, id))
		return broken(f, ev, SN_WIRE_F_ORDER);
	pass_over(f);
	return false;
}

static bool
judge_stream(struct sn_fcgi *f, struct sn_wire_event *ev, uint16_t id)
{
	bool params = f->header[1] == T_PARAMS;
	bool empty = f->content == 0;
	struct sn_wire_stream *s = find(f, id);
	if (!s)
		return judge_stray(f, ev, id);
	if (f->header[1] == T_STDIN && s->stage == S_DONE && empty) {
		pass_over(f);
		return false;
	}
	if (f->header[1] == T_DATA || s->stage != (params ? S_PARAMS : S_BODY))
		return broken(f, ev, SN_WIRE_F_ORDER);
	if (!empty) {
		f->phase = P_STREAM;
		f->current = s;
		return false;
	}
	s->stage = params ? S_BODY : S_DONE;
	after_content(f);
	return tell(ev, params ? SN_WIRE_PARAMS_END : SN_WIRE_BODY_END, s);
}

/* A complete header: what its content will go through. True: there is an event. */
static bool
judge(struct sn_wire *w, const struct sn_wire_limits *limits, struct sn_wire_event *ev)
{
	struct sn_fcgi *f = &w->u.fcgi;
	uint16_t id = record_id(f);
	struct sn_wire_stream *s;
	f->content = (uint16_t)(f->header[4] << 8 | f->header[5]);
	f->padding = f->header[6];
	f->have = 0;
	if (id == 0)
		return judge_management(w, limits, ev);
	switch (f->header[1]) {
	case T_BEGIN:
		if (f->content != 8)
			return broken(f, ev, SN_WIRE_F_LENGTH);
		/* the same id again: only once all of the former request is here */
		s = find(f, id);
		if (s && s->stage != S_DONE)
			return broken(f, ev, SN_WIRE_F_ORDER);
		f->phase = P_BEGIN;
		return false;
	case T_ABORT:
		pass_over(f);
		s = find(f, id);
		return s ? tell(ev, SN_WIRE_ABORT, s) : false;
	case T_PARAMS:
	case T_STDIN:
	case T_DATA:
		return judge_stream(f, ev, id);
	case T_END:
	case T_STDOUT:
	case T_STDERR:
	case T_GET_VALUES:
	case T_GET_VALUES_RESULT:
	case T_UNKNOWN:
		return broken(f, ev, SN_WIRE_F_ORDER);
	default:
		pass_over(f);
		return false;
	}
}

static bool
begin(struct sn_wire *w, struct sn_wire_event *ev)
{
	struct sn_fcgi *f = &w->u.fcgi;
	uint16_t id = record_id(f);
	unsigned role = (unsigned)f->small[0] << 8 | f->small[1];
	ev->keep = f->small[2] & FLAG_KEEP;
	after_content(f);
	if (role != ROLE_RESPONDER) {
		remember(f, id);
		return reply(w, ev, put_end(w->reply, id, 0, END_UNKNOWN_ROLE), id, ev->keep);
	}
	f->pending = id;
	ev->type = SN_WIRE_BEGIN;
	ev->id = id;
	ev->stream = find(f, id);
	return true;
}

#define UNIT 8 /* bytes of a record's header, and of the body of BEGIN */

/* Collects UNIT bytes in `into`; true when they are there. They mostly come together. */
static inline bool
collect(struct sn_fcgi *f, uint8_t *into, const uint8_t **at, const uint8_t *end)
{
	if (sn_likely(f->have == 0 && end - *at >= UNIT)) {
		memcpy(into, *at, UNIT);
		*at += UNIT;
		return true;
	}
	size_t n = least((size_t)(end - *at), (size_t)(UNIT - f->have));
	memcpy(into + f->have, *at, n);
	f->have = (uint8_t)(f->have + n);
	*at += n;
	return f->have == UNIT;
}

static bool
hand_out(struct sn_fcgi *f, const uint8_t **at, const uint8_t *end, struct sn_wire_event *ev)
{
	size_t n = least((size_t)(end - *at), f->content);
	tell(ev, f->header[1] == T_PARAMS ? SN_WIRE_PARAMS : SN_WIRE_BODY, f->current);
	ev->data = *at;
	ev->len = n;
	*at += n;
	f->content = (uint16_t)(f->content - n);
	if (f->content == 0)
		after_content(f);
	return true;
}

/* One step inside a record, with at least one byte there. True: there is an event. */
static bool
step(struct sn_wire *w, const struct sn_wire_limits *limits, const uint8_t **at,
     const uint8_t *end, struct sn_wire_event *ev)
{
	struct sn_fcgi *f = &w->u.fcgi;
	size_t n;
	switch ((enum phase)f->phase) {
	case P_HEADER:
		/* The first byte alone tells a peer that speaks something else. */
		if (f->have == 0 && **at != 1)
			return broken(f, ev, SN_WIRE_F_VERSION);
		return collect(f, f->header, at, end) && judge(w, limits, ev);
	case P_BEGIN:
		return collect(f, f->small, at, end) && begin(w, ev);
	case P_STREAM:
		return hand_out(f, at, end, ev);
	case P_VALUES:
	case P_NAME:
	case P_SKIP:
		*at += feed_values(f, *at, (size_t)(end - *at));
		return f->content == 0 && answer_values(w, limits, ev);
	case P_PASS:
		n = least((size_t)(end - *at), f->content);
		*at += n;
		f->content = (uint16_t)(f->content - n);
		if (f->content == 0)
			after_content(f);
		return false;
	case P_PADDING:
		n = least((size_t)(end - *at), f->padding);
		*at += n;
		f->padding = (uint8_t)(f->padding - n);
		if (f->padding == 0)
			f->phase = P_HEADER;
		return false;
	case P_BROKEN:
		break;
	}
	return broken(f, ev, (enum sn_wire_fault)f->fault);
}

static size_t
feed(struct sn_wire *w, const struct sn_wire_limits *limits, const uint8_t *data, size_t len,
     struct sn_wire_event *ev)
{
	struct sn_fcgi *f = &w->u.fcgi;
	const uint8_t *at = data, *end = data + len;
	SN_ASSERT(f->pending == 0); /* BEGIN must be accepted or refused first */
	memset(ev, 0, sizeof(*ev));
	if (f->phase == P_BROKEN) {
		broken(f, ev, (enum sn_wire_fault)f->fault);
		return 0;
	}
	while (at < end)
		if (step(w, limits, &at, end, ev))
			break;
	return (size_t)(at - data);
}

static void
accept_request(struct sn_wire *w, struct sn_wire_stream *s, uint16_t id)
{
	struct sn_fcgi *f = &w->u.fcgi;
	SN_ASSERT(f->pending == id && !find(f, id));
	f->pending = 0;
	f->many = f->many || f->streams;
	s->id = id;
	s->stage = S_PARAMS;
	s->next = f->streams;
	f->streams = s;
}

static size_t
refuse(struct sn_wire *w, const struct sn_wire_limits *limits, uint16_t id, uint8_t *out)
{
	struct sn_fcgi *f = &w->u.fcgi;
	SN_ASSERT(f->pending == id);
	f->pending = 0;
	f->late = true;
	f->many = f->many || (f->streams && limits->requests > 1);
	remember(f, id);
	return put_end(out, id, 0, limits->requests > 1 ? END_OVERLOADED : END_CANT_MPX);
}

static int
check(const struct sn_request *req, const char **reason)
{
	(void)req;
	(void)reason;
	return 0;
}

static void
expect(struct sn_wire *w, uint64_t body)
{
	(void)w; /* the end of STDIN decides, CONTENT_LENGTH is a hint */
	(void)body;
}

static void
release(struct sn_wire *w, struct sn_wire_stream *s)
{
	struct sn_fcgi *f = &w->u.fcgi;
	struct sn_wire_stream **at = &f->streams;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	remember(f, s->id);
	f->late = f->late || s->stage != S_DONE;
	if (f->current != s)
		return;
	f->current = NULL;
	if (f->phase == P_STREAM) /* only open requests' records are handed out */
		f->phase = P_PASS;
}

static bool
receiving(const struct sn_wire_stream *s)
{
	return s->stage != S_DONE;
}

static bool
multiplexed(const struct sn_wire *w)
{
	return w->u.fcgi.many;
}

static bool
between(const struct sn_wire *w)
{
	const struct sn_fcgi *f = &w->u.fcgi;
	return f->phase == P_HEADER && f->have == 0 && !f->streams && !f->pending && !f->late;
}

static size_t
frame(uint8_t *out, uint16_t id, size_t len)
{
	return put_header(out, T_STDOUT, id, len, 0);
}

static size_t
end_answer(uint8_t *out, uint16_t id, uint32_t app_status)
{
	size_t n = put_header(out, T_STDOUT, id, 0, 0);
	return n + put_end(out + n, id, app_status, END_COMPLETE);
}

const struct sn_wire_ops sn_wire_fastcgi = {
	.name = "fastcgi",
	.form = SN_FORM_FCGI,
	.half_close_is_alive = false,
	.feed = feed,
	.accept = accept_request,
	.refuse = refuse,
	.check = check,
	.expect = expect,
	.release = release,
	.receiving = receiving,
	.between = between,
	.multiplexed = multiplexed,
	.frame_max = 65528, /* a multiple of eight: no padding needed for alignment */
	.frame = frame,
	.end = end_answer,
};
