/* SPDX-License-Identifier: MIT
 *
 * What the files of pyrt/ share; included by pyrt/ only.
 */
#ifndef SN_PYRT_PRIV_H
#define SN_PYRT_PRIV_H

#include "pyrt/py.h"

#include "pyrt/pyrt.h"

/* sn_endpoint.target of a Python route. */
struct sn_pytarget {
	PyObject *handler; /* owned; never dropped, since the interpreter stays */
	PyObject *pool;    /* owned; the second argument, or NULL */
	const char *name;
	PyObject *task_name; /* owned; tasks share it, asyncio would make a text for each */
	bool idempotent;   /* a pool call whose process died may run once more */
};

/* Calls the handler: new reference, or NULL with an exception. */
PyObject *sn_pytarget_call(const struct sn_pytarget *t, PyObject *request);

/* sn_request.step of one whose async handler has given its answer's pieces to the sync workers;
 * under the GIL. */
enum { SN_STEP_SYNC_STREAM = 1 };

/* How a request stands that is over its time. */
enum sn_hold {
	SN_HOLD_NOT,      /* the request is not in a handler any more */
	SN_HOLD_RUNS,     /* it is */
	SN_HOLD_INJECTED, /* it is, with an exception on its way */
};

struct sn_enforcer;

/* What runs after an answer, in the list of the enforcer, whose alone the fields are. */
struct sn_after {
	struct sn_after *prev, *next;
	struct sn_request *req;
	int64_t due_ms;
	bool linked;
};

/* True: the handler of `req` is to be run now. False: its peer is gone, it was answered, or it
 * waited longer than `limit_ms` (0: none) and was refused here, which counts in `expired`. */
bool sn_pyrt_begin(struct sn_request *req, int64_t limit_ms, atomic_ullong *expired);
/* True when `req` needs no handler any more, as above; else it goes on waiting. */
bool sn_pyrt_stale(struct sn_request *req, int64_t limit_ms, atomic_ullong *expired);

#endif
