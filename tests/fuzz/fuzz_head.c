/* SPDX-License-Identifier: MIT
 *
 * An answer's head: whatever an application adds, what leaves is a Status line,
 * well-formed header lines and one empty line, within the limit. The input is
 * lines "name:value".
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_head(const struct sn_response *res)
{
	struct sn_buf out;
	sn_buf_init(&out, NULL, 0);
	SN_ASSERT(sn_response_head(res, &out) == 0);
	SN_ASSERT(out.len <= SN_HEAD_LIMIT);
	SN_ASSERT(memcmp(out.data, "Status: ", 8) == 0);
	const char *p = out.data, *end = p + out.len;
	unsigned statuses = 0, lengths = 0, types = 0;
	while (end - p > 2) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		SN_ASSERT(nl && nl > p + 1 && nl[-1] == '\r');
		const char *colon = memchr(p, ':', (size_t)(nl - p));
		SN_ASSERT(colon && colon > p && colon[1] == ' ');
		SN_ASSERT(!memchr(p, '\r', (size_t)(nl - 1 - p)) && !memchr(p, 0, (size_t)(nl - p)));
		statuses += strncasecmp(p, "Status:", 7) == 0;
		lengths += strncasecmp(p, "Content-Length:", 15) == 0;
		types += strncasecmp(p, "Content-Type:", 13) == 0;
		SN_ASSERT(strncasecmp(p, "Transfer-Encoding:", 18) != 0);
		p = nl + 1;
	}
	SN_ASSERT(end - p == 2 && memcmp(p, "\r\n", 2) == 0);
	SN_ASSERT(statuses == 1 && lengths <= 1 && types <= 1);
	sn_buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sn_response res;
	char head[256], body[16];
	const char *p = (const char *)data, *end = p + size;
	sn_response_init(&res, NULL, head, sizeof(head), body, sizeof(body));
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *stop = nl ? nl : end;
		const char *colon = memchr(p, ':', (size_t)(stop - p));
		const char *value = colon ? colon + 1 : stop;
		/* A line without a colon takes its value from the next: CR LF inside values. */
		if (!colon && nl)
			stop = end;
		int rc = sn_response_header_n(&res, p, (size_t)((colon ? colon : value) - p), value,
		                              (size_t)(stop - value));
		SN_ASSERT(rc == 0 || rc == SN_EINVAL || rc == SN_ELIMIT);
		if (rc == 0)
			SN_ASSERT(sn_response_has_header(&res, p, (size_t)(colon ? colon - p : value - p)));
		p = nl ? nl + 1 : end;
	}
	check_head(&res);
	char *text = malloc(size + 1);
	SN_ASSERT(text);
	memcpy(text, data, size);
	text[size] = '\0';
	SN_ASSERT(sn_response_error_page(&res, 404, text) == 0);
	SN_ASSERT(sn_utf8_valid(res.body.data, res.body.len));
	free(text);
	sn_response_free(&res);
	return 0;
}
