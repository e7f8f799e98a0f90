# pytest over a running daemon; each test is counted by itself (TAP).
TESTS += tests/integration/run
dist_check_SCRIPTS += tests/integration/run
EXTRA_DIST += \
	tests/integration/apps/basic/app.py \
	tests/integration/apps/basic/compute.py \
	tests/integration/apps/crash/app.py \
	tests/integration/apps/files/app.py \
	tests/integration/apps/fresh/app.py \
	tests/integration/apps/hooks/app.py \
	tests/integration/apps/pool/app.py \
	tests/integration/apps/pool/jobs.py \
	tests/integration/apps/routes/app.py \
	tests/integration/apps/stream/app.py \
	tests/integration/apps/streams/app.py \
	tests/integration/apps/timeouts/app.py \
	tests/integration/apps/timeouts/jobs.py \
	tests/integration/apps/typed/app.py \
	tests/integration/conftest.py \
	tests/integration/daemon.py \
	tests/integration/fcgi.py \
	tests/integration/limit.py \
	tests/integration/scgi.py \
	tests/integration/tap.py \
	tests/integration/test_basic.py \
	tests/integration/test_batch.py \
	tests/integration/test_bench.py \
	tests/integration/test_cli.py \
	tests/integration/test_commands.py \
	tests/integration/test_crash.py \
	tests/integration/test_fastcgi.py \
	tests/integration/test_faults.py \
	tests/integration/test_files.py \
	tests/integration/test_hooks.py \
	tests/integration/test_isolation.py \
	tests/integration/test_lifecycle.py \
	tests/integration/test_limits.py \
	tests/integration/test_listeners.py \
	tests/integration/test_multiplex.py \
	tests/integration/test_native.py \
	tests/integration/test_nginx.py \
	tests/integration/test_notify.py \
	tests/integration/test_paths.py \
	tests/integration/test_pool.py \
	tests/integration/test_print_units.py tests/integration/test_proxy.py \
	tests/integration/test_reference_peer.py \
	tests/integration/test_reload.py \
	tests/integration/test_scale.py \
	tests/integration/test_scgi.py \
	tests/integration/test_security.py \
	tests/integration/test_slow_peers.py \
	tests/integration/test_start.py \
	tests/integration/test_status.py \
	tests/integration/test_stream.py \
	tests/integration/test_streams.py \
	tests/integration/test_supervisor.py \
	tests/integration/test_timeouts.py \
	tests/integration/test_typed.py \
	tests/integration/test_units.py \
	tests/integration/test_upgrade.py \
	tests/integration/wire.py

# The native endpoints that are asked, and a module that must be refused.
check_LTLIBRARIES += tests/integration/native_endpoints.la tests/integration/native_broken.la
integration_module_ldflags = $(AM_LDFLAGS) -module -avoid-version -shared -rpath /nonexistent
tests_integration_native_endpoints_la_SOURCES = tests/integration/native_endpoints.c
tests_integration_native_endpoints_la_LDFLAGS = $(integration_module_ldflags)
tests_integration_native_endpoints_la_LIBADD = $(JSONC_LIBS)
tests_integration_native_broken_la_SOURCES = tests/integration/native_broken.c
tests_integration_native_broken_la_LDFLAGS = $(integration_module_ldflags)
