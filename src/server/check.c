/* SPDX-License-Identifier: MIT
 *
 * Looking before serving: configuration, Python, imports, routes, sockets. The main
 * thread of a process that serves nothing.
 */
#include "server/check.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "http/method.h"
#include "server/privilege.h"

static void
quiet(void)
{
	struct sn_log_options opt = { .level = SN_LOG_WARNING, .format = SN_LOG_TEXT };
	sn_log_open(&opt, NULL);
}

static void
on_finding(void *arg, const char *text)
{
	(*(unsigned *)arg)++;
	fprintf(stderr, "warning: %s\n", text);
}

static unsigned
check_shadowed(const struct sn_worker *w)
{
	size_t n;
	unsigned found = 0;
	const struct sn_endpoint *eps = sn_worker_python_endpoints(w, &n);
	for (size_t i = 0; i < n; i++) {
		const struct sn_endpoint *by = sn_worker_shadowing(w, &eps[i]);
		if (!by)
			continue;
		fprintf(stderr, "warning: %s:%d: route %s (%s) is shadowed: the native route %s (%s) answers first; "
		       "remove one of them or give them different methods\n",
		       eps[i].file ? eps[i].file : "?", eps[i].line, eps[i].rule, eps[i].name, by->rule,
		       by->name);
		found++;
	}
	return found;
}

/* Can this user make the socket file, and is nobody there already? */
static unsigned
check_listener(const struct sn_conf_listen *lc)
{
	unsigned errors = 0;
	if (*lc->owner && !getpwnam(lc->owner))
		fprintf(stderr, "error: %s: there is no user '%s'; create it or change owner\n", lc->address,
		       lc->owner),
			errors++;
	if (*lc->group && !getgrnam(lc->group))
		fprintf(stderr, "error: %s: there is no group '%s'; create it or change group\n", lc->address,
		       lc->group),
			errors++;
	if (lc->kind != SN_ADDR_UNIX)
		return errors;
	struct stat st;
	char *copy = strdup(lc->path);
	const char *dir = copy ? dirname(copy) : ".";
	if (stat(dir, &st) < 0)
		fprintf(stderr, "error: %s: its directory %s: %s; create it (systemd: RuntimeDirectory=)\n",
		       lc->address, dir, strerror(errno)),
			errors++;
	else if (access(dir, W_OK | X_OK) < 0)
		fprintf(stderr, "error: %s: this user cannot create files in %s; change its owner or mode\n",
		       lc->address, dir),
			errors++;
	if (lstat(lc->path, &st) == 0 && !S_ISSOCK(st.st_mode))
		fprintf(stderr, "error: %s: the file exists and is not a socket; remove it or choose another path\n",
		       lc->address),
			errors++;
	if (!(lc->mode & 066))
		fprintf(stderr, "warning: %s: mode %04o lets only this user connect; the web server usually runs as "
		       "another: use mode = \"0660\" and group\n",
		       lc->address, lc->mode);
	free(copy);
	return errors;
}

static void
end(struct sn_worker *w)
{
	fflush(stdout);
	if (sn_worker_stop(w, 5000, NULL, NULL))
		sn_worker_free(w);
}

/* What the workers see; others than root are told elsewhere that they cannot. */
static int
enter_tree(const struct sn_conf *conf, struct sn_why *why)
{
	return geteuid() == 0 ? sn_privilege_enter_tree(conf, why) : 0;
}

int
sn_check(const struct sn_conf *conf, const struct sn_tables *tables)
{
	struct sn_why why;
	struct sn_worker *w;
	unsigned errors = 0, warnings = 0;
	quiet();
	for (size_t i = 0; i < conf->nlisten; i++)
		errors += check_listener(&conf->listen[i]);
	if (sn_privilege_check(conf, &why) < 0) {
		fprintf(stderr, "error: %s\n", why.text);
		errors++;
	}
	if (enter_tree(conf, &why) < 0 || sn_worker_prepare(&w, conf, tables, true, &why) < 0) {
		fprintf(stderr, "error: %s\n", why.text);
		errors++;
	} else {
		size_t native, python;
		sn_worker_native_endpoints(w, &native);
		sn_worker_python_endpoints(w, &python);
		warnings += check_shadowed(w);
		if (sn_worker_python(w)) {
			printf("Python %s\n", sn_pyrt_version(sn_worker_python(w)));
			sn_pyrt_check(sn_worker_python(w), on_finding, &warnings);
		}
		if (native + python == 0) {
			fprintf(stderr, "warning: there are no routes; put a module with @route functions into %s or name "
			       "native.modules\n",
			       conf->python.dir);
			warnings++;
		}
		printf("%zu native and %zu Python routes\n", native, python);
		end(w);
	}
	printf("%s: %u error%s, %u warning%s\n", conf->file ? conf->file : "command line", errors,
	       errors == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s");
	return errors ? 1 : 0;
}

static void
print_endpoints(const struct sn_endpoint *eps, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char store[128], place[512];
		struct sn_buf methods;
		sn_buf_init(&methods, store, sizeof(store));
		sn_method_list(eps[i].methods, &methods);
		sn_buf_terminate(&methods);
		if (eps[i].file)
			snprintf(place, sizeof(place), "%s:%d", eps[i].file, eps[i].line);
		else
			snprintf(place, sizeof(place), "-");
		const char *summary = eps[i].summary ? eps[i].summary : "";
		printf("%-12s %-32s %-10s %s%s%.*s\n", methods.data, eps[i].rule, sn_lane_name(eps[i].lane), place,
		       *summary ? "  " : "", (int)strcspn(summary, "\r\n"), summary);
		sn_buf_free(&methods);
	}
}

int
sn_print_routes(const struct sn_conf *conf, const struct sn_tables *tables)
{
	struct sn_why why;
	struct sn_worker *w;
	quiet();
	if (enter_tree(conf, &why) < 0 || sn_worker_prepare(&w, conf, tables, true, &why) < 0) {
		fprintf(stderr, "snacgi: %s\n", why.text);
		return 1;
	}
	size_t n;
	const struct sn_endpoint *eps = sn_worker_native_endpoints(w, &n);
	printf("%-12s %-32s %-10s %s\n", "METHODS", "RULE", "LANE", "PLACE");
	print_endpoints(eps, n);
	eps = sn_worker_python_endpoints(w, &n);
	print_endpoints(eps, n);
	end(w);
	return 0;
}
