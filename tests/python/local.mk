# pytest over the extension module in plain Python; each test is counted by itself (TAP).
TESTS += tests/python/run
dist_check_SCRIPTS += tests/python/run
