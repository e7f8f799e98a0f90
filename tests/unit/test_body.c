/* SPDX-License-Identifier: MIT
 *
 * Bodies in memory and spooled.
 */
#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/body.h"

static void
test_empty(void **state)
{
	(void)state;
	struct sn_body b;
	size_t len = 7;
	char c;
	sn_body_init(&b);
	assert_null(sn_body_data(&b, &len));
	assert_int_equal(len, 0);
	assert_int_equal(sn_body_read(&b, 0, &c, 1), 0);
	assert_int_equal(sn_body_append(&b, "", 0, 0, NULL), 0);
	assert_int_equal(b.fd, -1);
	sn_body_free(&b);
	sn_body_free(&b); /* twice is harmless */
}

static void
test_memory(void **state)
{
	(void)state;
	struct sn_body b;
	size_t len;
	char buf[8];
	sn_body_init(&b);
	assert_int_equal(sn_body_expect(&b, 10, 100), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(sn_body_append(&b, "0123456789ABCDEFGHIJ", 20, 100, NULL), 0);
	assert_int_equal(b.len, 100); /* exactly the limit stays in memory */
	assert_int_equal(b.fd, -1);
	const char *data = sn_body_data(&b, &len);
	assert_int_equal(len, 100);
	assert_int_equal(strlen(data), 100);
	assert_int_equal(sn_body_read(&b, 18, buf, 4), 4);
	assert_memory_equal(buf, "IJ01", 4);
	assert_int_equal(sn_body_read(&b, 98, buf, 8), 2);
	assert_int_equal(sn_body_read(&b, 100, buf, 8), 0);
	assert_int_equal(sn_body_read(&b, UINT64_MAX, buf, 8), 0);
	sn_body_free(&b);
}

/* A file whose size is a multiple of the page size has no NUL behind it by itself. */
static void
test_spooled(void **state)
{
	(void)state;
	struct sn_body b;
	struct stat st;
	char page[4096], buf[4];
	size_t len;
	memset(page, 'x', sizeof(page));
	sn_body_init(&b);
	assert_int_equal(sn_body_append(&b, "ab", 2, 4, NULL), 0);
	assert_int_equal(b.fd, -1);
	assert_int_equal(sn_body_append(&b, "cde", 3, 4, ""), 0);
	assert_true(b.fd >= 0);
	assert_null(b.mem);
	assert_int_equal(fstat(b.fd, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(fcntl(b.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(sn_body_append(&b, page, sizeof(page) - 5, 4, NULL), 0);
	assert_int_equal(b.len, 4096);
	const char *data = sn_body_data(&b, &len);
	assert_non_null(data);
	assert_int_equal(len, 4096);
	assert_memory_equal(data, "abcdex", 6);
	assert_int_equal(data[4096], '\0');
	assert_ptr_equal(sn_body_data(&b, &len), data);
	assert_int_equal(sn_body_read(&b, 3, buf, 4), 4);
	assert_memory_equal(buf, "dexx", 4);
	assert_int_equal(sn_body_read(&b, 4094, buf, 4), 2);
	assert_int_equal(sn_body_append(&b, "end", 3, 4, NULL), 0);
	data = sn_body_data(&b, &len);
	assert_int_equal(len, 4099);
	assert_string_equal(data + 4096, "end");
	int fd = b.fd;
	sn_body_free(&b);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void
test_no_directory(void **state)
{
	(void)state;
	struct sn_body b;
	size_t len;
	sn_body_init(&b);
	assert_int_equal(sn_body_append(&b, "abc", 3, 4, "/does/not/exist"), 0);
	assert_int_equal(sn_body_append(&b, "def", 3, 4, "/does/not/exist"), SN_EIO);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(b.len, 3); /* what was there is still there */
	assert_string_equal(sn_body_data(&b, &len), "abc");
	sn_body_free(&b);
}

static void
test_spool_limit(void **state)
{
	(void)state;
	struct sn_body a, b;
	char block[64] = "";
	sn_body_set_spool_limit(100);
	sn_body_init(&a);
	sn_body_init(&b);
	assert_int_equal(sn_body_append(&a, block, 60, 0, NULL), 0);
	assert_int_equal(sn_body_append(&b, block, 30, 32, NULL), 0); /* in memory */
	assert_int_equal(sn_body_append(&b, block, 10, 32, NULL), 0); /* 30 of it move, and 10 */
	assert_int_equal(b.len, 40);
	sn_body_free(&b);
	assert_int_equal(sn_body_append(&a, block, 40, 0, NULL), 0); /* exactly all */
	assert_int_equal(sn_body_append(&b, block, 1, 0, NULL), SN_EFULL);
	assert_int_equal(sn_body_append(&a, block, 1, 0, NULL), SN_EFULL);
	assert_int_equal(a.len, 100);
	sn_body_free(&a);
	assert_int_equal(sn_body_append(&b, block, 64, 0, NULL), 0);
	sn_body_free(&b);
	sn_body_set_spool_limit(UINT64_MAX);
}

static void
test_announced_and_large(void **state)
{
	(void)state;
	struct sn_body b;
	sn_body_init(&b);
	assert_int_equal(sn_body_expect(&b, UINT64_MAX, 64), 0); /* costs nothing */
	assert_int_equal(b.cap, 0);
	assert_int_equal(sn_body_expect(&b, 0, 64), 0);
	sn_body_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),        cmocka_unit_test(test_memory),
		cmocka_unit_test(test_spooled),      cmocka_unit_test(test_no_directory),
		cmocka_unit_test(test_spool_limit),
		cmocka_unit_test(test_announced_and_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
