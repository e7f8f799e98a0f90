# SPDX-License-Identifier: MIT
"""Answers that Python handlers give in pieces: order, memory, context, and their end."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any, Callable

import pytest

import scgi
from daemon import Daemon, resident, threads, wait_until
from fcgi import STDOUT, request
from wire import Closed, environ

Snacgi = Callable[..., Daemon]

pytestmark = pytest.mark.parametrize("kind", ["sync", "async"])

LISTEN = ("fastcgi+unix", "scgi+unix", "scgi+tcp4")


class Notes:
    """What the application has noted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def lines(self) -> list[str]:
        return self.path.read_text().split("\n")[:-1]

    def wait(self, text: str, times: int = 1) -> None:
        wait_until(lambda: self.lines().count(text) >= times, f"{text!r} among {self.lines()}", 60)
        assert self.lines().count(text) == times


@pytest.fixture
def notes(tmp: Path) -> Notes:
    return Notes(tmp / "notes")


@pytest.fixture
def start(snacgi: Snacgi, notes: Notes) -> Callable[..., Daemon]:
    def start(**options: Any) -> Daemon:
        options.setdefault("listen", LISTEN)
        return snacgi(app="streams", env={"STREAMS_LOG": str(notes.path)}, **options)

    return start


def begin(daemon: Daemon, target: str, keep: bool = True) -> Any:
    conn = daemon.connect()
    conn.send(request(environ("GET", target), b"", 1, keep))
    return conn


def thread_names(pid: int) -> list[str]:
    names = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            names.append((task / "comm").read_text().strip())
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has just ended
    return names


@pytest.mark.basic
def test_pieces_in_their_context(start: Callable[..., Daemon], notes: Notes, kind: str) -> None:
    daemon = start()
    for address in daemon.addresses:
        answer = daemon.get(f"/{kind}/pieces?n=3", address=address)
        assert answer.status == 200 and answer.header("Content-Type") == "text/html; charset=utf-8"
        assert answer.header("Content-Length") is None
        assert answer.text.split("\n") == [*(f"{n} {kind} {kind} /{kind}/pieces" for n in range(3)), ""]
    notes.wait(f"teardown /{kind}/pieces None", 3)
    assert notes.lines() == ["began", "closed", f"teardown /{kind}/pieces None"] * 3
    assert daemon.get(f"/{kind}/yields").body == b"a b c"


def test_no_piece_at_all(start: Callable[..., Daemon], notes: Notes, kind: str) -> None:
    answer = start().get(f"/{kind}/pieces?n=0")
    assert answer.status == 200 and answer.body == b"" and answer.header("Content-Length") == "0"
    notes.wait(f"teardown /{kind}/pieces None")
    assert notes.lines()[:2] == ["began", "closed"]


def test_a_sync_generator_of_an_async_handler(start: Callable[..., Daemon], notes: Notes, kind: str) -> None:
    daemon = start()
    path = "/handed/pieces" if kind == "async" else "/sync/source"
    text = daemon.get(path).text
    if kind == "async":
        assert text.split("\n") == [*(f"{n} sync sync /handed/pieces" for n in range(3)), ""]
        notes.wait("teardown /handed/pieces None")
    else:
        assert text == "ab"
        notes.wait("closed source")
        answer = daemon.get("/sync/odd")
        assert answer.status == 500 and b"async def" not in answer.body
        daemon.wait_log("write it with async def")


def test_the_first_piece_is_there_before_the_last_is_made(start: Callable[..., Daemon], tmp: Path, kind: str) -> None:
    daemon = start()
    gate = tmp / "gate"
    conn = begin(daemon, f"/{kind}/gate?gate={gate}")
    got = b""
    while b"first\n" not in got:
        kind_of, _, content = conn.read_record()
        assert kind_of == STDOUT
        got += content
    assert daemon.get("/plain").json() == {"plain": True}
    gate.touch()
    conn.close()
    gate.unlink()
    with scgi.Connection(daemon.addresses[1]) as slow:
        slow.send(scgi.request(environ("GET", f"/{kind}/gate?gate={gate}")))
        while b"first\n" not in slow.buffer:
            slow.buffer += slow.sock.recv(100)
        gate.touch()
        assert slow.response().text == "first\nlast\n"


