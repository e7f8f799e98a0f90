#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is missing, builds out of tree, runs every test.
#   ./test.sh [--with CC] [--sanitize | --tsan] [--basic] [--build-dir DIR]
# --with clang     another compiler      --sanitize   ASan and UBSan
# --basic          unit tests, and the basic part of the integration tests only
# --tsan           ThreadSanitizer; what it may not report is in tests/tsan.supp
# The last line is "N passed, N failed"; the exit status is 0 when nothing failed.
set -u
sn_top=$(cd "$(dirname "$0")" && pwd)
. "$sn_top/tests/setup-debian.sh"

compiler= sanitize= tsan= basic= dir=
while [ $# -gt 0 ]; do
	case $1 in
	--with) compiler=${2:?--with needs a compiler}; shift ;;
	--sanitize) sanitize=yes ;;
	--tsan) tsan=yes ;;
	--basic) basic=yes ;;
	--build-dir) dir=${2:?--build-dir needs a directory}; shift ;;
	-h | --help) sed -n '3,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
	*) sn_say "test.sh: $1 is not known; see ./test.sh --help"; exit 2 ;;
	esac
	shift
done

lost()
{
	sn_say "test.sh: $1"
	[ ! -s "${dir:-}/build.log" ] || tail -n 40 "$dir/build.log" >&2
	echo "0 passed, 1 failed"
	exit 1
}

: "${dir:=$sn_top/build-test${compiler:+-$compiler}${sanitize:+-sanitize}${tsan:+-tsan}}"
groups="build test"
case $compiler in
clang*) groups="$groups ci" ;;
esac
# shellcheck disable=SC2086 # a list of words
sn_install $groups || lost "packages are missing"
if [ -n "$compiler" ]; then
	CC=$compiler
	export CC
fi
set -- --enable-developer-warnings
# Without libsystemd it is our own code that notifies: that is what to look at closely.
[ -z "$sanitize" ] || set -- "$@" --enable-asan --enable-ubsan --without-systemd
[ -z "$tsan" ] || set -- "$@" --enable-tsan
sn_say "Building in $dir"
sn_build "$dir" "$@" || lost "the build failed; its log is $dir/build.log"

if [ -n "$sanitize" ]; then
	# The interpreter leaves memory to the end of its process; leaks are looked for where there is
	# none, by make check-valgrind.
	: "${ASAN_OPTIONS:=detect_leaks=0:detect_stack_use_after_return=0:allocator_may_return_null=1}"
	: "${UBSAN_OPTIONS:=print_stacktrace=1:halt_on_error=1}"
	export ASAN_OPTIONS UBSAN_OPTIONS
fi
if [ -n "$tsan" ]; then
	: "${TSAN_OPTIONS:=halt_on_error=1:second_deadlock_stack=1:suppressions=$sn_top/tests/tsan.supp}"
	export TSAN_OPTIONS
fi
if [ -n "$basic" ]; then
	SN_BASIC=1
	export SN_BASIC
fi
sn_say "Testing; the log is $dir/check.log"
make -C "$dir" -j"$(nproc 2>/dev/null || echo 2)" -k check >"$dir/check.log" 2>&1
status=$?

# automake's own count. A skipped test did not run: it failed.
count()
{
	awk -v what="$1" '$1 == "#" && $2 == what ":" { n += $3 } END { print n + 0 }' "$dir/check.log"
}
passed=$(($(count PASS) + $(count XFAIL)))
failed=$(($(count FAIL) + $(count XPASS) + $(count ERROR) + $(count SKIP)))
if [ $status != 0 ] || [ $failed != 0 ]; then
	# What failed, and what each of them said.
	grep -E '^(FAIL|ERROR|XPASS|SKIP): ' "$dir/check.log" | sort -u | head -n 60 >&2
	for log in $(find "$dir/tests" -name '*.log' | sort); do
		awk '/^not ok/ { show = 40 } /^ok / { show = 0 } show-- > 0' "$log"
	done | head -n 300 >&2
	[ $failed != 0 ] || { tail -n 40 "$dir/check.log" >&2; failed=1; }
fi
# Passed at the second try only (SN_RERUNS): a bug in the test, or in what it tests.
unsteady=$(find "$dir/tests" -name '*.log' -exec sed -n 's/^# unsteady: //p' {} + | sort -u)
[ -z "$unsteady" ] || sn_say "Unsteady, passed at the second try: $unsteady"
[ $((passed + failed)) != 0 ] || failed=1
echo "$passed passed, $failed failed"
[ $failed = 0 ]
