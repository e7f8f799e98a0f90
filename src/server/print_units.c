/* SPDX-License-Identifier: MIT
 *
 * What `print-config systemd`, `systemd-socket` and `container` fill in: which sockets the
 * service manager passes, which places and groups those need that snacgi opens itself. What a
 * sandbox or an image cannot give is refused, with the mend. A word may stand for
 * several lines; each then begins with its own line feed.
 * The main thread of a process that serves nothing.
 */
#include "config.h"

#include "server/print_units.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define RUN "/run/"
#define IMAGE_CONF "/opt/app/snacgi.conf"

/* Neither a unit's specifiers and quotes nor a shell's. */
static int
check_word(const char *key, const char *s, struct sn_why *why)
{
	if (s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+,:")] == '\0')
		return 0;
	return sn_why_set(why, SN_ECONF, "%s: '%s' cannot be written here; choose a name of letters, digits, "
	                  "'/', '.', '-' and '_'", key, s);
}

bool
sn_print_units_adopted(const struct sn_conf_listen *l)
{
	return l->kind == SN_ADDR_SYSTEMD;
}

/* ---- what is refused ---------------------------------------------------------- */

static int
check_listener(const struct sn_print_units *u, const struct sn_conf_listen *l, struct sn_why *why)
{
	const char *mend = u->container ? "" : ", or let systemd open it (address = \"systemd:NAME\")";
	int rc = check_word("listen.group", l->group, why);
	if (rc == 0 && l->path)
		rc = check_word("listen.address", l->path, why);
	if (rc < 0)
		return rc;
	if (l->kind == SN_ADDR_FD || (u->container && sn_print_units_adopted(l)))
		return sn_why_set(why, SN_ECONF, "%s: nobody passes a socket there; listen at unix:/run/snacgi/snacgi.sock%s",
		                  l->address, u->container ? " or a port" : mend);
	if (l->kind == SN_ADDR_UNIX && *l->owner)
		return sn_why_set(why, SN_ECONF, "listen.owner: only root can give the socket away, and the service is "
		                  "not; leave it to group and mode%s", mend);
	if (l->kind == SN_ADDR_TCP && l->port > 0 && l->port < 1024)
		return sn_why_set(why, SN_ECONF, "%s: ports below 1024 are root's, which the service is not; choose "
		                  "another%s", l->address, mend);
	if (l->kind == SN_ADDR_UNIX && !u->container &&
	    (strncmp(l->path, RUN, strlen(RUN)) != 0 || !strchr(l->path + strlen(RUN), '/')))
		return sn_why_set(why, SN_ECONF, "%s: the service's sandbox writes and shows sockets in a directory of "
		                  "its own below /run; listen at unix:/run/snacgi/snacgi.sock%s", l->address, mend);
	return 0;
}

/* The application is copied from the directory of its configuration. */
static const char *
beside(const struct sn_conf *c, const char *path)
{
	const char *end = strrchr(c->file, '/');
	size_t n = end ? (size_t)(end - c->file) + 1 : 0;
	return n && strncmp(path, c->file, n) == 0 ? path + n : NULL;
}

static int
check_image(const struct sn_conf *c, struct sn_why *why)
{
	int rc = 0;
	if (!c->file)
		return 0;
	if (c->nlisten == 0)
		return sn_why_set(why, SN_ECONF, "%s has no listener, and nobody passes a socket to a container; add "
		                  "listen = ( { address = \"unix:/run/snacgi/snacgi.sock\"; } );", c->file);
	rc = check_word("the configuration's name", c->file, why);
	if (rc == 0)
		rc = check_word("python.dir", c->python.dir, why);
	if (rc == 0)
		rc = check_word("python.venv", c->python.venv, why);
	if (rc == 0 && *c->python.dir && !beside(c, c->python.dir))
		rc = sn_why_set(why, SN_ECONF, "python.dir: %s is copied from the directory of %s; move it there", c->python.dir,
		                c->file);
	for (size_t i = 0; rc == 0 && i < c->native.modules.n; i++)
		rc = check_word("native.modules", c->native.modules.item[i], why);
	return rc;
}

int
sn_print_units_check(const struct sn_print_units *u, struct sn_why *why)
{
	const struct sn_conf *c = u->conf;
	int rc = 0;
	if (*c->user || *c->group || *c->chroot)
		return sn_why_set(why, SN_ECONF, "user, group and chroot are for a start as root; leave them out: %s",
		                  u->container ? "the image has a USER" : "the unit has User=, and a sandbox");
	for (size_t i = 0; rc == 0 && i < c->nlisten; i++)
		rc = check_listener(u, &c->listen[i], why);
	if (rc == 0 && c->file)
		rc = check_word("the configuration's name", c->file, why);
	return rc == 0 && u->container ? check_image(c, why) : rc;
}

/* ---- units --------------------------------------------------------------------- */

/* The unit that opens a listener: systemd:fastcgi is that of snacgi.socket. */
static int
add_unit(struct sn_buf *out, const struct sn_conf_listen *l)
{
	if (!l || strcmp(l->path, "fastcgi") == 0)
		return sn_buf_adds(out, "snacgi.socket");
	return sn_buf_addf(out, "snacgi-%s.socket", l->path);
}

/* Every socket unit, each behind `before`; a listener may share its name with others. */
static int
add_units(struct sn_buf *out, const struct sn_conf *c, const char *first, const char *next)
{
	int rc = 0;
	bool any = false;
	for (size_t i = 0; rc == 0 && i < (c->nlisten ? c->nlisten : 1); i++) {
		const struct sn_conf_listen *l = c->nlisten ? &c->listen[i] : NULL;
		if (l && !sn_print_units_adopted(l))
			continue;
		rc = sn_buf_adds(out, any ? next : first);
		if (rc == 0)
			rc = add_unit(out, l);
		any = true;
	}
	return rc;
}

/* The directory below /run, made by systemd; the group of the socket that the service makes. */
static int
add_rights(struct sn_buf *out, const struct sn_conf *c)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < c->nlisten; i++) {
		const struct sn_conf_listen *l = &c->listen[i];
		if (l->kind != SN_ADDR_UNIX)
			continue;
		const char *dir = l->path + strlen(RUN);
		rc = sn_buf_addf(out, "\nRuntimeDirectory=%.*s", (int)(strrchr(dir, '/') - dir), dir);
		if (rc == 0 && *l->group)
			rc = sn_buf_addf(out, "\nSupplementaryGroups=%s", l->group);
	}
	return rc;
}

