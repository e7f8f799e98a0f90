/* SPDX-License-Identifier: MIT
 *
 * A sink for tests that records what an executor answers, and requests made
 * from a few strings. Any thread may answer; the test's thread looks. Knows
 * nothing of sockets: back-pressure and a vanished peer are set by hand.
 */
#ifndef TESTS_FAKE_SINK_H
#define TESTS_FAKE_SINK_H

#include <pthread.h>

#include "base/buf.h"
#include "http/request.h"
#include "http/response.h"

struct fake_sink {
	pthread_mutex_t mtx;
	pthread_cond_t changed;
	/* mtx: what came. */
	int responds, starts, writes, finishes, cuts, released;
	int status;         /* as sent in the head; 0: no head yet */
	struct sn_buf head; /* the whole CGI head, NUL-terminated */
	struct sn_buf body; /* NUL-terminated, the NUL not counted */
	int64_t length;     /* as the head announced it; -1: unknown */
	/* mtx: what the test sets. */
	bool gone;       /* every call answers SN_EGONE from now on */
	size_t room;     /* 0: endless; else write says SN_EAGAIN while this many bytes lie there */
	size_t untaken;  /* bytes written since the last fake_sink_drain() */
	size_t pull_size; /* buffer given to a pull; 0: 4096 */
	/* mtx: a producer that waits for room. */
	void (*waiter)(struct sn_request *, void *);
	void *waiter_arg;
	struct sn_request *waiter_req;
};

void fake_sink_init(struct fake_sink *s);
void fake_sink_free(struct fake_sink *s);
/* The peer reads everything: room again, and a waiting producer is called. */
void fake_sink_drain(struct fake_sink *s);
/* The peer goes: marks the request, wakes a waiting producer. */
void fake_sink_go(struct fake_sink *s, struct sn_request *req);
/* Waits until the answer is complete or cut, or a producer waits for room.
 * False after `ms` milliseconds; wait_stuck also as soon as the answer has ended. */
bool fake_sink_wait_end(struct fake_sink *s, int ms);
bool fake_sink_wait_stuck(struct fake_sink *s, int ms);
/* How many answers came, while others may still be coming. */
int fake_sink_responds(struct fake_sink *s);
/* The value of a header in the recorded head, any case; in a static buffer. NULL: absent. */
const char *fake_sink_header(struct fake_sink *s, const char *name);

/* A request with one reference whose answer goes to `s` (may be NULL). `target` is
 * "/path?query", still encoded; then NAME, VALUE pairs of further CGI
 * parameters and a NULL. The path is resolved. */
struct sn_request *fake_request(struct fake_sink *s, const char *method, const char *target, ...)
	__attribute__((sentinel));
/* Appends to the body, kept in memory up to `memory` bytes. */
void fake_request_body(struct sn_request *req, const void *data, size_t len, size_t memory);
/* The variables of a rule and their values, as the matcher would leave them:
 * NAME, VALUE pairs and a NULL. Each value must stand in the path. `info` must outlive
 * the request. */
void fake_request_values(struct sn_request *req, struct sn_rule_info *info, ...)
	__attribute__((sentinel));

extern const struct sn_sink_ops fake_sink_ops;

#endif
