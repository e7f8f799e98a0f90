#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is missing, builds, and serves endpoints in C and in Python side by side
# behind a real nginx, unprivileged, on a free port. Ctrl-C stops both.
#   ./demo.sh [--once] [--build-dir DIR]
# --once: asks every kind of endpoint one question, prints the answers, and stops; the exit
# status is 0 when all of them were right.
set -u
sn_top=$(cd "$(dirname "$0")" && pwd)
. "$sn_top/tests/setup-debian.sh"

once= build=$sn_top/build
while [ $# -gt 0 ]; do
	case $1 in
	--once) once=yes ;;
	--build-dir) build=${2:?--build-dir needs a directory}; shift ;;
	-h | --help) sed -n '3,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
	*) sn_say "demo.sh: $1 is not known; see ./demo.sh --help"; exit 2 ;;
	esac
	shift
done
PATH=$PATH:/usr/sbin:/sbin
dir= server= nginx=

finish()
{
	trap - EXIT INT TERM HUP
	# The front server first: nobody then sees a backend that is gone.
	for pid in $nginx $server; do
		kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	[ -z "$dir" ] || rm -rf "$dir"
}

lost()
{
	sn_say "demo.sh: $1"
	[ -z "${2:-}" ] || [ ! -s "$2" ] || tail -n 30 "$2" >&2
	exit 1
}

sn_install build demo || lost "packages are missing"
sn_say "Building in $build"
sn_build "$build" || lost "the build failed; its log is $build/build.log" "$build/build.log"

dir=$(mktemp -d "${TMPDIR:-/tmp}/snacgi-demo.XXXXXX") || exit 1
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# The examples side by side; the analysis service where it has what it needs.
mkdir "$dir/python"
ln -s "$sn_top/examples/python/app.py" "$sn_top/examples/todo/todo.py" "$dir/python/"
modules="\"$build/examples/c/demo_native.so\""
analysis=
if "$(sed -n 's/^PYTHON_BIN = //p' "$build/Makefile")" -c 'import pandas, werkzeug' 2>/dev/null; then
	analysis=yes
	ln -s "$sn_top/examples/analysis/analysis.py" "$dir/python/"
	modules="$modules, \"$build/examples/analysis/smooth.so\""
fi
printf 'city,price\nBonn,500\nBonn,700\nBerlin,\n' >"$dir/flats.csv"
TODO_DATABASE=$dir/todo.db
export TODO_DATABASE

cat >"$dir/snacgi.conf" <<END
# The demo's configuration: endpoints in Python, endpoints in C.
listen = ( { protocol = "fastcgi"; address = "unix:snacgi.sock"; mode = "0660"; } );
python = { dir = "python"; dispatch_workers = 4; pool_workers = 2; };
native = { modules = [ $modules ]; };
END
# Its own process group would keep Ctrl-C away from it: nginx stops first, then this.
"$build/src/snacgi" serve -c "$dir/snacgi.conf" </dev/null >"$dir/snacgi.log" 2>&1 &
server=$!

# A port that is free now may be taken a moment later: then another one.
tries=0
while :; do
	tries=$((tries + 1))
	[ $tries -le 10 ] || lost "nginx does not start" "$dir/nginx/error.log"
	port=$((20000 + ($(date +%s) + $$ * 7 + tries * 911) % 20000))
	"$sn_top/tests/nginx-conf.sh" "$dir/nginx" $port "$dir/snacgi.sock" || lost "no configuration for nginx"
	nginx -p "$dir/nginx" -c "$dir/nginx/nginx.conf" -e "$dir/nginx/error.log" </dev/null >/dev/null 2>&1 &
	nginx=$!
	for pause in 0.1 0.2 0.5 1 2; do
		kill -0 $nginx 2>/dev/null || break
		[ ! -s "$dir/nginx/nginx.pid" ] || break 2
		sleep $pause
	done
	kill $nginx 2>/dev/null
	wait $nginx 2>/dev/null
	nginx=
done
url=http://127.0.0.1:$port

# Ready is who answers.
tries=0
until curl -s -o "$dir/answer" -w '%{http_code}' "$url/native/hello" 2>/dev/null | grep -q 200; do
	kill -0 $server 2>/dev/null || lost "snacgi ended" "$dir/snacgi.log"
	tries=$((tries + 1))
	[ $tries -lt 300 ] || lost "no answer" "$dir/snacgi.log"
	sleep 0.1
done

# ---- --once ------------------------------------------------------------------

wrong=0
# ask WHAT STATUS PATTERN CURL-ARGUMENT...
ask()
{
	what=$1 status=$2 pattern=$3
	shift 3
	got=$(curl -s -m 20 -o "$dir/answer" -w '%{http_code}' "$@")
	text=$(tr '\n' ' ' <"$dir/answer" | cut -c 1-100)
	verdict=ok
	if [ "$got" != "$status" ] || ! grep -q -e "$pattern" "$dir/answer"; then
		verdict="WRONG, wanted $status and $pattern"
		wrong=$((wrong + 1))
	fi
	printf '%-24s %s %s\n' "$what" "$got" "$text"
	[ "$verdict" = ok ] || printf '    %s\n' "$verdict"
	: >"$dir/answer"
}

