# SPDX-License-Identifier: MIT
"""The event loop's thread: what is easier in Python than in C. Private."""

from __future__ import annotations

import asyncio
import importlib
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Callable, Coroutine

_log = logging.getLogger("snacgi.loop")

BACKGROUND_GRACE = 1.0  # seconds for tasks that handlers left behind, at the end


class _ContextThreads(ThreadPoolExecutor):
    """For run_in_executor(None, ...): threads that see the context variables of the caller,
    as those of asyncio.to_thread do."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        run: Callable[..., Any] = copy_context().run
        return super().submit(run, fn, *args, **kwargs)


def new_loop(kind: str) -> asyncio.AbstractEventLoop:
    """A loop of asyncio or of uvloop. RuntimeError: uvloop is not installed."""
    if kind == "uvloop":
        try:
            uvloop = importlib.import_module("uvloop")
        except ImportError as exc:
            raise RuntimeError(
                f"python.loop is \"uvloop\", which cannot be imported ({exc}); install it (in the "
                "venv: pip install uvloop), or set python.loop = \"asyncio\"") from exc
        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    else:
        loop = asyncio.new_event_loop()
    loop.set_default_executor(_ContextThreads(thread_name_prefix="asyncio"))
    return loop


def run(loop: asyncio.AbstractEventLoop, fd: int, bell: Callable[[], object],
        started: Callable[[], object], ended: Callable[[], bool],
        leave: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs the loop until its owner has ended it, whatever handlers raise or stop."""
    asyncio.set_event_loop(loop)
    loop.add_reader(fd, bell)
    loop.call_soon(started)
    try:
        while not ended():
            try:
                loop.run_forever()
            except BaseException:  # SystemExit, KeyboardInterrupt: the task has it as its result
                _log.debug("an exception left the event loop, which goes on", exc_info=True)
        loop.remove_reader(fd)
        loop.run_until_complete(leave())
        loop.run_until_complete(_finish(loop))
    finally:
        asyncio.set_event_loop(None)


async def _finish(loop: asyncio.AbstractEventLoop) -> None:
    """Ends what handlers left behind: their tasks, generators, executor."""
    rest: Any = asyncio.all_tasks() - {asyncio.current_task()}
    if rest:
        _, rest = await asyncio.wait(rest, timeout=BACKGROUND_GRACE)
    for task in rest:
        task.cancel()
    if rest:
        await asyncio.wait(rest, timeout=BACKGROUND_GRACE)
    try:
        await asyncio.wait_for(loop.shutdown_asyncgens(), BACKGROUND_GRACE)
    except Exception:
        _log.exception("asynchronous generators could not be closed")


def cancel_later(loop: asyncio.AbstractEventLoop, delay: float, grace: float,
                 cancel: Callable[[], object], stop: Callable[[], object]) -> None:
    """Cancels what is in flight after `delay` seconds, and ends the loop `grace` later."""
    loop.call_later(delay, cancel)
    loop.call_later(delay + grace, stop)
