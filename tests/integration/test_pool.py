# SPDX-License-Identifier: MIT
"""The process pool under a running daemon: what is killed, hangs or is stopped takes its own
call with it and nothing else."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, Callable

import pytest
from daemon import Daemon, alive, command_line, descendants, wait_until

import fcgi
from wire import environ

Snacgi = Callable[..., Daemon]


def send(daemon: Daemon, target: str) -> fcgi.Connection:
    conn = daemon.connect()
    conn.send(fcgi.request(environ("GET", target), b"", 1, True))
    return conn


def pid_in(path: Path) -> int:
    wait_until(path.exists, f"{path}: the call runs")
    return int(path.read_text())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_process_dies_in_a_call(snacgi: Snacgi, tmp: Path, number: int) -> None:
    """503 for that call, which the log names; the one beside it goes on, and the pool object
    is the same after it."""
    daemon = snacgi(app="pool")
    held = send(daemon, f"/hang?file={tmp}/held")
    other = pid_in(tmp / "held")
    for _ in range(3):
        answer = daemon.get(f"/die/{int(number)}")
        assert answer.status == 503
        assert answer.header("Retry-After") == "1"
    assert daemon.get("/where").json()["pools"] == 1
    assert alive(other)
    daemon.wait_log(rf"died in jobs\.die \(signal {signal.Signals(number).name}")
    assert daemon.get("/caught").json() == {"caught": True}
    assert "Traceback" not in daemon.log()
    os.kill(other, signal.SIGKILL)
    assert held.response().status == 503
    held.close()


def test_idempotent(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(app="pool")
    assert daemon.get(f"/once?file={tmp}/a").json() == {"try": "second"}
    assert daemon.get(f"/async/once?file={tmp}/b").json() == {"try": "second"}
    daemon.wait_log(r"died in jobs\.once \(signal SIGABRT\): the call runs once more")


def test_timed_out_request_ends_its_call(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(app="pool", conf={"timeouts": {"request": 0.3}, "python": {"pool_workers": 1}})
    first = daemon.get("/where").json()["pid"]
    answer = send(daemon, f"/async/hang?file={tmp}/a")
    assert answer.response().status == 504
    answer.close()
    wait_until(lambda: not alive(first), "the end of its process")
    wait_until(lambda: daemon.get("/where").status == 200, "another in its place")


def test_gone_client_ends_its_call(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(app="pool", conf={"python": {"pool_workers": 1}})
    conn = send(daemon, f"/async/hang?file={tmp}/a")
    pid = pid_in(tmp / "a")
    conn.close()
    wait_until(lambda: not alive(pid), "the end of its process")
    assert daemon.get("/where").status == 200


def test_time_limit_of_a_call(snacgi: Snacgi, tmp: Path) -> None:
    """By the handler, and by timeouts.pool."""
    daemon = snacgi(app="pool", conf={"python": {"pool_workers": 1}})
    assert daemon.get(f"/hang/0.1?file={tmp}/a").status == 504
    assert daemon.get("/where").status == 200
    daemon.wait_log(r"killed: jobs\.hang ran longer than 0\.1 seconds")
    other = snacgi(app="pool", conf={"python": {"pool_workers": 1}, "timeouts": {"pool": 0.1}})
    assert other.get(f"/hang?file={tmp}/b").status == 504
    assert other.get(f"/async/hang?file={tmp}/c").status == 504


def test_max_tasks_per_child(snacgi: Snacgi) -> None:
    daemon = snacgi(app="pool", conf={"python": {"pool_workers": 1, "max_tasks_per_child": 3}})
    pids = [daemon.get("/where").json()["pid"] for _ in range(7)]
    assert len(set(pids)) == 3
    assert pids[0] == pids[2] and pids[3] == pids[5]


def test_idle_deaths_are_mended(snacgi: Snacgi) -> None:
    daemon = snacgi(app="pool", conf={"python": {"pool_workers": 2}})
    for _ in range(5):
        pid = daemon.get("/where").json()["pid"]
        os.kill(pid, signal.SIGKILL)
        assert daemon.get("/where").json()["pid"] != pid


def family_of(daemon: Daemon) -> list[int]:
    return [pid for pid in descendants(daemon.pid) if alive(pid)]


def kill_supervisor(daemon: Daemon) -> None:
    daemon.signal(signal.SIGKILL)


def kill_worker(daemon: Daemon) -> None:
    os.kill(daemon.worker, signal.SIGKILL)
    wait_until(lambda: len(daemon.workers()) == 1, "another worker")


def abort_worker(daemon: Daemon) -> None:
    os.kill(daemon.worker, signal.SIGABRT)
    wait_until(lambda: len(daemon.workers()) == 1, "another worker")


def stop_hard(daemon: Daemon) -> None:
    for _ in range(3):
        daemon.signal(signal.SIGTERM)


@pytest.mark.parametrize("end", [kill_supervisor, kill_worker, abort_worker, stop_hard],
                         ids=lambda end: end.__name__)
def test_no_orphans(snacgi: Snacgi, tmp: Path, end: Callable[[Daemon], Any]) -> None:
    """Whatever kills the daemon, busy pool processes go with it."""
    daemon = snacgi(app="pool", supervisor=True, conf={"timeouts": {"shutdown": 2.0}})
    daemon.expected_exit = None
    conns = [send(daemon, f"/hang?file={tmp}/{n}") for n in range(2)]
    for n in range(2):
        pid_in(tmp / str(n))
    family = family_of(daemon)
    assert len(family) >= 4, "a worker, a fork server and two processes"
    end(daemon)
    wait_until(lambda: not [pid for pid in family if alive(pid)],
               f"the end of {[command_line(pid) for pid in family if alive(pid)]}")
    for conn in conns:
        conn.close()
