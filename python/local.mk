# The package users import, installed where only the daemon and a .pth file look,
# so that adding it to a venv's path brings nothing else along.
snacgipydir = $(pkgpylibdir)/snacgi
dist_snacgipy_DATA = python/snacgi/__init__.py
snaxumpydir = $(pkgpylibdir)/snaxum
dist_snaxumpy_DATA = python/snaxum/__init__.py
