/* SPDX-License-Identifier: MIT
 *
 * A whole connection (codec, exchanges, routes, answers, its end) over a socket pair: the
 * same bytes in pieces get the same answers as all at once. The first byte chooses the
 * pieces, the second the protocol, whether requests are multiplexed and where bodies are
 * kept. Answers are compared for each id: how those of several requests interleave may differ.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <snacgi.h>

#include "base/log.h"
#include "server/conn_priv.h"

#define IDS_MAX 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- a worker of one I/O thread, without the thread ---------------------------- */

static struct sn_context ctx;
static struct sn_iothread io;
static struct sn_conf_listen listen_conf;
static struct sn_listener listeners[2];
static struct sn_conf *conf;
static size_t large; /* the body of /large */

static int
hello(sn_request *req, sn_response *res)
{
	(void)req;
	return sn_response_puts(res, "hello");
}

/* More than goes out in one piece. */
static int
answer_large(sn_request *req, sn_response *res)
{
	static char body[40000];
	(void)req;
	memset(body, 'l', sizeof(body));
	return sn_response_write(res, body, large);
}

static int
echo(sn_request *req, sn_response *res)
{
	size_t len;
	const void *body = sn_request_body(req, &len);
	return len ? sn_response_write(res, body, len) : 0;
}

static const sn_route routes[] = {
	{ .rule = "/", .handler = hello },
	{ .rule = "/large", .handler = answer_large },
	{ .rule = "/echo", .handler = echo, .methods = "GET, POST" },
	{ .rule = NULL },
};

static void
set_up(void)
{
	struct sn_why why;
	struct sn_matcher *m;
	size_t n;
	const struct sn_log_options quiet = { .level = SN_LOG_ERROR };
	conf = sn_conf_new();
	SN_ASSERT(conf && sn_log_open(&quiet, &why) == 0);
	conf->limits.body = 3000;
	conf->limits.params = 2000;
	conf->limits.headers = 8;
	ctx.conf = conf;
	ctx.native = sn_native_new();
	SN_ASSERT(ctx.native && sn_native_add(ctx.native, routes, &why) == 0);
	const struct sn_endpoint *eps = sn_native_endpoints(ctx.native, &n);
	SN_ASSERT(sn_matcher_new(&m, eps, n, &why) == 0);
	ctx.router.native = m;
	ctx.access_fd = ctx.chan = -1;
	ctx.nio = 1;
	ctx.ms.read = ctx.ms.idle = ctx.ms.write = ctx.ms.request = 60000;
	ctx.wire_limits.params = (uint32_t)conf->limits.params;
	ctx.wire_limits.connections = 100;
	listen_conf.prefix = (char *)(uintptr_t)"";
	listeners[0] = (struct sn_listener){ .fd = -1, .wire = &sn_wire_fastcgi, .conf = &listen_conf };
	listeners[1] = (struct sn_listener){ .fd = -1, .wire = &sn_wire_scgi, .conf = &listen_conf };
	io.ctx = &ctx;
	io.now_ms = 1000;
	sn_wheel_init(&io.wheel, io.now_ms);
	pthread_mutex_init(&io.inbox_mtx, NULL);
	io.epoll = epoll_create1(EPOLL_CLOEXEC);
	io.rbuf = malloc(SN_IO_READ_SIZE);
	SN_ASSERT(io.epoll >= 0 && io.rbuf);
	sn_io_self = &io;
}

/* ---- one peer ------------------------------------------------------------------- */

struct peer {
	struct sn_conn *conn;
	int fd;
	struct sn_buf got;
	bool closed; /* the server's side has ended */
};

static void
take(struct peer *p)
{
	char buf[65536];
	for (;;) {
		ssize_t n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n > 0)
			SN_ASSERT(sn_buf_add(&p->got, buf, (size_t)n) == 0);
		else if (n < 0 && errno == EINTR)
			continue;
		else {
			p->closed = p->closed || n == 0 || errno != EAGAIN;
			return;
		}
	}
}

/* What the I/O thread's loop would do until nothing is left to do. */
static void
settle(struct peer *p)
{
	struct sn_conn *c = p->conn;
	for (bool more = true; more;) {
		size_t before = p->got.len;
		take(p);
		if (c->registered && c->armed_out)
			sn_conn_event(c, EPOLLOUT);
		struct sn_conn *ready = io.ready;
		io.ready = NULL;
		if (ready) { /* there is but this one */
			ready->ready = false;
			sn_conn_go_on(ready);
			sn_conn_unref(ready);
		}
		more = io.ready || p->got.len != before;
	}
}

