/* SPDX-License-Identifier: MIT
 *
 * The configuration as a whole: defaults out of the schema, a file over them,
 * single keys over that, and the checks that need everything. Runs at start,
 * in one thread.
 */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf_priv.h"

/* ---- faults ------------------------------------------------------------------ */

void
sn_faults_init(struct sn_faults *f, struct sn_why *why)
{
	*f = (struct sn_faults){ why, why ? strlen(why->text) : 0, 0 };
}

void
sn_fault(struct sn_faults *f, const char *from, unsigned line, const char *fmt, ...)
{
	char text[1024], place[16] = "";
	va_list ap;
	if (++f->count > SN_FAULTS_MAX + 1 || !f->why)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (line)
		snprintf(place, sizeof(place), ":%u", line);
	size_t room = sizeof(f->why->text) - f->used;
	const char *newline = f->used ? "\n" : "";
	int n = f->count > SN_FAULTS_MAX
	                ? snprintf(f->why->text + f->used, room, "%smore errors follow", newline)
	                : snprintf(f->why->text + f->used, room, "%s%s%s: %s", newline, from, place, text);
	f->used += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

int
sn_faults_end(struct sn_faults *f)
{
	return f->count ? SN_ECONF : 0;
}

static void
start(struct sn_faults *f, struct sn_why *why)
{
	if (why)
		why->text[0] = '\0';
	sn_faults_init(f, why);
}

/* ---- life -------------------------------------------------------------------- */

static bool
is_text(const struct sn_key *k)
{
	return k->kind == SN_KEY_STRING || k->kind == SN_KEY_CHOICE || k->kind == SN_KEY_PATH ||
	       k->kind == SN_KEY_PREFIX;
}

/* A string that nothing has set yet must be there all the same. */
static int
empty_strings(struct sn_conf *c)
{
	for (const struct sn_key *k = sn_conf_keys; k->name; k++)
		if (is_text(k)) {
			char **at = (char **)(void *)((char *)c + k->offset);
			if (!(*at = strdup(k->def)))
				return SN_ENOMEM;
		}
	return 0;
}

struct sn_conf *
sn_conf_new(void)
{
	struct sn_conf *c = calloc(1, sizeof(*c));
	struct sn_why why;
	int rc = c ? empty_strings(c) : SN_ENOMEM;
	for (const struct sn_key *k = sn_conf_keys; rc == 0 && k->name; k++)
		if (k->def[0])
			rc = sn_conf_set(c, k->name, k->def, "default", &why);
	if (rc < 0) {
		/* a default that the schema refuses would be our own mistake; only memory can fail */
		sn_conf_free(c);
		return NULL;
	}
	return c;
}

void
sn_conf_free(struct sn_conf *c)
{
	if (!c)
		return;
	sn_conf_listen_clear(c);
	for (const struct sn_key *k = sn_conf_keys; k->name; k++) {
		void *at = (char *)c + k->offset;
		if (is_text(k))
			free(*(char **)at);
		else if (k->kind == SN_KEY_STRINGS || k->kind == SN_KEY_PATHS)
			sn_strings_free(at);
	}
	free(c->proxy.networks);
	free(c->file);
	free(c);
}

/* ---- single keys --------------------------------------------------------------- */

static void
unknown(const struct sn_node *v, const char *name, struct sn_faults *f)
{
	char near[128];
	const char *nearest = sn_key_nearest(name, near, sizeof(near));
	const char *what = v->kind == SN_NODE_GROUP ? "group" : "key";
	if (nearest)
		sn_fault(f, v->from, v->line, "%s '%s' is not known; did you mean '%s'?", what, name,
		         nearest);
	else
		sn_fault(f, v->from, v->line, "%s '%s' is not known; snacgi.conf(5) lists what there is",
		         what, name);
}

static int
change(struct sn_conf *c, const char *key, const char *value, const char *from, bool append,
       struct sn_why *why)
{
	struct sn_faults f;
	struct sn_tree t;
	const struct sn_key *k = sn_key_find(sn_conf_keys, key);
	start(&f, why);
	if (!k) {
		unknown(&(struct sn_node){ .kind = SN_NODE_STRING, .from = from }, key, &f);
		return sn_faults_end(&f);
	}
	char *cwd = sn_conf_cwd();
	if (!cwd)
		sn_fault(&f, from, 0, "out of memory");
	else if (sn_key_tree(k, &t, value, from, &f) == 0) {
		sn_key_apply(k, c, t.root.child, cwd, append, &f);
		sn_tree_free(&t);
	}
	free(cwd);
	return sn_faults_end(&f);
}

int
sn_conf_set(struct sn_conf *c, const char *key, const char *value, const char *from,
            struct sn_why *why)
{
	return change(c, key, value, from, false, why);
}

int
sn_conf_add(struct sn_conf *c, const char *key, const char *value, const char *from,
            struct sn_why *why)
{
	return change(c, key, value, from, true, why);
}

/* ---- the file ------------------------------------------------------------------- */

/* Is `name` the group part of some key? */
static bool
is_group(const char *name)
{
	size_t len = strlen(name);
	for (const struct sn_key *k = sn_conf_keys; k->name; k++)
		if (strncmp(k->name, name, len) == 0 && k->name[len] == '.')
			return true;
	return false;
}

static void
apply_item(struct sn_conf *c, const char *group, const struct sn_node *v, const char *dir,
           struct sn_faults *f)
{
	char name[256];
	snprintf(name, sizeof(name), "%.100s%s%.100s", group, *group ? "." : "", v->name);
	const struct sn_key *k = sn_key_find(sn_conf_keys, name);
	if (k)
		sn_key_apply(k, c, v, dir, false, f);
	else if (*group || !is_group(name))
		unknown(v, name, f);
	else if (v->kind != SN_NODE_GROUP)
		sn_fault(f, v->from, v->line, "key '%s' is a group; write %s = { ... };", name, name);
	else
		for (size_t i = 0; i < v->n; i++)
			apply_item(c, name, &v->child[i], dir, f);
}

static void
warn_about(const struct sn_conf *c, const struct sn_node *root, struct sn_faults *w)
{
	const struct sn_node *list = NULL;
	for (size_t i = 0; i < root->n; i++)
		if (strcmp(root->child[i].name, "listen") == 0)
			list = &root->child[i];
	for (size_t i = 0; list && i < c->nlisten && i < list->n; i++) {
		const struct sn_conf_listen *l = &c->listen[i];
		const struct sn_node *at = &list->child[i];
		if (l->kind == SN_ADDR_UNIX && (l->mode & 0002))
			sn_fault(w, at->from, at->line, "listener '%s': mode %04o lets every user of this "
			         "machine send requests; 0660 and a group do not", l->address, l->mode);
		if (l->kind == SN_ADDR_TCP && l->allow.n == 0 && strncmp(l->host, "127.", 4) != 0 &&
		    strcmp(l->host, "::1") != 0 && strcmp(l->host, "localhost") != 0)
			sn_fault(w, at->from, at->line, "listener '%s': whoever reaches this port can send "
			         "requests; name the front servers, as in allow = [ \"10.0.0.0/8\" ]",
			         l->address);
	}
}

static int
load_text(struct sn_conf *c, const char *text, size_t len, const char *name, const char *dir,
          struct sn_faults *f, struct sn_why *warnings)
{
	struct sn_tree t;
	if (sn_tree_parse(&t, text, len, name, dir, f) < 0)
		return SN_ECONF;
	for (size_t i = 0; i < t.root.n; i++)
		apply_item(c, "", &t.root.child[i], dir, f);
	if (!f->count && warnings) {
		struct sn_faults w;
		sn_faults_init(&w, warnings);
		warn_about(c, &t.root, &w);
	}
	sn_tree_free(&t);
	return sn_faults_end(f);
}

int
sn_conf_load(struct sn_conf *c, const char *file, struct sn_why *why, struct sn_why *warnings)
{
	struct sn_faults f;
	const char *reason = "out of memory";
	char *text = NULL, *cwd = sn_conf_cwd(), *path = cwd ? sn_conf_path(cwd, file) : NULL;
	char *dir = path ? strdup(path) : NULL;
	size_t len;
	start(&f, why);
	if (!dir || sn_read_text(file, &text, &len, &reason) < 0) {
		sn_fault(&f, file, 0, "cannot be read: %s", reason);
		goto out;
	}
	char *slash = strrchr(dir, '/');
	slash[slash == dir] = '\0'; /* "/x.conf" is in "/" */
	if (load_text(c, text, len, file, dir, &f, warnings) == 0) {
		free(c->file);
		c->file = path;
		path = NULL;
	}
out:
	free(text);
	free(dir);
	free(path);
	free(cwd);
	return sn_faults_end(&f);
}

/* ---- the whole -------------------------------------------------------------------- */

static unsigned
cores(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
		return (unsigned)CPU_COUNT(&set);
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 ? (unsigned)n : 1;
}

static bool
same_place(const struct sn_conf_listen *a, const struct sn_conf_listen *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case SN_ADDR_FD: return a->fd == b->fd;
	case SN_ADDR_TCP: return a->port && a->port == b->port && strcmp(a->host, b->host) == 0;
	default: return strcmp(a->path, b->path) == 0;
	}
}

