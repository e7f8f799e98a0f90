/* SPDX-License-Identifier: MIT
 *
 * Both forms of parameters: good ones, every fault, decoding in place.
 */
#include "cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/params.h"

struct decoded {
	long n;
	int rc;
	size_t used;
	char bytes[8192];
	struct sn_param index[512];
	uint16_t known[SN_P_KNOWN];
};

/* With no names yet, with the names of all that was decoded so far, and with its own: they change nothing. */
static void
decode_again(const uint8_t *src, size_t len, const struct sn_params *want, int want_rc)
{
	static struct sn_params_names old;
	struct sn_params_names none = { 0 };
	for (int i = 0; i < 3; i++) {
		struct sn_params p = { .index = calloc(want->room + 1, sizeof(*p.index)), .room = want->room,
			               .bytes = malloc(len ? len : 1), .names = i ? &old : &none };
		assert_true(p.index && p.bytes);
		int rc = sn_params_decode_fcgi(&p, src, len);
		assert_int_equal(rc, want_rc);
		if (rc == 0) {
			assert_int_equal(p.used, want->used);
			assert_memory_equal(p.bytes, want->bytes, want->used);
			assert_int_equal(p.n, want->n);
			assert_int_equal(p.headers, want->headers);
			assert_memory_equal(p.index, want->index, want->n * sizeof(*p.index));
			assert_memory_equal(p.known, want->known, sizeof(p.known));
		}
		free(p.index);
		free(p.bytes);
	}
}

/* Decodes elsewhere and in place, from exact heap copies, and wants the same twice. */
static void
decode(bool fcgi, const char *src, size_t len, struct decoded *d)
{
	uint8_t *copy = malloc(len ? len : 1);
	assert_non_null(copy);
	if (len)
		memcpy(copy, src, len);
	d->n = fcgi ? sn_params_count_fcgi(copy, len) : sn_params_count_scgi(copy, len);
	d->rc = (int)(d->n < 0 ? d->n : 0);
	if (fcgi && d->n < 0)
		decode_again(copy, len, &(struct sn_params){ .room = len / 2 + 1 }, d->rc);
	if (d->n >= 0) {
		int (*into)(struct sn_params *, const uint8_t *, size_t) =
			fcgi ? sn_params_decode_fcgi : sn_params_decode_scgi;
		struct sn_params there = { .index = calloc((size_t)d->n + 1, sizeof(*there.index)),
			                   .room = (size_t)d->n, .bytes = malloc(len ? len : 1) };
		struct sn_params here = there;
		here.index = calloc((size_t)d->n + 1, sizeof(*here.index));
		here.bytes = (char *)copy;
		assert_true(there.index && there.bytes && here.index);
		assert_true((size_t)d->n < SN_COUNT(d->index));
		if (d->n) { /* one pair too few: whatever else is wrong, it writes none beyond */
			there.room--;
			int rc = into(&there, copy, len);
			assert_true(rc < 0);
			assert_int_equal(there.index[d->n - 1].name_len, 0);
			there.room++;
		}
		d->rc = into(&there, copy, len);
		d->used = there.used;
		memcpy(d->bytes, there.bytes, there.used);
		memcpy(d->index, there.index, (size_t)d->n * sizeof(d->index[0]));
		memcpy(d->known, there.known, sizeof(d->known));
		if (fcgi)
			decode_again(copy, len, &there, d->rc);
		int rc = into(&here, copy, len);
		assert_int_equal(rc, d->rc);
		assert_int_equal(here.used, there.used);
		if (rc == 0) {
			assert_int_equal(here.n, d->n);
			assert_int_equal(there.n, d->n);
			assert_memory_equal(copy, there.bytes, there.used);
			if (d->n)
				assert_memory_equal(here.index, there.index, (size_t)d->n * sizeof(*here.index));
			assert_memory_equal(here.known, there.known, sizeof(here.known));
		}
		free(there.index);
		free(there.bytes);
		free(here.index);
	}
	free(copy);
}

#define FCGI(text, d) decode(true, text, sizeof(text) - 1, d)
#define SCGI(text, d) decode(false, text, sizeof(text) - 1, d)

