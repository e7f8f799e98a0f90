/* SPDX-License-Identifier: MIT
 *
 * Kept connections from a worker that ends to one that goes on. Closing an idle one would
 * race with a request that is on its way, and a front server does not repeat a POST. So the
 * descriptor is sent, unread, to the supervisor, which passes it on: what arrives meanwhile
 * waits in the socket. Giving runs on the connection's I/O thread, taking on the main thread.
 */
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "server/channel.h"
#include "server/conn_priv.h"
#include "server/handover.h"

/* Nothing of a request was read or is owed: whoever reads on misses nothing. Where an answer
 * came before the end of its request, only this process knows to pass over the rest. */
static bool
can_go(struct sn_conn *c)
{
	if (c->nactive || !c->registered || c->lingering || c->held || c->choked || c->broken || c->eof ||
	    !c->wire.ops->between(&c->wire))
		return false;
	sn_conn_lock(c);
	bool idle = c->fd >= 0 && !sn_out_pending(c) && !c->close_after;
	sn_conn_unlock(c);
	return idle;
}

bool
sn_conn_hand_over(struct sn_conn *c)
{
	struct sn_context *ctx = c->io->ctx;
	sn_exchange_collect(c);
	sn_batch_send(c);
	if (!can_go(c))
		return false;
	int rc = sn_channel_send(ctx->chan, SN_MSG_CONN, c->listener->id, c->fd, NULL);
	if (rc == SN_EGONE) { /* nobody to give it to: an end like any other */
		atomic_store(&ctx->draining, true);
		atomic_store(&ctx->handing, false);
	}
	if (rc < 0)
		return false; /* not now: at the next tick */
	/* the registration belongs to the open socket, which lives on: it would name memory that is gone */
	if (c->in_epoll)
		epoll_ctl(c->io->epoll, EPOLL_CTL_DEL, c->fd, NULL);
	c->in_epoll = false;
	sn_conn_close(c);
	return true;
}

void
sn_handover_take(struct sn_context *ctx, uint32_t id, int fd)
{
	const struct sn_listener *l = sn_listeners_find(ctx->listeners, id);
	struct sn_conn *c = l ? sn_conn_new(sn_iothread_least_loaded(ctx), l, fd) : NULL;
	if (!c) {
		sn_log_error("a kept connection is lost: %s", l ? "out of memory" : "its listener is not here");
		close(fd);
		return;
	}
	sn_conn_post(c, true);
}
