# SPDX-License-Identifier: MIT
# SN_TRY_CFLAG(VARIABLE, FLAG), SN_TRY_LDFLAG(VARIABLE, FLAG)
# Appends FLAG to VARIABLE when the compiler takes it without a word.
AC_DEFUN([SN_TRY_CFLAG], [
  AC_MSG_CHECKING([whether $CC takes $2])
  sn_saved_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $2"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])], [$1="$$1 $2"; AC_MSG_RESULT([yes])], [AC_MSG_RESULT([no])])
  CFLAGS=$sn_saved_CFLAGS])

AC_DEFUN([SN_TRY_LDFLAG], [
  AC_MSG_CHECKING([whether the linker takes $2])
  sn_saved_LDFLAGS=$LDFLAGS sn_saved_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS $SN_HARDEN_CFLAGS" LDFLAGS="$LDFLAGS $2"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [$1="$$1 $2"; AC_MSG_RESULT([yes])], [AC_MSG_RESULT([no])])
  CFLAGS=$sn_saved_CFLAGS LDFLAGS=$sn_saved_LDFLAGS])
