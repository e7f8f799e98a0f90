# SPDX-License-Identifier: MIT
"""Server-sent events: text/event-stream as the HTML standard has it, section 9.2."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator, Optional, Union

from _snacgi import Headers, Response

from ._helpers import jsonify
from ._streaming import Iterated, aclose_source, close_source, is_async_source

if TYPE_CHECKING:
    import asyncio

PING = 15.0  # seconds; front servers and proxies give up after 60 of silence

_LINE = re.compile("\r\n|\r|\n")
_OPENING = b":\n\n"  # so that the head leaves before the first event
_PING = b": ping\n\n"
_END = object()


@dataclass
class SSEMessage:
    """One event. data: text of any number of lines, or a value that becomes JSON; event: its
    type; id: what a client that comes back sends as Last-Event-ID; retry: milliseconds until it
    comes back; comment: lines that clients pass over.

    Raises ValueError for an id or a type with a line end, TypeError for a wrong retry.
    """

    data: Any = None
    event: Optional[str] = None
    id: Optional[Union[str, int]] = None
    retry: Optional[int] = None
    comment: Optional[str] = None

    def __post_init__(self) -> None:
        for name in ("event", "id"):
            value = getattr(self, name)
            if value is not None and re.search("[\r\n\0]", str(value)):
                raise ValueError(f"an SSEMessage's {name} must not hold a line end or NUL: {value!r}")
        if self.retry is not None and (isinstance(self.retry, bool) or not isinstance(self.retry, int) or self.retry < 0):
            raise TypeError(f"an SSEMessage's retry must be milliseconds, int, not {self.retry!r}")

    def encode(self) -> bytes:
        """The event as it is sent."""
        lines = [] if self.comment is None else [f": {line}" for line in _LINE.split(self.comment)]
        for name in ("id", "event", "retry"):
            value = getattr(self, name)
            if value is not None:
                lines.append(f"{name}: {value}")
        if self.data is not None:
            lines += [f"data: {line}" for line in _LINE.split(_text(self.data))]
        return ("\n".join(lines) + "\n\n").encode()


def _text(data: Any) -> str:
    if isinstance(data, str):
        return data
    if isinstance(data, (bytes, bytearray)):
        return data.decode()
    return jsonify(data).data.decode()


def _encode(item: Any) -> bytes:
    if item is None:
        return _PING
    return (item if isinstance(item, SSEMessage) else SSEMessage(item)).encode()


class _Events:
    # No generator, nor is the next: one that was never begun would close nothing.

    def __init__(self, source: Iterable[Any]) -> None:
        self._source = source
        self._iterator: Optional[Iterator[Any]] = None
        self._opened = self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._closed:
            raise StopIteration
        if not self._opened:
            self._opened = True
            return _OPENING
        if self._iterator is None:
            self._iterator = iter(self._source)
        return _encode(next(self._iterator))

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            close_source(self._source, self._iterator)


class _AsyncEvents:
    # The source runs in one task of its own, so that what waits for it can wait for the next
    # ping as well; it is one event ahead at most.

    def __init__(self, source: AsyncIterable[Any], ping: Optional[float]) -> None:
        self._source, self._ping = source, ping
        self._iterator: Optional[AsyncIterator[Any]] = None
        self._closed = False  # the source
        self._events = self._paced()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await self._events.__anext__()

    async def aclose(self) -> None:
        try:
            await self._events.aclose()
        finally:  # unless the task has: it may not have begun
            await self._close_source()

    async def _close_source(self) -> None:
        if not self._closed:
            self._closed = True
            await aclose_source(self._source, self._iterator)

    async def _pump(self, queue: asyncio.Queue[Any]) -> None:
        try:
            self._iterator = self._source.__aiter__()
            async for item in Iterated(self._iterator):
                await queue.put(_encode(item))
        finally:
            await self._close_source()
        await queue.put(_END)

    async def _paced(self) -> AsyncGenerator[bytes, None]:
        import asyncio

        queue: asyncio.Queue[Any] = asyncio.Queue(1)
        task = asyncio.create_task(self._pump(queue))
        waits: Optional[asyncio.Task[Any]] = None
        try:
            yield _OPENING
            while True:
                waits = waits or asyncio.create_task(queue.get())
                await asyncio.wait((waits, task), timeout=self._ping, return_when=asyncio.FIRST_COMPLETED)
                if waits.done():
                    item, waits = waits.result(), None
                    if item is _END:
                        break
                    yield item
                elif task.done() and queue.empty():
                    break
                elif not task.done():
                    yield _PING
            await task
        finally:
            for each in (waits, task):
                if each is not None and not each.done():
                    each.cancel()
            await asyncio.gather(task, return_exceptions=True)


class SSEResponse(Response):
    """A stream of events out of an iterable, in an ``async def`` handler an asynchronous one.

    content: of SSEMessage; anything else is the data of one, and None a ping.
    ping: seconds of silence after which a comment is sent, so that nobody on the way takes the
        connection for dead, and a client that is gone is noticed; None: never. A sync
        iterable holds a thread while it waits, and sends no ping then but by yielding None.
    """

    def __init__(
        self,
        content: Union[Iterable[Any], AsyncIterable[Any]],
        status: Any = None,
        headers: Any = None,
        ping: Optional[float] = PING,
    ) -> None:
        if ping is not None and (isinstance(ping, bool) or not isinstance(ping, (int, float)) or ping <= 0):
            raise ValueError(f"ping must be seconds above 0, or None, not {ping!r}")
        if isinstance(content, (str, bytes)) or not (hasattr(content, "__iter__") or is_async_source(content)):
            raise TypeError(f"an SSEResponse is made of an iterable of events, not of {type(content).__name__}")
        given = Headers(headers)
        given.setdefault("Cache-Control", "no-cache")
        given.setdefault("X-Accel-Buffering", "no")
        source: Any = content
        events: Any = _AsyncEvents(source, ping) if is_async_source(source) else _Events(source)
        super().__init__(events, status, given, content_type="text/event-stream; charset=utf-8")
