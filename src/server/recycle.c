/* SPDX-License-Identifier: MIT
 *
 * The wish to be replaced. State is static, since it is the process that is
 * replaced. Lock-free: it is asked for by threads that watch others hang.
 */
#include "server/recycle.h"

#include <stdatomic.h>

#include "base/log.h"
#include "server/signals.h"

static struct {
	_Atomic(const char *) reason[SN_RECYCLE_STUCK + 1];
} wish;

void
sn_recycle_ask(enum sn_recycle kind, const char *reason)
{
	const char *none = NULL;

	if (!atomic_compare_exchange_strong(&wish.reason[kind], &none, reason))
		return;
	if (!sn_signals_raise(SN_SIG_RECYCLE))
		sn_log_error("this process should be restarted: %s", reason);
}

enum sn_recycle
sn_recycle_asked(const char **reason)
{
	for (enum sn_recycle kind = SN_RECYCLE_STUCK; kind > SN_RECYCLE_NOT; kind--)
		if ((*reason = atomic_load(&wish.reason[kind])))
			return kind;
	return SN_RECYCLE_NOT;
}
