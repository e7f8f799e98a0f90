# SPDX-License-Identifier: MIT
# SN_PYTHON_BINARY
# The interpreter that belongs to the linked libpython. The python3 that is
# first on PATH may be another build (pyenv, conda), so it is looked for where
# pkg-config says libpython lives; --with-python=BINARY overrides, and a binary
# of another version or prefix is refused.
AC_DEFUN([SN_PYTHON_BINARY], [
  PYTHON_VERSION=`$PKG_CONFIG --modversion python3-embed`
  sn_py_prefix=`$PKG_CONFIG --variable=exec_prefix python3-embed`
  AC_ARG_WITH([python],
    [AS_HELP_STRING([--with-python=BINARY], [the interpreter of the linked libpython (default: found beside it)])],
    [PYTHON_BIN=$withval],
    [PYTHON_BIN=$sn_py_prefix/bin/python$PYTHON_VERSION])
  AC_MSG_CHECKING([for the interpreter of libpython $PYTHON_VERSION])
  AS_IF([test ! -x "$PYTHON_BIN"],
    [AC_MSG_ERROR([$PYTHON_BIN does not exist; on Debian: apt-get install python3, or name it with --with-python=BINARY])])
  sn_py_found=`"$PYTHON_BIN" -S -c 'import sys; print("%d.%d" % sys.version_info[[:2]], sys.base_prefix)' 2>/dev/null`
  AS_IF([test "x$sn_py_found" != "x$PYTHON_VERSION $sn_py_prefix"],
    [AC_MSG_ERROR([$PYTHON_BIN is Python and prefix '$sn_py_found', but the libpython to link is '$PYTHON_VERSION $sn_py_prefix'; give the matching one with --with-python=BINARY, or set PKG_CONFIG_PATH to the libpython of the one you want])])
  AC_MSG_RESULT([$PYTHON_BIN])
  AC_SUBST([PYTHON_BIN])
  AC_SUBST([PYTHON_VERSION])
])
