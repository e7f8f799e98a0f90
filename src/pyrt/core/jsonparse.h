/* SPDX-License-Identifier: MIT
 *
 * The quick way from JSON to Python objects. Needs the GIL.
 */
#ifndef SN_PYRT_CORE_JSONPARSE_H
#define SN_PYRT_CORE_JSONPARSE_H

#include "pyrt/py.h"

#include <stddef.h>

/* New reference: what json.loads() makes of plain JSON in UTF-8. NULL, perhaps with an
 * exception, for everything else: json.loads() has to look at it. */
PyObject *sn_json_parse(const char *text, size_t len);

#endif
