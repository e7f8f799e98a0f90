# SPDX-License-Identifier: MIT
"""An SCGI client: a netstring of headers, then the body, by hand."""

from __future__ import annotations

from wire import Address, Closed, Pairs, Response, Stream, environ, parse


def header_block(env: Pairs, content_length: int | bytes | None, scgi: bytes | None = b"1") -> bytes:
    """CONTENT_LENGTH first and SCGI=1, as the specification wants, unless told otherwise."""
    pairs = [(n, v) for n, v in env if n not in (b"CONTENT_LENGTH", b"SCGI")]
    first: Pairs = []
    if content_length is not None:
        value = content_length if isinstance(content_length, bytes) else str(content_length).encode()
        first.append((b"CONTENT_LENGTH", value))
    if scgi is not None:
        first.append((b"SCGI", scgi))
    return b"".join(n + b"\0" + v + b"\0" for n, v in first + pairs)


def netstring(block: bytes) -> bytes:
    return str(len(block)).encode() + b":" + block + b","


def request(env: Pairs | None = None, body: bytes = b"") -> bytes:
    return netstring(header_block(environ() if env is None else env, len(body))) + body


class Connection(Stream):
    def response(self) -> Response:
        """The answer; the server's close ends it."""
        raw = self.read_all()
        if not raw:
            raise Closed()
        return parse(raw)

    def put(self, method: str = "GET", target: str | bytes = "/", body: bytes | None = None,
            headers: dict[str, str] | None = None, part: slice = slice(None)) -> None:
        """One request, or a part of its bytes."""
        self.send(request(environ(method, target, headers, body), body or b"")[part])

    def ask(self, method: str = "GET", target: str | bytes = "/", body: bytes | None = None,
            headers: dict[str, str] | None = None, **override: str | bytes | None) -> Response:
        self.send(request(environ(method, target, headers, body, **override), body or b""))
        answer = self.response()
        if method == "HEAD":
            assert answer.body == b"", "a body for HEAD"
        return answer


def ask(address: Address, method: str = "GET", target: str | bytes = "/",
        body: bytes | None = None, headers: dict[str, str] | None = None,
        timeout: float = 30.0, **override: str | bytes | None) -> Response:
    with Connection(address, timeout) as conn:
        return conn.ask(method, target, body, headers, **override)
