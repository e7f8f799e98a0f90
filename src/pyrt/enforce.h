/* SPDX-License-Identifier: MIT
 *
 * The end of handlers that are over their time. Included by pyrt/ only.
 */
#ifndef SN_PYRT_ENFORCE_H
#define SN_PYRT_ENFORCE_H

#include "pyrt/aio.h"
#include "pyrt/dispatch.h"

struct sn_enforcer;

/* `aio` may be NULL. Starts the thread. Needs the GIL. */
int sn_enforcer_start(struct sn_enforcer **out, struct sn_dispatch *d, struct sn_aio *aio,
                      int64_t grace_ms, int64_t after_ms, struct sn_why *why);
/* `req` was answered by its time-out: what still runs of it is to be ended. Takes a reference
 * of its own. Any thread, without the GIL. */
void sn_enforcer_late(struct sn_enforcer *e, struct sn_request *req);
/* The same, for one that is only slow: where its handler stands is logged. */
void sn_enforcer_slow(struct sn_enforcer *e, struct sn_request *req);
/* How long what runs after an answer may take (sn_enforcer_after); 0: as long as it likes. */
int64_t sn_enforcer_after_ms(const struct sn_enforcer *e);
/* From here to its end what runs of `req` is after its answer, and late when it takes longer than
 * that. `a` is zeroed at first, and borrowed until the end; its caller holds a reference of `req`.
 * Both with the GIL. */
void sn_enforcer_after(struct sn_enforcer *e, struct sn_after *a, struct sn_request *req);
void sn_enforcer_after_end(struct sn_enforcer *e, struct sn_after *a); /* again is fine */
/* What hangs for good, as a text that stays; NULL: nothing that could not be ended. `*gil`:
 * nothing of Python can run any more. Any thread, without the GIL. */
const char *sn_enforcer_hangs(const struct sn_enforcer *e, bool *gil);
/* Ends the thread; without the GIL, which nobody may hold for ever. */
void sn_enforcer_stop(struct sn_enforcer *e);
void sn_enforcer_free(struct sn_enforcer *e); /* NULL is fine; after a stop */

#endif
