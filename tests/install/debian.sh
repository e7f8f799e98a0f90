#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the Debian package out of a distribution tarball, lets lintian look at it,
# installs it, runs the tests of an installed snacgi on it and purges it again:
#   tests/install/debian.sh snacgi-VERSION.tar.xz
# Without root it is unpacked and looked at only. The last line is "N passed, N failed".
set -u
here=$(cd "$(dirname "$0")" && pwd)
tarball=$(realpath "$1")
work=$(mktemp -d)
passed=0 failed=0
installed=
trap '[ -z "$installed" ] || dpkg --purge snacgi libsnacgi-dev >/dev/null 2>&1; rm -rf "$work"' EXIT

# part NAME COMMAND...
part()
{
	name=$1
	shift
	if "$@" >"$work/log" 2>&1; then
		passed=$((passed + 1))
		echo "ok - $name"
	else
		failed=$((failed + 1))
		echo "not ok - $name"
		tail -n 60 "$work/log" >&2
	fi
}

finish()
{
	echo "$passed passed, $failed failed"
	[ $failed = 0 ]
	exit
}

build()
{
	tar -C "$work" -xf "$tarball" && cd "$work"/snacgi-*/ &&
		dpkg-buildpackage -us -uc -b "-j$(nproc 2>/dev/null || echo 2)"
}

# Errors and warnings; what is accepted is explained in debian/*.lintian-overrides.
look()
{
	lintian --fail-on error,warning --tag-display-limit 0 "$work"/snacgi_*.changes
}

put()
{
	installed=yes
	dpkg -i "$work"/snacgi_[0-9]*.deb "$work"/libsnacgi-dev_*.deb
}

serve()
{
	multi=$(dpkg-architecture -q DEB_HOST_MULTIARCH)
	SN_AT_BIN=/usr/bin SN_AT_LIB=/usr/lib/$multi SN_AT_INCLUDE=/usr/include SN_AT_MAN=/usr/share/man \
		SN_AT_DOC=/usr/share/doc/snacgi SN_AT_UNITS=/lib/systemd/system \
		SN_AT_PYTHON=/usr/lib/$multi/snacgi/python SN_AT_TEMPLATES=/usr/share/snacgi/deploy \
		SN_AT_SOURCE=$(echo "$work"/snacgi-*/) "$here/run"
}

away()
{
	dpkg -L snacgi libsnacgi-dev | sort -u >"$work/files"
	dpkg --purge libsnacgi-dev snacgi || return 1
	installed=
	left=$(grep snacgi "$work/files" | while read -r one; do [ ! -e "$one" ] || echo "$one"; done)
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

part "the package builds" build
[ $failed = 0 ] || finish
part "lintian" look
if [ "$(id -u)" = 0 ] && ! dpkg-query -W snacgi >/dev/null 2>&1; then
	part "it is installed" put
	part "what is installed works" serve
	part "it is purged without a trace" away
else
	echo "# not root, or a snacgi is installed: only unpacked"
	part "it is unpacked" dpkg-deb -x "$work"/snacgi_[0-9]*.deb "$work/tree"
	part "it has the program" test -x "$work/tree/usr/bin/snacgi"
fi
finish
