/* SPDX-License-Identifier: MIT
 *
 * The status page. The asked worker writes its own row first; those of the others are as
 * old as their watchdog's last round (a second at most). The page is made on an I/O
 * thread, without the GIL and without a lock that is held over a handler.
 */
#include "config.h"

#include "server/status.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/body.h"
#include "http/proxy.h"
#include "server/blocking.h"
#include "server/iothread.h"
#include "server/process.h"
#include "server/scores.h"

struct sn_status {
	struct sn_context *ctx;
	struct sn_scores *scores, *own; /* own: to be freed, where no supervisor shares some */
	struct sn_row *row;
	pthread_mutex_t mtx; /* one publishes at a time, or an older count could follow a newer one */
	struct sn_network *allow;
	sn_route route[2];
};

/* A page without a part of it would be read as if it were whole. */
struct page {
	struct sn_buf text;
	bool failed;
};

__attribute__((format(printf, 2, 3))) static void
add(struct page *p, const char *fmt, ...)
{
	char part[1024];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(part, sizeof(part), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(part) || sn_buf_add(&p->text, part, (size_t)n) < 0)
		p->failed = true;
}

/* In the order of enum sn_score. Those of a group stand together. */
static const struct score {
	const char *group, *name; /* in JSON */
	const char *metric, *label; /* Prometheus: without "snacgi_" */
	const char *help; /* of the metric, at its first */
} scores[SN_SCORES] = {
	{ "answered", "1xx", "requests_total", "class=\"1xx\"", "Requests that were answered, by status class." },
	{ "answered", "2xx", "requests_total", "class=\"2xx\"", NULL },
	{ "answered", "3xx", "requests_total", "class=\"3xx\"", NULL },
	{ "answered", "4xx", "requests_total", "class=\"4xx\"", NULL },
	{ "answered", "5xx", "requests_total", "class=\"5xx\"", NULL },
	{ "by", "native", "answered_by_total", "kind=\"native\"", "Requests that an endpoint answered, by kind." },
	{ "by", "python", "answered_by_total", "kind=\"python\"", NULL },
	{ "unanswered", "gone", "unanswered_total", "reason=\"gone\"", "Requests that were not answered to the end, by reason." },
	{ "unanswered", "broken", "unanswered_total", "reason=\"broken\"", NULL },
	{ "refused", "sync_full", "refused_total", "reason=\"sync_full\"", "Requests that the server answered by itself, by reason." },
	{ "refused", "async_full", "refused_total", "reason=\"async_full\"", NULL },
	{ "refused", "blocking_full", "refused_total", "reason=\"blocking_full\"", NULL },
	{ "refused", "requests_full", "refused_total", "reason=\"requests_full\"", NULL },
	{ "refused", "late", "refused_total", "reason=\"late\"", NULL },
	{ "refused", "timeout", "refused_total", "reason=\"timeout\"", NULL },
	{ "refused", "slow_peer", "refused_total", "reason=\"slow_peer\"", NULL },
	{ "refused", "too_large", "refused_total", "reason=\"too_large\"", NULL },
	{ "refused", "malformed", "refused_total", "reason=\"malformed\"", NULL },
	{ "refused", "no_room", "refused_total", "reason=\"no_room\"", NULL },
	{ "refused", "stopping", "refused_total", "reason=\"stopping\"", NULL },
	{ "requests", "in_flight", "requests_in_flight", NULL, "Requests begun and not yet answered." },
	{ "connections", "open", "connections", NULL, "Connections of front servers, busy or kept." },
	{ "sync", "waiting", "queue_waiting", "lane=\"sync\"", "Requests that wait for a thread or the event loop." },
	{ "sync", "busy", "threads_busy", "lane=\"sync\"", "Threads that run a handler." },
	{ "async", "waiting", "queue_waiting", "lane=\"async\"", NULL },
	{ "async", "running", "tasks", NULL, "Tasks of async handlers." },
	{ "blocking", "waiting", "queue_waiting", "lane=\"blocking\"", NULL },
	{ "blocking", "threads", "blocking_threads", NULL, "Threads for native handlers that block." },
	{ "blocking", "busy", "threads_busy", "lane=\"blocking\"", NULL },
	{ "pool", "processes", "pool_processes", NULL, "Processes of the pool." },
	{ "memory", "resident", "resident_bytes", NULL, "Resident memory of the workers." },
	{ "memory", "spooled", "spooled_bytes", NULL, "Bodies in files." },
};

