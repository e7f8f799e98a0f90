# SPDX-License-Identifier: MIT
"""send_file in the daemon: whole and in part, to slow readers, from files that change, and through
nginx and lighttpd, which send them themselves."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import os
import random
from pathlib import Path
from typing import Any, Callable, Iterator

import fcgi
import pytest
from daemon import APPS, Daemon, descriptors, free_port, resident, wait_until
from test_nginx import Nginx
from test_start import front, lighttpd_configuration, tool
from wire import Closed, environ

LANES = ["", "/async"]
SIZE = 3 << 20


@pytest.fixture(scope="module")
def files(module_tmp: Path) -> Path:
    directory = module_tmp / "files"
    directory.mkdir()
    (directory / "big").write_bytes(random.Random(1).randbytes(SIZE))
    (directory / "small.txt").write_bytes(b"0123456789")
    (directory / "empty").write_bytes(b"")
    (directory / "packed.gz").write_bytes(gzip.compress(b"text" * 1000))
    os.mkfifo(directory / "fifo")
    (directory / "sub").mkdir()
    (directory / "sub" / "in.html").write_text("<p>")
    (module_tmp / "secret").write_text("not for you")
    return directory


@pytest.fixture(scope="module")
def shared_daemon(module_tmp: Path, files: Path) -> Iterator[Daemon]:
    daemon = Daemon(module_tmp, app="files", listen=("fastcgi+unix", "scgi+unix"), env={"FILES_DIR": str(files)})
    daemon.start()
    for target in ("/file/small.txt", "/async/file/small.txt", "/opened/small.txt"):
        daemon.get(target)
    yield daemon
    daemon.stop()


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("at", [0, 1])
def test_whole(server: Daemon, files: Path, at: int, lane: str) -> None:
    answer = server.get(f"{lane}/file/big", address=server.addresses[at])
    assert answer.status == 200 and answer.body == (files / "big").read_bytes()
    assert answer.header("Content-Length") == str(SIZE) and answer.header("Content-Type") == "application/octet-stream"
    assert answer.header("Accept-Ranges") == "bytes" and answer.header("Cache-Control") == "no-cache"
    head = server.ask("HEAD", f"{lane}/file/big", address=server.addresses[at])
    assert head.status == 200 and head.header("Content-Length") == str(SIZE)
    assert server.get(f"{lane}/file/empty").body == b""
    assert server.get(f"{lane}/file/sub/in.html").header("Content-Type") == "text/html; charset=utf-8"


@pytest.mark.parametrize("lane", LANES)
def test_parts(server: Daemon, files: Path, lane: str) -> None:
    def part(ranges: str, name: str = "small.txt") -> Any:
        return server.get(f"{lane}/file/{name}", headers={"Range": ranges})

    answer = part("bytes=2-4")
    assert (answer.status, answer.body, answer.header("Content-Range")) == (206, b"234", "bytes 2-4/10")
    assert answer.header("Content-Length") == "3"
    whole = (files / "big").read_bytes()
    answer = part(f"bytes={SIZE // 2}-", "big")
    assert answer.status == 206 and answer.body == whole[SIZE // 2:]
    answer = part("bytes=-7")
    assert answer.status == 206 and answer.body == b"3456789"
    answer = part("bytes=10-")
    assert answer.status == 416 and answer.header("Content-Range") == "bytes */10"
    assert part("bytes=1-2,4-5").body == b"0123456789"


def test_conditions(server: Daemon) -> None:
    first = server.get("/file/small.txt")
    tag, date = first.header("ETag"), first.header("Last-Modified")
    assert tag and date
    for headers in ({"If-None-Match": tag}, {"If-Modified-Since": date}):
        again = server.get("/file/small.txt", headers=headers)
        assert again.status == 304 and again.header("ETag") == tag
    assert server.get("/file/small.txt", headers={"If-Match": '"other"'}).status == 412
    assert server.get("/file/small.txt", headers={"Range": "bytes=0-0", "If-Range": tag}).status == 206
    assert server.get("/file/small.txt", headers={"Range": "bytes=0-0", "If-Range": '"other"'}).status == 200


@pytest.mark.parametrize("name", ["../secret", "sub/../../secret", "/etc/passwd", "..", "sub", "fifo", "none", "small.txt/x",
                                  "%00", "a%00b", "%2e%2e/secret", "..%2fsecret"])
def test_what_is_not_there(server: Daemon, name: str) -> None:
    assert server.get(f"/file/{name}").status in (400, 404)


def test_open_files(server: Daemon) -> None:
    answer = server.get("/opened/small.txt?skip=4", headers={"Range": "bytes=1-2"})
    assert (answer.status, answer.body, answer.header("Content-Range")) == (206, b"56", "bytes 1-2/6")
    assert answer.header("ETag") == '"own"' and answer.header("Cache-Control") == "public, max-age=60"
    answer = server.get("/unpacked/packed.gz")
    assert answer.body == b"text" * 1000 and answer.header("Content-Length") is None
    assert server.get("/own").body == (APPS / "files" / "app.py").read_bytes()


def open_files(daemon: Daemon, path: Path) -> int:
    return list(descriptors(daemon.worker).values()).count(str(path))


def test_slow_readers_hold_no_thread(server: Daemon, files: Path) -> None:
    """More of them than there are threads; each costs a buffer, and its file is closed with it."""
    whole = hashlib.sha256((files / "big").read_bytes()).digest()
    before = resident(server.pid)
    slow = []
    for _ in range(12):
        conn = server.connect()
        conn.send(fcgi.request(environ("GET", "/file/big"), b"", 1, False))
        slow.append(conn)
    wait_until(lambda: open_files(server, files / "big") == 12, "their files are open")
    assert server.get("/file/small.txt").body == b"0123456789"
    assert resident(server.pid) - before < 12 << 20
    for conn in slow[:6]:
        assert hashlib.sha256(conn.response().body).digest() == whole
    for conn in slow:
        conn.close()
    wait_until(lambda: open_files(server, files / "big") == 0, "their files are closed")


def test_a_file_that_shrinks(server: Daemon, files: Path) -> None:
    """What was announced cannot be sent: the connection is cut, and nobody takes it for the whole."""
    path = files / "shrinks"
    path.write_bytes(b"x" * (8 << 20))
    with server.connect() as conn:
        conn.send(fcgi.request(environ("GET", "/file/shrinks"), b"", 1, True))
        wait_until(lambda: open_files(server, path) == 1, "it is being sent")
        os.truncate(path, 1000)
        with pytest.raises(Closed):
            conn.response()
    server.wait_log("shorter than the Content-Length")


# ---- by the web server --------------------------------------------------------------------


def http_get(port: int, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes, dict[str, str]]:
    """Status 0: nobody listens yet."""
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        conn.request("GET", path, headers=headers or {})
        answer = conn.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    except ConnectionRefusedError:
        return 0, b"", {}
    finally:
        conn.close()


def test_nginx_sends_it(tmp: Path, files: Path, snacgi: Callable[..., Daemon]) -> None:
    conf = {"python": {"send_file": "x-accel-redirect", "send_file_from": [f"{files} = /_files/"]}}
    daemon = snacgi(app="files", conf=conf, env={"FILES_DIR": str(files)})
    answer = daemon.get("/file/sub/in.html?attach")
    assert answer.header("X-Accel-Redirect") == "/_files/sub/in.html" and answer.body == b""
    assert daemon.get("/own").body, "it is in no directory that was named"
    path = daemon.addresses[0].path
    assert path
    nginx = Nginx(tmp, path, "kept")
    site = (tmp / "site.conf")
    text = site.read_text()
    at = text.index("location /")
    site.write_text(f"{text[:at]}location /_files/ {{ internal; alias {files}/; }}\n{text[at:]}")
    os.chmod(tmp, 0o755)
    nginx.reload()
    try:
        status, body, headers = nginx.ask("GET", "/file/big")
        assert status == 200 and body == (files / "big").read_bytes() and headers["Content-Length"] == str(SIZE)
        status, body, headers = nginx.ask("GET", "/file/small.txt?attach", headers={"Range": "bytes=2-4"})
        assert status == 206 and body == b"234" and headers["Content-Disposition"] == "attachment; filename=small.txt"
        status, _, _ = nginx.ask("GET", "/file/small.txt", headers={"If-None-Match": headers["ETag"]})
        assert status == 304
        assert nginx.ask("GET", "/_files/small.txt")[0] == 404
    finally:
        nginx.stop()


def test_lighttpd_sends_it(tmp: Path, files: Path, snacgi: Callable[..., Daemon]) -> None:
    """X-Sendfile, whose path lighttpd decodes: a name with what looks like a code, too."""
    names = {"big": files / "big", "50%2520off.txt": files / "50%20off.txt", "na%C3%AFve.txt": files / "naïve.txt"}
    names["50%2520off.txt"].write_text("cheap")
    names["na%C3%AFve.txt"].write_text("umlaut")
    daemon = snacgi(app="files", conf={"python": {"send_file": "x-sendfile", "send_file_from": [str(files)]}},
                    env={"FILES_DIR": str(files)})
    assert daemon.get("/file/small.txt").header("X-Sendfile") == str(files / "small.txt")
    port = free_port()
    lighttpd_configuration(tmp, port, f"""
	"socket" => "{daemon.addresses[0].path}",
	"x-sendfile" => "enable",
	"x-sendfile-docroot" => ( "{files}" ),
""")
    with front([tool("lighttpd"), "-D", "-f", str(tmp / "lighttpd.conf")], tmp):
        wait_until(lambda: http_get(port, "/file/small.txt")[0] == 200, "lighttpd")
        for name, path in names.items():
            status, body, headers = http_get(port, f"/file/{name}")
            assert (status, body) == (200, path.read_bytes()) and "X-Sendfile" not in headers
        assert http_get(port, "/file/small.txt", {"Range": "bytes=2-4"})[:2] == (206, b"234")


@pytest.mark.parametrize("entry, said", [("/srv/media", "names no location"), ("media = /x/", "absolute directory")])
def test_a_wrong_configuration(snacgi: Callable[..., Daemon], entry: str, said: str) -> None:
    daemon = snacgi(app="files", wait=False, conf={"python": {"send_file": "x-accel-redirect", "send_file_from": [entry]}})
    assert daemon.wait() != 0
    assert said in daemon.log() and "python.send_file_from" in daemon.log()
    daemon.expected_exit = None
