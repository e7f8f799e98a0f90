/* SPDX-License-Identifier: MIT
 *
 * An exchange on its way in: the wire's events become a request, which is then routed
 * and run (exec.c), or answered at once when it cannot be. Runs on the connection's I/O
 * thread; the answer may come from any other (sink.c).
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "server/conn_priv.h"

static void on_timer(struct sn_timer *t);

void
sn_exchange_cancel(struct sn_exchange *x, struct sn_request *req)
{
	struct sn_conn *c = x->conn;
	if (x->remote && c->io->ctx->py && req->endpoint && req->endpoint->lane >= SN_LANE_SYNC)
		sn_pyrt_cancel(c->io->ctx->py, req);
}

enum sn_ex_state
sn_exchange_state(struct sn_exchange *x)
{
	sn_conn_lock(x->conn);
	enum sn_ex_state state = x->state;
	sn_conn_unlock(x->conn);
	return state;
}

static void
begin_request(struct sn_exchange *x, struct sn_request *req)
{
	struct sn_conn *c = x->conn;
	struct sn_iothread *io = c->io;
	req->sink = &sn_conn_sink;
	req->owner = x;
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	req->wire_id = x->stream.id;
	req->wire_keep = x->keep;
	req->begun_ms = x->begun_ms;
	/* distinct over processes and restarts by the seed, over threads by the stride */
	req->id = io->ctx->id_seed + io->next_id * io->ctx->nio + io->number;
	io->next_id++;
	sn_conn_lock(c);
	x->req = req;
	sn_conn_unlock(c);
}

/* The parameters cannot be used: a request of nothing stands for it, so that the answer
 * takes the usual way. */
static int
begin_unusable(struct sn_exchange *x)
{
	static const uint8_t bytes[] = "REQUEST_METHOD\0GET";
	struct sn_request *req;
	int fault;
	int rc = sn_request_build(&req, SN_FORM_SCGI, bytes, sizeof(bytes), 1, NULL, &fault);
	if (rc < 0)
		return rc;
	begin_request(x, req);
	return 0;
}

/* What has no route is answered, not refused. */
static void
count_refusal(struct sn_exchange *x, int status)
{
	struct sn_context *ctx = x->conn->io->ctx;
	switch (status) {
	case 400:
	case 411: sn_context_refused(ctx, SN_SCORE_MALFORMED); break;
	case 408: sn_context_refused(ctx, SN_SCORE_SLOW_PEER); break;
	case 413:
	case 431: sn_context_refused(ctx, SN_SCORE_TOO_LARGE); break;
	case 503: sn_context_refused(ctx, SN_SCORE_NO_ROOM); break;
	default: break;
	}
}

void
sn_exchange_reject(struct sn_exchange *x, int status, const char *text)
{
	struct sn_conn *c = x->conn;
	x->verdict = status;
	if (!x->req && begin_unusable(x) < 0) {
		sn_conn_close(c);
		return;
	}
	/* Who has sent all of it may send the next one as soon as he is answered: an end of the connection
	 * would race with that one. A peer that sends several requests at once may have begun it
	 * already: his connection stays too, and the rest of this one is passed over. */
	bool more = !x->keep || c->wire.ops->receiving(&x->stream);
	if (more && c->nactive == 1 && !c->wire.ops->multiplexed(&c->wire))
		sn_conn_close_after(c);
	count_refusal(x, status);
	sn_log_debug("request %016llx refused: %d %s", (unsigned long long)x->req->id, status, text);
	sn_sink_error(x, status, text, 0);
}

void
sn_exchange_deadline(struct sn_exchange *x, int64_t ms)
{
	struct sn_iothread *io = x->conn->io;
	if (ms > 0)
		sn_wheel_set(&io->wheel, &x->timer, io->now_ms + ms);
	else
		sn_wheel_remove(&x->timer);
}

void
sn_exchange_init(struct sn_exchange *x, struct sn_conn *c)
{
	x->conn = c;
	x->timer.fire = on_timer;
}

