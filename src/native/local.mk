SN_SOURCES += src/native/native.h
include_HEADERS += include/snacgi.h
