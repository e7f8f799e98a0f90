# SPDX-License-Identifier: MIT
"""A FastCGI client whose records are made by hand, so that tests can also
break every rule of the specification (FastCGI 1.0)."""

from __future__ import annotations

import struct
from typing import Iterable

from wire import Address, Closed, Pairs, Response, Stream, environ, parse

BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR, DATA = range(1, 9)
GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE = 9, 10, 11
RESPONDER, AUTHORIZER, FILTER = 1, 2, 3
KEEP_CONN = 1
REQUEST_COMPLETE, CANT_MPX_CONN, OVERLOADED, UNKNOWN_ROLE = range(4)


def record(kind: int, rid: int, content: bytes = b"", padding: int = 0, version: int = 1,
           reserved: int = 0) -> bytes:
    return (
        struct.pack(">BBHHBB", version, kind, rid, len(content), padding, reserved)
        + content
        + b"\xaa" * padding
    )


def begin(rid: int = 1, role: int = RESPONDER, keep: bool = False, padding: int = 0) -> bytes:
    body = struct.pack(">HB5x", role, KEEP_CONN if keep else 0)
    return record(BEGIN_REQUEST, rid, body, padding)


def length(n: int, wide: bool = False) -> bytes:
    return bytes([n]) if n < 128 and not wide else struct.pack(">I", n | 0x80000000)


def pair(name: bytes, value: bytes, wide: bool = False) -> bytes:
    """One name-value pair; `wide`: four-byte lengths although one would do."""
    return length(len(name), wide) + length(len(value), wide) + name + value


def encode(pairs: Iterable[tuple[bytes, bytes]], wide: bool = False) -> bytes:
    return b"".join(pair(name, value, wide) for name, value in pairs)


def stream(kind: int, rid: int, data: bytes, chunk: int = 65535, padding: int = 0,
           end: bool = True) -> bytes:
    """A stream cut into records, and the empty record that ends it."""
    out = [record(kind, rid, data[at : at + chunk], padding) for at in range(0, len(data), chunk)]
    if end:
        out.append(record(kind, rid))
    return b"".join(out)


def request(env: Pairs | None = None, body: bytes = b"", rid: int = 1, keep: bool = False,
            chunk: int = 65535, padding: int = 0, role: int = RESPONDER,
            wide: bool = False) -> bytes:
    """The bytes of a whole request."""
    return (
        begin(rid, role, keep, padding)
        + stream(PARAMS, rid, encode(environ() if env is None else env, wide), chunk, padding)
        + stream(STDIN, rid, body, chunk, padding)
    )


def decode_pairs(data: bytes) -> Pairs:
    out: Pairs = []
    at = 0

    def one() -> int:
        nonlocal at
        n = data[at]
        at += 1
        if n & 0x80:
            n = struct.unpack(">I", data[at - 1 : at + 3])[0] & 0x7FFFFFFF
            at += 3
        return n

    while at < len(data):
        n, v = one(), one()
        out.append((data[at : at + n], data[at + n : at + n + v]))
        at += n + v
    return out


class Connection(Stream):
    """A connection to a FastCGI listener, kept as long as the test wants."""

    def __init__(self, address: Address, timeout: float = 30.0) -> None:
        super().__init__(address, timeout)
        self.held: dict[int, bytearray] = {}

    def read_record(self) -> tuple[int, int, bytes]:
        """(type, id, content); Closed when the server has closed."""
        head = self.read(8)
        version, kind, rid, size, padding, _ = struct.unpack(">BBHHBB", head)
        assert version == 1, f"the server sent version {version}: {head!r}"
        content = self.read(size + padding)[:size]
        return kind, rid, content

    def response(self, rid: int = 1) -> Response:
        """The records of one answer up to its END_REQUEST."""
        kind, protocol_status, app_status, out, err = 0, 0, 0, bytearray(), bytearray()
        out_ended = False
        while True:
            try:
                kind, got, content = self.read_record()
            except Closed as error:
                raise Closed(bytes(out)) from error
            assert got == rid, f"a record of id {got}, type {kind}, while {rid} was asked"
            if kind == STDOUT:
                assert not (out_ended and content), "STDOUT goes on after its end"
                out_ended = out_ended or not content
                out += content
            elif kind == STDERR:
                err += content
            elif kind == END_REQUEST:
                assert len(content) == 8
                app_status, protocol_status = struct.unpack(">IB3x", content)
                break
            else:
                raise AssertionError(f"unexpected record type {kind}")
        if protocol_status != REQUEST_COMPLETE or not out:
            return Response(0, "", [], bytes(out), bytes(err), app_status, protocol_status)
        return parse(bytes(out), stderr=bytes(err), app_status=app_status,
                     protocol_status=protocol_status)

    def put(self, method: str = "GET", target: str | bytes = "/", body: bytes | None = None,
            headers: dict[str, str] | None = None, part: slice = slice(None)) -> None:
        """One request, the connection to be kept; or a part of its bytes."""
        self.send(request(environ(method, target, headers, body), body or b"", 1, True)[part])

    def ask(self, method: str = "GET", target: str | bytes = "/", body: bytes | None = None,
            headers: dict[str, str] | None = None, keep: bool = True, rid: int = 1,
            **override: str | bytes | None) -> Response:
        """One request, one answer."""
        env = environ(method, target, headers, body, **override)
        self.send(request(env, body or b"", rid, keep))
        answer = self.response(rid)
        if method == "HEAD":
            assert answer.body == b"", "a body for HEAD"
        return answer

    def get_values(self, names: Iterable[bytes], padding: int = 0) -> dict[bytes, bytes]:
        content = encode((name, b"") for name in names)
        self.send(record(GET_VALUES, 0, content, padding))
        kind, rid, result = self.read_record()
        assert (kind, rid) == (GET_VALUES_RESULT, 0), (kind, rid)
        pairs = decode_pairs(result)
        assert len(dict(pairs)) == len(pairs), f"repeated names in {pairs}"
        return dict(pairs)


def ask(address: Address, method: str = "GET", target: str | bytes = "/",
        body: bytes | None = None, headers: dict[str, str] | None = None,
        timeout: float = 30.0, **override: str | bytes | None) -> Response:
    """One request on a connection of its own, which the server must close."""
    with Connection(address, timeout) as conn:
        answer = conn.ask(method, target, body, headers, keep=False, **override)
        assert conn.closed(), "the connection was not to be kept, but stays open"
        return answer
