# SPDX-License-Identifier: MIT
"""Many connections at once. One epoll on this side too: the client must not be
what gives up first."""

from __future__ import annotations

import select
import socket
import time
from typing import Any, Callable

import fcgi
import pytest
import scgi
from daemon import SANITIZED, Daemon, resident, threads
from wire import Address, environ

Snacgi = Callable[..., Daemon]


def connect_all(address: Address, count: int) -> list[socket.socket]:
    return [address.connect() for _ in range(count)]


def answers(socks: list[socket.socket], patience: float) -> dict[int, bytes]:
    """Reads each socket up to one END_REQUEST; what each one got."""
    poll = select.epoll()
    got: dict[int, bytearray] = {}
    for sock in socks:
        sock.setblocking(False)
        got[sock.fileno()] = bytearray()
        poll.register(sock.fileno(), select.EPOLLIN)
    by_fd = {sock.fileno(): sock for sock in socks}
    left = set(got)
    end = time.monotonic() + patience
    while left and time.monotonic() < end:
        for fd, _ in poll.poll(1.0, 4096):
            try:
                data = by_fd[fd].recv(65536)
            except BlockingIOError:
                continue
            got[fd] += data
            if not data or b"\x01\x03\x00\x01\x00\x08" in got[fd]:  # over SCGI the end is the close
                left.discard(fd)
                poll.unregister(fd)
    poll.close()
    assert not left, f"{len(left)} of {len(socks)} were not answered"
    return {fd: bytes(data) for fd, data in got.items()}


def test_a_thousand_kept_connections(snacgi: Snacgi) -> None:
    """On two I/O threads all are served, again and again, none more than others."""
    daemon = snacgi(listen=["fastcgi+unix", "fastcgi+tcp4"], conf={"io_threads": 2, "limits": {"connections": 4096}})
    socks = [s for a in daemon.addresses for s in connect_all(a, 500)]
    try:
        before = threads(daemon.worker)
        for turn in range(5):
            for n, sock in enumerate(socks):
                sock.setblocking(True)
                sock.sendall(fcgi.request(environ("GET", f"{('', '/native')[n % 2]}/users/{turn}{n}"), b"", 1, True))
            got = answers(socks, 60)
            for n, sock in enumerate(socks):
                assert b'{"user_id":%d}' % int(f"{turn}{n}") in got[sock.fileno()].replace(b" ", b""), n
        assert threads(daemon.worker) <= before + 8
    finally:
        for sock in socks:
            sock.close()


def test_a_thousand_scgi_connections(snacgi: Snacgi) -> None:
    """The same where each carries one request: opened together, asked together."""
    daemon = snacgi(listen=["scgi+unix", "scgi+tcp4"], conf={"io_threads": 2, "limits": {"connections": 4096}})
    before = threads(daemon.worker)
    for turn in range(2):
        socks = [s for a in daemon.addresses for s in connect_all(a, 500)]
        try:
            for n, sock in enumerate(socks):
                sock.sendall(scgi.request(environ("GET", f"{('', '/native')[n % 2]}/users/{turn}{n}")))
            got = answers(socks, 60)
            for n, sock in enumerate(socks):
                assert got[sock.fileno()].endswith(b'{"user_id":%d}' % int(f"{turn}{n}")), n
        finally:
            for sock in socks:
                sock.close()
    assert threads(daemon.worker) <= before + 8


@pytest.mark.wires
@pytest.mark.limit(300)
def test_ten_thousand_async_sleeps(snacgi: Snacgi, wire: str, record_property: Callable[[str, Any], None]) -> None:
    """10,000 concurrent `await asyncio.sleep(1)`: all of them answered, together, and parked
    requests cost memory only."""
    count = 10_000
    daemon = snacgi(conf={
        "io_threads": 2, "queue": 16384, "limits": {"connections": 16384, "async": 16384}})
    address = daemon.addresses[0]
    for _ in range(3):
        daemon.get("/sleep?duration=0")
    sleep = fcgi.request(environ("GET", "/sleep?duration=1"), b"", 1, True) if wire == "fastcgi" else scgi.request(environ("GET", "/sleep?duration=1"))
    socks: list[socket.socket] = []
    try:
        # Connections, with their buffers, are there first: what a parked request adds is asked.
        for _ in range(count):
            socks.append(address.connect())
        with_connections = resident(daemon.worker)
        idle_threads = threads(daemon.worker)
        begun = time.monotonic()
        for sock in socks:
            sock.sendall(sleep)
        sent = time.monotonic()
        peak = resident(daemon.worker)
        got = answers(socks, 120)
        took = time.monotonic() - begun
        assert all(b'{"slept":true}' in one and b"Status: 200 OK" in one for one in got.values())
        # In turn they would take 10,000 seconds; this bound is for order, not for speed.
        assert took < 60, f"{took:.1f} s"
        assert threads(daemon.worker) == idle_threads, "a parked request holds a thread"
        each = (max(peak, resident(daemon.worker)) - with_connections) / count
        print(f"{count} sleeps of 1 s: sent in {sent - begun:.2f} s, all answered after {took:.2f} s, "
              f"at most {each:.0f} bytes of resident memory for each parked request")
        record_property("bytes_each", each)
        if not SANITIZED:
            assert each < 12_000, f"{each:.0f} bytes for each parked request"
        assert daemon.get("/users/1").json() == {"user_id": 1}
        assert daemon.get("/native/hello").status == 200
    finally:
        for sock in socks:
            sock.close()
