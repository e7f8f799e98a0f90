SN_SOURCES += src/conf/conf.h
