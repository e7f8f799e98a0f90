/* SPDX-License-Identifier: MIT
 *
 * The head of a CGI answer: fed whole or in two parts it gives the same, and
 * what it accepts is a head that may be sent. The first byte is the split.
 */
#include <stdlib.h>
#include <string.h>

#include "native/cgi_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
	struct sn_cgi_head head;
	struct sn_response res;
	size_t used;
	int rc;
};

static void
feed(struct result *r, const char *text, size_t len)
{
	struct sn_why why;
	size_t used = 0;
	if (r->rc < 0 || r->head.done)
		return;
	r->rc = sn_cgi_head_feed(&r->head, &r->res, text, len, &used, &why);
	SN_ASSERT(used <= len);
	SN_ASSERT(r->rc < 0 || r->head.done || used == len);
	r->used += used;
}

static void
begin(struct result *r)
{
	memset(r, 0, sizeof(*r));
	sn_cgi_head_init(&r->head, 512);
	sn_response_init(&r->res, NULL, NULL, 0, NULL, 0);
}

static void
end(struct result *r)
{
	sn_cgi_head_free(&r->head);
	sn_response_free(&r->res);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct result whole, parts;
	if (size < 1)
		return 0;
	const char *text = (const char *)data + 1;
	size_t len = size - 1, cut = data[0] < len ? data[0] : len;

	begin(&whole);
	begin(&parts);
	feed(&whole, text, len);
	feed(&parts, text, cut);
	feed(&parts, text + cut, len - cut);
	SN_ASSERT((whole.rc < 0) == (parts.rc < 0));
	if (whole.rc == 0) {
		SN_ASSERT(whole.used == parts.used && whole.head.done == parts.head.done);
		SN_ASSERT(whole.res.status == parts.res.status);
		SN_ASSERT(whole.head.length == parts.head.length);
		SN_ASSERT(whole.res.head.len == parts.res.head.len);
		SN_ASSERT(whole.res.head.len == 0 ||
		          memcmp(whole.res.head.data, parts.res.head.data, whole.res.head.len) == 0);
	}
	if (whole.head.done) {
		SN_ASSERT(whole.res.status >= 200 && whole.res.status <= 599);
		SN_ASSERT(whole.head.length >= -1 && whole.used <= 512);
	}
	end(&whole);
	end(&parts);
	return 0;
}
