# SPDX-License-Identifier: MIT
"""send_file and send_from_directory through the test client, held against Werkzeug where that is right."""

from __future__ import annotations

import errno
import asyncio
import contextvars
import io
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import snacgi
from _snacgi import File, Request
from snacgi import _files, _routing, route, send_file, send_from_directory
from snacgi.exceptions import NotFound
from snacgi._bind import bind
from snacgi.testing import TestClient

pytestmark = pytest.mark.usefixtures("registry")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data.txt"
    path.write_bytes(b"0123456789")
    os.utime(path, (1_000_000_000.5, 1_000_000_000.5))
    return path


def client(make: Any) -> TestClient:
    _routing.registry.clear()
    route("/f", methods=["GET", "POST"])(lambda request: make())
    return TestClient()


def test_as_werkzeug(path: Path) -> None:
    werkzeug = pytest.importorskip("werkzeug.utils")
    for more in ({}, {"as_attachment": True}, {"max_age": 60}, {"max_age": 0}, {"download_name": "naïve \"q\" file.txt"},
                 {"etag": False}, {"etag": "own"}, {"mimetype": "text/html"}, {"download_name": "x.tar.gz"},
                 {"last_modified": datetime(2020, 1, 1, tzinfo=timezone.utc)}, {"last_modified": 1e9}):
        theirs = werkzeug.send_file(str(path), {"REQUEST_METHOD": "GET"}, **more)
        ours = send_file(str(path), **more)
        for name in ("Content-Type", "Content-Encoding", "ETag", "Last-Modified"):
            assert ours.headers.get(name) == theirs.headers.get(name), (more, name)
        said = theirs.headers["Content-Disposition"]
        if "naïve" not in str(more):
            assert ours.headers["Content-Disposition"] == said, more
        for name in ("no-cache", "public", "max-age"):
            assert (name in ours.headers["Cache-Control"]) == (name in theirs.headers["Cache-Control"]), more
        theirs.close()


def test_names() -> None:
    assert _files._disposition("naïve.txt", True) == "attachment; filename=naive.txt; filename*=UTF-8''na%C3%AFve.txt"
    assert _files._disposition('a"b\\c', False) == 'inline; filename="a\\"b\\\\c"'
    assert _files._disposition("a\r\nb", True) == "attachment; filename=ab; filename*=UTF-8''a%0D%0Ab"


def test_ranges(path: Path) -> None:
    tests = client(lambda: send_file(path))
    for asked, want in {"bytes=0-0": b"0", "bytes=2-4": b"234", "bytes=7-": b"789", "bytes=-3": b"789", "bytes=-30": b"0123456789",
                        "bytes=5-100": b"56789", "Bytes= 2-4": b"234"}.items():
        answer = tests.get("/f", headers={"Range": asked})
        start = b"0123456789".index(want)
        assert answer.status_code == 206 and answer.data == want, asked
        assert answer.headers["Content-Range"] == f"bytes {start}-{start + len(want) - 1}/10"
    for asked in ("bytes=", "bytes=-", "bytes=a-b", "bytes=4-2", "bytes=1-2,4-5", "items=0-1", "0-1", "bytes=1-2-3", "bytes=" + "9" * 99 + "-"):
        answer = tests.get("/f", headers={"Range": asked})
        assert answer.status_code == 200 and answer.data == b"0123456789", asked
    for asked in ("bytes=10-", "bytes=10-11", "bytes=-0"):
        answer = tests.get("/f", headers={"Range": asked})
        assert answer.status_code == 416 and answer.headers["Content-Range"] == "bytes */10", asked
    assert tests.open("/f", "HEAD", headers={"Range": "bytes=0-1"}).status_code == 200
    assert tests.post("/f", headers={"Range": "bytes=0-1"}).status_code == 200


