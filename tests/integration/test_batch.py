# SPDX-License-Identifier: MIT
"""Answers that the I/O thread sends together: everybody gets his own, whole and in order,
whatever happens to the connection between the answer and the end of the round.

A native handler that stands still keeps the I/O thread; what is sent meanwhile is one round."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import Callable, Iterator

import fcgi
import pytest
import scgi
from daemon import Daemon, wait_until
from wire import environ

Snacgi = Callable[..., Daemon]


def get(target: str, rid: int = 1, keep: bool = True) -> bytes:
    return fcgi.request(environ("GET", target), b"", rid, keep)


@pytest.fixture
def daemon(snacgi: Snacgi) -> Daemon:
    return snacgi(listen=["fastcgi+unix", "scgi+unix"], conf={"io_threads": 1})


@contextlib.contextmanager
def one_round(daemon: Daemon, tmp: Path) -> Iterator[None]:
    """What is sent within is there when the I/O thread looks again."""
    gate = tmp / "gate"
    with fcgi.Connection(daemon.addresses[0]) as conn:
        conn.send(get(f"/native/stand?gate={gate}"))
        wait_until(lambda: (tmp / "gate.here").exists(), "the I/O thread to stand")
        yield
        gate.touch()
        assert conn.response().body == b"opened"
    gate.unlink()
    (tmp / "gate.here").unlink()


def kept(daemon: Daemon, count: int) -> list[fcgi.Connection]:
    conns = [fcgi.Connection(daemon.addresses[0], 60) for _ in range(count)]
    for conn in conns:
        assert conn.ask("GET", "/native/hello").status == 200
    return conns


def user(conn: fcgi.Connection, rid: int = 1) -> int:
    answer = conn.response(rid)
    assert answer.status == 200, answer
    number = answer.json()["user_id"]
    assert isinstance(number, int)
    return number


def test_everybody_gets_his_own(daemon: Daemon, tmp: Path) -> None:
    """More connections than a batch has room for; natives, Python's and what is not there."""
    conns = kept(daemon, 150)
    for turn in range(2):
        with one_round(daemon, tmp):
            for n, conn in enumerate(conns):
                conn.send(get(("/native/users/%d", "/users/%d", "/nowhere/%d")[n % 3] % (1000 * turn + n)))
        for n, conn in enumerate(conns):
            if n % 3 == 2:
                assert conn.response().status == 404
            else:
                assert user(conn) == 1000 * turn + n
    for conn in conns:
        conn.close()


def test_several_of_one_connection(daemon: Daemon, tmp: Path) -> None:
    """Pipelined under one id: in order."""
    conns = kept(daemon, 3)
    with one_round(daemon, tmp):
        for n, conn in enumerate(conns):
            conn.send(b"".join(get(f"/native/users/{100 * n + k}") for k in range(20)))
    for n, conn in enumerate(conns):
        assert [user(conn) for _ in range(20)] == [100 * n + k for k in range(20)]
        conn.close()


def test_a_request_for_python_behind_a_native_one(daemon: Daemon, tmp: Path) -> None:
    """Another thread answers it, while the round goes on: not before the native one's answer."""
    mixed, stands = kept(daemon, 2)
    second = tmp / "second"
    with one_round(daemon, tmp):
        mixed.send(get("/native/users/1") + get("/users/2"))
        stands.send(get(f"/native/stand?gate={second}"))
    assert [user(mixed), user(mixed)] == [1, 2]
    second.touch()
    assert stands.response().body == b"opened"


def test_the_last_request_of_a_connection(daemon: Daemon, tmp: Path) -> None:
    """A kept answer, then one that ends the connection; and nonsense behind an answer."""
    ends, breaks, stays = kept(daemon, 3)
    with one_round(daemon, tmp):
        ends.send(get("/native/users/1") + get("/native/users/2", keep=False))
        breaks.send(get("/native/users/3") + b"\x07" * 64)
        stays.send(get("/native/users/4"))
    assert [user(ends), user(ends)] == [1, 2] and ends.closed()
    assert user(breaks) == 3 and breaks.closed()
    assert user(stays) == 4
    assert stays.ask("GET", "/native/hello").status == 200


def test_peers_that_leave(daemon: Daemon, tmp: Path) -> None:
    """They close before their answer is sent; who half-closed still has it, and SCGI's peers
    beside them have theirs."""
    conns = kept(daemon, 12)
    scgis = [scgi.Connection(daemon.addresses[1]) for _ in range(3)]
    with one_round(daemon, tmp):
        for n, conn in enumerate(conns):
            conn.send(get(f"/native/users/{n}"))
            if n % 3 == 0:
                conn.close()
            elif n % 3 == 1:
                conn.sock.shutdown(socket.SHUT_WR)
        for peer in scgis:
            peer.send(scgi.request(environ("GET", "/native/users/77"), b""))
    for n, conn in enumerate(conns):
        if n % 3:
            assert user(conn) == n
    for peer in scgis:
        assert peer.response().json()["user_id"] == 77
    assert daemon.get("/native/hello").status == 200


def fill(conn: fcgi.Connection, data: bytes) -> memoryview:
    """Sends what the socket takes; what is left."""
    left = memoryview(data)
    conn.sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while left:
            left = left[conn.sock.send(left) :]
    conn.sock.settimeout(60)
    return left


@pytest.mark.parametrize("count", [16 * n + 1 for n in range(1, 7)])
def test_a_batch_that_is_sent_before_the_round_ends(daemon: Daemon, tmp: Path, count: int) -> None:
    """It is full after 16 of these answers, and sometime the socket does not take it all. The
    peer reads what there is before the round ends: the last answer comes last all the same."""
    slow, stands = kept(daemon, 2)
    second = tmp / "second"
    with one_round(daemon, tmp):
        assert not fill(slow, b"".join(get(f"/native/fill?size=3900&n={n}") for n in range(count)))
        stands.send(get(f"/native/stand?gate={second}"))
    wait_until((tmp / "second.here").exists, "the I/O thread to stand in that round")
    slow.sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while more := slow.sock.recv(65536):
            slow.buffer += more
    slow.sock.settimeout(60)
    second.touch()
    assert stands.response().body == b"opened"
    for n in range(count):
        assert slow.response().body == b"%d " % n + b"f" * 3900


def test_a_peer_that_does_not_read(daemon: Daemon, tmp: Path) -> None:
    """What the socket does not take is sent later, whole and in order."""
    slow, other = kept(daemon, 2)
    count = 1000
    with one_round(daemon, tmp):
        other.send(get("/native/users/1"))
        left = fill(slow, b"".join(get(f"/native/fill?size=3900&n={n}") for n in range(count)))
    sender = threading.Thread(target=lambda: slow.sock.sendall(left))
    sender.start()
    assert user(other) == 1
    for n in range(count):
        assert slow.response().body == b"%d " % n + b"f" * 3900
    sender.join(60)
    assert not sender.is_alive()
    assert slow.ask("GET", "/native/hello").status == 200
