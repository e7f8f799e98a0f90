SN_SOURCES += src/queue/ring.h
