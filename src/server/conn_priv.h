/* SPDX-License-Identifier: MIT
 *
 * The layout of a connection, of the exchanges it carries (a request and its answer
 * each) and of its I/O thread. Shared by conn.c (life, deadlines), input.c (reading),
 * exchange.c (a request on its way in), early.c (a body that is read while it comes),
 * exec.c (routing), timeout.c (who is late), output.c (what waits to be sent), batch.c
 * (what is sent together), sink.c (answers), access.c (their log), handover.c (a kept
 * connection to another worker) and iothread.c only.
 *
 * Who may touch what:
 *   "io"   only the connection's I/O thread
 *   "mtx"  under conn.mtx
 * While conn.shared is false no other thread knows a request of the connection, and the
 * I/O thread may touch the mtx fields without the lock (sn_conn_lock). The lock is held
 * across system calls that do not block, never across a handler.
 *
 * A connection becomes shared when a request is handed over, and is its I/O thread's alone
 * again when all of those have been answered by whom they were given to. Is one answered
 * without him (a time-out, an abort), then he will still knock, nobody knows when: the
 * connection stays shared to its end.
 *
 * Wake-up note. An executor that has answered completely and keeps the connection tells
 * nobody: the next bytes wake the I/O thread, which finds the request ended under the
 * lock before it looks at them. Only what the I/O thread must act on by itself (bytes
 * left to write, a connection to bury) is posted to its inbox.
 */
#ifndef SN_SERVER_CONN_PRIV_H
#define SN_SERVER_CONN_PRIV_H

#include <pthread.h>
#include <stddef.h>

#include "base/buf.h"
#include "server/context.h"
#include "server/iothread.h"
#include "server/timer.h"
#include "transport/wire.h"

#define SN_IO_READ_SIZE (64 * 1024)
#define SN_BATCH_CONNS 64
#define SN_BATCH_BYTES (64 * 1024)

enum sn_ex_state {
	SN_EX_NONE,      /* no request */
	SN_EX_READING,   /* accepted: parameters or body are coming */
	SN_EX_RUNNING,   /* with its handler; no byte of the answer sent */
	SN_EX_STREAMING, /* head sent */
	SN_EX_ENDED      /* answer complete (perhaps still queued here) */
};

struct sn_out;

/* What one source (an exchange, or the wire's own replies) has to say and the socket has
 * not taken yet; mtx. Those that have something take turns, a record each (output.c). */
struct sn_outq {
	struct sn_out *head, *tail;
	size_t bytes;
	struct sn_outq *next; /* of those whose turn comes */
	bool queued;          /* among them */
};

/* One request and its answer. Lives as long as its connection, which uses it again and
 * again: req->owner points here, and whoever still holds a request that was answered
 * without him (a time-out) finds that it is not the present one any more. */
struct sn_exchange {
	struct sn_timer timer; /* io; must be first: of the request's bytes, then its handler */
	struct sn_wire_stream stream;
	struct sn_conn *conn;
	struct sn_exchange *next; /* conn->active or conn->spare; mtx */

	/* the request on its way in: io */
	struct sn_buf params; /* parameter bytes that came in pieces */
	const uint8_t *slice; /* parameter bytes still in the read buffer */
	size_t slice_len;
	size_t params_len;    /* so far */
	int64_t begun_ms;
	uint64_t dropped;       /* body bytes passed over because of `verdict` */
	uint64_t verdict_allow; /* methods for Allow */
	const char *verdict_text;
	int verdict;            /* status decided before the body ended; 0: run the handler */
	bool keep, remote, slow_told;

	/* its answer: mtx */
	enum sn_ex_state state;
	int status;
	struct sn_request *req; /* one reference */
	struct sn_outq out;
	uint64_t body_sent;
	int64_t body_left;           /* of an announced length; -1: unknown */
	int64_t made_ms;             /* of a streamed one: its handler last gave something, or was last let go on */
	bool body_none;              /* HEAD, 204, 304: body bytes are dropped */
	struct sn_request *room_req; /* whose executor waits for room; it holds a reference */
	void (*room)(struct sn_request *, void *);
	void *room_arg;
	ssize_t (*pull)(void *arg, void *buf, size_t size);
	void (*pull_done)(void *arg);
	void *pull_arg;
};

struct sn_conn {
	struct sn_timer timer; /* io; must be first */
	atomic_uint refs;      /* the I/O thread's one, and one a request */
	int fd;                /* mtx; -1: closed */
	struct sn_iothread *io;
	const struct sn_listener *listener;
	struct sn_conn *prev, *next; /* io: all connections of the thread */
	struct sn_conn *ready_next;  /* io */
	struct sn_conn *inbox_next;  /* io->inbox_mtx */
	bool posted;                 /* io->inbox_mtx */