def test_slow_readers_hold_no_thread(start: Callable[..., Daemon], notes: Notes, kind: str) -> None:
    """More streams that nobody reads than dispatch threads; the others are answered meanwhile."""
    daemon = start(conf={"python": {"dispatch_workers": 2}})
    daemon.get(f"/{kind}/large?n=1&id=warm")
    before = resident(daemon.worker)
    streams = [begin(daemon, f"/{kind}/large?n=200&id={n}") for n in range(12)]
    heads = [conn.read(8) for conn in streams]
    for n in range(20):
        assert daemon.get("/plain").json() == {"plain": True}
    assert threads(daemon.worker) < 30
    # 12 answers of 20 MB each wait; what lies here is a queue for each, and pieces.
    assert resident(daemon.worker) - before < 60 * 1024 * 1024
    for conn, head in zip(streams, heads):
        conn.buffer[:0] = head
        body = conn.response().body
        assert len(body) == 20_000_000
        assert [body[at : at + 7] for at in range(0, len(body), 100_000)] == [b"%07d" % n for n in range(200)]
        conn.close()
    for n in range(12):
        notes.wait(f"closed large {n}")


def test_a_client_that_leaves(start: Callable[..., Daemon], notes: Notes, kind: str) -> None:
    daemon = start(conf={"python": {"dispatch_workers": 2}})
    for n, slow in enumerate(("", "?slow=1")):
        conn = begin(daemon, f"/{kind}/endless{slow}")
        conn.read(5000)
        conn.close()
        notes.wait("closed endless", n + 1)
        notes.wait(f"teardown /{kind}/endless " + ("None" if kind == "sync" or not slow else "CancelledError"),
                   n + 1 if kind == "sync" else 1)
    assert daemon.get("/plain").json() == {"plain": True}


def test_a_generator_that_raises_midway_cuts(start: Callable[..., Daemon], notes: Notes, kind: str) -> None:
    daemon = start()
    for n, how in enumerate(("raise", "type", "abort")):
        with begin(daemon, f"/{kind}/breaks?how={how}") as conn:
            with pytest.raises(Closed) as caught:
                conn.response()
        assert caught.value.got.endswith(b"0\n1\n")
        notes.wait("closed", n + 1)
    tcp = daemon.addresses[2]
    with scgi.Connection(tcp) as scgi_conn:
        scgi_conn.send(scgi.request(environ("GET", f"/{kind}/breaks")))
        with pytest.raises(ConnectionResetError):
            scgi_conn.response()
    daemon.wait_log(r"breaks failed in the middle of its answer; the connection is cut")
    daemon.wait_log(r"KeyError: 'in the middle'")
    daemon.wait_log(r"gave an object of type int: yield bytes or str")
    notes.wait(f"teardown /{kind}/breaks KeyError", 2)
    assert daemon.get("/plain").json() == {"plain": True}


def test_what_fails_before_the_first_piece_is_an_ordinary_error(start: Callable[..., Daemon], notes: Notes,
                                                                kind: str) -> None:
    daemon = start()
    for how, status in (("raise", 500), ("type", 500), ("abort", 404)):
        answer = daemon.get(f"/{kind}/breaks?after=0&how={how}")
        assert answer.status == status and answer.json()["status"] == status
    notes.wait("closed", 3)
    daemon.wait_log(r"breaks failed:\n")


def test_no_body_no_generator(start: Callable[..., Daemon], notes: Notes, kind: str) -> None:
    daemon = start()
    answer = daemon.ask("HEAD", f"/{kind}/pieces")
    assert answer.status == 200 and answer.header("Content-Length") is None
    answer = daemon.get(f"/{kind}/status?status=204")
    assert answer.status == 204 and answer.header("X-Own") == "1"
    assert daemon.get(f"/{kind}/status?status=203").status == 203
    notes.wait("closed")
    assert notes.lines()[:3] == [f"teardown /{kind}/pieces None", f"teardown /{kind}/status None", "began"]


def test_a_length_that_is_announced_is_held_to(start: Callable[..., Daemon], kind: str) -> None:
    daemon = start()
    answer = daemon.get(f"/{kind}/announced?n=3")
    assert answer.header("Content-Length") == "30" and answer.body == b"x" * 30
    for n in (2, 4):
        with begin(daemon, f"/{kind}/announced?n={n}") as conn:
            with pytest.raises(Closed):
                conn.response()


