# SPDX-License-Identifier: MIT
"""Time-outs: each ends in the right answer, on time, and nothing else suffers.
Order is asserted, never a duration: an answer comes while the handler still
stands at a gate that only the test can open."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from daemon import Daemon, alive, threads, wait_until
from wire import Closed

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


def send(daemon: Daemon, target: str) -> Any:
    conn = daemon.dial()
    conn.put("GET", target)
    return conn


def native_answers(daemon: Daemon) -> None:
    for n in range(20):
        assert daemon.get(f"/native/users/{n}").json() == {"user_id": n}
    assert daemon.get("/native/blocking?ms=1").text == "rested"


@pytest.mark.wires
@pytest.mark.parametrize("lane", ["", "/async"])
def test_a_route_has_its_own_time(snacgi: Snacgi, gate: Gate, lane: str) -> None:
    daemon = start(snacgi, {"request": LONG}, conf={"python": {"dispatch_workers": 2}})
    answer = daemon.get(f"{lane}/wait/short?gate={gate.path}")
    assert answer.status == 504
    daemon.wait_log("within its route's timeout; answered 504")
    native_answers(daemon)
    gate.open()
    assert daemon.get(f"{lane}/quick").status == 200


@pytest.mark.wires
def test_a_route_may_have_more_time(snacgi: Snacgi, gate: Gate) -> None:
    """The server's time passes, and the request of the route with more of it goes on."""
    daemon = start(snacgi, {"request": 0.2}, conf={"python": {"dispatch_workers": 3}})
    patient = send(daemon, f"/wait/long?gate={gate.path}")
    gate.arrived()
    assert daemon.get(f"/wait?gate={gate.path}").status == 504
    gate.open()
    assert patient.response().json() == {"opened": True}
    patient.close()


@pytest.mark.wires
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


@pytest.mark.wires
def test_native_work_does_not_wait_for_ever_either(snacgi: Snacgi, gate: Gate) -> None:
    daemon = start(snacgi, {"queue": 0.3}, conf={"native": {"blocking_threads": 1}})
    slow = send(daemon, f"/native/wait?gate={gate.path}")
    gate.arrived()
    answer = daemon.get("/native/blocking?ms=1")
    assert answer.status == 503 and answer.header("Retry-After")
    gate.open()
    assert slow.response().text == "opened"
    slow.close()


@pytest.mark.wires
def test_native_handlers_on_blocking_threads_have_the_same_time(snacgi: Snacgi, gate: Gate) -> None:
    daemon = start(snacgi, {"request": 0.3})
    assert daemon.get(f"/native/wait?gate={gate.path}").status == 504
    daemon.wait_log("no answer from .* within timeouts.request; answered 504")
    native_answers(daemon)


# ---- handlers are ended ---------------------------------------------------------------


def ended(gate: Gate, count: int = 1) -> list[str]:
    """What handlers have written on their way out, once there are `count` lines."""
    file = gate.path.with_name(gate.path.name + ".ended")
    wait_until(lambda: file.exists() and len(file.read_text().splitlines()) >= count, "a handler that was ended")
    return file.read_text().splitlines()


@pytest.mark.parametrize("target", ["/spin", "/async/spin"])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_handler_on_the_cpu_is_ended(snacgi: Snacgi, gate: Gate, target: str, workers: int) -> None:
    """The exception arrives in it, its finally runs, and its thread (or the loop) is free."""
    daemon = start(snacgi, {"request": 0.3, "grace": LONG}, conf={"python": {"dispatch_workers": workers}})
    for n in range(3):
        assert daemon.get(f"{target}?gate={gate.path}").status == 504
        native_answers(daemon)
        assert ended(gate, n + 1) == ["spin"] * (n + 1)
        assert daemon.get("/quick").json() == {"pid": daemon.worker}
        assert daemon.get("/async/quick").json() == {"pid": daemon.worker}
    daemon.wait_log(r"spin was over its time and was ended here:\n(.*\n)*.*HandlerTimeout")


