#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes ./configure from configure.ac. Needs autoconf, automake and libtool.
set -eu
cd "$(dirname "$0")"
for tool in autoreconf automake libtoolize; do
    command -v "$tool" >/dev/null 2>&1 || {
        echo "autogen.sh: $tool is missing; on Debian: apt-get install autoconf automake libtool" >&2
        exit 1
    }
done
mkdir -p m4 build-aux
exec autoreconf --install --force --warnings=all,no-obsolete
