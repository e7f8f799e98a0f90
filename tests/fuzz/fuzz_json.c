/* SPDX-License-Identifier: MIT
 *
 * JSON bodies: what is accepted can be answered with again, and then means
 * the same; what is refused has a text that says why.
 */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "http/request.h"
#include "http/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sn_request *
with_body(const void *body, size_t len)
{
	static const uint8_t params[] = "\x0e\x04REQUEST_METHODPOST";
	struct sn_request *req;
	int fault;
	SN_ASSERT(sn_request_build(&req, SN_FORM_FCGI, params, sizeof(params) - 1, 8, NULL, &fault) == 0);
	SN_ASSERT(sn_body_append(&req->body, body, len, 1 << 20, NULL) == 0);
	return req;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct sn_request *req = with_body(data, size);
	struct json_object *obj = sn_request_json(req);
	if (*sn_request_json_error(req)) {
		SN_ASSERT(!obj);
	} else {
		struct sn_response res;
		sn_response_init(&res, req, NULL, 0, NULL, 0);
		SN_ASSERT(sn_response_json(&res, obj) == 0);
		struct sn_request *again = with_body(res.body.data, res.body.len);
		struct json_object *same = sn_request_json(again);
		SN_ASSERT(!*sn_request_json_error(again));
		SN_ASSERT(json_object_equal(obj, same));
		sn_request_unref(again);
		sn_response_free(&res);
	}
	sn_request_unref(req);
	return 0;
}
