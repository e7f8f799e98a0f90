/* SPDX-License-Identifier: MIT
 *
 * Monotonic time in nanoseconds and milliseconds, and conditions that wait by it.
 */
#ifndef SN_BASE_CLOCK_H
#define SN_BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

static inline int64_t
sn_clock_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline int64_t
sn_clock_ms(void)
{
	return sn_clock_ns() / 1000000;
}

/* Seconds as configured into milliseconds, rounded up. */
static inline int64_t
sn_clock_ms_of(double seconds)
{
	int64_t ms = (int64_t)(seconds * 1000.0);
	return (double)ms < seconds * 1000.0 ? ms + 1 : ms;
}

/* A moment of this clock, or a time span. */
static inline struct timespec
sn_clock_timespec(int64_t ms)
{
	return (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
}

/* A condition whose pthread_cond_timedwait() takes a moment of this clock. */
static inline void
sn_clock_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

#endif
