/* SPDX-License-Identifier: MIT
 *
 * The schema: every key, its type, range, default and place, in one table
 * that the file, the command line, sn_server_set() and the manual's test use.
 * Past 400 lines because the table and the one function that obeys it belong
 * together. Knows no libconfig. Runs at start.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/conf_priv.h"

#define KIB 1024.0
#define MIB (1024.0 * 1024)
#define GIB (1024.0 * 1024 * 1024)
#define DAY 86400.0

#define AT(member) offsetof(struct sn_conf, member)
#define KEY(name, kind, member, min, max, def, example) \
	{ name, SN_KEY_##kind, AT(member), min, max, NULL, def, example }
#define WORD(name, member, choices, def, example) \
	{ name, SN_KEY_CHOICE, AT(member), 0, 0, choices, def, example }

const struct sn_key sn_conf_keys[] = {
	KEY("listen", LISTEN, listen, 0, 0, "( )", "( { address = \"unix:/run/snacgi/snacgi.sock\"; } )"),
	KEY("processes", UINT, processes, 0, 1024, "1", "2"),
	KEY("io_threads", UINT, io_threads, 0, 256, "0", "2"),
	KEY("max_requests", COUNT, max_requests, 0, 1e12, "0", "100000"),
	KEY("max_rss", BYTES, max_rss, 0, 1024 * GIB, "0", "\"1 GiB\""),
	KEY("queue", COUNT, queue, 1, 1048576, "1024", "1024"),
	KEY("debug", BOOL, debug, 0, 0, "false", "true"),
	KEY("user", STRING, user, 0, 0, "", "\"www-data\""),
	KEY("group", STRING, group, 0, 0, "", "\"www-data\""),
	WORD("root", root, "warn refuse", "warn", "\"refuse\""),
	KEY("chroot", PATH, chroot, 0, 0, "", "\"/srv/snacgi\""),
	KEY("no_new_privs", BOOL, no_new_privs, 0, 0, "false", "true"),
	KEY("pid_file", PATH, pid_file, 0, 0, "", "\"/run/snacgi/snacgi.pid\""),
	KEY("status.path", PREFIX, status.path, 0, 0, "", "\"/-/status\""),
	KEY("status.allow", STRINGS, status.allow, 0, 0, "[ \"127.0.0.0/8\", \"::1\" ]", "[ \"127.0.0.1\", \"::1\" ]"),
	KEY("spool_dir", PATH, spool_dir, 0, 0, "", "\"/var/tmp\""),
	KEY("python.dir", PATH, python.dir, 0, 0, "", "\"python\""),
	KEY("python.modules", STRINGS, python.modules, 0, 0, "[ ]", "[ \"app\" ]"),
	KEY("python.venv", PATH, python.venv, 0, 0, "", "\"/srv/app/venv\""),
	KEY("python.dispatch_workers", UINT, python.dispatch_workers, 1, 256, "4", "4"),
	KEY("python.stream_workers", UINT, python.stream_workers, 1, 256, "16", "16"),
	KEY("python.pool_workers", UINT, python.pool_workers, 1, 256, "4", "4"),
	KEY("python.max_tasks_per_child", UINT, python.max_tasks_per_child, 0, 1000000000, "0", "1000"),
	WORD("python.json", python.json, "builtin orjson", "builtin", "\"builtin\""),
	WORD("python.nan", python.nan, "error null", "error", "\"error\""),
	WORD("python.loop", python.loop, "asyncio uvloop", "asyncio", "\"asyncio\""),
	WORD("python.send_file", python.send_file, "stream x-accel-redirect x-sendfile", "stream", "\"x-accel-redirect\""),
	KEY("python.send_file_from", STRINGS, python.send_file_from, 0, 0, "[ ]", "[ \"/srv/media = /_media/\" ]"),
	KEY("native.modules", PATHS, native.modules, 0, 0, "[ ]", "[ \"/usr/lib/app/routes.so\" ]"),
	KEY("native.blocking_threads", UINT, native.blocking_threads, 1, 4096, "64", "64"),
	KEY("limits.body", BYTES, limits.body, 0, 1024 * GIB, "16 MiB", "\"16 MiB\""),
	KEY("limits.memory_body", SIZE, limits.memory_body, 0, GIB, "64 KiB", "\"64 KiB\""),
	KEY("limits.spool", BYTES, limits.spool, 0, 1024 * 1024 * GIB, "1 GiB", "\"4 GiB\""),
	KEY("limits.params", SIZE, limits.params, 1 * KIB, 16 * MIB, "128 KiB", "\"128 KiB\""),
	KEY("limits.head", SIZE, limits.head, 512, 64 * KIB, "4 KiB", "\"4 KiB\""),
	KEY("limits.send_buffer", SIZE, limits.send_buffer, 64 * KIB, GIB, "256 KiB", "\"256 KiB\""),
	KEY("limits.form_memory", SIZE, limits.form_memory, KIB, GIB, "500 KiB", "\"500 KiB\""),
	KEY("limits.form_parts", UINT, limits.form_parts, 1, 1000000, "1000", "1000"),
	KEY("limits.headers", UINT, limits.headers, 1, 10000, "128", "128"),
	KEY("limits.connections", UINT, limits.connections, 1, 1048576, "16384", "16384"),
	KEY("limits.requests", UINT, limits.requests, 1, 1048576, "16384", "16384"),
	KEY("limits.multiplexed", UINT, limits.multiplexed, 1, 1024, "64", "64"),
	KEY("limits.async", UINT, limits.async, 1, 1048576, "16384", "16384"),
	KEY("limits.read_rate", UINT, limits.read_rate, 0, 1000000000, "500", "500"),
	KEY("limits.stuck_threads", UINT, limits.stuck_threads, 0, 1024, "8", "8"),
	KEY("timeouts.read", SECONDS, timeouts.read, 0.001, DAY, "30.0", "30.0"),
	KEY("timeouts.queue", SECONDS, timeouts.queue, 0.001, DAY, "10.0", "10.0"),
	KEY("timeouts.request", SECONDS, timeouts.request, 0.001, DAY, "60.0", "60.0"),
	KEY("timeouts.grace", SECONDS, timeouts.grace, 0.001, DAY, "5.0", "5.0"),
	KEY("timeouts.stream", SECONDS, timeouts.stream, 0.001, DAY, "60.0", "60.0"),
	KEY("timeouts.background", SECONDS, timeouts.background, 0, DAY, "300.0", "300.0"),
	KEY("timeouts.write", SECONDS, timeouts.write, 0.001, DAY, "60.0", "60.0"),
	KEY("timeouts.idle", SECONDS, timeouts.idle, 0.001, DAY, "75.0", "75.0"),
	KEY("timeouts.pool", SECONDS, timeouts.pool, 0, DAY, "0.0", "30.0"),
	KEY("timeouts.start", SECONDS, timeouts.start, 1, DAY, "300.0", "300.0"),
	KEY("timeouts.shutdown", SECONDS, timeouts.shutdown, 0, DAY, "30.0", "30.0"),
	KEY("proxy.hops", UINT, proxy.hops, 0, 16, "0", "1"),
	KEY("proxy.trusted", STRINGS, proxy.trusted, 0, 0, "[ ]", "[ \"10.0.0.0/8\" ]"),
	KEY("proxy.headers", STRINGS, proxy.headers, 0, 0, "[ \"for\", \"proto\" ]", "[ \"for\", \"proto\", \"host\" ]"),
	WORD("log.level", log.level, "debug info warning error", "info", "\"info\""),
	KEY("log.file", PATH, log.file, 0, 0, "", "\"/var/log/snacgi/snacgi.log\""),
	KEY("log.access", PATH, log.access, 0, 0, "", "\"/var/log/snacgi/access.log\""),
	WORD("log.format", log.format, "text json", "text", "\"text\""),
	KEY("log.slow", SECONDS, log.slow, 0, DAY, "5.0", "5.0"),
	{ .name = NULL },
};

#undef AT
#define AT(member) offsetof(struct sn_conf_listen, member)

const struct sn_key sn_listen_keys[] = {
	WORD("listen.protocol", protocol, "fastcgi scgi", "fastcgi", "\"scgi\""),
	KEY("listen.address", STRING, address, 0, 0, "", "\"unix:/run/snacgi/snacgi.sock\""),
	KEY("listen.mode", MODE, mode, 0, 0777, "0660", "\"0660\""),
	KEY("listen.owner", STRING, owner, 0, 0, "", "\"www-data\""),
	KEY("listen.group", STRING, group, 0, 0, "", "\"www-data\""),
	KEY("listen.backlog", UINT, backlog, 1, 65535, "1024", "1024"),
	KEY("listen.allow", STRINGS, allow, 0, 0, "[ ]", "[ \"10.0.0.0/8\" ]"),
	KEY("listen.prefix", PREFIX, prefix, 0, 0, "", "\"/app\""),
	{ "listen.path", SN_KEY_INDEX, AT(path_source), 0, 0, "auto request_uri script_name", "auto",
	  "\"auto\"" },
	{ .name = NULL },
};

/* ---- names ------------------------------------------------------------------- */