	/* input: io */
	struct sn_wire wire;
	bool registered, in_epoll, armed_out, partial, eof, ready;
	bool starved;        /* the kernel had no memory: try again soon; mtx */
	bool late;           /* somebody may knock who was not waited for */
	bool shared;         /* other threads know a request of it, or may knock late */
	bool served;         /* has carried a request */
	bool batched;        /* an answer of it is in io->batch; never while it is shared */
	bool held;           /* a BEGIN of `held_id` waits, unanswered, for the present request */
	bool held_keep;
	bool choked;         /* the wire's replies are not taken: nothing is read meanwhile */
	bool stalled;        /* a handler does not read its body: the same */
	bool broken;         /* the peer's bytes make no sense any more */
	bool unread;         /* bytes may still come that nobody wants: linger before closing */
	bool lingering;      /* answered and half-closed: only draining */
	uint16_t held_id;
	struct sn_buf stash; /* bytes that came behind what stopped them */
	uint64_t lingered;
	unsigned nremote;    /* requests with other threads */
	unsigned nactive;
	struct sn_exchange *spare;

	/* output: mtx */
	pthread_mutex_t mtx;
	struct sn_exchange *active; /* changed by io only */
	unsigned open;    /* of these, not yet answered */
	bool close_after; /* no further requests: closes when all are answered */
	bool needs_io;    /* bytes are queued or a pull waits: the I/O thread must act */
	struct sn_outq replies;                /* of the wire itself */
	struct sn_outq *turn_head, *turn_tail; /* who has something to say, in turn */
	struct sn_out *blank;                  /* to be filled by a pull; see sn_out_blank() */
	unsigned pulls;                        /* bodies that are pulled */
	bool wide;                             /* the socket's buffer was asked to be larger */
	int64_t ended_ms, wrote_ms;

	struct sn_exchange first; /* embedded: a kept connection allocates no more for it */
};

/* Whole small answers of one round, sent together (batch.c); io. */
struct sn_batch {
	bool open; /* in a round of several events */
	unsigned n;
	size_t used;
	struct sn_batch_item {
		struct sn_conn *conn; /* NULL: was sent before the others */
		size_t off, len;
	} item[SN_BATCH_CONNS];
	uint8_t bytes[SN_BATCH_BYTES];
};

struct sn_iothread {
	struct sn_context *ctx;
	unsigned number;
	pthread_t thread;
	int epoll, wake; /* wake: an eventfd */
	int64_t now_ms;
	struct sn_wheel wheel;
	struct sn_conn *conns;
	struct sn_conn *grave; /* closed in this round: linked by next */
	struct sn_conn *ready; /* to go on with, without a new edge: linked by ready_next */
	uint64_t next_id;
	struct sn_counters count;
	atomic_uint load; /* connections, for the choice of the least loaded thread */
	bool accepting, paused;
	int accept_calm; /* rounds in which one newcomer is enough */
	int64_t paused_until;
	int64_t last_accept_log;
	atomic_bool want_accept, want_drain, want_stop;
	atomic_bool want_python_given_up;
	atomic_bool deaf; /* does not look at the listeners any more */
	bool draining;
	_Atomic(const struct sn_endpoint *) native; /* whose handler runs on this thread */
	_Atomic uint64_t native_id;                 /* for which request; written by io */
	pthread_mutex_t inbox_mtx;
	struct sn_conn *inbox; /* inbox_mtx */
	uint8_t *rbuf;
	struct sn_request_reuse reuse;
	struct sn_batch batch;
};

/* io: a native handler begins; NULL: it has ended. */
static inline void
sn_iothread_native(struct sn_iothread *io, const struct sn_endpoint *ep, uint64_t id)
{
	atomic_store_explicit(&io->native_id, id, memory_order_relaxed);
	atomic_store_explicit(&io->native, ep, memory_order_release);
}

/* The I/O thread that runs here; NULL on other threads. */
extern SN_THREAD_LOCAL struct sn_iothread *sn_io_self;

/* ---- conn.c ----------------------------------------------------------- */

struct sn_conn *sn_conn_new(struct sn_iothread *io, const struct sn_listener *l, int fd);
void sn_conn_unref(struct sn_conn *c);
/* io: takes a fresh connection in, reads what is there already. */
void sn_conn_adopt(struct sn_conn *c);
void sn_conn_event(struct sn_conn *c, uint32_t events);
/* io: looks at the state after input or output and goes on: next request, more pull,
 * arm for output, close. */
