# The package users import, installed where only the daemon looks (plain Python finds it by
# PYTHONPATH), so that adding it to a venv's path brings nothing else along.
snacgipydir = $(pkgpylibdir)/snacgi
dist_snacgipy_DATA = \
	python/snacgi/__init__.py \
	python/snacgi/_background.py \
	python/snacgi/_bind.py \
	python/snacgi/_blueprint.py \
	python/snacgi/_appcontext.py \
	python/snacgi/_appjson.py \
	python/snacgi/_config.py \
	python/snacgi/_convert.py \
	python/snacgi/_dates.py \
	python/snacgi/_describe.py \
	python/snacgi/_docs.html \
	python/snacgi/_docs.py \
	python/snacgi/_conditional.py \
	python/snacgi/_files.py \
	python/snacgi/_forms.py \
	python/snacgi/_globals.py \
	python/snacgi/_helpers.py \
	python/snacgi/_hooks.py \
	python/snacgi/_json.py \
	python/snacgi/_life.py \
	python/snacgi/_liferun.py \
	python/snacgi/_datastructures.py \
	python/snacgi/_models.py \
	python/snacgi/_newrequest.py \
	python/snacgi/_openapi.py \
	python/snacgi/_params.py \
	python/snacgi/_reqmore.py \
	python/snacgi/_respmore.py \
	python/snacgi/_routing.py \
	python/snacgi/_rules.py \
	python/snacgi/routing.py \
	python/snacgi/_schema.py \
	python/snacgi/_signature.py \
	python/snacgi/_sse.py \
	python/snacgi/_streaming.py \
	python/snacgi/_testrequest.py \
	python/snacgi/_typed.py \
	python/snacgi/_teststream.py \
	python/snacgi/testing.py \
	python/snacgi/_url.py \
	python/snacgi/_version.py \
	python/snacgi/exceptions.py \
	python/snacgi/py.typed
snaxumpydir = $(pkgpylibdir)/snaxum
dist_snaxumpy_DATA = \
	python/snaxum/__init__.py \
	python/snaxum/py.typed
# The daemon's own half of the package.
dist_snacgipy_DATA += \
	python/snacgi/_loop.py \
	python/snacgi/_stacks.py \
	python/snacgi/_check.py \
	python/snacgi/_stream.py \
	python/snacgi/_pool.py \
	python/snacgi/_poolproc.py \
	python/snacgi/_poolwork.py \
	python/snacgi/_runtime.py \
	python/snacgi/_warm.py
dist_pkgpylib_DATA = python/_snacgi.pyi
# The commands for who develops an application.
snacgicommandspydir = $(pkgpylibdir)/snacgi/_commands
dist_snacgicommandspy_DATA = \
	python/snacgi/_commands/__init__.py \
	python/snacgi/_commands/__main__.py \
	python/snacgi/_commands/daemon.py \
	python/snacgi/_commands/dev.py \
	python/snacgi/_commands/fastcgi.py \
	python/snacgi/_commands/front.py \
	python/snacgi/_commands/new.py \
	python/snacgi/_commands/request.py \
	python/snacgi/_commands/shell.py \
	python/snacgi/_commands/watch.py

# Python keeps its bytecode beside the modules as soon as somebody who may write there runs it.
uninstall-hook:
	rm -rf '$(DESTDIR)$(snacgipydir)/__pycache__' '$(DESTDIR)$(snaxumpydir)/__pycache__' \
		'$(DESTDIR)$(snacgicommandspydir)/__pycache__'
	-for sn_dir in '$(snacgicommandspydir)' '$(snacgipydir)' '$(snaxumpydir)' '$(pkgpylibdir)' '$(pkglibdir)'; do \
		rmdir "$(DESTDIR)$$sn_dir" 2>/dev/null; done; true
