# SPDX-License-Identifier: MIT
"""Bodies that are read while they arrive: order, memory, back-pressure, and every way in which
an upload or its handler can end early."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import socket
import threading
from pathlib import Path
from typing import Any, Callable, Iterator

import fcgi
import pytest
import scgi
from daemon import Daemon, resident, sanitizers, wait_until
from fcgi import PARAMS, STDIN, begin, encode, record, stream
from test_multiplex import Mux
from test_nginx import Nginx
from wire import Closed, Stream, environ

KINDS = ["fastcgi", "scgi"]
LANES = ["", "/async"]
CONF: dict[str, Any] = {"limits": {"body": "256 MiB"}, "python": {"stream_workers": 3}}


@pytest.fixture(scope="module")
def shared_daemon(module_tmp: Path) -> Iterator[Daemon]:
    daemon = Daemon(module_tmp, app="stream", listen=("fastcgi+unix", "scgi+unix", "fastcgi+tcp4", "scgi+tcp4"), conf=CONF,
                    env=sanitizers("quarantine_size_mb=4"))  # or its resident memory is what was freed
    daemon.start()
    for target in ("/sum/first", "/async/sum/first", "/form"):
        daemon.post(target, b"x")
    yield daemon
    daemon.stop()


def seen(daemon: Daemon, name: str) -> Any:
    return daemon.get(f"/seen/{name}").json()["seen"]


def wait_seen(daemon: Daemon, name: str, what: Any) -> None:
    wait_until(lambda: seen(daemon, name) == what, f"{name}: {what}")


class Upload:
    """A request whose body is sent piece by piece."""

    def __init__(self, daemon: Daemon, kind: str, target: str, length: int | None, keep: bool = False,
                 headers: dict[str, str] | None = None) -> None:
        self.kind = kind
        address = next(a for a in daemon.addresses if a.protocol == kind)
        self.conn: Any = fcgi.Connection(address) if kind == "fastcgi" else scgi.Connection(address)
        env = environ("POST", target, headers, CONTENT_LENGTH="" if length is None else str(length))
        if kind == "fastcgi":
            self.conn.send(begin(1, keep=keep) + stream(PARAMS, 1, encode(env)))
        else:
            self.conn.send(scgi.netstring(scgi.header_block(env, length)))

    def send(self, data: bytes) -> None:
        self.conn.send(stream(STDIN, 1, data, end=False) if self.kind == "fastcgi" else data)

    def end(self) -> None:
        if self.kind == "fastcgi":
            self.conn.send(record(STDIN, 1))

    def answer(self) -> Any:
        return self.conn.response()

    def __enter__(self) -> "Upload":
        return self

    def __exit__(self, *_: object) -> None:
        self.conn.close()


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_read_while_it_arrives(server: Daemon, kind: str, lane: str) -> None:
    name = f"order{kind}{lane[1:]}"
    with Upload(server, kind, f"{lane}/sum/{name}", 10) as upload:
        wait_seen(server, name, 0)
        upload.send(b"abc")
        wait_seen(server, name, 3)
        upload.send(b"defg")
        wait_seen(server, name, 7)
        upload.send(b"hij")
        upload.end()
        assert upload.answer().json() == {"size": 10, "sha": hashlib.sha256(b"abcdefghij").hexdigest()}


@pytest.mark.parametrize("lane", LANES)
def test_without_an_announced_length(server: Daemon, lane: str) -> None:
    with Upload(server, "fastcgi", f"{lane}/sum/chunked", None) as upload:
        upload.send(b"abc")
        wait_seen(server, "chunked", 3)
        upload.send(b"d" * 100_000)
        upload.end()
        assert upload.answer().json()["size"] == 100_003


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("kind", KINDS)
def test_much_of_it_at_constant_memory(server: Daemon, kind: str, lane: str) -> None:
    piece, times = random.Random(7).randbytes(1 << 20), 96
    sha, most, before = hashlib.sha256(), 0, resident(server.pid)
    with Upload(server, kind, f"{lane}/sum/much", len(piece) * times) as upload:
        for _ in range(times):
            upload.send(piece)
            sha.update(piece)
            most = max(most, resident(server.pid))
        upload.end()
        assert upload.answer().json() == {"size": len(piece) * times, "sha": sha.hexdigest()}
    assert most - before < 24 << 20, f"{(most - before) >> 20} MiB more"


def fill(upload: Upload, size: int = 64 << 20) -> int:
    """Sends until the server takes nothing more; how much it took."""
    sock, sent = upload.conn.sock, 0
    data = stream(STDIN, 1, b"x" * 65535, end=False) if upload.kind == "fastcgi" else b"x" * 65543
    sock.settimeout(1.0)
    try:
        while sent < size:
            sent += sock.send(memoryview(data)[sent % len(data):])
    except TimeoutError:
        pass
    sock.settimeout(30.0)
    return sent


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_read_is_not_taken(server: Daemon, kind: str, lane: str) -> None:
    name = f"held{kind}{lane[1:]}"
    size = 64 << 20
    with Upload(server, kind, f"{lane}/gated/{name}", size) as upload:
        wait_seen(server, name, "waits")
        sent = fill(upload)
        assert sent < 8 << 20, "nobody has read it"
        assert server.get("/seen/other").status == 200
        server.post(f"/open/{name}", {})
        unit = 65543  # a record, or as many bytes
        upload.conn.send((stream(STDIN, 1, b"x" * 65535, end=False) if kind == "fastcgi" else b"x" * unit)[sent % unit:]
                         if sent % unit else b"")
        got = (sent + unit - 1) // unit * (65535 if kind == "fastcgi" else unit)
        while got < size:
            upload.send(b"x" * min(1 << 20, size - got))
            got += min(1 << 20, size - got)
        upload.end()
        assert upload.answer().json() == {"size": size}


def test_others_of_the_connection_go_on(server: Daemon) -> None:
    """What one of several requests of a connection does not read waits in a file."""
    with server.connect() as conn:
        mux = Mux(conn)
        env = environ("POST", "/gated/mux", CONTENT_LENGTH=str(32 << 20))
        conn.send(begin(1, keep=True) + stream(PARAMS, 1, encode(env)))
        wait_seen(server, "mux", "waits")
        conn.send(fcgi.request(environ("GET", "/seen/mux"), b"", 2, True))
        mux.until(2)
        before = resident(server.pid)
        for _ in range(32):
            conn.send(stream(STDIN, 1, b"y" * (1 << 20), end=False))
        conn.send(fcgi.request(environ("GET", "/seen/mux"), b"", 3, True))
        mux.until(3)
        assert mux.answer(3).json() == {"seen": "waits"}
        assert resident(server.pid) - before < 16 << 20
        server.post("/open/mux", {})
        conn.send(record(STDIN, 1))
        assert mux.until(1).answer(1).json() == {"size": 32 << 20}


def test_slow_uploads_hold_no_other_handler(server: Daemon) -> None:
    """Sync ones have threads of their own (three here), async ones none."""
    held = [Upload(server, "fastcgi", f"{lane}/sum/slow{n}{lane[1:]}", 10) for lane in LANES for n in range(3)]
    for lane in LANES:
        for n in range(3):
            wait_seen(server, f"slow{n}{lane[1:]}", 0)
    assert server.post("/whole", b"a\nb").json() == ["a\n", "b", 3]
    assert server.get("/native/hello").status == 200
    for upload in held:
        upload.send(b"0123456789")
        upload.end()
        assert upload.answer().json()["size"] == 10
        upload.conn.close()


# ---- the reader's side -------------------------------------------------------------------


def test_lines_json_and_forms(server: Daemon) -> None:
    text = b"one\ntwo\n" + b"x" * 70_000 + b"\nlast"
    want = ["one\n", "two\n", "x" * 70_000 + "\n", "last"]
    assert server.post("/lines", text).json() == want
    assert server.post("/async/lines", b"> " + text).json() == ["> ", *want]
    assert server.post("/whole", text).json() == ["one\n", text[4:].decode(), len(text)]
    assert server.post("/json", {"a": [1]}).json() == {"body": {"a": [1]}, "json": {"a": [1]}, "length": 10}
    boundary = "--b\r\nContent-Disposition: form-data; name="
    body = (boundary + '"a"\r\n\r\n1\r\n' + boundary + '"f"; filename="f"\r\n\r\n' + "z" * 300_000 + "\r\n--b--\r\n").encode()
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    assert server.ask("POST", "/form", body, kind).json() == {"fields": {"a": "1"}, "files": {"f": 300_000}}
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert server.ask("POST", "/form", b"a=1&b=2", kind).json() == {"fields": {"a": "1", "b": "2"}, "files": {}}
    assert server.ask("POST", "/form", b"a=" + b"x" * 600_000, kind).status == 413
    assert "leave out stream=True" in server.ask("POST", "/async/form", b"a=1", kind).json()["error"]


@pytest.mark.parametrize("kind", KINDS)
def test_empty_bodies(server: Daemon, kind: str) -> None:
    for lane in LANES:
        with Upload(server, kind, f"{lane}/sum/empty", 0) as upload:
            upload.end()
            assert upload.answer().json()["size"] == 0


@pytest.mark.parametrize("lane", LANES)
def test_kept_connections_go_on(server: Daemon, lane: str) -> None:
    with server.connect() as conn:
        for n in range(5):
            assert conn.ask("POST", f"{lane}/sum/kept", b"k" * n * 100_000).json()["size"] == n * 100_000


# ---- ends ----------------------------------------------------------------------------------


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_peer_leaves(server: Daemon, kind: str, lane: str) -> None:
    name = f"left{kind}{lane[1:]}"
    with Upload(server, kind, f"{lane}/sum/{name}", 10) as upload:
        upload.send(b"abc")
        wait_seen(server, name, 3)
    # the end of the body and the task's cancellation are on their way at once
    wait_until(lambda: seen(server, name) in (["ClientDisconnected", "CancelledError"] if lane else ["ClientDisconnected"]), name)


def test_the_peer_leaves_what_is_not_read(server: Daemon) -> None:
    with Upload(server, "fastcgi", "/gated/leftfull", 64 << 20) as upload:
        wait_seen(server, "leftfull", "waits")
        fill(upload)
    server.post("/open/leftfull", {})
    assert server.post("/sum/next", b"abc").json()["size"] == 3


@pytest.mark.parametrize("lane", LANES)
def test_a_part_is_not_taken_for_the_whole(server: Daemon, lane: str) -> None:
    name = f"part{lane[1:]}"
    with Upload(server, "fastcgi", f"{lane}/sum/{name}", 10) as upload:
        upload.send(b"abc")
        upload.end()
        assert upload.answer().status == 400
        wait_seen(server, name, "ClientDisconnected")


def test_scgi_ends_before_its_length(server: Daemon) -> None:
    with Upload(server, "scgi", "/caught", 10) as upload:
        upload.send(b"abc")
        upload.conn.sock.shutdown(socket.SHUT_WR)
        answer = upload.answer()
        assert answer.status == 418 and answer.json() == {"caught": "ClientDisconnected", "gone": True}


def test_scgi_half_closes_with_much_unread(server: Daemon) -> None:
    """The end of the peer's side is behind what waits to be read."""
    size = 600_000
    with Upload(server, "scgi", "/gated/half", size) as upload:
        wait_seen(server, "half", "waits")
        sender = threading.Thread(target=lambda: (upload.send(b"x" * size), upload.conn.sock.shutdown(socket.SHUT_WR)))
        sender.start()
        server.post("/open/half", {})
        sender.join(60)
        assert upload.answer().json() == {"size": size}


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_rest_is_not_read(server: Daemon, kind: str, lane: str) -> None:
    """An answer before the body has come arrives, and its connection ends."""
    with Upload(server, kind, f"{lane}/early?read=3", 10_000_000, keep=True) as upload:
        upload.send(b"x" * 500_000)
        assert upload.answer().json() == {"read": 3}
        upload.send(b"x" * 1000)
        assert upload.conn.closed()


