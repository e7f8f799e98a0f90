/* SPDX-License-Identifier: MIT
 *
 * The table of request methods: the bit of each is its place here. Pure; any
 * thread.
 */
#include "http/method.h"

#include <strings.h>

/* The first seven are fixed by the header. GET comes first because an Allow
 * header lists methods in this order. */
static const struct {
	const char *name;
	uint8_t len;
} methods[] = {
#define M(name) { name, sizeof(name) - 1 }
	M("GET"), M("HEAD"), M("POST"), M("PUT"), M("DELETE"), M("OPTIONS"), M("PATCH"),
	M("TRACE"), M("CONNECT"), M("QUERY"), M("PURGE"), M("SEARCH"), M("LINK"), M("UNLINK"),
	/* WebDAV and its extensions, RFC 3253 to 5842 */
	M("PROPFIND"), M("PROPPATCH"), M("MKCOL"), M("COPY"), M("MOVE"), M("LOCK"), M("UNLOCK"),
	M("REPORT"), M("MKCALENDAR"), M("ACL"), M("BIND"), M("UNBIND"), M("REBIND"),
	M("VERSION-CONTROL"), M("CHECKOUT"), M("CHECKIN"), M("UNCHECKOUT"), M("MKWORKSPACE"),
	M("UPDATE"), M("LABEL"), M("MERGE"), M("BASELINE-CONTROL"), M("MKACTIVITY"),
	M("ORDERPATCH"), M("MKREDIRECTREF"), M("UPDATEREDIRECTREF"),
#undef M
};
_Static_assert(SN_COUNT(methods) <= 64, "a method is one bit of a 64-bit mask");

uint64_t
sn_method_bit(const char *name, size_t len)
{
	for (size_t i = 0; i < SN_COUNT(methods); i++)
		if (methods[i].len == len && memcmp(methods[i].name, name, len) == 0)
			return UINT64_C(1) << i;
	return 0;
}

const char *
sn_method_name(uint64_t bit)
{
	if (bit == 0 || (bit & (bit - 1)) != 0)
		return NULL;
	unsigned i = (unsigned)__builtin_ctzll(bit);
	return i < SN_COUNT(methods) ? methods[i].name : NULL;
}

static uint64_t
bit_any_case(const char *word, size_t len)
{
	for (size_t i = 0; i < SN_COUNT(methods); i++)
		if (methods[i].len == len && strncasecmp(methods[i].name, word, len) == 0)
			return UINT64_C(1) << i;
	return 0;
}

int
sn_method_parse(const char *list, uint64_t *mask, struct sn_why *why)
{
	uint64_t found = 0;
	*mask = 0;
	for (const char *p = list + strspn(list, ", \t"); *p; p += strspn(p, ", \t")) {
		size_t len = strcspn(p, ", \t");
		uint64_t bit = bit_any_case(p, len);
		if (!bit)
			return sn_why_set(why, SN_EINVAL,
			                  "'%.*s' is not a request method that is known here; "
			                  "write names such as \"GET, POST\"",
			                  len > 64 ? 64 : (int)len, p);
		found |= bit;
		p += len;
	}
	if (!found)
		return sn_why_set(why, SN_EINVAL,
		                  "the list of methods is empty; write names such as \"GET, POST\"");
	*mask = found;
	return 0;
}

int
sn_method_list(uint64_t mask, struct sn_buf *out)
{
	bool first = true;
	for (size_t i = 0; i < SN_COUNT(methods); i++) {
		if (!(mask & (UINT64_C(1) << i)))
			continue;
		if (!first && sn_buf_add(out, ", ", 2) < 0)
			return SN_ENOMEM;
		if (sn_buf_add(out, methods[i].name, methods[i].len) < 0)
			return SN_ENOMEM;
		first = false;
	}
	return 0;
}
