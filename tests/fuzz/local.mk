# Fuzz targets. `make check` replays each one's seed corpus (corpus/NAME for
# fuzz_NAME); `make fuzz` looks for new inputs with clang's libFuzzer:
#   make fuzz FUZZ_SECONDS=60 FUZZ="fuzz_path fuzz_query" FUZZ_JOBS=2
# A target is three lines here: FUZZ_TARGETS, its SOURCES and its LDADD; it may have words
# of its language in dict/NAME.
FUZZ_TARGETS =
FUZZ_CC = clang
FUZZ_SECONDS = 15
FUZZ_JOBS = 1
FUZZ_ENDLESS = 120
FUZZ = $(notdir $(FUZZ_TARGETS))
sn_fuzz_replay = tests/fuzz/replay.c
sn_fuzz_ldadd = libsn.la

check_PROGRAMS += $(FUZZ_TARGETS)
TESTS += $(FUZZ_TARGETS)
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/dict tests/fuzz/run.py

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
FUZZ_TARGETS += tests/fuzz/fuzz_json_read
tests_fuzz_fuzz_json_read_SOURCES = tests/fuzz/fuzz_json_read.c $(sn_fuzz_replay)
tests_fuzz_fuzz_json_read_LDADD = $(sn_fuzz_ldadd) $(PYTHON_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_conn
tests_fuzz_fuzz_conn_SOURCES = tests/fuzz/fuzz_conn.c $(sn_fuzz_replay)
tests_fuzz_fuzz_conn_LDADD = $(sn_fuzz_ldadd)

# ---- make fuzz: the whole library, built once with clang and the sanitizers -------------
# Another build of it, as for coverage, is another fuzz_dir with other fuzz_flags.
fuzz_dir = fuzz-build
fuzz_flags = -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined
fuzz_link = -fsanitize=fuzzer
fuzz_main =
fuzz_cflags = $(DEFS) $(DEFAULT_INCLUDES) $(libsn_la_CPPFLAGS) $(CPPFLAGS) $(JSONC_CFLAGS) $(CONFIG_CFLAGS) \
	$(SYSTEMD_CFLAGS) $(PYTHON_CFLAGS) -std=gnu11 -pthread -O1 -g -fno-omit-frame-pointer $(fuzz_flags)
fuzz_objects = $(patsubst %.c,$(fuzz_dir)/%.o,$(filter %.c,$(libsn_la_SOURCES)))
fuzz_programs = $(addprefix $(fuzz_dir)/,$(FUZZ))
fuzz_run = $(PYTHON_BIN) $(srcdir)/tests/fuzz/run.py --seconds $(FUZZ_SECONDS) --jobs $(FUZZ_JOBS) --endless $(FUZZ_ENDLESS)

$(fuzz_dir)/src/%.o: $(abs_top_srcdir)/src/%.c
	$(AM_V_CC)$(MKDIR_P) $(@D) && $(FUZZ_CC) $(fuzz_cflags) -MMD -MP -c $< -o $@

$(fuzz_dir)/libfuzz.a: $(fuzz_objects)
	$(AM_V_GEN)rm -f $@ && ar rcs $@ $(fuzz_objects)

$(fuzz_dir)/fuzz_%: $(abs_top_srcdir)/tests/fuzz/fuzz_%.c $(fuzz_main) $(fuzz_dir)/libfuzz.a
	$(AM_V_CCLD)$(FUZZ_CC) $(fuzz_cflags) $(fuzz_link) $< $(fuzz_main) -o $@ \
		$(fuzz_dir)/libfuzz.a $(libsn_la_LIBADD)

-include $(wildcard $(fuzz_dir)/src/*/*.d $(fuzz_dir)/src/*/*/*.d)

fuzz: $(fuzz_programs)
	@$(fuzz_run) $(fuzz_programs)

# The inputs of fuzz-build/corpus that reach what no seed does become seeds.
fuzz-seeds: $(fuzz_programs)
	@$(fuzz_run) --merge $(fuzz_programs)

# The lines of the parsers that no seed reaches.
fuzz-coverage:
	@$(MAKE) fuzz-coverage-run fuzz_dir=fuzz-cov fuzz_flags='-fprofile-instr-generate -fcoverage-mapping' \
		fuzz_link= fuzz_main=$(abs_top_srcdir)/tests/fuzz/replay.c
fuzz-coverage-run: $(fuzz_programs)
	@$(fuzz_run) --coverage $(fuzz_programs)

fuzz-list:
	@echo $(FUZZ) | tr ' ' '\n'

fuzz-clean:
	rm -rf fuzz-build fuzz-cov
clean-local: fuzz-clean
.PHONY: fuzz fuzz-seeds fuzz-coverage fuzz-coverage-run fuzz-list fuzz-clean
