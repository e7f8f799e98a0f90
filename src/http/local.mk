SN_CORE_SOURCES += \
	src/http/body.h src/http/endpoint.h src/http/method.h src/http/params.h src/http/path.h \
	src/http/query.h src/http/request.h src/http/response.h src/http/sink.h src/http/status.h
