/* SPDX-License-Identifier: MIT
 *
 * The interpreter: made once in a process's life, by the thread that becomes
 * Python's main thread. Included by pyrt/ only.
 */
#ifndef SN_PYRT_INTERP_H
#define SN_PYRT_INTERP_H

#include "pyrt/py.h"

#include "pyrt/pyrt.h"

/* Initialises Python, sets sys.path, imports our package's runtime part. The caller holds
 * the GIL afterwards, also when it fails after Py_IsInitialized(). */
int sn_interp_start(const struct sn_pyrt_options *opt, struct sn_why *why);
/* "3.11.2 (/usr)" */
void sn_interp_version(char *out, size_t size);
/* Imports one user module; `why` holds the whole traceback. */
int sn_interp_import(const char *name, struct sn_why *why);
/* Writes `what` and the traceback of the exception that is set (cleared) to `why`, the
 * middle cut where it is too long, since both ends tell most. Returns SN_EPYTHON. */
int sn_interp_fail(struct sn_why *why, const char *what);
/* snacgi._runtime.NAME(args): new reference. `args` is stolen; NULL is passed on. */
PyObject *sn_interp_call(const char *name, PyObject *args);

#endif
