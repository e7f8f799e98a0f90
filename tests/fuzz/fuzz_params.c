/* SPDX-License-Identifier: MIT
 *
 * Parameters of both forms: decoding in place and elsewhere agree, the index
 * stays inside the bytes, and a request that was built answers every question.
 */
#include <stdlib.h>
#include <string.h>

#include "http/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_index(const char *dst, size_t used, const struct sn_param *index, long n)
{
	size_t at = 0;
	for (long i = 0; i < n; i++) {
		SN_ASSERT(index[i].name == at && index[i].name_len > 0);
		SN_ASSERT(strlen(dst + at) == index[i].name_len);
		SN_ASSERT(!memchr(dst + at, '=', index[i].name_len));
		at += index[i].name_len + 1u;
		SN_ASSERT(index[i].value == at && strlen(dst + at) == index[i].value_len);
		at += index[i].value_len + 1u;
	}
	SN_ASSERT(at == used);
}

static void
decode(enum sn_params_form form, const uint8_t *data, size_t size)
{
	bool fcgi = form == SN_FORM_FCGI;
	long n = fcgi ? sn_params_count_fcgi(data, size) : sn_params_count_scgi(data, size);
	if (n < 0)
		return;
	uint16_t known[2][SN_P_KNOWN];
	struct sn_param *index[2];
	char *dst[2];
	size_t used[2];
	int rc[2];
	for (int i = 0; i < 2; i++) {
		index[i] = malloc((size_t)n * sizeof(*index[i]) + 1);
		dst[i] = malloc(size + 1);
		SN_ASSERT(index[i] && dst[i]);
		memcpy(dst[i], data, size);
		const uint8_t *src = i ? (const uint8_t *)dst[i] : data;
		rc[i] = (fcgi ? sn_params_decode_fcgi : sn_params_decode_scgi)(
			src, size, dst[i], &used[i], index[i], known[i]);
	}
	SN_ASSERT(rc[0] == rc[1] && used[0] == used[1]);
	if (rc[0] == 0) {
		SN_ASSERT(used[0] <= size && memcmp(dst[0], dst[1], used[0]) == 0);
		SN_ASSERT(n == 0 || memcmp(index[0], index[1], (size_t)n * sizeof(*index[0])) == 0);
		SN_ASSERT(memcmp(known[0], known[1], sizeof(known[0])) == 0);
		check_index(dst[0], used[0], index[0], n);
	}
	for (int i = 0; i < 2; i++) {
		free(index[i]);
		free(dst[i]);
	}
}

static void
build(enum sn_params_form form, const uint8_t *data, size_t size)
{
	struct sn_request *req;
	const char *reason;
	int fault;
	int rc = sn_request_build(&req, form, data, size, 20, &fault);
	SN_ASSERT((rc == 0) == (req != NULL) && (rc == SN_EINVAL) == (fault < 0));
	if (!req)
		return;
	SN_ASSERT(sn_request_content_length(req) >= -2);
	sn_request_wants_json(req);
	if (sn_request_resolve(req, SN_PATH_AUTO, "/app", &reason) == 0)
		SN_ASSERT(req->path.path[0] == '/' && strlen(req->path.path) == req->path.len);
	sn_request_unref(req);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	decode(SN_FORM_FCGI, data, size);
	decode(SN_FORM_SCGI, data, size);
	build(SN_FORM_FCGI, data, size);
	build(SN_FORM_SCGI, data, size);
	return 0;
}
