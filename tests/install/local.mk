# make installcheck, which distcheck runs as well: what was installed is used as users do.
EXTRA_DIST += tests/install/run tests/install/debian.sh tests/install/test_installed.py \
	tests/install/tools.py tests/install/container.py debian

installcheck-local:
	SN_PYTHON='$(PYTHON_BIN)' SN_AT_BIN='$(DESTDIR)$(bindir)' SN_AT_LIB='$(DESTDIR)$(libdir)' \
	SN_AT_INCLUDE='$(DESTDIR)$(includedir)' SN_AT_MAN='$(DESTDIR)$(mandir)' SN_AT_DOC='$(DESTDIR)$(docdir)' \
	SN_AT_UNITS='$(DESTDIR)$(systemdsystemunitdir)' SN_AT_PYTHON='$(DESTDIR)$(pkgpylibdir)' \
	SN_AT_TEMPLATES='$(DESTDIR)$(templatedir)' SN_AT_SOURCE='$(abs_top_srcdir)' \
		$(srcdir)/tests/install/run

# The container's recipe, line by line, in trees made by debootstrap: root, and Debian's archive.
check-container: dist
	@PYTHONDONTWRITEBYTECODE=1 $(PYTHON_BIN) $(srcdir)/tests/install/container.py $(distdir).tar.xz
.PHONY: check-container
