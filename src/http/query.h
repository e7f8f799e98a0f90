/* SPDX-License-Identifier: MIT
 *
 * application/x-www-form-urlencoded, as in query strings (WHATWG URL 5.1:
 * '&' separates, '+' is a space, a bad escape stays as it is). Pure.
 */
#ifndef SN_HTTP_QUERY_H
#define SN_HTTP_QUERY_H

#include "base/err.h"

struct sn_query_pair { /* still encoded; slices of the input */
	const char *key, *value;
	size_t key_len, value_len;
};

/* Takes the next pair off *at. False at the end. Empty pairs ("a&&b") are skipped. */
bool sn_query_next(const char **at, const char *end, struct sn_query_pair *out);
/* True when the encoded key decodes to `name`. */
bool sn_query_key_is(const struct sn_query_pair *pair, const char *name);

#endif