const struct sn_key *
sn_key_find(const struct sn_key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (strcmp(keys->name, name) == 0)
			return keys;
	return NULL;
}

/* Levenshtein's distance, a transposition counting as one; long names are far. */
static unsigned
distance(const char *a, const char *b)
{
	enum { MOST = 48 };
	unsigned d[3][MOST + 1];
	size_t la = strlen(a), lb = strlen(b);
	if (la > MOST || lb > MOST)
		return MOST;
	for (size_t j = 0; j <= lb; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned *now = d[i % 3], *last = d[(i + 2) % 3], *before = d[(i + 1) % 3];
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);
			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
	}
	return d[la % 3][lb];
}

static const char *
last_part(const char *name)
{
	const char *dot = strrchr(name, '.');
	return dot ? dot + 1 : name;
}

static void
consider(const char *name, const char *candidate, unsigned *best, char *buf, size_t size)
{
	unsigned d = distance(name, candidate);
	/* the right word in the wrong group */
	unsigned moved = distance(last_part(name), last_part(candidate)) + 1;
	if (strchr(candidate, '.') && moved < d)
		d = moved;
	if (d < *best) {
		*best = d;
		snprintf(buf, size, "%s", candidate);
	}
}

const char *
sn_key_nearest(const char *name, char *buf, size_t size)
{
	size_t len = strlen(last_part(name));
	unsigned best = len < 4 ? 2 : len < 7 ? 3 : 4; /* further off is no help */
	char group[48] = "";
	buf[0] = '\0';
	for (const struct sn_key *k = sn_conf_keys; k->name; k++) {
		const char *dot = strchr(k->name, '.');
		if (dot && strncmp(group, k->name, (size_t)(dot - k->name) + 1) != 0) {
			snprintf(group, sizeof(group), "%.*s", (int)(dot - k->name), k->name);
			if (!strchr(name, '.'))
				consider(name, group, &best, buf, size);
			strcat(group, ".");
		}
		consider(name, k->name, &best, buf, size);
	}
	if (strncmp(name, "listen.", 7) == 0)
		for (const struct sn_key *k = sn_listen_keys; k->name; k++)
			consider(name, k->name, &best, buf, size);
	return buf[0] ? buf : NULL;
}