/* ---- the row ------------------------------------------------------------------------ */

static void
put(struct sn_row *r, enum sn_score i, uint64_t value)
{
	atomic_store_explicit(&r->value[i], value, memory_order_relaxed);
}

static void
put_threads(struct sn_row *r, const struct sn_context *ctx)
{
	uint64_t answered[6] = { 0 }, native = 0, python = 0, in_flight = 0, gone = 0, broken = 0;
	for (unsigned i = 0; i < ctx->nio; i++) {
		const struct sn_counters *n = sn_iothread_counters(ctx->io[i]);
		for (unsigned c = 1; c < SN_COUNT(answered); c++)
			answered[c] += atomic_load_explicit(&n->answered[c], memory_order_relaxed);
		native += atomic_load_explicit(&n->native, memory_order_relaxed);
		python += atomic_load_explicit(&n->python, memory_order_relaxed);
		gone += atomic_load_explicit(&n->gone, memory_order_relaxed);
		broken += atomic_load_explicit(&n->broken, memory_order_relaxed);
		in_flight += atomic_load_explicit(&n->in_flight, memory_order_relaxed);
	}
	for (unsigned c = 1; c < SN_COUNT(answered); c++)
		put(r, (enum sn_score)(SN_SCORE_1XX + c - 1), answered[c]);
	put(r, SN_SCORE_NATIVE, native);
	put(r, SN_SCORE_PYTHON, python);
	put(r, SN_SCORE_GONE, gone);
	put(r, SN_SCORE_BROKEN, broken);
	put(r, SN_SCORE_IN_FLIGHT, in_flight);
}

void
sn_status_publish(struct sn_status *s)
{
	struct sn_pyrt_stats py = { .expired = 0 };
	struct sn_blocking_stats blocking = { .late = 0 };
	if (!s)
		return;
	const struct sn_context *ctx = s->ctx;
	struct sn_row *r = s->row;
	pthread_mutex_lock(&s->mtx);
	put_threads(r, ctx);
	if (ctx->py)
		sn_pyrt_stats(ctx->py, &py);
	if (ctx->blocking)
		sn_blocking_stats(ctx->blocking, &blocking);
	for (enum sn_score i = SN_SCORE_SYNC_FULL; i < SN_SCORE_GAUGES; i++)
		if (i != SN_SCORE_LATE)
			put(r, i, atomic_load_explicit(&ctx->refused[i], memory_order_relaxed));
	put(r, SN_SCORE_LATE, atomic_load_explicit(&ctx->refused[SN_SCORE_LATE], memory_order_relaxed) +
	                              py.expired + blocking.late);
	put(r, SN_SCORE_CONNECTIONS, atomic_load_explicit(&ctx->connections, memory_order_relaxed));
	put(r, SN_SCORE_SYNC_WAITING, py.sync_depth);
	put(r, SN_SCORE_SYNC_BUSY, py.dispatch_busy);
	put(r, SN_SCORE_ASYNC_WAITING, py.async_depth);
	put(r, SN_SCORE_ASYNC_RUNNING, py.async_in_flight);
	put(r, SN_SCORE_BLOCKING_WAITING, blocking.waiting);
	put(r, SN_SCORE_BLOCKING_THREADS, blocking.threads);
	put(r, SN_SCORE_BLOCKING_BUSY, blocking.busy);
	put(r, SN_SCORE_POOL_PROCESSES, py.pool_workers);
	put(r, SN_SCORE_MEMORY, sn_process_rss());
	put(r, SN_SCORE_SPOOL, sn_body_spooled());
	pthread_mutex_unlock(&s->mtx);
}

/* ---- JSON ----------------------------------------------------------------------------- */

static void
add_groups(struct page *b, const uint64_t value[SN_SCORES])
{
	const char *group = "";
	for (unsigned i = 0; i < SN_SCORES; i++) {
		bool first = strcmp(group, scores[i].group) != 0;
		if (first)
			add(b, "%s,\"%s\":{", *group ? "}" : "", scores[i].group);
		add(b, "%s\"%s\":%" PRIu64, first ? "" : ",", scores[i].name, value[i]);
		group = scores[i].group;
	}
	add(b, "}");
}

