/* SPDX-License-Identifier: MIT
 *
 * What a rule leads to: a plain value that both tables, native and Python,
 * fill and that the matcher hands back.
 */
#ifndef SN_HTTP_ENDPOINT_H
#define SN_HTTP_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

enum sn_lane {
	SN_LANE_NATIVE,   /* on the I/O thread */
	SN_LANE_BLOCKING, /* native, on a blocking thread */
	SN_LANE_SYNC,     /* Python, dispatch threads */
	SN_LANE_POOL,     /* the same, and its second argument is the process pool */
	SN_LANE_ASYNC,    /* Python, event loop */
	SN_LANE_ASYNC_POOL
};

static inline bool
sn_lane_is_async(enum sn_lane lane)
{
	return lane == SN_LANE_ASYNC || lane == SN_LANE_ASYNC_POOL;
}

struct sn_endpoint {
	const char *rule;
	uint64_t methods; /* mask; HEAD and OPTIONS are added by the matcher */
	enum sn_lane lane;
	void *target;     /* native: sn_route; Python: the runtime's own record */
	const char *name; /* for the log: a function's name */
	const char *file;
	int line;
	const char *summary, *description; /* for people; native: may be NULL, Python: NULL */
	int64_t timeout_ms; /* of its handler; 0: timeouts.request */
	bool lax_slash; /* a slash more or less at the path's end does not matter */
	bool stream;        /* its handler begins before the body has come (instream.h) */
};

#define SN_ROUTE_VALUES_MAX 16

enum sn_converter { SN_CONV_STRING, SN_CONV_INT, SN_CONV_FLOAT, SN_CONV_UUID, SN_CONV_PATH, SN_CONV_ANY };

struct sn_variable {
	const char *name;
	enum sn_converter converter;
};

/* The variables of a rule in order; for the matched values. */
struct sn_rule_info {
	uint32_t nvariables;
	struct sn_variable variables[SN_ROUTE_VALUES_MAX];
};

#endif