static void
test_fcgi(void **state)
{
	(void)state;
	struct decoded d;
	FCGI("", &d);
	assert_int_equal(d.n, 0);
	assert_int_equal(d.rc, 0);
	FCGI("\x0e\x04REQUEST_METHODPOST"
	     "\x0c\x00QUERY_STRING"
	     "\x01\x80\x00\x00\x03Xabc"
	     "\x80\x00\x00\x02\x01YZ1",
	     &d);
	assert_int_equal(d.n, 4);
	assert_int_equal(d.rc, 0);
	static const char want[] = "REQUEST_METHOD\0POST\0QUERY_STRING\0\0X\0abc\0YZ\0001";
	assert_int_equal(d.used, sizeof(want));
	assert_memory_equal(d.bytes, want, sizeof(want));
	assert_int_equal(d.known[SN_P_REQUEST_METHOD], 1);
	assert_int_equal(d.known[SN_P_QUERY_STRING], 2);
	assert_int_equal(d.known[SN_P_PATH_INFO], 0);
	assert_int_equal(d.index[2].value_len, 3);
	assert_string_equal(d.bytes + d.index[3].value, "1");
}

static void
test_scgi(void **state)
{
	(void)state;
	struct decoded d;
	SCGI("CONTENT_LENGTH\0000\0SCGI\0001\0REQUEST_METHOD\0GET\0HTTP_ACCEPT\0\0", &d);
	assert_int_equal(d.n, 4);
	assert_int_equal(d.rc, 0);
	assert_int_equal(d.known[SN_P_CONTENT_LENGTH], 1);
	assert_int_equal(d.known[SN_P_REQUEST_METHOD], 3);
	assert_int_equal(d.known[SN_P_ACCEPT], 4);
	assert_int_equal(d.index[3].flags, SN_PARAM_HEADER);
	assert_int_equal(d.index[3].value_len, 0);
}

static void
test_known_and_flags(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int id; /* -1: none */
		int flags;
	} rows[] = {
		{ "REQUEST_METHOD", SN_P_REQUEST_METHOD, 0 },
		{ "SCRIPT_NAME", SN_P_SCRIPT_NAME, 0 },
		{ "PATH_INFO", SN_P_PATH_INFO, 0 },
		{ "DOCUMENT_URI", SN_P_DOCUMENT_URI, 0 },
		{ "REQUEST_URI", SN_P_REQUEST_URI, 0 },
		{ "QUERY_STRING", SN_P_QUERY_STRING, 0 },
		{ "CONTENT_TYPE", SN_P_CONTENT_TYPE, 0 },
		{ "CONTENT_LENGTH", SN_P_CONTENT_LENGTH, 0 },
		{ "HTTP_TRANSFER_ENCODING", SN_P_TRANSFER_ENCODING, SN_PARAM_HEADER },
		{ "HTTP_ACCEPT", SN_P_ACCEPT, SN_PARAM_HEADER },
		{ "REMOTE_ADDR", SN_P_REMOTE_ADDR, 0 },
		{ "HTTP_PROXY", -1, SN_PARAM_HEADER | SN_PARAM_DROPPED },
		{ "HTTP_CONTENT_TYPE", -1, SN_PARAM_HEADER | SN_PARAM_DROPPED },
		{ "HTTP_CONTENT_LENGTH", -1, SN_PARAM_HEADER | SN_PARAM_DROPPED },
		{ "HTTP_HOST", -1, SN_PARAM_HEADER },
		{ "HTTPS", -1, 0 },
		{ "REMOTE_PORT", -1, 0 },
		{ "REQUEST_URL", -1, 0 },
	};
	for (size_t i = 0; i < SN_COUNT(rows); i++) {
		struct decoded d;
		char src[64];
		int n = snprintf(src, sizeof(src), "%s%cv%c", rows[i].name, 0, 0);
		decode(false, src, (size_t)n, &d);
		assert_int_equal(d.rc, 0);
		assert_int_equal(d.index[0].flags, rows[i].flags);
		for (int id = 0; id < SN_P_KNOWN; id++)
			assert_int_equal(d.known[id], id == rows[i].id ? 1 : 0);
	}
}

static void
test_first_of_repeated(void **state)
{
	(void)state;
	struct decoded d;
	SCGI("PATH_INFO\0/a\0PATH_INFO\0/b\0", &d);
	assert_int_equal(d.n, 2);
	assert_int_equal(d.known[SN_P_PATH_INFO], 1);
}

