/* SPDX-License-Identifier: MIT
 *
 * Virtual environments. A venv of another minor version is taken silently
 * without its site-packages, and one of another build of the same minor
 * mixes two standard libraries, so pyvenv.cfg is read before Python starts.
 * Pure C, no state; any thread.
 */
#include "pyrt/venv.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct cfg {
	char version[64];
	char home[PATH_MAX];
};

/* "key = value" with any white space; true when the line has this key. */
static bool
take(const char *line, const char *key, char *out, size_t size)
{
	size_t n = strlen(key);

	while (isspace((unsigned char)*line))
		line++;
	if (strncasecmp(line, key, n) != 0)
		return false;
	line += n;
	while (*line == ' ' || *line == '\t')
		line++;
	if (*line++ != '=')
		return false;
	while (*line == ' ' || *line == '\t')
		line++;
	n = strcspn(line, "\r\n");
	while (n > 0 && isspace((unsigned char)line[n - 1]))
		n--;
	if (n >= size)
		n = size - 1;
	memcpy(out, line, n);
	out[n] = '\0';
	return true;
}

/* venv writes `version`, virtualenv and uv write `version_info`. */
static int
read_cfg(const char *dir, struct cfg *cfg, struct sn_why *why)
{
	char path[PATH_MAX], line[PATH_MAX + 64];
	FILE *f;

	memset(cfg, 0, sizeof(*cfg));
	if ((size_t)snprintf(path, sizeof(path), "%s/pyvenv.cfg", dir) >= sizeof(path))
		return sn_why_set(why, SN_ECONF, "python.venv: the path is too long: %s", dir);
	f = fopen(path, "re");
	if (!f)
		return sn_why_set(why, SN_ECONF,
		                  "python.venv: %s is not a virtual environment (%s: %s); make one with: "
		                  "%s -m venv %s", dir, path, strerror(errno), SN_PYTHON_BIN, dir);
	while (fgets(line, sizeof(line), f)) {
		if (!take(line, "version", cfg->version, sizeof(cfg->version)))
			take(line, "version_info", cfg->version, sizeof(cfg->version));
		take(line, "home", cfg->home, sizeof(cfg->home));
	}
	fclose(f);
	return 0;
}

static bool
is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int
check_version(const char *dir, const struct cfg *cfg, int major, int minor, struct sn_why *why)
{
	int have_major = 0, have_minor = 0;

	if (sscanf(cfg->version, "%d.%d", &have_major, &have_minor) != 2)
		return sn_why_set(why, SN_ECONF,
		                  "python.venv: %s/pyvenv.cfg names no version; make the environment "
		                  "again with: %s -m venv --clear %s", dir, SN_PYTHON_BIN, dir);
	if (have_major != major || have_minor != minor)
		return sn_why_set(why, SN_ECONF,
		                  "python.venv: %s is for Python %s, but snacgi is linked with Python "
		                  "%d.%d; make it again with: %s -m venv --clear %s (and reinstall its "
		                  "packages), or build snacgi for Python %d.%d", dir, cfg->version, major,
		                  minor, SN_PYTHON_BIN, dir, have_major, have_minor);
	return 0;
}

/* A different base installation of the same minor version mostly works. */
static void
compare_home(const char *dir, const struct cfg *cfg, const char *base_python,
             struct sn_why *warning)
{
	char ours[PATH_MAX], theirs[PATH_MAX], *slash;

	if (!cfg->home[0] || !realpath(base_python, ours))
		return;
	if (!realpath(cfg->home, theirs)) /* gone, or on another machine: still not ours */
		snprintf(theirs, sizeof(theirs), "%s", cfg->home);
	slash = strrchr(ours, '/');
	if (slash)
		*slash = '\0';
	if (strcmp(ours, theirs) == 0)
		return;
	sn_why_set(warning, 0,
	           "python.venv: %s was made by the Python in %s, but snacgi is linked with the one in "
	           "%s: two standard libraries mix; make it again with: %s -m venv --clear %s", dir,
	           cfg->home, ours, base_python, dir);
}

int
sn_venv_check(const char *dir, const char *base_python, int major, int minor, char *python,
              size_t size, struct sn_why *warning, struct sn_why *why)
{
	char path[PATH_MAX];
	struct cfg cfg;
	int rc;

	if (warning)
		warning->text[0] = '\0';
	if (!is_dir(dir))
		return sn_why_set(why, SN_ECONF,
		                  "python.venv: there is no directory %s; make the environment with: "
		                  "%s -m venv %s", dir, SN_PYTHON_BIN, dir);
	rc = read_cfg(dir, &cfg, why);
	if (rc == 0)
		rc = check_version(dir, &cfg, major, minor, why);
	if (rc < 0)
		return rc;
	if ((size_t)snprintf(path, sizeof(path), "%s/lib/python%d.%d/site-packages", dir, major,
	                     minor) >= sizeof(path) || !is_dir(path))
		return sn_why_set(why, SN_ECONF,
		                  "python.venv: %s has no lib/python%d.%d/site-packages; make the "
		                  "environment again with: %s -m venv --clear %s", dir, major, minor,
		                  SN_PYTHON_BIN, dir);
	if ((size_t)snprintf(python, size, "%s/bin/python", dir) >= size || access(python, X_OK) < 0)
		return sn_why_set(why, SN_ECONF,
		                  "python.venv: %s/bin/python cannot be run (%s): its base Python was "
		                  "removed or moved; make the environment again with: %s -m venv --clear "
		                  "%s", dir, strerror(errno), SN_PYTHON_BIN, dir);
	compare_home(dir, &cfg, base_python, warning);
	return 0;
}
