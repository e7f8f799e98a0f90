# SPDX-License-Identifier: MIT
# What test.sh and demo.sh need on Debian, in one place. Sourced, not run:
#   . tests/setup-debian.sh; sn_install build test

# To build: `apt-get install` of these is what README tells.
SN_DEBIAN_BUILD="gcc libc6-dev make autoconf automake libtool pkg-config
	python3 python3-dev libfcgi-dev libjson-c-dev libconfig-dev"
# To be shown around.
SN_DEBIAN_DEMO="nginx-light curl python3-numpy python3-pandas python3-werkzeug"
# To be tested.
SN_DEBIAN_TEST="libcmocka-dev python3-pytest python3-pytest-xdist python3-pytest-rerunfailures python3-hypothesis
	libsystemd-dev apache2 libapache2-mod-fcgid lighttpd
	python3-numpy python3-pandas python3-pydantic python3-jsonschema python3-werkzeug libfcgi-bin spawn-fcgi systemd nginx-light caddy haproxy curl
	mandoc mypy xz-utils procps"
# What .ci/run needs beside these.
SN_DEBIAN_CI="clang llvm libclang-rt-dev valgrind
	debhelper dpkg-dev lintian python3-venv debootstrap"

sn_say()
{
	printf '%s\n' "$*" >&2
}

# sn_missing PACKAGE...: those that are not installed.
sn_missing()
{
	for sn_one in "$@"; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$sn_one" 2>/dev/null) in
		installed) ;;
		*)
			# Another package may stand in for it: nginx-light has siblings.
			if [ "$sn_one" = nginx-light ] && PATH=$PATH:/usr/sbin command -v nginx >/dev/null; then
				continue
			fi
			printf '%s ' "$sn_one" ;;
		esac
	done
}

# sn_install GROUP...: installs what is missing of build, demo, test, ci.
sn_install()
{
	sn_wanted=
	for sn_group in "$@"; do
		case $sn_group in
		build) sn_wanted="$sn_wanted $SN_DEBIAN_BUILD" ;;
		demo) sn_wanted="$sn_wanted $SN_DEBIAN_DEMO" ;;
		test) sn_wanted="$sn_wanted $SN_DEBIAN_TEST" ;;
		ci) sn_wanted="$sn_wanted $SN_DEBIAN_CI" ;;
		*) sn_say "sn_install: no group $sn_group"; return 1 ;;
		esac
	done
	if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
		sn_say "This is not Debian: nothing is installed. Needed are, by Debian's names:"
		sn_say "  "$sn_wanted
		return 0
	fi
	# shellcheck disable=SC2086 # a list of words
	sn_need=$(sn_missing $sn_wanted)
	[ -n "$sn_need" ] || return 0
	sn_root=
	if [ "$(id -u)" != 0 ]; then
		if ! command -v sudo >/dev/null; then
			sn_say "Missing packages, and this is neither root nor is there sudo. As root:"
			sn_say "  apt-get install --no-install-recommends $sn_need"
			return 1
		fi
		sn_root=sudo
	fi
	sn_say "Installing: $sn_need"
	# Debian starts a server that it installs; those here are only run by us. A
	# policy of the machine's own is left alone.
	sn_policy=/usr/sbin/policy-rc.d
	sn_ours=
	case $sn_need in
	*nginx* | *haproxy* | *apache2* | *lighttpd* | *caddy*) [ -e "$sn_policy" ] || sn_ours=$sn_policy ;;
	esac
	sn_undo=true
	if [ -n "$sn_ours" ]; then
		printf '#!/bin/sh\nexit 101\n' | $sn_root tee "$sn_policy" >/dev/null && $sn_root chmod 755 "$sn_policy"
		sn_undo="$sn_root rm -f $sn_policy"
		# shellcheck disable=SC2064 # as it is now
		trap "$sn_undo" EXIT
	fi
	sn_result=0
	# shellcheck disable=SC2086 # lists of words
	{
		$sn_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $sn_need >&2 || {
			# Lists that are old, or not there yet.
			$sn_root apt-get -q update >&2
			$sn_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $sn_need >&2
		}
	} || sn_result=1
	$sn_undo
	[ -z "$sn_ours" ] || trap - EXIT
	[ $sn_result = 0 ] || sn_say "apt-get could not install: $sn_need"
	return $sn_result
}

# sn_build DIR CONFIGURE-OPTION...: configures out of tree where needed, and builds. The
# compiler is CC's. Says little; the log is DIR/build.log.
sn_build()
{
	sn_dir=$1
	shift
	mkdir -p "$sn_dir"
	sn_log=$sn_dir/build.log
	sn_jobs=$(nproc 2>/dev/null || echo 2)
	: >"$sn_log"
	{
		# Anew when there is none yet or what makes it has changed.
		if [ ! -x "$sn_top/configure" ] || [ ! -e "$sn_top/Makefile.in" ] ||
			[ -n "$(find "$sn_top" \( -name .git -o -name 'build*' \) -prune -o \
				\( -name '*.ac' -o -name '*.am' -o -name local.mk -o -name '*.m4' -path '*/m4/sn_*' \) \
				-newer "$sn_top/configure" -print)" ]; then
			"$sn_top/autogen.sh" || return 1
		fi
		sn_options="$* CC=${CC:-} CFLAGS=${CFLAGS:-}"
		if [ ! -e "$sn_dir/config.status" ] || [ "$sn_top/configure" -nt "$sn_dir/config.status" ] ||
			[ "$(cat "$sn_dir/.options" 2>/dev/null)" != "$sn_options" ]; then
			(cd "$sn_dir" && "$sn_top/configure" "$@") || return 1
			printf '%s\n' "$sn_options" >"$sn_dir/.options"
		fi
		make -C "$sn_dir" -j"$sn_jobs" || return 1
	} >>"$sn_log" 2>&1
}
