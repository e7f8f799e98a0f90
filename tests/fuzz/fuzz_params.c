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
	/* Whatever is wrong, is so too where the names are not known yet, or others are. */
	static const char other[] = "\x0e\x03REQUEST_METHODGET\x0b\x02SCRIPT_NAME/x\x0c\x03QUERY_STRINGa=1"
	                            "\x09\x01HTTP_HOSTh\x0f\x00SERVER_PROTOCOL\x04\x01HOSTx\x01\x01" "AB";
	struct sn_params_names names[2] = { 0 };
	struct sn_param room[16];
	char bytes[sizeof(other)];
	struct sn_params known = { .index = room, .room = 16, .bytes = bytes, .names = &names[1] };
	sn_params_decode_fcgi(&known, (const uint8_t *)other, sizeof(other) - 1);
	if (n < 0) {
		for (int i = 0; fcgi && i < 2; i++) {
			struct sn_params p = { .index = malloc((size / 2 + 1) * sizeof(*p.index)), .room = size / 2 + 1,
				               .bytes = malloc(size + 1), .names = &names[i] };
			SN_ASSERT(p.index && p.bytes && sn_params_decode_fcgi(&p, data, size) == n);
			free(p.index);
			free(p.bytes);
		}
		return;
	}
	struct sn_params p[5];
	int rc[5];
	for (int i = 0; i < 5; i++) {
		p[i].names = i < 2 ? NULL : &names[i % 2]; /* the last: its own */
		p[i].room = (size_t)n;
		p[i].index = malloc((size_t)n * sizeof(*p[i].index) + 1);
		p[i].bytes = malloc(size + 1);
		SN_ASSERT(p[i].index && p[i].bytes);
		memcpy(p[i].bytes, data, size);
		const uint8_t *src = i == 1 ? (const uint8_t *)p[i].bytes : data;
		rc[i] = fcgi ? sn_params_decode_fcgi(&p[i], src, size) : sn_params_decode_scgi(&p[i], src, size);
	}
	SN_ASSERT(rc[0] != -SN_PARAMS_ROOM);
	if (rc[0] == 0) {
		SN_ASSERT(p[0].n == n && p[0].used <= size);
		check_index(p[0].bytes, p[0].used, p[0].index, n);
	}
	for (int i = 1; i < 5; i++) {
		SN_ASSERT(rc[i] == rc[0]);
		if (rc[0] != 0)
			continue;
		SN_ASSERT(p[i].n == n && p[i].used == p[0].used && p[i].headers == p[0].headers);
		SN_ASSERT(memcmp(p[0].bytes, p[i].bytes, p[0].used) == 0);
		SN_ASSERT(n == 0 || memcmp(p[0].index, p[i].index, (size_t)n * sizeof(*p[0].index)) == 0);
		SN_ASSERT(memcmp(p[0].known, p[i].known, sizeof(p[0].known)) == 0);
	}
	for (int i = 0; i < 5; i++) {
		free(p[i].index);
		free(p[i].bytes);
	}
}

static int
build(enum sn_params_form form, const uint8_t *data, size_t size, struct sn_request_reuse *reuse)
{
	struct sn_request *req;
	const char *reason;
	int fault;
	int rc = sn_request_build(&req, form, data, size, 20, reuse, &fault);
	SN_ASSERT((rc == 0) == (req != NULL) && (rc == SN_EINVAL) == (fault < 0));
	if (!req)
		return rc;
	SN_ASSERT(sn_request_content_length(req) >= -2);
	sn_request_wants_json(req);
	if (sn_request_resolve(req, SN_PATH_AUTO, "/app", &reason) == 0)
		SN_ASSERT(req->path.path[0] == '/' && strlen(req->path.path) == req->path.len);
	sn_request_unref_into(req, reuse);
	return rc;
}

/* The second one in the memory of the first. */
static void
build_twice(enum sn_params_form form, const uint8_t *data, size_t size)
{
	struct sn_request_reuse reuse = { .block = NULL };
	int rc = build(form, data, size, &reuse);
	SN_ASSERT(build(form, data, size, &reuse) == rc);
	sn_request_reuse_free(&reuse);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	decode(SN_FORM_FCGI, data, size);
	decode(SN_FORM_SCGI, data, size);
	build_twice(SN_FORM_FCGI, data, size);
	build_twice(SN_FORM_SCGI, data, size);
	return 0;
}
