SN_SOURCES += \
	src/transport/fastcgi.c \
	src/transport/scgi.c \
	src/transport/wire.c src/transport/wire.h