/* ---- the image ------------------------------------------------------------------ */

static int
add_venv(struct sn_buf *out, const struct sn_conf *c, bool build)
{
	const char *venv = c->file ? c->python.venv : "/opt/app/venv";
	if (!*venv)
		return 0;
	if (build)
		return sn_buf_addf(out, "\nCOPY --from=app requirements.lock /src/requirements.lock"
		                   "\nRUN steps venv /src/requirements.lock %s", venv);
	return sn_buf_addf(out, "\nCOPY --from=build %s %s", venv, venv);
}

/* Modules are built for what the image has, which nobody here knows how to. */
static int
add_modules(struct sn_buf *out, const struct sn_conf *c, bool staged)
{
	int rc = 0;
	for (size_t i = 0; c->file && rc == 0 && i < c->native.modules.n; i++) {
		const char *file = c->native.modules.item[i];
		rc = staged ? sn_buf_addf(out, "\n# Build it in the first stage; then:\nCOPY --from=build %s %s", file, file)
		            : sn_buf_addf(out, "\n# Here %s is to be built.", file);
	}
	return rc;
}

static int
add_application(struct sn_buf *out, const struct sn_conf *c)
{
	int rc = 0;
	if (!c->file)
		return sn_buf_adds(out, "\nCOPY --from=app python /opt/app/python"
		                   "\nCOPY deploy/container/snacgi.conf " IMAGE_CONF);
	if (*c->python.dir)
		rc = sn_buf_addf(out, "\nCOPY --from=app %s %s", beside(c, c->python.dir), c->python.dir);
	return rc < 0 ? rc : sn_buf_addf(out, "\nCOPY --from=app %s %s", beside(c, c->file), c->file);
}

