/* SPDX-License-Identifier: MIT
 *
 * dev, request, shell and new serve no request themselves: they are Python programs of the
 * package (snacgi._commands), run by the interpreter that belongs to the linked libpython.
 * They are told where this program is, so that what they start has its static table.
 */
#include "server/command.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "server/package.h"

bool
sn_command_known(const char *name)
{
	static const char *const names[] = { "dev", "request", "shell", "new" };

	for (size_t i = 0; i < SN_COUNT(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* The package comes first: it has to be of the program's own version. */
static int
set_environment(void)
{
	char *package = sn_package_find(), *path = NULL, program[PATH_MAX];
	const char *dir = package ? package : SN_PKGPYLIBDIR, *before = getenv("PYTHONPATH");
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	int rc = -1;

	if (n > 0 && asprintf(&path, "%s%s%s", dir, before && *before ? ":" : "", before ? before : "") > 0) {
		program[n] = '\0';
		rc = setenv("PYTHONPATH", path, 1) | setenv("SNACGI_PROGRAM", program, 1);
		free(path);
	}
	free(package);
	return rc;
}

int
sn_command_exec(char **argv)
{
	size_t n = 0;
	char **args;

	while (argv[n])
		n++;
	args = calloc(n + 3, sizeof(*args));
	if (!args || set_environment() < 0) {
		fputs("snacgi: out of memory\n", stderr);
		return 1;
	}
	args[0] = (char *)(uintptr_t)SN_PYTHON_BIN;
	args[1] = (char *)(uintptr_t)"-m";
	args[2] = (char *)(uintptr_t)"snacgi._commands";
	memcpy(args + 3, argv + 1, (n - 1) * sizeof(*args));
	fflush(NULL);
	execv(args[0], args);
	fprintf(stderr, "snacgi: %s cannot be run: %s; install it (Debian: python3)\n", args[0], strerror(errno));
	free(args);
	return 1;
}
