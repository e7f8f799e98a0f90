SN_CORE_SOURCES += \
	src/base/buf.c src/base/buf.h \
	src/base/clock.h \
	src/base/err.c src/base/err.h \
	src/base/hex.h \
	src/base/log.c src/base/log.h \
	src/base/number.c src/base/number.h src/base/pow10_priv.h \
	src/base/vec.h
SN_SOURCES += src/base/board.c src/base/board.h