if [ -n "$once" ]; then
	ask "C" 200 'Hello, world, from C' "$url/native/hello"
	ask "C, path value" 200 '"user_id":7' "$url/native/users/7"
	ask "C, JSON body" 200 '"echo"' -d '{"a":[1,2]}' "$url/native/echo"
	ask "C, stream" 200 '^line 99999$' "$url/native/stream?lines=100000"
	ask "C, blocking thread" 200 '"slept_ms":10}' "$url/native/slow?ms=10"
	ask "C, blocking stream" 200 '^tick 2$' "$url/native/ticks?n=3&ms=1"
	ask "C, written for libfcgi" 200 'the body' -d 'the body' "$url/native/fcgx"
	ask "Python" 200 '^{"user_id":7}$' "$url/users/7"
	ask "Python, async" 200 '^{"slept":true}$' "$url/sleep?duration=0.1"
	ask "Python, pool" 200 '^{"squares":\[1,4,9\]}$' -d '{"numbers":[1,2,3]}' "$url/squares"
	ask "Python, async and pool" 200 '^{"squares":\[1,4,9\]}$' -d '{"numbers":[1,2,3]}' "$url/async/squares"
	json='Content-Type: application/json'
	ask "to-do, SQLite" 201 '"title":"milk","due":null,"done":false' -H "$json" -d '{"title":"milk"}' "$url/todos"
	ask "to-do, all or none" 422 '"1.title":"is missing"' -H "$json" -d '[{"title":"bread"},{}]' "$url/todos/batch"
	ask "to-do, pages" 200 '"total":1,"page":1,"next":null' "$url/todos?done=false"
	if [ -n "$analysis" ]; then
		ask "Python, numpy" 200 '"mean":2.0.*"cumulated":\[1.0,3.0,6.0\]' -d '{"numbers":[1,2,3]}' "$url/numpy/statistics"
		ask "analysis, CSV to frame" 200 '{"city":"Berlin","price":null},{"city":"Bonn","price":600.0}' \
			-F "file=@$dir/flats.csv" "$url/groups?by=city&value=price"
		ask "analysis, pool" 200 '"mean":600.0,"low":' -F "file=@$dir/flats.csv" "$url/confidence?column=price"
		ask "analysis, in C" 200 '^\[1.0,1.5,2.75\]$' -d '{"values":[1,2,4]}' "$url/smooth"
		ask "analysis, its reference" 200 '^\[1.0,1.5,2.75\]$' -d '{"values":[1,2,4]}' "$url/reference/smooth"
	fi
	ask "malformed JSON" 400 'error' -d '{"numbers":' "$url/squares"
	ask "no such path" 404 'error' "$url/nowhere"
	ask "no such method" 405 'error' -X DELETE "$url/native/hello"
	kill $nginx && wait $nginx
	nginx=
	kill $server
	wait $server || { sn_say "snacgi did not end well"; tail -n 20 "$dir/snacgi.log" >&2; wrong=$((wrong + 1)); }
	server=
	[ $wrong = 0 ] || tail -n 40 "$dir/snacgi.log" >&2
	[ $wrong = 0 ] && sn_say "All answers are right." || sn_say "$wrong wrong."
	exit $((wrong != 0))
fi

# ---- until Ctrl-C --------------------------------------------------------------

cat <<END

snacgi behind nginx at $url

In C (examples/c/module.c):
  curl $url/native/hello?name=you
  curl $url/native/users/7
  curl -d '{"any":["json"]}' $url/native/echo
  curl $url/native/stream?lines=5
  curl -d 'a program written for libfcgi' $url/native/fcgx

In Python (examples/python/app.py):
  curl $url/users/7
  curl -d '{"numbers":[1,2,3]}' $url/squares
  curl $url/sleep?duration=2
  curl -d '{"numbers":[1,2,3]}' $url/async/squares
  curl -d '{"numbers":[1,2,3]}' $url/numpy/statistics        (with python3-numpy)

A to-do service over SQLite (examples/todo):
  curl -H 'Content-Type: application/json' -d '{"title":"milk"}' $url/todos
  curl $url/todos

${analysis:+An analysis service with pandas, one endpoint in C beside its reference (examples/analysis):
  curl -F file=@$dir/flats.csv $url/summary
  curl -F file=@$dir/flats.csv '$url/groups?by=city&value=price'
  curl -d '{"values":[1,2,4]}' $url/smooth
  curl -d '{"values":[1,2,4]}' $url/reference/smooth
}
Log: $dir/snacgi.log    Configuration: $dir/snacgi.conf
Ctrl-C stops both.
END
wait $server
lost "snacgi ended" "$dir/snacgi.log"
