# make check-valgrind: native paths under memcheck. Not in `make check`: it takes minutes, and
# says nothing new in a sanitized build.
EXTRA_DIST += tests/valgrind/run tests/valgrind/test_daemon.py tests/valgrind/valgrind.supp
# Those with an interpreter in them are for the sanitizers.
valgrind_programs = $(filter-out tests/unit/test_pyrt tests/unit/test_pyrt_venv tests/unit/test_pycore,$(UNIT_TESTS))
check-valgrind: $(check_PROGRAMS) $(check_LTLIBRARIES)
	@$(AM_TESTS_ENVIRONMENT) $(srcdir)/tests/valgrind/run $(valgrind_programs)
.PHONY: check-valgrind
