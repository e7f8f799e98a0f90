/* SPDX-License-Identifier: MIT
 *
 * From a request to whoever answers it: the router's choice, then the call (native), a
 * hand-over (blocking threads, Python), or a refusal. I/O threads only.
 */
#include "base/board.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/method.h"
#include "http/response.h"
#include "server/blocking.h"
#include "server/conn_priv.h"
#include "server/recycle.h"

/* No route takes it: the application's hooks answer, where it has them, or we do. */
static void
not_found(struct sn_exchange *x, uint64_t allow, bool slash)
{
	struct sn_request *req = x->req;
	req->allow = allow;
	req->slash = slash;
	req->endpoint = x->conn->io->ctx->missing;
	if (req->endpoint)
		return;
	if (slash) {
		x->verdict = 308;
		x->verdict_text = "the path has a slash at its end";
		return;
	}
	x->verdict_allow = allow;
	x->verdict = !allow ? 404 : req->method == SN_METHOD_OPTIONS ? 200 : 405;
	x->verdict_text = allow ? "this path does not take that method" : "there is nothing at this path";
}

void
sn_exec_route(struct sn_exchange *x)
{
	struct sn_request *req = x->req;
	struct sn_match m;
	const struct sn_path *p = &req->path;
	switch (sn_router_find(&x->conn->io->ctx->router, p->match, p->len, req->method, &m)) {
	case SN_MATCH_FOUND:
		req->endpoint = m.endpoint;
		req->rule = m.info;
		if (m.nvalues && sn_request_set_values(req, m.values, m.nvalues) < 0) {
			x->verdict = 503;
			x->verdict_text = "out of memory";
		}
		return;
	case SN_MATCH_SLASH: not_found(x, 0, true); return;
	case SN_MATCH_NO_METHOD:
	case SN_MATCH_NO_PATH: not_found(x, m.allow, false); return;
	}
}

static void
run_native(struct sn_exchange *x)
{
	struct sn_response res;
	char head[1024], body[8192];
	sn_response_init(&res, x->req, head, sizeof(head), body, sizeof(body));
	sn_iothread_native(x->conn->io, x->req->endpoint, x->req->id);
	sn_board_begin(x->req->id, x->req->endpoint);
	int rc = sn_native_call(x->req, &res);
	sn_board_end();
	sn_iothread_native(x->conn->io, NULL, 0);
	if (rc == 0)
		sn_conn_sink.respond(x->req, &res);
	sn_response_free(&res);
}

static enum sn_score
full(enum sn_lane lane)
{
	if (lane == SN_LANE_BLOCKING)
		return SN_SCORE_BLOCKING_FULL;
	return sn_lane_is_async(lane) ? SN_SCORE_ASYNC_FULL : SN_SCORE_SYNC_FULL;
}

/* From the hand-over on other threads know the request; they may end it before the call
 * that submits it returns. */
static void
submit(struct sn_exchange *x, int (*hand_over)(struct sn_context *, struct sn_request *))
{
	struct sn_conn *c = x->conn;
	struct sn_context *ctx = c->io->ctx;
	struct sn_request *req = x->req;
	sn_batch_send(c);
	sn_exchange_deadline(x, sn_timeout_first_look(ctx, req->endpoint));
	req->queued_ms = c->io->now_ms;
	x->slow_told = false;
	x->remote = true;
	c->nremote++;
	c->shared = true;
	int rc = hand_over(ctx, req);
	if (rc == 0)
		return;
	x->remote = false;
	c->nremote--;
	sn_context_refused(ctx, rc != SN_EFULL ? SN_SCORE_STOPPING : full(req->endpoint->lane));
	sn_log_for(SN_LOG_DEBUG, req->id, "%s: answered 503: %s", req->endpoint->name, sn_err_name(rc));
	sn_sink_error(x, 503,
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

/* What would wait somewhere beside limits.requests others is refused. A native handler of the I/O
 * thread is done as soon as a refusal would be. The threads' counts are not taken at one
 * moment: there may be as many more as I/O threads. */
static bool
too_many(const struct sn_context *ctx)
{
	unsigned n = 0;
	for (unsigned i = 0; i < ctx->nio; i++)
		n += atomic_load_explicit(&ctx->io[i]->count.in_flight, memory_order_relaxed);
	return n > ctx->conf->limits.requests; /* this one is among them */
}

/* The worker has served enough: a successor is asked for, and this request is answered. */
static void
count(struct sn_context *ctx)
{
	if (atomic_fetch_add_explicit(&ctx->executed, 1, memory_order_relaxed) + 1 == ctx->max_requests)
		sn_recycle_ask(SN_RECYCLE_HEALTHY, "it has answered max_requests");
}

void
sn_exec_run(struct sn_exchange *x)
{
	if (x->conn->io->ctx->max_requests)
		count(x->conn->io->ctx);
	enum sn_lane lane = x->req->endpoint->lane;
	if (lane != SN_LANE_NATIVE && sn_unlikely(too_many(x->conn->io->ctx))) {
		sn_context_refused(x->conn->io->ctx, SN_SCORE_REQUESTS_FULL);
		sn_log_for(SN_LOG_DEBUG, x->req->id, "answered 503: limits.requests is reached");
		sn_sink_error(x, 503, "too many requests are being answered; try again", 0);
		return;
	}
	switch (lane) {
	case SN_LANE_NATIVE: run_native(x); break;
	case SN_LANE_BLOCKING: submit(x, to_blocking); break;
	default: submit(x, to_python); break;
	}
}