def test_conditions(path: Path) -> None:
    tests = client(lambda: send_file(path, etag="t"))
    now, before, later = "Sun, 09 Sep 2001 01:46:40 GMT", "Sun, 09 Sep 2001 01:46:39 GMT", "Sun, 09 Sep 2001 01:46:41 GMT"
    for headers, status in [
        ({"If-None-Match": '"t"'}, 304), ({"If-None-Match": 'W/"t"'}, 304), ({"If-None-Match": '"a", "t"'}, 304),
        ({"If-None-Match": "*"}, 304), ({"If-None-Match": '"a"'}, 200), ({"If-None-Match": "t"}, 200),
        ({"If-None-Match": '"a"', "If-Modified-Since": now}, 200), ({"If-Modified-Since": now}, 304),
        ({"If-Modified-Since": later}, 304), ({"If-Modified-Since": before}, 200), ({"If-Modified-Since": "soon"}, 200),
        ({"If-Match": '"t"'}, 200), ({"If-Match": "*"}, 200), ({"If-Match": '"a"'}, 412), ({"If-Match": 'W/"t"'}, 412),
        ({"If-Unmodified-Since": now}, 200), ({"If-Unmodified-Since": before}, 412), ({"If-Unmodified-Since": "x"}, 200),
        ({"Range": "bytes=0-0", "If-Range": '"t"'}, 206), ({"Range": "bytes=0-0", "If-Range": 'W/"t"'}, 200),
        ({"Range": "bytes=0-0", "If-Range": now}, 206), ({"Range": "bytes=0-0", "If-Range": before}, 200),
        ({"Range": "bytes=0-0", "If-Range": "x"}, 200), ({"Range": "bytes=0-0", "If-None-Match": '"t"'}, 304),
    ]:
        answer = tests.get("/f", headers=headers)
        assert answer.status_code == status, headers
        assert status != 304 or (answer.data == b"" and answer.headers["ETag"] == '"t"')
    assert tests.post("/f", headers={"If-None-Match": '"t"'}).status_code == 412
    assert client(lambda: send_file(path, conditional=False)).get("/f", headers={"Range": "bytes=0-0"}).status_code == 200


