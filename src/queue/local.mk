SN_SOURCES += src/queue/ring.c src/queue/ring.h
