# SPDX-License-Identifier: MIT
"""Starting, stopping, losing a worker: no request that could be served is lost."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any, Callable

import fcgi
import pytest
from daemon import Daemon, alive, children, command_line, descendants, mortal, state, wait_until
from wire import Address, Closed, Response, environ, parse

Snacgi = Callable[..., Daemon]


def send(daemon: Daemon, target: str) -> Any:
    conn = daemon.dial()
    conn.put("GET", target)
    return conn


def waiting(daemon: Daemon, name: str, count: int) -> None:
    wait_until(lambda: daemon.get(f"/waiting/{name}").json()["waiting"] == count, f"{count} at gate {name}")


@pytest.mark.basic
@pytest.mark.parametrize("supervisor", [False, True])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_on_signal(snacgi: Snacgi, number: int, supervisor: bool) -> None:
    daemon = snacgi(supervisor=supervisor, listen=["fastcgi+unix", "scgi+tcp4"])
    idle = daemon.connect()  # a kept, idle connection does not hold the end up
    assert idle.ask("GET", "/users/1").status == 200
    assert daemon.post("/squares", {"numbers": [2]}).status == 200
    family = descendants(daemon.pid)
    daemon.signal(number)
    assert daemon.wait() == 0
    assert not os.path.exists(daemon.addresses[0].path), "the socket is still there"
    assert idle.closed()
    wait_until(lambda: not [pid for pid in family if alive(pid)], "the end of all children", 10)


@pytest.mark.wires
@pytest.mark.parametrize("supervisor", [False, True])
def test_drain(snacgi: Snacgi, supervisor: bool) -> None:
    """What was accepted is answered: sync running and queued, async, pool, blocking native;
    new connections find nobody."""
    daemon = snacgi(supervisor=supervisor, conf={"python": {"dispatch_workers": 1}})
    conns = [
        send(daemon, "/block?seconds=1"),
        send(daemon, "/users/5"),
        send(daemon, "/sleep?duration=1"),
        send(daemon, "/native/blocking?ms=1000"),
    ]
    pool = daemon.dial()
    pool.put("POST", "/async/squares", b'{"numbers":[7]}')
    # Once a management record is answered, the bytes before it were read. Over SCGI nothing tells
    # so, and it does not matter: who is connected is taken in before the end begins.
    early: dict[Any, Any] = dict.fromkeys([*conns, pool])
    for conn in early:
        if isinstance(conn, fcgi.Connection):
            conn.send(fcgi.record(fcgi.GET_VALUES, 0))
            early[conn] = until_read(conn)
    daemon.signal(signal.SIGTERM)
    rest = {conn: early[conn] or conn.response() for conn in early}
    assert rest[conns[0]].json()["blocked"] is True
    assert [rest[conn].json() for conn in conns[1:3]] == [{"user_id": 5}, {"slept": True}]
    assert rest[conns[3]].text == "rested"
    assert rest[pool].json() == {"squares": [49]}
    assert daemon.wait() == 0
    with pytest.raises(OSError):
        daemon.connect()


def until_read(conn: fcgi.Connection) -> Response | None:
    """Waits for the answer to GET_VALUES; the request's own one where it comes first."""
    out = bytearray()
    answer = None
    while True:
        kind, rid, content = conn.read_record()
        if kind == fcgi.GET_VALUES_RESULT:
            return answer
        if kind == fcgi.STDOUT:
            out += content
        elif kind == fcgi.END_REQUEST:
            answer = parse(bytes(out))


