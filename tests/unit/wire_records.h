/* SPDX-License-Identifier: MIT
 *
 * FastCGI records built by hand, and how a log of the same bytes is had at every
 * split. For tests of the codecs.
 */
#ifndef TESTS_UNIT_WIRE_RECORDS_H
#define TESTS_UNIT_WIRE_RECORDS_H

#include "cm.h"

#include "wire_drive.h"

enum { BEGIN = 1, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES, VALUES_RESULT, UNKNOWN };

struct bytes {
	uint8_t data[16384];
	size_t len;
};

static inline void
add(struct bytes *b, const void *data, size_t len)
{
	assert_true(b->len + len <= sizeof(b->data));
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
}

static inline void
adds(struct bytes *b, const char *s)
{
	add(b, s, strlen(s));
}

static inline void
record_n(struct bytes *b, uint8_t type, uint16_t id, const void *content, size_t len, uint8_t pad)
{
	uint8_t head[8] = { 1, type, (uint8_t)(id >> 8), (uint8_t)id, (uint8_t)(len >> 8),
		                (uint8_t)len, pad, 0 };
	static const uint8_t zeros[255];
	add(b, head, 8);
	add(b, content, len);
	add(b, zeros, pad);
}

static inline void
record(struct bytes *b, uint8_t type, uint16_t id, const char *content)
{
	size_t len = strlen(content);
	record_n(b, type, id, content, len, (uint8_t)(-len & 7));
}

static inline void
begin(struct bytes *b, uint16_t id, uint16_t role, uint8_t flags)
{
	uint8_t body[8] = { (uint8_t)(role >> 8), (uint8_t)role, flags, 0, 0, 0, 0, 0 };
	record_n(b, BEGIN, id, body, 8, 0);
}

#endif
