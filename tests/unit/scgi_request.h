/* SPDX-License-Identifier: MIT
 *
 * A request of given parameters, by the way that an SCGI header takes.
 */
#ifndef SN_TEST_SCGI_REQUEST_H
#define SN_TEST_SCGI_REQUEST_H

#include "cm.h"

#include <string.h>

#include "http/request.h"

/* NAME, VALUE pairs, ended by NULL. */
static struct sn_request *
scgi_request(const char *name, ...)
{
	char block[8192];
	size_t len = 0;
	struct sn_request *req;
	int fault;
	va_list ap;
	va_start(ap, name);
	for (const char *s = name; s; s = va_arg(ap, const char *)) {
		size_t n = strlen(s) + 1;
		assert_true(len + n <= sizeof(block));
		memcpy(block + len, s, n);
		len += n;
	}
	va_end(ap);
	assert_int_equal(sn_request_build(&req, SN_FORM_SCGI, (uint8_t *)block, len, 100, NULL, &fault), 0);
	assert_int_equal(fault, 0);
	return req;
}

#endif
