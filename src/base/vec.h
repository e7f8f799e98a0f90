/* SPDX-License-Identifier: MIT
 *
 * Sixteen bytes at a time in the compiler's own vectors (SSE2, NEON, or plain words).
 */
#ifndef SN_BASE_VEC_H
#define SN_BASE_VEC_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t sn_vec __attribute__((vector_size(16)));

static inline sn_vec
sn_vec_load(const void *s)
{
	sn_vec v;
	memcpy(&v, s, sizeof(v));
	return v;
}

/* True when a bit is set in any of them. */
static inline bool
sn_vec_any(sn_vec v)
{
	uint64_t half[2];
	memcpy(half, &v, sizeof(half));
	return (half[0] | half[1]) != 0;
}

#endif
