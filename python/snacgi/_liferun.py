# SPDX-License-Identifier: MIT
"""One run of the application: what _life has recorded, from the start to the end.

A lifespan's two halves run in one task of the event loop, as task groups and
cancel scopes need it. At the end: when no handler runs any more the lifespans
end, the last one first, then on_shutdown's functions. Private.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any, Optional

from . import _life
from ._hooks import is_async

if TYPE_CHECKING:
    import asyncio

_log = logging.getLogger("snacgi")


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
        for f in _life.startup:
            if is_async(f):
                self._in_loop(f())
            else:
                f()
        if _life.lifespans:
            self._in_loop(self._begin())
        self._began = True

    def _in_loop(self, coroutine: Any) -> None:
        if self._loop is None:
            raise RuntimeError("there is no event loop")
        import asyncio

        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _begin(self) -> None:
        import asyncio

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
            for f in _life.lifespans:
                await stack.enter_async_context(f())
            up.set_result(None)
            await self._stop.wait()

    def lanes_ended(self) -> None:
        """No sync handler runs any more (or it is too late to wait): leave() may go on."""
        self._lanes_ended.set()

    async def leave(self) -> None:
        """In the loop, when no async handler runs any more."""
        if not self._began or not _life.needs_loop():
            return
        import asyncio

        await asyncio.get_running_loop().run_in_executor(None, self._lanes_ended.wait)
        if self._task is not None and self._stop is not None:
            self._stop.set()
            try:
                await self._task
            except Exception:
                _log.exception("a lifespan failed at its end")
        for f in _life.shutdown:
            if is_async(f):
                try:
                    await f()
                except Exception:
                    _log.exception("%s (on_shutdown) failed", f.__qualname__)

    def end(self) -> None:
        """After leave(), when there is a loop."""
        for f in _life.shutdown if self._began else ():
            if not is_async(f):
                try:
                    f()
                except Exception:
                    _log.exception("%s (on_shutdown) failed", getattr(f, "__qualname__", f))
