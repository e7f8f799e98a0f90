/* SPDX-License-Identifier: MIT
 *
 * The CPU time of server processes and all their descendants, from /proc.
 * Knows nothing of load.
 */
#ifndef BENCH_CPUTIME_H
#define BENCH_CPUTIME_H

#include <sys/types.h>

#include "base/err.h"

#define BENCH_ROOTS 16

struct bench_roots {
	pid_t pid[BENCH_ROOTS];
	bool without_root[BENCH_ROOTS]; /* its descendants only */
	size_t n;
};

struct bench_cputime {
	double seconds;     /* user + system, with children that have ended and were waited for */
	uint64_t rss_bytes; /* resident memory, shared pages counted in each process */
	unsigned processes, threads;
};

/* SN_ENOENT: one of the roots is not there. SN_EIO: /proc cannot be read. */
int bench_cputime_read(const struct bench_roots *roots, struct bench_cputime *out,
                       struct sn_why *why);

#endif
