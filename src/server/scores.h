/* SPDX-License-Identifier: MIT
 *
 * What each worker has counted, in memory that all processes of a supervisor share: a
 * row a worker, written by that worker only, and one for all that have ended, so
 * that a sum never goes back. Relaxed atomics: any thread of any process may read.
 */
#ifndef SN_SERVER_SCORES_H
#define SN_SERVER_SCORES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum sn_score {
	/* counters */
	SN_SCORE_1XX,
	SN_SCORE_2XX,
	SN_SCORE_3XX,
	SN_SCORE_4XX,
	SN_SCORE_5XX,
	SN_SCORE_NATIVE,
	SN_SCORE_PYTHON,
	SN_SCORE_GONE,
	SN_SCORE_BROKEN,
	SN_SCORE_SYNC_FULL,
	SN_SCORE_ASYNC_FULL,
	SN_SCORE_BLOCKING_FULL,
	SN_SCORE_REQUESTS_FULL,
	SN_SCORE_LATE,
	SN_SCORE_TIMEOUT,
	SN_SCORE_SLOW_PEER,
	SN_SCORE_TOO_LARGE,
	SN_SCORE_MALFORMED,
	SN_SCORE_NO_ROOM,
	SN_SCORE_STOPPING,
	/* gauges */
	SN_SCORE_IN_FLIGHT,
	SN_SCORE_CONNECTIONS,
	SN_SCORE_SYNC_WAITING,
	SN_SCORE_SYNC_BUSY,
	SN_SCORE_ASYNC_WAITING,
	SN_SCORE_ASYNC_RUNNING,
	SN_SCORE_BLOCKING_WAITING,
	SN_SCORE_BLOCKING_THREADS,
	SN_SCORE_BLOCKING_BUSY,
	SN_SCORE_POOL_PROCESSES,
	SN_SCORE_MEMORY,
	SN_SCORE_SPOOL,
	SN_SCORES
};
#define SN_SCORE_GAUGES SN_SCORE_IN_FLIGHT /* the first of them */

struct sn_row {
	_Atomic int64_t pid; /* 0: nobody's */
	_Atomic uint64_t generation, slot;
	_Atomic int64_t since_ms; /* by sn_clock_ms, which all processes share */
	_Atomic uint64_t value[SN_SCORES];
} __attribute__((aligned(64)));

struct sn_scores;

/* NULL: no memory. Before the fork that shall share it. */
struct sn_scores *sn_scores_new(unsigned rows);
void sn_scores_free(struct sn_scores *s);
/* The supervisor: a row for a worker; NULL: all are taken. */
struct sn_row *sn_scores_take(struct sn_scores *s, uint64_t generation, uint64_t slot);
/* The supervisor: its worker has ended; NULL is fine. */
void sn_scores_give(struct sn_scores *s, struct sn_row *row);
/* This process is a worker with that row. */
void sn_scores_use(struct sn_scores *s, struct sn_row *row);
/* What was said there; NULL: nothing. */
struct sn_scores *sn_scores_mine(struct sn_row **row);
/* The sum over the rows and those whose workers have ended; gauges over the rows only. Not while
 * the supervisor moves a row: that is short, and waited for. */
void sn_scores_sum(const struct sn_scores *s, uint64_t sum[SN_SCORES]);
/* The rows; *n of them. Look at those whose pid is not 0. */
const struct sn_row *sn_scores_rows(const struct sn_scores *s, unsigned *n);

#endif