@pytest.mark.limit(240)
def test_sigterm_under_load(snacgi: Snacgi) -> None:
    """Every request that was sent whole on a connection the server had accepted is answered,
    or its connection is closed before a byte of an answer; never half an answer."""
    daemon = snacgi(supervisor=True, listen=["fastcgi+unix", "fastcgi+tcp4", "scgi+unix"])
    halves: list[Any] = []
    answered = {"fastcgi": 0, "scgi": 0}
    lock = threading.Lock()

    def work(n: int) -> None:
        address = daemon.addresses[n % 3]
        targets = ("/users/1", "/native/hello", "/sleep?duration=0.005", "/size/200000")
        turn = 0
        while True:
            turn += 1
            try:
                conn = daemon.dial(address)
            except OSError:
                return
            with conn:
                try:
                    while True:
                        conn.put("GET", targets[(n + turn) % 4])
                        assert conn.response().status == 200
                        with lock:
                            answered[address.protocol] += 1
                        if address.protocol == "scgi":
                            break
                        turn += 1
                except Closed as error:
                    if error.got:
                        halves.append(error)
                    return
                except (BrokenPipeError, ConnectionResetError):
                    return
                except AssertionError as error:  # a head, or a body, that is not whole
                    halves.append(error)
                    return

    workers = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for one in workers:
        one.start()
    wait_until(lambda: min(answered.values()) > 100, "some load")
    daemon.signal(signal.SIGTERM)
    for one in workers:
        one.join()
    assert daemon.wait() == 0
    assert not halves, halves


@pytest.mark.wires
def test_second_signal_hurries(snacgi: Snacgi) -> None:
    daemon = snacgi(conf={"timeouts": {"shutdown": 100.0, "request": 200.0}})
    daemon.expected_exit = None
    conn = send(daemon, "/gate/never")
    other = send(daemon, "/agate/never")
    waiting(daemon, "never", 2)
    begun = time.monotonic()
    daemon.signal(signal.SIGTERM)
    wait_until(lambda: refused(daemon), "no more connections")
    assert daemon.process is not None and daemon.process.poll() is None, "the first signal drains"
    daemon.signal(signal.SIGTERM)
    daemon.wait()
    assert time.monotonic() - begun < 50
    conn.close()
    other.close()


def refused(daemon: Daemon) -> bool:
    try:
        daemon.addresses[0].connect().close()
    except OSError:
        return True
    return False


@pytest.mark.wires
def test_shutdown_limit(snacgi: Snacgi) -> None:
    """A handler that never ends holds the stop up for timeouts.shutdown, not for ever."""
    daemon = snacgi(conf={"timeouts": {"shutdown": 1.0}})
    daemon.expected_exit = None
    conns = [send(daemon, "/gate/stuck"), send(daemon, "/agate/stuck")]
    waiting(daemon, "stuck", 2)
    begun = time.monotonic()
    daemon.signal(signal.SIGTERM)
    daemon.wait()
    assert time.monotonic() - begun < 30
    for conn in conns:
        # An answer (503) or a cut: but an end.
        try:
            assert conn.response().status in (500, 503)
        except Closed as error:
            assert error.got == b""
        conn.close()


def test_shutdown_limit_of_native_handlers(snacgi: Snacgi, tmp: Path) -> None:
    """Those that block beyond it: a 503, or a cut of what has begun, and a line in the access log for each."""
    daemon = snacgi(app=None, probe="/native/hello",
                    conf={"timeouts": {"shutdown": 1.0}, "log": {"access": str(tmp / "access.log")}})
    daemon.expected_exit = None
    whole, begun = send(daemon, f"/native/wait?gate={tmp}/never"), send(daemon, f"/native/gated?size=10&gate={tmp}")
    wait_until(lambda: (tmp / "never.here").exists() and (tmp / "sent").exists(), "both handlers")
    daemon.signal(signal.SIGTERM)
    assert whole.response().status == 503
    with pytest.raises(Closed):
        begun.response()
    daemon.wait()
    lines = [line.split("\t")[4:7] for line in (tmp / "access.log").read_text().splitlines() if "/native/hello" not in line]
    assert sorted((path, status) for path, status, _ in lines) == [("/native/gated", "200"), ("/native/wait", "503")]