/* One that is free: the embedded one, one that was used before, or a new one. */
static struct sn_exchange *
take(struct sn_conn *c)
{
	sn_conn_lock(c);
	struct sn_exchange *x = c->first.state == SN_EX_NONE ? &c->first : c->spare;
	sn_conn_unlock(c);
	if (!x && (x = calloc(1, sizeof(*x))))
		sn_exchange_init(x, c);
	else if (x && x != &c->first)
		c->spare = x->next;
	return x;
}

struct sn_exchange *
sn_exchange_begin(struct sn_conn *c, uint16_t id, bool keep)
{
	struct sn_exchange *x = take(c);
	if (!x)
		return NULL;
	c->wire.ops->accept(&c->wire, &x->stream, id);
	x->keep = keep;
	x->begun_ms = c->io->now_ms;
	x->params_len = 0;
	x->slice = NULL;
	x->verdict = 0;
	x->verdict_text = NULL;
	x->verdict_allow = 0;
	x->dropped = 0;
	sn_conn_lock(c);
	x->state = SN_EX_READING;
	x->next = c->active;
	c->active = x;
	c->open++;
	sn_conn_unlock(c);
	c->nactive++;
	sn_exchange_deadline(x, c->io->ctx->ms.read);
	return x;
}

void
sn_exchange_body_failed(struct sn_exchange *x, int rc)
{
	sn_log_for(SN_LOG_ERROR, x->req->id, "cannot keep the request body: %s: %s", sn_err_name(rc),
	           rc == SN_EIO ? strerror(errno)
	                        : rc == SN_EFULL ? "limits.spool is used up" : "out of memory");
}

static void
set_verdict(struct sn_exchange *x, int status, const char *text)
{
	x->verdict = status;
	x->verdict_text = text;
}

/* SN_ENOMEM is a verdict already. */
static int
keep_slice(struct sn_exchange *x)
{
	if (!x->slice)
		return 0;
	int rc = sn_buf_add(&x->params, x->slice, x->slice_len);
	x->slice = NULL;
	if (rc < 0)
		set_verdict(x, 503, "out of memory");
	return rc;
}

void
sn_exchange_keep_slice(struct sn_exchange *x)
{
	keep_slice(x);
}

static void
on_params(struct sn_exchange *x, const struct sn_wire_event *ev)
{
	struct sn_conn *c = x->conn;
	if (x->verdict)
		return;
	x->params_len += ev->len;
	if (x->params_len > c->io->ctx->conf->limits.params) {
		set_verdict(x, 431, "the request parameters are larger than limits.params allows");
		x->slice = NULL;
		sn_buf_free(&x->params);
		return;
	}
	if (!x->slice && x->params.len == 0) {
		x->slice = ev->data;
		x->slice_len = ev->len;
		return;
	}
	if (keep_slice(x) == 0 && sn_buf_add(&x->params, ev->data, ev->len) < 0)
		set_verdict(x, 503, "out of memory");
}

/* Turns the collected bytes into x->req. */
static void
build(struct sn_exchange *x)
{
	struct sn_conn *c = x->conn;
	const struct sn_conf *conf = c->io->ctx->conf;
	const uint8_t *src = x->slice ? x->slice : (const uint8_t *)x->params.data;
	size_t len = x->slice ? x->slice_len : x->params.len;
	struct sn_request *req = NULL;
	int fault = 0;
	int rc = sn_request_build(&req, c->wire.ops->form, src, len, conf->limits.headers, &c->io->reuse,
	                          &fault);
	x->slice = NULL;
	sn_buf_free(&x->params);
	if (rc == 0)
		begin_request(x, req);
	else if (rc == SN_ELIMIT)
		set_verdict(x, 431, "more request headers than limits.headers allows");
	else if (rc == SN_ENOMEM)
		set_verdict(x, 503, "out of memory");
	else
		set_verdict(x, 400, sn_params_fault_text(fault));
}

