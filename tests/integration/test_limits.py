# SPDX-License-Identifier: MIT
"""Limits that hold over all requests of a process: what is beyond them is told so or waits, and
what comes after is served."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable

import pytest
from daemon import Daemon, descriptors, wait_until


Snacgi = Callable[..., Daemon]


def part(conn: Any, size: int, which: slice) -> None:
    """A part of an upload with a body of `size` bytes."""
    conn.put("POST", "/both", b"x" * size, part=which)


def spooled(daemon: Daemon) -> int:
    """Bytes in files without a name."""
    return sum(os.stat(f"/proc/{daemon.worker}/fd/{fd}").st_size for fd, target in descriptors(daemon.worker).items()
               if target.startswith("/") and "deleted" in target)


@pytest.mark.wires
def test_spool_is_used_up(snacgi: Snacgi, wire: str) -> None:
    """503 with Retry-After for the upload that does not fit; the one that waits, and small ones,
    go on; and there is room again when it is done."""
    daemon = snacgi(app=None, probe="/native/hello",
                    conf={"limits": {"memory_body": 1024, "spool": 150000}})
    first = daemon.dial()
    part(first, 100000, slice(None, -2000))
    wait_until(lambda: spooled(daemon) >= 97000, "its file")
    with daemon.dial() as conn:  # the first has its 98000 or so of 150000
        answer = conn.ask("POST", "/both", b"x" * 100000)
        assert answer.status == 503
        assert answer.header("Retry-After") == "1"
        if wire == "fastcgi":
            assert conn.ask("POST", "/both", b"x" * 1000).status == 200
    assert daemon.ask("POST", "/both", b"x" * 1000).status == 200
    daemon.wait_log("limits.spool is used up")
    part(first, 100000, slice(-2000, None))
    assert first.response().status == 200
    for _ in range(3):
        assert daemon.ask("POST", "/both", b"x" * 140000).status == 200
    first.close()


@pytest.mark.wires
def test_connections(snacgi: Snacgi, wire: str) -> None:
    """Beyond limits.connections a peer waits in the kernel's queue; it is served when another
    one leaves."""
    daemon = snacgi(app=None, probe="/native/hello", conf={"limits": {"connections": 4}})
    wait_until(lambda: daemon.sockets() == 1, "the probe's connection is closed")
    conns = [daemon.dial() for _ in range(4)]
    for conn in conns:
        if wire == "fastcgi":
            assert conn.ask("GET", "/native/hello").status == 200
    wait_until(lambda: daemon.sockets() == 5, "all four")
    late = daemon.dial()
    late.put("GET", "/native/hello")
    daemon.wait_log("not accepting connections for now: limits.connections is reached")
    for conn in conns[1:]:
        assert conn.ask("GET", "/native/hello").status == 200
    conns[0].close()
    assert late.response().status == 200
    for conn in [late, *conns]:
        conn.close()



@pytest.mark.parametrize("io_threads", [1, 3])
def test_requests(snacgi: Snacgi, tmp: Path, io_threads: int) -> None:
    """Beyond limits.requests, whatever the protocol: 503 with Retry-After for what would wait; a
    native handler answers all the same; and there is room again when others are answered."""
    daemon = snacgi(listen=["fastcgi+unix", "scgi+unix"], probe="/native/hello", conf={"io_threads": io_threads, "limits": {"requests": 4}})
    gate, here = tmp / "gate", tmp / "gate.here"
    held = [daemon.dial(address) for address in daemon.addresses * 2]
    for conn in held:
        conn.put("GET", f"/native/wait?gate={gate}")
    wait_until(lambda: here.exists() and here.stat().st_size == 4, "four handlers")
    for address in daemon.addresses:
        for target in ("/users/7", "/sleep?duration=0", "/native/blocking?ms=0"):
            answer = daemon.get(target, address=address)
            assert (answer.status, answer.header("Retry-After")) == (503, "1"), target
            assert "too many requests" in answer.text
        assert daemon.get("/native/users/7", address=address).json() == {"user_id": 7}
    gate.touch()
    assert [conn.response().status for conn in held] == [200] * 4
    for conn in held:
        conn.close()
    for address in daemon.addresses:
        wait_until(lambda: daemon.get("/users/7", address=address).status == 200, "room again")
    assert daemon.get("/sleep?duration=0").json() == {"slept": True}
