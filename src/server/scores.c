/* SPDX-License-Identifier: MIT
 *
 * The rows in shared memory. Only the supervisor takes and gives rows; while it moves one
 * to those that have ended `moves` is odd, and readers begin again.
 */
#include "server/scores.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"

struct sn_scores {
	unsigned n;
	_Atomic uint64_t moves;
	struct sn_row ended; /* counters only */
	struct sn_row row[];
};

static struct {
	struct sn_scores *scores;
	struct sn_row *row;
} mine;

static size_t
size_of(unsigned rows)
{
	return sizeof(struct sn_scores) + rows * sizeof(struct sn_row);
}

struct sn_scores *
sn_scores_new(unsigned rows)
{
	/* pages that nobody writes cost nothing */
	void *p = mmap(NULL, size_of(rows), PROT_READ | PROT_WRITE,
	               MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	struct sn_scores *s = p;
	s->n = rows;
	return s;
}

void
sn_scores_free(struct sn_scores *s)
{
	if (s)
		munmap(s, size_of(s->n));
}

struct sn_row *
sn_scores_take(struct sn_scores *s, uint64_t generation, uint64_t slot)
{
	for (unsigned i = 0; s && i < s->n; i++) {
		struct sn_row *r = &s->row[i];
		if (atomic_load(&r->pid))
			continue;
		atomic_store(&r->generation, generation);
		atomic_store(&r->slot, slot);
		atomic_store(&r->since_ms, sn_clock_ms());
		atomic_store(&r->pid, -1); /* until the worker says */
		return r;
	}
	return NULL;
}

void
sn_scores_give(struct sn_scores *s, struct sn_row *row)
{
	if (!s || !row)
		return;
	atomic_fetch_add(&s->moves, 1);
	for (unsigned i = 0; i < SN_SCORES; i++) {
		uint64_t had = atomic_exchange(&row->value[i], 0);
		if (i < SN_SCORE_GAUGES)
			atomic_fetch_add(&s->ended.value[i], had);
	}
	atomic_store(&row->pid, 0);
	atomic_fetch_add(&s->moves, 1);
}

void
sn_scores_use(struct sn_scores *s, struct sn_row *row)
{
	mine.scores = row ? s : NULL;
	mine.row = row;
	if (row)
		atomic_store(&row->pid, getpid());
}

struct sn_scores *
sn_scores_mine(struct sn_row **row)
{
	*row = mine.row;
	return mine.scores;
}

static void
add_up(const struct sn_scores *s, uint64_t sum[SN_SCORES])
{
	for (unsigned i = 0; i < SN_SCORES; i++)
		sum[i] = atomic_load(&s->ended.value[i]);
	for (unsigned r = 0; r < s->n; r++)
		for (unsigned i = 0; i < SN_SCORES && atomic_load(&s->row[r].pid); i++)
			sum[i] += atomic_load(&s->row[r].value[i]);
}

void
sn_scores_sum(const struct sn_scores *s, uint64_t sum[SN_SCORES])
{
	uint64_t before;
	/* a supervisor that was killed within a move leaves it odd: workers end then */
	for (int tries = 0; tries < 1000; tries++) {
		before = atomic_load(&s->moves);
		add_up(s, sum);
		if (before % 2 == 0 && atomic_load(&s->moves) == before)
			return;
	}
}

const struct sn_row *
sn_scores_rows(const struct sn_scores *s, unsigned *n)
{
	*n = s->n;
	return s->row;
}