bool
sn_exchange_run(struct sn_exchange *x)
{
	struct sn_conn *c = x->conn;
	sn_conn_lock(c);
	bool run = x->req && x->state == SN_EX_READING;
	if (run)
		x->state = SN_EX_RUNNING;
	sn_conn_unlock(c);
	if (run)
		atomic_fetch_add_explicit(&c->io->count.in_flight, 1, memory_order_relaxed);
	return run;
}

static void
on_params_end(struct sn_exchange *x)
{
	struct sn_conn *c = x->conn;
	const struct sn_conf *conf = c->io->ctx->conf;
	if (!x->verdict)
		build(x);
	if (!x->req && begin_unusable(x) < 0) {
		sn_conn_close(c);
		return;
	}
	int64_t length = sn_request_content_length(x->req);
	if (!x->verdict && length == -2)
		set_verdict(x, 400, "CONTENT_LENGTH is not a number");
	bool scgi = c->wire.ops->form == SN_FORM_SCGI;
	const char *te = scgi ? sn_request_known(x->req, SN_P_TRANSFER_ENCODING) : NULL;
	if (!x->verdict && te && *te && length <= 0)
		set_verdict(x, 411, "a chunked request body cannot come over SCGI: let the front "
		                    "server buffer it, or use FastCGI");
	const char *bad = NULL;
	int unfit = x->verdict ? 0 : c->wire.ops->check(x->req, &bad);
	if (unfit)
		set_verdict(x, unfit, bad);
	if (scgi) {
		c->wire.ops->expect(&c->wire, length > 0 ? (uint64_t)length : 0);
		if (x->verdict == 411 || x->verdict == 400 || x->verdict == 431) {
			sn_exchange_reject(x, x->verdict, x->verdict_text);
			return;
		}
	}
	if (!x->verdict) {
		const char *reason = NULL;
		int status = sn_request_resolve(x->req, (enum sn_path_source)c->listener->conf->path_source,
		                                c->listener->conf->prefix, &reason);
		if (status)
			set_verdict(x, status, reason);
	}
	if (!x->verdict)
		sn_exec_route(x);
	if (length > 0 && (uint64_t)length > conf->limits.body)
		sn_exchange_reject(x, 413, "the request body is larger than limits.body allows");
	else if (!x->verdict && x->req->endpoint->stream)
		sn_early_begin(x, length);
	else if (!x->verdict && length > 0 &&
	         sn_body_expect(&x->req->body, (uint64_t)length, conf->limits.memory_body) < 0)
		set_verdict(x, 503, "out of memory");
}

static void
on_body(struct sn_exchange *x, const struct sn_wire_event *ev)
{
	struct sn_conn *c = x->conn;
	const struct sn_conf *conf = c->io->ctx->conf;
	if (x->req && x->req->input) {
		sn_early_body(x, ev);
		return;
	}
	if (!x->req || sn_exchange_state(x) != SN_EX_READING)
		return; /* answered already: passed over */
	x->dropped += ev->len;
	if (x->dropped > conf->limits.body) {
		sn_exchange_reject(x, 413, "the request body is larger than limits.body allows");
		return;
	}
	if (x->verdict)
		return;
	int rc = sn_body_append(&x->req->body, ev->data, ev->len, conf->limits.memory_body,
	                        conf->spool_dir);
	if (rc < 0) {
		sn_exchange_body_failed(x, rc);
		set_verdict(x, 503, "the server cannot keep the request body now");
	}
}

static void
on_body_end(struct sn_exchange *x)
{
	if (x->req && x->req->input) {
		sn_instream_end(x->req->input, 0);
		return;
	}
	if (!sn_exchange_run(x))
		return;
	if (!x->verdict) {
		sn_exec_run(x);
		return;
	}
	count_refusal(x, x->verdict);
	sn_sink_error(x, x->verdict, x->verdict_text, x->verdict_allow);
}

static void
on_abort(struct sn_exchange *x)
{
	struct sn_request *req = x->req;
	sn_sink_abort(x);
	if (req)
		sn_exchange_cancel(x, req);
}

/* `more` bytes of the request have come: how long until others must. Who sends one now and then
 * would hold a connection for ever: each second beyond timeouts.read is paid for with
 * limits.read_rate bytes. */
