# SPDX-License-Identifier: MIT
"""Server-sent events: text/event-stream as the HTML standard has it, section 9.2."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, AsyncIterable, AsyncIterator, Iterable, Iterator, Optional, Union

from _snacgi import Headers, Response

from ._helpers import jsonify
from ._streaming import close_source, is_async_source

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


def _events(source: Iterable[Any]) -> Iterator[bytes]:
    iterator = None
    try:
        yield _OPENING
        iterator = iter(source)
        for item in iterator:
            yield _encode(item)
    finally:
        close_source(source, iterator)


async def _async_events(source: AsyncIterable[Any], ping: Optional[float]) -> AsyncIterator[bytes]:
    # The source runs in one task of its own, so that what waits for it can wait for the next
    # ping as well; it is one event ahead at most.
    import asyncio

    queue: asyncio.Queue[Any] = asyncio.Queue(1)

    async def pump() -> None:
        try:
            async for item in source:
                await queue.put(_encode(item))
        finally:
            if hasattr(source, "aclose"):
                await source.aclose()
        await queue.put(_END)

    task = asyncio.create_task(pump())
    waits: Optional[asyncio.Task[Any]] = None
    try:
        yield _OPENING
        while True:
            waits = waits or asyncio.create_task(queue.get())
            await asyncio.wait((waits, task), timeout=ping, return_when=asyncio.FIRST_COMPLETED)
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
        events: Any = _async_events(source, ping) if is_async_source(source) else _events(source)
        super().__init__(events, status, given, content_type="text/event-stream; charset=utf-8")
