/* SPDX-License-Identifier: MIT
 *
 * Request bodies in memory or in an unlinked file, so that an upload of any
 * allowed size costs bounded memory. The file has no name: nothing to clean up
 * after a crash. Runs on the I/O thread that receives, later on the thread of
 * the handler.
 */
#include "http/body.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes in spool files of the whole process, and how many may be. */
static atomic_ullong spooled;
static uint64_t spool_limit = UINT64_MAX; /* set before threads start */

void
sn_body_set_spool_limit(uint64_t bytes)
{
	spool_limit = bytes;
}

uint64_t
sn_body_spooled(void)
{
	return atomic_load_explicit(&spooled, memory_order_relaxed);
}

static int
spool_take(uint64_t n)
{
	if (atomic_fetch_add_explicit(&spooled, n, memory_order_relaxed) + n <= spool_limit)
		return 0;
	atomic_fetch_sub_explicit(&spooled, n, memory_order_relaxed);
	return SN_EFULL;
}

static void
spool_give(uint64_t n)
{
	atomic_fetch_sub_explicit(&spooled, n, memory_order_relaxed);
}

void
sn_body_init(struct sn_body *b)
{
	*b = (struct sn_body){ .fd = -1 };
}

/* Room for `size` bytes and the NUL after them. */
static int
reserve(struct sn_body *b, size_t size)
{
	if (size < b->cap)
		return 0;
	if (size == SIZE_MAX)
		return SN_ENOMEM;
	char *mem = realloc(b->mem, size + 1);
	if (!mem)
		return SN_ENOMEM;
	b->mem = mem;
	b->cap = size + 1;
	return 0;
}

int
sn_body_expect(struct sn_body *b, uint64_t len, size_t memory)
{
	if (len == 0 || b->fd >= 0)
		return 0;
	/* A length above `memory` goes to the file: room in memory would be wasted. */
	return len <= memory ? reserve(b, (size_t)len) : 0;
}

static int
open_spool(const char *dir)
{
	if (!dir || !*dir)
		dir = getenv("TMPDIR");
	if (!dir || !*dir)
		dir = "/tmp";
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	/* This file system has no nameless files. */
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/snacgi-body-XXXXXX", dir);
	if (n < 0 || (size_t)n >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC); /* 0600 */
	if (fd >= 0)
		unlink(path);
	return fd;
}

static int
write_at(int fd, const char *data, size_t len, uint64_t offset)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return SN_EIO;
		if (n == 0) {
			errno = ENOSPC;
			return SN_EIO;
		}
		data += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

static int
spool(struct sn_body *b, const char *dir)
{
	int rc = spool_take(b->len);
	if (rc < 0)
		return rc;
	int fd = open_spool(dir);
	rc = fd < 0 ? SN_EIO : write_at(fd, b->mem, (size_t)b->len, 0);
	if (rc < 0) {
		int saved = errno;
		if (fd >= 0)
			close(fd);
		spool_give(b->len);
		errno = saved;
		return rc;
	}
	free(b->mem);
	b->mem = NULL;
	b->cap = 0;
	b->fd = fd;
	return 0;
}

int
sn_body_append(struct sn_body *b, const void *data, size_t len, size_t memory, const char *dir)
{
	int rc;
	if (len == 0)
		return 0;
	if (b->fd < 0 && (b->len > memory || len > memory - b->len)) {
		rc = spool(b, dir);
		if (rc < 0)
			return rc;
	}
	if (b->fd >= 0) {
		if (b->map) { /* somebody looked before the end: the mapping is too short now */
			munmap(b->map, (size_t)b->len + 1);
			b->map = NULL;
		}
		rc = spool_take(len);
		if (rc < 0)
			return rc;
		rc = write_at(b->fd, data, len, b->len);
		if (rc == 0)
			b->len += len;
		else
			spool_give(len);
		return rc;
	}
	size_t need = (size_t)b->len + len;
	if (need >= b->cap) { /* without an announced length: doubling, within the limit */
		size_t want = b->cap ? b->cap * 2 : 1024;
		if (want < need)
			want = need;
		if (want > memory)
			want = memory;
		rc = reserve(b, want);
		if (rc < 0)
			return rc;
	}
	memcpy(b->mem + b->len, data, len);
	b->len = need;
	return 0;
}

ssize_t
sn_body_read(const struct sn_body *b, uint64_t offset, void *buf, size_t len)
{
	if (offset >= b->len || len == 0)
		return 0;
	if (len > b->len - offset)
		len = (size_t)(b->len - offset);
	if (len > SSIZE_MAX)
		len = SSIZE_MAX;
	if (b->fd < 0) {
		memcpy(buf, b->mem + offset, len);
		return (ssize_t)len;
	}
	ssize_t n;
	do
		n = pread(b->fd, buf, len, (off_t)offset);
	while (n < 0 && errno == EINTR);
	/* Inside b->len the file cannot end: 0 would be taken for the body's end. */
	return n > 0 ? n : SN_EIO;
}

const void *
sn_body_data(struct sn_body *b, size_t *len)
{
	*len = (size_t)b->len;
	if (b->len == 0)
		return NULL;
	if (b->fd < 0) {
		b->mem[b->len] = '\0'; /* reserve() left room */
		return b->mem;
	}
	if (!b->map) {
		/* One byte longer, a hole that reads as NUL: the last page may be full. */
		if (b->len >= SIZE_MAX || ftruncate(b->fd, (off_t)b->len + 1) < 0)
			return NULL;
		void *map = mmap(NULL, (size_t)b->len + 1, PROT_READ, MAP_PRIVATE, b->fd, 0);
		if (map == MAP_FAILED)
			return NULL;
		b->map = map;
	}
	return b->map;
}

void
sn_body_free(struct sn_body *b)
{
	if (b->map)
		munmap(b->map, (size_t)b->len + 1);
	if (b->fd >= 0) {
		close(b->fd);
		spool_give(b->len);
	}
	free(b->mem);
	sn_body_init(b);
}
