# SPDX-License-Identifier: MIT
"""What the FastCGI and the SCGI client share: the parameters a front server
sends, and the CGI answer that comes back. Knows nothing of sockets' servers."""

from __future__ import annotations

import json
import socket
import struct
from dataclasses import dataclass, field
from typing import Any, Iterable
from urllib.parse import unquote_to_bytes

TIMEOUT = 30.0

Pairs = list[tuple[bytes, bytes]]


def as_bytes(value: str | bytes | int) -> bytes:
    if isinstance(value, bytes):
        return value
    return str(value).encode("utf-8")


def environ(
    method: str = "GET",
    target: str | bytes = "/",
    headers: Iterable[tuple[str, str | bytes]] | dict[str, str] | None = None,
    body: bytes | None = None,
    **override: str | bytes | None,
) -> Pairs:
    """The parameters that nginx's stock fastcgi_params gives for a request line.

    An override of None takes a parameter out; any other value replaces it.
    """
    raw = as_bytes(target)
    path, _, query = raw.partition(b"?")
    pairs: dict[bytes, bytes] = {
        b"QUERY_STRING": query,
        b"REQUEST_METHOD": method.encode(),
        b"CONTENT_TYPE": b"",
        b"CONTENT_LENGTH": b"" if body is None else str(len(body)).encode(),
        b"SCRIPT_NAME": unquote_to_bytes(path),
        b"REQUEST_URI": raw,
        b"DOCUMENT_URI": unquote_to_bytes(path),
        b"DOCUMENT_ROOT": b"/usr/share/nginx/html",
        b"SERVER_PROTOCOL": b"HTTP/1.1",
        b"REQUEST_SCHEME": b"http",
        b"GATEWAY_INTERFACE": b"CGI/1.1",
        b"SERVER_SOFTWARE": b"nginx/1.22.1",
        b"REMOTE_ADDR": b"192.0.2.7",
        b"REMOTE_PORT": b"51234",
        b"SERVER_ADDR": b"192.0.2.1",
        b"SERVER_PORT": b"80",
        b"SERVER_NAME": b"example.org",
        b"REDIRECT_STATUS": b"200",
        b"HTTP_HOST": b"example.org",
        b"HTTP_ACCEPT": b"*/*",
    }
    out_headers: Pairs = []
    if headers:
        items = headers.items() if isinstance(headers, dict) else headers
        for name, value in items:
            key = name.upper().replace("-", "_").encode()
            if key == b"CONTENT_TYPE":
                pairs[key] = as_bytes(value)
            elif b"HTTP_" + key in pairs:
                pairs[b"HTTP_" + key] = as_bytes(value)
            else:
                out_headers.append((b"HTTP_" + key, as_bytes(value)))
    for name, value in override.items():
        if value is None:
            pairs.pop(name.encode(), None)
        else:
            pairs[name.encode()] = as_bytes(value)
    return list(pairs.items()) + out_headers


