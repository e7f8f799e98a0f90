# SPDX-License-Identifier: MIT
"""Streamed answers in the test client: piece after piece, as the daemon asks for them. Private."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Callable, Iterator, Optional

from _snacgi import Request

from ._streaming import aclose_source, close_source, first_of, is_async_source

_END = object()


class _AsyncIterator:
    """An asynchronous source as an iterator for the test's thread. One task of the loop goes
    through it, in the context that its handler had."""

    def __init__(self, source: Any, loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> None:
        self._source, self._loop = source, loop
        self._wanted: Optional[asyncio.Queue[Optional[Future[Any]]]] = None
        self._over: Future[None] = Future()
        self._asked: Optional[Future[Any]] = None
        begun: Future[Any] = Future()

        def begin() -> None:
            self._wanted = asyncio.Queue()
            begun.set_result(loop.create_task(self._run(self._wanted)))

        loop.call_soon_threadsafe(context.run, begin)
        self._task = begun.result()  # the loop itself does not keep it

    async def _run(self, wanted: asyncio.Queue[Optional[Future[Any]]]) -> None:
        iterator: Any = None
        try:
            try:
                iterator = self._source.__aiter__()
                while True:
                    want = await wanted.get()
                    if want is None:
                        break
                    try:
                        want.set_result(await iterator.__anext__())
                    except StopAsyncIteration:
                        want.set_result(_END)
                    except asyncio.CancelledError as exc:
                        want.set_exception(exc)
                        raise
                    except BaseException as exc:
                        want.set_exception(exc)
            finally:
                await aclose_source(self._source, iterator)
            self._over.set_result(None)
        except asyncio.CancelledError:  # by close(), or by the end of the loop; it is closed
            self._over.set_result(None)
            raise
        except BaseException as exc:
            self._over.set_exception(exc)

    def _ask(self, want: Optional[Future[Any]]) -> None:
        assert self._wanted is not None
        if not self._over.done():
            self._loop.call_soon_threadsafe(self._wanted.put_nowait, want)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        want: Future[Any] = Future()
        self._asked = want
        self._ask(want)
        wait((want, self._over), return_when=FIRST_COMPLETED)
        if not want.done():
            self._over.result()  # raises what ended it before
            raise StopIteration
        piece = want.result()
        if piece is _END:
            raise StopIteration
        return piece

    def close(self) -> None:
        if self._asked is not None and not self._asked.done():  # by another thread, which waits
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._ask(None)
        self._over.result()


class Pieces:
    """The pieces of an answer, as bytes; closes their source once, at the end or before it."""

    def __init__(self, source: Any, name: str, asynchronous: bool, loop: Callable[[], asyncio.AbstractEventLoop],
                 context: contextvars.Context) -> None:
        if is_async_source(source) and not asynchronous:
            raise TypeError(f"{name} returned an asynchronous iterator, which nobody awaits there: write it"
                            " with async def")
        self._name, self._source, self._context = name, source, context
        self.asynchronous = is_async_source(source)
        self.whole: bool = getattr(source, "whole", False)  #: it is one piece, with background work
        self.closed = False
        self._iterator: Any = None
        self._loop = loop
        self._first: list[bytes] = []

    def _next(self) -> Any:
        if self.asynchronous:
            return next(self._begun(), _END)
        if self._iterator is None:
            self._iterator = self._context.run(iter, self._source)
        step: Callable[..., Any] = self._context.run
        return step(next, self._iterator, _END)

    def _begun(self) -> Any:
        # The loop's task has the context: it cannot be entered here as well.
        if self._iterator is None:
            self._iterator = _AsyncIterator(self._source, self._loop(), self._context)
        return self._iterator

    def prime(self, request: Request, status: int) -> None:
        """The head goes out with the first piece; what is raised before is the handler's error."""
        if request.method == "HEAD" or status in (204, 304):
            self.close()
            return
        self._first = first_of(self)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._first:
            return self._first.pop()
        if self.closed:
            raise StopIteration
        try:
            piece = self._next()
            if piece is not _END:
                return self._bytes(piece)
        except BaseException:
            self.close()
            raise
        self.close()
        raise StopIteration

    def _bytes(self, piece: Any) -> bytes:
        if isinstance(piece, str):
            return piece.encode()
        if isinstance(piece, (bytes, bytearray, memoryview)):
            return bytes(piece)
        raise TypeError(f"the stream of {self._name} gave an object of type {type(piece).__name__}:"
                        " yield bytes or str")

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        if self.asynchronous:
            self._begun().close()
        else:
            self._context.run(close_source, self._source, self._iterator)
