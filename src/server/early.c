/* SPDX-License-Identifier: MIT
 *
 * Requests whose handler begins before the body has come, and reads it while it
 * arrives (http/instream.h): what the connection does with the bytes, and when
 * it stops reading. Runs on the connection's I/O thread, but for on_room.
 */
#include "server/conn_priv.h"

/* On the reader's thread, who has the request and with it the connection. */
static void
on_room(void *arg)
{
	struct sn_exchange *x = arg;
	sn_conn_post(x->conn, true);
}

void
sn_early_begin(struct sn_exchange *x, int64_t length)
{
	struct sn_instream *input = sn_instream_new(length, x->conn->io->ctx->ms.read, on_room, x);
	x->req->input = input;
	if (!input) {
		x->verdict = 503;
		x->verdict_text = "out of memory";
	} else if (sn_exchange_run(x)) {
		sn_exec_run(x);
	}
}

void
sn_early_body(struct sn_exchange *x, const struct sn_wire_event *ev)
{
	struct sn_conn *c = x->conn;
	const struct sn_conf *conf = c->io->ctx->conf;
	x->dropped += ev->len;
	if (x->dropped > conf->limits.body) {
		sn_instream_end(x->req->input, SN_ELIMIT);
		return;
	}
	/* Others share the connection: nothing may stop it, and what is not read yet waits in a file. */
	bool others = c->wire.ops->multiplexed(&c->wire);
	int rc = sn_instream_push(x->req->input, ev->data, ev->len, others ? conf->spool_dir : NULL);
	if (rc == SN_EAGAIN)
		c->stalled = true;
	else if (rc < 0)
		sn_exchange_body_failed(x, rc);
}

bool
sn_early_stalls(const struct sn_conn *c)
{
	for (const struct sn_exchange *x = c->active; x; x = x->next)
		if (x->req && x->req->input && sn_instream_full(x->req->input))
			return true;
	return false;
}

void
sn_early_cut(struct sn_exchange *x)
{
	if (x->req && x->req->input && x->conn->wire.ops->receiving(&x->stream))
		sn_instream_end(x->req->input, SN_EGONE);
}
