# make check-extra: the package with what PyPI has (pydantic 2, msgspec, polars, orjson, uvloop, Flask), in a
# virtual environment of the build tree. Not in `make check`: it needs a network.
dist_check_SCRIPTS += tests/extra/run
EXTRA_DIST += tests/extra/requirements.txt tests/extra/test_flask.py tests/extra/test_flask_columns.py tests/extra/test_json.py \
	tests/extra/test_typed.py tests/extra/test_uvloop.py
check-extra: src/snacgi$(EXEEXT) python/_snacgi.so tests/integration/native_endpoints.la
	@SN_PYTHON=$(PYTHON_BIN) SN_TOP_SRCDIR=$(abs_top_srcdir) SN_TOP_BUILDDIR=$(abs_top_builddir) $(srcdir)/tests/extra/run
.PHONY: check-extra
