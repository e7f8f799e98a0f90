# The load generator, and what `make bench` needs beside it.
bench_sources = \
	bench/codec.h bench/cputime.c bench/cputime.h bench/hist.c bench/hist.h \
	bench/load.c bench/load.h bench/load_priv.h bench/reply.c \
	bench/report.c bench/report.h bench/request.c bench/target.c bench/target.h bench/worker.c \
	src/base/buf.c src/base/err.c

noinst_LTLIBRARIES += bench/libbench.la
bench_libbench_la_SOURCES = $(bench_sources)
bench_libbench_la_CFLAGS = $(SN_CFLAGS) $(SAN_CFLAGS)
bench_libbench_la_LIBADD = -lpthread -lm

bin_PROGRAMS += bench/snacgi-bench
bench_snacgi_bench_SOURCES = bench/main.c
bench_snacgi_bench_CFLAGS = $(SN_CFLAGS) $(SAN_CFLAGS)
bench_snacgi_bench_LDFLAGS = $(AM_LDFLAGS) $(SN_PIE_LDFLAGS)
bench_snacgi_bench_LDADD = bench/libbench.la

# Built by `make bench` alone, never installed.
EXTRA_PROGRAMS = bench/table bench/peers/fcgi-peer
bench_table_SOURCES = bench/table.c
bench_table_LDADD = libsnacgi.la
bench_peers_fcgi_peer_SOURCES = bench/peers/fcgi-peer.c
bench_peers_fcgi_peer_LDADD = $(FCGI_LIBS) -lpthread

dist_man_MANS += man/snacgi-bench.1

EXTRA_DIST += bench/run.py bench/servers.py bench/report.py bench/figures.py bench/proc.py \
	bench/front.py bench/cases.py bench/parked.py bench/transfers.py bench/curves.py bench/json_speed.py \
	bench/app/app.py bench/app_pool/app_pool.py \
	bench/peers/asgi.py bench/peers/wsgi.py bench/peers/users.php

# make bench                                        all of it: most of an hour
# make bench BENCH_ROWS='native kept;libfcgi kept'  what has one of these texts in its name
# make bench BENCH_ARGS='--repeat 9'                and --quick, --list, --check, --access-log
bench: bench/snacgi-bench$(EXEEXT) bench/table$(EXEEXT) bench/peers/fcgi-peer$(EXEEXT) \
		src/snacgi$(EXEEXT) python/_snacgi.so
	$(PYTHON_BIN) $(srcdir)/bench/run.py --build . --out bench-results --only '$(BENCH_ROWS)' $(BENCH_ARGS)
.PHONY: bench
CLEANFILES += bench/table$(EXEEXT) bench/peers/fcgi-peer$(EXEEXT) \
	bench-results/bench.json bench-results/bench.svg bench-results/bench.txt bench-results/scale.svg