def test_background_work(start: Callable[..., Daemon], notes: Notes, tmp: Path, kind: str) -> None:
    """The answer is there, and others are answered, before the work is done."""
    daemon = start()
    gate = tmp / "gate"
    with daemon.connect() as conn:
        answer = conn.ask("GET", f"/{kind}/background?gate={gate}")
        assert answer.text == "answered" and answer.header("Content-Length") == "8"
        assert daemon.get("/plain").json() == {"plain": True}
        assert conn.ask("GET", "/plain").json() == {"plain": True}
        assert "later" not in str(notes.lines())
        gate.touch()
        notes.wait(f"later 2 /{kind}/background")
    assert [line for line in notes.lines() if "later" in line] == [f"later {n} /{kind}/background" for n in (1, 2)]
    assert daemon.get("/handed/background").text == "answered"
    notes.wait("later 1 /handed/background")
    assert daemon.get(f"/{kind}/background-fails").text == "answered"
    daemon.wait_log(r"background_fails failed after its answer:\n")


def test_what_breaks_does_not_wait_for_its_background_work(start: Callable[..., Daemon], notes: Notes, tmp: Path,
                                                           kind: str) -> None:
    """It is cut, or an error, and in the log while the work has not begun; that goes on, though nobody is there."""
    daemon = start()
    gate = tmp / "gate"
    target = f"/{kind}/breaks-background?gate={gate}"
    with begin(daemon, f"{target}&id=cut") as conn:
        with pytest.raises(Closed) as caught:
            conn.response()
    assert caught.value.got.endswith(b"0\n1\n")
    daemon.wait_log(r"breaks_background failed in the middle of its answer; the connection is cut")
    with daemon.connect() as conn:
        assert conn.ask("GET", f"{target}&id=error&after=0").status == 500
        assert conn.ask("GET", "/plain").json() == {"plain": True}
    daemon.wait_log(r"breaks_background failed:\n")
    assert "later" not in str(notes.lines())
    gate.touch()
    for which in ("cut", "error"):
        notes.wait(f"later {which} /{kind}/breaks-background")
    assert "failed after its answer" not in daemon.log()


def test_background_work_after_a_file(start: Callable[..., Daemon], notes: Notes, tmp: Path, kind: str) -> None:
    """The file goes out without a thread; then, and only then, the work is done."""
    daemon = start(conf={"python": {"dispatch_workers": 1}})
    content = b"0123456789" * 1_000_000
    (tmp / "file").write_bytes(content)
    target = f"/{kind}/background-file?file={tmp}/file&id="
    line = f"/{kind}/background-file"
    with begin(daemon, f"{target}unread") as unread, begin(daemon, f"{target}left") as left:
        head = unread.read(8)
        left.read(8)
        for _ in range(20):
            assert daemon.get("/plain").json() == {"plain": True}
        assert not [one for one in notes.lines() if "later" in one]
        left.close()
        notes.wait(f"later left {line}")
        unread.buffer[:0] = head
        answer = unread.response()
        assert answer.body == content and answer.header("Content-Length") == str(len(content))
        notes.wait(f"later unread {line}")
    assert daemon.ask("HEAD", f"{target}head").header("Content-Length") == str(len(content))
    notes.wait(f"later head {line}")
    answer = daemon.get(f"{target}part", headers={"Range": "bytes=5-8"})
    assert answer.status == 206 and answer.body == b"5678"
    notes.wait(f"later part {line}")
    tag = answer.header("ETag") or ""
    assert daemon.get(f"{target}same", headers={"If-None-Match": tag}).status == 304
    notes.wait(f"later same {line}")


def test_background_work_after_a_file_at_the_end(start: Callable[..., Daemon], notes: Notes, tmp: Path, kind: str) -> None:
    """The file is cut at the deadline; the work is done nevertheless."""
    daemon = start(conf={"timeouts": {"shutdown": 20.0}})
    (tmp / "file").write_bytes(b"x" * 10_000_000)
    unread = begin(daemon, f"/{kind}/background-file?file={tmp}/file&id=1")
    unread.read(8)
    daemon.signal(signal.SIGTERM)
    daemon.wait()
    notes.wait(f"later 1 /{kind}/background-file")
    unread.close()


def test_background_work_is_waited_for_at_the_end(start: Callable[..., Daemon], notes: Notes, tmp: Path,
                                                  kind: str) -> None:
    daemon = start()
    gate = tmp / "gate"
    assert daemon.get(f"/{kind}/background?gate={gate}").text == "answered"
    daemon.signal(signal.SIGTERM)
    daemon.wait_log("SIGTERM|stopping")
    gate.touch()
    daemon.wait()
    assert f"later 2 /{kind}/background" in notes.lines()


