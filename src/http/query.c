/* SPDX-License-Identifier: MIT
 *
 * Form-encoded pairs, found but not decoded: most are never looked at. Pure;
 * any thread.
 */
#include "http/query.h"

#include <string.h>

#include "base/hex.h"

bool
sn_query_next(const char **at, const char *end, struct sn_query_pair *out)
{
	while (*at < end && **at == '&')
		++*at;
	if (*at >= end)
		return false;
	const char *start = *at;
	const char *stop = memchr(start, '&', (size_t)(end - start));
	if (!stop)
		stop = end;
	const char *eq = memchr(start, '=', (size_t)(stop - start));
	out->key = start;
	out->key_len = (size_t)((eq ? eq : stop) - start);
	out->value = eq ? eq + 1 : stop;
	out->value_len = (size_t)(stop - out->value);
	*at = stop;
	return true;
}

bool
sn_query_key_is(const struct sn_query_pair *pair, const char *name)
{
	const char *p = pair->key, *end = p + pair->key_len;
	for (; p < end; name++) {
		unsigned char c = (unsigned char)*p++;
		int byte;
		if (c == '+')
			c = ' ';
		else if (c == '%' && (byte = sn_hex_pair(p, (size_t)(end - p))) >= 0) {
			c = (unsigned char)byte;
			p += 2;
		}
		/* A decoded NUL is in no name; without this it would run past the name's end. */
		if (c == '\0' || (unsigned char)*name != c)
			return false;
	}
	return *name == '\0';
}
