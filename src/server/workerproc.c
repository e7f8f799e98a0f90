/* SPDX-License-Identifier: MIT
 *
 * The body of a worker process: from its configuration to its exit status, with the
 * signals and the supervisor's messages in between. Main thread only.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/channel.h"
#include "server/notify.h"
#include "server/privilege.h"
#include "server/recycle.h"
#include "server/signals.h"
#include "server/supervisor.h"

#define FULL_MS 100
#define MEMORY_MS 1000

static bool
hurried(void *arg)
{
	unsigned stops;
	(void)arg;
	sn_signals_take(&stops);
	return stops > 1;
}

/* With a supervisor the successor is started first: it sends SN_SIG_RETIRE when that one serves.
 * Returns whether the worker shall stop now. */
static bool
wants_successor(int chan, enum sn_recycle *kind)
{
	const char *reason;
	*kind = sn_recycle_asked(&reason);
	if (*kind == SN_RECYCLE_NOT)
		return false;
	sn_log_for(*kind == SN_RECYCLE_STUCK ? SN_LOG_ERROR : SN_LOG_INFO, 0,
	           "this process must be replaced: %s", reason);
	return chan < 0 || sn_channel_send(chan, SN_MSG_RECYCLE, 0, -1, reason) < 0;
}

/* Kept connections of a worker that ends; false: the supervisor is gone. */
static bool
hear(int chan, struct sn_worker *w, bool all)
{
	struct sn_msg m;
	int rc = 0;
	while ((all || !sn_worker_is_full(w)) && (rc = sn_channel_recv(chan, &m)) == 0)
		if (m.kind == SN_MSG_CONN && m.fd >= 0)
			sn_worker_take(w, m.id, m.fd);
	return rc != SN_EGONE;
}

/* Looks around when nothing happens: for room, and at the memory. */
static int
look_again_ms(const struct sn_conf *conf, const struct sn_worker *w)
{
	if (sn_worker_is_full(w))
		return FULL_MS;
	return conf->max_rss ? MEMORY_MS : -1;
}

/* Returns when the worker shall stop; SN_RECYCLE_NOT: it was told to. */
static enum sn_recycle
wait_for_stop(int fd, int chan, const struct sn_conf *conf, struct sn_worker *w)
{
	enum sn_recycle kind = SN_RECYCLE_NOT;
	bool listens = chan >= 0;
	for (;;) {
		struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
			               { .fd = listens && !sn_worker_is_full(w) ? chan : -1, .events = POLLIN } };
		if (poll(p, 2, sn_notify_wait(look_again_ms(conf, w), sn_clock_ms())) < 0 && errno != EINTR)
			return kind;
		unsigned stops, mask = sn_signals_take(&stops);
		struct sn_why why;
		/* also before retiring: what was sent to us is ours to hand on */
		if (listens)
			listens = hear(chan, w, mask & SN_SIG_RETIRE);
		if (conf->max_rss && sn_worker_is_fat(w))
			sn_recycle_ask(SN_RECYCLE_HEALTHY, "its memory is above max_rss");
		if ((mask & SN_SIG_REOPEN) && (sn_log_reopen(&why) < 0 || sn_worker_reopen(w, &why) < 0))
			sn_log_error("%s", why.text);
		if ((mask & SN_SIG_RELOAD) && chan < 0)
			sn_log_warning("SIGHUP: nothing is reloaded, because that needs the supervisor; leave "
			               "--no-supervisor out, or restart");
		if ((mask & SN_SIG_SUCCEED) && chan >= 0)
			sn_recycle_ask(SN_RECYCLE_HEALTHY, "SIGUSR2 asks for it");
		if (mask & SN_SIG_RETIRE)
			sn_worker_retire(w);
		bool stop = (mask & SN_SIG_RECYCLE) && wants_successor(chan, &kind);
		if (stop || stops || (mask & SN_SIG_RETIRE))
			return kind;
	}
}

static int
failed(int chan, const struct sn_why *why)
{
	sn_log_error("%s", why->text);
	if (chan >= 0)
		sn_channel_send(chan, SN_MSG_FAILED, 0, -1, why->text);
	return SN_EXIT_NOT_READY;
}

int
sn_worker_run(const struct sn_conf *conf, const struct sn_tables *tables,
              struct sn_listeners *ls, int chan, bool log_routes, bool *clean)
{
	struct sn_why why = { "" };
	struct sn_worker *w = NULL;
	bool supervised = chan >= 0;
	*clean = true;
	int fd = sn_signals_install(!supervised, &why);
	if (fd < 0 || sn_privilege_drop(conf, &why) < 0 ||
	    sn_worker_prepare(&w, conf, tables, false, &why) < 0)
		return failed(chan, &why);
	sn_worker_name_endpoints(w);
	if (log_routes) {
		sn_worker_log_routes(w);
		for (size_t i = 0; i < ls->n; i++)
			sn_log_info("listening on %s (%s)", ls->item[i].name, ls->item[i].wire->name);
	}
	sn_worker_channel(w, chan);
	if (sn_worker_serve(w, ls, &why) < 0) {
		failed(chan, &why);
		*clean = sn_worker_stop(w, 1000, NULL, NULL);
		if (*clean)
			sn_worker_free(w);
		return SN_EXIT_NOT_READY;
	}
	if (supervised) {
		sn_channel_send(chan, SN_MSG_READY, 0, -1, NULL);
	} else {
		sn_log_info("ready");
		sn_notify_ready("serving, in one process");
	}
	enum sn_recycle recycle = wait_for_stop(fd, chan, conf, w);
	sn_log_info("stopping: accepted requests are answered first");
	sn_notify_stopping(sn_clock_ms_of(conf->timeouts.shutdown));
	*clean = sn_worker_stop(w, sn_clock_ms_of(conf->timeouts.shutdown), hurried, NULL);
	if (*clean)
		sn_worker_free(w);
	return recycle == SN_RECYCLE_STUCK ? SN_EXIT_STUCK : 0;
}