/* ---- strings and paths ------------------------------------------------------- */

void
sn_strings_free(struct sn_strings *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->item[i]);
	free(s->item);
	s->item = NULL;
	s->n = 0;
}

int
sn_strings_add(struct sn_strings *s, const char *item)
{
	char *copy = strdup(item);
	char **grown = copy ? realloc(s->item, (s->n + 2) * sizeof(*grown)) : NULL;
	if (!grown) {
		free(copy);
		return SN_ENOMEM;
	}
	s->item = grown;
	s->item[s->n++] = copy;
	s->item[s->n] = NULL;
	return 0;
}

char *
sn_conf_cwd(void)
{
	char *cwd = getcwd(NULL, 0);
	return cwd ? cwd : strdup("/");
}

char *
sn_conf_path(const char *dir, const char *path)
{
	char *out;
	if (path[0] == '/')
		return strdup(path);
	while (path[0] == '.' && path[1] == '/')
		for (path += 2; *path == '/'; path++)
			;
	if (!*path || strcmp(path, ".") == 0)
		return strdup(dir);
	return asprintf(&out, "%s%s%s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/", path) < 0
	               ? NULL : out;
}

int
sn_conf_size(const char *text, uint64_t *out)
{
	static const char units[] = "bkmgt";
	uint64_t whole = 0, part = 0, scale = 1, unit = 1;
	const char *s = text;
	if (!isdigit((unsigned char)*s))
		return SN_EINVAL;
	for (; isdigit((unsigned char)*s); s++)
		if (__builtin_mul_overflow(whole, 10u, &whole) ||
		    __builtin_add_overflow(whole, (uint64_t)(*s - '0'), &whole))
			return SN_ERANGE;
	if (*s == '.') {
		if (!isdigit((unsigned char)*++s))
			return SN_EINVAL;
		for (; isdigit((unsigned char)*s); s++)
			if (scale < 1000000) { /* more digits say nothing that matters */
				part = part * 10 + (uint64_t)(*s - '0');
				scale *= 10;
			}
	}
	while (*s == ' ')
		s++;
	if (*s) {
		const char *u = strchr(units, tolower((unsigned char)*s));
		if (!u || !*u)
			return SN_EINVAL;
		for (; u > units; u--)
			unit *= 1024;
		bool bytes = unit == 1;
		s++;
		if (!bytes && (s[0] == 'i' || s[0] == 'I') && (s[1] == 'b' || s[1] == 'B'))
			s += 2;
		else if (!bytes && (s[0] == 'b' || s[0] == 'B'))
			s++;
	}
	if (*s || (unit == 1 && scale > 1))
		return SN_EINVAL;
	if (__builtin_mul_overflow(whole, unit, &whole) || whole > INT64_MAX)
		return SN_ERANGE;
	*out = whole + part * unit / scale;
	return *out > INT64_MAX ? SN_ERANGE : 0;
}

