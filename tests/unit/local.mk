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
UNIT_TESTS += tests/unit/test_native_table
tests_unit_test_native_table_SOURCES = tests/unit/test_native_table.c tests/unit/fake_sink.c tests/unit/fake_sink.h
tests_unit_test_native_table_LDADD = $(sn_test_ldadd)
# Loaded modules find the program's own copy of the public functions.
tests_unit_test_native_table_LDFLAGS = $(AM_LDFLAGS) -export-dynamic
native_module_ldflags = $(AM_LDFLAGS) -module -avoid-version -rpath /nonexistent
check_LTLIBRARIES += tests/unit/native_module.la tests/unit/native_module_old.la \
	tests/unit/native_module_size.la tests/unit/native_module_short.la tests/unit/native_module_none.la \
	tests/unit/native_module_entry.la tests/unit/native_module_init.la
tests_unit_native_module_la_SOURCES = tests/unit/native_module.c
tests_unit_native_module_la_LDFLAGS = $(native_module_ldflags)
tests_unit_native_module_old_la_SOURCES = tests/unit/native_module.c
tests_unit_native_module_old_la_CPPFLAGS = $(AM_CPPFLAGS) -DMODULE_OLD
tests_unit_native_module_old_la_LDFLAGS = $(native_module_ldflags)
tests_unit_native_module_size_la_SOURCES = tests/unit/native_module.c
tests_unit_native_module_size_la_CPPFLAGS = $(AM_CPPFLAGS) -DMODULE_SIZE
tests_unit_native_module_size_la_LDFLAGS = $(native_module_ldflags)
tests_unit_native_module_short_la_SOURCES = tests/unit/native_module.c
tests_unit_native_module_short_la_CPPFLAGS = $(AM_CPPFLAGS) -DMODULE_SHORT
tests_unit_native_module_short_la_LDFLAGS = $(native_module_ldflags)
tests_unit_native_module_none_la_SOURCES = tests/unit/native_module.c
tests_unit_native_module_none_la_CPPFLAGS = $(AM_CPPFLAGS) -DMODULE_NO_ENTRY
tests_unit_native_module_none_la_LDFLAGS = $(native_module_ldflags)
tests_unit_native_module_entry_la_SOURCES = tests/unit/native_module.c
tests_unit_native_module_entry_la_CPPFLAGS = $(AM_CPPFLAGS) -DMODULE_BAD_ENTRY
tests_unit_native_module_entry_la_LDFLAGS = $(native_module_ldflags)
tests_unit_native_module_init_la_SOURCES = tests/unit/native_module.c
tests_unit_native_module_init_la_CPPFLAGS = $(AM_CPPFLAGS) -DMODULE_BAD_INIT
tests_unit_native_module_init_la_LDFLAGS = $(native_module_ldflags)

UNIT_TESTS += tests/unit/test_request_api
tests_unit_test_request_api_SOURCES = tests/unit/test_request_api.c tests/unit/fake_sink.c tests/unit/fake_sink.h
tests_unit_test_request_api_LDADD = $(sn_test_ldadd) $(JSONC_LIBS)

UNIT_TESTS += tests/unit/test_response_api
tests_unit_test_response_api_SOURCES = tests/unit/test_response_api.c tests/unit/fake_sink.c tests/unit/fake_sink.h
tests_unit_test_response_api_LDADD = $(sn_test_ldadd) $(JSONC_LIBS)

UNIT_TESTS += tests/unit/test_fcgx
tests_unit_test_fcgx_SOURCES = tests/unit/test_fcgx.c tests/unit/fake_sink.c tests/unit/fake_sink.h
tests_unit_test_fcgx_LDADD = $(sn_test_ldadd) $(FCGI_LIBS)


UNIT_TESTS += tests/unit/test_timer
tests_unit_test_timer_SOURCES = tests/unit/test_timer.c
tests_unit_test_timer_LDADD = $(sn_test_ldadd)
dist_check_SCRIPTS += tests/unit/test_fcgx_header.sh
TESTS += tests/unit/test_fcgx_header.sh

UNIT_TESTS += tests/unit/test_demo_native
tests_unit_test_demo_native_SOURCES = tests/unit/test_demo_native.c tests/unit/fake_sink.c tests/unit/fake_sink.h
tests_unit_test_demo_native_LDADD = $(sn_test_ldadd)
tests_unit_test_demo_native_LDFLAGS = $(AM_LDFLAGS) -export-dynamic