def test_a_handler_that_falls_silent_is_cut(start: Callable[..., Daemon], notes: Notes, tmp: Path, kind: str) -> None:
    """It is; one that waits for its reader is not."""
    daemon = start(conf={"timeouts": {"stream": 1.0}})
    unread = begin(daemon, f"/{kind}/large?n=100&id=1")
    head = unread.read(8)
    for target in (f"/{kind}/gate?gate={tmp}/never", f"/native/gated?size=10&gate={tmp}"):
        with begin(daemon, target) as conn:
            with pytest.raises(Closed) as caught:
                conn.response()
        assert b"\r\n\r\n" in caught.value.got
    daemon.wait_log(f"GET /{kind}/gate: nothing more of its answer from app.* within timeouts.stream")
    daemon.wait_log("GET /native/gated: nothing more of its answer from")
    notes.wait(f"teardown /{kind}/gate " + ("HandlerTimeout" if kind == "sync" else "CancelledError"))
    (tmp / "open").touch()
    unread.buffer[:0] = head
    assert len(unread.response().body) == 10_000_000
    unread.close()
    assert daemon.get("/plain").json() == {"plain": True}


def test_the_head_comes_late_and_then_nothing(start: Callable[..., Daemon], tmp: Path, kind: str) -> None:
    """timeouts.stream counts from the head, however long timeouts.request still is."""
    daemon = start(conf={"timeouts": {"stream": 0.5, "request": 600.0}, "log": {"slow": 0.0}})
    with begin(daemon, f"/{kind}/gate?gate={tmp}/never&head={tmp}/head") as late:
        with begin(daemon, f"/{kind}/gate?gate={tmp}/never") as early, pytest.raises(Closed):
            early.response()
        (tmp / "head").touch()
        with pytest.raises(Closed) as caught:
            late.response()
        assert b"first" in caught.value.got


def test_a_silent_generator_of_an_async_handler_is_ended(start: Callable[..., Daemon], notes: Notes, tmp: Path,
                                                         kind: str) -> None:
    """Also where the handler began before its request had come."""
    path = "/handed/gate" if kind == "async" else "/sync/gate"
    daemon = start(conf={"timeouts": {"stream": 0.5}})
    with begin(daemon, f"{path}?gate={tmp}/never") as conn, pytest.raises(Closed):
        conn.response()
    daemon.wait_log("is over its time: it is interrupted")
    notes.wait(f"teardown {path} HandlerTimeout")


def test_the_end_of_the_server_closes_generators(start: Callable[..., Daemon], notes: Notes, kind: str) -> None:
    daemon = start(conf={"timeouts": {"shutdown": 3.0}})
    unread = begin(daemon, f"/{kind}/endless")
    unread.read(1000)
    daemon.signal(signal.SIGTERM)
    daemon.wait()
    notes.wait("closed endless")
    unread.close()


def test_the_end_of_the_server_closes_those_of_one_connection(start: Callable[..., Daemon], notes: Notes,
                                                              kind: str) -> None:
    daemon = start(conf={"timeouts": {"shutdown": 3.0}})
    with daemon.connect() as unread:
        for rid in (1, 2):
            unread.send(request(environ("GET", f"/{kind}/endless"), b"", rid, True))
        unread.read(1000)
        notes.wait("began endless", 2)
        daemon.signal(signal.SIGTERM)
        daemon.wait()
    notes.wait("closed endless", 2)


def test_the_end_of_the_server_closes_those_that_began_late(start: Callable[..., Daemon], notes: Notes, tmp: Path,
                                                            kind: str) -> None:
    """When the other threads had ended: nobody reads it, and its own thread waits with it."""
    daemon = start(conf={"timeouts": {"shutdown": 6.0}, "python": {"dispatch_workers": 2}})
    unread = begin(daemon, f"/{kind}/late?gate={tmp}/gate")
    notes.wait("arrived")
    assert daemon.get("/plain").json() == {"plain": True}  # another thread takes what comes from now on
    assert "sn-py-monitor" in thread_names(daemon.worker)
    daemon.signal(signal.SIGTERM)
    wait_until(lambda: "sn-py-monitor" not in thread_names(daemon.worker), "the end of what waits")
    (tmp / "gate").touch()
    unread.read(1000)
    daemon.wait()
    notes.wait("closed endless")
    unread.close()


def test_what_streams_is_finished_before_the_end(start: Callable[..., Daemon], notes: Notes, kind: str) -> None:
    daemon = start()
    conn = begin(daemon, f"/{kind}/large?n=100&id=1")
    head = conn.read(8)
    daemon.signal(signal.SIGTERM)
    daemon.wait_log("SIGTERM|stopping")
    conn.buffer[:0] = head
    assert len(conn.response().body) == 10_000_000
    conn.close()
    daemon.wait()
    assert notes.lines()[0] == "closed large 1"
