# One program a module: tests/unit/test_MODULE.c, cmocka, TAP output.
UNIT_TESTS =
check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
AM_TESTS_ENVIRONMENT = \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT; \
	SN_TOP_SRCDIR='$(abs_top_srcdir)'; export SN_TOP_SRCDIR; \
	SN_TOP_BUILDDIR='$(abs_top_builddir)'; export SN_TOP_BUILDDIR; \
	SN_PYTHON='$(PYTHON_BIN)'; export SN_PYTHON;
sn_test_ldadd = libsn.la -lcmocka
UNIT_TESTS += tests/unit/test_ring
tests_unit_test_ring_SOURCES = tests/unit/test_ring.c
tests_unit_test_ring_LDADD = $(sn_test_ldadd)
UNIT_TESTS += tests/unit/test_matcher
tests_unit_test_matcher_SOURCES = tests/unit/test_matcher.c
tests_unit_test_matcher_LDADD = $(sn_test_ldadd)
