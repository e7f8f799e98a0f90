/* SPDX-License-Identifier: MIT
 *
 * From a request to whoever answers it: the router's choice, then the call (native), a
 * hand-over (blocking threads, Python), or a refusal. I/O threads only.
 */
#include "base/clock.h"
#include "base/log.h"
#include "http/method.h"
#include "http/response.h"
#include "server/blocking.h"
#include "server/conn_priv.h"

void
sn_exec_route(struct sn_conn *c)
{
	struct sn_request *req = c->cur;
	struct sn_match m;
	const struct sn_path *p = &req->path;
	switch (sn_router_find(&c->io->ctx->router, p->match, p->len, req->method, &m)) {
	case SN_MATCH_FOUND:
		req->endpoint = m.endpoint;
		req->rule = m.info;
		if (m.nvalues && sn_request_set_values(req, m.values, m.nvalues) < 0) {
			c->verdict = 503;
			c->verdict_text = "out of memory";
		}
		return;
	case SN_MATCH_NO_METHOD:
		c->verdict_allow = m.allow;
		c->verdict = req->method == SN_METHOD_OPTIONS ? 200 : 405;
		c->verdict_text = "this path does not take that method";
		return;
	case SN_MATCH_NO_PATH:
		c->verdict = 404;
		c->verdict_text = "there is nothing at this path";
		return;
	}
}

static void
run_native(struct sn_conn *c)
{
	struct sn_response res;
	char head[1024], body[8192];
	sn_response_init(&res, c->cur, head, sizeof(head), body, sizeof(body));
	if (sn_native_call(c->cur, &res) == 0)
		sn_conn_sink.respond(c->cur, &res);
	sn_response_free(&res);
}

/* From the hand-over on other threads know the request; they may end it before the call
 * that submits it returns. */
static void
submit(struct sn_conn *c, int (*hand_over)(struct sn_context *, struct sn_request *))
{
	struct sn_context *ctx = c->io->ctx;
	struct sn_request *req = c->cur;
	if (ctx->ms.request > 0)
		sn_wheel_set(&c->io->wheel, &c->timer, c->io->now_ms + ctx->ms.request);
	else
		sn_wheel_remove(&c->timer);
	req->queued_ms = c->io->now_ms;
	c->remote = true;
	int rc = hand_over(ctx, req);
	if (rc == 0)
		return;
	c->remote = false;
	sn_log_for(SN_LOG_DEBUG, req->id, "%s: answered 503: %s", req->endpoint->name, sn_err_name(rc));
	sn_sink_error(c, 503,
	              rc == SN_EFULL ? "the queue for this endpoint is full; try again"
	                             : "the server is stopping",
	              0);
}

static int
to_python(struct sn_context *ctx, struct sn_request *req)
{
	return sn_pyrt_submit(ctx->py, req);
}

static int
to_blocking(struct sn_context *ctx, struct sn_request *req)
{
	return sn_blocking_submit(ctx->blocking, req);
}

void
sn_exec_run(struct sn_conn *c)
{
	switch (c->cur->endpoint->lane) {
	case SN_LANE_NATIVE: run_native(c); break;
	case SN_LANE_BLOCKING: submit(c, to_blocking); break;
	default: submit(c, to_python); break;
	}
}
