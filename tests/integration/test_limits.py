# SPDX-License-Identifier: MIT
"""Limits that hold over all requests of a process: what is beyond them is told so or waits, and
what comes after is served."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable

import pytest
from daemon import Daemon, descriptors, wait_until

import fcgi
import scgi
from wire import Address, environ

Snacgi = Callable[..., Daemon]


def upload(daemon: Daemon, size: int, hold: int) -> fcgi.Connection:
    """A body of `size` bytes whose last `hold` ones are not sent yet."""
    conn = daemon.connect()
    whole = fcgi.request(environ("POST", "/both", None, b"x" * size), b"x" * size, 1, True)
    conn.send(whole[:-hold] if hold else whole)
    conn.rest = whole[-hold:]
    return conn


def spooled(daemon: Daemon) -> int:
    """Bytes in files without a name."""
    return sum(os.stat(f"/proc/{daemon.worker}/fd/{fd}").st_size for fd, target in descriptors(daemon.worker).items()
               if target.startswith("/") and "deleted" in target)


def test_spool_is_used_up(snacgi: Snacgi) -> None:
    """503 with Retry-After for the upload that does not fit; the one that waits, and small ones,
    go on; and there is room again when it is done."""
    daemon = snacgi(app=None, probe="/native/hello",
                    conf={"limits": {"memory_body": 1024, "spool": 150000}})
    first = upload(daemon, 100000, 2000)
    wait_until(lambda: spooled(daemon) >= 97000, "its file")
    with daemon.connect() as conn:  # the first has its 98000 or so of 150000
        answer = conn.ask("POST", "/both", b"x" * 100000)
        assert answer.status == 503
        assert answer.header("Retry-After") == "1"
        assert conn.ask("POST", "/both", b"x" * 1000).status == 200
    daemon.wait_log("limits.spool is used up")
    first.send(first.rest)
    assert first.response().status == 200
    for _ in range(3):
        assert daemon.ask("POST", "/both", b"x" * 140000).status == 200
    first.close()


def test_connections(snacgi: Snacgi) -> None:
    """Beyond limits.connections a peer waits in the kernel's queue; it is served when another
    one leaves."""
    daemon = snacgi(app=None, probe="/native/hello", conf={"limits": {"connections": 4}})
    wait_until(lambda: daemon.sockets() == 1, "the probe's connection is closed")
    conns = [daemon.connect() for _ in range(4)]
    for conn in conns:
        assert conn.ask("GET", "/native/hello").status == 200
    late = daemon.connect()
    late.send(fcgi.request(environ("GET", "/native/hello"), b"", 1, True))
    daemon.wait_log("not accepting connections for now: limits.connections is reached")
    for conn in conns:
        assert conn.ask("GET", "/native/hello").status == 200
    conns.pop().close()
    assert late.response().status == 200
    for conn in [late, *conns]:
        conn.close()


def stands(address: Address, gate: Path) -> Any:
    """A request whose handler waits for the gate."""
    wire: Any = fcgi if address.protocol == "fastcgi" else scgi
    conn = wire.Connection(address)
    conn.send(wire.request(environ("GET", f"/native/wait?gate={gate}")))
    return conn


@pytest.mark.parametrize("io_threads", [1, 3])
def test_requests(snacgi: Snacgi, tmp: Path, io_threads: int) -> None:
    """Beyond limits.requests, whatever the protocol: 503 with Retry-After for what would wait; a
    native handler answers all the same; and there is room again when others are answered."""
    daemon = snacgi(listen=["fastcgi+unix", "scgi+unix"], probe="/native/hello", conf={"io_threads": io_threads, "limits": {"requests": 4}})
    gate, here = tmp / "gate", tmp / "gate.here"
    held = [stands(address, gate) for address in daemon.addresses * 2]
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
