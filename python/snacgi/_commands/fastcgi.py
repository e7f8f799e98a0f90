# SPDX-License-Identifier: MIT
"""One request over FastCGI 1.0, as a web server would send it; for `request`
and `dev`. Bodies are held in memory."""

from __future__ import annotations

import socket
import struct
from typing import BinaryIO, Iterable, NamedTuple
from urllib.parse import urlsplit

_BEGIN, _END, _PARAMS, _STDIN, _STDOUT, _STDERR = 1, 3, 4, 5, 6, 7
_MOST = 65535  # bytes of content in a record (section 3.3)


class Answer(NamedTuple):
    status: int
    head: str  # the CGI head, lines ended by \r\n
    body: bytes
    errors: bytes  # what came on STDERR


def environment(method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> list[tuple[str, str]]:
    """CGI variables (RFC 3875) as nginx sends them for `target`, a path and perhaps a query."""
    parts = urlsplit(target)
    out = [
        ("REQUEST_METHOD", method), ("REQUEST_URI", target), ("SCRIPT_NAME", parts.path),
        ("QUERY_STRING", parts.query), ("SERVER_PROTOCOL", "HTTP/1.1"), ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_NAME", "localhost"), ("SERVER_ADDR", "127.0.0.1"), ("SERVER_PORT", "80"),
        ("REMOTE_ADDR", "127.0.0.1"), ("REMOTE_PORT", "0"), ("REQUEST_SCHEME", "http"),
        ("CONTENT_LENGTH", str(len(body)) if body else ""),
    ]
    sent = {"host": ("Host", "localhost"), "accept": ("Accept", "*/*")}
    repeated: dict[str, list[str]] = {}
    for name, value in headers:
        sent.pop(name.lower(), None)
        repeated.setdefault(name, []).append(value)
    for name, value in sent.values():
        repeated[name] = [value]
    for name, values in repeated.items():
        variable = name.upper().replace("-", "_")
        value = ("; " if variable == "COOKIE" else ", ").join(values)
        out.append((variable if variable == "CONTENT_TYPE" else f"HTTP_{variable}", value))
    return out


def _record(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBHHBB", 1, kind, 1, len(content), 0, 0) + content


def _stream(kind: int, data: bytes) -> bytes:
    cut = [_record(kind, data[at:at + _MOST]) for at in range(0, len(data), _MOST)]
    return b"".join([*cut, _record(kind, b"")])


def _length(n: int) -> bytes:
    return bytes([n]) if n < 128 else struct.pack(">I", n | 0x80000000)


def _pairs(pairs: Iterable[tuple[str, str]]) -> bytes:
    out = bytearray()
    for name, value in pairs:
        n, v = name.encode(), value.encode("utf-8", "surrogateescape")
        out += _length(len(n)) + _length(len(v)) + n + v
    return bytes(out)


def _read(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise ConnectionError("the server closed the connection before the answer was complete")
    return data


def ask(path: str, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"",
        timeout: float = 60.0) -> Answer:
    """Asks the server at the Unix socket `path`. OSError when there is none, when it is silent
    for `timeout` seconds, or cuts the answer."""
    out, errors = bytearray(), bytearray()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(timeout)
        sock.connect(path)
        sock.sendall(_record(_BEGIN, struct.pack(">HB5x", 1, 0)) +
                     _stream(_PARAMS, _pairs(environment(method, target, headers, body))) + _stream(_STDIN, body))
        with sock.makefile("rb") as stream:
            while True:
                _, kind, _, size, padding, _ = struct.unpack(">BBHHBB", _read(stream, 8))
                content = _read(stream, size + padding)[:size]
                if kind == _STDOUT:
                    out += content
                elif kind == _STDERR:
                    errors += content
                elif kind == _END:
                    break
    head, found, rest = bytes(out).partition(b"\r\n\r\n")
    if not found:
        raise ConnectionError("the answer has no head")
    text = head.decode("latin-1")
    status = 200
    for line in text.split("\r\n"):
        if line.lower().startswith("status:"):
            status = int(line.split(":", 1)[1].split()[0])
    return Answer(status, text, rest, bytes(errors))
