/* SPDX-License-Identifier: MIT
 *
 * The board: what a process was at can be read when it is gone.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/board.h"
#include "base/err.h"

static const char one, two, three;

static void *
work_and_leave(void *arg SN_UNUSED)
{
	sn_board_begin(0xdead, &three);
	sn_board_end();
	sn_board_leave();
	return NULL;
}

static void *
work_and_end(void *arg SN_UNUSED)
{
	sn_board_begin(0xb, &two);
	sn_board_begin(0xc, &two);
	sn_board_end();
	return NULL;
}

static void
read_after_a_crash(void **state SN_UNUSED)
{
	struct sn_board *b = sn_board_new();
	struct sn_buf out;
	sn_buf_init(&out, NULL, 0);
	assert_non_null(b);
	assert_false(sn_board_tell(b, &out));
	assert_false(sn_board_tell(NULL, &out));
	pid_t pid = fork();
	if (pid == 0) {
		pthread_t thread;
		sn_board_use(b);
		sn_board_name(&one, "app.one");
		sn_board_name(&two, "app.two");
		for (int i = 0; i < 1000; i++) { /* cells are used again */
			pthread_create(&thread, NULL, work_and_leave, NULL);
			pthread_join(thread, NULL);
		}
		pthread_create(&thread, NULL, work_and_end, NULL);
		pthread_join(thread, NULL);
		sn_board_begin(0xa, &one);
		raise(SIGKILL);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_true(sn_board_tell(b, &out));
	assert_int_equal(sn_buf_terminate(&out), 0);
	assert_string_equal(out.data, "at work on 000000000000000a (app.one); last done by other threads: "
	                              "000000000000000c (app.two)");
	sn_buf_free(&out);
	sn_board_free(b);
}

/* Without a board, and with more threads than cells, nothing happens. */
static void
nowhere_to_write(void **state SN_UNUSED)
{
	sn_board_use(NULL);
	sn_board_begin(1, &one);
	sn_board_end();
	sn_board_leave();
	sn_board_name(&one, "x");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_after_a_crash),
		cmocka_unit_test(nowhere_to_write),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
