# Real front servers in front of the daemon; each test is counted by itself (TAP).
TESTS += tests/servers/run
dist_check_SCRIPTS += tests/servers/run
EXTRA_DIST += \
	tests/servers/app/app.py \
	tests/servers/apache.py tests/servers/browser.py tests/servers/conftest.py tests/servers/expected.py \
	tests/servers/fronts.py tests/servers/others.py tests/servers/table.py tests/servers/test_cases.py \
	tests/servers/test_ends.py tests/servers/test_mounted.py \
	tests/servers/test_newcomer.py tests/servers/test_odd.py

# What they answered, where it is seen.
check-local: check-TESTS
	@test ! -s tests/servers/table.txt || cat tests/servers/table.txt
CLEANFILES += tests/servers/table.txt