static void
add_workers(struct page *b, const struct sn_status *s)
{
	unsigned n, told = 0;
	const struct sn_row *row = sn_scores_rows(s->scores, &n);
	for (unsigned i = 0; i < n; i++) {
		uint64_t value[SN_SCORES];
		int64_t pid = atomic_load(&row[i].pid);
		if (pid <= 0)
			continue;
		int64_t since = atomic_load(&row[i].since_ms), up = sn_clock_ms() - since;
		for (unsigned k = 0; k < SN_SCORES; k++)
			value[k] = atomic_load_explicit(&row[i].value[k], memory_order_relaxed);
		add(b, "%s{\"pid\":%" PRId64 ",\"generation\":%" PRIu64 ",\"place\":%" PRIu64 ",\"uptime\":%" PRId64 ".%03" PRId64,
		            told++ ? "," : "", pid, atomic_load(&row[i].generation), atomic_load(&row[i].slot),
		            up / 1000, up % 1000); /* no %f: a handler may have set a locale with a comma */
		add_groups(b, value);
		add(b, "}");
	}
}

static void
add_json(struct page *b, const struct sn_status *s)
{
	const struct sn_conf *conf = s->ctx->conf;
	uint64_t sum[SN_SCORES], requests = 0;
	sn_scores_sum(s->scores, sum);
	for (unsigned i = SN_SCORE_1XX; i <= SN_SCORE_5XX; i++)
		requests += sum[i];
	add(b, "{\"server\":\"snacgi\",\"version\":\"" PACKAGE_VERSION "\",\"pid\":%d,\"generation\":%" PRIu64
	            ",\"processes\":%u,\"total\":{\"requests\":%" PRIu64,
	            (int)getpid(), atomic_load(&s->row->generation), conf->processes, requests);
	add(b, "}");
	add_groups(b, sum);
	add(b, ",\"limits\":{\"connections\":%u,\"requests\":%u,\"queue\":%zu,\"async\":%u,\"blocking_threads\":%u,"
	            "\"dispatch_workers\":%u,\"spool\":%" PRIu64 "},\"workers\":[",
	            conf->limits.connections, conf->limits.requests, conf->queue, conf->limits.async,
	            conf->native.blocking_threads, conf->python.dispatch_workers, conf->limits.spool);
	add_workers(b, s);
	add(b, "]}\n");
}

/* ---- Prometheus ------------------------------------------------------------------------- */

static void
add_metric(struct page *b, unsigned i, const uint64_t sum[SN_SCORES])
{
	const char *metric = scores[i].metric;
	add(b, "# HELP snacgi_%s %s\n# TYPE snacgi_%s %s\n", metric, scores[i].help, metric,
	            i < SN_SCORE_GAUGES ? "counter" : "gauge");
	for (unsigned k = i; k < SN_SCORES; k++)
		if (strcmp(scores[k].metric, metric) == 0)
			add(b, "snacgi_%s%s%s%s %" PRIu64 "\n", metric, scores[k].label ? "{" : "",
			            scores[k].label ? scores[k].label : "", scores[k].label ? "}" : "", sum[k]);
}

static void
add_prometheus(struct page *b, const struct sn_status *s)
{
	uint64_t sum[SN_SCORES];
	unsigned n, workers = 0;
	const struct sn_row *row = sn_scores_rows(s->scores, &n);
	for (unsigned i = 0; i < n; i++)
		workers += atomic_load(&row[i].pid) > 0;
	sn_scores_sum(s->scores, sum);
	add(b, "# HELP snacgi_info The server's version.\n# TYPE snacgi_info gauge\n"
	            "snacgi_info{version=\"" PACKAGE_VERSION "\"} 1\n"
	            "# HELP snacgi_workers Worker processes.\n# TYPE snacgi_workers gauge\nsnacgi_workers %u\n",
	            workers);
	for (unsigned i = 0; i < SN_SCORES; i++)
		if (scores[i].help)
			add_metric(b, i, sum);
}

/* ---- the endpoint ------------------------------------------------------------------------- */