@dataclass
class Response:
    """One CGI answer, taken apart."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes
    stderr: bytes = b""
    app_status: int | None = None
    protocol_status: int | None = None
    raw: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str | None:
        found = [v for k, v in self.headers if k.lower() == name.lower()]
        assert len(found) <= 1, f"{name} is there {len(found)} times"
        return found[0] if found else None

    def json(self) -> Any:
        kind = self.header("Content-Type") or ""
        assert kind.startswith("application/json"), f"not JSON but {kind!r}: {self.body[:200]!r}"
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")

    def allow(self) -> set[str]:
        value = self.header("Allow")
        assert value is not None, f"no Allow among {self.headers}"
        return {word.strip() for word in value.split(",")}


class Closed(Exception):
    """The server closed the connection; `got` is what came before."""

    def __init__(self, got: bytes = b"") -> None:
        super().__init__(f"closed by the server after {len(got)} bytes: {got[:120]!r}")
        self.got = got


def parse(raw: bytes, **more: Any) -> Response:
    """Takes a CGI answer apart and holds it to the rules every answer must keep."""
    head, sep, body = raw.partition(b"\r\n\r\n")
    if not sep:
        raise AssertionError(f"no end of the head in {raw[:300]!r}")
    lines = head.split(b"\r\n")
    assert lines[0].startswith(b"Status: "), f"first line is not Status: {lines[0]!r}"
    code, _, reason = lines[0][8:].decode("ascii").partition(" ")
    assert reason, "no reason phrase"
    headers: list[tuple[str, str]] = []
    for line in lines[1:]:
        assert b"\n" not in line and b"\r" not in line and b"\0" not in line, line
        name, colon, value = line.partition(b":")
        assert colon and name and name.strip() == name, f"bad header line {line!r}"
        headers.append((name.decode("ascii"), value.strip().decode("latin-1")))
    names = [name.lower() for name, _ in headers]
    for once in ("content-length", "content-type", "status"):
        assert names.count(once) <= (0 if once == "status" else 1), f"{once} twice in {names}"
    assert "transfer-encoding" not in names
    answer = Response(int(code), reason, headers, body, raw=raw, **more)
    length = answer.header("Content-Length")
    if answer.status in (204, 304):
        assert body == b"", "a body where none may be"
    elif length is not None and body:
        assert int(length) == len(body), f"Content-Length {length}, body {len(body)}"
    return answer


@dataclass(frozen=True)
class Address:
    """Where a listener of the daemon is."""

    protocol: str  # "fastcgi" | "scgi"
    kind: str  # "unix" | "abstract" | "tcp4" | "tcp6"
    path: str = ""
    port: int = 0

    def spec(self) -> str:
        """As snacgi's -l and `address` want it, without the protocol."""
        if self.kind == "unix":
            return f"unix:{self.path}"
        if self.kind == "abstract":
            return f"unix:@{self.path}"
        if self.kind == "tcp4":
            return f"127.0.0.1:{self.port}"
        return f"[::1]:{self.port}"

    def connect(self, timeout: float = TIMEOUT) -> socket.socket:
        if self.kind in ("unix", "abstract"):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            target: Any = self.path if self.kind == "unix" else "\0" + self.path
        elif self.kind == "tcp4":
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            target = ("127.0.0.1", self.port)
        else:
            sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            target = ("::1", self.port)
        # With a time-out set Python connects without blocking, and a Unix socket whose backlog
        # is full just now then says EAGAIN. Blocking, with the kernel's own limit, it waits.
        limit = struct.pack("ll", int(timeout) + 1, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        try:
            sock.connect(target)
            sock.settimeout(timeout)
            if self.kind in ("tcp4", "tcp6"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            sock.close()
            raise
        return sock


class Stream:
    """A socket with exact reads."""

    def __init__(self, address: Address, timeout: float = TIMEOUT) -> None:
        self.sock = address.connect(timeout)
        self.buffer = bytearray()

    def send(self, data: bytes, piece: int = 0) -> None:
        """Sends all; `piece` > 0: in writes of that many bytes."""
        if piece <= 0:
            self.sock.sendall(data)
            return
        for start in range(0, len(data), piece):
            self.sock.sendall(data[start : start + piece])

    def read(self, n: int) -> bytes:
        while len(self.buffer) < n:
            try:
                more = self.sock.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                raise Closed(bytes(self.buffer))
            self.buffer += more
        out = bytes(self.buffer[:n])
        del self.buffer[:n]
        return out

    def read_all(self) -> bytes:
        """Everything up to the server's close; a reset is an error."""
        while True:
            more = self.sock.recv(65536)
            if not more:
                out = bytes(self.buffer)
                self.buffer.clear()
                return out
            self.buffer += more

    def closed(self, timeout: float = TIMEOUT) -> bool:
        """True when the server closes without another byte; waits for it."""
        self.sock.settimeout(timeout)
        try:
            return not self.buffer and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False
        finally:
            self.sock.settimeout(TIMEOUT)

    def shutdown_write(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