def test_a_handler_that_swallows_it_loses_its_thread(snacgi: Snacgi, gate: Gate) -> None:
    """Another thread takes its place, so that the only worker is there again; when the
    handler returns in the end, its thread goes."""
    daemon = start(snacgi, {"request": 0.3, "grace": 0.2}, conf={"python": {"dispatch_workers": 1}})
    assert daemon.get("/quick").status == 200
    assert daemon.get("/async/quick").status == 200
    before = threads(daemon.worker)
    stuck = daemon.get(f"/stubborn?gate={gate.path}")
    assert stuck.status == 504
    assert daemon.get("/quick").json() == {"pid": daemon.worker}
    assert ended(gate) == ["HandlerTimeout"]
    daemon.wait_log("its thread is given up and another one takes its place")
    wait_until(lambda: threads(daemon.worker) == before + 1, "one thread more")
    native_answers(daemon)
    gate.open()
    for n in range(20):
        assert daemon.get("/quick").status == 200


@pytest.mark.parametrize("workers", [1, 2])
def test_a_handler_that_blocks_in_c_loses_its_thread(snacgi: Snacgi, gate: Gate, workers: int) -> None:
    """Nothing can end it; the server stops nevertheless, with what is left to the end of the
    process."""
    daemon = start(snacgi, {"request": 0.3, "grace": 0.2}, conf={"python": {"dispatch_workers": workers}})
    for n in range(3):
        assert daemon.get(f"/in-c?gate={gate.path}{n}").status == 504
        daemon.wait_log(f"(its thread is given up(.*\n)*.*){{{n + 1}}}")
        assert [daemon.get("/quick").json() for _ in range(5)] == [{"pid": daemon.worker}] * 5
        native_answers(daemon)
    daemon.stop()
    assert "has not returned" in daemon.log()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_end_does_not_wait_for_a_generator_that_was_given_up(snacgi: Snacgi, gate: Gate, workers: int) -> None:
    daemon = start(snacgi, {"stream": 0.3, "grace": 0.2, "shutdown": 20.0},
                   conf={"python": {"dispatch_workers": workers}})
    with send(daemon, f"/pieces/in-c?gate={gate.path}") as conn, pytest.raises(Closed):
        conn.response()
    daemon.wait_log("its thread is given up and another one takes its place")
    assert daemon.get("/quick").json() == {"pid": daemon.worker}
    daemon.stop()
    assert "a handler that was given up has not returned" in daemon.log()
    assert ended(gate) == ["on_shutdown"]


def test_a_thread_that_comes_back_is_no_harm(snacgi: Snacgi, gate: Gate) -> None:
    """The only thread is given up, another takes its place, and then the first one returns."""
    daemon = start(snacgi, {"request": 0.2, "grace": 0.1},
                   conf={"python": {"dispatch_workers": 1}, "limits": {"stuck_threads": 1}})
    assert daemon.get(f"/stubborn?gate={gate.path}").status == 504
    daemon.wait_log("its thread is given up")
    assert daemon.get("/quick").status == 200
    gate.open()
    assert daemon.get("/quick").status == 200


@pytest.mark.parametrize("target", ["/after/spin", "/after/file/spin", "/async/after/spin", "/async/after/async-spin",
                                    "/async/after/async-wait"])
def test_work_after_the_answer_is_ended(snacgi: Snacgi, gate: Gate, target: str) -> None:
    """By timeouts.background, and its thread, or the loop, is there again."""
    daemon = start(snacgi, {"background": 0.3, "grace": LONG}, conf={"python": {"dispatch_workers": 1}})
    assert daemon.get(f"{target}?gate={gate.path}").status == 200
    assert ended(gate) == ["CancelledError" if "wait" in target else "spin"]
    assert daemon.get("/quick").json() == daemon.get("/async/quick").json() == {"pid": daemon.worker}
    if "wait" not in target:
        daemon.wait_log("what it does after its answer is over timeouts.background: it is interrupted")
    daemon.wait_log(r"after(_file)? failed after its answer:\n(.*\n)*.*HandlerTimeout")


def test_work_after_the_answer_that_goes_on_loses_its_thread(snacgi: Snacgi, gate: Gate) -> None:
    daemon = start(snacgi, {"background": 0.2, "grace": 0.2, "shutdown": 20.0}, conf={"python": {"dispatch_workers": 1}})
    for n, name in enumerate(("stubborn", "in-c")):
        assert daemon.get(f"/after/{name}?gate={gate.path}").text == "answered"
        daemon.wait_log(f"(its thread is given up(.*\n)*.*){{{n + 1}}}")
        assert daemon.get("/quick").json() == {"pid": daemon.worker}
    gate.open()
    daemon.stop()
    assert "a handler that was given up has not returned" in daemon.log()


