/* SPDX-License-Identifier: MIT
 *
 * JSON or HTML for an error page, by the Accept header (RFC 9110 section
 * 12.5.1). Programs get JSON; HTML goes only to who names it (browsers do), with
 * at least the preference that JSON has. Pure; any thread.
 */
#include <string.h>
#include <strings.h>

#include "http/request.h"

struct ranked { /* the most specific range seen so far for one type */
	int quality; /* thousandths */
	int specific; /* 0: none, 1: all types, 2: type/all, 3: type/subtype */
};

static bool
range_is(const char *s, size_t len, const char *name)
{
	return strlen(name) == len && strncasecmp(s, name, len) == 0;
}

static void
rank(struct ranked *r, int specific, int quality)
{
	if (specific > r->specific)
		*r = (struct ranked){ quality, specific };
}

/* ";q=0.8" among the parameters from `p` to `end`: thousandths. A malformed one is 1. */
static int
quality_of(const char *p, const char *end)
{
	while ((p = memchr(p, ';', (size_t)(end - p)))) {
		for (p++; p < end && (*p == ' ' || *p == '\t'); p++)
			;
		if (end - p < 3 || (*p | 0x20) != 'q' || p[1] != '=')
			continue;
		p += 2;
		if (*p == '1')
			return 1000;
		int value = 0, unit = 100;
		if (*p++ != '0')
			return 1000;
		if (p < end && *p == '.')
			for (p++; p < end && *p >= '0' && *p <= '9' && unit; p++, unit /= 10)
				value += (*p - '0') * unit;
		return value;
	}
	return 1000;
}

bool
sn_request_wants_json(const struct sn_request *req)
{
	const char *accept = sn_request_known(req, SN_P_ACCEPT);
	struct ranked html = { 0, 0 }, json = { 0, 0 };
	if (!accept)
		return true;
	for (const char *p = accept; *p;) {
		p += strspn(p, " \t,");
		const char *end = p + strcspn(p, ",");
		size_t len = strcspn(p, " \t;,");
		int q = quality_of(p, end);
		if (range_is(p, len, "text/html"))
			rank(&html, 3, q);
		else if (range_is(p, len, "application/json"))
			rank(&json, 3, q);
		else if (range_is(p, len, "application/*"))
			rank(&json, 2, q);
		else if (range_is(p, len, "*/*"))
			rank(&json, 1, q);
		p = end;
	}
	return html.specific == 0 || html.quality == 0 || html.quality < json.quality;
}
