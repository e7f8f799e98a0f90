dist_man_MANS += man/snacgi.8 man/snacgi-python.7
dist_doc_DATA = README.md CHANGES doc/architecture.md doc/front-servers.md doc/performance.md doc/bench.svg doc/scale.svg \
	doc/reliability.md

# The table of front servers, from the data that their tests assert.
doc-tables:
	$(PYTHON_BIN) $(srcdir)/tests/servers/table.py --write $(srcdir)/doc/front-servers.md
.PHONY: doc-tables
dist_doc_DATA += doc/tutorial.md doc/from-flask.md doc/starting.md doc/python-dependencies.md
