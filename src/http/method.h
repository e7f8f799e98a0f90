/* SPDX-License-Identifier: MIT
 *
 * Request methods as one bit each (RFC 9110 section 9, and the registered
 * ones that servers meet), so that a route's methods are a mask.
 */
#ifndef SN_HTTP_METHOD_H
#define SN_HTTP_METHOD_H

#include "base/buf.h"
#include "base/err.h"

#define SN_METHOD_GET (UINT64_C(1) << 0)
#define SN_METHOD_HEAD (UINT64_C(1) << 1)
#define SN_METHOD_POST (UINT64_C(1) << 2)
#define SN_METHOD_PUT (UINT64_C(1) << 3)
#define SN_METHOD_DELETE (UINT64_C(1) << 4)
#define SN_METHOD_OPTIONS (UINT64_C(1) << 5)
#define SN_METHOD_PATCH (UINT64_C(1) << 6)

/* The bit of a method, exact case as on the wire; 0: not one we know. */
uint64_t sn_method_bit(const char *name, size_t len);
/* "GET", for a mask with one bit. NULL: no such bit. */
const char *sn_method_name(uint64_t bit);
/* "GET, POST" (commas or spaces, any case) into a mask. SN_EINVAL names the wrong word. */
int sn_method_parse(const char *list, uint64_t *mask, struct sn_why *why);
/* "GET, HEAD, OPTIONS" for an Allow header, in the table's order. */
int sn_method_list(uint64_t mask, struct sn_buf *out);

#endif