void sn_conn_after(struct sn_conn *c);
/* io: closes and lets go. */
void sn_conn_close(struct sn_conn *c);
/* io: the server stops: closes if idle. */
void sn_conn_drain(struct sn_conn *c);
/* io: its turn again, without an event: more pull, more to read. */
void sn_conn_go_on(struct sn_conn *c);
/* io: comes back to the connection in the next round of the loop. */
void sn_conn_ready(struct sn_conn *c);
/* Any thread: the I/O thread shall look at the connection; wake it or leave it asleep. */
void sn_conn_post(struct sn_conn *c, bool wake);
/* io: the connection must be looked at then at the latest. */
void sn_conn_deadline(struct sn_conn *c, int64_t ms);
/* io: no further request, and what still comes is drained, not answered. Takes mtx. */
void sn_conn_close_after(struct sn_conn *c);

/* io: the mtx fields are the I/O thread's alone while nobody else knows a request. */
static inline void
sn_conn_lock(struct sn_conn *c)
{
	if (c->shared)
		pthread_mutex_lock(&c->mtx);
}

static inline void
sn_conn_unlock(struct sn_conn *c)
{
	if (c->shared)
		pthread_mutex_unlock(&c->mtx);
}

/* ---- handover.c ------------------------------------------------------- */

/* io: while ctx->handing. True: it is another worker's now, and closed here. */
bool sn_conn_hand_over(struct sn_conn *c);

/* ---- input.c ------------------------------------------------------------ */

/* io: reads what is there and feeds it to the wire; `events` are epoll's, or 0. */
void sn_input_read(struct sn_conn *c, uint32_t events);
/* io: the request that was held begins, with the bytes that came behind it. */
void sn_input_resume(struct sn_conn *c);

/* ---- exchange.c ----------------------------------------------------------- */

/* For one that is all zero. */
void sn_exchange_init(struct sn_exchange *x, struct sn_conn *c);
/* io: a request begins. NULL: no memory. */
struct sn_exchange *sn_exchange_begin(struct sn_conn *c, uint16_t id, bool keep);
/* io: what the wire tells of it. */
void sn_exchange_event(struct sn_exchange *x, const struct sn_wire_event *ev);
/* io: parameter bytes in the read buffer are kept beyond its life. */
void sn_exchange_keep_slice(struct sn_exchange *x);
/* io: its state becomes SN_EX_RUNNING. True: it is to be run, or answered by x->verdict. */
bool sn_exchange_run(struct sn_exchange *x);
/* Tells the log why bytes of the body could not be kept. */
void sn_exchange_body_failed(struct sn_exchange *x, int rc);
/* io: answers at once although more of the request may come. A peer that sends one request
 * at a time is then half-closed and drained, so that the answer is not lost to a reset. */
void sn_exchange_reject(struct sn_exchange *x, int status, const char *text);
/* io: its deadline, from now; 0: none. It fires when the request did not arrive (408),
 * the executor is late (503, 504), or a streamed answer has fallen silent (cut); an exchange that has ended lets it fire in vain, so that the
 * next request's costs one store. */
void sn_exchange_deadline(struct sn_exchange *x, int64_t ms);
/* io: those that are answered, and whose answers are out, make room. */
void sn_exchange_collect(struct sn_conn *c);
/* io: the executor may stop: nobody wants the answer any more. */
void sn_exchange_cancel(struct sn_exchange *x, struct sn_request *req);
/* io: the state; another thread may be changing it. */
enum sn_ex_state sn_exchange_state(struct sn_exchange *x);

static inline struct sn_exchange *
sn_exchange_of(struct sn_wire_stream *stream)
{
	return (struct sn_exchange *)(void *)((char *)stream - offsetof(struct sn_exchange, stream));
}

/* ---- early.c ---------------------------------------------------------------- */

/* io: the parameters are complete: the handler begins, its body of `length` (-1: unknown) to come. */
void sn_early_begin(struct sn_exchange *x, int64_t length);
/* io: bytes of it. */
void sn_early_body(struct sn_exchange *x, const struct sn_wire_event *ev);
/* io: true while a handler has enough of its body, and nothing more of it can be taken. */
bool sn_early_stalls(const struct sn_conn *c);
/* io: the peer has ended his side: what has not come will not come. */
void sn_early_cut(struct sn_exchange *x);

/* ---- timeout.c ------------------------------------------------------------ */

