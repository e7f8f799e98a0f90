# The C examples, built in the tree for the demo and the tests; examples/c/Makefile builds
# the same files against an installed snacgi.
dist_noinst_DATA += examples/c/Makefile examples/c/README.md

noinst_LTLIBRARIES += examples/c/demo_native.la
examples_c_demo_native_la_SOURCES = examples/c/module.c examples/c/echo-fcgx.c
examples_c_demo_native_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath /nonexistent
examples_c_demo_native_la_LIBADD = $(JSONC_LIBS) $(FCGI_LIBS)

noinst_DATA += examples/c/demo_native.so
examples/c/demo_native.so: examples/c/demo_native.la
	$(AM_V_at)rm -f $@ && $(LN_S) .libs/demo_native.so $@
CLEANFILES += examples/c/demo_native.so

check_PROGRAMS += examples/c/hello examples/c/embed
examples_c_hello_SOURCES = examples/c/hello.c
examples_c_hello_LDADD = libsnacgi.la
examples_c_embed_SOURCES = examples/c/embed.c
examples_c_embed_LDADD = libsnacgi.la

# Endpoints in Python, for the demo.
dist_noinst_DATA += examples/python/app.py

# Whole services, installed to be read; tests/examples asks them.
todoexampledir = $(docdir)/examples/todo
dist_todoexample_DATA = \
	examples/todo/README.md \
	examples/todo/conftest.py \
	examples/todo/snacgi.conf \
	examples/todo/test_todo.py \
	examples/todo/todo.py
analysisexampledir = $(docdir)/examples/analysis
dist_analysisexample_DATA = \
	examples/analysis/Makefile \
	examples/analysis/README.md \
	examples/analysis/analysis.py \
	examples/analysis/conftest.py \
	examples/analysis/mypy.ini \
	examples/analysis/smooth.c \
	examples/analysis/snacgi.conf \
	examples/analysis/test_analysis.py \
	examples/analysis/test_smooth.py

noinst_LTLIBRARIES += examples/analysis/smooth.la
examples_analysis_smooth_la_SOURCES = examples/analysis/smooth.c
examples_analysis_smooth_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath /nonexistent
examples_analysis_smooth_la_LIBADD = $(JSONC_LIBS)

noinst_DATA += examples/analysis/smooth.so
examples/analysis/smooth.so: examples/analysis/smooth.la
	$(AM_V_at)rm -f $@ && $(LN_S) .libs/smooth.so $@
CLEANFILES += examples/analysis/smooth.so
