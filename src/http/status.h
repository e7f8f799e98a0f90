/* SPDX-License-Identifier: MIT
 *
 * Status codes and their reason phrases (IANA registry, RFC 9110).
 */
#ifndef SN_HTTP_STATUS_H
#define SN_HTTP_STATUS_H

#include <stdbool.h>

/* "Not Found"; "Unknown" for a code without a registered phrase. Never NULL. */
const char *sn_status_reason(int status);

/* 204 and 304 (and 1xx) never have a body: RFC 9110 section 6.4.1. */
static inline bool
sn_status_has_body(int status)
{
	return status >= 200 && status != 204 && status != 304;
}

#endif
