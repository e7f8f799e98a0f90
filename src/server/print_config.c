/* SPDX-License-Identifier: MIT
 *
 * Fills the templates of front servers' configurations in: the listener's address as
 * that server writes it, the body's limit, time limits that fit ours. The templates are
 * installed data; a word between two @ is replaced. Knows no server but by this table.
 * The main thread of a process that serves nothing.
 */
#include "config.h"

#include "server/print_config.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "server/print_units.h"

#define KIB 1024u
#define MIB (1024u * 1024u)

/* How a server writes where to connect: %s is the path; %s:%u host and port. */
struct form {
	const char *path, *abstract, *tcp; /* abstract NULL: this server cannot */
};

static const struct form nginx = { "unix:%s", NULL, "%s:%u" };
static const struct form apache_fcgi = { "unix:%s|fcgi://snacgi", NULL, "fcgi://%s:%u" };
static const struct form apache_scgi = { "unix:%s|scgi://snacgi", NULL, "scgi://%s:%u" };
static const struct form caddy = { "unix/%s", "unix/@%s", "%s:%u" };
static const struct form lighttpd = { "\"socket\" => \"%s\"", NULL, "\"host\" => \"%s\", \"port\" => %u" };
static const struct form haproxy = { "unix@%s", "abns@%s", "%s:%u" };

static const struct target {
	const char *name; /* of the template as well */
	const char *protocol; /* NULL: the template has the words of server/print_units.h */
	const struct form *form; /* NULL: this server starts us and passes the socket */
	enum sn_print_units_kind kind; /* without a protocol */
} targets[] = {
	{ "nginx", "fastcgi", &nginx, 0 },
	{ "nginx-minimal", "fastcgi", &nginx, 0 },
	{ "nginx-scgi", "scgi", &nginx, 0 },
	{ "nginx-scgi-minimal", "scgi", &nginx, 0 },
	{ "apache", "fastcgi", &apache_fcgi, 0 },
	{ "apache-minimal", "fastcgi", &apache_fcgi, 0 },
	{ "apache-scgi", "scgi", &apache_scgi, 0 },
	{ "apache-scgi-minimal", "scgi", &apache_scgi, 0 },
	{ "apache-fcgid", "fastcgi", NULL, 0 },
	{ "apache-fcgid-minimal", "fastcgi", NULL, 0 },
	{ "caddy", "fastcgi", &caddy, 0 },
	{ "caddy-minimal", "fastcgi", &caddy, 0 },
	{ "lighttpd", "fastcgi", &lighttpd, 0 },
	{ "lighttpd-minimal", "fastcgi", &lighttpd, 0 },
	{ "lighttpd-scgi", "scgi", &lighttpd, 0 },
	{ "lighttpd-scgi-minimal", "scgi", &lighttpd, 0 },
	{ "haproxy", "fastcgi", &haproxy, 0 },
	{ "haproxy-minimal", "fastcgi", &haproxy, 0 },
	/* Who starts snacgi. */
	{ "systemd", NULL, NULL, SN_UNITS_SERVICE },
	{ "systemd-minimal", NULL, NULL, SN_UNITS_MINIMAL },
	{ "systemd-socket", NULL, NULL, SN_UNITS_SOCKET },
	{ "container", NULL, NULL, SN_UNITS_CONTAINER },
	{ "container-minimal", NULL, NULL, SN_UNITS_CONTAINER },
};

struct job {
	const struct sn_conf *conf;
	const struct target *target;
	const struct sn_conf_listen *listen; /* NULL: none configured */
	struct sn_print_units units;
};

const char *
sn_print_config_names(void)
{
	static char names[SN_COUNT(targets) * 24];
	if (!*names)
		for (size_t i = 0; i < SN_COUNT(targets); i++)
			snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", i ? ", " : "",
			         targets[i].name);
	return names;
}

/* ---- values -------------------------------------------------------------------- */

/* No server's syntax gives these a meaning of their own. */
static bool
plain(const char *s)
{
	return s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+~%=,:")] == '\0';
}

