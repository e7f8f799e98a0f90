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
#include <unistd.h>

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

/* ---- places ------------------------------------------------------------------- */

/* What the user `snacgi` may write to in the image, beside directories made for its sockets. */
static const char *const of_image[] = { "/run/snacgi", "/tmp", "/var/tmp", NULL };
/* What is not given to it there. */
static const char *const of_system[] = { "", "/run", "/var/run", "/var", "/etc", "/usr", "/dev", "/opt", "/srv", NULL };

static bool
among(const char *const *dirs, const char *dir, size_t len)
{
	for (; *dirs; dirs++)
		if (strlen(*dirs) == len && memcmp(*dirs, dir, len) == 0)
			return true;
	return false;
}

static bool
below(const char *path, const char *dir)
{
	size_t len = strlen(dir);
	if (len && dir[len - 1] == '/')
		len--;
	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* The length of the directory's name that a file is in; 0: the root. */
static size_t
dir_length(const char *path)
{
	return (size_t)(strrchr(path, '/') - path);
}

/* No "//", "/./" and "/../": texts are compared here, and systemd's directories have none. */
static bool
normal(const char *path)
{
	const char *s = path + (*path == '/');
	while (*s) {
		size_t len = strcspn(s, "/");
		if (len == 0 || (len == 1 && s[0] == '.') || (len == 2 && s[0] == '.' && s[1] == '.'))
			return false;
		s += len + (s[len] == '/');
	}
	return true;
}

/* The application is copied from the directory of its configuration: a path from there on. */
static const char *
beside(const struct sn_conf *c, const char *path)
{
	size_t n = dir_length(c->file) + 1;
	if (strncmp(path, c->file, n) == 0)
		return path[n] ? path + n : ".";
	return n > 1 && strlen(path) == n - 1 && strncmp(path, c->file, n - 1) == 0 ? "." : NULL;
}

/* ---- what is refused ---------------------------------------------------------- */

static int
check_path(const struct sn_conf *c, const char *key, const char *path, struct sn_why *why)
{
	const char *own = beside(c, path); /* what is in front of it may be -c's: ../app.conf */
	int rc = check_word(key, path, why);
	if (rc < 0 || (own && strcmp(own, ".") == 0) || normal(own ? own : path))
		return rc;
	return sn_why_set(why, SN_ECONF, "%s: '%s' cannot be written here; leave '//', '/./' and '/../' out", key, path);
}

/* A Unix socket that snacgi makes itself. */
static int
check_own(const struct sn_print_units *u, const struct sn_conf_listen *l, const char *mend, struct sn_why *why)
{
	bool container = u->kind == SN_UNITS_CONTAINER;
	if (!normal(l->path))
		return sn_why_set(why, SN_ECONF, "%s: cannot be written here; leave '//', '/./' and '/../' out", l->address);
	if (*l->owner)
		return sn_why_set(why, SN_ECONF, "listen.owner: only root can give the socket away, and the service is "
		                  "not; leave it to group and mode%s", mend);
	if (container && among(of_system, l->path, dir_length(l->path)))
		return sn_why_set(why, SN_ECONF, "%s: the user snacgi makes no sockets there; choose a directory of its "
		                  "own, as in unix:/run/snacgi/snacgi.sock", l->address);
	if (container)
		return 0;
	if (strncmp(l->path, RUN, strlen(RUN)) != 0 || !strchr(l->path + strlen(RUN), '/') ||
	    (u->kind == SN_UNITS_SERVICE && below(l->path, "/run/user")))
		return sn_why_set(why, SN_ECONF, "%s: the service's sandbox writes and shows sockets in a directory of "
		                  "its own below /run; listen at unix:/run/snacgi/snacgi.sock%s", l->address, mend);
	for (size_t i = 0; below(l->path, "/run/snacgi") && i < u->conf->nlisten; i++)
		if (sn_print_units_adopted(&u->conf->listen[i]))
			return sn_why_set(why, SN_ECONF, "%s: /run/snacgi has the socket of %s, which would go with this "
			                  "one when the service stops; listen at unix:/run/snacgi-own/%s%s", l->address,
			                  u->conf->listen[i].address, strrchr(l->path, '/') + 1, mend);
	return 0;
}

static int
check_listener(const struct sn_print_units *u, const struct sn_conf_listen *l, struct sn_why *why)
{
	bool container = u->kind == SN_UNITS_CONTAINER;
	const char *mend = container ? "" : ", or let systemd open it (address = \"systemd:NAME\")";
	int rc = check_word("listen.group", l->group, why);
	if (rc == 0 && l->path)
		rc = check_word("listen.address", l->path, why);
	if (rc < 0)
		return rc;
	if (l->kind == SN_ADDR_FD || (container && sn_print_units_adopted(l)))
		return sn_why_set(why, SN_ECONF, "%s: nobody passes a socket there; listen at unix:/run/snacgi/snacgi.sock%s",
		                  l->address, container ? " or a port" : mend);
	if (l->kind == SN_ADDR_TCP && l->port > 0 && l->port < 1024)
		return sn_why_set(why, SN_ECONF, "%s: ports below 1024 are root's, which the service is not; choose "
		                  "another%s", l->address, mend);
	/* The unit of `fastcgi` has the path that every front server's configuration begins with. */
	for (size_t i = 0; sn_print_units_adopted(l) && strcmp(l->path, "snacgi") == 0 && i < u->conf->nlisten; i++)
		if (sn_print_units_adopted(&u->conf->listen[i]) && strcmp(u->conf->listen[i].path, "fastcgi") == 0)
			return sn_why_set(why, SN_ECONF, "%s: /run/snacgi/snacgi.sock is the socket of systemd:fastcgi; "
			                  "choose another name", l->address);
	return l->kind == SN_ADDR_UNIX ? check_own(u, l, mend, why) : 0;
}

/* What the service reads, and where its sandbox shows it. */
static int
check_read(const struct sn_print_units *u, const char *key, const char *path, struct sn_why *why)
{
	int rc = check_path(u->conf, key, path, why);
	if (rc == 0 && u->kind == SN_UNITS_SERVICE &&
	    (below(path, "/home") || below(path, "/root") || below(path, "/run/user")))
		rc = sn_why_set(why, SN_ECONF, "%s: %s is hidden by the service's sandbox (ProtectHome=yes); move it to /srv "
		                "or /opt, or print systemd-minimal", key, path);
	return rc;
}

/* What snacgi writes: where the sandbox, or the image's root, lets it. */
static int
check_written(const struct sn_print_units *u, const char *key, const char *path, bool directory, struct sn_why *why)
{
	static const char *const places[] = {
		[SN_UNITS_SERVICE] = "/var/log/snacgi", [SN_UNITS_MINIMAL] = "/tmp", [SN_UNITS_CONTAINER] = "/run/snacgi",
	};
	const char *const dirs[] = { "/tmp", "/var/tmp", places[u->kind], NULL };
	if (!*path || strcmp(path, "/dev/null") == 0 || (u->kind == SN_UNITS_CONTAINER && below(path, "/dev")))
		return 0;
	size_t len = directory ? strlen(path) : dir_length(path);
	bool may = among(dirs, path, len);
	for (size_t i = 0; !may && i < u->conf->nlisten; i++) {
		const struct sn_conf_listen *l = &u->conf->listen[i];
		may = l->kind == SN_ADDR_UNIX && dir_length(l->path) == len && strncmp(l->path, path, len) == 0;
	}
	return may ? 0 : sn_why_set(why, SN_ECONF, "%s: snacgi cannot write to %s there; leave it out, or choose %s",
	                            key, path, places[u->kind]);
}

static int
check_places(const struct sn_print_units *u, struct sn_why *why)
{
	const struct sn_conf *c = u->conf;
	const struct { const char *key, *path; } read[] = {
		{ "-c", c->file }, { "python.dir", c->python.dir }, { "python.venv", c->python.venv },
	}, written[] = {
		{ "log.file", c->log.file }, { "log.access", c->log.access }, { "pid_file", c->pid_file },
		{ "spool_dir", c->spool_dir },
	};
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < SN_COUNT(read); i++)
		rc = check_read(u, read[i].key, read[i].path, why);
	for (size_t i = 0; rc == 0 && i < c->native.modules.n; i++)
		rc = check_read(u, "native.modules", c->native.modules.item[i], why);
	for (size_t i = 0; rc == 0 && i < SN_COUNT(written); i++)
		rc = check_written(u, written[i].key, written[i].path, written[i].path == c->spool_dir, why);
	return rc;
}

