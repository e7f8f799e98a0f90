# Faults on demand: the library for tests/integration/test_faults.py, and `make check-faults`:
# each unit test program again and again, with another call failing each time, for
# FAULT_SECONDS (0: every single call); then the basic integration tests in a rough life, where calls
# are interrupted and come short all the time.
check_LTLIBRARIES += tests/faults/shim.la
tests_faults_shim_la_SOURCES = tests/faults/shim.c
tests_faults_shim_la_CFLAGS = $(SN_CFLAGS) -fvisibility=default -fno-builtin
tests_faults_shim_la_LDFLAGS = $(integration_module_ldflags)
tests_faults_shim_la_LIBADD = -ldl
EXTRA_DIST += tests/faults/walk.py

FAULT_SECONDS = 60
# A tool, a test of its own allocations, and a minute of threads that call nothing.
fault_units = $(filter-out %/test_bench %/test_no_memory %/test_ring,$(UNIT_TESTS))

.PHONY: check-faults
check-faults: all $(check_LTLIBRARIES) $(UNIT_TESTS)
	@$(AM_TESTS_ENVIRONMENT) PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON_BIN) $(srcdir)/tests/faults/walk.py --seconds $(FAULT_SECONDS) $(fault_units)
	@$(AM_TESTS_ENVIRONMENT) SN_ROUGH=1 SN_BASIC=1 $(srcdir)/tests/integration/run