@pytest.mark.parametrize("target", ["/after/wait", "/after/file/wait", "/async/after/wait", "/async/after/async-wait"])
def test_work_after_the_answer_has_its_own_time(snacgi: Snacgi, gate: Gate, target: str) -> None:
    """That of the handler and of its stream have passed, and the grace."""
    daemon = start(snacgi, {"request": 0.2, "stream": 0.2, "grace": 0.2})
    assert daemon.get(f"{target}?gate={gate.path}").status == 200
    gate.arrived()
    for _ in range(3):
        assert daemon.get(f"/wait?gate={gate.path}2").status == 504
    gate.open()
    assert ended(gate) == ["done"]
    assert "timeouts.background" not in daemon.log()


def test_work_after_an_answer_that_was_cut_has_its_own_time(snacgi: Snacgi, gate: Gate) -> None:
    """The generator got its exception; what comes after it is not hit by that, and keeps its thread."""
    daemon = start(snacgi, {"request": 0.2, "stream": 0.2, "grace": 0.2}, conf={"python": {"dispatch_workers": 1}})
    with send(daemon, f"/after/silent?gate={gate.path}") as conn, pytest.raises(Closed):
        conn.response()
    gate.arrived()
    for _ in range(4):
        assert daemon.get(f"/async/wait?gate={gate.path}2").status == 504
    gate.open()
    assert ended(gate) == ["done"]
    assert daemon.get("/quick").json() == {"pid": daemon.worker}
    assert "given up" not in daemon.log()


def test_late_exceptions_hit_nobody_else(snacgi: Snacgi, gate: Gate) -> None:
    """Handlers that end at about their time: whatever is injected is taken back."""
    daemon = start(snacgi, {"request": 0.1, "grace": LONG}, conf={"python": {"dispatch_workers": 1}})
    statuses = set()
    for n in range(40):
        statuses.add(daemon.get(f"/late/{95 + n % 12 * 5}").status)
        assert daemon.get("/quick").json() == {"pid": daemon.worker}
        assert daemon.get("/async/quick").json() == {"pid": daemon.worker}
    assert statuses <= {200, 504} and 504 in statuses
    assert "failed:" not in daemon.log()


@pytest.mark.parametrize("lane", ["", "/async"])
def test_pool_work_is_killed(snacgi: Snacgi, gate: Gate, lane: str) -> None:
    """The process that works for a handler over its time is killed and replaced; the handler
    is ended, and its thread serves on."""
    daemon = start(snacgi, {"request": 1.5, "grace": LONG},
                   conf={"python": {"dispatch_workers": 1, "pool_workers": 1}})
    pid = daemon.get("/pool/pid").json()["pid"]
    assert daemon.get(f"{lane}/pool/wait?gate={gate.path}").status == 504
    assert gate.here.exists()
    wait_until(lambda: not alive(pid), "the end of the process")
    assert daemon.get("/quick").status == 200
    answer = daemon.get("/pool/pid")
    assert answer.status == 200 and answer.json()["pid"] != pid
    native_answers(daemon)


def test_a_task_that_swallows_its_cancellation_goes_on(snacgi: Snacgi, gate: Gate) -> None:
    daemon = start(snacgi, {"request": 0.2, "grace": 0.2})
    assert daemon.get(f"/async/wait-after-cancel?gate={gate.path}").status == 504
    assert ended(gate) == ["CancelledError"]
    daemon.wait_log("goes on although its task was cancelled")
    assert daemon.get("/async/quick").status == 200


# ---- the slow log ---------------------------------------------------------------------


@pytest.mark.parametrize("target, stands", [
    ("/wait", "time.sleep(0.005)"),
    ("/async/wait", "await asyncio.sleep(0.005)"),
    ("/async/block", "return wait(request)"),
])
def test_slow_handlers_are_logged_with_their_stack(snacgi: Snacgi, gate: Gate, target: str, stands: str) -> None:
    """While it is slow, not when it has ended: the gate is closed until the stack is there."""
    daemon = start(snacgi, {}, conf={"log": {"slow": 0.2}})
    slow = send(daemon, f"{target}?gate={gate.path}")
    daemon.wait_log(rf"slow: GET {target}: app\.\w+ has been at it for")
    daemon.wait_log(rf"slow: app\.\w+ stands here:\n(  \| .*\n)*.*{re.escape(stands)}")
    native_answers(daemon)
    assert daemon.get("/quick").status == 200
    gate.open()
    assert slow.response().json() == {"opened": True}
    assert daemon.log().count("has been at it for") == 1
    slow.close()


