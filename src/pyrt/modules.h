/* SPDX-License-Identifier: MIT
 *
 * Which Python modules a directory holds. Pure C: the names only, nothing is
 * imported.
 */
#ifndef SN_PYRT_MODULES_H
#define SN_PYRT_MODULES_H

#include "base/err.h"

/* A NULL-terminated, sorted list of every module and package of `dir`, but _*, test_*,
 * *_test, conftest and setup. SN_ENOENT: no such directory. */
int sn_modules_list(const char *dir, char ***out, size_t *n, struct sn_why *why);
void sn_modules_free(char **names); /* NULL is fine */

#endif
