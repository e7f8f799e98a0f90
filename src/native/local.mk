SN_SOURCES += \
	src/native/cgi_head.c src/native/cgi_head.h \
	src/native/fcgx.c \
	src/native/json_check.c \
	src/native/native.c src/native/native.h \
	src/native/native_priv.h \
	src/native/request_api.c \
	src/native/response_api.c
include_HEADERS += include/snacgi.h include/snacgi-fcgx.h
dist_man_MANS += man/snacgi.3