def test_the_rest_is_passed_over_where_others_share(server: Daemon) -> None:
    with server.connect() as conn:
        mux = Mux(conn)
        conn.send(begin(1, keep=True) + stream(PARAMS, 1, encode(environ("POST", "/early?read=3", CONTENT_LENGTH="1000000"))))
        conn.send(fcgi.request(environ("GET", "/seen/x"), b"", 2, True))
        mux.until(2)
        conn.send(stream(STDIN, 1, b"x" * 1_000_000))
        mux.until(1)
        conn.send(fcgi.request(environ("POST", "/sum/after"), b"abc", 1, True))
        while len(mux.ended[1]) < 2:
            mux.step()
        assert mux.answer(1, 1).json()["size"] == 3


def test_too_large_while_it_is_read(snacgi: Callable[..., Daemon]) -> None:
    daemon = snacgi(app="stream", conf={"limits": {"body": "1 MiB"}})
    for lane in LANES:
        with Upload(daemon, "fastcgi", f"{lane}/sum/large{lane[1:]}", None) as upload:
            upload.send(b"x" * (1 << 20))
            wait_seen(daemon, f"large{lane[1:]}", 1 << 20)
            upload.send(b"y")
            assert upload.answer().status == 413
            wait_seen(daemon, f"large{lane[1:]}", "RequestEntityTooLarge")
        with Upload(daemon, "fastcgi", f"{lane}/sum/announced{lane[1:]}", (1 << 20) + 1) as upload:
            assert upload.answer().status == 413
            assert seen(daemon, f"announced{lane[1:]}") is None