static int
check_image(const struct sn_conf *c, struct sn_why *why)
{
	if (c->nlisten == 0)
		return sn_why_set(why, SN_ECONF, "%s has no listener, and nobody passes a socket to a container; add "
		                  "listen = ( { address = \"unix:/run/snacgi/snacgi.sock\"; } );", c->file);
	if (!*c->python.dir)
		return 0;
	if (!beside(c, c->python.dir))
		return sn_why_set(why, SN_ECONF, "python.dir: %s is copied from the directory of %s; move it there", c->python.dir,
		                  c->file);
	if (below(c->python.venv, c->python.dir))
		return sn_why_set(why, SN_ECONF, "python.venv: this machine's %s would be copied over the image's with "
		                  "python.dir; move one out of the other", c->python.venv);
	return 0;
}

int
sn_print_units_check(const struct sn_print_units *u, struct sn_why *why)
{
	const struct sn_conf *c = u->conf;
	bool container = u->kind == SN_UNITS_CONTAINER;
	int rc = 0;
	if (*c->user || *c->group || *c->chroot)
		return sn_why_set(why, SN_ECONF, "user, group and chroot are for a start as root; leave them out: %s",
		                  container ? "the image has a USER" : "the unit has User=, and a sandbox");
	for (size_t i = 0; rc == 0 && i < c->nlisten; i++)
		rc = check_listener(u, &c->listen[i], why);
	/* Without a file it is that of deploy/, and a socket needs nothing of it. */
	if (rc < 0 || !c->file || u->kind == SN_UNITS_SOCKET)
		return rc;
	if ((rc = check_places(u, why)) == 0 && container)
		rc = check_image(c, why);
	return rc;
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

/* Every socket unit, behind `first`, and `next` between them; nothing where there is none. */
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
	/* the default one need not be there */
	if (*c->python.dir && (c->python.dir_named || access(c->python.dir, F_OK) == 0))
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
		size_t len = dir_length(l->path);
		if (!among(of_image, l->path, len))
			rc = sn_buf_addf(out, "\nRUN install -d -o snacgi -g snacgi -m 0755 %.*s", (int)len, l->path);
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