static void
read_on(struct sn_exchange *x, size_t more)
{
	const struct sn_context *ctx = x->conn->io->ctx;
	int64_t ms = ctx->ms.read, spent = x->conn->io->now_ms - x->begun_ms;
	unsigned rate = ctx->conf->limits.read_rate;
	if (rate && spent > 0) {
		int64_t left = ms + (int64_t)((x->params_len + x->dropped + more) * 1000 / rate) - spent;
		if (left < ms)
			ms = left > 1 ? left : 1;
	}
	sn_exchange_deadline(x, ms);
}

void
sn_exchange_event(struct sn_exchange *x, const struct sn_wire_event *ev)
{
	if (ev->type <= SN_WIRE_BODY && sn_exchange_state(x) == SN_EX_READING)
		read_on(x, ev->len);
	switch (ev->type) {
	case SN_WIRE_PARAMS: on_params(x, ev); break;
	case SN_WIRE_PARAMS_END: on_params_end(x); break;
	case SN_WIRE_BODY: on_body(x, ev); break;
	case SN_WIRE_BODY_END: on_body_end(x); break;
	case SN_WIRE_ABORT: on_abort(x); break;
	default: SN_ASSERT(!"an event of the connection");
	}
}

static void
on_timer(struct sn_timer *t)
{
	struct sn_exchange *x = (struct sn_exchange *)t;
	struct sn_conn *c = x->conn;
	if (!c->registered)
		return;
	sn_exchange_collect(c); /* an executor may have ended meanwhile */
	enum sn_ex_state state = sn_exchange_state(x);
	if (state == SN_EX_READING)
		sn_exchange_reject(x, 408, "the request did not arrive in time");
	else if (state == SN_EX_RUNNING)
		sn_timeout_look(x);
	else if (state == SN_EX_STREAMING)
		sn_timeout_stream(x);
	sn_conn_after(c);
}

/* ---- the end of an exchange ------------------------------------------------------- */

#define BATCH 16

/* mtx held: answered, and its body has not ended. A handler that begins early may leave the rest
 * of it unread: as where one is refused early (sn_exchange_reject()), that ends the connection
 * of a peer who sends one request at a time. */
static void
pass_over(struct sn_exchange *x)
{
	struct sn_conn *c = x->conn;
	c->unread = true;
	if (x->req && x->req->input && !sn_instream_complete(x->req->input) &&
	    !c->wire.ops->multiplexed(&c->wire))
		c->close_after = true;
}

/* mtx held: off the list. What was its request is the caller's. */
static struct sn_request *
retire(struct sn_conn *c, struct sn_exchange **at)
{
	struct sn_exchange *x = *at;
	struct sn_request *req = x->req;
	*at = x->next;
	c->nactive--;
	c->served = true;
	if (c->wire.ops->receiving(&x->stream))
		pass_over(x);
	c->wire.ops->release(&c->wire, &x->stream);
	if (x->remote) {
		x->remote = false;
		c->nremote--;
		c->late = c->late || sn_request_marked(req);
	}
	x->req = NULL;
	x->state = SN_EX_NONE;
	sn_buf_free(&x->params);
	if (x != &c->first) {
		x->next = c->spare;
		c->spare = x;
	}
	return req;
}

void
sn_exchange_collect(struct sn_conn *c)
{
	struct sn_request *done[BATCH];
	size_t n;
	if (c->nactive == 0)
		return;
	do {
		n = 0;
		sn_conn_lock(c);
		for (struct sn_exchange **at = &c->active; c->fd >= 0 && *at && n < BATCH;) {
			if ((*at)->state == SN_EX_ENDED && !(*at)->out.queued)
				done[n++] = retire(c, at);
			else
				at = &(*at)->next;
		}
		sn_conn_unlock(c);
		for (size_t i = 0; i < n; i++)
			sn_request_unref_into(done[i], &c->io->reuse);
	} while (n == BATCH);
	c->shared = c->nremote > 0 || c->late;
}
