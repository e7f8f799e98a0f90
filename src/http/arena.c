/* SPDX-License-Identifier: MIT
 *
 * A request's small allocations: blocks chained from the newest, freed
 * together. The first block is small, because ten thousand parked requests
 * have one each. No thread of its own; one user at a time.
 */
#include "http/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#define FIRST_ROOM 224 /* with the head and malloc's own word: 256 */
#define NEXT_ROOM 4000

struct sn_arena {
	struct sn_arena *next;
	size_t used, room;
	alignas(max_align_t) char data[];
};

void *
sn_arena_alloc(struct sn_arena **arena, size_t size)
{
	const size_t align = alignof(max_align_t);
	struct sn_arena *a = *arena;
	if (size > SIZE_MAX / 2)
		return NULL;
	size = size ? (size + align - 1) / align * align : align;
	if (!a || a->room - a->used < size) {
		size_t room = a ? NEXT_ROOM : FIRST_ROOM;
		if (room < size)
			room = size;
		a = malloc(sizeof(*a) + room);
		if (!a)
			return NULL;
		a->used = 0;
		a->room = room;
		a->next = *arena;
		*arena = a;
	}
	void *p = a->data + a->used;
	a->used += size;
	return p;
}

void
sn_arena_free(struct sn_arena *arena)
{
	while (arena) {
		struct sn_arena *next = arena->next;
		free(arena);
		arena = next;
	}
}
