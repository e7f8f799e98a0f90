SN_SOURCES += \
	src/conf/address.c src/conf/address.h \
	src/conf/conf.c src/conf/conf.h src/conf/conf_priv.h \
	src/conf/file.c \
	src/conf/listen.c \
	src/conf/proxy.c \
	src/conf/scan.c \
	src/conf/schema.c
dist_man_MANS += man/snacgi.conf.5
