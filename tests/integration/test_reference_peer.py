# SPDX-License-Identifier: MIT
"""libfcgi's own client against our server: two implementations that were not
written by the same hand understand each other."""

from __future__ import annotations

import subprocess

import pytest
from daemon import Daemon, environment
from test_listeners import tool


def cgi_fcgi(daemon: Daemon, kind: str, method: str, path: str, body: bytes = b"", query: str = "") -> bytes:
    address = next(a for a in daemon.addresses if (a.protocol, a.kind) == ("fastcgi", kind))
    where = address.path if kind == "unix" else f"127.0.0.1:{address.port}"
    env = {**environment(), "REQUEST_METHOD": method, "SCRIPT_NAME": path, "QUERY_STRING": query, "REQUEST_URI": path,
           "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/json", "SERVER_PROTOCOL": "HTTP/1.1"}
    out = subprocess.run([tool("cgi-fcgi"), "-bind", "-connect", where], env=env, input=body, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, timeout=60)
    assert out.returncode == 0, out
    assert out.stderr == b"", out
    return out.stdout


@pytest.mark.parametrize("kind", ["unix", "tcp4"])
def test_cgi_fcgi(server: Daemon, kind: str) -> None:
    from wire import parse

    assert parse(cgi_fcgi(server, kind, "GET", "/users/7")).json() == {"user_id": 7}
    assert parse(cgi_fcgi(server, kind, "GET", "/native/users/7")).json() == {"user_id": 7}
    assert parse(cgi_fcgi(server, kind, "POST", "/squares", b'{"numbers":[2,3]}')).json() == {"squares": [4, 9]}
    assert parse(cgi_fcgi(server, kind, "GET", "/sleep", query="duration=0.01")).json() == {"slept": True}
    assert parse(cgi_fcgi(server, kind, "GET", "/nowhere")).status == 404
    body = bytes(range(256)) * 2000
    assert parse(cgi_fcgi(server, kind, "POST", "/native/show", body)).json()["length"] == len(body)
    assert len(parse(cgi_fcgi(server, kind, "GET", "/size/1000000")).body) == 1_000_000


