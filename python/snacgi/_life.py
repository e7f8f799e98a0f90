# SPDX-License-Identifier: MIT
"""What runs once: at the start, at the end, and in each process of the pool.

A lifespan's two halves run in one task of the event loop, as task groups and
cancel scopes need it. At the end: when no handler runs any more the lifespans
end, the last one first, then on_shutdown's functions.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import threading
from typing import Any, Callable, Optional

from ._hooks import Function, _check, is_async

_log = logging.getLogger("snacgi")

_startup: list[Callable[[], Any]] = []
_shutdown: list[Callable[[], Any]] = []
_lifespans: list[Callable[[], Any]] = []
_worker_init: list[Callable[[], Any]] = []


def on_startup(f: Function) -> Function:
    """Decorator: called once in each server process, after every module is imported and before
    the first request. What it raises ends the start. May be async."""
    _check(f, "on_startup", 0, "")
    _startup.append(f)
    return f


def on_shutdown(f: Function) -> Function:
    """Decorator: called once at the end, when no handler runs any more. May be async."""
    _check(f, "on_shutdown", 0, "")
    _shutdown.append(f)
    return f


def lifespan(f: Function) -> Function:
    """Decorator: an async generator function that yields once, or a function that returns an
    async context manager. It is entered at the start and left at the end, in the event loop."""
    _check(f, "lifespan", 0, "")
    if inspect.iscoroutinefunction(f) or inspect.isgeneratorfunction(f):
        raise TypeError(f"{f.__qualname__} is no lifespan: write async def with one yield")
    manager: Any = contextlib.asynccontextmanager(f) if inspect.isasyncgenfunction(f) else f
    _lifespans.append(manager)
    return f


def worker_init(f: Function) -> Function:
    """Decorator: called in each process of the pool, after it has imported every module."""
    _check(f, "worker_init", 0, "")
    if is_async(f):
        raise TypeError(f"{f.__qualname__} is async: a pool process has no event loop")
    _worker_init.append(f)
    return f


def run_worker_init() -> None:
    for f in _worker_init:
        f()


def needs_loop() -> bool:
    return bool(_lifespans) or any(is_async(f) for f in (*_startup, *_shutdown))


class Life:
    """One run of the application: start() and end() in the thread that owns it, leave() in the
    event loop, when there is one, at its end."""

    def __init__(self, loop: Optional[asyncio.AbstractEventLoop]) -> None:
        self._loop = loop
        self._lanes_ended = threading.Event()
        self._began = False
        self._stop: Optional[asyncio.Event] = None
        self._task: Optional[asyncio.Task[None]] = None

    def start(self) -> None:
        """Raises what a function for the start raises."""
        for f in _startup:
            if is_async(f):
                self._in_loop(f())
            else:
                f()
        if _lifespans:
            self._in_loop(self._begin())
        self._began = True

    def _in_loop(self, coroutine: Any) -> None:
        if self._loop is None:
            raise RuntimeError("there is no event loop")
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _begin(self) -> None:
        up = asyncio.get_running_loop().create_future()
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._live(up), name="snacgi-lifespan")
        await asyncio.wait((up, self._task), return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            self._task.result()
            raise RuntimeError("a lifespan has ended before its yield")

    async def _live(self, up: asyncio.Future[None]) -> None:
        assert self._stop is not None
        async with contextlib.AsyncExitStack() as stack:
            for f in _lifespans:
                await stack.enter_async_context(f())
            up.set_result(None)
            await self._stop.wait()

    def lanes_ended(self) -> None:
        """No sync handler runs any more (or it is too late to wait): leave() may go on."""
        self._lanes_ended.set()

    async def leave(self) -> None:
        """In the loop, when no async handler runs any more."""
        if not self._began or not needs_loop():
            return
        await asyncio.get_running_loop().run_in_executor(None, self._lanes_ended.wait)
        if self._task is not None and self._stop is not None:
            self._stop.set()
            try:
                await self._task
            except Exception:
                _log.exception("a lifespan failed at its end")
        for f in _shutdown:
            if is_async(f):
                try:
                    await f()
                except Exception:
                    _log.exception("%s (on_shutdown) failed", f.__qualname__)

    def end(self) -> None:
        """After leave(), when there is a loop."""
        for f in _shutdown if self._began else ():
            if not is_async(f):
                try:
                    f()
                except Exception:
                    _log.exception("%s (on_shutdown) failed", getattr(f, "__qualname__", f))