/* ---- applying a value --------------------------------------------------------- */

static const char *
kind_name(const struct sn_node *v)
{
	switch (v->kind) {
	case SN_NODE_INT: return "an integer";
	case SN_NODE_FLOAT: return "a number with a point";
	case SN_NODE_BOOL: return "true or false";
	case SN_NODE_STRING: return "a string";
	case SN_NODE_LIST: return "a list";
	default: return "a group";
	}
}

static void
show_size(double bytes, char *out, size_t size)
{
	static const struct { double of; const char *name; } units[] = {
		{ 1024 * GIB, "TiB" }, { GIB, "GiB" }, { MIB, "MiB" }, { KIB, "KiB" }
	};
	for (size_t i = 0; i < SN_COUNT(units); i++)
		if (bytes >= units[i].of && fmod(bytes, units[i].of) == 0) {
			snprintf(out, size, "%.0f %s", bytes / units[i].of, units[i].name);
			return;
		}
	snprintf(out, size, "%.0f", bytes);
}

/* What would be right: "an integer from 1 to 256". */
static void
describe(const struct sn_key *k, char *out, size_t size)
{
	char min[32], max[32];
	switch (k->kind) {
	case SN_KEY_BOOL: snprintf(out, size, "true or false"); break;
	case SN_KEY_UINT:
	case SN_KEY_COUNT:
		snprintf(out, size, "an integer from %.0f to %.0f", k->min, k->max);
		break;
	case SN_KEY_SIZE:
	case SN_KEY_BYTES:
		show_size(k->min, min, sizeof(min));
		show_size(k->max, max, sizeof(max));
		snprintf(out, size, "a size in bytes, or as text with a unit, from %s to %s", min, max);
		break;
	case SN_KEY_SECONDS:
		snprintf(out, size, "seconds from %g to %g", k->min, k->max);
		break;
	case SN_KEY_CHOICE:
	case SN_KEY_INDEX: {
		int n = snprintf(out, size, "one of ");
		for (const char *c = k->choices; *c && (size_t)n + 4 < size; c++)
			n += snprintf(out + n, size - (size_t)n, *c == ' ' ? ", " : "%c", *c);
		break;
	}
	case SN_KEY_MODE: snprintf(out, size, "permissions as an octal number in quotes"); break;
	case SN_KEY_PREFIX:
		snprintf(out, size, "\"\" or a path that begins with '/' and does not end with one");
		break;
	case SN_KEY_STRINGS:
	case SN_KEY_PATHS: snprintf(out, size, "a list of strings"); break;
	case SN_KEY_LISTEN: snprintf(out, size, "a list of groups"); break;
	default: snprintf(out, size, "a string"); break;
	}
}

