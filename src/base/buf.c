/* SPDX-License-Identifier: MIT
 *
 * The growing buffer's slow paths.
 */
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

void
sn_buf_free(struct sn_buf *b)
{
	if (b->heap)
		free(b->data);
	sn_buf_init(b, NULL, 0);
}

int
sn_buf_grow(struct sn_buf *b, size_t more)
{
	if (more > SIZE_MAX / 2 - b->len)
		return SN_ENOMEM;
	size_t need = b->len + more;
	size_t cap = b->cap < 128 ? 128 : b->cap;
	while (cap < need)
		cap *= 2;
	char *data = realloc(b->heap ? b->data : NULL, cap);
	if (!data)
		return SN_ENOMEM;
	if (!b->heap && b->len)
		memcpy(data, b->data, b->len);
	b->data = data;
	b->cap = cap;
	b->heap = true;
	return 0;
}

int
sn_buf_addv(struct sn_buf *b, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(b->data ? b->data + b->len : NULL, b->cap - b->len, fmt, ap);
	int rc = n < 0 ? SN_EINVAL : 0;
	if (rc == 0 && (size_t)n >= b->cap - b->len) {
		rc = sn_buf_reserve(b, (size_t)n + 1);
		if (rc == 0)
			vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
	}
	va_end(again);
	if (rc == 0)
		b->len += (size_t)n;
	return rc;
}

int
sn_buf_addf(struct sn_buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int rc = sn_buf_addv(b, fmt, ap);
	va_end(ap);
	return rc;
}

int
sn_buf_terminate(struct sn_buf *b)
{
	int rc = sn_buf_reserve(b, 1);
	if (rc == 0)
		b->data[b->len] = '\0';
	return rc;
}
