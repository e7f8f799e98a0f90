/* SPDX-License-Identifier: MIT
 *
 * A request body that is read while it arrives: what has come and was not read
 * yet, and the word between the one who brings it (the connection's I/O thread)
 * and the one who reads it (its handler, on any other thread). Bounded: the
 * bringer is told when to stop, and the reader tells when he may go on.
 */
#ifndef SN_HTTP_INSTREAM_H
#define SN_HTTP_INSTREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct sn_instream;

/* `announced`: the length that the peer gave, -1: none. `read_ms`: how long the reader waits
 * for the next byte. `room(arg)` is called on the reader's thread, with no lock held, when
 * there is room again after a push that said SN_EAGAIN; it must not block. NULL: no memory. */
struct sn_instream *sn_instream_new(int64_t announced, int64_t read_ms, void (*room)(void *arg),
                                    void *arg);
void sn_instream_free(struct sn_instream *s); /* NULL is fine */

/* ---- the bringer: one thread ---- */

/* Takes all of it, at most SN_INSTREAM_PUSH bytes at a time. 0; SN_EAGAIN: taken, but nothing
 * more until room() was called or the stream is over. With `spool` (a directory, "" for the
 * usual one) it is never full: what does not fit waits in a file; SN_EFULL, SN_EIO, SN_ENOMEM:
 * it could not, and the stream has ended so. What comes after the end is passed over. */
#define SN_INSTREAM_PUSH (64 * 1024)
int sn_instream_push(struct sn_instream *s, const void *data, size_t len, const char *spool);
/* No more will come: 0, it is complete (SN_EGONE if fewer bytes came than were announced);
 * SN_EGONE, the peer is gone; SN_ELIMIT, it is too large; SN_EINVAL, the request was answered. The first
 * end counts. Any thread. */
void sn_instream_end(struct sn_instream *s, int why);
/* True while room() is waited for. Any thread. */
bool sn_instream_full(struct sn_instream *s);
/* True when all that was announced has come, or the end. Any thread. */
bool sn_instream_complete(struct sn_instream *s);

/* ---- the reader: one thread at a time ---- */

/* Bytes read; 0: the end; SN_EAGAIN: nothing has come yet; or why the stream ended. */
ssize_t sn_instream_read(struct sn_instream *s, void *buf, size_t len);
/* Waits until sn_instream_read() has something to say. SN_ERANGE: nothing came within read_ms. */
int sn_instream_wait(struct sn_instream *s);
/* A descriptor (the stream's) that is readable from the moment on when sn_instream_read() has
 * something to say. To be asked for anew each time. SN_EIO with errno kept. */
int sn_instream_fd(struct sn_instream *s);
int64_t sn_instream_patience(const struct sn_instream *s); /* read_ms */

#endif
