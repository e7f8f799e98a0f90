/* SPDX-License-Identifier: MIT
 *
 * Requests: parameters, index and struct in one block, so that a parked one is
 * one small allocation; everything else that a request grows hangs off it and
 * goes with the last reference. References may be dropped on any thread; all
 * else is done by one thread at a time. Refuses to know sockets and records.
 */
#include "http/request.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "http/arena.h"
#include "http/method.h"

static long
count_pairs(enum sn_params_form form, const uint8_t *src, size_t len)
{
	return form == SN_FORM_FCGI ? sn_params_count_fcgi(src, len)
	                            : sn_params_count_scgi(src, len);
}

/* The fields that are found among the parameters. */
static int
fill(struct sn_request *req)
{
	if (!req->known[SN_P_REQUEST_METHOD])
		return -SN_PARAMS_METHOD;
	const struct sn_param *p = &req->params[req->known[SN_P_REQUEST_METHOD] - 1];
	if (p->value_len == 0)
		return -SN_PARAMS_METHOD;
	req->method_name = req->raw + p->value;
	req->method = sn_method_bit(req->method_name, p->value_len);
	req->query = "";
	if (req->known[SN_P_QUERY_STRING]) {
		p = &req->params[req->known[SN_P_QUERY_STRING] - 1];
		req->query = req->raw + p->value;
		req->query_len = p->value_len;
	}
	return 0;
}

/* Room for the pairs that so many bytes usually are; more are counted. A front server's
 * pairs take about 35 bytes each. */
static size_t
usual_pairs(size_t len)
{
	return len / 32 + 8;
}

/* A block that was used before is not more than a quarter too large: requests may be parked for long. */
static struct sn_request *
new_block(size_t size, struct sn_request_reuse *reuse)
{
	struct sn_request *req;
	if (reuse && size <= reuse->size && reuse->size - size <= size / 4) {
		req = reuse->block;
		size = reuse->size;
		reuse->block = NULL;
		reuse->size = 0;
	} else if (!(req = malloc(size))) {
		return NULL;
	}
	memset(req, 0, sizeof(*req));
	req->size = (uint32_t)size;
	return req;
}

/* One block with the parameters decoded into it. */
static int
decode(struct sn_request **out, enum sn_params_form form, const uint8_t *src, size_t len,
       size_t room, struct sn_request_reuse *reuse, unsigned *headers, int *fault)
{
	struct sn_request *req = new_block(sizeof(*req) + room * sizeof(req->params[0]) + len, reuse);
	*out = req;
	if (!req)
		return SN_ENOMEM;
	atomic_init(&req->refs, 1);
	req->mount = "";
	sn_body_init(&req->body);
	req->raw = (char *)&req->params[room];
	struct sn_params p = { .index = req->params, .room = room, .bytes = req->raw,
	                       .names = reuse ? &reuse->names : NULL };
	*fault = form == SN_FORM_FCGI ? sn_params_decode_fcgi(&p, src, len)
	                              : sn_params_decode_scgi(&p, src, len);
	req->nparams = p.n;
	*headers = p.headers;
	req->raw_len = (uint32_t)p.used;
	req->spare = (uint32_t)((room - p.n) * sizeof(req->params[0]));
	memcpy(req->known, p.known, sizeof(req->known));
	return *fault < 0 ? SN_EINVAL : 0;
}

int
sn_request_build(struct sn_request **out, enum sn_params_form form, const uint8_t *src,
                 size_t len, unsigned max_headers, struct sn_request_reuse *reuse, int *fault)
{
	struct sn_request *req = NULL;
	unsigned headers = 0;
	*out = NULL;
	*fault = 0;
	if (len > UINT32_MAX / 2)
		return SN_ELIMIT;
	int rc = decode(&req, form, src, len, usual_pairs(len), reuse, &headers, fault);
	if (*fault == -SN_PARAMS_ROOM) {
		sn_request_unref_into(req, reuse);
		req = NULL;
		long n = count_pairs(form, src, len);
		*fault = n < 0 ? (int)n : 0;
		rc = n < 0 ? SN_EINVAL
		     : n > SN_PARAMS_MAX ? SN_ELIMIT
		                         : decode(&req, form, src, len, (size_t)n, reuse, &headers, fault);
	}
	if (rc == 0 && req->nparams > SN_PARAMS_MAX)
		rc = SN_ELIMIT;
	if (rc == 0 && (*fault = fill(req)) < 0)
		rc = SN_EINVAL;
	if (rc == 0 && headers > max_headers)
		rc = SN_ELIMIT;
	if (rc < 0) {
		sn_request_unref_into(req, reuse);
		req = NULL;
	}
	*out = req;
	return rc;
}

/* Memory for the request's own use: what the index has left over, or the arena's. Aligned as
 * pointers are. */
_Static_assert(offsetof(struct sn_request, params) % sizeof(void *) == 0 &&
                       sizeof(struct sn_param) % sizeof(void *) == 0, "what lies behind the index is aligned");

