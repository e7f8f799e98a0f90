/* SPDX-License-Identifier: MIT
 *
 * Drives a codec as a connection would and writes its events down as text, with
 * neighbouring pieces of one stream joined, so that runs over the same bytes
 * at different splits can be compared. For unit tests and fuzz targets.
 *
 *   B1k   BEGIN of id 1, keep          E1   parameters complete
 *   P1 aa bytes of parameters          F1   body complete
 *   D1 aa bytes of the body            A1   ABORT
 *   R.. aa reply (hexadecimal)         X2   fault 2
 */
#ifndef TESTS_UNIT_WIRE_DRIVE_H
#define TESTS_UNIT_WIRE_DRIVE_H

#include <stdlib.h>

#include "base/buf.h"
#include "transport/wire.h"

enum drive_release { RELEASE_NEVER, RELEASE_AT_END, RELEASE_AT_PARAMS, RELEASE_AT_BEGIN };

#define DRIVE_MOST 8

struct drive {
	struct sn_wire w;
	struct sn_wire_limits limits;
	enum drive_release release;
	uint64_t expect; /* SCGI: the body's length */
	unsigned most;   /* requests at once; more are refused */
	struct {
		struct sn_wire_stream stream;
		bool used;
	} open[DRIVE_MOST];
	bool refuse; /* refuses every request */
	bool broken;
	struct sn_buf log;
	enum sn_wire_type last; /* of the event written last: joined when the same stream */
	uint16_t last_id;
};

/* So many requests at once. */
static void
drive_multiplex(struct drive *d, unsigned most)
{
	SN_ASSERT(most <= DRIVE_MOST);
	d->most = d->limits.requests = most;
}

static void
drive_init(struct drive *d, const struct sn_wire_ops *ops)
{
	memset(d, 0, sizeof(*d));
	sn_wire_init(&d->w, ops);
	d->limits.params = 4096;
	d->limits.connections = 100;
	drive_multiplex(d, 1);
	d->release = RELEASE_AT_END;
}

static void
drive_free(struct drive *d)
{
	sn_buf_free(&d->log);
}

static void
drive_hex(struct drive *d, const uint8_t *p, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < len; i++) {
		char two[2] = { digits[p[i] >> 4], digits[p[i] & 15] };
		SN_ASSERT(sn_buf_add(&d->log, two, 2) == 0);
	}
}

static void
drive_data(struct drive *d, char what, const struct sn_wire_event *ev)
{
	SN_ASSERT(ev->len > 0);
	if (d->last != ev->type || d->last_id != ev->id)
		SN_ASSERT(sn_buf_addf(&d->log, "\n%c%u ", what, ev->id) == 0);
	drive_hex(d, ev->data, ev->len);
}

static void
drive_begin(struct drive *d, const struct sn_wire_event *ev)
{
	uint8_t out[32];
	unsigned free = 0;
	SN_ASSERT(sn_buf_addf(&d->log, "\nB%u%s", ev->id, ev->keep ? "k" : "") == 0);
	while (free < d->most && d->open[free].used)
		free++;
	if (d->refuse || free == d->most || ev->stream) {
		SN_ASSERT(!ev->stream || (ev->stream->id == ev->id && !d->w.ops->receiving(ev->stream)));
		size_t n = d->w.ops->refuse(&d->w, &d->limits, ev->id, out);
		SN_ASSERT(n <= sizeof(out));
		SN_ASSERT(sn_buf_adds(&d->log, ev->stream ? " again " : " refused ") == 0);
		drive_hex(d, out, n);
		return;
	}
	d->open[free].used = true;
	d->w.ops->accept(&d->w, &d->open[free].stream, ev->id);
	SN_ASSERT(d->w.ops->receiving(&d->open[free].stream) && d->open[free].stream.id == ev->id);
}

/* Releases the request of `id`, if it is open. */
static void
drive_release(struct drive *d, uint16_t id)
{
	for (unsigned i = 0; i < d->most; i++) {
		if (!d->open[i].used || d->open[i].stream.id != id)
			continue;
		d->w.ops->release(&d->w, &d->open[i].stream);
		memset(&d->open[i], 0xa5, sizeof(d->open[i])); /* nobody may look at it any more */
		d->open[i].used = false;
	}
}