@pytest.mark.parametrize("kind", ["thread", "atexit", "task"])
def test_user_code_cannot_hang_the_end(snacgi: Snacgi, tmp: Path, kind: str) -> None:
    code = tmp / "hang"
    code.mkdir()
    (code / "app.py").write_text(f"""
import asyncio, atexit, threading, time
from snacgi import route

@route('/x')
async def x(request):
    if {kind!r} == 'task':
        asyncio.get_running_loop().x = asyncio.ensure_future(asyncio.sleep(1000))
    return {{}}

if {kind!r} == 'thread':
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
if {kind!r} == 'atexit':
    atexit.register(time.sleep, 1000)
""")
    daemon = snacgi(app=code, conf={"timeouts": {"shutdown": 3.0}})
    assert daemon.get("/x").status == 200
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(40) == 0


# ---- the supervisor ------------------------------------------------------------------


def test_processes(snacgi: Snacgi) -> None:
    daemon = snacgi(supervisor=True, conf={"processes": 2})
    daemon.wait_log("ready: 2 worker")
    assert len(daemon.workers()) == 2
    pids: set[int] = set()
    wait_until(lambda: pids.update(who_answers(daemon)) or len(pids) == 2, "answers of both")
    assert pids == set(daemon.workers())
    assert daemon.pid not in pids, "the supervisor never runs request code"


def who_answers(daemon: Daemon) -> set[int]:
    """The workers that answer many requests at once: one at a time all go to the same."""
    conns = []
    for _ in range(32):
        conns.append(daemon.dial())
        conns[-1].put("GET", "/block?seconds=0.05")
    pids = set()
    for conn in conns:
        try:
            pids.add(conn.response().json()["pid"])
        except (Closed, OSError):
            pass  # its worker was killed by the test
        conn.close()
    return pids


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_killed_worker_is_respawned(snacgi: Snacgi, number: int) -> None:
    daemon = snacgi(supervisor=True, conf={"processes": 2}, env=mortal())
    daemon.wait_log("ready: 2 worker")
    first = daemon.workers()
    pool = [pid for pid in descendants(first[0])]
    os.kill(first[0], number)
    wait_until(lambda: len(daemon.workers()) == 2 and first[0] not in daemon.workers(), "another worker")
    assert first[1] in daemon.workers(), "its sibling goes on"
    pids: set[int] = set()

    def both() -> bool:
        pids.update(who_answers(daemon))
        return pids >= set(daemon.workers())

    wait_until(both, "answers of both")
    wait_until(lambda: not [pid for pid in pool if alive(pid)], "the end of its pool processes", 20)
    daemon.wait_log(str(first[0]))
    assert not [pid for pid in children(daemon.pid) if state(pid) == "Z"]


@pytest.mark.wires
def test_one_worker_dies(snacgi: Snacgi) -> None:
    """With one process too; the socket stays the same, connections made meanwhile wait."""
    daemon = snacgi(supervisor=True)
    inode = os.stat(daemon.addresses[0].path).st_ino
    old = daemon.worker
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: not alive(old), "its end")
    with daemon.dial() as conn:
        assert conn.ask("GET", "/users/1").status == 200
    assert os.stat(daemon.addresses[0].path).st_ino == inode
    assert daemon.worker != old


@pytest.mark.parametrize("supervisor", [False, True])
def test_no_orphans_after_sigkill(snacgi: Snacgi, supervisor: bool) -> None:
    daemon = snacgi(supervisor=supervisor)
    daemon.expected_exit = -signal.SIGKILL
    assert daemon.get("/pool?n=4").status == 200
    family = descendants(daemon.pid)
    assert family or not supervisor
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    wait_until(lambda: not [pid for pid in family if alive(pid)],
               f"the end of {[command_line(pid) for pid in family if alive(pid)]}", 20)


