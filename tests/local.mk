LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
include tests/unit/local.mk
include tests/fuzz/local.mk
include tests/integration/local.mk
include tests/faults/local.mk
include tests/servers/local.mk
include tests/python/local.mk
include tests/lint/local.mk
include tests/docs/local.mk
include tests/examples/local.mk
include tests/extra/local.mk
include tests/install/local.mk
include tests/chaos/local.mk
include tests/valgrind/local.mk
include tests/perf/local.mk
EXTRA_DIST += tests/nginx-conf.sh tests/pytest.ini tests/setup-debian.sh tests/tsan.supp

clean-local:
	rm -rf .mypy_cache tests/servers/results
