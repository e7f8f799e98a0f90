/* SPDX-License-Identifier: MIT
 *
 * The blocking threads. A plain mutex and condition: these handlers block anyway. The
 * queue is the ring; the mutex only guards the counts that decide about threads.
 */
#include "server/blocking.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/board.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/response.h"
#include "native/native.h"
#include "queue/ring.h"

#define IDLE_SECONDS 10

struct running { /* on the stack of its thread */
	struct running *prev, *next;
	struct sn_request *req;
	bool told;
};

struct sn_blocking {
	struct sn_ring *ring;
	unsigned max;
	int64_t queue_timeout_ms;
	pthread_mutex_t mtx;
	pthread_cond_t work, ended;
	unsigned threads, idle; /* mtx */
	bool stopping, hurry;   /* mtx */
	struct running running; /* mtx: the head of a ring */
	atomic_ullong late;
};

struct sn_blocking *
sn_blocking_new(unsigned threads, size_t queue, int64_t queue_timeout_ms)
{
	struct sn_blocking *b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->ring = sn_ring_new(queue);
	if (!b->ring) {
		free(b);
		return NULL;
	}
	b->max = threads;
	b->queue_timeout_ms = queue_timeout_ms;
	b->running.prev = b->running.next = &b->running;
	pthread_mutex_init(&b->mtx, NULL);
	sn_clock_cond_init(&b->work);
	sn_clock_cond_init(&b->ended);
	return b;
}

static void
run(struct sn_blocking *b, struct sn_request *req, bool hurry)
{
	int turn = sn_request_begin(req, sn_clock_ms(), b->queue_timeout_ms);
	if (turn == SN_EGONE) {
		sn_log_for(SN_LOG_DEBUG, req->id, "dropped unexecuted: nobody waits for it any more");
	} else if (turn == SN_EAGAIN) {
		atomic_fetch_add_explicit(&b->late, 1, memory_order_relaxed);
		sn_request_refuse(req, "the request waited too long for a thread");
	} else if (hurry) {
		sn_request_refuse(req, "the server is stopping");
	} else {
		struct sn_response res;
		sn_response_init(&res, req, NULL, 0, NULL, 0);
		res.can_send = true;
		sn_board_begin(req->id, req->endpoint);
		int rc = sn_native_call(req, &res);
		sn_board_end();
		if (rc == 0)
			req->sink->respond(req, &res);
		sn_response_free(&res);
	}
}

static void *
thread_main(void *arg)
{
	struct sn_blocking *b = arg;
	pthread_mutex_lock(&b->mtx);
	for (;;) {
		struct sn_request *req = sn_ring_pop(b->ring);
		if (req) {
			struct running r = { .prev = b->running.prev, .next = &b->running, .req = req };
			bool hurry = b->hurry;
			r.prev->next = r.next->prev = &r;
			pthread_mutex_unlock(&b->mtx);
			run(b, req, hurry);
			pthread_mutex_lock(&b->mtx);
			r.prev->next = r.next;
			r.next->prev = r.prev;
			pthread_mutex_unlock(&b->mtx);
			sn_request_unref(req); /* may need the connection's lock */
			pthread_mutex_lock(&b->mtx);
			continue;
		}
		if (b->stopping)
			break;
		struct timespec until = sn_clock_timespec(sn_clock_ms() + IDLE_SECONDS * 1000);
		b->idle++;
		int rc = pthread_cond_timedwait(&b->work, &b->mtx, &until);
		b->idle--;
		if (rc != 0 && sn_ring_depth(b->ring) == 0)
			break;
	}
	b->threads--;
	pthread_cond_signal(&b->ended);
	pthread_mutex_unlock(&b->mtx);
	sn_board_leave();
	return NULL;
}

static int
start_thread(struct sn_blocking *b)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, thread_main, b);
	if (err)
		return SN_EIO;
	pthread_setname_np(thread, "snacgi-block");
	pthread_detach(thread);
	b->threads++;
	return 0;
}

int
sn_blocking_submit(struct sn_blocking *b, struct sn_request *req)
{
	pthread_mutex_lock(&b->mtx);
	int rc = b->stopping ? SN_EGONE : sn_ring_push(b->ring, sn_request_ref(req));
	if (rc == 0) {
		if (b->idle < sn_ring_depth(b->ring) && b->threads < b->max && start_thread(b) < 0)
			sn_log_warning("cannot start a blocking thread; %u serve", b->threads);
		pthread_cond_signal(&b->work);
		if (b->threads == 0) { /* nobody would ever run it */
			SN_ASSERT(sn_ring_pop(b->ring) == req);
			rc = SN_EFULL;
		}
	}
	pthread_mutex_unlock(&b->mtx);
	if (rc < 0 && b)
		sn_request_unref(req);
	return rc;
}

/* mtx held. The handlers that do not end: 503, or the cut of what has begun; what they answer later
 * is dropped. */
static void
refuse_running(struct sn_blocking *b)
{
	struct running *r = b->running.next;
	while (r != &b->running) {
		if (r->told) {
			r = r->next;
			continue;
		}
		struct sn_request *req = sn_request_ref(r->req);
		r->told = true;
		pthread_mutex_unlock(&b->mtx);
		sn_request_refuse(req, "the server is stopping");
		if (req->sink)
			req->sink->cut(req);
		sn_request_unref(req);
		pthread_mutex_lock(&b->mtx);
		r = b->running.next; /* it may have ended meanwhile */
	}
}

bool
sn_blocking_stop(struct sn_blocking *b, int64_t deadline_ms)
{
	if (!b)
		return true;
	struct timespec until = sn_clock_timespec(deadline_ms);
	pthread_mutex_lock(&b->mtx);
	b->stopping = true;
	pthread_cond_broadcast(&b->work);
	int rc = 0;
	while (b->threads && rc == 0)
		rc = pthread_cond_timedwait(&b->ended, &b->mtx, &until);
	b->hurry = true;
	struct sn_request *req;
	while ((req = sn_ring_pop(b->ring))) {
		pthread_mutex_unlock(&b->mtx);
		run(b, req, true);
		sn_request_unref(req);
		pthread_mutex_lock(&b->mtx);
	}
	refuse_running(b);
	bool done = b->threads == 0;
	pthread_mutex_unlock(&b->mtx);
	return done;
}

void
sn_blocking_stats(struct sn_blocking *b, struct sn_blocking_stats *out)
{
	out->waiting = sn_ring_depth(b->ring);
	out->late = atomic_load_explicit(&b->late, memory_order_relaxed);
	pthread_mutex_lock(&b->mtx);
	out->threads = b->threads;
	out->busy = b->threads - b->idle;
	pthread_mutex_unlock(&b->mtx);
}

void
sn_blocking_free(struct sn_blocking *b)
{
	if (!b)
		return;
	sn_ring_free(b->ring);
	pthread_cond_destroy(&b->work);
	pthread_cond_destroy(&b->ended);
	pthread_mutex_destroy(&b->mtx);
	free(b);
}
