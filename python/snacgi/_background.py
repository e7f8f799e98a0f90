# SPDX-License-Identifier: MIT
"""Work after the response, with Starlette's names. It belongs to its request, whose sync thread
or place among the async ones it keeps, and runs when the answer's source is closed. A file is such
a source itself: C sends it and closes it, with the work that it was given."""

from __future__ import annotations

import sys
from typing import Any, AsyncIterator, Callable, Iterator

from ._hooks import is_async
from ._streaming import aclose_source, close_source, is_async_source


class BackgroundTask:
    """func(*args, **kwargs), which may be ``async def``, after the response."""

    def __init__(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        if not callable(func):
            raise TypeError(f"a BackgroundTask is made of a function, not of {type(func).__name__}")
        self.func, self.args, self.kwargs = func, args, kwargs

    def __call__(self) -> Any:
        """What the function returns; of an ``async def`` one it has to be awaited."""
        return self.func(*self.args, **self.kwargs)


class BackgroundTasks:
    """Several, one after another; the first that fails ends the row."""

    def __init__(self, tasks: Any = ()) -> None:
        self.tasks: list[BackgroundTask] = list(tasks)

    def add_task(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """One more: func(*args, **kwargs)."""
        self.tasks.append(BackgroundTask(func, *args, **kwargs))

    def __call__(self) -> None:
        """Runs them here and now, without an event loop."""
        run(self)


def _each(work: Any) -> list[BackgroundTask]:
    if isinstance(work, BackgroundTasks):
        return work.tasks
    return [work if isinstance(work, BackgroundTask) else BackgroundTask(work)]


def run(work: Any) -> None:
    """In a thread: what is asynchronous has a loop of its own, as a hook around a sync handler."""
    for task in _each(work):
        if is_async(task.func):
            import asyncio  # where it is used, it is there already; else a start would wait for it

            asyncio.run(task())
        else:
            task()


async def run_in_loop(work: Any) -> None:
    """In the event loop: what is not asynchronous runs in a thread meanwhile."""
    for task in _each(work):
        if is_async(task.func):
            await task()
        else:
            from asyncio import get_running_loop

            await get_running_loop().run_in_executor(None, task)


class _Source:
    """A body, whose close() does the work."""

    def __init__(self, body: Any, work: Any) -> None:
        self.whole = isinstance(body, bytes)
        self._body, self._work, self._closed = body, work, False
        self._iterator: Any = iter((body,) if self.whole else body)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._iterator)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if not self.whole:
            close_source(self._body, self._iterator)
        run(self._work)


class _AsyncSource:
    def __init__(self, body: Any, work: Any) -> None:
        self.whole = isinstance(body, bytes)
        self._body, self._work, self._closed = body, work, False
        self._iterator: Any = None if self.whole else body.__aiter__()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if not self.whole:
            return await self._iterator.__anext__()
        if self._iterator is not None:
            raise StopAsyncIteration
        self._iterator = self._body
        return self._body

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        if not self.whole:
            await aclose_source(self._body, self._iterator)
        await run_in_loop(self._work)


def source_of(body: Any, work: Any) -> Any:
    """What the answer's pieces come from: in the event loop the work is done there when anything
    of it is asynchronous, else by a sync thread."""
    if is_async_source(body):
        return _AsyncSource(body, work)
    inside = sys.modules.get("asyncio.events")
    looped = inside is not None and inside._get_running_loop() is not None
    if isinstance(body, bytes) and looped and any(is_async(task.func) for task in _each(work)):
        return _AsyncSource(body, work)
    return _Source(body, work)