/* What the user `snacgi` must be able to do. */
static int
add_account(struct sn_buf *out, const struct sn_conf *c)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < c->nlisten; i++) {
		const struct sn_conf_listen *l = &c->listen[i];
		if (l->kind != SN_ADDR_UNIX)
			continue;
		int len = (int)(strrchr(l->path, '/') - l->path);
		if (strncmp(l->path, "/run/snacgi/", (size_t)len + 1) != 0)
			rc = sn_buf_addf(out, "\nRUN install -d -o snacgi -g snacgi -m 0755 %.*s", len, l->path);
		if (rc == 0 && *l->group)
			rc = sn_buf_addf(out, "\nRUN usermod -a -G %s snacgi", l->group);
	}
	return rc;
}

static int
add_expose(struct sn_buf *out, const struct sn_conf *c)
{
	int rc = 0;
	if (!c->file)
		return sn_buf_adds(out, "\nEXPOSE 9000");
	for (size_t i = 0; rc == 0 && i < c->nlisten; i++)
		if (c->listen[i].kind == SN_ADDR_TCP)
			rc = sn_buf_addf(out, "\nEXPOSE %u", c->listen[i].port);
	return rc;
}

static int
add_app_dir(struct sn_buf *out, const struct sn_conf *c)
{
	if (!c->file)
		return sn_buf_adds(out, "/path/to/app");
	return sn_buf_add(out, c->file, (size_t)(beside(c, c->file) - c->file));
}

/* ---- words ------------------------------------------------------------------------ */

int
sn_print_units_value(struct sn_buf *out, const struct sn_print_units *u, const char *name)
{
	const struct sn_conf *c = u->conf;
	int rc;
	if (strcmp(name, "REQUIRES") == 0)
		rc = add_units(out, c, "\nRequires=", " ");
	else if (strcmp(name, "ALSO") == 0)
		rc = add_units(out, c, "\nAlso=", " ");
	else if (strcmp(name, "RIGHTS") == 0)
		rc = add_rights(out, c);
	else if (strcmp(name, "START") == 0)
		rc = sn_buf_addf(out, "%.0f", ceil(c->timeouts.start) + 10);
	else if (strcmp(name, "STOP") == 0) /* systemd's own is 90 */
		rc = sn_buf_addf(out, "%.0f", fmax(ceil(c->timeouts.shutdown) + 30, 90));
	else if (strcmp(name, "STOP_AFTER") == 0)
		rc = sn_buf_addf(out, "%.0f", ceil(c->timeouts.shutdown) + 5);
	else if (strcmp(name, "UNIT") == 0)
		rc = add_unit(out, u->listen);
	else if (strcmp(name, "NAME") == 0)
		rc = sn_buf_adds(out, u->listen ? u->listen->path : "fastcgi");
	else if (strcmp(name, "STREAM") == 0)
		rc = sn_buf_addf(out, "/run/snacgi/%s.sock",
		                 u->listen && strcmp(u->listen->path, "fastcgi") != 0 ? u->listen->path : "snacgi");
	else if (strcmp(name, "MAKE_VENV") == 0)
		rc = add_venv(out, c, true);
	else if (strcmp(name, "COPY_VENV") == 0)
		rc = add_venv(out, c, false);
	else if (strcmp(name, "MAKE_MODULES") == 0)
		rc = add_modules(out, c, false);
	else if (strcmp(name, "COPY_MODULES") == 0)
		rc = add_modules(out, c, true);
	else if (strcmp(name, "APPLICATION") == 0)
		rc = add_application(out, c);
	else if (strcmp(name, "ACCOUNT") == 0)
		rc = add_account(out, c);
	else if (strcmp(name, "EXPOSE") == 0)
		rc = add_expose(out, c);
	else if (strcmp(name, "APP_CONF") == 0)
		rc = sn_buf_adds(out, c->file ? c->file : IMAGE_CONF);
	else if (strcmp(name, "APP_DIR") == 0)
		rc = add_app_dir(out, c);
	else
		return 0;
	return rc < 0 ? rc : 1;
}
