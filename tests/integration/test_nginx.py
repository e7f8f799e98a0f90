# SPDX-License-Identifier: MIT
"""Through a real nginx with deploy/nginx's configuration: kept upstream
connections, buffering on and off, minimal, SCGI."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from daemon import SRC, Daemon, Leaks, descriptors, free_port, wait_until
from test_listeners import tool

VARIANTS = ["kept", "unbuffered", "minimal", "scgi"]


class Nginx:
    """nginx in a directory of its own, in front of one socket."""

    def __init__(self, directory: Path, socket_path: str, variant: str) -> None:
        self.directory = directory
        self.variant = variant
        self.port = free_port()
        name = {"minimal": "minimal.conf", "scgi": "scgi.conf"}.get(variant, "snacgi.conf")
        subprocess.run([str(SRC / "tests" / "nginx-conf.sh"), str(directory), str(self.port), socket_path, name], check=True)
        site = directory / "site.conf"
        if variant == "unbuffered":
            text = site.read_text()
            for key in ("fastcgi_request_buffering", "fastcgi_buffering"):
                assert f"{key} on;" in text
                text = text.replace(f"{key} on;", f"{key} off;")
            site.write_text(text)
        self.start()

    def start(self) -> None:
        directory = self.directory
        self.process = subprocess.Popen([tool("nginx"), "-p", str(directory), "-c", str(directory / "nginx.conf"), "-e",
                                         str(directory / "error.log")], stdin=subprocess.DEVNULL,
                                        stderr=open(directory / "stderr", "wb"))
        wait_until(self.up, "nginx")

    def up(self) -> bool:
        assert self.process.poll() is None, (self.directory / "stderr").read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        # The socket is there before nginx handles signals; this file is written after that.
        return (self.directory / "nginx.pid").exists()

    def reload(self) -> None:
        """Its configuration has changed: a new process on the same port."""
        self.stop()
        self.start()

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(30) == 0
        log = (self.directory / "error.log").read_text()
        assert "[alert]" not in log and "[emerg]" not in log, log

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(self, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None,
            conn: http.client.HTTPConnection | None = None, **more: Any) -> tuple[int, bytes, http.client.HTTPMessage]:
        own = conn or self.connect()
        try:
            own.request(method, target, body, headers or {}, **more)
            answer = own.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            if conn is None:
                own.close()

    def raw(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), 30) as sock:
            sock.sendall(data)
            out = b""
            while more := sock.recv(65536):
                out += more
            return out


@pytest.fixture(scope="module", params=VARIANTS)
def pair(request: pytest.FixtureRequest, module_tmp: Path) -> Iterator[tuple[Daemon, Nginx]]:
    folder = module_tmp / request.param
    folder.mkdir()
    daemon = Daemon(folder, listen=["scgi+unix" if request.param == "scgi" else "fastcgi+unix"], supervisor=True)
    daemon.start()
    try:
        nginx = Nginx(folder / "nginx", daemon.addresses[0].path, request.param)
    except BaseException:
        daemon.kill()
        raise
    yield daemon, nginx
    try:
        nginx.stop()
    finally:
        daemon.stop()


@pytest.fixture
def nginx(pair: tuple[Daemon, Nginx]) -> Iterator[Nginx]:
    yield pair[1]
    pair[0].check()


def test_every_lane(nginx: Nginx) -> None:
    assert nginx.ask("GET", "/users/7")[:2] == (200, b'{"user_id":7}')
    assert nginx.ask("GET", "/native/users/7")[0] == 200
    assert json.loads(nginx.ask("GET", "/sleep?duration=0.05")[1]) == {"slept": True}
    assert json.loads(nginx.ask("POST", "/squares", b'{"numbers":[1,2]}')[1]) == {"squares": [1, 4]}
    assert json.loads(nginx.ask("POST", "/async/squares", b'{"numbers":[3]}')[1]) == {"squares": [9]}
    assert nginx.ask("GET", "/native/blocking?ms=1")[1] == b"rested"
    assert nginx.ask("GET", "/native/send?chunks=20&size=10000")[1] == b"s" * 200_000


def test_head_and_options(nginx: Nginx) -> None:
    status, body, headers = nginx.ask("HEAD", "/users/7")
    assert (status, body, headers["Content-Length"]) == (200, b"", "13")
    status, body, headers = nginx.ask("OPTIONS", "/both")
    assert status in (200, 204) and {w.strip() for w in headers["Allow"].split(",")} == {"GET", "HEAD", "POST", "PUT", "OPTIONS"}
    assert nginx.ask("POST", "/only-get", b"")[0] == 405
    assert nginx.ask("GET", "/nowhere")[0] == 404
    assert nginx.ask("GET", "/result/none")[:2] == (204, b"")
    assert nginx.ask("GET", "/result/304")[:2] == (304, b"")
    assert nginx.ask("GET", "/raise/value")[0] == 500


def test_kept_upstream_connections(pair: tuple[Daemon, Nginx], nginx: Nginx) -> None:
    """The same sockets serve request after request; without keepalive each has its own."""
    if nginx.variant not in ("kept", "unbuffered"):
        before = sockets(pair[0])
        for n in range(20):
            assert nginx.ask("GET", f"/users/{n}")[0] == 200
        wait_until(lambda: sockets(pair[0]) == before, "all upstream connections are closed", 20)
        return
    conn = nginx.connect()
    for n in range(10):
        assert nginx.ask("GET", f"/native/users/{n}", conn=conn)[0] == 200
    before = sockets(pair[0])
    for n in range(200):
        assert nginx.ask("GET", f"/{('users', 'native/users')[n % 2]}/{n}", conn=conn)[:1] == (200,)
    assert sockets(pair[0]) == before
    conn.close()


def sockets(daemon: Daemon) -> set[str]:
    return {name for name in descriptors(daemon.worker).values() if name.startswith("socket:")}


@pytest.mark.parametrize("target,name", [
    ("/one/a%2Fb/end", "a/b"),
    ("/one/a%20b/end", "a b"),
    ("/one/%C3%BC+%26/end", "ü+&"),
    ("/one/a%252Fb/end", "a%2Fb"),
    ("/one/%3Fq%3D1/end", "?q=1"),
    ("//one///x//end", "x"),
    ("/x/../one/y/./end", "y"),
])
@pytest.mark.parametrize("lane", ["", "/native"])
def test_encoded_paths(nginx: Nginx, lane: str, target: str, name: str) -> None:
    status, body, _ = nginx.ask("GET", lane + target)
    # nginx resolves dot segments and merges slashes in what it decodes; an encoded slash
    # beside them is then no longer told apart, which none of these rows has.
    assert (status, json.loads(body)["name"]) == (200, name)


def test_bad_paths(nginx: Nginx) -> None:
    for target in ("/files/%2e%2e/%2e%2e/etc", "/files/a%00b", "/files/%zz", "/files/%"):
        got = nginx.raw(f"GET {target} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        assert got.split(b" ")[1] in (b"400", b"404"), (target, got)
    got = nginx.raw(b"GET /files/%ff HTTP/1.0\r\nHost: x\r\n\r\n")
    assert got.split(b" ")[1] == b"400", got


def test_query_headers_cookies(nginx: Nginx) -> None:
    headers = {"X-Thing": "a", "Cookie": "a=1; b=2", "Authorization": "Basic xyz", "Proxy": "evil"}
    shown = json.loads(nginx.ask("GET", "/show?a=1&a=2&b=%C3%BC+x&c", None, headers)[1])
    assert shown["query"]["a"] == "1" and shown["query"]["b"] == "ü x"
    got = {k.lower(): v for k, v in shown["headers"].items()}
    assert got["x-thing"] == "a" and got["cookie"] == "a=1; b=2" and got["authorization"] == "Basic xyz"
    assert got["host"].startswith("127.0.0.1")
    assert "proxy" not in got
    raw = nginx.raw(b"GET /header?name=x-list HTTP/1.0\r\nHost: x\r\nX-List: a\r\nX-List: b\r\n\r\n")
    assert b'{"value":"a, b"}' in raw or b'{"value":"a"}' in raw or b'{"value":"b"}' in raw
    assert nginx.ask("GET", "/show", None, {"X-Big": "v" * 7000})[0] == 200
    assert nginx.ask("GET", "/users/7?")[0] == 200


@pytest.mark.parametrize("size", [0, 1, 70_000, 900_000])
@pytest.mark.parametrize("lane", ["", "/native"])
def test_uploads(nginx: Nginx, lane: str, size: int) -> None:
    body = bytes(n % 251 for n in range(1000)) * (size // 1000 + 1)
    body = body[:size]
    shown = json.loads(nginx.ask("POST", f"{lane}/show", body)[1])
    assert (shown["length"], shown["sum"]) == (size, sum(body) % 65536)


@pytest.mark.parametrize("lane", ["", "/native"])
def test_chunked_upload(nginx: Nginx, lane: str) -> None:
    pieces = [b"x" * 1000, b"y", b"z" * 100_000]
    status, body, _ = nginx.ask("POST", f"{lane}/show", iter(pieces), encode_chunked=True)
    assert status == 200 and json.loads(body)["length"] == 101_001


def test_slow_upload(nginx: Nginx) -> None:
    """In small pieces with pauses: others are served meanwhile."""
    with socket.create_connection(("127.0.0.1", nginx.port), 30) as sock:
        sock.sendall(b"POST /show HTTP/1.0\r\nHost: x\r\nContent-Length: 40\r\n\r\n")
        for _ in range(40):
            sock.sendall(b"x")
            assert nginx.ask("GET", "/native/hello")[0] == 200
        assert b'"length":40' in sock.recv(65536)


def test_large_answers(nginx: Nginx) -> None:
    assert nginx.ask("GET", "/size/5000000")[1] == (b"0123456789abcdef" * 312_500)
    status, body, headers = nginx.ask("GET", "/native/pull?size=20000000")
    assert (len(body), headers["Content-Length"]) == (20_000_000, "20000000")
    status, body, headers = nginx.ask("GET", "/native/pull?size=3000000&known=0")
    assert len(body) == 3_000_000


def test_oversized_upload(nginx: Nginx) -> None:
    status, _, _ = nginx.ask("POST", "/show", None, {"Content-Length": str(20 << 20)})
    assert status == 413


def test_client_leaves(pair: tuple[Daemon, Nginx], nginx: Nginx) -> None:
    """In the middle of an answer, and while a handler waits."""
    with Leaks(pair[0]) if nginx.variant == "minimal" else NoLeaks():
        for n in range(5):
            with socket.create_connection(("127.0.0.1", nginx.port), 30) as sock:
                sock.sendall(b"GET /native/pull?size=80000000 HTTP/1.0\r\nHost: x\r\n\r\n")
                sock.recv(10_000 * (n + 1))
        with socket.create_connection(("127.0.0.1", nginx.port), 30) as sock:
            sock.sendall(b"GET /agate/left HTTP/1.0\r\nHost: x\r\n\r\n")
            wait_until(lambda: b":1" in nginx.ask("GET", "/waiting/left")[1], "the handler waits")
        wait_until(lambda: b":0" in nginx.ask("GET", "/waiting/left")[1], "the task is cancelled")
    assert nginx.ask("GET", "/users/1")[0] == 200


class NoLeaks:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def test_streaming_arrives_early(nginx: Nginx) -> None:
    """Unbuffered: bytes are there before the handler has made the last ones."""
    if nginx.variant != "unbuffered":
        return
    with socket.create_connection(("127.0.0.1", nginx.port), 30) as sock:
        sock.sendall(b"GET /native/send?chunks=2000&size=50000 HTTP/1.0\r\nHost: x\r\n\r\n")
        got = sock.recv(1000)
        assert got.startswith(b"HTTP/1.1 200")
        assert nginx.ask("GET", "/native/hello")[0] == 200


def test_concurrent_mix(nginx: Nginx) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def one(n: int) -> bool:
        lane = ("/users/", "/native/users/")[n % 2]
        return nginx.ask("GET", f"{lane}{n}")[1].replace(b" ", b"") == b'{"user_id":%d}' % n

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(400)))


def test_backend_stops_and_comes_back(tmp: Path, snacgi: Callable[..., Daemon]) -> None:
    daemon = snacgi()
    nginx = Nginx(tmp / "nginx", daemon.addresses[0].path, "kept")
    try:
        assert nginx.ask("GET", "/users/1")[0] == 200
        daemon.stop()
        assert nginx.ask("GET", "/users/1")[0] == 502
        daemon.start()
        begun = time.monotonic()
        # nginx may hold a failed server back for fail_timeout (10 s); with one it does not.
        wait_until(lambda: nginx.ask("GET", "/users/1")[0] == 200, "nginx finds it again", 20)
        assert time.monotonic() - begun < 20
    finally:
        nginx.stop()
