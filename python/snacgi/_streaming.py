# SPDX-License-Identifier: MIT
"""Answers that come in pieces: what is easier in Python than in C. Private, but for
stream_with_context, which users import from snacgi."""

from __future__ import annotations

import functools
from typing import Any, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Optional

from _snacgi import File, Response

from .exceptions import HandlerTimeout

_TURN = 16  # pieces before other tasks get their turn


async def drive(out: Any, source: AsyncIterable[Any]) -> None:
    """Sends what `source` gives to `out`, whose peer may be slow; then closes it, once."""
    from asyncio import sleep

    iterator: Any = None
    try:
        pieces = 0
        if not out.bodyless:
            iterator = source.__aiter__()
            async for piece in Iterated(iterator):
                room: Any = out.write(piece)
                if room is False:
                    return
                if room is not None:
                    await room
                    continue
                pieces += 1
                if pieces % _TURN == 0:
                    await sleep(0)
        out.finish()
    except GeneratorExit:  # nobody runs it any more
        raise
    except BaseException as exc:
        out.failed(exc)  # its answer ends here, and does not wait for what comes after it
    finally:
        await _aclose_in_time(out.after(), source, iterator)


async def _aclose_in_time(seconds: float, source: Any, iterator: Any) -> None:
    """aclose_source(), which does what comes after the answer; it is cancelled when it takes longer."""
    import asyncio

    loop, timer, late = asyncio._get_running_loop(), None, False  # no loop: it closes us from outside

    def cancel(task: Any) -> None:
        nonlocal late
        late = True
        task.cancel()

    if seconds and loop is not None:
        timer = loop.call_later(seconds, cancel, asyncio.current_task(loop))
    try:
        await aclose_source(source, iterator)
    except asyncio.CancelledError as exc:
        if not late:
            raise
        raise HandlerTimeout("what is done after the answer is over timeouts.background").with_traceback(
            exc.__traceback__) from None
    finally:
        if timer is not None:
            timer.cancel()


class Iterated:
    """For ``async for`` over an iterator that is kept, to be closed."""

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator

    def __aiter__(self) -> Any:
        return self._iterator


def is_streamed(result: Any) -> bool:
    """True when the body of what a handler returned comes in pieces out of Python. A file does not: C
    sends it, if it gets the File itself."""
    body = result[0] if isinstance(result, tuple) and result else result
    if isinstance(body, Response):
        return body.is_streamed and not isinstance(body.response, File)
    return not isinstance(body, File) and (hasattr(body, "__next__") or hasattr(body, "__anext__"))


def is_async_source(source: Any) -> bool:
    return hasattr(source, "__aiter__")


def _is_empty(piece: Any) -> bool:
    if isinstance(piece, str):
        return not piece
    try:
        return memoryview(piece).nbytes == 0
    except TypeError:  # none of bytes: the sink tells
        return False


def first_of(pieces: Iterator[Any]) -> list[Any]:
    """[the first piece that is not empty], [] when there is none. Empty ones are not kept: nothing is
    sent for them, and a source may give any number."""
    for piece in pieces:
        if not _is_empty(piece):
            return [piece]
    return []


async def _first_of_async(pieces: AsyncIterator[Any]) -> list[Any]:
    async for piece in pieces:
        if not _is_empty(piece):
            return [piece]
    return []


def close_source(source: Any, iterator: Any = None) -> None:
    """Calls close(), where there is one, of an iterator and of what it was made from."""
    try:
        if iterator is not None and iterator is not source and hasattr(iterator, "close"):
            iterator.close()
    finally:
        if hasattr(source, "close"):
            source.close()


async def aclose_source(source: Any, iterator: Any = None) -> None:
    """The same with aclose()."""
    try:
        if iterator is not None and iterator is not source and hasattr(iterator, "aclose"):
            await iterator.aclose()
    finally:
        if hasattr(source, "aclose"):
            await source.aclose()


class Guarded:
    """A source, closed once. `end`, when it is set, is called then, with the exception that the
    source has raised, or None."""

    def __init__(self, source: Any) -> None:
        self._source, self._iterator = source, iter(source)
        self.end: Optional[Callable[[Optional[BaseException]], None]] = None
        self._closed = False
        self._failure: Optional[BaseException] = None
        self._first: list[Any] = []

    def prime(self) -> None:
        """Gets the first piece, while its failing can still be answered by others."""
        try:
            self._first = first_of(self)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._first:
            return self._first.pop()
        try:
            return next(self._iterator)
        except StopIteration:
            raise
        except BaseException as exc:
            self._failure = exc
            raise

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            close_source(self._source, self._iterator)
        finally:
            if self.end is not None:
                self.end(self._failure)


class AsyncGuarded:
    """The same of an asynchronous source; `end` is a coroutine function."""

    def __init__(self, source: Any) -> None:
        self._source, self._iterator = source, source.__aiter__()
        self.end: Optional[Callable[[Optional[BaseException]], Awaitable[None]]] = None
        self._closed = False
        self._failure: Optional[BaseException] = None
        self._first: list[Any] = []

    async def prime(self) -> None:
        try:
            self._first = await _first_of_async(self)
        except BaseException:
            await self.aclose()
            raise

    def __aiter__(self) -> AsyncGuarded:
        return self

    async def __anext__(self) -> Any:
        if self._first:
            return self._first.pop()
        try:
            return await self._iterator.__anext__()
        except StopAsyncIteration:
            raise
        except BaseException as exc:
            self._failure = exc
            raise

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            await aclose_source(self._source, self._iterator)
        finally:
            if self.end is not None:
                await self.end(self._failure)


def stream_with_context(generator_or_function: Any) -> Any:
    """For code written for Flask: generators that a handler returns run in the request's context
    here anyway, so this gives back what it gets. Above a function it is a decorator."""
    if not callable(generator_or_function):
        return iter(generator_or_function)

    @functools.wraps(generator_or_function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return iter(generator_or_function(*args, **kwargs))

    return call