static int
add_path(struct sn_buf *out, const struct job *job, const char *form, const char *name, struct sn_why *why)
{
	char text[PATH_MAX + 64];
	if (!plain(name))
		return sn_why_set(why, SN_ECONF,
		                  "'%s' has characters that mean something in %s's configuration; choose a "
		                  "name of letters, digits, '/', '.', '-' and '_'",
		                  name, job->target->name);
	if (!form)
		return sn_why_set(why, SN_ECONF,
		                  "%s cannot connect to the abstract socket @%s; listen on a path or on "
		                  "HOST:PORT",
		                  job->target->name, name);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the forms stand above */
	snprintf(text, sizeof(text), form, name);
#pragma GCC diagnostic pop
	return sn_buf_adds(out, text);
}

static int
add_tcp(struct sn_buf *out, const struct job *job, struct sn_why *why)
{
	char host[280], text[320];
	const char *name = job->listen->host;
	/* Every address is reached by the nearest. */
	if (!*name || strcmp(name, "0.0.0.0") == 0)
		name = "127.0.0.1";
	else if (strcmp(name, "::") == 0)
		name = "::1";
	if (!plain(name) || job->listen->port == 0)
		return sn_why_set(why, SN_ECONF,
		                  "%s: a front server needs a host and a port that stay; write them into "
		                  "listen.address",
		                  job->listen->address);
	snprintf(host, sizeof(host), strchr(name, ':') && job->target->form != &lighttpd ? "[%s]" : "%s", name);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof(text), job->target->form->tcp, host, job->listen->port);
#pragma GCC diagnostic pop
	return sn_buf_adds(out, text);
}

static int
add_address(struct sn_buf *out, const struct job *job, struct sn_why *why)
{
	const struct form *form = job->target->form;
	const struct sn_conf_listen *l = job->listen;
	if (!l)
		return add_path(out, job, form->path,
		                strcmp(job->target->protocol, "scgi") == 0 ? "/run/snacgi/scgi.sock"
		                                                            : "/run/snacgi/snacgi.sock",
		                why);
	switch (l->kind) {
	case SN_ADDR_UNIX: return add_path(out, job, form->path, l->path, why);
	case SN_ADDR_ABSTRACT: return add_path(out, job, form->abstract, l->path, why);
	case SN_ADDR_TCP: return add_tcp(out, job, why);
	default: break;
	}
	return sn_why_set(why, SN_ECONF,
	                  "%s is opened by who starts snacgi, so its address is not known here; tell it with "
	                  "-l, as in: snacgi print-config %s -l %s:unix:/run/snacgi/snacgi.sock",
	                  l->address, job->target->name, job->target->protocol);
}

/* Where 0 would mean "no limit" to the front server. */
static unsigned long long
body_limit(const struct job *job)
{
	return job->conf->limits.body ? job->conf->limits.body : 1;
}

static int
add_location(struct sn_buf *out, const struct job *job, struct sn_why *why)
{
	const char *prefix = job->listen ? job->listen->prefix : "";
	if (!plain(prefix))
		return sn_why_set(why, SN_ECONF, "listen.prefix \"%s\" cannot be written into %s's configuration; "
		                  "choose one of letters, digits, '/', '-' and '_'", prefix, job->target->name);
	return sn_buf_adds(out, prefix);
}

static int
add_size(struct sn_buf *out, unsigned long long bytes)
{
	if (bytes % MIB == 0)
		return sn_buf_addf(out, "%llum", bytes / MIB);
	if (bytes % KIB == 0)
		return sn_buf_addf(out, "%lluk", bytes / KIB);
	return sn_buf_addf(out, "%llu", bytes);
}

static int
add_program(struct sn_buf *out, struct sn_why *why)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (n <= 0)
		return sn_why_set(why, SN_EIO, "/proc/self/exe: %s; mount /proc", strerror(errno));
	return sn_buf_add(out, path, (size_t)n);
}

/* Idle connections: the front server lets go of them first. */
static unsigned
keep_seconds(double idle)
{
	double keep = idle > 60 ? idle - 15 : idle * 0.8;
	return keep < 1 ? 1 : (unsigned)keep;
}

