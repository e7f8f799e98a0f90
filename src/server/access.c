/* SPDX-License-Identifier: MIT
 *
 * The access log: a line an answer (or what would have been one), tab-separated, control characters escaped: time,
 * request id, remote address, method, path, status, body bytes, milliseconds, lane and
 * handler. One write(2) a line; any thread.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/clock.h"
#include "http/proxy.h"
#include "server/conn_priv.h"

static void
add_field(struct sn_buf *b, const char *s)
{
	sn_buf_adds(b, "\t");
	for (const unsigned char *p = (const unsigned char *)s; p && *p; p++) {
		if (*p < 0x20 || *p == 0x7f || *p == '\\')
			sn_buf_addf(b, "\\x%02x", *p);
		else
			sn_buf_add(b, p, 1);
	}
}

static void
add_client(struct sn_buf *b, const struct sn_request *req)
{
	char text[SN_PROXY_ADDRESS];
	const char *addr = sn_proxy_client(req, text);
	add_field(b, addr ? addr : "-");
}

void
sn_access_log(const struct sn_context *ctx, const struct sn_request *req, int status,
              uint64_t body_bytes)
{
	static const char *const lanes[] = { "native", "blocking", "sync", "pool", "async", "async+pool" };
	char store[1024], when[32];
	struct sn_buf b;
	struct timespec ts;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	sn_buf_init(&b, store, sizeof(store));
	sn_buf_addf(&b, "%s.%03ldZ\t%016llx", when, ts.tv_nsec / 1000000, (unsigned long long)req->id);
	add_client(&b, req);
	add_field(&b, req->method_name ? req->method_name : "-");
	add_field(&b, req->path.path ? req->path.path : "-");
	sn_buf_addf(&b, "\t%d\t%llu\t%lld", status, (unsigned long long)body_bytes,
	            (long long)(sn_clock_ms() - req->begun_ms));
	add_field(&b, req->endpoint ? lanes[req->endpoint->lane] : "-");
	add_field(&b, req->endpoint ? req->endpoint->name : "-");
	sn_buf_adds(&b, "\n");
	sn_log_put(ctx->access_fd, b.data, b.len);
	sn_buf_free(&b);
}
