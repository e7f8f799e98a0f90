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

# Whole services; tests/examples asks them.
EXTRA_DIST += \
	examples/todo/README.md \
	examples/todo/conftest.py \
	examples/todo/snacgi.conf \
	examples/todo/test_todo.py \
	examples/todo/todo.py
