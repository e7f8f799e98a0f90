/* SPDX-License-Identifier: MIT
 *
 * The board in shared memory. Pages that nobody writes cost nothing.
 */
#include "base/board.h"

#include <string.h>
#include <sys/mman.h>

#define CELLS 512
#define NAMES 4096
#define NAME_SIZE 64

struct sn_board {
	struct sn_board_cell cell[CELLS];
	unsigned nnames;
	struct {
		uintptr_t what;
		char name[NAME_SIZE - sizeof(uintptr_t)];
	} names[NAMES];
};

static struct sn_board *board; /* of this process */
static _Thread_local struct sn_board_cell nowhere;
SN_THREAD_LOCAL struct sn_board_cell *sn_board_mine;

struct sn_board *
sn_board_new(void)
{
	void *p = mmap(NULL, sizeof(struct sn_board), PROT_READ | PROT_WRITE,
	               MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

void
sn_board_free(struct sn_board *b)
{
	if (b)
		munmap(b, sizeof(*b));
}

void
sn_board_use(struct sn_board *b)
{
	board = b;
}

void
sn_board_name(const void *what, const char *name)
{
	if (!board || board->nnames == NAMES)
		return;
	unsigned n = board->nnames++;
	board->names[n].what = (uintptr_t)what;
	strncpy(board->names[n].name, name, sizeof(board->names[n].name) - 1);
}

struct sn_board_cell *
sn_board_cell_new(void)
{
	for (unsigned i = 0; board && i < CELLS; i++) {
		struct sn_board_cell *c = &board->cell[i];
		bool taken = false;
		if (atomic_compare_exchange_strong(&c->taken, &taken, true))
			return sn_board_mine = c;
	}
	return sn_board_mine = &nowhere;
}

void
sn_board_leave(void)
{
	struct sn_board_cell *c = sn_board_mine;
	sn_board_mine = NULL;
	if (!c || c == &nowhere)
		return;
	atomic_store(&c->id, 0);
	atomic_store(&c->taken, false);
}

static const char *
name_of(const struct sn_board *b, uintptr_t what)
{
	for (unsigned i = 0; i < b->nnames && i < NAMES; i++)
		if (b->names[i].what == what)
			return b->names[i].name;
	return "?";
}

/* The entries of all threads that are at work, or of those that are not. */
static unsigned
add_entries(const struct sn_board *b, bool busy, const char *before, struct sn_buf *out)
{
	unsigned told = 0;
	for (unsigned i = 0; i < CELLS; i++) {
		const struct sn_board_cell *c = &b->cell[i];
		uint64_t id = atomic_load_explicit(&c->id, memory_order_relaxed);
		if (id == 0 || atomic_load_explicit(&c->busy, memory_order_relaxed) != busy)
			continue;
		uintptr_t what = atomic_load_explicit(&c->what, memory_order_relaxed);
		sn_buf_addf(out, "%s%016llx (%s)", told ? ", " : before, (unsigned long long)id, name_of(b, what));
		told++;
	}
	return told;
}

bool
sn_board_tell(const struct sn_board *b, struct sn_buf *out)
{
	if (!b)
		return false;
	unsigned busy = add_entries(b, true, "at work on ", out);
	return add_entries(b, false, busy ? "; last done by other threads: " : "last done: ", out) + busy > 0;
}
