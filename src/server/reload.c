/* SPDX-License-Identifier: MIT
 *
 * A new configuration, and new code with it, while the old one serves: read it, open what
 * it adds, start its workers; when every one of them is ready they take the place, else
 * nothing has changed. The supervisor's thread.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/admin.h"
#include "server/notify.h"
#include "server/pidfile.h"
#include "server/privilege.h"
#include "server/process.h"
#include "server/supervisor_priv.h"

struct sn_generation *
sn_generation_new(struct sn_conf *conf)
{
	static uint64_t last; /* the supervisor's, which is one */
	struct sn_generation *g = calloc(1, sizeof(*g));
	struct sn_slot *slot = calloc(conf->processes, sizeof(*slot));
	if (!g || !slot) {
		free(g);
		free(slot);
		sn_conf_free(conf);
		return NULL;
	}
	g->conf = conf;
	g->n = conf->processes;
	g->slot = slot;
	g->number = ++last;
	return g;
}

void
sn_generation_free(struct sn_generation *g)
{
	if (!g)
		return;
	sn_listeners_close(&g->ls);
	sn_conf_free(g->conf);
	free(g->slot);
	free(g);
}

static void
tell_failure(struct sn_supervisor *s, const char *reason)
{
	struct sn_why why;
	sn_why_set(&why, SN_ECONF, "%s%s", s->stopping ? "" : "the running workers go on: ", reason);
	sn_log_error("reload failed, %s", why.text);
	if (!s->stopping) /* ready again, as before */
		sn_notify_ready("reload failed, %s", why.text);
	sn_admin_result(s->admin, false, why.text);
}

static void
refuse(struct sn_supervisor *s, const char *reason)
{
	sn_log_error("reload refused: %s", reason);
	sn_notify_ready("reload refused: %s", reason); /* a manager that asked waits for it */
	sn_admin_refuse(s->admin, SN_ADMIN_RELOAD, reason);
}

static int
prepare(struct sn_supervisor *s, struct sn_generation **out, struct sn_why *why)
{
	struct sn_conf *conf = NULL;
	*out = NULL;
	int rc = s->loader->load(s->loader->arg, &conf, why);
	if (rc < 0)
		return rc;
	sn_process_raise_limits(conf);
	struct sn_generation *g = sn_generation_new(conf);
	if (!g)
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	rc = sn_privilege_check(conf, why);
	if (rc == 0)
		rc = sn_listeners_carry(&g->ls, g->conf, &s->now->ls, why);
	if (rc == 0 && strcmp(g->conf->pid_file, s->now->conf->pid_file) != 0)
		rc = sn_pidfile_open(g->conf->pid_file, why);
	if (rc < 0) {
		sn_generation_free(g);
		return rc;
	}
	*out = g;
	return 0;
}

void
sn_reload(struct sn_supervisor *s)
{
	struct sn_why why = { "" };
	if (s->stopping)
		return;
	if (s->heir.pid) {
		refuse(s, "an upgrade is under way");
		return;
	}
	if (s->next || s->settling) {
		sn_log_info("reload: one is under way; another one follows");
		s->reload_again = true;
		return;
	}
	sn_log_info("reload: new workers start");
	sn_admin_begin(s->admin, SN_ADMIN_RELOAD);
	sn_notify_reloading();
	if (prepare(s, &s->next, &why) < 0) {
		tell_failure(s, why.text);
		return;
	}
	for (unsigned i = 0; i < s->next->n; i++)
		if (!sn_child_spawn(s, s->next, i)) {
			sn_reload_abort(s, "a worker could not be forked; see above");
			return;
		}
}

static void
another(struct sn_supervisor *s)
{
	if (!s->reload_again)
		return;
	s->reload_again = false;
	sn_reload(s);
}

void
sn_reload_abort(struct sn_supervisor *s, const char *reason)
{
	struct sn_generation *g = s->next;
	s->next = NULL;
	for (struct sn_child *c = s->children; c; c = c->next)
		if (c->gen == g)
			sn_child_retire(c, g->conf);
	if (strcmp(g->conf->pid_file, s->now->conf->pid_file) != 0)
		sn_pidfile_close(g->conf->pid_file);
	sn_generation_free(g);
	tell_failure(s, reason);
	if (!s->stopping)
		another(s);
}

void
sn_reload_ready(struct sn_supervisor *s)
{
	struct sn_why why;
	struct sn_generation *old = s->now, *g = s->next;
	if (sn_child_count(s, g, SN_CHILD_SERVING) < g->n)
		return;
	s->now = g;
	s->next = NULL;
	if (sn_process_open_log(g->conf, &why) < 0)
		sn_log_error("%s", why.text);
	unsigned retired = 0;
	for (struct sn_child *c = s->children; c; c = c->next)
		if (c->gen == old) {
			c->replaced = c->state == SN_CHILD_SERVING;
			sn_child_retire(c, old->conf);
			retired++;
		}
	sn_listeners_commit(&g->ls, &old->ls);
	if (strcmp(g->conf->pid_file, old->conf->pid_file) != 0)
		sn_pidfile_close(old->conf->pid_file);
	sn_generation_free(old);
	s->failures = 0;
	sn_log_info("reloaded: %u new worker%s serve%s, %u old one%s drain%s", g->n, g->n == 1 ? "" : "s",
	            g->n == 1 ? "s" : "", retired, retired == 1 ? "" : "s", retired == 1 ? "s" : "");
	s->settling = true;
}

void
sn_reload_settle(struct sn_supervisor *s)
{
	if (!s->settling)
		return;
	for (const struct sn_child *c = s->children; c; c = c->next)
		if (c->replaced && !c->deaf)
			return;
	s->settling = false;
	sn_notify_ready(SN_SERVING_STATUS, sn_child_count(s, s->now, SN_CHILD_SERVING), s->now->n);
	sn_admin_result(s->admin, true, "reloaded");
	another(s);
}
