# The library is everything but main.c; unit tests link its convenience form,
# whose symbols are not hidden from them.
noinst_LTLIBRARIES += libsn.la
libsn_la_SOURCES = $(SN_CORE_SOURCES) $(SN_SOURCES) $(SN_PYCORE_SOURCES)
libsn_la_CPPFLAGS = $(AM_CPPFLAGS) -DSN_PYTHON_BIN='"$(PYTHON_BIN)"' -DSN_PKGPYLIBDIR='"$(pkgpylibdir)"' \
	-DSN_TEMPLATEDIR='"$(templatedir)"'
libsn_la_LIBADD = $(JSONC_LIBS) $(CONFIG_LIBS) $(PYTHON_LIBS) $(FCGI_LIBS) $(SYSTEMD_LIBS) -lpthread -ldl -lm

lib_LTLIBRARIES += libsnacgi.la
libsnacgi_la_SOURCES =
libsnacgi_la_LIBADD = libsn.la
libsnacgi_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -export-symbols-regex '^sn_' -Wl,--no-undefined-version

pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = src/snacgi.pc

bin_PROGRAMS += src/snacgi
src_snacgi_SOURCES = src/main.c
src_snacgi_LDADD = libsnacgi.la
src_snacgi_LDFLAGS = $(AM_LDFLAGS) $(SN_PIE_LDFLAGS)

# The same core as an extension module for plain Python: test client, pool
# workers. Never sanitized: it is loaded by an unsanitized python3.
pkgpylib_LTLIBRARIES = python/_snacgi.la
python__snacgi_la_SOURCES = $(SN_CORE_SOURCES) $(SN_PYCORE_SOURCES)
python__snacgi_la_CPPFLAGS = $(AM_CPPFLAGS)
python__snacgi_la_CFLAGS = $(SN_CFLAGS) $(PYTHON_CFLAGS)
python__snacgi_la_LIBADD = -lm
python__snacgi_la_LDFLAGS = -module -avoid-version -shared $(SN_HARDEN_LDFLAGS) -export-symbols-regex '^PyInit__snacgi$$'

# Importable from the build tree as well.
all-local: python/_snacgi.so
python/_snacgi.so: python/_snacgi.la
	$(AM_V_at)rm -f $@ && $(LN_S) .libs/_snacgi.so $@
CLEANFILES += python/_snacgi.so
