# SPDX-License-Identifier: MIT
"""What Python does, slow, stuck or too much of it, never delays a native
endpoint; every queue is bounded and says so when it is full."""

from __future__ import annotations

import re
import select
import threading
import time
from pathlib import Path
from typing import Any, Callable, Union

import fcgi
import pytest
import scgi
from daemon import Daemon, threads, wait_until

Snacgi = Callable[..., Daemon]
Connection = Union[fcgi.Connection, scgi.Connection]


def in_background(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    out: list[Any] = []

    def run() -> None:
        try:
            out.append(work())
        except BaseException as error:  # shown by the test that looks at it
            out.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, out


@pytest.mark.parametrize("what", ["spin", "hold"])
def test_native_answers_beside_cpu_bound_python(snacgi: Snacgi, what: str) -> None:
    """Five seconds of Python on the CPU, or of C that holds the GIL: native answers all the
    while. Proven by order: the last of many native answers comes before the Python one."""
    daemon = snacgi(conf={"python": {"dispatch_workers": 4}})
    thread, out = in_background(lambda: (daemon.get(f"/{what}?seconds=5").json(), time.monotonic()))
    # A Python request that cannot be answered now shows that Python is busy.
    slowest = 0.0
    count = 0
    with daemon.connect() as conn:
        assert conn.ask("GET", "/native/hello").status == 200
        while thread.is_alive() and count < 3000:
            begun = time.monotonic()
            assert conn.ask("GET", f"/native/users/{count}").json() == {"user_id": count}
            assert daemon.get("/native/hello").status == 200
            slowest = max(slowest, time.monotonic() - begun)
            count += 1
            time.sleep(0.001)
        last = time.monotonic()
    thread.join()
    assert not isinstance(out[0], BaseException), out
    assert count >= 100
    assert last < out[0][1] or count < 3000, "native answers waited for Python"
    # Generous for a loaded machine, and far from the five seconds that waiting would cost.
    assert slowest < 2.5, f"a native answer took {slowest:.2f} s"


@pytest.mark.wires
def test_native_answers_beside_blocked_python(snacgi: Snacgi) -> None:
    """Every dispatch thread stands at a closed gate, the ring is filling: native goes on."""
    daemon = snacgi(conf={"python": {"dispatch_workers": 2}, "queue": 8})
    conns = [daemon.dial() for _ in range(4)]
    try:
        for conn in conns:
            conn.put("GET", "/gate/block")
        wait_until(lambda: daemon.get("/waiting/block").json()["waiting"] == 2, "two handlers at the gate")
        for n in range(100):
            assert daemon.get(f"/native/users/{n}").json() == {"user_id": n}
        assert daemon.get("/native/blocking?ms=1").text == "rested"
        # The loop is another thread: async handlers go on as well.
        assert daemon.get("/sleep?duration=0.01").json() == {"slept": True}
        assert daemon.get("/open/block").status == 200
        for conn in conns:
            assert conn.response().json() == {"opened": True}
    finally:
        for conn in conns:
            conn.close()


def readable(conns: list[Connection], but: list[Connection]) -> list[Connection]:
    rest = [conn for conn in conns if conn not in but]
    ready = select.select([conn.sock for conn in rest], [], [], 0.1)[0]
    return [conn for conn in rest if conn.sock in ready]


@pytest.mark.wires
@pytest.mark.parametrize("workers", [1, 3])
def test_ring_full(snacgi: Snacgi, wire: str, workers: int) -> None:
    """Full: 503 with Retry-After at once, native unaffected; then all that waited is answered."""
    daemon = snacgi(conf={"python": {"dispatch_workers": workers}, "queue": 5, "timeouts": {"queue": 60.0}})
    gates = [daemon.dial() for _ in range(workers)]
    waiting: list[Connection] = []
    try:
        for conn in gates:
            conn.put("GET", "/gate/ring")
        wait_until(lambda: daemon.get("/waiting/ring").json()["waiting"] == workers, "every worker at the gate")
        rejected = []
        for n in range(30):
            conn = daemon.dial()
            conn.put("GET", f"/mark/{n}")
            waiting.append(conn)
        # Exactly what fits waits; all others are answered at once, while nothing can run.
        # Which ones is for the kernel to say: it hands connections over in its own order.
        answered: list[Connection] = []
        wait_until(lambda: answered.extend(readable(waiting, answered)) or len(answered) == 25, "25 refusals")
        waiting = [conn for conn in waiting if conn not in answered] + answered
        for conn in answered:
            answer = conn.response()
            rejected.append(answer)
            assert answer.status == 503
            assert int(answer.header("Retry-After") or "-1") >= 0
        for n in range(50):
            assert daemon.get(f"/native/users/{n}").json() == {"user_id": n}
        if wire == "fastcgi":  # a refused connection is as good as before
            assert waiting[-1].ask("GET", "/native/hello").status == 200
        daemon.get("/open/ring")
        served = sorted(conn.response().json()["n"] for conn in waiting[:5])
        for conn in gates:
            assert conn.response().json() == {"opened": True}
        assert sorted(daemon.get("/marks").json()["marks"]) == served
        if wire == "fastcgi":
            assert waiting[-1].ask("GET", "/users/1").json() == {"user_id": 1}
    finally:
        for conn in gates + waiting:
            conn.close()


@pytest.mark.wires
def test_async_limit(snacgi: Snacgi) -> None:
    daemon = snacgi(conf={"limits": {"async": 10}, "queue": 10})
    conns = [daemon.dial() for _ in range(60)]
    try:
        for conn in conns:
            conn.put("GET", "/agate/limit")
        assert daemon.get("/native/hello").status == 200
        refused: list[Connection] = []
        wait_until(lambda: refused.extend(readable(conns, refused)) or len(refused) == 50, "50 refusals")
        for conn in refused:
            answer = conn.response()
            assert answer.status == 503 and answer.header("Retry-After")
        # A sync handler opens the gate: the loop's own door is full.
        left = [conn for conn in conns if conn not in refused]
        wait_until(lambda: daemon.get("/open-sync/limit").status == 200, "the gate opens")
        for conn in left:
            assert conn.response().json() == {"opened": True}
        assert daemon.get("/sleep?duration=0").json() == {"slept": True}
    finally:
        for conn in conns:
            conn.close()


@pytest.mark.wires
def test_gone_clients_work_is_dropped(snacgi: Snacgi) -> None:
    """A request whose client left before its turn is not executed."""
    daemon = snacgi(conf={"python": {"dispatch_workers": 1}})
    gate = daemon.dial()
    gate.put("GET", "/gate/gone")
    wait_until(lambda: daemon.get("/waiting/gone").json()["waiting"] == 1, "the worker at the gate")
    stay = daemon.dial()
    for n in range(10):
        with daemon.dial() as conn:
            conn.put("GET", f"/mark/{n}")
            if isinstance(conn, fcgi.Connection):
                # Answered only after the request before it was taken in: then it is in the ring.
                conn.send(fcgi.record(fcgi.GET_VALUES, 0))
                assert conn.read_record()[0] == fcgi.GET_VALUES_RESULT
    stay.put("GET", "/mark/100")
    # The marks of the gone are set by I/O threads: both have passed when new requests by
    # each have been answered.
    for _ in range(20):
        assert daemon.get("/native/hello").status == 200
    daemon.get("/open/gone")
    assert stay.response().json() == {"n": 100}
    assert gate.response().json() == {"opened": True}
    assert daemon.get("/marks").json()["marks"] == [100]
    gate.close()
    stay.close()


@pytest.mark.wires
@pytest.mark.parametrize("target", ["/gate/x", "/agate/x", "/stubborn/x"])
def test_answers_that_nobody_waits_for_are_dropped(snacgi: Snacgi, tmp: Path, target: str) -> None:
    """A handler whose client has left goes on and answers, is cancelled, or answers all the same: not a
    line in the log, one in the access log, and one more in the books."""
    daemon = snacgi(conf={"python": {"dispatch_workers": 1}, "log": {"access": str(tmp / "access.log")},
                          "status": {"path": "/-/status"}})

    def books() -> Any:
        page = daemon.get("/-/status", REMOTE_ADDR="127.0.0.1").json()
        return page["unanswered"], page["requests"]["in_flight"]

    def lines() -> list[list[str]]:
        return [line.split("\t") for line in (tmp / "access.log").read_text().splitlines() if target in line]

    wait_until(lambda: books() == ({"gone": 0, "broken": 0}, 1), "nothing but the page in flight")
    with daemon.dial() as conn:
        conn.put("GET", target)
        wait_until(lambda: daemon.get("/waiting/x").json()["waiting"] == 1, "the handler at the gate")
    wait_until(lambda: books() == ({"gone": 1, "broken": 0}, 1), "one that is gone")
    daemon.get("/open/x")
    wait_until(lambda: daemon.get("/waiting/x").json()["waiting"] == 0, "the handler's end")
    assert daemon.get("/hello").status == 200  # by the thread that had it
    assert [(line[4], line[5], line[6]) for line in lines()] == [(target, "499", "0")]
    daemon.stop()
    assert not re.search(r"\] (error|warning): |Traceback|" + target, daemon.log().partition(" ready\n")[2])


@pytest.mark.wires
def test_stale_work_is_not_executed(snacgi: Snacgi) -> None:
    """Too long in the ring: 503 unexecuted."""
    daemon = snacgi(conf={"python": {"dispatch_workers": 1}, "timeouts": {"queue": 0.2, "request": 60.0}})
    gate, late = daemon.dial(), daemon.dial()
    gate.put("GET", "/gate/stale")
    wait_until(lambda: daemon.get("/waiting/stale").json()["waiting"] == 1, "the worker at the gate")
    late.put("GET", "/mark/1")
    time.sleep(0.5)  # the one thing here that only time can do
    daemon.get("/open/stale")
    assert gate.response().status == 200
    answer = late.response()
    assert answer.status == 503 and answer.header("Retry-After")
    assert daemon.get("/marks").json()["marks"] == []
    gate.close()
    late.close()


@pytest.mark.wires
def test_slow_handlers_do_not_hold_quick_ones(snacgi: Snacgi) -> None:
    """Hand-over: with four workers three that block leave the quick ones a thread."""
    daemon = snacgi(conf={"python": {"dispatch_workers": 4}})
    gates = [daemon.dial() for _ in range(3)]
    for conn in gates:
        conn.put("GET", "/gate/quick")
    for n in range(100):
        assert daemon.get(f"/users/{n}").json() == {"user_id": n}
    wait_until(lambda: daemon.get("/waiting/quick").json()["waiting"] == 3, "three at the gate")
    for n in range(100):
        assert daemon.get(f"/users/{n}").json() == {"user_id": n}
    daemon.get("/open/quick")
    for conn in gates:
        assert conn.response().status == 200
        conn.close()


def test_one_dispatch_worker(snacgi: Snacgi) -> None:
    """dispatch_workers = 1: sync handlers run in the runtime thread; all lanes still work."""
    daemon = snacgi(conf={"python": {"dispatch_workers": 1}})
    for n in range(50):
        assert daemon.get(f"/users/{n}").json() == {"user_id": n}
    assert daemon.post("/squares", {"numbers": [3]}).json() == {"squares": [9]}
    assert daemon.post("/async/squares", {"numbers": [4]}).json() == {"squares": [16]}
    assert daemon.get("/sleep?duration=0.01").json() == {"slept": True}


@pytest.mark.wires
def test_idle_connections_hold_no_thread(snacgi: Snacgi, wire: str) -> None:
    """Those that have carried a request, or over SCGI those that have not begun one."""
    daemon = snacgi()
    for target in ("/native/hello", "/users/1", "/sleep?duration=0"):
        daemon.get(target)
    before = threads(daemon.worker)
    conns = [daemon.dial() for _ in range(300)]
    try:
        for conn in conns:
            if wire == "fastcgi":
                assert conn.ask("GET", "/native/hello").status == 200
            else:
                conn.put("GET", "/native/hello", part=slice(10))
        sleepers = [daemon.dial() for _ in range(100)]
        for conn in sleepers:
            conn.put("GET", "/agate/idle")
        wait_until(lambda: daemon.get("/waiting/idle").json()["waiting"] == 100, "100 parked")
        assert threads(daemon.worker) == before
        daemon.get("/open/idle")
        for conn in sleepers:
            assert conn.response().status == 200
            conn.close()
    finally:
        for conn in conns:
            conn.close()


@pytest.mark.wires
def test_slow_uploads_hold_nobody(snacgi: Snacgi) -> None:
    daemon = snacgi(conf={"python": {"dispatch_workers": 1}, "native": {"blocking_threads": 1}})
    body = b"x" * 100_000
    uploads = []
    for n in range(60):
        conn = daemon.dial()
        target = ("/show", "/native/show")[n % 2]
        conn.put("POST", target, body, part=slice(None, 50_000))
        uploads.append((conn, target))
    for n in range(50):
        assert daemon.get(f"/users/{n}").json() == {"user_id": n}
        assert daemon.get("/native/blocking?ms=0").status == 200
    for conn, target in uploads:
        conn.put("POST", target, body, part=slice(50_000, None))
    for conn, _ in uploads:
        assert conn.response().json()["length"] == 100_000
        conn.close()


@pytest.mark.wires
def test_blocking_threads_are_bounded(snacgi: Snacgi) -> None:
    """Native handlers that block wait for one another, not the ordinary ones for them."""
    daemon = snacgi(conf={"native": {"blocking_threads": 2}}, app=None)
    daemon.get("/native/hello")
    conns = [daemon.dial() for _ in range(8)]
    for conn in conns:
        conn.put("GET", "/native/blocking?ms=200")
    for n in range(100):
        assert daemon.get(f"/native/users/{n}").json() == {"user_id": n}
    for conn in conns:
        assert conn.response().text == "rested"
        conn.close()