def test_nothing_comes(snacgi: Callable[..., Daemon]) -> None:
    daemon = snacgi(app="stream", conf={"timeouts": {"read": 0.2}})
    for lane in LANES:
        with Upload(daemon, "fastcgi", f"{lane}/sum/quiet{lane[1:]}", 10) as upload:
            upload.send(b"abc")
            assert upload.answer().status == 408
            wait_seen(daemon, f"quiet{lane[1:]}", "RequestTimeout")
    with Upload(daemon, "fastcgi", "/caught", 10) as upload:
        assert upload.answer().json() == {"caught": "RequestTimeout", "gone": False}


def test_over_its_time(snacgi: Callable[..., Daemon]) -> None:
    """Blocked in a read, a handler is ended like any other, and its thread serves on."""
    daemon = snacgi(app="stream", conf={"timeouts": {"request": 0.3}, "python": {"stream_workers": 1}})
    for lane in LANES:
        for n in range(3):
            with Upload(daemon, "fastcgi", f"{lane}/sum/late{n}{lane[1:]}", 10) as upload:
                upload.send(b"abc")
                assert upload.answer().status == 504
            wait_seen(daemon, f"late{n}{lane[1:]}", "CancelledError" if lane else "HandlerTimeout")
        with Upload(daemon, "fastcgi", f"{lane}/sum/intime{lane[1:]}", 3) as upload:
            upload.send(b"abc")
            upload.end()
            assert upload.answer().json()["size"] == 3


