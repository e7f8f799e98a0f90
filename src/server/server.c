/* SPDX-License-Identifier: MIT
 *
 * The public server object: one worker in the embedder's own process, without
 * fork and without signal handlers. Its functions are for one thread, except
 * sn_server_stats.
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/listener.h"
#include "server/process.h"
#include "server/worker.h"

struct sn_server {
	struct sn_conf *conf;
	const sn_route **table;
	size_t ntables;
	struct sn_listeners listeners;
	struct sn_worker *worker;
	pthread_mutex_t mtx; /* worker and last, against sn_server_stats */
	sn_stats last;       /* after the stop */
	struct sn_why why;
	bool finished;
};

sn_server *
sn_server_new(void)
{
	sn_server *srv = calloc(1, sizeof(*srv));
	if (!srv)
		return NULL;
	srv->conf = sn_conf_new();
	if (!srv->conf) {
		free(srv);
		return NULL;
	}
	pthread_mutex_init(&srv->mtx, NULL);
	return srv;
}

static int
not_while_running(sn_server *srv)
{
	srv->why.text[0] = '\0';
	if (srv->worker || srv->finished)
		return sn_why_set(&srv->why, SN_EINVAL, "options are set before sn_server_start()");
	return 0;
}

int
sn_server_set(sn_server *srv, const char *key, const char *value)
{
	int rc = not_while_running(srv);
	return rc < 0 ? rc : sn_conf_set(srv->conf, key, value, "sn_server_set", &srv->why);
}

int
sn_server_load(sn_server *srv, const char *file)
{
	int rc = not_while_running(srv);
	return rc < 0 ? rc : sn_conf_load(srv->conf, file, &srv->why, NULL);
}

int
sn_server_listen(sn_server *srv, const char *address)
{
	int rc = not_while_running(srv);
	return rc < 0 ? rc : sn_conf_listen(srv->conf, address, "sn_server_listen", &srv->why);
}

int
sn_server_routes(sn_server *srv, const sn_route *routes)
{
	int rc = not_while_running(srv);
	if (rc < 0)
		return rc;
	const sn_route **table = realloc(srv->table, (srv->ntables + 1) * sizeof(*table));
	if (!table)
		return sn_why_set(&srv->why, SN_ENOMEM, "out of memory");
	srv->table = table;
	srv->table[srv->ntables++] = routes;
	return 0;
}

int
sn_server_start(sn_server *srv)
{
	int rc = not_while_running(srv);
	struct sn_worker *w = NULL;
	if (rc == 0 && srv->conf->processes > 1)
		rc = sn_why_set(&srv->why, SN_ECONF,
		                "a server object is one process: set processes = 1, or use sn_main()");
	if (rc == 0 && (*srv->conf->user || *srv->conf->group || *srv->conf->chroot ||
	                srv->conf->no_new_privs))
		rc = sn_why_set(&srv->why, SN_ECONF,
		                "user, group, chroot and no_new_privs are for the stock daemon; a program "
		                "that embeds a server gives its rights up by itself");
	if (rc == 0)
		rc = sn_conf_finish(srv->conf, &srv->why);
	if (rc < 0)
		return rc;
	struct sn_tables tables = { .table = srv->table, .n = srv->ntables };
	rc = sn_listeners_open(&srv->listeners, srv->conf, &srv->why);
	if (rc == 0)
		rc = sn_worker_prepare(&w, srv->conf, &tables, false, &srv->why);
	if (rc == 0)
		rc = sn_worker_serve(w, &srv->listeners, &srv->why);
	if (rc < 0) {
		if (sn_worker_stop(w, 1000, NULL, NULL))
			sn_worker_free(w);
		sn_listeners_close(&srv->listeners);
		return rc;
	}
	pthread_mutex_lock(&srv->mtx);
	srv->worker = w;
	pthread_mutex_unlock(&srv->mtx);
	srv->finished = true; /* an interpreter starts once in a process's life */
	return 0;
}

int
sn_server_stop(sn_server *srv)
{
	if (!srv->worker)
		return 0;
	bool ended = sn_worker_stop(srv->worker, sn_clock_ms_of(srv->conf->timeouts.shutdown), NULL, NULL);
	pthread_mutex_lock(&srv->mtx);
	struct sn_worker *w = srv->worker;
	sn_worker_stats(w, &srv->last);
	srv->worker = NULL;
	pthread_mutex_unlock(&srv->mtx);
	if (ended)
		sn_worker_free(w); /* else its threads still use it: left to the end of the process */
	sn_listeners_close(&srv->listeners);
	return ended ? 0
	             : sn_why_set(&srv->why, SN_EAGAIN,
	                          "handlers were still running after timeouts.shutdown; they were left alone");
}

void
sn_server_stats(const sn_server *srv, sn_stats *out)
{
	pthread_mutex_t *mtx = &((sn_server *)(uintptr_t)srv)->mtx;
	pthread_mutex_lock(mtx);
	if (srv->worker)
		sn_worker_stats(srv->worker, out);
	else
		*out = srv->last;
	pthread_mutex_unlock(mtx);
}

const char *
sn_server_address(const sn_server *srv, size_t n)
{
	return n < srv->listeners.n ? srv->listeners.item[n].name : NULL;
}

const char *
sn_server_error(const sn_server *srv)
{
	return srv->why.text;
}

void
sn_server_free(sn_server *srv)
{
	if (!srv)
		return;
	if (sn_server_stop(srv) == 0)
		sn_conf_free(srv->conf); /* else threads still read it */
	free(srv->table);
	pthread_mutex_destroy(&srv->mtx);
	free(srv);
}

const char *
sn_version(void)
{
	return PACKAGE_VERSION;
}
