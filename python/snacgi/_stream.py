# SPDX-License-Identifier: MIT
"""request.stream: the body as a binary file. On routes with stream=True it is read while it arrives, and
what is not read is not taken from the peer either; elsewhere it is the complete body. Private."""

from __future__ import annotations

import asyncio
import io
import logging
from typing import Any, AsyncIterator, Union

from _snacgi import Input, Request

from .exceptions import HandlerTimeout, RequestTimeout, ServiceUnavailable

_PIECE = 64 * 1024


class _Raw(io.RawIOBase):
    """What BufferedReader reads from. Waits, without the GIL, for what has not come yet."""

    def __init__(self, body: Input) -> None:
        self._body = body
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        while (piece := self._body.read(len(view), self._at)) is None:
            self._body.wait()
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


class RequestStream:
    """The body of an async handler's request, while it arrives: read(), readline(), readexactly(), or
    `async for`, which gives pieces of any size. One reader at a time."""

    def __init__(self, body: Input) -> None:
        self._body = body
        self._held = b""  # taken, and not read yet
        self._at = 0

    async def _come(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            fd, seconds = self._body.fd()
        except OSError as exc:
            logging.getLogger("snacgi").error("cannot wait for a request body: %s", exc)
            raise ServiceUnavailable("the server cannot wait for the body now") from exc
        here: asyncio.Future[None] = loop.create_future()

        def come() -> None:
            if not here.done():
                here.set_result(None)

        loop.add_reader(fd, come)
        try:
            await asyncio.wait_for(here, seconds)
        except asyncio.TimeoutError:
            raise RequestTimeout("the request did not arrive in time") from None
        finally:
            loop.remove_reader(fd)

    async def _some(self, size: int = _PIECE) -> bytes:
        # b"" at the end.
        if self._held:
            piece, self._held = self._held[:size], self._held[size:]
            return piece
        try:
            while (piece_or_none := self._body.read(size, self._at)) is None:
                await self._come()
        except HandlerTimeout as exc:  # its cancellation, on its way, has the same reason
            raise asyncio.CancelledError(str(exc)) from None
        self._at += len(piece_or_none)
        return piece_or_none

    async def _take(self, size: int, line: bool) -> bytes:
        pieces: list[bytes] = []
        left = size
        while left:
            piece = await self._some(_PIECE if left < 0 else min(left, _PIECE))
            if not piece:
                break
            end = piece.find(b"\n") + 1 if line else 0
            if end:
                piece, self._held = piece[:end], piece[end:] + self._held
            pieces.append(piece)
            if end:
                break
            left = left if left < 0 else left - len(piece)
        return b"".join(pieces)

    async def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, fewer only at the end; all that is left when it is negative."""
        return await self._take(size, False)

    async def read1(self, size: int = _PIECE) -> bytes:
        """What has come, up to `size` bytes; waits only for the first one. b"" at the end."""
        return await self._some(_PIECE if size < 0 else min(size, _PIECE)) if size else b""

    async def readexactly(self, size: int) -> bytes:
        """`size` bytes; asyncio.IncompleteReadError when the body ends before."""
        data = await self.read(size)
        if len(data) < size:
            raise asyncio.IncompleteReadError(data, size)
        return data

    async def readline(self, size: int = -1) -> bytes:
        """A line with its end, or up to `size` bytes of it; b"" at the end."""
        return await self._take(size, True)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._some():
            yield piece


def stream_of(request: Request, body: Input) -> Union[io.BufferedReader, RequestStream]:
    """What request.stream is; made once."""
    if request._arriving == "async" or getattr(request, "_awaited", False):
        return RequestStream(body)
    return io.BufferedReader(_Raw(body), _PIECE)


def rest(request: Request) -> bytes:
    """What is left of a body that arrives, all of it."""
    stream = request.stream
    if isinstance(stream, RequestStream):
        raise RuntimeError("the body of an async route with stream=True has not come yet: await request.stream.read()")
    data: bytes = stream.read()
    return data
