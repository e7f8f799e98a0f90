# SPDX-License-Identifier: MIT
"""An HTTP client that sends what it is told, byte for byte: raw targets, repeated
headers, chunks. Knows nothing of the servers."""

from __future__ import annotations

import http.client
import json
import select
import socket
import zlib
from dataclasses import dataclass
from typing import Any, Iterable, Iterator, Optional, Union

PATIENCE = 60.0

Body = Union[bytes, Iterable[bytes], None]
Headers = Union[dict[str, str], list[tuple[str, str]], None]


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        assert self.status == 200, (self.status, self.body[:500])
        return json.loads(self.body)


def body_pieces(body: Body) -> Iterable[bytes]:
    return [] if body is None else [body] if isinstance(body, bytes) else body


def send(sock: socket.socket, body: Iterable[bytes]) -> None:
    """Until the end, or until there is an answer: browsers read while they send."""
    for piece in body:
        rest = memoryview(piece)
        while rest:
            readable, writable, _ = select.select([sock], [sock], [], PATIENCE)
            if readable or not writable:
                return
            try:
                rest = rest[sock.send(rest):]
            except (BrokenPipeError, ConnectionResetError):
                return
            except BlockingIOError:
                pass


def bound(source: str) -> Optional[tuple[str, int]]:
    """An address to come from. Without one the port is chosen at connect, where there are many
    more than at bind."""
    return (source, 0) if source else None


class Browser:
    """One client connection for each request, to a port of this machine."""

    def __init__(self, port: int, patience: float = PATIENCE) -> None:
        self.port = port
        self.patience = patience

    def socket(self, source: str = "") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), self.patience, bound(source))

    def open(self, method: str, target: str, body: Body = None, headers: Headers = None, chunked: bool = False,
             source: str = "") -> http.client.HTTPResponse:
        """Sends a request; the answer's head is read, its body is not."""
        conn = http.client.HTTPConnection("127.0.0.1", self.port, self.patience, bound(source))
        try:
            conn.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers.items() if isinstance(headers, dict) else headers or []:
                conn.putheader(name, value)
            if chunked:
                conn.putheader("Transfer-Encoding", "chunked")
            elif isinstance(body, bytes):
                conn.putheader("Content-Length", str(len(body)))
            conn.endheaders()
            send(conn.sock, (b"%x\r\n%s\r\n" % (len(p), p) for p in (*body_pieces(body), b"")) if chunked else body_pieces(body))
            return conn.getresponse()
        except BaseException:
            conn.close()
            raise

    def ask(self, method: str, target: str, body: Body = None, headers: Headers = None, **more: Any) -> Answer:
        with self.open(method, target, body, headers, **more) as answer:
            return Answer(answer.status, answer.headers, answer.read())

    def get(self, target: str, headers: Headers = None, **more: Any) -> Answer:
        return self.ask("GET", target, None, headers, **more)


def pieces(total: int, size: int = 65536) -> Iterator[bytes]:
    """Bytes that are not all alike, `total` of them."""
    block = bytes(n * 7 % 251 for n in range(size))
    for at in range(0, total, size):
        yield block[: min(size, total - at)]


def checksum(total: int) -> int:
    crc = 0
    for piece in pieces(total):
        crc = zlib.crc32(piece, crc)
    return crc


def read_some(sock: socket.socket) -> Optional[bytes]:
    """What has arrived; None: nothing yet."""
    sock.setblocking(False)
    try:
        return sock.recv(65536)
    except BlockingIOError:
        return None
    finally:
        sock.settimeout(PATIENCE)
