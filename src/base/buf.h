/* SPDX-License-Identifier: MIT
 *
 * A growing byte buffer. May begin on storage that the caller lends (a stack
 * array) and moves to the heap when that is full. Not thread-safe.
 */
#ifndef SN_BASE_BUF_H
#define SN_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct sn_buf {
	char *data;
	size_t len, cap;
	bool heap;
};

/* Borrows `storage` of `cap` bytes; NULL, 0 for none. */
static inline void
sn_buf_init(struct sn_buf *b, void *storage, size_t cap)
{
	b->data = storage;
	b->len = 0;
	b->cap = cap;
	b->heap = false;
}

void sn_buf_free(struct sn_buf *b);
/* Room for `more` bytes after len: 0 or SN_ENOMEM (the buffer is unchanged). */
int sn_buf_grow(struct sn_buf *b, size_t more);

static inline int
sn_buf_reserve(struct sn_buf *b, size_t more)
{
	return b->cap - b->len >= more ? 0 : sn_buf_grow(b, more);
}

static inline int
sn_buf_add(struct sn_buf *b, const void *data, size_t len)
{
	if (sn_buf_reserve(b, len) < 0)
		return -1; /* SN_ENOMEM */
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

static inline int
sn_buf_adds(struct sn_buf *b, const char *s)
{
	return sn_buf_add(b, s, strlen(s));
}

/* 0, SN_ENOMEM, or SN_EINVAL where vsnprintf cannot. On failure len is unchanged, but what fitted may
 * stand behind it, with a NUL. */
int sn_buf_addf(struct sn_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int sn_buf_addv(struct sn_buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Ends the bytes with a NUL that len does not count. */
int sn_buf_terminate(struct sn_buf *b);

#endif
