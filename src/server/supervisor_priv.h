/* SPDX-License-Identifier: MIT
 *
 * The supervisor's state, shared by supervisor.c (loop, deaths), child.c (one
 * worker process) and reload.c (a new configuration) only. One thread.
 */
#ifndef SN_SERVER_SUPERVISOR_PRIV_H
#define SN_SERVER_SUPERVISOR_PRIV_H

#include "base/board.h"
#include "server/scores.h"
#include "server/supervisor.h"

#define SN_WORKERS_MOST 2100 /* processes <= 1024, twice, and some */
#define SN_KILL_GRACE_MS 3000 /* beyond timeouts.shutdown */

struct sn_admin;
struct sn_msg;
struct sn_supervisor;

enum sn_child_state {
	SN_CHILD_STARTING,
	SN_CHILD_SERVING,
	SN_CHILD_RETIRING /* has no place any more: ends as soon as its requests are answered */
};

struct sn_slot { /* the place of one worker */
	int64_t respawn_ms, backoff_ms; /* not before; the next pause */
};

struct sn_generation { /* a configuration and what belongs to it */
	struct sn_conf *conf;
	struct sn_listeners ls;
	struct sn_slot *slot;
	unsigned n;
	uint64_t number; /* the first is 1 */
};

struct sn_child {
	struct sn_child *next;
	struct sn_generation *gen; /* NULL: retiring */
	unsigned slot;
	enum sn_child_state state;
	pid_t pid;
	int chan;
	bool chan_closed; /* by the other end */
	bool recycle; /* wants a successor */
	bool deaf;    /* retiring: accepts nobody any more */
	bool replaced; /* by a reload whose success is not told yet */
	int64_t started_ms, ready_ms;
	int64_t told_ms; /* last, to retire; 0: never */
	int64_t kill_ms; /* 0: none */
	struct sn_board *board; /* what its threads are at */
	struct sn_row *row;     /* what it has counted; NULL: nobody knows */
	char failure[4096]; /* why it cannot serve, in its own words */
};

struct sn_supervisor {
	const struct sn_tables *tables;
	const struct sn_loader *loader;
	struct sn_generation *now;
	struct sn_generation *next; /* being started by a reload; NULL */
	struct sn_child *children;
	struct sn_scores *scores; /* NULL: none */
	struct sn_admin *admin; /* NULL: none */
	int signals;
	bool was_ready, stopping, reload_again;
	bool settling; /* a reload's old workers still accept */
	int status; /* the exit status */
	unsigned failures, stops_passed;
	struct sn_waiting *waiting; /* kept connections between two workers */
	size_t nwaiting;
	pid_t last_taker;
	struct sn_inherited before; /* an upgrade's: the predecessor */
	bool took_over;
	struct { /* an upgrade's: the new program; pid 0: none */
		pid_t pid;
		int chan; /* -1: none */
		int64_t kill_ms;
		char failure[4096];
	} heir;
	bool succeeded; /* the heir serves: this one only drains */
};

/* What the service manager shows. */
#define SN_SERVING_STATUS "%u of %u worker processes serve"
/* ---- upgrade.c -------------------------------------------------------------------- */

/* Starts the program of now with copies of the sockets. */
void sn_upgrade(struct sn_supervisor *s);
/* The heir's channel is readable. */
void sn_upgrade_hear(struct sn_supervisor *s);
/* True: the process that ended was the heir. */
bool sn_upgrade_ended(struct sn_supervisor *s, pid_t pid, int status);
/* In the heir: all workers serve; the sockets, their files and the pid file are ours. */
void sn_upgrade_take_over(struct sn_supervisor *s);
/* In the heir: the predecessor's channel is readable. */
int sn_upgrade_hear_predecessor(struct sn_supervisor *s);

#define SN_WAITING_MOST 64

/* ---- relay.c ---------------------------------------------------------------------- */

/* Passes a kept connection that `from` gave up on to a serving worker; takes `fd`. */
void sn_relay(struct sn_supervisor *s, pid_t from, uint32_t listener, int fd);
/* Tries again for those that wait. */
void sn_relay_again(struct sn_supervisor *s);
/* Closes them. */
void sn_relay_drop(struct sn_supervisor *s);

/* ---- child.c ---------------------------------------------------------------------- */

/* Forks a worker for the place. False: not possible now (logged). */
bool sn_child_spawn(struct sn_supervisor *s, struct sn_generation *g, unsigned slot);
/* The child of this place and state; NULL. */
struct sn_child *sn_child_find(const struct sn_supervisor *s, const struct sn_generation *g,
                               unsigned slot, enum sn_child_state state);
unsigned sn_child_count(const struct sn_supervisor *s, const struct sn_generation *g,
                        enum sn_child_state state);
/* Tells it to end: a serving one answers what it has, first. It loses its place. */
void sn_child_retire(struct sn_child *c, const struct sn_conf *conf);
/* Logs how it ended. */
void sn_child_describe(const struct sn_child *c, int status, const char *when);
/* Takes it off the list, closes and frees. */
void sn_child_free(struct sn_supervisor *s, struct sn_child *c);

/* ---- reload.c --------------------------------------------------------------------- */

struct sn_generation *sn_generation_new(struct sn_conf *conf); /* takes; NULL: no memory */
void sn_generation_free(struct sn_generation *g);
/* Begins a reload, or notes that another one is wanted after the present. */
void sn_reload(struct sn_supervisor *s);
/* A worker of s->next is ready. */
void sn_reload_ready(struct sn_supervisor *s);
/* Tells success as soon as no old worker accepts any more: whoever connects then meets the new code. */
void sn_reload_settle(struct sn_supervisor *s);
/* Gives the reload up; the running workers go on. */
void sn_reload_abort(struct sn_supervisor *s, const char *reason);

#endif
