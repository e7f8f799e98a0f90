# The core is built twice: into the daemon, and as the extension _snacgi.
SN_PYCORE_SOURCES += \
	src/pyrt/core/core.h \
	src/pyrt/py.h

SN_SOURCES += \
	src/pyrt/pyrt.h