/* Always false. `this` says what was found. */
__attribute__((format(printf, 4, 5))) static bool
wrong(const struct sn_key *k, const struct sn_node *v, struct sn_faults *f, const char *fmt, ...)
{
	char right[160], this[200];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(this, sizeof(this), fmt, ap);
	va_end(ap);
	describe(k, right, sizeof(right));
	sn_fault(f, v->from, v->line, "key '%s': %s; it takes %s, for example %s = %s", k->name, this,
	         right, last_part(k->name), k->example);
	return false;
}

static bool
wrong_kind(const struct sn_key *k, const struct sn_node *v, struct sn_faults *f)
{
	return wrong(k, v, f, "this is %s", kind_name(v));
}

static bool
no_memory(const struct sn_key *k, const struct sn_node *v, struct sn_faults *f)
{
	sn_fault(f, v->from, v->line, "key '%s': out of memory", k->name);
	return false;
}

static bool
apply_number(const struct sn_key *k, void *at, const struct sn_node *v, struct sn_faults *f)
{
	if (v->kind != SN_NODE_INT)
		return wrong_kind(k, v, f);
	if ((double)v->i < k->min || (double)v->i > k->max)
		return wrong(k, v, f, "%lld is out of range", v->i);
	if (k->kind == SN_KEY_UINT)
		*(unsigned *)at = (unsigned)v->i;
	else
		*(size_t *)at = (size_t)v->i;
	return true;
}

static bool
apply_size(const struct sn_key *k, void *at, const struct sn_node *v, struct sn_faults *f)
{
	uint64_t n = 0;
	int rc = 0;
	if (v->kind == SN_NODE_STRING)
		rc = sn_conf_size(v->s, &n);
	else if (v->kind == SN_NODE_INT)
		n = (uint64_t)v->i;
	else
		return wrong_kind(k, v, f);
	if (rc == SN_EINVAL)
		return wrong(k, v, f, "\"%.60s\" is not a size", v->s);
	if (rc == SN_ERANGE || (v->kind == SN_NODE_INT && v->i < 0) || (double)n < k->min ||
	    (double)n > k->max || (k->kind == SN_KEY_SIZE && n > SIZE_MAX)) {
		if (v->kind == SN_NODE_INT)
			return wrong(k, v, f, "%lld is out of range", v->i);
		return wrong(k, v, f, "\"%.60s\" is out of range", v->s);
	}
	if (k->kind == SN_KEY_SIZE)
		*(size_t *)at = (size_t)n;
	else
		*(uint64_t *)at = n;
	return true;
}

static bool
apply_seconds(const struct sn_key *k, void *at, const struct sn_node *v, struct sn_faults *f)
{
	if (v->kind != SN_NODE_INT && v->kind != SN_NODE_FLOAT)
		return wrong_kind(k, v, f);
	double s = v->kind == SN_NODE_INT ? (double)v->i : v->f;
	if (!(s >= k->min && s <= k->max)) /* also what is not a number */
		return wrong(k, v, f, "%g is out of range", s);
	*(double *)at = s;
	return true;
}

/* The number of the word `s` among `choices`, or -1. */
static int
choice(const char *choices, const char *s)
{
	size_t len = strlen(s);
	int i = 0;
	for (const char *c = choices; len > 0; i++) {
		size_t n = strcspn(c, " ");
		if (n == len && memcmp(c, s, n) == 0)
			return i;
		if (!c[n])
			break;
		c += n + 1;
	}
	return -1;
}

static bool
is_prefix(const char *s)
{
	size_t len = strlen(s);
	return len == 0 || (s[0] == '/' && s[len - 1] != '/' && !strstr(s, "//") && !strstr(s, "/./") &&
	                    !strstr(s, "/../") && !strchr(s, '?') && !strchr(s, '%'));
}

static bool
apply_string(const struct sn_key *k, void *at, const struct sn_node *v, const char *dir,
             struct sn_faults *f)
{
	if (v->kind != SN_NODE_STRING)
		return wrong_kind(k, v, f);
	if (k->kind == SN_KEY_CHOICE && choice(k->choices, v->s) < 0)
		return wrong(k, v, f, "\"%.60s\" is not known", v->s);
	if (k->kind == SN_KEY_PREFIX && !is_prefix(v->s))
		return wrong(k, v, f, "\"%.60s\" is not a prefix", v->s);
	char *s = k->kind == SN_KEY_PATH && v->s[0] ? sn_conf_path(dir, v->s) : strdup(v->s);
	if (!s)
		return no_memory(k, v, f);
	free(*(char **)at);
	*(char **)at = s;
	return true;
}

