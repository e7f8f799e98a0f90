/* SPDX-License-Identifier: MIT
 *
 * Query strings and percent decoding.
 */
#include "cm.h"

#include <string.h>

#include "http/path.h"
#include "http/query.h"

static void
test_pairs(void **state)
{
	(void)state;
	static const struct {
		const char *query, *pairs; /* "key|value;" */
	} rows[] = {
		{ "", "" },
		{ "&&&", "" },
		{ "a=1", "a|1;" },
		{ "a=1&b=2", "a|1;b|2;" },
		{ "&a=1&&b&", "a|1;b|;" },
		{ "a", "a|;" },
		{ "=v", "|v;" },
		{ "=", "|;" },
		{ "a=b=c", "a|b=c;" },
		{ "a=1&a=2", "a|1;a|2;" },
		{ "a;b=1", "a;b|1;" }, /* ';' has not separated since 2014 */
	};
	for (size_t i = 0; i < SN_COUNT(rows); i++) {
		const char *at = rows[i].query, *end = at + strlen(at);
		struct sn_query_pair p;
		char got[256] = "";
		while (sn_query_next(&at, end, &p)) {
			strncat(got, p.key, p.key_len);
			strcat(got, "|");
			strncat(got, p.value, p.value_len);
			strcat(got, ";");
		}
		assert_string_equal(got, rows[i].pairs);
		assert_ptr_equal(at, end);
	}
}

static void
test_key_is(void **state)
{
	(void)state;
	static const struct {
		const char *key, *name;
		bool is;
	} rows[] = {
		{ "abc", "abc", true },     { "abc", "ab", false },  { "ab", "abc", false },
		{ "a%62c", "abc", true },   { "a+b", "a b", true },  { "a%2Bb", "a+b", true },
		{ "a%2bb", "a b", false },  { "%", "%", true },      { "%4", "%4", true },
		{ "%zz", "%zz", true },     { "", "", true },        { "a%00b", "a\0b", false },
		{ "%C3%A9", "\xc3\xa9", true }, { "%41%", "A%", true },
	};
	for (size_t i = 0; i < SN_COUNT(rows); i++) {
		struct sn_query_pair p = { .key = rows[i].key, .key_len = strlen(rows[i].key) };
		if (sn_query_key_is(&p, rows[i].name) != rows[i].is)
			fail_msg("'%s' and '%s'", rows[i].key, rows[i].name);
	}
}

static void
test_decode(void **state)
{
	(void)state;
	char s[] = "a%20b+c%zz%4";
	size_t n = sn_percent_decode(s, s, strlen(s), true); /* in place */
	assert_int_equal(n, strlen("a b c%zz%4"));
	assert_memory_equal(s, "a b c%zz%4", n);
	n = sn_percent_decode(s, "a+b%2f", 6, false);
	assert_int_equal(n, 4);
	assert_memory_equal(s, "a+b/", n);
	/* The bytes after the end do not count: "%4" followed by '1'. */
	n = sn_percent_decode(s, "%41", 2, false);
	assert_int_equal(n, 2);
	assert_memory_equal(s, "%4", n);
}

static void
test_utf8(void **state)
{
	(void)state;
	static const char *good[] = { "", "plain ascii text", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
		                          "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80",
		                          "\xf4\x8f\xbf\xbf", "1234567\xc3\xa9 8" };
	static const char *bad[] = { "\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
		                         "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		                         "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc3(", "12345678\xe9" };
	for (size_t i = 0; i < SN_COUNT(good); i++)
		assert_true(sn_utf8_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < SN_COUNT(bad); i++)
		assert_false(sn_utf8_valid(bad[i], strlen(bad[i])));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_key_is),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_utf8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
