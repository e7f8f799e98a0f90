# SPDX-License-Identifier: MIT
"""What the daemon's runtime calls in its own interpreter. Private: users import snacgi.

Imported at every start, so what only some applications need (the event loop, the pool, `check`)
is imported when the server calls it, before the first request: asyncio alone takes longer than the interpreter."""

from __future__ import annotations

import atexit
import importlib
import logging
import sys
import threading
from typing import TYPE_CHECKING, Any, Callable, Sequence

from . import _describe, _forms, _routing
from ._bind import bind, bind_missing
from ._life import needs_loop, run_worker_init
from ._liferun import Life
from ._stacks import of_coroutine as stack_of_coroutine
from ._stacks import of_thread as stack_of_thread
from ._streaming import drive
from ._warm import warm

if TYPE_CHECKING:
    import asyncio

__all__ = ["cancel_later", "check", "close_pool", "collect", "drive", "dumps", "end", "end_life",
           "lanes_ended", "missing", "needs_loop", "new_loop", "prepare", "retrying", "run_loop",
           "send_files", "start_life", "start_pool", "stack_of_coroutine", "stack_of_thread", "tell_native"]

# Seconds for which a busy thread keeps the GIL while another wants it. Python's own 5 ms is
# what every short handler and every turn of the event loop waits beside one that computes.
_SWITCH_INTERVAL = 0.001
_POOL_START = 120.0  # seconds for all workers of the pool to import the user's modules


def prepare(form_parts: int, form_memory: int, form_file: int) -> None:
    """Before the user's modules are imported: what they print is seen line by line."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    if not sys.argv or sys.argv == [""]:
        sys.argv = ["snacgi"]
    if form_parts:
        _forms.configure(form_parts, form_memory, form_file)
    sys.setswitchinterval(_SWITCH_INTERVAL)


def tell_native(routes: list[tuple[str, str, str, str, str]]) -> None:
    """The native routes, for the OpenAPI document."""
    _describe.native[:] = routes


def send_files(method: str, entries: list[str]) -> None:
    """The web server sends files; ValueError: an entry of python.send_file_from that is wrong."""
    from ._files import configure

    configure(method, entries)


def dumps(kind: str) -> Callable[..., bytes] | None:
    """The JSON writer that the configuration names; None: ours."""
    if kind != "orjson":
        return None
    try:
        orjson = importlib.import_module("orjson")
    except ImportError as exc:
        raise RuntimeError(
            f"python.json is \"orjson\", which cannot be imported ({exc}); install it (in the venv: "
            "pip install orjson), or set python.json = \"builtin\"") from exc
    result: Callable[..., bytes] = orjson.dumps
    return result


def collect() -> list[tuple[str, str, Callable[..., Any], str, bool, bool, bool, str, int, float, bool, bool]]:
    """What @route has recorded, in order; a time-out of 0 is the server's."""
    warm(_routing.registry)
    return [(r.pattern, ", ".join(r.methods), bind(r), r.name, bool(r.is_async),
             bool(r.use_process_pool), bool(r.idempotent), r.file or "", int(r.line or 0),
             r.timeout or 0.0, r.lax_slash, r.stream) for r in _routing.registry]


def missing() -> Callable[..., Any] | None:
    """What answers requests that no route takes; None: the server does it by itself."""
    return bind_missing()


# ---- the application's life ------------------------------------------------------

_life = Life(None)


def start_life(loop: asyncio.AbstractEventLoop | None) -> None:
    """What the application does before the first request; raises what that raises."""
    global _life
    _life = Life(loop)
    _life.start()


def lanes_ended() -> None:
    _life.lanes_ended()


def end_life() -> None:
    _life.end()


# ---- the event loop --------------------------------------------------------------


def new_loop(kind: str) -> asyncio.AbstractEventLoop:
    from . import _loop

    return _loop.new_loop(kind)


def run_loop(loop: asyncio.AbstractEventLoop, fd: int, bell: Callable[[], object],
             started: Callable[[], object], ended: Callable[[], bool]) -> None:
    from . import _loop

    _loop.run(loop, fd, bell, started, ended, lambda: _life.leave())


def cancel_later(loop: asyncio.AbstractEventLoop, delay: float, grace: float,
                 cancel: Callable[[], object], stop: Callable[[], object]) -> None:
    from . import _loop

    _loop.cancel_later(loop, delay, grace, cancel, stop)


# ---- pool --------------------------------------------------------------------


def start_pool(workers: int, queue: int, modules: Sequence[str], max_tasks: int,
               call_timeout: float) -> Any:
    """A warm pool; RuntimeError with the worker's traceback when a module fails there."""
    from ._pool import PoolExecutor

    pool = PoolExecutor(workers, queue=queue, modules=tuple(modules), max_tasks_per_child=max_tasks,
                        call_timeout=call_timeout, owned=True, initializer=run_worker_init)
    try:
        pool.wait_ready(_POOL_START)
    except BaseException:
        pool._kill()
        raise
    return pool


def retrying(pool: Any) -> Any:
    """The pool as routes with idempotent=True see it."""
    return pool._retrying()


def close_pool(pool: Any, timeout: float) -> None:
    """No handler runs any more, or none may: waits for the workers, then kills them."""
    if not pool._close(max(0.0, timeout), cancel_futures=True):
        pool._kill()


# ---- the end -------------------------------------------------------------------


def end() -> None:
    """What Py_FinalizeEx would run of the user's: threads are joined, exit hooks called."""
    main = threading.main_thread()
    if main is not threading.current_thread():  # it hangs in a handler: not to be waited for
        locks: set[Any] = getattr(threading, "_shutdown_locks", set())
        locks.discard(getattr(main, "_tstate_lock", None))
    try:
        threading._shutdown()  # type: ignore[attr-defined]
    except Exception:
        logging.getLogger("snacgi").exception("waiting for threads failed")
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            pass


# ---- snacgi check -----------------------------------------------------------------


def check() -> list[str]:
    """What would fail only in the middle of a request; each text ends with the mend."""
    from ._check import findings

    return findings()