/* The default Python directory is "python" beside the file, or here. */
static int
default_dir(struct sn_conf *c)
{
	if (c->python.dir_named) {
		c->python.dir_named = c->python.dir[0] != '\0'; /* "": Python is not wanted */
		return 0;
	}
	char *base = c->file ? strdup(c->file) : sn_conf_cwd(), *dir = NULL;
	if (base && c->file) {
		char *slash = strrchr(base, '/');
		slash[slash == base] = '\0';
	}
	if (base)
		dir = sn_conf_path(base, "python");
	free(base);
	if (!dir)
		return SN_ENOMEM;
	free(c->python.dir);
	c->python.dir = dir;
	return 0;
}

int
sn_conf_finish(struct sn_conf *c, struct sn_why *why)
{
	struct sn_faults f;
	const char *from = c->file ? c->file : "configuration";
	start(&f, why);
	if (c->processes == 0)
		c->processes = cores();
	if (c->io_threads == 0)
		c->io_threads = cores() / 2 ? cores() / 2 : 1;
	if (c->limits.memory_body > c->limits.body)
		c->limits.memory_body = (size_t)c->limits.body;
	for (size_t i = 0; i < c->nlisten; i++)
		for (size_t k = 0; k < i; k++)
			if (same_place(&c->listen[i], &c->listen[k])) {
				sn_fault(&f, from, 0, "the listener '%s' is there twice; take one out",
				         c->listen[i].address);
				break;
			}
	if (c->proxy.hops && c->proxy.trusted.n)
		sn_fault(&f, from, 0, "proxy.hops and proxy.trusted say the same in two ways; keep one of them");
	if (default_dir(c) < 0)
		sn_fault(&f, from, 0, "out of memory");
	return sn_faults_end(&f);
}