def test_slow_native_handlers_are_logged_with_their_name(snacgi: Snacgi, gate: Gate) -> None:
    daemon = start(snacgi, {}, conf={"log": {"slow": 0.2}})
    slow = send(daemon, f"/native/wait?gate={gate.path}")
    daemon.wait_log("slow: GET /native/wait: native handler /native/wait has been at it for")
    native_answers(daemon)
    gate.open()
    assert slow.response().text == "opened"
    slow.close()


def test_a_stuck_io_thread_is_logged_with_its_stack(snacgi: Snacgi, gate: Gate) -> None:
    """The other I/O thread goes on; when the handler is over its time, the process goes."""
    daemon = start(snacgi, {"request": 3.0, "grace": 0.2, "shutdown": 2.0}, conf={"log": {"slow": 0.3}},
                   supervisor=True)
    first = daemon.worker
    stuck = send(daemon, f"/native/stand?gate={gate.path}")
    gate.arrived()
    match = daemon.wait_log(r"native handler /native/stand has kept its I/O thread(.*\n)(  \| .*\n)+")
    assert "native_endpoints.so" in match.group(0)
    daemon.wait_log("must be replaced: a native handler does not give its I/O thread back")
    wait_until(lambda: not alive(first), "the end of the old process")
    assert daemon.get("/quick").json()["pid"] != first
    stuck.close()


# ---- the process is replaced ------------------------------------------------------------


@pytest.mark.wires
@pytest.mark.parametrize("target", ["/hold", "/async/hold"])
def test_the_gil_is_held_for_ever(snacgi: Snacgi, gate: Gate, target: str) -> None:
    """All that waits for Python is answered 504, native requests go on meanwhile, and
    another process takes over."""
    daemon = start(snacgi, {"request": 1.0, "grace": 1.0, "shutdown": LONG}, supervisor=True)
    first = daemon.worker
    holder = send(daemon, f"{target}?gate={gate.path}")
    gate.arrived()
    waiting = [send(daemon, target) for target in ("/quick", "/async/quick", "/quick")]
    native = [daemon.get(f"/native/users/{n}").json() for n in range(50)]
    assert native == [{"user_id": n} for n in range(50)]
    assert holder.response().status == 504
    for conn in waiting:
        assert conn.response().status == 504
        conn.close()
    daemon.wait_log("Python hangs: somebody holds the GIL")
    daemon.wait_log("this process must be replaced")
    holder.close()
    wait_until(lambda: not alive(first), "the end of the old process")
    wait_until(lambda: daemon.workers(), "a new process")
    assert daemon.get("/quick").json()["pid"] != first
    native_answers(daemon)


def test_alone_it_ends_loudly(snacgi: Snacgi, gate: Gate) -> None:
    daemon = start(snacgi, {"request": 0.5, "grace": 0.5, "shutdown": LONG})
    assert daemon.get(f"/hold?gate={gate.path}").status == 504
    assert daemon.wait() == 5
    daemon.expected_exit = 5
    assert "Python hangs: somebody holds the GIL" in daemon.log()


def test_too_many_stuck_threads(snacgi: Snacgi, gate: Gate) -> None:
    daemon = start(snacgi, {"request": 0.3, "grace": 0.2, "shutdown": 5.0}, supervisor=True,
                   conf={"limits": {"stuck_threads": 2}})
    first = daemon.worker
    for n in range(3):
        assert daemon.get(f"/in-c?gate={gate.path}{n}").status == 504
    daemon.wait_log("Python hangs: too many sync threads are stuck")
    wait_until(lambda: not alive(first), "the end of the old process")
    assert daemon.get("/quick").json()["pid"] != first


def test_the_loop_is_blocked_in_c(snacgi: Snacgi, gate: Gate) -> None:
    daemon = start(snacgi, {"request": 0.3, "grace": 0.3, "shutdown": 3.0}, supervisor=True)
    first = daemon.worker
    assert daemon.get(f"/async/in-c?gate={gate.path}").status == 504
    native_answers(daemon)
    daemon.wait_log("Python hangs: an async handler that is over its time blocks the event loop")
    wait_until(lambda: not alive(first), "the end of the old process")
    assert daemon.get("/async/quick").json()["pid"] != first
