/* SPDX-License-Identifier: MIT
 *
 * Methods and status codes.
 */
#include "cm.h"

#include "http/method.h"
#include "http/status.h"

static void
test_bits(void **state)
{
	(void)state;
	assert_int_equal(sn_method_bit("GET", 3), SN_METHOD_GET);
	assert_int_equal(sn_method_bit("PATCH", 5), SN_METHOD_PATCH);
	assert_true(sn_method_bit("PROPFIND", 8) != 0);
	assert_int_equal(sn_method_bit("get", 3), 0); /* methods are case-sensitive on the wire */
	assert_int_equal(sn_method_bit("GETX", 4), 0);
	assert_int_equal(sn_method_bit("", 0), 0);
	uint64_t seen = 0;
	for (unsigned i = 0; i < 64; i++) {
		const char *name = sn_method_name(UINT64_C(1) << i);
		if (!name)
			continue;
		assert_int_equal(sn_method_bit(name, strlen(name)), UINT64_C(1) << i);
		seen |= UINT64_C(1) << i;
	}
	assert_int_equal(seen & 0x7f, 0x7f);
	assert_null(sn_method_name(0));
	assert_null(sn_method_name(SN_METHOD_GET | SN_METHOD_HEAD));
	assert_null(sn_method_name(UINT64_C(1) << 63));
}

static void
test_parse(void **state)
{
	(void)state;
	struct sn_why why;
	uint64_t mask;
	assert_int_equal(sn_method_parse("GET", &mask, &why), 0);
	assert_int_equal(mask, SN_METHOD_GET);
	assert_int_equal(sn_method_parse(" get,Post  DELETE,", &mask, NULL), 0);
	assert_int_equal(mask, SN_METHOD_GET | SN_METHOD_POST | SN_METHOD_DELETE);
	assert_int_equal(sn_method_parse("GET, FETCH", &mask, &why), SN_EINVAL);
	assert_int_equal(mask, 0);
	assert_non_null(strstr(why.text, "'FETCH'"));
	assert_int_equal(sn_method_parse(" , ", &mask, &why), SN_EINVAL);
	assert_non_null(strstr(why.text, "empty"));
}

static void
test_list(void **state)
{
	(void)state;
	struct sn_buf b;
	sn_buf_init(&b, NULL, 0);
	assert_int_equal(sn_method_list(SN_METHOD_OPTIONS | SN_METHOD_GET | SN_METHOD_HEAD, &b), 0);
	assert_int_equal(sn_buf_terminate(&b), 0);
	assert_string_equal(b.data, "GET, HEAD, OPTIONS");
	sn_buf_free(&b);
}

static void
test_status(void **state)
{
	(void)state;
	assert_string_equal(sn_status_reason(200), "OK");
	assert_string_equal(sn_status_reason(404), "Not Found");
	assert_string_equal(sn_status_reason(431), "Request Header Fields Too Large");
	assert_string_equal(sn_status_reason(299), "Unknown");
	assert_string_equal(sn_status_reason(-1), "Unknown");
	assert_true(sn_status_has_body(200));
	assert_false(sn_status_has_body(204));
	assert_false(sn_status_has_body(304));
	assert_false(sn_status_has_body(101));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_status),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
