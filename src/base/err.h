/* SPDX-License-Identifier: MIT
 *
 * Errors: a code (enum sn_err, from the public header) and, where a person
 * will read it, a text that says what is wrong and how to mend it.
 */
#ifndef SN_BASE_ERR_H
#define SN_BASE_ERR_H

#include <snacgi.h>

struct sn_why {
	char text[4096];
};

/* Writes the text (truncated where needed) and returns `err`. `why` may be NULL. */
int sn_why_set(struct sn_why *why, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The short English name of a code: "out of memory". */
const char *sn_err_name(int err);

/* For impossible states only, on in release too: prints and aborts. */
#define SN_ASSERT(cond) \
	do { \
		if (__builtin_expect(!(cond), 0)) \
			sn_assert_failed(#cond, __FILE__, __LINE__, __func__); \
	} while (0)

_Noreturn void sn_assert_failed(const char *cond, const char *file, int line, const char *func);

#define SN_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SN_UNUSED __attribute__((unused))
/* For those that are read on every request. Its place is settled when the program is loaded: reading it
 * from the library is no call. (Programs link it; one that would dlopen() it needs glibc's spare room.) */
#define SN_THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))
#define sn_likely(x) __builtin_expect(!!(x), 1)
#define sn_unlikely(x) __builtin_expect(!!(x), 0)
/* For what gcc finds too large for so many calls, where each is made once in the loop that matters. */
#define SN_INLINE inline __attribute__((always_inline))

#endif
