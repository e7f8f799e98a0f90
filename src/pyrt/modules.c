/* SPDX-License-Identifier: MIT
 *
 * The modules of a directory: NAME.py, NAME/__init__.py and compiled NAME*.so.
 * Names that no import statement could spell are left out. Any thread.
 */
#include "pyrt/modules.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
ends_with(const char *s, const char *tail)
{
	size_t n = strlen(s), t = strlen(tail);

	return n >= t && strcmp(s + n - t, tail) == 0;
}

static bool
wanted(const char *name)
{
	if (!isalpha((unsigned char)name[0]) && !((unsigned char)name[0] & 0x80))
		return false; /* hidden, "_x", or no identifier */
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '_' && !((unsigned char)*p & 0x80))
			return false;
	return strncmp(name, "test_", 5) != 0 && !ends_with(name, "_test") &&
	       strcmp(name, "conftest") != 0 && strcmp(name, "setup") != 0;
}

/* The module's name of a directory entry in `out`; false: it is none. */
static bool
module_of(const char *dir, const char *entry, char *out, size_t size)
{
	char init[PATH_MAX];
	size_t n = strlen(entry);

	if (ends_with(entry, ".py"))
		n -= 3;
	else if (ends_with(entry, ".so"))
		n = strcspn(entry, "."); /* NAME.cpython-311-x86_64-linux-gnu.so */
	else if ((size_t)snprintf(init, sizeof(init), "%s/%s/__init__.py", dir, entry) >= sizeof(init) ||
	         access(init, F_OK) < 0)
		return false;
	if (n >= size)
		return false;
	memcpy(out, entry, n);
	out[n] = '\0';
	return wanted(out);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
sn_modules_free(char **names)
{
	for (char **p = names; p && *p; p++)
		free(*p);
	free(names);
}

static int
append(char ***names, size_t *n, size_t *cap, const char *name)
{
	if (*n + 1 >= *cap) {
		size_t more = *cap ? *cap * 2 : 16;
		char **grown = realloc(*names, more * sizeof(**names));
		if (!grown)
			return SN_ENOMEM;
		*names = grown;
		*cap = more;
	}
	(*names)[*n] = strdup(name);
	if (!(*names)[*n])
		return SN_ENOMEM;
	(*names)[++*n] = NULL;
	return 0;
}

/* x.py beside x/ is one module for Python as well. */
static size_t
drop_doubles(char **names, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (kept && strcmp(names[kept - 1], names[i]) == 0)
			free(names[i]);
		else
			names[kept++] = names[i];
	}
	if (names)
		names[kept] = NULL;
	return kept;
}

int
sn_modules_list(const char *dir, char ***out, size_t *n, struct sn_why *why)
{
	char name[NAME_MAX + 1], **names = NULL;
	size_t count = 0, cap = 0;
	struct dirent *e;
	DIR *d;
	int rc = 0;

	*out = NULL;
	*n = 0;
	d = opendir(dir);
	if (!d)
		return sn_why_set(why, SN_ENOENT,
		                  "python.dir: %s: %s; create the directory, or name another one", dir,
		                  strerror(errno));
	while (rc == 0 && (e = readdir(d)))
		if (module_of(dir, e->d_name, name, sizeof(name)))
			rc = append(&names, &count, &cap, name);
	closedir(d);
	if (rc < 0) {
		sn_modules_free(names);
		return sn_why_set(why, rc, "out of memory while listing %s", dir);
	}
	if (count)
		qsort(names, count, sizeof(*names), by_name);
	*n = drop_doubles(names, count);
	*out = names;
	return 0;
}
