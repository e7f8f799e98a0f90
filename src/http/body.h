/* SPDX-License-Identifier: MIT
 *
 * A request body: in memory up to a size, then in an unlinked temporary file
 * (mode 0600). One writer (the connection), later one reader.
 */
#ifndef SN_HTTP_BODY_H
#define SN_HTTP_BODY_H

#include <stdint.h>

#include "base/err.h"

struct sn_body {
	uint64_t len;
	char *mem;   /* NULL once spooled, or while empty */
	size_t cap;
	int fd;      /* spool file, or -1 */
	void *map;   /* the spool file mapped for sn_body_data */
};

/* Bytes that all bodies in files may take together; before threads start. */
void sn_body_set_spool_limit(uint64_t bytes);
/* Bytes in files now, of the whole process. */
uint64_t sn_body_spooled(void);
void sn_body_init(struct sn_body *b);
/* Makes room for an announced length at once (at most `memory`). */
int sn_body_expect(struct sn_body *b, uint64_t len, size_t memory);
/* Appends; past `memory` bytes it moves to a file in `dir` (NULL or "": $TMPDIR or /tmp).
 * SN_ENOMEM, SN_EFULL at the limit of all files together, or SN_EIO with errno kept. */
int sn_body_append(struct sn_body *b, const void *data, size_t len, size_t memory, const char *dir);
/* Bytes from `offset`: count, 0 at the end, SN_EIO. */
ssize_t sn_body_read(const struct sn_body *b, uint64_t offset, void *buf, size_t len);
/* All of it, NUL-terminated; NULL when empty (len 0) or when memory failed (len > 0). */
const void *sn_body_data(struct sn_body *b, size_t *len);
void sn_body_free(struct sn_body *b);

#endif