def test_lists_of_tags() -> None:
    from snacgi._conditional import _names

    for header, weak, strong in [
        ('W/"x", "y"', "xy", "y"), ('W/"x","y" ,\t"z"', "xyz", "yz"), ('"a" "b"', "", ""), ('"a""b"', "", ""),
        (', ,, "a",,"b", ,', "ab", "ab"), ('"a"x, "b"', "", ""), ('\xa0"a"', "", ""), ('"a"\xa0', "", ""), ("a, b", "", ""),
    ]:
        for tag in "abxyz":
            assert (_names(header, tag, True), _names(header, tag, False)) == (tag in weak, tag in strong), (header, tag)
    for many in (" ", "\t", "\xa0", ",", ", ", '" ', '"a" ', '"a", ', "W/", '"' + " " * 9):  # its square would take hours
        for end in ("", "x", '"'):
            assert not _names(many * (100000 // len(many)) + end, "no", True)
            assert not _names('"a"' + many * (100000 // len(many)) + end, "no", True)


def test_what_can_be_sent(path: Path, tmp_path: Path) -> None:
    assert send_file(io.BytesIO(b"abc"), "text/plain").data == b"abc"
    with open(path, "rb") as file:
        file.seek(4)
        assert send_file(file, "text/plain").data == b"456789"
        assert file.closed
    with pytest.raises(TypeError, match="MIME type"):
        send_file(io.BytesIO())
    with pytest.raises(TypeError, match="attachment"):
        send_file(io.BytesIO(), "text/plain", as_attachment=True)
    with pytest.raises(ValueError, match="binary"):
        send_file(io.StringIO(), "text/plain")
    with pytest.raises(TypeError, match="path or a binary file"):
        send_file(5)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        send_file(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        send_file(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="regular"):
        send_file(tmp_path / "fifo")
    assert send_file(os.path.basename(__file__)).data == Path(__file__).read_bytes()


def test_a_failing_system_is_no_missing_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ENXIO,
                   errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM):
        def fail(*args: object, **kwargs: object) -> int:
            raise OSError(number, os.strerror(number))

        wanted: type[Exception] = OSError if number in (errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM) else NotFound
        with monkeypatch.context() as patched, pytest.raises(wanted):
            patched.setattr(os, "open", fail)
            send_from_directory(path.parent, path.name)


def test_nothing_is_left_open(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    tests = client(lambda: send_file(path, download_name="x.txt"))
    for headers in ({}, {"If-None-Match": "*"}, {"Range": "bytes=99-"}, {"If-Match": '"no"'}):
        tests.get("/f", headers=headers)
    tests.head("/f")
    send_file(path)
    with pytest.raises(TypeError):
        send_file(path, max_age="x")  # type: ignore[arg-type]
    del tests
    assert len(os.listdir("/proc/self/fd")) == before


class Readable:
    """Has read(), and no descriptor to be sent from."""

    def __init__(self, data: bytes) -> None:
        self.read, self.closed = io.BytesIO(data).read, 0

    def close(self) -> None:
        self.closed += 1


def test_what_is_read_is_closed() -> None:
    made = []

    def send() -> Any:
        made.append(Readable(b"x" * 100_000))
        return send_file(made[-1], "text/plain", etag="t")  # type: ignore[arg-type]

    tests = client(send)
    assert tests.get("/f").data == b"x" * 100_000
    assert tests.get("/f", headers={"If-None-Match": '"t"'}).status_code == 304
    assert tests.head("/f").status_code == 200
    tests.get("/f").close()
    assert [one.closed for one in made] == [1] * 4


@pytest.mark.parametrize("name", ["../data.txt", "a/../../x", "/etc/passwd", "..", "none", "", ".", "sub", "a\0b", "fifo"])
def test_outside(path: Path, tmp_path: Path, name: str) -> None:
    inner = tmp_path / "inner"
    (inner / "sub").mkdir(parents=True)
    os.mkfifo(inner / "fifo")
    (inner / "in.txt").write_text("x")
    tests = client(lambda: send_from_directory(inner, name))
    assert tests.get("/f").status_code == 404
    assert send_from_directory(inner, "sub/../in.txt").data == b"x"


def test_safe_join() -> None:
    security = pytest.importorskip("werkzeug.security")
    for directory in ("/srv", "", "rel/"):
        for names in (("a",), ("a", "b"), ("../a",), ("a/../b",), ("a/../../b",), ("/a",), ("",), ("..",), (".",), ("a", "../b"), ("./a",)):
            assert _files.safe_join(directory, *names) == security.safe_join(directory, *names), (directory, names)


def test_the_web_server_sends_it(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_files, "_offload", dict(_files._offload))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "ü b.txt").write_text("x")
    _files.configure("x-accel-redirect", [f"{tmp_path} = /_all/", f"{tmp_path}/sub = /_sub"])
    assert send_file(path).headers["X-Accel-Redirect"] == "/_all/data.txt"
    answer = send_file(tmp_path / "sub" / "ü b.txt")
    assert answer.headers["X-Accel-Redirect"] == "/_sub/%C3%BC%20b.txt" and answer.data == b""
    assert "X-Accel-Redirect" not in send_file(__file__).headers
    (tmp_path / "link").symlink_to(__file__)
    assert "X-Accel-Redirect" not in send_file(tmp_path / "link").headers
    _files.configure("x-sendfile", [str(tmp_path)])
    assert send_file(path).headers["X-Sendfile"] == str(path)
    tests = client(lambda: send_file(path))
    assert tests.get("/f", headers={"If-None-Match": "*"}).headers.get("X-Sendfile") is None
    for entry in ("rel = /x/", f"{tmp_path}"):
        with pytest.raises(ValueError, match="send_file_from"):
            _files.configure("x-accel-redirect", [entry])
    with pytest.raises(ValueError, match="send_file_from"):
        _files.configure("x-sendfile", [f"{tmp_path} = /x/"])


@pytest.mark.parametrize("hook", ["errorhandler", "teardown_request"])
def test_hooks_leave_it_to_c(scope: Any, path: Path, hook: str) -> None:
    done = []
    if hook == "errorhandler":
        snacgi.errorhandler(KeyError)(lambda exc: "failed")
    else:
        snacgi.teardown_request(lambda exc: done.append(exc))

    @route("/f")
    def sync(request: Any) -> Any:
        return send_file(path), 200

    @route("/g")
    async def asynchronous(request: Any) -> Any:
        return send_file(path)

    for made in _routing.registry:
        call, asked = bind(made), Request("GET", made.pattern)
        context = contextvars.copy_context()
        result = context.run(lambda: asyncio.run(call(asked)) if made.is_async else call(asked))
        response = result[0] if isinstance(result, tuple) else result
        assert type(response.response) is File
        response.response.close()
    assert done == ([] if hook == "errorhandler" else [None, None])
    with TestClient() as tests:
        assert tests.get("/f").data == tests.get("/g").data == b"0123456789"
