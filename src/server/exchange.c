/* SPDX-License-Identifier: MIT
 *
 * An exchange on its way in: the wire's events become a request, which is then routed
 * and run (exec.c), or answered at once when it cannot be. Runs on the connection's I/O
 * thread; the answer may come from any other (sink.c).
 */
#include <errno.h>

#include "base/log.h"
#include "server/conn_priv.h"

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
	struct sn_conn *c = x->conn;
	if (!x->remote)
		return x->state;
	pthread_mutex_lock(&c->mtx);
	enum sn_ex_state state = x->state;
	pthread_mutex_unlock(&c->mtx);
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
	req->wire_id = x->id;
	req->wire_keep = x->keep;
	req->begun_ms = x->begun_ms;
	/* distinct over processes and restarts by the seed, over threads by the stride */
	req->id = io->ctx->id_seed + io->next_id * io->ctx->nio + io->number;
	io->next_id++;
	x->req = req;
}

/* The parameters cannot be used: a request of nothing stands for it, so that the answer
 * takes the usual way. */
static int
begin_unusable(struct sn_exchange *x)
{
	static const uint8_t bytes[] = "REQUEST_METHOD\0GET";
	struct sn_request *req;
	int fault;
	int rc = sn_request_build(&req, SN_FORM_SCGI, bytes, sizeof(bytes), 1, &fault);
	if (rc < 0)
		return rc;
	begin_request(x, req);
	return 0;
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
	sn_conn_close_after(c);
	sn_log_debug("request %016llx refused: %d %s", (unsigned long long)x->req->id, status, text);
	sn_sink_error(x, status, text, 0);
}

void
sn_exchange_begin(struct sn_exchange *x, uint16_t id, bool keep)
{
	struct sn_conn *c = x->conn;
	x->id = id;
	x->keep = keep;
	x->state = SN_EX_READING;
	x->begun_ms = c->io->now_ms;
	x->params_len = 0;
	x->slice = NULL;
	sn_buf_free(&x->params);
	x->verdict = 0;
	x->verdict_text = NULL;
	x->verdict_allow = 0;
	x->dropped = 0;
	sn_conn_deadline(c, c->io->ctx->ms.read);
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
	int rc = sn_request_build(&req, c->wire.ops->form, src, len, conf->limits.headers, &fault);
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

static void
on_params_end(struct sn_exchange *x)
{
	struct sn_conn *c = x->conn;
	const struct sn_conf *conf = c->io->ctx->conf;
	if (!x->verdict)
		build(x);
	if (!x->req && begin_unusable(x) < 0) {
		sn_conn_close_after(c);
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
	else if (!x->verdict && length > 0 &&
	         sn_body_expect(&x->req->body, (uint64_t)length, conf->limits.memory_body) < 0)
		set_verdict(x, 503, "out of memory");
}

static void
on_body(struct sn_exchange *x, const struct sn_wire_event *ev)
{
	struct sn_conn *c = x->conn;
	const struct sn_conf *conf = c->io->ctx->conf;
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
		sn_log_for(SN_LOG_ERROR, x->req->id, "cannot keep the request body: %s: %s",
		           sn_err_name(rc), rc == SN_EIO ? strerror(errno) : "out of memory");
		set_verdict(x, 503, "the server cannot keep the request body now");
	}
}

static void
on_body_end(struct sn_exchange *x)
{
	struct sn_conn *c = x->conn;
	if (!x->req || sn_exchange_state(x) != SN_EX_READING)
		return;
	x->state = SN_EX_RUNNING;
	atomic_fetch_add_explicit(&c->io->count.in_flight, 1, memory_order_relaxed);
	if (x->verdict)
		sn_sink_error(x, x->verdict, x->verdict_text, x->verdict_allow);
	else
		sn_exec_run(x);
}

static void
on_abort(struct sn_exchange *x)
{
	struct sn_request *req = x->req;
	if (!req && x->state == SN_EX_READING && begin_unusable(x) == 0)
		req = x->req;
	if (!req)
		return;
	sn_sink_abort(x);
	sn_exchange_cancel(x, req);
}

void
sn_exchange_event(struct sn_exchange *x, const struct sn_wire_event *ev)
{
	switch (ev->type) {
	case SN_WIRE_PARAMS: on_params(x, ev); break;
	case SN_WIRE_PARAMS_END: on_params_end(x); break;
	case SN_WIRE_BODY: on_body(x, ev); break;
	case SN_WIRE_BODY_END: on_body_end(x); break;
	case SN_WIRE_ABORT: on_abort(x); break;
	default: SN_ASSERT(!"an event of the connection");
	}
}

void
sn_exchange_timeout(struct sn_exchange *x)
{
	if (sn_exchange_state(x) == SN_EX_READING)
		sn_exchange_reject(x, 408, "the request did not arrive in time");
	else
		sn_timeout_look(x);
}

void
sn_exchange_collect(struct sn_exchange *x)
{
	struct sn_conn *c = x->conn;
	struct sn_request *done = NULL;
	if (!x->remote && x->state != SN_EX_ENDED)
		return;
	pthread_mutex_lock(&c->mtx);
	if (c->fd >= 0 && x->state == SN_EX_ENDED && !c->out_head && x->keep && !c->close_after) {
		done = x->req;
		x->req = NULL;
		x->state = SN_EX_NONE;
		c->needs_io = false;
		c->wire.ops->release(&c->wire, x->id);
		x->remote = false;
		c->served = true;
		if (c->io->ctx->ms.idle > 0)
			sn_wheel_set(&c->io->wheel, &c->timer, c->ended_ms + c->io->ctx->ms.idle);
		else
			sn_wheel_remove(&c->timer);
	}
	pthread_mutex_unlock(&c->mtx);
	sn_request_unref(done);
}
