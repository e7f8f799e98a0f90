/* SPDX-License-Identifier: MIT
 *
 * One I/O thread: an epoll, its share of the connections, their deadlines. It
 * reads, parses, routes, runs native handlers and writes. Other threads reach it
 * through its inbox only.
 */
#ifndef SN_SERVER_IOTHREAD_H
#define SN_SERVER_IOTHREAD_H

#include "server/context.h"

struct sn_conn;
struct sn_iothread;

int sn_iothread_start(struct sn_iothread **out, struct sn_context *ctx, unsigned number,
                      struct sn_why *why);
/* Begins to accept on the listeners. Any thread. */
void sn_iothread_accept(struct sn_iothread *io);
/* Where the next connection should go. Any thread, once all are started. */
struct sn_iothread *sn_iothread_least_loaded(const struct sn_context *ctx);
/* Stops accepting; idle connections are closed, the others as they finish. Any thread. */
void sn_iothread_drain(struct sn_iothread *io);
/* After a drain: true once the thread does not touch the listeners any more. */
bool sn_iothread_deaf(const struct sn_iothread *io);
/* Python runs no code any more: what it has is answered 504. Any thread. */
void sn_iothread_give_up_python(struct sn_iothread *io);
/* The native handler that runs on this thread now, and its request's id; NULL: none. Any thread. */
const struct sn_endpoint *sn_iothread_at(const struct sn_iothread *io, uint64_t *id);
/* Appends the thread's C stack; see sn_stack_take(). */
bool sn_iothread_stack(const struct sn_iothread *io, struct sn_buf *out);
/* Cuts what is left, ends and joins the thread. NULL is fine. */
void sn_iothread_join(struct sn_iothread *io);
/* After all of them were joined: they look at each other's counts. NULL is fine. */
void sn_iothread_free(struct sn_iothread *io);
const struct sn_counters *sn_iothread_counters(const struct sn_iothread *io);

#endif
