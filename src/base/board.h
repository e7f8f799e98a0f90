/* SPDX-License-Identifier: MIT
 *
 * What each thread of a process is at, written where the parent process can still
 * read it when this one has crashed: shared memory, a cell a thread, its present or
 * last piece of work (an id, and a thing with a name). Writing is three plain stores.
 * Any thread; without a board (sn_board_use not called) nothing is kept.
 */
#ifndef SN_BASE_BOARD_H
#define SN_BASE_BOARD_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct sn_board;

struct sn_board_cell {
	atomic_bool taken, busy;
	_Atomic uint64_t id; /* 0: none yet */
	_Atomic uintptr_t what;
};

/* Before fork, by the parent. NULL: no memory; every function takes that. */
struct sn_board *sn_board_new(void);
void sn_board_free(struct sn_board *b);
/* This process writes there from now on; before its threads start. */
void sn_board_use(struct sn_board *b);
/* What `what` is called; before the threads start. */
void sn_board_name(const void *what, const char *name);
/* The calling thread ends: its cell is another one's. */
void sn_board_leave(void);
/* By the parent, when the process is gone: "at work on ID (NAME), ...; last done ..." is added. False:
 * there is nothing to tell. */
bool sn_board_tell(const struct sn_board *b, struct sn_buf *out);

/* The calling thread's cell: a thread that there is none for writes into one that nobody reads. */
struct sn_board_cell *sn_board_cell_new(void);
extern SN_THREAD_LOCAL struct sn_board_cell *sn_board_mine;

/* The calling thread begins (or goes on with) the work `id` on `what`. */
static inline void
sn_board_begin(uint64_t id, const void *what)
{
	struct sn_board_cell *c = sn_board_mine ? sn_board_mine : sn_board_cell_new();
	atomic_store_explicit(&c->id, id, memory_order_relaxed);
	atomic_store_explicit(&c->what, (uintptr_t)what, memory_order_relaxed);
	atomic_store_explicit(&c->busy, true, memory_order_relaxed);
}

static inline void
sn_board_end(void)
{
	if (sn_board_mine)
		atomic_store_explicit(&sn_board_mine->busy, false, memory_order_relaxed);
}

#endif
