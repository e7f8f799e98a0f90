# SPDX-License-Identifier: MIT
"""snacgi-bench against the daemon: its figures add up, and it tells a wrong
answer from a right one."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from daemon import BUILD, SANITIZED, Daemon

BENCH = BUILD / "bench" / "snacgi-bench"

pytestmark = pytest.mark.skipif(not BENCH.exists(), reason="bench/snacgi-bench is not built")


def bench(*args: object) -> tuple[int, str, str]:
    got = subprocess.run([str(BENCH), *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "Sanitizer" not in got.stderr and "runtime error" not in got.stderr, got.stderr
    return got.returncode, got.stdout, got.stderr


def measured(*args: object) -> dict[str, Any]:
    status, out, err = bench("--json", *args)
    assert status == 0, (status, out, err)
    report: dict[str, Any] = json.loads(out)
    assert report["wrong_total"] == 0 and report["unserved_connections"] == 0
    assert report["latency_us"]["count"] > 0
    return report


@pytest.fixture(scope="module")
def daemon(module_tmp: Path) -> Iterator[Daemon]:
    listen = [f"{protocol}+{kind}" for protocol in ("fastcgi", "scgi") for kind in ("unix", "tcp4")]
    one = Daemon(module_tmp, listen=listen, supervisor=True)
    one.start()
    yield one
    one.stop()


def address(daemon: Daemon, protocol: str, kind: str) -> str:
    one = next(a for a in daemon.addresses if (a.protocol, a.kind) == (protocol, kind))
    return f"{protocol}:{one.spec()}"


@pytest.mark.parametrize("protocol, kind, keep", [
    ("fastcgi", "unix", True), ("fastcgi", "unix", False), ("fastcgi", "tcp4", True), ("fastcgi", "tcp4", False),
    ("scgi", "unix", False), ("scgi", "tcp4", False)])
def test_closed_loop(daemon: Daemon, protocol: str, kind: str, keep: bool) -> None:
    report = measured("-d", 0.3, "-w", 0.1, "-c", 8, "-t", 2, "-p", daemon.pid, *([] if keep else ["-N"]),
                      address(daemon, protocol, kind), "/native/hello?name=bench")
    assert report["keep"] is keep
    assert report["seconds"] == pytest.approx(0.3)
    assert report["requests"] == report["status"]["200"] == report["latency_us"]["count"]
    assert report["requests_per_second"] == pytest.approx(report["requests"] / report["seconds"], rel=1e-3)
    latency = report["latency_us"]
    assert 0 < latency["min"] <= latency["p50"] <= latency["p99"] <= latency["p99_9"] <= latency["max"]
    assert report["server"]["cpu_seconds"] > 0
    assert report["server"]["processes"] >= 2  # the supervisor and its worker
    assert report["reconnects"] == 0


def test_python_endpoint(daemon: Daemon) -> None:
    report = measured("-n", 50, "-c", 4, address(daemon, "fastcgi", "unix"), "/hello")
    assert report["requests"] == 50
    assert report["server"] is None


@pytest.mark.parametrize("threads", [1, 3])
def test_exact_number(daemon: Daemon, threads: int) -> None:
    report = measured("-n", 101, "-c", 7, "-t", threads, address(daemon, "fastcgi", "unix"), "/native/hello")
    assert report["requests"] == 101
    assert report["unanswered"] == 0


def test_open_loop(daemon: Daemon) -> None:
    report = measured("-R", 200, "-d", 1, "-w", 0, "-c", 4, "-t", 2, address(daemon, "fastcgi", "unix"), "/native/hello")
    # By the clock: every request of that second was due and counted.
    assert report["latency_us"]["count"] == 200
    assert SANITIZED or report["requests"] >= 190


def test_table(daemon: Daemon) -> None:
    status, out, _ = bench("-n", 20, "-c", 2, "-p", daemon.pid, "--label", "named", address(daemon, "scgi", "unix"), "/native/hello")
    assert status == 0
    for text in ("named:", "SCGI", "20 in ", "us a request", "p99.9"):
        assert text in out


def test_wrong_answers(daemon: Daemon) -> None:
    where = address(daemon, "fastcgi", "unix")
    status, _, err = bench("-n", 10, where, "/nowhere")
    assert status == 1 and "status 404" in err
    status, _, err = bench("-n", 10, "--expect-body", "something else", where, "/native/hello")
    assert status == 1 and "not the expected one" in err
    status, _, err = bench("-n", 10, "--expect-length", 1, where, "/native/hello")
    assert status == 1 and "length" in err
    status, _, _ = bench("-n", 10, "--expect-status", 404, where, "/nowhere", "--any-body")
    assert status == 0


@pytest.mark.parametrize("args, text", [
    (["-c", "0"], "--connections"), (["-d", "x"], "--duration"), (["-n", "1.5"], "whole"), (["-P", "x"], "NAME=VALUE"),
    (["-H", "x"], "Name: value"), (["--nonsense"], "--help")])
def test_usage(args: list[str], text: str) -> None:
    status, out, err = bench(*args, "unix:/x")
    assert (status, out) == (2, "")
    assert text in err


def test_no_server(tmp: Path) -> None:
    status, _, err = bench(f"unix:{tmp}/none")
    assert status == 2 and "is the server running?" in err
    status, _, err = bench("-p", 0x3FFFFFFF, "-n", 1, f"unix:{tmp}/none")
    assert status == 2


# ---- servers that misbehave ---------------------------------------------------


def record(kind: int, data: bytes) -> bytes:
    return bytes((1, kind, 0, 1, len(data) >> 8, len(data) & 255, 0, 0)) + data


GOOD = record(6, b"Status: 200 OK\r\n\r\nfine") + record(3, bytes(8))


class Odd:
    """A FastCGI server of one's own: `answer(n)` gives the bytes for the n-th
    request (None: never answer); it closes where `close(n)` says so."""

    def __init__(self, path: Path, answer: Callable[[int], bytes | None], close: Callable[[int], bool] = lambda n: False) -> None:
        self.address = f"unix:{path}"
        self.answer, self.close = answer, close
        self.count = 0
        self.lock = threading.Lock()
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(str(path))
        self.sock.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn: socket.socket) -> None:
        with conn:
            while data := conn.recv(65536):
                while not data.endswith(bytes((1, 5, 0, 1, 0, 0, 0, 0))):
                    data += conn.recv(65536)
                with self.lock:
                    self.count += 1
                    number = self.count
                answer = self.answer(number)
                if answer is None:
                    threading.Event().wait(30)
                    return
                try:
                    conn.sendall(answer)
                except OSError:
                    return
                if self.close(number):
                    return


@pytest.fixture
def odd(tmp: Path) -> Iterator[Callable[..., Odd]]:
    made: list[Odd] = []

    def make(*args: Any) -> Odd:
        made.append(Odd(tmp / f"odd{len(made)}", *args))
        return made[-1]

    yield make
    for one in made:
        one.sock.close()


@pytest.mark.parametrize("fault, answer", [
    ("body", record(6, b"Status: 200 OK\r\n\r\nfind") + record(3, bytes(8))),
    ("length", record(6, b"Status: 200 OK\r\n\r\nfine!") + record(3, bytes(8))),
    ("status", record(6, b"Status: 503 No\r\n\r\nfine") + record(3, bytes(8))),
    ("protocol", record(3, bytes((0, 0, 0, 0, 2, 0, 0, 0)))),
    ("head", record(3, bytes(8))),
    ("record", b"HTTP/1.1 200 OK\r\n\r\n"),
    ("extra", GOOD + b"!"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_fault_is_counted(odd: Callable[..., Odd], fault: str, answer: bytes) -> None:
    server = odd(lambda n: answer if n == 5 else GOOD)
    status, out, _ = bench("--json", "-n", 20, "-c", 1, server.address)
    report = json.loads(out)
    assert status == 1
    assert report["wrong"][fault] == report["wrong_total"] == 1
    assert report["first_wrong"]
    assert report["requests"] == 20


def test_answer_cut_short(odd: Callable[..., Odd]) -> None:
    server = odd(lambda n: GOOD[:10] if n == 5 else GOOD, lambda n: n == 5)
    status, out, _ = bench("--json", "-n", 20, "-c", 1, server.address)
    assert status == 1
    assert json.loads(out)["wrong"]["cut"] == 1


def test_server_that_does_not_keep(odd: Callable[..., Odd]) -> None:
    server = odd(lambda n: GOOD, lambda n: True)
    status, out, _ = bench("--json", "-n", 20, "-c", 1, server.address)
    report = json.loads(out)
    assert status == 0
    assert report["requests"] == 20 and report["reconnects"] == 19


def test_server_that_only_closes(odd: Callable[..., Odd]) -> None:
    server = odd(lambda n: GOOD if n == 1 else b"", lambda n: n > 1)
    status, out, _ = bench("--json", "-d", 0.3, "-w", 0, "-c", 4, server.address)
    report = json.loads(out)
    assert status == 1
    assert report["wrong"]["cut"] > 4


def test_starved_connections(odd: Callable[..., Odd]) -> None:
    lucky: set[threading.Thread] = set()  # not idents: those are used again

    def answer(n: int) -> bytes | None:
        # Only the probe's thread and one other are ever served.
        me = threading.current_thread()
        if len(lucky) < 2:
            lucky.add(me)
        return GOOD if me in lucky else None

    server = odd(answer)
    status, out, _ = bench("--json", "-d", 0.3, "-w", 0, "-c", 4, server.address)
    report = json.loads(out)
    assert status == 3
    assert report["unserved_connections"] == report["unanswered"] == 3
    assert report["requests"] > 0


def test_timeout(odd: Callable[..., Odd]) -> None:
    server = odd(lambda n: None if n == 2 else GOOD)
    status, out, _ = bench("--json", "-n", 10, "-c", 1, "--timeout", 0.3, server.address)
    report = json.loads(out)
    assert status == 1
    assert report["wrong"]["timeout"] == 1
    assert report["requests"] == 9


def test_omission_is_corrected(odd: Callable[..., Odd]) -> None:
    """A stall of a quarter of a second delays every request that was due meanwhile."""

    def answer(n: int) -> bytes:
        if n == 20:
            threading.Event().wait(0.25)
        return GOOD

    server = odd(answer)
    report = measured("-R", 200, "-d", 1, "-w", 0, "-c", 1, server.address)
    latency = report["latency_us"]
    assert latency["count"] == 200
    assert latency["max"] >= 240_000
    # 50 requests, a quarter, were due during the stall: the closed loop would show one.
    assert latency["p90"] >= 100_000
