# SPDX-License-Identifier: MIT
"""What runs once: at the start, at the end, and in each process of the pool. Recorded here,
without asyncio; _liferun runs it."""

from __future__ import annotations

import contextlib
import inspect
from typing import Any, Callable

from ._hooks import Function, _check, is_async

startup: list[Callable[[], Any]] = []
shutdown: list[Callable[[], Any]] = []
lifespans: list[Callable[[], Any]] = []
_worker_init: list[Callable[[], Any]] = []


def on_startup(f: Function) -> Function:
    """Decorator: called once in each server process, after every module is imported and before
    the first request. What it raises ends the start. May be async."""
    _check(f, "on_startup", 0, "")
    startup.append(f)
    return f


def on_shutdown(f: Function) -> Function:
    """Decorator: called once at the end, when no handler runs any more. May be async."""
    _check(f, "on_shutdown", 0, "")
    shutdown.append(f)
    return f


def lifespan(f: Function) -> Function:
    """Decorator: an async generator function that yields once, or a function that returns an
    async context manager. It is entered at the start and left at the end, in the event loop."""
    _check(f, "lifespan", 0, "")
    if inspect.iscoroutinefunction(f) or inspect.isgeneratorfunction(f):
        raise TypeError(f"{f.__qualname__} is no lifespan: write async def with one yield")
    manager: Any = contextlib.asynccontextmanager(f) if inspect.isasyncgenfunction(f) else f
    lifespans.append(manager)
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
    return bool(lifespans) or any(is_async(f) for f in (*startup, *shutdown))
