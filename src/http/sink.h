/* SPDX-License-Identifier: MIT
 *
 * The door by which answers leave: whoever made an answer writes it here, from
 * any thread; it never blocks. The connection implements it; the test client
 * has its own.
 *
 * Exactly one of respond or start wins for a request. A sink that returns
 * SN_EGONE has already ended the request (time-out answered, peer gone).
 */
#ifndef SN_HTTP_SINK_H
#define SN_HTTP_SINK_H

#include <stddef.h>

struct sn_request;
struct sn_response;

struct sn_sink_ops {
	/* The whole answer. Frees nothing of `res` but calls its body's `done`
	 * once the bytes are sent or nobody wants them. 0 or SN_EGONE. */
	int (*respond)(struct sn_request *req, struct sn_response *res);
	/* The head; body bytes follow by write. 0 or SN_EGONE. */
	int (*start)(struct sn_request *req, struct sn_response *res);
	/* Always takes all of `data`. 0: send more; SN_EAGAIN: taken, but wait
	 * for room first (wait_room); SN_EGONE. */
	int (*write)(struct sn_request *req, const void *data, size_t len);
	/* Calls `room(req, arg)` once, when there is room again or the peer is gone: from
	 * any thread (also within a cut), with locks of the caller's held;
	 * it must not block, nor call the sink. Returns 1 when there is room already (then
	 * `room` is not called), 0 when it will be, SN_EGONE. */
	int (*wait_room)(struct sn_request *req, void (*room)(struct sn_request *, void *), void *arg);
	/* The body is complete. */
	int (*finish)(struct sn_request *req);
	/* The body cannot be completed: cuts the connection, so that the front
	 * server never takes a part for the whole. */
	void (*cut)(struct sn_request *req);
	/* The last reference to the request is gone: `owner` may go too. */
	void (*release)(void *owner);
};

#endif
