/* SPDX-License-Identifier: MIT
 *
 * The bytes of a body that is read while it arrives: a ring in memory and, where
 * the bringer must not stop, a file behind it. One lock, held for a copy.
 *
 * Who waits for what: the reader sleeps on `come`, or polls `fd`; the bringer
 * does not sleep, he is called (`room`) once after he was told that it is full.
 */
#include "http/instream.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/body.h"

#define RING (256 * 1024)
#define FULL (RING - SN_INSTREAM_PUSH) /* above it the bringer stops: one more push fits */
#define LOW (RING / 4)                 /* below it he goes on */

struct sn_instream {
	pthread_mutex_t lock;
	pthread_cond_t come;
	int64_t announced, read_ms;
	void (*room)(void *arg);
	void *arg;

	/* lock: */
	uint64_t received;
	size_t head, used;   /* of the ring: where the oldest byte is, and how many there are */
	struct sn_body file; /* later than all of the ring */
	uint64_t file_read;
	bool full, over, armed;
	int why; /* how it is over */
	int fd;  /* an eventfd, or -1 */
	uint8_t ring[RING]; /* pages that were never used cost nothing */
};

struct sn_instream *
sn_instream_new(int64_t announced, int64_t read_ms, void (*room)(void *arg), void *arg)
{
	struct sn_instream *s = malloc(sizeof(*s));
	if (!s)
		return NULL;
	memset(s, 0, offsetof(struct sn_instream, ring));
	pthread_mutex_init(&s->lock, NULL);
	sn_clock_cond_init(&s->come);
	sn_body_init(&s->file);
	s->announced = announced;
	s->read_ms = read_ms;
	s->room = room;
	s->arg = arg;
	s->fd = -1;
	return s;
}

void
sn_instream_free(struct sn_instream *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	sn_body_free(&s->file);
	pthread_cond_destroy(&s->come);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- locked ------------------------------------------------------------------ */

static bool
has_file(const struct sn_instream *s)
{
	return s->file_read < s->file.len;
}

static bool
can_say(const struct sn_instream *s)
{
	return s->over || s->used || has_file(s);
}

static void
tell(struct sn_instream *s)
{
	pthread_cond_broadcast(&s->come);
	if (s->armed) {
		s->armed = false;
		eventfd_write(s->fd, 1);
	}
}

static void
ring_put(struct sn_instream *s, const uint8_t *data, size_t len)
{
	size_t at = (s->head + s->used) % RING;
	size_t first = len < RING - at ? len : RING - at;
	memcpy(s->ring + at, data, first);
	memcpy(s->ring, data + first, len - first);
	s->used += len;
}

static size_t
ring_get(struct sn_instream *s, uint8_t *out, size_t len)
{
	if (len > s->used)
		len = s->used;
	size_t first = len < RING - s->head ? len : RING - s->head;
	memcpy(out, s->ring + s->head, first);
	memcpy(out + first, s->ring, len - first);
	s->head = (s->head + len) % RING;
	s->used -= len;
	return len;
}

static void
end(struct sn_instream *s, int why)
{
	if (s->over)
		return;
	if (why == 0 && s->announced > 0 && s->received < (uint64_t)s->announced)
		why = SN_EGONE; /* a part is never taken for the whole */
	s->over = true;
	s->why = why;
	s->full = false;
	tell(s);
}

static ssize_t
file_get(struct sn_instream *s, void *buf, size_t len)
{
	ssize_t n = sn_body_read(&s->file, s->file_read, buf, len);
	if (n < 0)
		return n;
	s->file_read += (uint64_t)n;
	if (!has_file(s)) { /* its disk space is given back */
		sn_body_free(&s->file);
		s->file_read = 0;
	}
	return n;
}

/* ---- the bringer ----------------------------------------------------------------- */

int
sn_instream_push(struct sn_instream *s, const void *data, size_t len, const char *spool)
{
	int rc = 0;
	SN_ASSERT(len <= SN_INSTREAM_PUSH);
	pthread_mutex_lock(&s->lock);
	s->received += len;
	if (s->over)
		goto out;
	if (has_file(s) || (spool && s->used > FULL))
		rc = sn_body_append(&s->file, data, len, 0, spool);
	else
		ring_put(s, data, len);
	if (rc < 0) {
		end(s, rc);
	} else {
		tell(s);
		s->full = !spool && s->used > FULL;
		rc = s->full ? SN_EAGAIN : 0;
	}
out:
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void
sn_instream_end(struct sn_instream *s, int why)
{
	pthread_mutex_lock(&s->lock);
	end(s, why);
	pthread_mutex_unlock(&s->lock);
}

bool
sn_instream_full(struct sn_instream *s)
{
	pthread_mutex_lock(&s->lock);
	bool full = s->full;
	pthread_mutex_unlock(&s->lock);
	return full;
}

bool
sn_instream_complete(struct sn_instream *s)
{
	pthread_mutex_lock(&s->lock);
	bool complete = (s->over && s->why == 0) ||
	                (s->announced >= 0 && s->received >= (uint64_t)s->announced);
	pthread_mutex_unlock(&s->lock);
	return complete;
}

/* ---- the reader ------------------------------------------------------------------ */

ssize_t
sn_instream_read(struct sn_instream *s, void *buf, size_t len)
{
	ssize_t n = SN_EAGAIN;
	bool room = false;
	pthread_mutex_lock(&s->lock);
	if (s->over && s->why < 0) {
		n = s->why;
	} else if (s->used) {
		n = (ssize_t)ring_get(s, buf, len);
		if (s->full && s->used <= LOW) {
			s->full = false;
			room = true;
		}
	} else if (has_file(s)) {
		n = file_get(s, buf, len);
	} else if (s->over) {
		n = 0;
	}
	pthread_mutex_unlock(&s->lock);
	if (room)
		s->room(s->arg);
	return n;
}

int
sn_instream_wait(struct sn_instream *s)
{
	int64_t until = sn_clock_ms() + s->read_ms;
	struct timespec ts = sn_clock_timespec(until);
	int rc = 0;
	pthread_mutex_lock(&s->lock);
	while (!can_say(s) && rc == 0)
		rc = pthread_cond_timedwait(&s->come, &s->lock, &ts);
	rc = can_say(s) ? 0 : SN_ERANGE;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int
sn_instream_fd(struct sn_instream *s)
{
	eventfd_t old;
	pthread_mutex_lock(&s->lock);
	if (s->fd < 0)
		s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->fd >= 0) {
		eventfd_read(s->fd, &old);
		s->armed = true;
		if (can_say(s))
			tell(s);
	}
	int fd = s->fd;
	pthread_mutex_unlock(&s->lock);
	return fd < 0 ? SN_EIO : fd;
}

int64_t
sn_instream_patience(const struct sn_instream *s)
{
	return s->read_ms;
}
