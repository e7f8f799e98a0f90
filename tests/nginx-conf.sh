#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes deploy/nginx's configuration runnable by anybody on a free port:
#   nginx-conf.sh DIR PORT SOCKET [FILE]     FILE: snacgi.conf (default), minimal.conf, scgi.conf
# then: nginx -p DIR -c nginx.conf. Changed are the port and the socket's place, nothing else.
set -eu
dir=$1 port=$2 socket=$3 file=${4:-snacgi.conf}
here=$(cd "$(dirname "$0")/../deploy/nginx" && pwd)
mkdir -p "$dir/temp"
# nginx's own parameters, where the package put them.
for own in /etc/nginx /usr/local/etc/nginx; do
	if [ -e "$own/scgi_params" ]; then cp "$own/scgi_params" "$own/fastcgi_params" "$dir/"; break; fi
done
sed -e "s|listen 80;|listen 127.0.0.1:$port;|" -e "s|unix:/run/snacgi/[a-z]*\.sock|unix:$socket|g" \
	"$here/$file" >"$dir/site.conf"
{
	# Only root may name a user, and root has to: its workers would be nobody's.
	[ "$(id -u)" != 0 ] || echo "user $(id -un) $(id -gn);"
	cat <<END
worker_processes 2;
daemon off;
pid $dir/nginx.pid;
error_log $dir/error.log info;
events { worker_connections 1024; }
http {
	access_log $dir/access.log;
	default_type application/octet-stream;
	client_body_temp_path $dir/temp/body;
	proxy_temp_path $dir/temp/proxy;
	fastcgi_temp_path $dir/temp/fastcgi;
	uwsgi_temp_path $dir/temp/uwsgi;
	scgi_temp_path $dir/temp/scgi;
	include $dir/site.conf;
}
END
} >"$dir/nginx.conf"