/* How long snacgi may be silent: before an answer, which waits for a thread and then for its
 * handler, or in the middle of one. */
static double
silence(const struct sn_conf *c)
{
	return ceil(fmax(c->timeouts.queue + c->timeouts.request, c->timeouts.stream));
}

/* One word of a template: 0, negative with the reason. */
static int
add_value(struct sn_buf *out, const struct job *job, const char *name, struct sn_why *why)
{
	const struct sn_conf *c = job->conf;
	if (strcmp(name, "ADDRESS") == 0)
		return add_address(out, job, why);
	if (strcmp(name, "PREFIX") == 0)
		return add_location(out, job, why);
	if (strcmp(name, "BODY") == 0)
		return sn_buf_addf(out, "%llu", body_limit(job));
	if (strcmp(name, "BODY_SHORT") == 0)
		return add_size(out, body_limit(job));
	if (strcmp(name, "BODY_KIB") == 0)
		return sn_buf_addf(out, "%llu", (body_limit(job) + KIB - 1) / KIB);
	if (strcmp(name, "HEAD_KIB") == 0) /* and what the server adds */
		return sn_buf_addf(out, "%zu", (2 * c->limits.head + KIB - 1) / KIB);
	if (strcmp(name, "REQUEST") == 0)
		return sn_buf_addf(out, "%.0f", silence(c) + 5);
	if (strcmp(name, "ANSWER") == 0) /* all of it, when it is streamed */
		return sn_buf_addf(out, "%.0f", fmax(silence(c) + 5, 3600));
	if (strcmp(name, "CLIENT") == 0) /* reads nothing, or sends nothing */
		return sn_buf_addf(out, "%.0f", ceil(fmax(c->timeouts.write, c->timeouts.read)));
	if (strcmp(name, "WRITE_IDLE") == 0) /* and what a slow client takes to read */
		return sn_buf_addf(out, "%.0f", silence(c) + 300);
	if (strcmp(name, "READ") == 0)
		return sn_buf_addf(out, "%.0f", ceil(c->timeouts.read));
	if (strcmp(name, "KEEP") == 0)
		return sn_buf_addf(out, "%u", keep_seconds(c->timeouts.idle));
	if (strcmp(name, "PURGE") == 0) {
		unsigned keep = keep_seconds(c->timeouts.idle);
		return sn_buf_addf(out, "%u", keep < 10 ? keep : 10);
	}
	if (strcmp(name, "CONF") == 0)
		return sn_buf_adds(out, c->file ? c->file : "/etc/snacgi/snacgi.conf");
	if (strcmp(name, "SNACGI") == 0)
		return add_program(out, why);
	int rc = job->target->protocol ? 0 : sn_print_units_value(out, &job->units, name);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	return sn_why_set(why, SN_ECONF, "the template of %s has a word @%s@ that this snacgi does not know; "
	                  "install templates and program of the same version", job->target->name, name);
}

/* ---- templates ------------------------------------------------------------------ */

