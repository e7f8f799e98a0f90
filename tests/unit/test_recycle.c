/* SPDX-License-Identifier: MIT
 *
 * The wish to be replaced: it stays, the graver one wins, and the main thread
 * hears of it.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/recycle.h"
#include "server/signals.h"

static bool
readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* One story, since the state is the process's. */
static void
the_graver_wish_wins(void **state SN_UNUSED)
{
	static const char enough[] = "it has served enough", hangs[] = "it hangs", again[] = "again";
	struct sn_why why;
	const char *reason = NULL;
	unsigned stops;

	assert_false(sn_signals_raise(SN_SIG_RECYCLE)); /* nobody listens */
	assert_int_equal(sn_recycle_asked(&reason), SN_RECYCLE_NOT);
	int fd = sn_signals_install(false, &why);
	assert_true(fd >= 0);
	sn_signals_take(&stops);
	assert_false(readable(fd));

	sn_recycle_ask(SN_RECYCLE_HEALTHY, enough);
	assert_true(readable(fd));
	assert_int_equal(sn_signals_take(&stops), SN_SIG_RECYCLE);
	assert_int_equal(stops, 0);
	assert_int_equal(sn_recycle_asked(&reason), SN_RECYCLE_HEALTHY);
	assert_ptr_equal(reason, enough);

	sn_recycle_ask(SN_RECYCLE_HEALTHY, again); /* no news */
	assert_false(readable(fd));
	sn_recycle_ask(SN_RECYCLE_STUCK, hangs);
	assert_int_equal(sn_signals_take(&stops), SN_SIG_RECYCLE);
	assert_int_equal(sn_recycle_asked(&reason), SN_RECYCLE_STUCK);
	assert_ptr_equal(reason, hangs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_graver_wish_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
