SN_CORE_SOURCES += src/route/matcher.h src/route/router.h