UNIT_TESTS += tests/unit/test_method
tests_unit_test_method_SOURCES = tests/unit/test_method.c tests/unit/cm.h
tests_unit_test_method_LDADD = $(sn_test_ldadd)
UNIT_TESTS += tests/unit/test_query
tests_unit_test_query_SOURCES = tests/unit/test_query.c tests/unit/cm.h
tests_unit_test_query_LDADD = $(sn_test_ldadd)
UNIT_TESTS += tests/unit/test_body
tests_unit_test_body_SOURCES = tests/unit/test_body.c tests/unit/cm.h
tests_unit_test_body_LDADD = $(sn_test_ldadd)
UNIT_TESTS += tests/unit/test_params
tests_unit_test_params_SOURCES = tests/unit/test_params.c tests/unit/cm.h
tests_unit_test_params_LDADD = $(sn_test_ldadd)
UNIT_TESTS += tests/unit/test_path
tests_unit_test_path_SOURCES = tests/unit/test_path.c tests/unit/cm.h
tests_unit_test_path_LDADD = $(sn_test_ldadd)
UNIT_TESTS += tests/unit/test_request
tests_unit_test_request_SOURCES = tests/unit/test_request.c tests/unit/cm.h tests/unit/scgi_request.h
tests_unit_test_request_LDADD = $(sn_test_ldadd)
UNIT_TESTS += tests/unit/test_response
tests_unit_test_response_SOURCES = tests/unit/test_response.c tests/unit/cm.h
tests_unit_test_response_LDADD = $(sn_test_ldadd)
UNIT_TESTS += tests/unit/test_fastcgi
tests_unit_test_fastcgi_SOURCES = tests/unit/test_fastcgi.c tests/unit/cm.h tests/unit/wire_drive.h tests/unit/wire_records.h
tests_unit_test_fastcgi_LDADD = $(sn_test_ldadd)
UNIT_TESTS += tests/unit/test_scgi
tests_unit_test_scgi_SOURCES = tests/unit/test_scgi.c tests/unit/cm.h tests/unit/wire_drive.h
tests_unit_test_scgi_LDADD = $(sn_test_ldadd)
UNIT_TESTS += tests/unit/test_address
tests_unit_test_address_SOURCES = tests/unit/test_address.c
tests_unit_test_address_LDADD = $(sn_test_ldadd)
UNIT_TESTS += tests/unit/test_conf
tests_unit_test_conf_SOURCES = tests/unit/test_conf.c
tests_unit_test_conf_LDADD = $(sn_test_ldadd)
UNIT_TESTS += tests/unit/test_pyrt_venv
tests_unit_test_pyrt_venv_SOURCES = tests/unit/test_pyrt_venv.c
tests_unit_test_pyrt_venv_LDADD = $(sn_test_ldadd)
UNIT_TESTS += tests/unit/test_pyrt
tests_unit_test_pyrt_SOURCES = tests/unit/test_pyrt.c tests/unit/fake_sink.c
tests_unit_test_pyrt_LDADD = $(sn_test_ldadd)

UNIT_TESTS += tests/unit/test_bench
tests_unit_test_bench_SOURCES = tests/unit/test_bench.c
tests_unit_test_bench_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/bench
tests_unit_test_bench_LDADD = bench/libbench.la -lcmocka
UNIT_TESTS += tests/unit/test_pycore
tests_unit_test_pycore_SOURCES = tests/unit/test_pycore.c tests/unit/fake_sink.c tests/unit/fake_sink.h tests/unit/cm.h
tests_unit_test_pycore_LDADD = $(sn_test_ldadd) $(PYTHON_LIBS)
UNIT_TESTS += tests/unit/test_recycle
tests_unit_test_recycle_SOURCES = tests/unit/test_recycle.c
tests_unit_test_recycle_LDADD = $(sn_test_ldadd)
UNIT_TESTS += tests/unit/test_board
tests_unit_test_board_SOURCES = tests/unit/test_board.c
tests_unit_test_board_LDADD = $(sn_test_ldadd)
UNIT_TESTS += tests/unit/test_instream
tests_unit_test_instream_SOURCES = tests/unit/test_instream.c
tests_unit_test_instream_LDADD = $(sn_test_ldadd)
UNIT_TESTS += tests/unit/test_proxy
tests_unit_test_proxy_SOURCES = tests/unit/test_proxy.c tests/unit/cm.h tests/unit/scgi_request.h
tests_unit_test_proxy_LDADD = $(sn_test_ldadd)
UNIT_TESTS += tests/unit/test_no_memory
tests_unit_test_no_memory_SOURCES = tests/unit/test_no_memory.c tests/unit/fake_sink.c tests/unit/fake_sink.h tests/unit/cm.h
tests_unit_test_no_memory_LDADD = $(sn_test_ldadd) $(JSONC_LIBS)
tests_unit_test_no_memory_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc \
	-Wl,--wrap=strdup -Wl,--wrap=aligned_alloc