static void
end(struct peer *p)
{
	shutdown(p->fd, SHUT_WR);
	sn_conn_event(p->conn, EPOLLIN | EPOLLRDHUP);
	settle(p);
	if (p->conn->registered)
		sn_conn_close(p->conn);
	settle(p);
	take(p);
	io.grave = NULL;
	SN_ASSERT(p->conn->nactive == 0 || p->conn->fd < 0);
	SN_ASSERT(atomic_load(&p->conn->refs) == 2); /* ours, and the grave's: every request is gone */
	sn_conn_unref(p->conn);
	sn_conn_unref(p->conn);
	SN_ASSERT(io.conns == NULL && atomic_load(&io.count.in_flight) == 0);
	close(p->fd);
}

static void
run(struct peer *p, const struct sn_listener *l, const uint8_t *data, size_t size, size_t piece)
{
	int sv[2];
	SN_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
	memset(p, 0, sizeof(*p));
	io.next_id = 1;
	p->fd = sv[1];
	p->conn = sn_conn_new(&io, l, sv[0]);
	SN_ASSERT(p->conn);
	atomic_fetch_add(&p->conn->refs, 1);
	sn_conn_adopt(p->conn);
	for (size_t at = 0, n; at < size; at += n) {
		n = size - at < piece ? size - at : piece;
		if (send(p->fd, data + at, n, MSG_NOSIGNAL) != (ssize_t)n)
			break; /* closed: nobody wants the rest */
		sn_conn_event(p->conn, EPOLLIN);
		settle(p);
	}
	end(p);
}

/* ---- comparing -------------------------------------------------------------------- */

/* The records of one id, without how its output was cut. */
static void
collect(const struct sn_buf *got, uint16_t id, struct sn_buf *out)
{
	const uint8_t *at = (const uint8_t *)got->data, *stop = at ? at + got->len : NULL;
	while (stop - at >= 8) {
		size_t len = (size_t)at[4] << 8 | at[5], whole = 8 + len + at[6];
		if ((size_t)(stop - at) < whole)
			whole = (size_t)(stop - at), len = whole - 8;
		if ((at[2] << 8 | at[3]) == id) {
			if (at[1] != 6 || len == 0)
				SN_ASSERT(sn_buf_add(out, at, 2) == 0);
			SN_ASSERT(sn_buf_add(out, at + 8, len) == 0);
		}
		at += whole;
	}
}

static void
same_for(const struct peer *a, const struct peer *b, uint16_t id)
{
	struct sn_buf x, y;
	sn_buf_init(&x, NULL, 0);
	sn_buf_init(&y, NULL, 0);
	collect(&a->got, id, &x);
	collect(&b->got, id, &y);
	SN_ASSERT(x.len == y.len && (x.len == 0 || memcmp(x.data, y.data, x.len) == 0));
	sn_buf_free(&x);
	sn_buf_free(&y);
}

/* Every id that either has. */
static void
compare(const struct peer *a, const struct peer *b)
{
	static uint8_t seen[65536];
	static uint16_t ids[IDS_MAX];
	size_t n = 0;
	const struct peer *both[] = { a, b };
	for (int i = 0; i < 2; i++) {
		const uint8_t *at = (const uint8_t *)both[i]->got.data, *stop = at ? at + both[i]->got.len : NULL;
		while (stop - at >= 8) {
			uint16_t id = (uint16_t)(at[2] << 8 | at[3]);
			if (!seen[id] && n < IDS_MAX)
				ids[n++] = id;
			seen[id] = 1;
			at += 8 + (at[4] << 8 | at[5]) + at[6];
		}
	}
	while (n > 0) {
		same_for(a, b, ids[--n]);
		seen[ids[n]] = 0;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct peer whole, pieces;
	if (size < 2 || size > 4096)
		return 0;
	if (!conf)
		set_up();
	bool scgi = data[1] & 1, one = data[1] & 2;
	ctx.wire_limits.requests = one ? 1 : 1024;
	conf->limits.memory_body = data[1] & 4 ? 300 : 3000; /* the rest of a body in a file */
	/* When just one may be open, an answer that is still in the queue makes a difference. */
	large = one ? 17 : 40000;
	run(&whole, &listeners[scgi], data + 2, size - 2, size);
	run(&pieces, &listeners[scgi], data + 2, size - 2, (size_t)data[0] % 64 + 1);
	SN_ASSERT(whole.closed && pieces.closed);
	if (scgi)
		SN_ASSERT(whole.got.len == pieces.got.len &&
		          (!whole.got.len || memcmp(whole.got.data, pieces.got.data, whole.got.len) == 0));
	else
		compare(&whole, &pieces);
	sn_buf_free(&whole.got);
	sn_buf_free(&pieces.got);
	return 0;
}
