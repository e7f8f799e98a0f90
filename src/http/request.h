/* SPDX-License-Identifier: MIT
 *
 * One request: its parameters in one compact block, its body, where it was
 * routed. Made by the connection (or by the test client, without one), then
 * read by one executor at a time. Knows nothing of sockets.
 */
#ifndef SN_HTTP_REQUEST_H
#define SN_HTTP_REQUEST_H

#include <stdatomic.h>

#include "http/body.h"
#include "http/endpoint.h"
#include "http/instream.h"
#include "http/params.h"
#include "http/path.h"
#include "http/sink.h"

/* GONE and TIMEOUT are set by I/O threads and read by executors, STARTED the other way. */
enum sn_marks {
	SN_MARK_GONE = 1,    /* peer gone or ABORT_REQUEST: nobody reads the answer */
	SN_MARK_TIMEOUT = 2, /* answered already: 504, or 503 when it had not started */
	SN_MARK_STARTED = 4, /* its handler runs, or has run: started_ms is set */
};

struct sn_value { /* of a rule's variable: a slice of the path */
	uint32_t off, len;
};

struct sn_request {
	atomic_uint refs;
	atomic_uint marks;
	const struct sn_sink_ops *sink; /* NULL: built without a connection */
	void *owner;                    /* the sink's */
	const struct sn_endpoint *endpoint;
	const struct sn_rule_info *rule; /* names of `values`; NULL: not routed */
	uint64_t id;
	int64_t begun_ms;  /* first byte, sn_clock_ms() */
	int64_t queued_ms; /* pushed to a ring */
	int64_t started_ms; /* taken by its executor; to be read after SN_MARK_STARTED was seen */

	uint64_t method;       /* bit, 0: unknown */
	const char *method_name;
	struct sn_path path;
	const char *mount; /* the listener's prefix, which `path` is without; "" */
	const char *query; /* raw, "" when none */
	uint64_t allow;    /* not routed: the methods that the path takes, 0: there is nothing */
	uint32_t query_len;
	uint32_t nvalues;
	struct sn_value *values; /* in this block, or owned by the arena */

	uint16_t wire_id; /* the transport's request id */
	uint8_t wire_keep;
	uint8_t step; /* the executor's own state (a parked stream) */
	bool slash;   /* not routed, and would be with a slash at the path's end */
	void *executor; /* the executor's own record; it frees it */

	struct sn_body body;
	struct sn_instream *input; /* in its place, where the endpoint has `stream`; else NULL */
	struct json_object *json; /* parsed body, native handlers; freed by json_free */
	void (*json_free)(struct json_object *);
	const char *json_error;
	struct sn_cached *cached; /* decoded query and header values of native handlers; in the arena */
	struct sn_arena *arena;   /* sn_arena_alloc(&req->arena, ...); freed with the request */

	uint16_t known[SN_P_KNOWN];
	uint32_t nparams;
	uint32_t raw_len;
	uint32_t spare;          /* bytes in front of `raw` that no pair uses, and nobody yet */
	uint32_t size;           /* of this block */
	char *raw;               /* canonical parameters, in this block */
	struct sn_param params[]; /* nparams of them, then raw */
};

enum sn_params_form { SN_FORM_FCGI, SN_FORM_SCGI };

/* What a thread that builds requests keeps from one for the next. All zero: nothing yet. */
struct sn_request_reuse {
	struct sn_params_names names;
	void *block; /* memory of a request that is gone */
	size_t size;
};

/* Decodes parameters into a new request with one reference; `src` is only read. `reuse` is the
 * calling thread's, or NULL. Or *out is NULL and the result negative: SN_EINVAL with *fault a
 * -SN_PARAMS_* (400), SN_ELIMIT: more than `max_headers` HTTP_ parameters or SN_PARAMS_MAX in
 * all (431), SN_ENOMEM. */
int sn_request_build(struct sn_request **out, enum sn_params_form form, const uint8_t *src,
                     size_t len, unsigned max_headers, struct sn_request_reuse *reuse, int *fault);
/* Chooses and decodes the path. 0, or the HTTP status to answer and its reason (400, 404,
 * 503 without memory); req->path is then "/". */
int sn_request_resolve(struct sn_request *req, enum sn_path_source source, const char *prefix,
                       const char **reason);
/* Copies the matched values into the request. */
int sn_request_set_values(struct sn_request *req, const struct sn_value *values, uint32_t n);

static inline struct sn_request *
sn_request_ref(struct sn_request *req)
{
	atomic_fetch_add_explicit(&req->refs, 1, memory_order_relaxed);
	return req;
}

/* The last one frees the body, the arena, the JSON and the block, and then calls
 * sink->release(owner): the request is not there any more. NULL is fine. */
void sn_request_unref(struct sn_request *req);
/* The same, where its memory may be the next request's of this thread. */
void sn_request_unref_into(struct sn_request *req, struct sn_request_reuse *reuse);
void sn_request_reuse_free(struct sn_request_reuse *reuse);

/* Value of a parameter found while decoding; NULL when absent. */
static inline const char *
sn_request_known(const struct sn_request *req, enum sn_param_id id)
{
	return req->known[id] ? req->raw + req->params[req->known[id] - 1].value : NULL;
}

/* CONTENT_LENGTH, digits only: the number, -1 when absent or empty, -2 when it is not a number or
 * does not fit (400). */
int64_t sn_request_content_length(const struct sn_request *req);
/* False when Accept names text/html with at least the preference that it has for
 * application/json: browsers. True otherwise, also without Accept or with a bare one. */
bool sn_request_wants_json(const struct sn_request *req);
static inline bool
sn_request_marked(const struct sn_request *req)
{
	return atomic_load_explicit(&((struct sn_request *)req)->marks, memory_order_relaxed) &
	       (SN_MARK_GONE | SN_MARK_TIMEOUT);
}

/* The executor's turn has come. 0: run the handler, whose time counts from `now_ms` on;
 * SN_EGONE: nobody waits for it any more; SN_EAGAIN: it has waited longer than `limit_ms`
 * (0: none) and is to be answered 503 by the caller. */
int sn_request_begin(struct sn_request *req, int64_t now_ms, int64_t limit_ms);
/* From an I/O thread: it has waited too long. True: no executor will run it, and it is to be
 * answered 503 by the caller; false: it was begun, or is gone. */
bool sn_request_expire(struct sn_request *req);

#endif
