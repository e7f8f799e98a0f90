#!/bin/sh
# SPDX-License-Identifier: MIT
# <snacgi-fcgx.h>: what would accept, finish or listen does not compile, and says why;
# what handlers use does.
set -u
src=${SN_TOP_SRCDIR:-.}
cc=${CC:-cc}
n=0
failed=0

# compiles WANTED CODE WORDS: WANTED is yes or no; the compiler's words must hold WORDS.
compiles() {
    n=$((n + 1))
    if text=$(printf '#include <snacgi-fcgx.h>\nint f(FCGX_Stream *s, FCGX_Request *r);\nint f(FCGX_Stream *s, FCGX_Request *r) { (void)s; (void)r; %s; return 0; }\n' "$2" |
        LC_ALL=C $cc -Wall -Wextra -Werror -Wno-error=attributes -O1 -I"$src/include" -x c -c -o /dev/null - 2>&1); then
        got=yes
    else
        got=no
    fi
    case "$got $text" in
    "$1 "*"$3"*) echo "ok $n - $2" ;;
    *)
        echo "not ok $n - $2"
        echo "$text" | sed 's/^/# /'
        failed=1
        ;;
    esac
}

echo 1..17
compiles yes 'FCGX_SetExitStatus(1, s)' ''
compiles yes 'FCGX_StartFilterData(s)' ''
compiles yes 'if (FCGX_IsCGI()) return 1' ''
compiles yes 'FCGX_PutS("x", s); FCGX_FFlush(s); FCGX_FClose(s)' ''
compiles no 'FCGX_Accept_r(r)' 'snacgi accepts requests'
compiles no 'FCGX_Accept(&s, &s, &s, 0)' 'snacgi accepts requests'
compiles no 'FCGX_Init()' 'snacgi accepts requests'
compiles no 'FCGX_InitRequest(r, 0, 0)' 'snacgi accepts requests'
compiles no 'FCGX_Attach(r)' 'snacgi accepts requests'
compiles no 'FCGX_Detach(r)' 'snacgi accepts requests'
compiles no 'FCGX_Finish()' 'snacgi ends requests'
compiles no 'FCGX_Finish_r(r)' 'snacgi ends requests'
compiles no 'FCGX_Free(r, 1)' 'snacgi ends requests'
compiles no 'FCGX_ShutdownPending()' 'snacgi ends requests'
compiles no 'FCGX_OpenSocket(":1", 1)' 'snacgi opens sockets'
compiles no 'FCGX_CreateWriter(0, 1, 1, 1)' 'snacgi makes the streams'
compiles no 'FCGX_FreeStream(&s)' 'snacgi makes the streams'
exit $failed