static bool
allowed(const struct sn_status *s, const sn_request *req)
{
	char text[SN_PROXY_ADDRESS];
	const char *address = sn_proxy_client(req, text);
	const struct sn_strings *list = &s->ctx->conf->status.allow;
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	const struct sockaddr *peer = NULL;
	if (list->n == 0)
		return true;
	if (address && inet_pton(AF_INET, address, &v4.sin_addr) == 1)
		peer = (const struct sockaddr *)&v4;
	else if (address && inet_pton(AF_INET6, address, &v6.sin6_addr) == 1)
		peer = (const struct sockaddr *)&v6;
	for (size_t i = 0; peer && i < list->n; i++)
		if (sn_network_contains(&s->allow[i], peer))
			return true;
	return false;
}

/* ?format= decides, else Accept: Prometheus asks for text or OpenMetrics. */
static int
wanted(sn_request *req, bool *prometheus)
{
	const char *format = sn_request_query(req, "format");
	const char *accept = sn_request_header(req, "Accept");
	*prometheus = format ? strcmp(format, "prometheus") == 0
	                     : accept && (strstr(accept, "text/plain") || strstr(accept, "openmetrics"));
	return format && !*prometheus && strcmp(format, "json") != 0 ? SN_EINVAL : 0;
}

static int
answer(sn_request *req, sn_response *res)
{
	struct sn_status *s = sn_request_ctx(req);
	struct page page = { .failed = false };
	bool prometheus;
	if (!allowed(s, req))
		return sn_response_error(res, 403, "status.allow does not name this client's address");
	if (wanted(req, &prometheus) < 0)
		return sn_response_error(res, 400, "format is json or prometheus");
	sn_status_publish(s);
	sn_buf_init(&page.text, NULL, 0);
	if (prometheus)
		add_prometheus(&page, s);
	else
		add_json(&page, s);
	int rc = page.failed ? SN_ENOMEM : sn_response_write(res, page.text.data, page.text.len);
	if (rc == 0)
		rc = sn_response_type(res, prometheus ? "text/plain; version=0.0.4; charset=utf-8" : "application/json");
	if (rc == 0)
		rc = sn_response_header(res, "Cache-Control", "no-store");
	sn_buf_free(&page.text);
	return rc;
}

/* ---- life ---------------------------------------------------------------------------------- */

static int
parse_networks(struct sn_status *s, const struct sn_strings *list, struct sn_why *why)
{
	struct sn_why bad;
	s->allow = calloc(list->n ? list->n : 1, sizeof(*s->allow));
	if (!s->allow)
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	for (size_t i = 0; i < list->n; i++)
		if (sn_network_parse(list->item[i], &s->allow[i], &bad) < 0)
			return sn_why_set(why, SN_ECONF, "key 'status.allow': %s", bad.text);
	return 0;
}

int
sn_status_new(struct sn_status **out, struct sn_context *ctx, struct sn_why *why)
{
	const struct sn_conf *conf = ctx->conf;
	*out = NULL;
	if (!*conf->status.path)
		return 0;
	if (strpbrk(conf->status.path, "<>"))
		return sn_why_set(why, SN_ECONF, "key 'status.path': it is one path, without variables; for example "
		                  "\"/-/status\"");
	struct sn_status *s = calloc(1, sizeof(*s));
	if (!s)
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	s->ctx = ctx;
	pthread_mutex_init(&s->mtx, NULL);
	s->route[0] = (sn_route){ .rule = conf->status.path, .handler = answer, .ctx = s, .name = "status" };
	int rc = parse_networks(s, &conf->status.allow, why);
	s->scores = rc == 0 ? sn_scores_mine(&s->row) : NULL;
	if (rc == 0 && !s->scores) {
		s->scores = s->own = sn_scores_new(1);
		s->row = sn_scores_take(s->own, 1, 0);
		if (s->row)
			atomic_store(&s->row->pid, getpid());
		else
			rc = sn_why_set(why, SN_ENOMEM, "out of memory");
	}
	if (rc < 0) {
		sn_status_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void
sn_status_free(struct sn_status *s)
{
	if (!s)
		return;
	sn_scores_free(s->own);
	pthread_mutex_destroy(&s->mtx);
	free(s->allow);
	free(s);
}

const sn_route *
sn_status_routes(const struct sn_status *s)
{
	return s->route;
}
