# SPDX-License-Identifier: MIT
"""Peers that stall, trickle, do not read or say nothing, over both protocols: each time-out has its
answer or its end, and who is not slow notices nothing. A peer that goes on at its pace is cut by the
server or never, so that no duration is asserted."""

from __future__ import annotations

import select
import time
from typing import Any, Callable

import pytest
from daemon import Daemon, wait_until

import fcgi
import scgi
from wire import Closed, Stream, environ

Snacgi = Callable[..., Daemon]

LONG = 600.0
PROTOCOLS = ["fastcgi", "scgi"]


def start(snacgi: Snacgi, protocol: str, conf: dict[str, Any]) -> Daemon:
    """One I/O thread: who holds it holds everybody."""
    timeouts = {"read": LONG, "write": LONG, "idle": LONG, **conf.pop("timeouts", {})}
    return snacgi(app=None, probe="/native/hello", listen=[f"{protocol}+unix"],
                  conf={"io_threads": 1, "timeouts": timeouts, **conf})


def connect(daemon: Daemon) -> fcgi.Connection | scgi.Connection:
    address = daemon.addresses[0]
    return fcgi.Connection(address) if address.protocol == "fastcgi" else scgi.Connection(address)


def question(daemon: Daemon, method: str, target: str, body: bytes = b"") -> bytes:
    """A request; over FastCGI the connection is kept, and a body comes in records of 100 bytes."""
    env = environ(method, target, None, body)
    if daemon.addresses[0].protocol == "fastcgi":
        return fcgi.request(env, body, 1, True, 100)
    return scgi.request(env, body)


def others_are_served(daemon: Daemon) -> None:
    for n in range(5):
        assert daemon.get(f"/native/users/{n}").json() == {"user_id": n}


def trickle(conn: Stream, data: bytes, pace: float) -> None:
    """A byte now and then, until there are no more or the server says something."""
    for at in range(len(data)):
        if select.select([conn.sock], [], [], pace)[0]:
            return
        conn.sock.sendall(data[at:at + 1])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("part", ["first byte", "parameters", "body"])
def test_a_request_that_stalls(snacgi: Snacgi, protocol: str, part: str) -> None:
    """timeouts.read: 408 where the request is far enough to be answered, or the end."""
    daemon = start(snacgi, protocol, {"timeouts": {"read": 0.5, "idle": 2.0}})
    whole = question(daemon, "POST", "/both", b"x" * 1000)
    with connect(daemon) as conn:
        conn.send(whole[:{"first byte": 1, "parameters": 60, "body": len(whole) - 100}[part]])
        if part == "first byte":
            assert conn.closed()
        else:
            assert conn.response().status == 408
            assert conn.closed()
    others_are_served(daemon)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("part", ["parameters", "body"])
def test_a_request_that_trickles(snacgi: Snacgi, protocol: str, part: str) -> None:
    """limits.read_rate: each byte is in time, and there would be bytes for a minute."""
    daemon = start(snacgi, protocol, {"timeouts": {"read": 1.0}, "limits": {"read_rate": 10_000}})
    whole = question(daemon, "POST", "/both", b"x" * 6000)
    begun = 60 if part == "parameters" else len(whole) - 5000
    with connect(daemon) as conn:
        conn.send(whole[:begun])
        trickle(conn, whole[begun:begun + 3000], 0.02)
        assert conn.response().status == 408
    others_are_served(daemon)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("rate", [1, 0])
def test_a_slow_upload_that_is_fast_enough(snacgi: Snacgi, protocol: str, rate: int) -> None:
    """It takes longer than timeouts.read, but has paid for that; or nobody asks."""
    daemon = start(snacgi, protocol, {"timeouts": {"read": 4.0}, "limits": {"read_rate": rate}})
    whole = question(daemon, "POST", "/both", b"x" * 500)
    begun = time.monotonic()
    with connect(daemon) as conn:
        conn.send(whole[:-60])
        trickle(conn, whole[-60:-1], 0.08)
        wait_until(lambda: time.monotonic() - begun > 4.5, "a while")
        conn.send(whole[-1:])
        assert conn.response().status == 200


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("how", ["pull", "send"])
def test_a_peer_that_does_not_read(snacgi: Snacgi, protocol: str, how: str) -> None:
    """timeouts.write: cut, never ended as if it were whole; what it held is free again."""
    daemon = start(snacgi, protocol, {"timeouts": {"write": 1.0}})
    target = "/native/pull?size=50000000" if how == "pull" else "/native/send?chunks=1000&size=50000"
    with connect(daemon) as conn:
        conn.send(question(daemon, "GET", target))
        daemon.wait_log("the peer took no byte of the answer within timeouts.write")
        wait_until(lambda: daemon.sockets() == 1, "its connection is gone")
        others_are_served(daemon)
        if protocol == "fastcgi":
            with pytest.raises(Closed):
                conn.response()
        else:
            assert len(conn.read_all()) < 50_000_000
    if how == "pull":
        wait_until(lambda: daemon.get("/native/pulls-done").text == "1", "its producer was told")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("how", ["pull", "send"])
def test_a_slow_reader_is_no_deaf_one(snacgi: Snacgi, protocol: str, how: str) -> None:
    """A part of it now and then, for longer than timeouts.write: it gets everything."""
    daemon = start(snacgi, protocol, {"timeouts": {"write": 3.0}})
    target = "/native/pull?size=20000000" if how == "pull" else "/native/send?chunks=400&size=50000"
    begun = time.monotonic()
    with connect(daemon) as conn:
        conn.send(question(daemon, "GET", target))
        taken = bytearray()
        while time.monotonic() - begun < 4:
            taken += conn.read(300_000)
            select.select([], [], [], 0.1)
        conn.buffer[:0] = taken
        assert len(conn.response().body) == 20_000_000


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_connection_on_which_nothing_is_said(snacgi: Snacgi, protocol: str) -> None:
    """timeouts.idle."""
    daemon = start(snacgi, protocol, {"timeouts": {"idle": 0.5}})
    with connect(daemon) as conn:
        assert conn.closed()
    others_are_served(daemon)


def test_a_kept_connection_that_is_not_used(snacgi: Snacgi) -> None:
    """timeouts.idle counts from the last answer, and a handler's time is not idleness."""
    daemon = start(snacgi, "fastcgi", {"timeouts": {"idle": 0.7}})
    with daemon.connect() as conn:
        assert conn.ask("GET", "/native/blocking?ms=1500").text == "rested"
        assert conn.closed()
    others_are_served(daemon)
