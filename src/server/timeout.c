/* SPDX-License-Identifier: MIT
 *
 * The time of a request that was handed to an executor: its turn must come within
 * timeouts.queue (else 503, and it never runs), then its handler answer within
 * timeouts.request or its route's own time (else 504), and a streamed answer go on within
 * timeouts.stream. One timer, the exchange's, looks after them, and tells of handlers that
 * are slow (log.slow). I/O threads only.
 */
#include "base/log.h"
#include "server/conn_priv.h"

static int64_t
handling_ms(const struct sn_context *ctx, const struct sn_endpoint *ep)
{
	return ep->timeout_ms ? ep->timeout_ms : ctx->ms.request;
}

int64_t
sn_timeout_first_look(const struct sn_context *ctx, const struct sn_endpoint *ep)
{
	int64_t first = handling_ms(ctx, ep);
	if (ctx->ms.queue < first)
		first = ctx->ms.queue;
	if (ctx->ms.stream < first)
		first = ctx->ms.stream; /* it may be streaming by then */
	return ctx->ms.slow && ctx->ms.slow < first ? ctx->ms.slow : first;
}

/* True: no executor takes the request any more; it is answered. */
static bool
expire(struct sn_exchange *x, struct sn_request *req)
{
	if (!sn_request_expire(req))
		return false;
	sn_log_for(SN_LOG_DEBUG, req->id, "not begun within timeouts.queue; answered 503");
	sn_context_refused(x->conn->io->ctx, SN_SCORE_LATE);
	sn_sink_error(x, 503, "the request waited too long for its turn", 0);
	sn_exchange_cancel(x, req);
	return true;
}

static void
end_handling(struct sn_exchange *x, struct sn_request *req)
{
	const struct sn_endpoint *ep = req->endpoint;
	if (sn_sink_error(x, 504, "the handler did not answer in time", 0) < 0)
		return; /* it was just in time */
	atomic_fetch_or_explicit(&req->marks, SN_MARK_TIMEOUT, memory_order_relaxed);
	sn_context_refused(x->conn->io->ctx, SN_SCORE_TIMEOUT);
	sn_log_for(SN_LOG_WARNING, req->id, "%s %s: no answer from %s within %s; answered 504",
	           req->method_name, req->path.path, ep->name,
	           ep->timeout_ms ? "its route's timeout" : "timeouts.request");
	sn_exchange_cancel(x, req);
}

static bool
has_started(const struct sn_request *req)
{
	return atomic_load_explicit(&req->marks, memory_order_acquire) & SN_MARK_STARTED;
}

/* Once a request. Where a Python handler stands is said by the runtime, as soon as it can. */
static void
tell_slow(struct sn_exchange *x, struct sn_request *req)
{
	struct sn_conn *c = x->conn;
	const struct sn_endpoint *ep = req->endpoint;
	int64_t ms = c->io->now_ms - req->started_ms;
	x->slow_told = true;
	sn_log_for(SN_LOG_WARNING, req->id, "slow: %s %s: %s%s has been at it for %lld.%01lld s",
	           req->method_name, req->path.path, ep->lane < SN_LANE_SYNC ? "native handler " : "",
	           ep->name, (long long)ms / 1000, (long long)ms / 100 % 10);
	if (ep->lane >= SN_LANE_SYNC)
		sn_pyrt_tell_stack(c->io->ctx->py, req);
}

/* While the request waits it is looked at as often as its handler would have to be
 * stopped, were it begun right after. */
void
sn_timeout_look(struct sn_exchange *x)
{
	struct sn_conn *c = x->conn;
	const struct sn_context *ctx = c->io->ctx;
	struct sn_request *req = sn_request_ref(x->req);
	int64_t now = c->io->now_ms, limit = handling_ms(ctx, req->endpoint);
	int64_t due = req->queued_ms + ctx->ms.queue;
	bool started = has_started(req);
	if (!started && now >= due) {
		if (expire(x, req))
			goto out;
		started = has_started(req);
	}
	int64_t slow = x->slow_told ? 0 : ctx->ms.slow;
	if (started && slow && now >= req->started_ms + slow) {
		tell_slow(x, req);
		slow = 0;
	}
	if (slow && slow < limit)
		limit = slow;
	if (started)
		due = req->started_ms + limit;
	else if (due > now + limit)
		due = now + limit;
	if (started && now >= due)
		end_handling(x, req);
	else /* it may be streaming before */
		sn_wheel_set(&c->io->wheel, &x->timer, due < now + ctx->ms.stream ? due : now + ctx->ms.stream);
out:
	sn_request_unref(req);
}

/* The time counts while the handler could give something: not while it waits for the peer, which
 * timeouts.write looks after, nor for a body that is pulled, which is asked for. */
void
sn_timeout_stream(struct sn_exchange *x)
{
	struct sn_conn *c = x->conn;
	const struct sn_context *ctx = c->io->ctx;
	int64_t now = c->io->now_ms;
	sn_conn_lock(c);
	struct sn_request *req = x->state == SN_EX_STREAMING && x->req ? sn_request_ref(x->req) : NULL;
	bool waits = x->room || x->pull;
	int64_t made = x->made_ms;
	sn_conn_unlock(c);
	if (!req)
		goto out;
	if (waits || now - made < ctx->ms.stream) {
		sn_wheel_set(&c->io->wheel, &x->timer, (waits ? now : made) + ctx->ms.stream);
		goto out;
	}
	atomic_fetch_or_explicit(&req->marks, SN_MARK_TIMEOUT, memory_order_relaxed);
	sn_log_for(SN_LOG_WARNING, req->id, "%s %s: nothing more of its answer from %s within "
	           "timeouts.stream; the connection is cut", req->method_name, req->path.path,
	           req->endpoint ? req->endpoint->name : "?");
	sn_conn_sink.cut(req);
	sn_conn_lock(c);
	bool others = c->fd >= 0; /* else the end of the connection tells the handler */
	sn_conn_unlock(c);
	if (others)
		sn_exchange_cancel(x, req);
out:
	sn_request_unref(req);
}

void
sn_timeout_python_hangs(struct sn_exchange *x)
{
	struct sn_conn *c = x->conn;
	sn_conn_lock(c);
	enum sn_ex_state state = x->state;
	bool pulled = x->pull; /* a file: nobody needs Python for the rest of it */
	sn_conn_unlock(c);
	if (pulled || !x->remote || !x->req || !x->req->endpoint || x->req->endpoint->lane < SN_LANE_SYNC)
		return;
	struct sn_request *req = sn_request_ref(x->req);
	if (state == SN_EX_RUNNING && sn_sink_error(x, 504, "Python hangs; the process is being replaced", 0) == 0)
		atomic_fetch_or_explicit(&req->marks, SN_MARK_TIMEOUT, memory_order_relaxed);
	else if (state == SN_EX_STREAMING)
		sn_conn_sink.cut(req); /* its end would never come */
	sn_request_unref(req);
}
