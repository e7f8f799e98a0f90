# make check-chaos: load, disturbances at random, and balanced books. Not in `make check`.
EXTRA_DIST += tests/chaos/account.py tests/chaos/app/chaos_app.py tests/chaos/clients.py \
	tests/chaos/monkeys.py tests/chaos/peers.py tests/chaos/peers/chaos.php \
	tests/chaos/peers/chaos_wsgi.py tests/chaos/run.py
CHAOS_SECONDS = 180
CHAOS_SEED =
check-chaos: src/snacgi$(EXEEXT) python/_snacgi.so tests/integration/native_endpoints.la
	@SN_TOP_SRCDIR=$(abs_top_srcdir) SN_TOP_BUILDDIR=$(abs_top_builddir) PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON_BIN) $(srcdir)/tests/chaos/run.py $(CHAOS_SECONDS) $(CHAOS_SEED)

# A worker killed and reloaded every second, the same for uWSGI and PHP-FPM: a table to look at.
CHAOS_PEER_SECONDS = 20
chaos-peers: src/snacgi$(EXEEXT) python/_snacgi.so tests/integration/native_endpoints.la
	@SN_TOP_SRCDIR=$(abs_top_srcdir) SN_TOP_BUILDDIR=$(abs_top_builddir) PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON_BIN) $(srcdir)/tests/chaos/peers.py $(CHAOS_PEER_SECONDS)
.PHONY: check-chaos chaos-peers
