dist_man_MANS += man/snacgi.8 man/snacgi-python.7
dist_doc_DATA = README.md CHANGES doc/architecture.md
