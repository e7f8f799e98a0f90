# SPDX-License-Identifier: MIT
"""Time-outs: each ends in the right answer, on time, and nothing else suffers.
Order is asserted, never a duration: an answer comes while the handler still
stands at a gate that only the test can open."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterator

import fcgi
import pytest
from daemon import Daemon, wait_until
from wire import environ

Snacgi = Callable[..., Daemon]

LONG = 600.0  # a limit that is never reached here


class Gate:
    """A handler stands before it; the file opens it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.here = path.with_name(path.name + ".here")

    def arrived(self, count: int = 1) -> None:
        wait_until(lambda: self.here.exists() and len(self.here.read_text()) >= count, f"{count} at {self.path}")

    def open(self) -> None:
        self.path.touch()


@pytest.fixture
def gate(snacgi: Snacgi, tmp: Path) -> Iterator[Gate]:
    one = Gate(tmp / "gate")
    yield one
    one.open()  # before the daemons are stopped, whatever went wrong


def start(snacgi: Snacgi, timeouts: dict[str, float], **more: Any) -> Daemon:
    conf: dict[str, Any] = {"timeouts": {"queue": LONG, "request": LONG, **timeouts}}
    for key, value in more.pop("conf", {}).items():
        conf[key] = value
    return snacgi(app="timeouts", conf=conf, **more)


def send(daemon: Daemon, target: str) -> fcgi.Connection:
    conn = daemon.connect()
    conn.send(fcgi.request(environ("GET", target), b"", 1, True))
    return conn


def native_answers(daemon: Daemon) -> None:
    for n in range(20):
        assert daemon.get(f"/native/users/{n}").json() == {"user_id": n}
    assert daemon.get("/native/blocking?ms=1").text == "rested"


@pytest.mark.parametrize("lane", ["", "/async"])
def test_a_route_has_its_own_time(snacgi: Snacgi, gate: Gate, lane: str) -> None:
    daemon = start(snacgi, {"request": LONG}, conf={"python": {"dispatch_workers": 2}})
    answer = daemon.get(f"{lane}/wait/short?gate={gate.path}")
    assert answer.status == 504
    daemon.wait_log("within its route's timeout; answered 504")
    native_answers(daemon)
    gate.open()
    assert daemon.get(f"{lane}/quick").status == 200


def test_a_route_may_have_more_time(snacgi: Snacgi, gate: Gate) -> None:
    """The server's time passes, and the request of the route with more of it goes on."""
    daemon = start(snacgi, {"request": 0.2}, conf={"python": {"dispatch_workers": 3}})
    patient = send(daemon, f"/wait/long?gate={gate.path}")
    gate.arrived()
    assert daemon.get(f"/wait?gate={gate.path}").status == 504
    gate.open()
    assert patient.response().json() == {"opened": True}
    patient.close()


@pytest.mark.parametrize("lane", ["", "/async"])
def test_stale_work_is_answered_while_nothing_can_run(snacgi: Snacgi, gate: Gate, lane: str) -> None:
    """The only thread (or the loop) is taken: what waits is answered 503 before it is free
    again, and is not executed afterwards."""
    daemon = start(snacgi, {"queue": 0.3}, conf={"python": {"dispatch_workers": 1}})
    blocked = send(daemon, ("/wait" if lane == "" else "/async/block") + f"?gate={gate.path}")
    gate.arrived()
    for n in range(5):
        answer = daemon.get(f"{lane}/mark/{n}")
        assert answer.status == 503
        assert int(answer.header("Retry-After") or "-1") >= 0
        native_answers(daemon)
    gate.open()
    assert blocked.response().json() == {"opened": True}
    assert daemon.get(f"{lane}/mark/9").json() == {"n": 9}
    assert daemon.get("/marks").json() == {"marks": [9]}
    blocked.close()


def test_native_work_does_not_wait_for_ever_either(snacgi: Snacgi, gate: Gate) -> None:
    daemon = start(snacgi, {"queue": 0.3}, conf={"native": {"blocking_threads": 1}})
    slow = send(daemon, f"/native/wait?gate={gate.path}")
    gate.arrived()
    answer = daemon.get("/native/blocking?ms=1")
    assert answer.status == 503 and answer.header("Retry-After")
    gate.open()
    assert slow.response().text == "opened"
    slow.close()


def test_native_handlers_on_blocking_threads_have_the_same_time(snacgi: Snacgi, gate: Gate) -> None:
    daemon = start(snacgi, {"request": 0.3})
    assert daemon.get(f"/native/wait?gate={gate.path}").status == 504
    daemon.wait_log("no answer from .* within timeouts.request; answered 504")
    native_answers(daemon)