static bool
apply_index(const struct sn_key *k, void *at, const struct sn_node *v, struct sn_faults *f)
{
	int i = v->kind == SN_NODE_STRING ? choice(k->choices, v->s) : -1;
	if (v->kind != SN_NODE_STRING)
		return wrong_kind(k, v, f);
	if (i < 0)
		return wrong(k, v, f, "\"%.60s\" is not known", v->s);
	*(int *)at = i;
	return true;
}

static bool
apply_mode(const struct sn_key *k, void *at, const struct sn_node *v, struct sn_faults *f)
{
	unsigned mode = 0;
	if (v->kind != SN_NODE_STRING)
		return wrong_kind(k, v, f);
	size_t len = strspn(v->s, "01234567");
	for (size_t i = 0; i < len && mode <= 07777; i++)
		mode = mode * 8 + (unsigned)(v->s[i] - '0');
	if (len < 3 || v->s[len] || mode > 0777)
		return wrong(k, v, f, "\"%.60s\" are no permissions", v->s);
	*(unsigned *)at = mode;
	return true;
}

static bool
apply_strings(const struct sn_key *k, void *at, const struct sn_node *v, const char *dir,
              bool append, struct sn_faults *f)
{
	struct sn_strings list = { NULL, 0 }, *old = at;
	if (v->kind != SN_NODE_LIST)
		return wrong_kind(k, v, f);
	bool ok = true;
	for (size_t i = 0; ok && append && i < old->n; i++)
		ok = sn_strings_add(&list, old->item[i]) == 0 || no_memory(k, v, f);
	for (size_t i = 0; ok && i < v->n; i++) {
		const struct sn_node *item = &v->child[i];
		if (item->kind != SN_NODE_STRING) {
			ok = wrong(k, item, f, "item %zu is %s", i + 1, kind_name(item));
		} else if (!item->s[0]) {
			ok = wrong(k, item, f, "item %zu is empty", i + 1);
		} else {
			char *path = k->kind == SN_KEY_PATHS ? sn_conf_path(dir, item->s) : NULL;
			ok = sn_strings_add(&list, path ? path : item->s) == 0 || no_memory(k, v, f);
			free(path);
		}
	}
	if (ok) {
		sn_strings_free(old);
		*old = list;
	} else {
		sn_strings_free(&list);
	}
	return ok;
}

bool
sn_key_apply(const struct sn_key *k, void *base, const struct sn_node *v, const char *dir,
             bool append, struct sn_faults *f)
{
	void *at = (char *)base + k->offset;
	switch (k->kind) {
	case SN_KEY_BOOL:
		if (v->kind != SN_NODE_BOOL)
			return wrong_kind(k, v, f);
		*(bool *)at = v->i != 0;
		return true;
	case SN_KEY_UINT:
	case SN_KEY_COUNT: return apply_number(k, at, v, f);
	case SN_KEY_SIZE:
	case SN_KEY_BYTES: return apply_size(k, at, v, f);
	case SN_KEY_SECONDS: return apply_seconds(k, at, v, f);
	case SN_KEY_INDEX: return apply_index(k, at, v, f);
	case SN_KEY_MODE: return apply_mode(k, at, v, f);
	case SN_KEY_STRINGS:
	case SN_KEY_PATHS:
		if (!apply_strings(k, at, v, dir, append, f))
			return false;
		if (strncmp(k->name, "proxy.", 6) == 0)
			sn_proxy_apply(base, v, f);
		return true;
	case SN_KEY_LISTEN:
		return v->kind == SN_NODE_LIST ? sn_listen_apply(base, v, dir, f) : wrong_kind(k, v, f);
	default: break;
	}
	if (!apply_string(k, at, v, dir, f))
		return false;
	if (base && strcmp(k->name, "python.dir") == 0)
		((struct sn_conf *)base)->python.dir_named = true;
	return true;
}
