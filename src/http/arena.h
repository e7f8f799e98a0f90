/* SPDX-License-Identifier: MIT
 *
 * Memory that lives as long as its owner (a request): a chain of small blocks,
 * freed together. One thread at a time.
 */
#ifndef SN_HTTP_ARENA_H
#define SN_HTTP_ARENA_H

#include <stddef.h>

struct sn_arena;

/* `size` bytes, aligned for any type, not zeroed. *arena begins as NULL. NULL: no memory. */
void *sn_arena_alloc(struct sn_arena **arena, size_t size);
void sn_arena_free(struct sn_arena *arena); /* NULL is fine */

#endif
