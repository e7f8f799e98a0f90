# Fuzz targets. `make check` replays each one's seed corpus (corpus/NAME for
# fuzz_NAME); `make fuzz` looks for new inputs with clang's libFuzzer:
#   make fuzz FUZZ_SECONDS=60 FUZZ="fuzz_path fuzz_query"
# A target is three lines here: FUZZ_TARGETS, its SOURCES and its LDADD.
FUZZ_TARGETS =
FUZZ_CC = clang
FUZZ_SECONDS = 15
FUZZ = $(filter-out fuzz_conn,$(notdir $(FUZZ_TARGETS)))
sn_fuzz_replay = tests/fuzz/replay.c
sn_fuzz_ldadd = libsn.la

check_PROGRAMS += $(FUZZ_TARGETS)
TESTS += $(FUZZ_TARGETS)
EXTRA_DIST += tests/fuzz/corpus

FUZZ_TARGETS += tests/fuzz/fuzz_fastcgi
tests_fuzz_fuzz_fastcgi_SOURCES = tests/fuzz/fuzz_fastcgi.c tests/unit/wire_drive.h $(sn_fuzz_replay)
tests_fuzz_fuzz_fastcgi_LDADD = $(sn_fuzz_ldadd)
FUZZ_TARGETS += tests/fuzz/fuzz_scgi
tests_fuzz_fuzz_scgi_SOURCES = tests/fuzz/fuzz_scgi.c tests/unit/wire_drive.h $(sn_fuzz_replay)
tests_fuzz_fuzz_scgi_LDADD = $(sn_fuzz_ldadd)
FUZZ_TARGETS += tests/fuzz/fuzz_params
tests_fuzz_fuzz_params_SOURCES = tests/fuzz/fuzz_params.c $(sn_fuzz_replay)
tests_fuzz_fuzz_params_LDADD = $(sn_fuzz_ldadd)
FUZZ_TARGETS += tests/fuzz/fuzz_path
tests_fuzz_fuzz_path_SOURCES = tests/fuzz/fuzz_path.c $(sn_fuzz_replay)
tests_fuzz_fuzz_path_LDADD = $(sn_fuzz_ldadd)
FUZZ_TARGETS += tests/fuzz/fuzz_query
tests_fuzz_fuzz_query_SOURCES = tests/fuzz/fuzz_query.c $(sn_fuzz_replay)
tests_fuzz_fuzz_query_LDADD = $(sn_fuzz_ldadd)
FUZZ_TARGETS += tests/fuzz/fuzz_head
tests_fuzz_fuzz_head_SOURCES = tests/fuzz/fuzz_head.c $(sn_fuzz_replay)
tests_fuzz_fuzz_head_LDADD = $(sn_fuzz_ldadd)
FUZZ_TARGETS += tests/fuzz/fuzz_conf
tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/fuzz_conf.c $(sn_fuzz_replay)
tests_fuzz_fuzz_conf_LDADD = $(sn_fuzz_ldadd)
FUZZ_TARGETS += tests/fuzz/fuzz_rule
tests_fuzz_fuzz_rule_SOURCES = tests/fuzz/fuzz_rule.c $(sn_fuzz_replay)
tests_fuzz_fuzz_rule_LDADD = $(sn_fuzz_ldadd)
FUZZ_TARGETS += tests/fuzz/fuzz_match
tests_fuzz_fuzz_match_SOURCES = tests/fuzz/fuzz_match.c $(sn_fuzz_replay)
tests_fuzz_fuzz_match_LDADD = $(sn_fuzz_ldadd)
FUZZ_TARGETS += tests/fuzz/fuzz_cgi_head
tests_fuzz_fuzz_cgi_head_SOURCES = tests/fuzz/fuzz_cgi_head.c $(sn_fuzz_replay)
tests_fuzz_fuzz_cgi_head_LDADD = $(sn_fuzz_ldadd)
FUZZ_TARGETS += tests/fuzz/fuzz_json
tests_fuzz_fuzz_json_SOURCES = tests/fuzz/fuzz_json.c $(sn_fuzz_replay)
tests_fuzz_fuzz_json_LDADD = $(sn_fuzz_ldadd) $(JSONC_LIBS)

# Needs the whole server: replayed in make check, not among those of make fuzz.
FUZZ_TARGETS += tests/fuzz/fuzz_conn
tests_fuzz_fuzz_conn_SOURCES = tests/fuzz/fuzz_conn.c $(sn_fuzz_replay)
tests_fuzz_fuzz_conn_LDADD = $(sn_fuzz_ldadd)

# ---- make fuzz: the sources that targets need, built once with the sanitizers -----
fuzz_cflags = $(DEFS) $(DEFAULT_INCLUDES) $(AM_CPPFLAGS) $(CPPFLAGS) $(JSONC_CFLAGS) $(CONFIG_CFLAGS) \
	-std=gnu11 -pthread -O1 -g -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=undefined
fuzz_sources = $(filter %.c,$(filter src/base/% src/http/% src/queue/% src/conf/% src/transport/% src/route/% src/native/%, \
	$(SN_CORE_SOURCES) $(SN_SOURCES)))

fuzz-build/libfuzz.a: $(fuzz_sources)
	$(AM_V_GEN)rm -rf fuzz-build/obj && $(MKDIR_P) fuzz-build/obj
	$(AM_V_at)for s in $(fuzz_sources); do \
		$(FUZZ_CC) $(fuzz_cflags) -fsanitize=fuzzer-no-link -c $(srcdir)/$$s \
			-o fuzz-build/obj/`echo $$s | tr / -`.o || exit 1; \
	done
	$(AM_V_at)rm -f $@ && ar rcs $@ fuzz-build/obj/*.o

fuzz: fuzz-build/libfuzz.a
	@for t in $(FUZZ); do \
		name=`echo $$t | sed 's/^fuzz_//'`; \
		$(MKDIR_P) fuzz-build/corpus/$$name; \
		echo "== $$t, $(FUZZ_SECONDS) s"; \
		$(FUZZ_CC) $(fuzz_cflags) -fsanitize=fuzzer $(srcdir)/tests/fuzz/$$t.c -o fuzz-build/$$t \
			fuzz-build/libfuzz.a $(CONFIG_LIBS) $(JSONC_LIBS) -lm || exit 1; \
		( cd fuzz-build && ./$$t -max_total_time=$(FUZZ_SECONDS) -timeout=5 -print_final_stats=1 \
			-verbosity=0 corpus/$$name $(abs_top_srcdir)/tests/fuzz/corpus/$$name ) || exit 1; \
	done

fuzz-list:
	@echo $(FUZZ) | tr ' ' '\n'

fuzz-clean:
	rm -rf fuzz-build
clean-local: fuzz-clean
.PHONY: fuzz fuzz-list fuzz-clean
