# SPDX-License-Identifier: MIT
"""SCGI netstrings, whole and broken."""

from __future__ import annotations

import random
import socket
import struct
import threading
from typing import Iterator

import pytest
import scgi
from daemon import Daemon
from scgi import header_block, netstring, request
from wire import Address, Closed, environ

BODY = b'{"numbers":[1,2,3]}'


@pytest.fixture
def address(server: Daemon) -> Iterator[Address]:
    yield next(a for a in server.addresses if (a.protocol, a.kind) == ("scgi", "unix"))


def exchange(address: Address, raw: bytes, piece: int = 0) -> int:
    """The status of the answer; 0 when the server just closes."""
    with scgi.Connection(address) as conn:
        try:
            conn.send(raw, piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            return conn.response().status
        except (Closed, ConnectionResetError):
            return 0


def test_split_at_every_byte(address: Address) -> None:
    env = [(b"REQUEST_METHOD", b"POST"), (b"SCRIPT_NAME", b"/native/echo")]
    raw = request(env, BODY)
    for at in range(1, len(raw)):
        with scgi.Connection(address) as conn:
            conn.send(raw[:at])
            conn.send(raw[at:])
            assert conn.response().json() == {"numbers": [1, 2, 3]}, at


def test_one_byte_a_write(server: Daemon) -> None:
    for address in server.addresses[3:]:
        raw = request(environ("POST", "/squares", None, BODY), BODY)
        with scgi.Connection(address) as conn:
            conn.send(raw, piece=1)
            assert conn.response().json() == {"squares": [1, 4, 9]}


BLOCK = header_block(environ("GET", "/native/hello"), 0)

BROKEN = {
    "no digits": b":" + BLOCK + b",",
    "letters": b"abc:" + BLOCK + b",",
    "negative": b"-5:" + BLOCK + b",",
    "leading zero": b"0" + netstring(BLOCK),
    "too many digits": b"9" * 30 + b":",
    "no colon": b"123456",
    "no comma": str(len(BLOCK)).encode() + b":" + BLOCK + b";",
    "empty": b"0:,",
    "fastcgi": b"\x01\x01\x00\x01\x00\x08\x00\x00" + b"\0\1\0\0\0\0\0\0",
    "http": b"GET / HTTP/1.0\r\n\r\n",
    "zeros": b"\0" * 40,
    "space": b" " + netstring(BLOCK),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_netstring(server: Daemon, address: Address, name: str) -> None:
    with scgi.Connection(address) as conn:
        conn.send(BROKEN[name])
        conn.shutdown_write()
        try:
            assert conn.response().status in (400, 431)
        except (Closed, ConnectionResetError):
            pass
    assert server.get("/native/hello", address=address).status == 200


@pytest.mark.parametrize("block", [
    header_block(environ("GET", "/native/hello"), None),
    header_block(environ("GET", "/native/hello"), b""),
    header_block(environ("GET", "/native/hello"), b"abc"),
    header_block(environ("GET", "/native/hello"), b"-1"),
    header_block(environ("GET", "/native/hello"), b"99999999999999999999999999"),
    header_block(environ("GET", "/native/hello"), 0, None),
    header_block(environ("GET", "/native/hello"), 0, b"2"),
    header_block(environ("GET", "/native/hello"), 0)[:-1],
    header_block(environ("GET", "/native/hello"), 0) + b"NAME_WITHOUT_VALUE\0",
    header_block(environ("GET", "/native/hello"), 0) + b"\0value\0",
    header_block(environ("GET", "/native/hello"), 0) + b"A=B\0value\0",
    header_block([(b"SCRIPT_NAME", b"/native/hello")], 0),
], ids=["no length", "empty length", "letters", "negative", "huge", "no SCGI", "SCGI=2", "no last NUL", "odd", "empty name",
        "equals", "no method"])
def test_bad_header_block(server: Daemon, address: Address, block: bytes) -> None:
    assert exchange(address, netstring(block)) in (400, 413)
    assert server.get("/native/hello", address=address).status == 200


def test_content_length_not_first(address: Address) -> None:
    """The specification wants it first; who sends it later is understood or refused, not misread."""
    block = b"REQUEST_METHOD\0POST\0SCGI\0" + b"1\0CONTENT_LENGTH\0" + str(len(BODY)).encode() + b"\0SCRIPT_NAME\0/native/echo\0"
    assert exchange(address, netstring(block) + BODY) in (200, 400)


def test_oversized_header_block(server: Daemon, address: Address) -> None:
    big = header_block(environ("GET", "/native/hello") + [(b"HTTP_BIG", b"v" * 300_000)], 0)
    assert exchange(address, netstring(big)) == 431
    assert exchange(address, b"99999999:") == 431
    many = header_block(environ("GET", "/native/hello") + [(b"HTTP_X_%d" % n, b"v") for n in range(200)], 0)
    assert exchange(address, netstring(many)) == 431
    assert server.get("/native/hello", address=address).status == 200


def test_content_length_is_authoritative(address: Address) -> None:
    """Bytes behind the announced body are not part of it."""
    with scgi.Connection(address) as conn:
        conn.send(netstring(header_block(environ("POST", "/native/show"), 5)) + b"12345and more")
        assert conn.response().json()["length"] == 5


def test_oversized_body_told_at_once(address: Address) -> None:
    with scgi.Connection(address) as conn:
        conn.send(netstring(header_block(environ("POST", "/show"), 20 << 20)))
        assert conn.response().status == 413
    # Part of the body is on its way when the answer comes: it is not lost to a reset.
    with scgi.Connection(address) as conn:
        conn.send(netstring(header_block(environ("POST", "/show"), 20 << 20)))
        try:
            conn.send(b"x" * 400_000)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert conn.response().status == 413


def test_chunked_without_a_length(address: Address) -> None:
    """nginx with request buffering off announces 0 and sends more: 411 tells the client."""
    env = environ("POST", "/show") + [(b"HTTP_TRANSFER_ENCODING", b"chunked")]
    assert exchange(address, netstring(header_block(env, 0)) + b"some body") == 411
    # With buffering on the header is there too, and the length is right.
    assert exchange(address, netstring(header_block(env, 9)) + b"some body") == 200


def test_length_that_contradicts_the_clients(address: Address) -> None:
    """nginx with request buffering off announces what has arrived by then. Nothing is cut in silence."""
    for announced, client, status in ((0, b"9", 411), (4, b"9", 411), (9, b"9", 200), (9, b"09", 200), (9, b"", 200), (9, b"x", 200)):
        env = environ("POST", "/show") + [(b"HTTP_CONTENT_LENGTH", client)]
        assert exchange(address, netstring(header_block(env, announced)) + b"some body") == status, (announced, client)


@pytest.mark.parametrize("target", ["/users/4", "/native/hello", "/sleep?duration=0.2", "/size/3000000", "/block?seconds=0.2"])
def test_half_closed_peer_is_alive(address: Address, target: str) -> None:
    with scgi.Connection(address) as conn:
        conn.send(request(environ("GET", target)))
        conn.shutdown_write()
        assert conn.response().status == 200


def test_truncated(server: Daemon, address: Address) -> None:
    raw = request(environ("POST", "/squares", None, BODY), BODY)
    for at in range(0, len(raw), 7):
        with scgi.Connection(address) as conn:
            conn.send(raw[:at])
            if at % 2:
                conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for at in range(0, len(raw), 41):
        with scgi.Connection(address) as conn:
            conn.send(raw[:at])
            conn.shutdown_write()
            got = conn.read_all()
            assert got == b"" or got.startswith(b"Status: 400 "), got[:100]
    assert server.get("/native/hello", address=address).status == 200


def test_garbage(server: Daemon, address: Address) -> None:
    dice = random.Random(2)
    good = request(environ("POST", "/json", None, BODY), BODY)
    for n in range(150):
        raw = bytearray(good)
        for _ in range(dice.randrange(1, 6)):
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        with scgi.Connection(address) as conn:
            try:
                conn.send(bytes(raw) if n % 3 else dice.randbytes(dice.randrange(1, 300)))
                conn.shutdown_write()
                conn.read_all()
            except (ConnectionResetError, BrokenPipeError):
                pass
    assert server.get("/native/hello", address=address).status == 200


def test_many_at_once(server: Daemon) -> None:
    wrong: list[object] = []

    def work(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(40):
            n = dice.randrange(10**9)
            lane = dice.choice(["", "/native"])
            address = server.addresses[3 + seed % 3]
            got = scgi.ask(address, "GET", f"{lane}/users/{n}").json()
            if got != {"user_id": n}:
                wrong.append((n, got))

    workers = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert not wrong, wrong[:5]
