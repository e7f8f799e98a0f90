# SPDX-License-Identifier: MIT
"""A private web server for `snacgi dev`: nginx or Caddy, run in the foreground
by the user who develops, out of a temporary directory. Nothing is buffered, no
body is refused and no answer is late: limits are looked at behind the real server,
with the configuration that `snacgi print-config` prints."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Optional

from . import daemon

_PATIENCE = 30.0  # seconds until it listens
_PATH = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"

# As nginx's own fastcgi_params, which may lie anywhere.
_NGINX_PARAMS = """\
fastcgi_param QUERY_STRING $query_string; fastcgi_param REQUEST_METHOD $request_method;
fastcgi_param CONTENT_TYPE $content_type; fastcgi_param CONTENT_LENGTH $content_length;
fastcgi_param SCRIPT_NAME $fastcgi_script_name; fastcgi_param REQUEST_URI $request_uri;
fastcgi_param DOCUMENT_URI $document_uri; fastcgi_param DOCUMENT_ROOT $document_root;
fastcgi_param SERVER_PROTOCOL $server_protocol; fastcgi_param REQUEST_SCHEME $scheme;
fastcgi_param GATEWAY_INTERFACE CGI/1.1; fastcgi_param SERVER_SOFTWARE nginx;
fastcgi_param REMOTE_ADDR $remote_addr; fastcgi_param REMOTE_PORT $remote_port;
fastcgi_param SERVER_ADDR $server_addr; fastcgi_param SERVER_PORT $server_port;
fastcgi_param SERVER_NAME $host;
"""

_NGINX = """\
{user}
worker_processes 1;
daemon off;
pid {tmp}/nginx.pid;
error_log {tmp}/nginx.log warn;
events {{ worker_connections 512; }}
http {{
	log_format dev '$request_method $request_uri $status $body_bytes_sent bytes $request_time s';
	access_log {access} dev;
	default_type application/octet-stream;
	client_body_temp_path {tmp}/body; proxy_temp_path {tmp}/proxy; fastcgi_temp_path {tmp}/fastcgi;
	uwsgi_temp_path {tmp}/uwsgi; scgi_temp_path {tmp}/scgi;
	server {{
		listen {address};
		client_max_body_size 0;
		location / {{
			include {tmp}/fastcgi_params;
			fastcgi_pass unix:{socket};
			fastcgi_buffering off;
			fastcgi_request_buffering off;
			fastcgi_read_timeout 1h;
		}}
	}}
}}
"""

_CADDY = """\
{{
	admin off
	auto_https off
}}
http://{address} {{
	reverse_proxy unix/{socket} {{
		flush_interval -1
		transport fastcgi
	}}
}}
"""


class Front:
    """The web server as a child."""

    def __init__(self, server: Optional[str], host: str, port: int, path: Path, tmp: Path) -> None:
        self.name, self.program = choose(server)
        self.log = tmp / f"{self.name}.log"
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if self.name == "nginx":
            command = self._nginx(address, path, tmp)
        else:
            command = self._caddy(address, path, tmp)
        # Caddy keeps things in the user's directories unless told otherwise.
        env = {**os.environ, "XDG_CONFIG_HOME": str(tmp), "XDG_DATA_HOME": str(tmp)}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, env=env)

    def _nginx(self, address: str, path: Path, tmp: Path) -> list[str]:
        user = ""
        if os.getuid() == 0:  # its workers would be nobody's, who may not open our socket
            user = f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(os.getgid()).gr_name};"
        (tmp / "fastcgi_params").write_text(_NGINX_PARAMS)
        conf = tmp / "nginx.conf"
        conf.write_text(_NGINX.format(user=user, tmp=tmp, access="/dev/stdout", address=address, socket=path))
        return [self.program, "-p", str(tmp), "-c", str(conf), "-e", str(self.log)]

    def _caddy(self, address: str, path: Path, tmp: Path) -> list[str]:
        conf = tmp / "Caddyfile"
        conf.write_text(_CADDY.format(address=address, socket=path))
        return [self.program, "run", "--config", str(conf), "--adapter", "caddyfile"]

    def wait(self, host: str, port: int) -> None:
        """Until it takes connections: who reads the address may ask at once."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            self.check()
            try:
                socket.create_connection((host, port), 1).close()
                return
            except OSError:
                time.sleep(0.01)
        daemon.fail(f"{self.name} takes no connection at {host} port {port}")

    def check(self) -> None:
        """Fails, with what it said, when it has ended."""
        if self.process.poll() is not None:
            said = self.log.read_text(errors="replace").strip() if self.log.exists() else ""
            daemon.fail(f"{self.name} ended with {self.process.returncode}; {said or 'it said nothing'}")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def choose(server: Optional[str]) -> tuple[str, str]:
    """(name, program): the one that was asked for, else the first that is installed."""
    for name in [server] if server else ["nginx", "caddy"]:
        program = shutil.which(name, path=_PATH)
        if program:
            return name, program
    if server:
        daemon.fail(f"{server} is not installed (Debian: apt-get install {'nginx-light' if server == 'nginx' else server})")
    daemon.fail("a web server is needed to develop behind: install nginx (Debian: apt-get install nginx-light) or Caddy")