static bool
drive_is_open(const struct drive *d, const struct sn_wire_stream *s)
{
	for (unsigned i = 0; i < d->most; i++)
		if (d->open[i].used && &d->open[i].stream == s)
			return true;
	return false;
}

static void
drive_event(struct drive *d, const struct sn_wire_event *ev)
{
	bool aborted = false;
	switch (ev->type) {
	case SN_WIRE_MORE: return;
	case SN_WIRE_BEGIN: drive_begin(d, ev); break;
	case SN_WIRE_PARAMS: drive_data(d, 'P', ev); break;
	case SN_WIRE_BODY: drive_data(d, 'D', ev); break;
	case SN_WIRE_PARAMS_END:
		SN_ASSERT(sn_buf_addf(&d->log, "\nE%u", ev->id) == 0);
		d->w.ops->expect(&d->w, d->expect);
		break;
	case SN_WIRE_BODY_END:
		SN_ASSERT(sn_buf_addf(&d->log, "\nF%u", ev->id) == 0);
		SN_ASSERT(!d->w.ops->receiving(ev->stream));
		break;
	case SN_WIRE_ABORT:
		SN_ASSERT(sn_buf_addf(&d->log, "\nA%u", ev->id) == 0);
		aborted = true;
		break;
	case SN_WIRE_REPLY:
		SN_ASSERT(ev->len <= SN_WIRE_REPLY_MAX && ev->len % 8 == 0);
		SN_ASSERT(sn_buf_addf(&d->log, "\nR%u%s ", ev->id, ev->keep ? "k" : "") == 0);
		drive_hex(d, ev->data, ev->len);
		break;
	case SN_WIRE_FAULT:
		SN_ASSERT(sn_buf_addf(&d->log, "\nX%d", ev->fault) == 0);
		d->broken = true;
		break;
	}
	if (ev->type != SN_WIRE_BEGIN && ev->type != SN_WIRE_REPLY && ev->type != SN_WIRE_FAULT)
		SN_ASSERT(drive_is_open(d, ev->stream) && ev->stream->id == ev->id);
	d->last = ev->type;
	d->last_id = ev->id;
	if (aborted || (d->release == RELEASE_AT_END && ev->type == SN_WIRE_BODY_END) ||
	    (d->release == RELEASE_AT_PARAMS && ev->type == SN_WIRE_PARAMS_END) ||
	    (d->release == RELEASE_AT_BEGIN && ev->type == SN_WIRE_BEGIN))
		drive_release(d, ev->id);
}

/* Feeds one piece, as the bytes of one read. */
static void
drive_feed(struct drive *d, const uint8_t *data, size_t len)
{
	struct sn_wire_event ev;
	do {
		size_t n = d->w.ops->feed(&d->w, &d->limits, data, len, &ev);
		SN_ASSERT(n <= len);
		SN_ASSERT(ev.type != SN_WIRE_MORE || n == len);
		SN_ASSERT(!d->broken || (ev.type == SN_WIRE_FAULT && n == 0));
		if (d->broken)
			return;
		data += n;
		len -= n;
		drive_event(d, &ev);
	} while (ev.type != SN_WIRE_MORE);
}

/* The log as a string. */
/* noinline: gcc with sanitizers takes the empty log for the only one */
__attribute__((noinline)) static const char *
drive_log(struct drive *d)
{
	SN_ASSERT(sn_buf_terminate(&d->log) == 0);
	return d->log.len ? d->log.data + 1 : "";
}

/* Feeds everything in pieces of `piece` bytes (0: all at once), each a copy of its own
 * on the heap, so that a sanitizer sees a codec that keeps or overreads them. */
static void
drive_pieces(struct drive *d, const uint8_t *data, size_t len, size_t piece)
{
	if (piece == 0)
		piece = len;
	do {
		size_t n = len < piece ? len : piece;
		uint8_t *copy = malloc(n ? n : 1);
		SN_ASSERT(copy);
		if (n)
			memcpy(copy, data, n);
		drive_feed(d, copy, n);
		free(copy);
		data += n;
		len -= n;
	} while (len);
}

#endif
