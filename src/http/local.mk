SN_CORE_SOURCES += \
	src/http/accept.c \
	src/http/arena.c src/http/arena.h \
	src/http/body.c src/http/body.h \
	src/http/endpoint.h \
	src/http/errpage.c \
	src/http/instream.c src/http/instream.h \
	src/http/method.c src/http/method.h \
	src/http/params.c src/http/params.h \
	src/http/path.c src/http/path.h \
	src/http/query.c src/http/query.h \
	src/http/request.c src/http/request.h \
	src/http/response.c src/http/response.h \
	src/http/proxy.c src/http/proxy.h \
	src/http/sink.h \
	src/http/slash.c src/http/slash.h \
	src/http/status.c src/http/status.h
