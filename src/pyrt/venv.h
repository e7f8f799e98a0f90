/* SPDX-License-Identifier: MIT
 *
 * Is a virtual environment fit for the linked libpython? Pure C, before any
 * interpreter exists: CPython itself accepts a wrong one silently.
 */
#ifndef SN_PYRT_VENV_H
#define SN_PYRT_VENV_H

#include "base/err.h"

/* Reads DIR/pyvenv.cfg. 0: `python` is DIR/bin/python; `warning` (may be empty) tells of
 * another base installation than that of `base_python`. SN_ECONF: `why` says what is
 * wrong and how to mend it. */
int sn_venv_check(const char *dir, const char *base_python, int major, int minor, char *python,
                  size_t size, struct sn_why *warning, struct sn_why *why);

#endif
