LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
include tests/unit/local.mk
include tests/fuzz/local.mk
include tests/integration/local.mk
