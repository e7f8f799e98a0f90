# Faults on demand, for tests/integration/test_faults.py; `make check-faults` runs
# nothing else.
check_LTLIBRARIES += tests/faults/shim.la
tests_faults_shim_la_SOURCES = tests/faults/shim.c
tests_faults_shim_la_CFLAGS = $(SN_CFLAGS) -fvisibility=default
tests_faults_shim_la_LDFLAGS = $(integration_module_ldflags)
tests_faults_shim_la_LIBADD = -ldl

.PHONY: check-faults
check-faults: all $(check_LTLIBRARIES)
	SN_TOP_SRCDIR=$(abs_top_srcdir) SN_TOP_BUILDDIR=$(abs_top_builddir) SN_PYTHON=$(PYTHON_BIN) \
	$(srcdir)/tests/integration/run -k test_faults
