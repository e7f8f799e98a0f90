SN_SOURCES += src/transport/wire.h
