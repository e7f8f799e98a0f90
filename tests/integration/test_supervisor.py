# SPDX-License-Identifier: MIT
"""The supervisor: what it says of a crash, when it gives up, how it ends everything."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Any, Callable

import fcgi
import pytest
from daemon import Daemon, alive, descendants, state, wait_until
from wire import Closed, environ

Snacgi = Callable[..., Daemon]


def ask(daemon: Daemon, target: str) -> fcgi.Connection:
    conn = daemon.connect()
    conn.send(fcgi.request(environ("GET", target), b"", 1, True))
    return conn


APP = """
import asyncio, os, signal, time
from snacgi import route

@route('/sync')
def sync(request):
    os.kill(os.getpid(), signal.SIGKILL)

@route('/async')
async def in_the_loop(request):
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGKILL)

@route('/fine')
def fine(request):
    return {'pid': os.getpid()}

@route('/stuck')
def stuck(request):
    time.sleep(1000)
"""


def app(folder: Path, text: str = APP) -> Path:
    folder.mkdir()
    (folder / "app.py").write_text(text)
    return folder


@pytest.mark.basic
@pytest.mark.parametrize("target, handler", [("/sync", "app.sync"), ("/async", "app.in_the_loop"), ("/native/kill", "/native/kill"),
                                             ("/native/kill-blocking", "/native/kill-blocking")])
def test_a_crash_names_its_handler(snacgi: Snacgi, tmp: Path, target: str, handler: str) -> None:
    """The worker's last words cannot come from the worker: the supervisor reads what it was at."""
    daemon = snacgi(supervisor=True, app=app(tmp / "app"))
    old = daemon.worker
    assert daemon.get("/fine").status == 200
    with ask(daemon, target) as conn, pytest.raises((Closed, OSError)):
        conn.response()
    found = daemon.wait_log(rf"worker {old} was killed by signal 9 \(Killed\) after .* at work on ([0-9a-f]{{16}} .*)")
    # /fine may stand there too: its answer is out a moment before its thread is done with it.
    assert f"({handler})" in found[1]
    assert daemon.get("/fine").json()["pid"] != old


@pytest.mark.limit(200)
def test_crash_loop(snacgi: Snacgi, tmp: Path) -> None:
    """Ten in a row and none that serves: the end, loudly, with a status of its own."""
    daemon = snacgi(supervisor=True, wait=False, app=app(tmp / "app", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"))
    daemon.expected_exit = 4
    assert daemon.wait(150) == 4
    log = daemon.log()
    assert "GIVING UP: 10 workers in a row" in log
    assert len(re.findall(r"worker \d+ was killed by signal 9", log)) == 10
    assert not os.path.exists(daemon.addresses[0].path)


def test_no_end_while_they_serve_in_between(snacgi: Snacgi, tmp: Path) -> None:
    """The only worker is killed more often in a row than a crash loop has deaths, but each has served."""
    daemon = snacgi(supervisor=True, app=app(tmp / "app"), conf={"processes": 1})
    killed: set[int] = set()
    for n in range(1, 12):
        wait_until(lambda: daemon.workers() and daemon.worker not in killed, "another worker")
        assert daemon.get("/fine").json()["pid"] == daemon.worker
        begun = time.monotonic()
        wait_until(lambda: time.monotonic() - begun > 1.1, "a second of service")
        killed.add(daemon.worker)
        os.kill(daemon.worker, signal.SIGKILL)
        wait_until(lambda: len(re.findall(r"worker \d+ was killed by signal 9", daemon.log())) == n, "its death is noticed")
    assert daemon.get("/fine").status == 200
    assert "GIVING UP" not in daemon.log()


def test_no_end_while_one_serves(snacgi: Snacgi, tmp: Path) -> None:
    """Broken code on the disk and a worker that dies: the other one goes on for as long as it likes."""
    daemon = snacgi(supervisor=True, app=app(tmp / "app"), conf={"processes": 2})
    daemon.wait_log("ready: 2 worker")
    first, second = daemon.workers()
    (tmp / "app" / "app.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n# another length\n")
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: daemon.log().count("was killed by signal 9") >= 6, "several deaths")
    assert daemon.get("/fine").json()["pid"] == second
    fresh = tmp / "app" / "fresh"
    fresh.write_text(APP)
    fresh.rename(tmp / "app" / "app.py")
    wait_until(lambda: "GIVING UP" in daemon.log() or len([p for p in daemon.workers() if who(daemon, p)]) == 2, "two again")
    assert "GIVING UP" not in daemon.log()


def who(daemon: Daemon, pid: int) -> bool:
    """Whether that worker serves: many ask at once, and one of them gets it."""
    conns = [ask(daemon, "/fine") for _ in range(16)]
    try:
        return pid in {conn.response().json()["pid"] for conn in conns}
    except (Closed, OSError):
        return False
    finally:
        for conn in conns:
            conn.close()


@pytest.mark.parametrize("orders", [(signal.SIGTERM,) * 3, (signal.SIGQUIT, signal.SIGTERM, signal.SIGINT)])
def test_third_order_is_the_last(snacgi: Snacgi, tmp: Path, orders: tuple[int, ...]) -> None:
    """One drains, two hurry, three kill; never an orphan."""
    daemon = snacgi(supervisor=True, app=app(tmp / "app"), conf={"processes": 2, "timeouts": {"shutdown": 100.0, "request": 1000.0}})
    daemon.wait_log("ready: 2 worker")
    conns = [ask(daemon, "/stuck") for _ in range(4)]
    for conn in conns:  # they have been read
        conn.send(fcgi.record(fcgi.GET_VALUES, 0))
        assert conn.read_record()[0] == fcgi.GET_VALUES_RESULT
    family = descendants(daemon.pid)
    daemon.expected_exit = None
    assert daemon.process is not None
    for number in orders:
        assert daemon.process.poll() is None or number != orders[0]
        if daemon.process.poll() is None:
            daemon.signal(number)
            wait_until(lambda: daemon.process.poll() is not None or "stopping" in daemon.log(), "it was heard")  # type: ignore[union-attr]

    def ended() -> bool:
        """Two of a kind are one to the kernel while the first is not taken: said again until it is."""
        assert daemon.process is not None
        if daemon.process.poll() is None:
            daemon.signal(orders[-1])
        return daemon.process.poll() is not None

    wait_until(ended, "its end")
    wait_until(lambda: not [pid for pid in family if alive(pid)], "the end of all")
    for conn in conns:
        conn.close()


def test_a_stopped_worker_cannot_hold_up_the_end(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(supervisor=True, app=app(tmp / "app"), conf={"timeouts": {"shutdown": 1.0}})
    worker = daemon.worker
    os.kill(worker, signal.SIGSTOP)
    wait_until(lambda: state(worker) == "T", "it stands still")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0
    assert not alive(worker)
    assert "did not end within timeouts.shutdown; killing it" in daemon.log()


def test_usr2_to_a_worker_replaces_it(snacgi: Snacgi, tmp: Path) -> None:
    """Its successor first."""
    daemon = snacgi(supervisor=True, app=app(tmp / "app"))
    old = daemon.worker
    with daemon.connect() as conn:
        assert conn.ask("GET", "/fine").json()["pid"] == old
        os.kill(old, signal.SIGUSR2)
        wait_until(lambda: not alive(old), "its end")
        answer: Any = conn.ask("GET", "/fine").json()
        assert answer["pid"] != old, "the kept connection went to the next one"
