/* SPDX-License-Identifier: MIT
 *
 * smooth.so: the hot endpoint of analysis.py, ported. The same rule, the same answers, the
 * same refusals; what Python says is right, and test_smooth.py compares them.
 *
 * Runs on an I/O thread: no Python, no lock, tens of microseconds. Therefore the limit of
 * 10000 values; what takes longer would be flagged SN_BLOCKING.
 */
#include <math.h>

#include <json-c/json.h>
#include <snacgi.h>

#define MOST_VALUES 10000
#define LARGEST 1e18

/* {"error": message}, as invalid() in analysis.py has it. */
static int
invalid(sn_response *res, const char *message)
{
	sn_response_status(res, 422);
	sn_response_type(res, "application/json");
	return sn_response_printf(res, "{\"error\":\"%s\"}", message);
}

static int
is_number(struct json_object *value)
{
	return json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double);
}

static int
smooth(sn_request *req, sn_response *res)
{
	struct json_object *body = sn_request_json(req), *values = NULL, *given = NULL, *means;
	double alpha = 0.5, x, mean = 0.0;
	size_t n, at;
	int rc = SN_ENOMEM;

	/* No body at all is None in Python, not malformed. */
	if (!body && sn_request_body_size(req) > 0 && *sn_request_json_error(req))
		return sn_response_error(res, 400, "malformed JSON: %s", sn_request_json_error(req));
	json_object_object_get_ex(body, "values", &values);
	n = json_object_is_type(values, json_type_array) ? json_object_array_length(values) : 0;
	if (n < 1 || n > MOST_VALUES)
		return invalid(res, "values must be a list of 1 to 10000 numbers");
	for (at = 0; at < n; at++) {
		/* A whole number beyond 64 bits was refused as malformed; others are exact enough. */
		if (!is_number(json_object_array_get_idx(values, at)) ||
		    !(fabs(json_object_get_double(json_object_array_get_idx(values, at))) <= LARGEST))
			return invalid(res, "values must be numbers up to 1e18");
	}
	if (json_object_object_get_ex(body, "alpha", &given)) {
		alpha = is_number(given) ? json_object_get_double(given) : 0.0;
		if (!(alpha > 0.0 && alpha <= 1.0))
			return invalid(res, "alpha must be a number above 0, up to 1");
	}

	means = json_object_new_array();
	for (at = 0; means && at < n; at++) {
		x = json_object_get_double(json_object_array_get_idx(values, at));
		mean = at ? alpha * x + (1.0 - alpha) * mean : x;
		if (json_object_array_add(means, json_object_new_double(mean)) < 0)
			goto out;
	}
	if (means)
		rc = sn_response_json(res, means);
out:
	json_object_put(means);
	return rc;
}

static const sn_route routes[] = {
	{ .rule = "/smooth", .methods = "POST", .handler = smooth, .summary = "exponentially weighted means", SN_HERE },
	{ .rule = NULL },
};

SN_MODULE("smooth", routes, NULL, NULL);
