# The core is built twice: into the daemon, and as the extension _snacgi.
SN_PYCORE_SOURCES += \
	src/pyrt/core/answer.c \
	src/pyrt/core/core.h \
	src/pyrt/core/core_priv.h \
	src/pyrt/core/drain.c \
	src/pyrt/core/exc.c \
	src/pyrt/core/file.c \
	src/pyrt/core/hdrlist.c \
	src/pyrt/core/headers.c \
	src/pyrt/core/input.c \
	src/pyrt/core/json.c \
	src/pyrt/core/jsonparse.c src/pyrt/core/jsonparse.h \
	src/pyrt/core/jsonread.c \
	src/pyrt/core/jsoncopy_priv.h src/pyrt/core/jsontext_priv.h \
	src/pyrt/core/match.c \
	src/pyrt/core/module.c \
	src/pyrt/core/reqaddr.c \
	src/pyrt/core/reqfields.c \
	src/pyrt/core/reqnew.c \
	src/pyrt/core/request.c \
	src/pyrt/core/response.c \
	src/pyrt/core/stream.c \
	src/pyrt/py.h

SN_SOURCES += \
	src/pyrt/pyrt.h \
	src/pyrt/pyrt_priv.h \
	src/pyrt/futex.h \
	src/pyrt/aio.c src/pyrt/aio.h src/pyrt/aio_priv.h \
	src/pyrt/aio_stream.c \
	src/pyrt/dispatch.c src/pyrt/dispatch.h src/pyrt/dispatch_priv.h \
	src/pyrt/enforce.c src/pyrt/enforce.h \
	src/pyrt/interp.c src/pyrt/interp.h \
	src/pyrt/modules.c src/pyrt/modules.h \
	src/pyrt/pyrt.c \
	src/pyrt/routes.c src/pyrt/routes.h \
	src/pyrt/streams.c \
	src/pyrt/stuck.c \
	src/pyrt/venv.c src/pyrt/venv.h
