/* SPDX-License-Identifier: MIT
 *
 * Where the Python package lies: what was built with this library goes with it, and
 * nothing that is on the user's path.
 */
#include "server/package.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

char *
sn_package_find(void)
{
	const char *env = getenv("SNACGI_PYTHON_PATH");
	if (env && *env)
		return strdup(env);
	Dl_info info;
	char real[PATH_MAX];
	if (!dladdr((void *)(uintptr_t)sn_package_find, &info) || !info.dli_fname ||
	    !realpath(info.dli_fname, real))
		return NULL;
	char *slash = strrchr(real, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	size_t len = strlen(real);
	static const char *const up[] = { "/../python", "/../../python" }; /* X/.libs/, X/src/.libs/ */
	if (len < 6 || strcmp(real + len - 6, "/.libs") != 0)
		return NULL;
	for (size_t i = 0; i < SN_COUNT(up); i++) {
		char *dir = NULL, probe[PATH_MAX + 64];
		snprintf(probe, sizeof(probe), "%s%s/snacgi/__init__.py", real, up[i]);
		if (access(probe, R_OK) == 0 && asprintf(&dir, "%s%s", real, up[i]) > 0) {
			char *clean = realpath(dir, NULL);
			free(dir);
			return clean;
		}
	}
	return NULL;
}
