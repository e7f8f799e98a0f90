# SPDX-License-Identifier: MIT
"""A handler that crashes ends one process: its sibling's requests go on, the front server gets
an error for what was in the dead one, another takes its place. A Python that is stuck for good
stops Python's endpoints and no native one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import fcgi
import pytest
from daemon import Daemon, alive, mortal, wait_until
from wire import Closed, environ

Snacgi = Callable[..., Daemon]


def send(conn: fcgi.Connection, target: str) -> None:
    conn.send(fcgi.request(environ("GET", target), b"", 1, True))


def connections_of_both(daemon: Daemon) -> dict[int, fcgi.Connection]:
    """One kept connection to each worker."""
    found: dict[int, fcgi.Connection] = {}

    def both() -> bool:
        conn = daemon.connect()
        pid = conn.ask("GET", "/pid").json()["pid"]
        if pid in found:
            conn.close()
        else:
            found[pid] = conn
        return len(found) == 2

    wait_until(both, "a connection to each worker")
    return found


@pytest.mark.parametrize("target,name", [("/native/crash", "/native/crash"), ("/native/blocking-crash", "/native/blocking-crash"),
                                         ("/crash", "app.crash"), ("/async/crash", "app.async_crash")])
def test_one_process_dies_of_a_handler(snacgi: Snacgi, tmp: Path, target: str, name: str) -> None:
    """The log names the handler."""
    daemon = snacgi(app="crash", supervisor=True, conf={"processes": 2}, probe="/pid", env=mortal())
    daemon.wait_log("ready: 2 worker")
    (victim, bad), (sibling, good) = connections_of_both(daemon).items()
    send(good, f"/wait?file={tmp}/waits")  # in the sibling, all the while
    wait_until((tmp / "waits").exists, "it waits")
    send(bad, target)
    with pytest.raises((Closed, ConnectionError)):
        bad.response()
    wait_until(lambda: not alive(victim), "its end")
    daemon.wait_log(rf"{victim} was killed by signal 11.*\({name}\)")
    assert alive(sibling)
    wait_until(lambda: len(daemon.workers()) == 2, "another one")
    assert daemon.get("/pid").status == 200
    good.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        good.sock.recv(1)  # neither answered nor closed
    for conn in (good, bad):
        conn.close()


def stuck(daemon: Daemon, conns: list[fcgi.Connection]) -> None:
    """Native endpoints answer, many of them, before any of the stuck ones."""
    with daemon.connect() as conn:
        for n in range(200):
            assert conn.ask("GET", f"/native/users/{n}").json() == {"user_id": n}
    for _ in range(20):
        assert daemon.get("/native/hello").status == 200
        assert daemon.get("/native/blocking?ms=0").status == 200
    for conn in conns:
        conn.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            conn.sock.recv(1)
        conn.close()


def start(snacgi: Snacgi, **conf: Any) -> Daemon:
    daemon = snacgi(app="crash", probe="/native/hello",
                    conf={"timeouts": {"shutdown": 1.0, "request": 120.0, "queue": 120.0}, **conf})
    daemon.expected_exit = None  # what is stuck is left to the end of the process
    return daemon


def test_native_answers_beside_deadlocked_python(snacgi: Snacgi) -> None:
    """Every sync thread and the event loop stand at a lock that nobody will ever open."""
    daemon = start(snacgi, python={"dispatch_workers": 2})
    conns = [daemon.connect() for _ in range(4)]
    for conn, target in zip(conns, ("/deadlock", "/deadlock", "/deadlock", "/async/deadlock")):
        send(conn, target)
    stuck(daemon, conns)


def test_native_answers_beside_a_gil_that_is_never_given_back(snacgi: Snacgi, tmp: Path) -> None:
    daemon = start(snacgi)
    conns = [daemon.connect(), daemon.connect()]
    send(conns[0], f"/gil?file={tmp}/gil")
    wait_until((tmp / "gil").exists, "it has the GIL")
    send(conns[1], "/pid")
    stuck(daemon, conns)