def test_dead_pool_worker(snacgi: Snacgi) -> None:
    """The pool is whole again after one of its processes was killed."""
    daemon = snacgi()
    for _ in range(3):
        victim = daemon.get("/pool").json()["workers"][0]["pid"]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: not alive(victim), "its end")

        def whole() -> bool:
            return daemon.post("/squares", {"numbers": [6]}).body == b'{"squares":[36]}'

        wait_until(whole, "the pool is whole again")
        assert daemon.get("/users/1").status == 200


def test_pool_workers_are_outside_ctrl_c(snacgi: Snacgi) -> None:
    """Ctrl-C reaches the whole process group: the drain still has its pool."""
    daemon = snacgi()
    conn = daemon.connect()
    body = b'{"numbers":[3]}'
    daemon.get("/pool")
    gate = send(daemon, "/block?seconds=0.5")
    conn.send(fcgi.request(environ("POST", "/squares", None, body), body, 1, True))
    assert conn.response().json() == {"squares": [9]}
    os.killpg(daemon.pid, signal.SIGINT)
    assert gate.response().json()["blocked"] is True
    assert daemon.wait() == 0
    assert "Traceback" not in daemon.log()
    gate.close()
    conn.close()


def test_stopped_while_starting(snacgi: Snacgi, tmp: Path) -> None:
    code = tmp / "slow"
    code.mkdir()
    (code / "app.py").write_text("import time, pathlib\npathlib.Path(__file__).with_name('begun').touch()\ntime.sleep(2)\n"
                                 "from snacgi import route\n@route('/x')\ndef x(r):\n    return {}\n")
    for supervisor in (False, True):
        daemon = snacgi(app=code, wait=False, supervisor=supervisor)
        wait_until(lambda: (code / "begun").exists(), "the import begins")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() in (0, -signal.SIGTERM, 1)
        daemon.expected_exit = None
        assert not os.path.exists(daemon.addresses[0].path)
        (code / "begun").unlink()


def test_stale_socket_is_replaced_a_live_one_is_not(snacgi: Snacgi, tmp: Path) -> None:
    path = f"{tmp}/d00.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(path)
    stale.close()  # its file stays
    daemon = snacgi()
    assert daemon.addresses[0] == Address("fastcgi", "unix", path=path)
    second = Daemon(tmp, name="second", listen=(), conf={"listen": [{"protocol": "fastcgi", "address": f"unix:{path}"}]})
    second.start(wait=False)
    assert second.wait() > 0, "a live server is never stolen from"
    assert path in second.log()
    assert daemon.get("/users/1").status == 200
    second.kill()


def test_a_file_in_the_way_is_not_removed(tmp: Path) -> None:
    (tmp / "precious").write_text("data")
    daemon = Daemon(tmp, app=None, listen=(), conf={"listen": [{"protocol": "fastcgi", "address": f"unix:{tmp}/precious"}]})
    daemon.start(wait=False)
    assert daemon.wait() > 0
    assert (tmp / "precious").read_text() == "data"
    daemon.kill()


@pytest.mark.parametrize("supervisor", [False, True])
def test_logs_are_opened_again(snacgi: Snacgi, tmp: Path, supervisor: bool) -> None:
    """Rotation: files are renamed, SIGUSR1 makes new ones; no line is lost."""
    files = [tmp / "main.log", tmp / "access.log"]
    daemon = snacgi(supervisor=supervisor, conf={"log": {"file": str(files[0]), "access": str(files[1])}})
    assert daemon.get("/users/1").status == 200
    for file in files:
        file.rename(f"{file}.1")
    daemon.signal(signal.SIGUSR1)
    wait_until(lambda: all(file.exists() for file in files), "new files")
    assert daemon.get("/users/2").status == 200
    wait_until(lambda: "/users/2" in files[1].read_text(), "the new line in the new file")
    assert "/users/1" in (tmp / "access.log.1").read_text()
    assert "/users/2" not in (tmp / "access.log.1").read_text()


