# make check-perf: instructions a request against a baseline. Not in `make check`: it takes a
# minute, and a build with other options or sanitizers has other counts.
EXTRA_DIST += tests/perf/counts.py tests/perf/baseline.json tests/perf/app/app.py
perf_counts = $(PYTHON_BIN) $(srcdir)/tests/perf/counts.py --build . --cc '$(CC)' --cflags '$(CFLAGS)'
perf_programs = bench/table$(EXEEXT) bench/snacgi-bench$(EXEEXT) src/snacgi$(EXEEXT) python/_snacgi.so
check-perf: $(perf_programs)
	@$(perf_counts)
# After a change that is worth its price; commit the file with it.
check-perf-baseline: $(perf_programs)
	@$(perf_counts) --update
.PHONY: check-perf check-perf-baseline
