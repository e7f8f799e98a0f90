# SPDX-License-Identifier: MIT
"""The status page: what it counts, for whom, over workers that come and go, and whatever
Python does."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any, Callable

import pytest
from daemon import Daemon, alive, run, wait_until
from fcgi import STDOUT, request
from test_reload import code, reload
from wire import Closed, environ

Snacgi = Callable[..., Daemon]
PAGE = "/-/status"
LOCAL = {"REMOTE_ADDR": "127.0.0.1"}


def page(daemon: Daemon, **more: Any) -> Any:
    answer = daemon.get(PAGE, **{**LOCAL, **more})
    assert answer.status == 200, answer
    assert answer.header("Cache-Control") == "no-store"
    return answer.json()


def start(snacgi: Snacgi, **more: Any) -> Daemon:
    more["conf"] = {**more.get("conf", {}), "status": {"path": PAGE}}
    return snacgi(**more)


@pytest.mark.basic
@pytest.mark.wires
def test_counts(snacgi: Snacgi) -> None:
    """Exactly what was asked, by class and by kind. An answer is counted a moment after it was seen."""
    daemon = start(snacgi)
    was = page(daemon)
    asked = [("/native/users/1", 200), ("/users/1", 200), ("/users/2", 200), ("/sleep?duration=0", 200),
             ("/native/blocking?ms=0", 200), ("/result/304", 304), ("/nowhere", 404), ("/native/fail?code=500", 500)]
    for target, status in asked:
        assert daemon.get(target).status == status, target
    expected = {"2xx": 5 + 1, "3xx": 1, "4xx": 1, "5xx": 1}  # and the first look at the page

    def grown() -> bool:
        now = page(daemon)
        expected["2xx"] += 1
        seen = {name: now["answered"][name] - was["answered"][name] for name in now["answered"]}
        return bool(seen == {"1xx": 0, **expected, "2xx": expected["2xx"] - 1} and now["by"]["python"] - was["by"]["python"] == 4)

    wait_until(grown, "the counts")
    now = page(daemon)
    assert now["requests"] == {"in_flight": 1} and now["connections"]["open"] >= 1  # this one
    assert now["total"]["requests"] == sum(now["answered"].values())
    assert (now["pid"], now["generation"], now["processes"]) == (daemon.worker, 1, 1)
    assert now["version"] == run("--version").stdout.split()[1]
    assert [(one["pid"], one["place"]) for one in now["workers"]] == [(daemon.worker, 0)]
    assert now["workers"][0]["uptime"] > 0 and now["memory"]["resident"] > 1 << 20
    assert now["limits"] == {"connections": daemon.conf["limits"]["connections"], "requests": 16384, "queue": 1024, "async": 16384,
                             "blocking_threads": 64, "dispatch_workers": 4, "spool": 1 << 30}


def test_an_answer_that_breaks_off(snacgi: Snacgi, tmp: Path) -> None:
    """No answer by its class, but a line in the access log with what was sent."""
    daemon = start(snacgi, app=None, probe="/native/hello", conf={"log": {"access": str(tmp / "access.log")}})
    with daemon.connect() as conn, pytest.raises(Closed):
        conn.send(request(environ("GET", "/native/pull?size=300000&cut=260000"), b"", 1, True))
        conn.response()
    wait_until(lambda: page(daemon)["unanswered"] == {"gone": 0, "broken": 1}, "the books")
    lines = [line.split("\t") for line in (tmp / "access.log").read_text().splitlines()]
    broken, = [line for line in lines if line[4] == "/native/pull"]
    assert broken[5:7] == ["200", "40000"]


def content(got: bytes) -> int:
    """How many bytes FCGI_STDOUT records have; the last one may be a part."""
    at = total = 0
    while at + 8 <= len(got):
        kind, length, padding = got[at + 1], int.from_bytes(got[at + 4 : at + 6], "big"), got[at + 6]
        total += min(length, len(got) - at - 8) if kind == STDOUT else 0
        at += 8 + length + padding
    return total


@pytest.mark.parametrize("target", ["/native/pull?size=50000000&known=0", "/native/send?chunks=500&size=100000"])
def test_an_answer_whose_reader_leaves(snacgi: Snacgi, tmp: Path, target: str) -> None:
    """The access log has what the socket had taken: not a byte of what waited behind it."""
    daemon = start(snacgi, app=None, probe="/native/hello", conf={"io_threads": 1, "log": {"access": str(tmp / "access.log")}})
    with daemon.connect() as conn:
        conn.send(request(environ("GET", target), b"", 1, True))
        got = conn.sock.recv(8)
        assert page(daemon)["requests"]["in_flight"] == 2
        os.kill(daemon.worker, signal.SIGSTOP)
        try:
            wait_until(lambda: {one.read_text().rpartition(")")[2].split()[0] for one in Path(f"/proc/{daemon.worker}/task").glob("*/stat")} == {"T"},
                       "all of its threads stand")
            conn.sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                while True:
                    got += conn.sock.recv(1 << 20)
            conn.close()
        finally:
            os.kill(daemon.worker, signal.SIGCONT)
    wait_until(lambda: page(daemon)["unanswered"] == {"gone": 1, "broken": 0}, "the books")
    lines = [line.split("\t") for line in (tmp / "access.log").read_text().splitlines()]
    gone, = [line for line in lines if line[4] == target.partition("?")[0]]
    assert gone[5] == "200" and int(gone[6]) == content(got) - len(got[8 : got.index(b"\r\n\r\n") + 4])


def test_off_unless_asked_for(snacgi: Snacgi) -> None:
    daemon = snacgi()
    assert daemon.get(PAGE, **LOCAL).status == 404


@pytest.mark.parametrize("allow, good, bad", [
    (None, ["127.0.0.1", "127.8.9.10", "::1"], ["192.0.2.1", "2001:db8::1", "", "unix:", "127.0.0.1, 192.0.2.1", None]),
    (["10.0.0.0/8", "2001:db8::/32"], ["10.1.2.3", "2001:db8::1", "::ffff:10.0.0.1"], ["127.0.0.1", "::1", "11.0.0.1"]),
    ([], ["192.0.2.1", "", None], []),
])
def test_who_may_see_it(snacgi: Snacgi, allow: Any, good: list[Any], bad: list[Any]) -> None:
    """By the address that the front server tells."""
    status = {"path": PAGE, **({} if allow is None else {"allow": allow})}
    daemon = snacgi(app=None, probe="/native/hello", conf={"status": status})
    for address in good:
        assert daemon.get(PAGE, REMOTE_ADDR=address).status == 200, address
    for address in bad:
        answer = daemon.get(PAGE, REMOTE_ADDR=address)
        assert answer.status == 403 and "status.allow" in answer.text, address
    assert daemon.ask("POST", PAGE, b"", **LOCAL).status == 405
    assert daemon.ask("HEAD", PAGE, REMOTE_ADDR=good[0]).status == 200


def test_behind_a_proxy(snacgi: Snacgi) -> None:
    """Who is believed to be the client, not who asks for it."""
    daemon = snacgi(app=None, probe="/native/hello", conf={"status": {"path": PAGE}, "proxy": {"hops": 1}})
    for address, status in (("192.0.2.1", 403), ("127.0.0.1", 200)):
        assert daemon.get(PAGE, headers={"X-Forwarded-For": address}, **LOCAL).status == status


@pytest.mark.parametrize("conf, words", [
    ({"path": "status"}, "status.path"), ({"path": "/a/<b>"}, "status.path"), ({"path": PAGE, "allow": ["10.0.0.0/99"]}, "status.allow"),
])
def test_wrong_values(snacgi: Snacgi, tmp: Path, conf: Any, words: str) -> None:
    daemon = snacgi(wait=False, app=None, conf={"status": conf})
    daemon.expected_exit = None
    assert daemon.wait() != 0
    assert words in daemon.log()


def test_prometheus(snacgi: Snacgi) -> None:
    daemon = start(snacgi, app=None, probe="/native/hello")
    for more in ({"target": f"{PAGE}?format=prometheus"}, {"target": PAGE, "headers": {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4"}}):
        answer = daemon.get(more["target"], headers=more.get("headers"), **LOCAL)
        assert answer.status == 200 and (answer.header("Content-Type") or "").startswith("text/plain; version=0.0.4")
        metrics: dict[str, str] = {}
        samples = []
        for line in answer.text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert name not in metrics, f"{name} twice"
                metrics[name] = kind
            elif not line.startswith("# HELP "):
                sample = re.fullmatch(r'(\w+)(\{\w+="[^"]*"\})? (\d+)', line)
                assert sample and metrics[sample[1]] in ("counter", "gauge") and (sample[1].endswith("_total")) == (metrics[sample[1]] == "counter"), line
                samples.append(sample[1] + (sample[2] or ""))
        assert len(set(samples)) == len(samples) and "snacgi_workers" in samples and 'snacgi_refused_total{reason="late"}' in samples
    assert daemon.get(f"{PAGE}?format=xml", **LOCAL).status == 400
    assert "requests" in daemon.get(f"{PAGE}?format=json", headers={"Accept": "text/plain"}, **LOCAL).json()


def refused(daemon: Daemon) -> dict[str, int]:
    return {name: count for name, count in page(daemon)["refused"].items() if count}


def test_refusals_by_reason(snacgi: Snacgi, tmp: Path) -> None:
    """Each by the one thing that was made to happen; the page answers while every thread is taken."""
    daemon = start(snacgi, conf={"python": {"dispatch_workers": 1}, "queue": 2, "native": {"blocking_threads": 1},
                                 "limits": {"async": 1, "body": 1000}, "timeouts": {"queue": 600.0, "request": 900.0}})
    held = []

    def hold(target: str, group: str, **now: int) -> None:
        held.append(daemon.dial())
        held[-1].put("GET", target)
        wait_until(lambda: {**page(daemon)[group], **now} == page(daemon)[group], f"{group}: {now}")

    hold("/gate/one", "sync", busy=1, waiting=0)
    hold("/mark/1", "sync", busy=1, waiting=1)
    hold("/mark/2", "sync", busy=1, waiting=2)
    hold("/agate/one", "async", running=1)
    gate = tmp / "gate"
    for n in range(3):
        hold(f"/native/wait?gate={gate}", "blocking", threads=1, busy=1, waiting=n)
    assert refused(daemon) == {}
    assert daemon.get("/users/1").status == 503
    assert daemon.get("/sleep?duration=0").status == 503
    assert daemon.get("/native/blocking?ms=0").status == 503
    assert daemon.ask("POST", "/show", b"x" * 2000).status == 413
    assert daemon.get("/x", PATH_INFO="/a/../b", SCRIPT_NAME="").status == 400
    assert refused(daemon) == {"sync_full": 1, "async_full": 1, "blocking_full": 1, "too_large": 1, "malformed": 1}
    assert page(daemon)["requests"]["in_flight"] == len(held) + 1
    gate.touch()
    for conn in held[4:]:
        assert conn.response().status == 200
    for conn in held:
        conn.close()


def test_late_and_over_time(snacgi: Snacgi, tmp: Path) -> None:
    daemon = start(snacgi, conf={"native": {"blocking_threads": 1}, "timeouts": {"queue": 0.3, "request": 0.6, "read": 0.3}})
    gate = tmp / "gate"
    try:
        half, first = daemon.dial(), daemon.dial()
        half.put("GET", "/native/hello", part=slice(None, -1))
        first.put("GET", f"/native/wait?gate={gate}")
        wait_until(lambda: page(daemon)["blocking"]["busy"] == 1, "the first one")
        assert daemon.get("/native/blocking?ms=0").status == 503
        assert first.response().status == 504
        assert half.response().status == 408
        wait_until(lambda: refused(daemon) == {"late": 1, "timeout": 1, "slow_peer": 1}, "the reasons")
    finally:
        gate.touch()


def test_over_workers(snacgi: Snacgi, tmp: Path) -> None:
    """The sum is over all workers and does not fall when they are replaced, or killed."""
    daemon = start(snacgi, supervisor=True, app=code(tmp / "app", "one"), conf={"processes": 2})
    daemon.wait_log("ready: 2 worker")
    asked = 40
    for _ in range(asked):
        assert daemon.get("/version").status == 200
    wait_until(lambda: page(daemon)["by"]["python"] >= asked, "all of them, whoever answers now")
    most = page(daemon)
    assert sorted(one["pid"] for one in most["workers"]) == daemon.workers()
    assert {one["place"] for one in most["workers"]} == {0, 1}
    assert most["by"]["python"] == sum(one["by"]["python"] for one in most["workers"])
    assert reload(daemon).returncode == 0
    wait_until(lambda: [one["generation"] for one in page(daemon)["workers"]] == [2, 2], "the new ones only")
    after = page(daemon)
    assert sorted(one["pid"] for one in after["workers"]) == daemon.workers() and after["generation"] == 2
    assert after["by"]["python"] >= asked and after["answered"]["2xx"] >= most["answered"]["2xx"]
    victim = daemon.workers()[0]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: not alive(victim) and len(daemon.workers()) == 2 and
               sorted(one["pid"] for one in page(daemon)["workers"]) == daemon.workers(), "another one")
    assert page(daemon)["by"]["python"] >= asked
