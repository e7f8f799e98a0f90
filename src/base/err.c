/* SPDX-License-Identifier: MIT
 *
 * Error texts and the assert that stays on. Any thread.
 */
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

int
sn_why_set(struct sn_why *why, int err, const char *fmt, ...)
{
	if (why) {
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(why->text, sizeof(why->text), fmt, ap);
		va_end(ap);
	}
	return err;
}

const char *
sn_err_name(int err)
{
	switch (err) {
	case SN_OK: return "ok";
	case SN_ENOMEM: return "out of memory";
	case SN_EINVAL: return "invalid argument";
	case SN_EAGAIN: return "try again later";
	case SN_EFULL: return "queue full";
	case SN_EGONE: return "peer gone";
	case SN_ELIMIT: return "over a limit";
	case SN_EIO: return "system call failed";
	case SN_ENOENT: return "not found";
	case SN_ERANGE: return "number out of range";
	case SN_ECONF: return "configuration error";
	case SN_EPYTHON: return "Python error";
	default: return "unknown error";
	}
}

void
sn_assert_failed(const char *cond, const char *file, int line, const char *func)
{
	fprintf(stderr, "snacgi: assertion failed: %s (%s:%d, %s)\n", cond, file, line, func);
	abort();
}
