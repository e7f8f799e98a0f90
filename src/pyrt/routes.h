/* SPDX-License-Identifier: MIT
 *
 * What @route recorded, as the endpoints of the matcher. Included by pyrt/ only.
 */
#ifndef SN_PYRT_ROUTES_H
#define SN_PYRT_ROUTES_H

#include "pyrt/pyrt_priv.h"

struct sn_pyroutes {
	struct sn_endpoint *endpoints;
	struct sn_pytarget *targets;
	size_t n;
	/* What answers requests that no route takes; target NULL: nothing does. */
	struct sn_endpoint missing;
	struct sn_pytarget missing_target;
	bool sync, async, pool; /* which lanes are needed */
	bool readers;           /* sync ones that read their body while it arrives */
};

/* Needs the GIL. */
int sn_pyroutes_collect(struct sn_pyroutes *r, struct sn_why *why);
/* Tells Python of the native routes, for the OpenAPI document. Needs the GIL. */
int sn_pyroutes_tell_native(const struct sn_endpoint *native, size_t n, struct sn_why *why);
/* Gives the pool to every target that asked for it. Needs the GIL. */
/* 0, or -1 with an exception. */
int sn_pyroutes_set_pool(struct sn_pyroutes *r, PyObject *pool);
/* The strings and arrays; handlers stay with the interpreter. */
void sn_pyroutes_free(struct sn_pyroutes *r);

#endif
