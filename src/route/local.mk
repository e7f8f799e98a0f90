SN_CORE_SOURCES += \
	src/route/convert.c src/route/convert.h \
	src/route/matcher.c src/route/matcher.h \
	src/route/router.c src/route/router.h \
	src/route/rule.c src/route/rule.h \
	src/route/segment.c \
	src/route/variable.c