static void *
own_memory(struct sn_request *req, size_t size)
{
	size_t whole = (size + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
	if (whole > req->spare)
		return sn_arena_alloc(&req->arena, size);
	req->spare -= (uint32_t)whole;
	return (char *)&req->params[req->nparams] + req->spare;
}

/* Moves what lies in a buffer that will go into the request's own memory. */
static int
keep_path(struct sn_request *req, const char *buf, size_t room)
{
	struct sn_path *p = &req->path;
	bool path = p->path >= buf && p->path < buf + room;
	bool match = p->match >= buf && p->match < buf + room;
	if (!path && !match)
		return 0;
	bool same = p->match == p->path;
	size_t size = (size_t)p->len + 1;
	char *own = own_memory(req, same || !path || !match ? size : 2 * size);
	if (!own)
		return SN_ENOMEM;
	if (path) {
		p->path = memcpy(own, p->path, size);
		if (same)
			p->match = p->path;
		own += size;
	}
	if (match && !same)
		p->match = memcpy(own, p->match, size);
	return 0;
}

/* The listener's configuration may end before a request that Python keeps. */
static int
keep_mount(struct sn_request *req, const char *prefix)
{
	if (!prefix || !*prefix)
		return 0;
	size_t size = strlen(prefix) + 1;
	char *own = sn_arena_alloc(&req->arena, size);
	if (!own)
		return SN_ENOMEM;
	req->mount = memcpy(own, prefix, size);
	return 0;
}

int
sn_request_resolve(struct sn_request *req, enum sn_path_source source, const char *prefix,
                   const char **reason)
{
	const struct sn_path_in in = {
		.script_name = sn_request_known(req, SN_P_SCRIPT_NAME),
		.path_info = sn_request_known(req, SN_P_PATH_INFO),
		.document_uri = sn_request_known(req, SN_P_DOCUMENT_URI),
		.request_uri = sn_request_known(req, SN_P_REQUEST_URI),
		.source = source,
		.prefix = prefix,
	};
	char stack[4096];
	char *buf = stack;
	size_t room = 2 * ((size_t)req->raw_len + 2); /* no parameter is longer than all of them */
	if (room > sizeof(stack))
		room = sn_path_room(&in);
	if (room > sizeof(stack)) {
		buf = malloc(room);
		if (!buf) {
			*reason = "out of memory";
			return 503;
		}
	}
	int status = sn_path_resolve(&in, buf, room, &req->path, reason);
	if (status == 0 && (keep_path(req, buf, room) < 0 || keep_mount(req, prefix) < 0)) {
		*reason = "out of memory";
		status = 503;
	}
	if (status) /* nothing of the buffer may be left; an error page still wants a path */
		req->path = (struct sn_path){ "/", "/", 1 };
	if (buf != stack)
		free(buf);
	return status;
}

int
sn_request_set_values(struct sn_request *req, const struct sn_value *values, uint32_t n)
{
	req->values = NULL;
	req->nvalues = 0;
	if (n == 0)
		return 0;
	struct sn_value *own = own_memory(req, n * sizeof(*own));
	if (!own)
		return SN_ENOMEM;
	memcpy(own, values, n * sizeof(*own));
	req->values = own;
	req->nvalues = n;
	return 0;
}

/* More would not be a usual request's. */
#define REUSED_MAX 8192

static bool
keep_block(struct sn_request *req, struct sn_request_reuse *reuse)
{
	if (!reuse || req->size > REUSED_MAX)
		return false;
	free(reuse->block); /* the latest is what the next will be like */
	reuse->size = req->size;
	reuse->block = req;
	return true;
}

void
sn_request_unref_into(struct sn_request *req, struct sn_request_reuse *reuse)
{
	if (!req || atomic_fetch_sub_explicit(&req->refs, 1, memory_order_acq_rel) != 1)
		return;
	const struct sn_sink_ops *sink = req->sink;
	void *owner = req->owner;
	if (req->json && req->json_free)
		req->json_free(req->json);
	sn_body_free(&req->body);
	sn_instream_free(req->input);
	sn_arena_free(req->arena);
	if (!keep_block(req, reuse))
		free(req);
	/* Last: the owner may hold the memory limits that the request counted against. */
	if (sink && sink->release)
		sink->release(owner);
}

void
sn_request_unref(struct sn_request *req)
{
	sn_request_unref_into(req, NULL);
}

void
sn_request_reuse_free(struct sn_request_reuse *reuse)
{
	free(reuse->block);
	reuse->block = NULL;
	reuse->size = 0;
}

int64_t
sn_request_content_length(const struct sn_request *req)
{
	const char *s = sn_request_known(req, SN_P_CONTENT_LENGTH);
	int64_t n = 0;
	if (!s || !*s || strcmp(s, "-1") == 0) /* Caddy's word for a chunked body, before 2.7 */
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -2;
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *s - '0', &n))
			return -2;
	}
	return n;
}

bool
sn_request_expire(struct sn_request *req)
{
	unsigned none = 0;
	return atomic_compare_exchange_strong_explicit(&req->marks, &none, SN_MARK_TIMEOUT,
	                                               memory_order_acq_rel, memory_order_relaxed);
}

/* Executor and I/O thread may decide at once: the first change of `marks` counts, so that
 * what was answered as not executed is not executed. */
int
sn_request_begin(struct sn_request *req, int64_t now_ms, int64_t limit_ms)
{
	if (limit_ms > 0 && now_ms - req->queued_ms > limit_ms)
		return sn_request_expire(req) ? SN_EAGAIN : SN_EGONE;
	req->started_ms = now_ms;
	unsigned before = atomic_fetch_or_explicit(&req->marks, SN_MARK_STARTED, memory_order_acq_rel);
	return before & (SN_MARK_GONE | SN_MARK_TIMEOUT) ? SN_EGONE : 0;
}