static void
test_faults(void **state)
{
	(void)state;
	struct decoded d;
#define FCGI_FAULT(text, fault) \
	do { \
		FCGI(text, &d); \
		assert_int_equal(d.rc, -(fault)); \
	} while (0)
#define SCGI_FAULT(text, fault) \
	do { \
		SCGI(text, &d); \
		assert_int_equal(d.rc, -(fault)); \
	} while (0)
	FCGI_FAULT("\x01", SN_PARAMS_TRUNCATED);
	FCGI_FAULT("\x80\x00\x00", SN_PARAMS_TRUNCATED);
	FCGI_FAULT("\x01\x80", SN_PARAMS_TRUNCATED);
	FCGI_FAULT("\x02\x01"
	           "AB",
	           SN_PARAMS_TRUNCATED);
	FCGI_FAULT("\xff\xff\xff\xff\xff\xff\xff\xffxx", SN_PARAMS_TRUNCATED);
	FCGI_FAULT("\x00\x01v", SN_PARAMS_NAME);
	FCGI_FAULT("\x03\x01"
	           "A=Bv",
	           SN_PARAMS_NAME);
	FCGI_FAULT("\x03\x01"
	           "A\0Bv",
	           SN_PARAMS_NAME);
	FCGI_FAULT("\x02\x03"
	           "ABx\0y",
	           SN_PARAMS_VALUE);
	FCGI_FAULT("\x02\x01"
	           "AB\0",
	           SN_PARAMS_VALUE);
	SCGI_FAULT("A", SN_PARAMS_TRUNCATED);
	SCGI_FAULT("A\0", SN_PARAMS_TRUNCATED);
	SCGI_FAULT("A\0b", SN_PARAMS_TRUNCATED);
	SCGI_FAULT("\0b\0", SN_PARAMS_NAME);
	SCGI_FAULT("A=B\0b\0", SN_PARAMS_NAME);
	for (int f = 0; f <= SN_PARAMS_METHOD; f++)
		assert_string_equal(sn_params_fault_text(f), sn_params_fault_text(-f));
}

/* '=' and NUL at every place of names and values of every length near the word sizes. */
static void
test_every_place(void **state)
{
	(void)state;
	for (size_t len = 1; len < 80; len++)
		for (size_t at = 0; at < len; at++) {
			struct decoded d;
			char src[256];
			src[0] = (char)len;
			src[1] = (char)len;
			memset(src + 2, 'N', len);
			memset(src + 2 + len, 'v', len);
			decode(true, src, 2 + 2 * len, &d);
			assert_int_equal(d.rc, 0);
			assert_int_equal(d.index[0].value, len + 1);
			src[2 + at] = '=';
			decode(true, src, 2 + 2 * len, &d);
			assert_int_equal(d.rc, -SN_PARAMS_NAME);
			src[2 + at] = '\0';
			decode(true, src, 2 + 2 * len, &d);
			assert_int_equal(d.rc, -SN_PARAMS_NAME);
			src[2 + at] = 'N';
			src[2 + len + at] = '='; /* fine in a value */
			decode(true, src, 2 + 2 * len, &d);
			assert_int_equal(d.rc, 0);
			src[2 + len + at] = '\0';
			decode(true, src, 2 + 2 * len, &d);
			assert_int_equal(d.rc, -SN_PARAMS_VALUE);
		}
}

/* Where there is no name yet, an empty one is none either: with room for whole blocks behind it. */
static void
test_empty_name(void **state)
{
	(void)state;
	static const char good[] = "\x0e\x03REQUEST_METHODGET\x09\x50HTTP_HOST"
	                           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct decoded d;
	char src[256];
	for (size_t before = 0; before < 2; before++) {
		size_t at = before ? 2 + 14 + 3 : 0, len = sizeof(good) - 1;
		memcpy(src, good, at);
		memcpy(src + at, "\x00\x06" "DELETE", 8);
		memcpy(src + at + 8, good + at, len - at);
		decode(true, src, len + 8, &d);
		assert_int_equal(d.rc, -SN_PARAMS_NAME);
	}
}

static void
test_long_name(void **state)
{
	(void)state;
	size_t len = 8 + 70000;
	uint8_t *src = malloc(len);
	assert_non_null(src);
	memset(src, 'N', len);
	src[0] = 0x80;
	src[1] = 1; /* 65536 */
	src[2] = src[3] = 0;
	src[4] = 0;
	assert_int_equal(sn_params_count_fcgi(src, 5 + 65536), -SN_PARAMS_NAME);
	src[len - 2] = src[len - 1] = 0;
	memset(src, 'N', 8);
	assert_int_equal(sn_params_count_scgi(src, len), -SN_PARAMS_NAME);
	free(src);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fcgi),
		cmocka_unit_test(test_scgi),
		cmocka_unit_test(test_known_and_flags),
		cmocka_unit_test(test_first_of_repeated),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_every_place),
		cmocka_unit_test(test_empty_name),
		cmocka_unit_test(test_long_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