def test_it_is_stopped(snacgi: Callable[..., Daemon]) -> None:
    """What can be completed is; what cannot be is answered 503 shortly before the deadline, and its handler
    ended, so that the end is a clean one."""
    daemon = snacgi(app="stream", conf={"timeouts": {"shutdown": 10.0}})
    uploads = [Upload(daemon, "fastcgi", f"{lane}/sum/stop{n}{lane[1:]}", 6) for lane in LANES for n in range(2)]
    for at, upload in enumerate(uploads):
        upload.send(b"abc")
        wait_seen(daemon, f"stop{at % 2}{LANES[at // 2][1:]}", 3)
    daemon.signal(signal.SIGTERM)
    daemon.wait_log("stopping")
    for upload in uploads[::2]:
        upload.send(b"def")
        upload.end()
        assert upload.answer().json()["size"] == 6
    for upload in uploads[1::2]:
        assert upload.answer().status == 503
    assert daemon.wait() == 0


# ---- behind nginx ---------------------------------------------------------------------------


@pytest.fixture
def nginx(tmp: Path, server: Daemon) -> Iterator[Nginx]:
    path = server.addresses[0].path
    assert path
    one = Nginx(tmp, path, "unbuffered")
    yield one
    one.stop()


@pytest.mark.parametrize("lane", LANES)
def test_through_nginx(server: Daemon, nginx: Nginx, lane: str) -> None:
    name = f"nginx{lane[1:]}"

    def pieces() -> Iterator[bytes]:
        yield b"first"
        wait_seen(server, name, 5)
        for _ in range(12):
            yield b"x" * (1 << 20)

    status, body, _ = nginx.ask("POST", f"{lane}/sum/{name}", pieces(), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert status == 200 and json.loads(body)["size"] == 5 + (12 << 20)


def test_a_client_of_nginx_leaves(server: Daemon, nginx: Nginx) -> None:
    with socket.create_connection(("127.0.0.1", nginx.port)) as sock:
        sock.sendall(b"POST /sum/left HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        wait_seen(server, "left", 3)
    wait_seen(server, "left", "ClientDisconnected")


# ---- is_disconnected ------------------------------------------------------------------------


def test_is_disconnected(server: Daemon) -> None:
    with Upload(server, "fastcgi", "/gone/sync", 10):
        wait_seen(server, "sync", "waits")
    wait_seen(server, "sync", "disconnected")
    with Upload(server, "fastcgi", "/async/gone/task", 0) as upload:
        upload.end()
        wait_seen(server, "task", "waits")
    wait_seen(server, "task", "cancelled True")


def test_aborted(server: Daemon) -> None:
    with server.connect() as conn:
        conn.send(begin(1, keep=True) + stream(PARAMS, 1, encode(environ("POST", "/sum/abort", CONTENT_LENGTH="10"))))
        wait_seen(server, "abort", 0)
        conn.send(record(fcgi.ABORT_REQUEST, 1))
        wait_seen(server, "abort", "ClientDisconnected")