/* When after its hand-over a request is looked at first, in milliseconds. */
int64_t sn_timeout_first_look(const struct sn_context *ctx, const struct sn_endpoint *ep);
/* io: answers for an executor that is late, or sets the timer for the next look. */
void sn_timeout_look(struct sn_exchange *x);
/* io: cuts a streamed answer whose handler has long given nothing, or sets the timer. */
void sn_timeout_stream(struct sn_exchange *x);
/* io: Python does not run any more: answers for it. */
void sn_timeout_python_hangs(struct sn_exchange *x);

/* ---- output.c ------------------------------------------------------------- */

/* All with mtx held. Sends as much as the socket takes. 0, or SN_EGONE. */
int sn_out_flush(struct sn_conn *c);
/* Queues a copy of bytes that need no framing: whole records, or the rest of those that
 * are under way when nothing else waits. */
int sn_out_raw(struct sn_conn *c, struct sn_outq *q, const void *data, size_t len);
/* Queues body bytes, to be cut into frames of `id`: a copy, or with `done` the bytes
 * themselves, until `done`. On failure `done` stays the caller's. */
int sn_out_framed(struct sn_conn *c, struct sn_outq *q, const void *data, size_t len, uint16_t id,
                  void (*done)(void *), void *arg);
/* The same, and sends at once what the socket takes, from where it lies: only what is left
 * waits as a copy. On failure nothing waits, but a part may have gone. */
int sn_out_now(struct sn_conn *c, struct sn_outq *q, const void *data, size_t len, uint16_t id);
/* A piece to be filled in place, at sn_out_room(), by a body that is pulled, so that its bytes
 * are copied once, by the kernel. One is kept
 * while conn.pulls; `room` is the
 * same for all of them. NULL: no memory. */
struct sn_out *sn_out_blank(struct sn_conn *c, size_t room);
void *sn_out_room(struct sn_out *o);
/* Queues `len` > 0 bytes of it, to be cut into frames of `id`. Takes it. */
void sn_out_fill(struct sn_conn *c, struct sn_outq *q, struct sn_out *o, size_t len, uint16_t id);
/* Nothing came into it; NULL: as before, but frees what is kept. Takes it. */
void sn_out_unused(struct sn_conn *c, struct sn_out *o);
/* Drops everything queued. */
void sn_out_drop(struct sn_conn *c);
/* How many bytes of its pieces wait, without frame headers. */
size_t sn_out_left(struct sn_conn *c, const struct sn_outq *q);
/* Drops what one source has queued, but for the record that is under way. */
void sn_out_cut(struct sn_conn *c, struct sn_outq *q);
static inline bool
sn_out_pending(const struct sn_conn *c)
{
	return c->turn_head != NULL;
}

/* ---- batch.c -------------------------------------------------------------- */

/* mtx held. Takes a whole answer, to be sent at the end of the round, when that may be: false,
 * send it yourself. What the connection had in the batch is out then. */
bool sn_batch_add(struct sn_conn *c, const void *data, size_t len, bool keep);
/* io: sends what the connection has in the batch: before anything else happens to it. */
void sn_batch_send(struct sn_conn *c);
/* io: sends all. */
void sn_batch_flush(struct sn_iothread *io);

/* ---- sink.c ------------------------------------------------------------- */

extern const struct sn_sink_ops sn_conn_sink;
/* mtx held: closes the descriptor and marks the requests gone. The I/O thread must act: it
 * calls sn_conn_close(), once unlocked. */
void sn_conn_shut(struct sn_conn *c);
/* io: goes on with a pull body. */
void sn_sink_pull(struct sn_exchange *x);
/* io: answers the request with an error page, if nobody has yet: 0 or SN_EGONE. */
int sn_sink_error(struct sn_exchange *x, int status, const char *text, uint64_t allow);
/* io: ABORT_REQUEST: ends the request without an answer. */
void sn_sink_abort(struct sn_exchange *x);
/* Calls and clears x->room if it waits and there is room or nobody to wait for. Takes mtx. */
void sn_sink_room(struct sn_exchange *x);
/* Nobody will pull any more: tells the producer. */
void sn_sink_end_pull(struct sn_exchange *x);

/* ---- exec.c ------------------------------------------------------------- */

/* io: chooses the endpoint of x->req, or sets x->verdict. */
void sn_exec_route(struct sn_exchange *x);
/* io: the request is complete: runs it or hands it on. */
void sn_exec_run(struct sn_exchange *x);

/* ---- access.c ------------------------------------------------------------ */

/* The status of a request whose client has gone before it was answered: nginx's. */
#define SN_ACCESS_GONE 499

void sn_access_log(const struct sn_context *ctx, const struct sn_request *req, int status,
                   uint64_t body_bytes);

#endif
