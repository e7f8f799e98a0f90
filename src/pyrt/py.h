/* SPDX-License-Identifier: MIT
 *
 * The one door to CPython: every file in pyrt/ includes this and nobody else
 * includes <Python.h>. Must come first in a source file.
 */
#ifndef SN_PYRT_PY_H
#define SN_PYRT_PY_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#if PY_VERSION_HEX < 0x030b0000
#include <longintrepr.h> /* ob_digit: later ones bring it themselves */
#endif

#if PY_VERSION_HEX < 0x030a0000
#error "snacgi needs Python 3.10 or later"
#endif

/* PyArg_ParseTupleAndKeywords() takes the names without const (until 3.13). */
#define SN_KW(name) ((char *)(name))

#endif