static int
fill(struct sn_buf *out, struct job *job, const char *text, struct sn_why *why)
{
	while (*text) {
		size_t n = strcspn(text, "@");
		if (sn_buf_add(out, text, n) < 0)
			return SN_ENOMEM;
		text += n;
		if (!*text)
			break;
		char name[24];
		size_t len = strspn(text + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
		if (len == 0 || len >= sizeof(name) || text[len + 1] != '@') { /* an @ of the server's own */
			if (sn_buf_add(out, text++, 1) < 0)
				return SN_ENOMEM;
			continue;
		}
		snprintf(name, sizeof(name), "%.*s", (int)len, text + 1);
		int rc = add_value(out, job, name, why);
		if (rc < 0)
			return rc;
		text += len + 2;
	}
	return sn_buf_terminate(out);
}

static int
read_template(struct sn_buf *text, const char *name, struct sn_why *why)
{
	const char *dir = getenv("SNACGI_TEMPLATE_PATH");
	char path[PATH_MAX], block[4096];
	size_t n;
	snprintf(path, sizeof(path), "%s/%s", dir && *dir ? dir : SN_TEMPLATEDIR, name);
	FILE *f = fopen(path, "re");
	if (!f)
		return sn_why_set(why, SN_EIO,
		                  "%s: %s; install snacgi, or set SNACGI_TEMPLATE_PATH to the source's "
		                  "deploy/templates",
		                  path, strerror(errno));
	int rc = 0;
	while (rc == 0 && (n = fread(block, 1, sizeof(block), f)) > 0)
		rc = sn_buf_add(text, block, n);
	fclose(f);
	return rc < 0 ? rc : sn_buf_terminate(text);
}

/* The first listener that speaks what this server will. */
static int
find_listener(struct job *job, struct sn_why *why)
{
	const struct sn_conf *c = job->conf;
	if (!job->target->form)
		return 0;
	for (size_t i = 0; i < c->nlisten && !job->listen; i++)
		if (strcmp(c->listen[i].protocol, job->target->protocol) == 0)
			job->listen = &c->listen[i];
	if (c->nlisten == 0 || job->listen)
		return 0;
	return sn_why_set(why, SN_ECONF,
	                  "no listener speaks %s, which %s needs; add to listen: { protocol = \"%s\"; address = "
	                  "\"unix:/run/snacgi/%s.sock\"; }",
	                  job->target->protocol, job->target->name, job->target->protocol,
	                  strcmp(job->target->protocol, "scgi") == 0 ? "scgi" : "snacgi");
}

/* A unit for each name that the service manager has to pass. */
static int
fill_sockets(struct sn_buf *out, struct job *job, const char *text, struct sn_why *why)
{
	const struct sn_conf *c = job->conf;
	int rc = c->nlisten ? 0 : fill(out, job, text, why);
	for (size_t i = 0; rc == 0 && i < c->nlisten; i++) {
		job->units.listen = &c->listen[i];
		if (!sn_print_units_adopted(&c->listen[i]))
			continue;
		if (out->len)
			rc = sn_buf_adds(out, "\n");
		if (rc == 0)
			rc = fill(out, job, text, why);
	}
	if (rc < 0 || out->len)
		return rc;
	return sn_why_set(why, SN_ECONF, "snacgi opens its listeners itself, so there is no socket unit; for one write "
	                  "address = \"systemd:fastcgi\", or no listener");
}

static int
fill_units(struct sn_buf *out, struct job *job, const char *text, struct sn_why *why)
{
	job->units = (struct sn_print_units){ .conf = job->conf, .kind = job->target->kind };
	int rc = sn_print_units_check(&job->units, why);
	if (rc < 0)
		return rc;
	return job->units.kind == SN_UNITS_SOCKET ? fill_sockets(out, job, text, why) : fill(out, job, text, why);
}

static const struct target *
find_target(const char *server)
{
	for (size_t i = 0; i < SN_COUNT(targets); i++)
		if (strcmp(targets[i].name, server) == 0)
			return &targets[i];
	return NULL;
}

bool
sn_print_config_starts(const char *server)
{
	const struct target *target = find_target(server);
	return target && !target->protocol;
}

int
sn_print_config(const struct sn_conf *conf, const char *server)
{
	struct sn_why why = { "" };
	struct sn_buf text, out;
	struct job job = { .conf = conf };
	int rc = 0;
	sn_buf_init(&text, NULL, 0);
	sn_buf_init(&out, NULL, 0);
	job.target = find_target(server);
	if (!job.target)
		rc = sn_why_set(&why, SN_ECONF, "there is no configuration for '%s'; choose one of %s", server,
		                sn_print_config_names());
	if (rc == 0)
		rc = find_listener(&job, &why);
	if (rc == 0)
		rc = read_template(&text, job.target->name, &why);
	if (rc == 0)
		rc = (job.target->protocol ? fill : fill_units)(&out, &job, text.data, &why);
	if (rc < 0)
		fprintf(stderr, "snacgi: %s\n", *why.text ? why.text : sn_err_name(rc));
	else if (fputs(out.data, stdout) < 0 || fflush(stdout) != 0)
		rc = -1;
	sn_buf_free(&text);
	sn_buf_free(&out);
	return rc < 0;
}
