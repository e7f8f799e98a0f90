# SPDX-License-Identifier: MIT
"""What the daemon's runtime calls in its own interpreter. Private: users import snacgi."""

from __future__ import annotations

import ast
import asyncio
import atexit
import importlib
import inspect
import logging
import pickle
import sys
import textwrap
import threading
from typing import Any, Callable, Iterator, Sequence

from . import _describe, _forms, _routing
from ._bind import bind, bind_missing
from ._blueprint import unregistered
from ._life import needs_loop, run_worker_init
from ._liferun import Life
from ._loop import cancel_later, new_loop, run
from ._stacks import of_coroutine as stack_of_coroutine
from ._stacks import of_thread as stack_of_thread

__all__ = ["cancel_later", "check", "close_pool", "collect", "dumps", "end", "end_life", "lanes_ended",
           "missing", "needs_loop", "new_loop", "prepare", "retrying", "run_loop", "start_life",
           "start_pool", "stack_of_coroutine", "stack_of_thread", "tell_native"]

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


def collect() -> list[tuple[str, str, Callable[..., Any], str, bool, bool, bool, str, int, float, bool]]:
    """What @route has recorded, in order; a time-out of 0 is the server's."""
    return [(r.rule, ", ".join(r.methods), bind(r), r.name, bool(r.is_async),
             bool(r.use_process_pool), bool(r.idempotent), r.file or "", int(r.line or 0),
             r.timeout or 0.0, r.lax_slash) for r in _routing.registry]


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


def run_loop(loop: asyncio.AbstractEventLoop, fd: int, bell: Callable[[], object],
             started: Callable[[], object], ended: Callable[[], bool]) -> None:
    run(loop, fd, bell, started, ended, lambda: _life.leave())


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
    findings = [f"blueprint {b.name!r} has routes and is never registered: register_blueprint(it)"
                for b in unregistered()]
    for route in _routing.registry:
        if route.use_process_pool:
            where = f"{route.file}:{route.line}: {route.name}"
            findings += [f"{where}: {text}" for text in _check_pool_handler(route.handler)]
    return findings


def _check_pool_handler(handler: Callable[..., Any]) -> Iterator[str]:
    """Looks at the functions that the handler passes to its second argument. Only what is
    written as a name, an attribute or a lambda in the handler itself can be judged."""
    function = inspect.unwrap(handler)
    if "<locals>" in getattr(function, "__qualname__", ""):
        yield (f"it is defined inside another function ({function.__qualname__}), where pool "
               "processes cannot find it by name; define it at the top level of a module")
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return
    definition = next((n for n in ast.walk(tree)
                       if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))), None)
    if definition is None:
        return
    args = [*definition.args.posonlyargs, *definition.args.args]
    if len(args) < 2:
        yield ("it takes no pool: use_process_pool=True passes it as the second argument; write "
               f"def {definition.name}(request, pool)")
        return
    local = {n.name for n in ast.walk(definition) if n is not definition
             and isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
    for submitted in _submitted(definition, args[1].arg):
        text = _judge(submitted, local, function)
        if text:
            yield text


def _submitted(definition: ast.AST, pool: str) -> Iterator[ast.expr]:
    """pool.submit(X), pool.map(X), loop.run_in_executor(pool, X)."""
    for node in ast.walk(definition):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        owner = node.func.value
        first = node.args[0]
        if node.func.attr in ("submit", "map") and isinstance(owner, ast.Name) and owner.id == pool:
            yield first
        elif (node.func.attr == "run_in_executor" and isinstance(first, ast.Name)
              and first.id == pool and len(node.args) > 1):
            yield node.args[1]


def _judge(expr: ast.expr, local: set[str], function: Callable[..., Any]) -> str | None:
    mend = "define it at the top level of a module"
    if isinstance(expr, ast.Lambda):
        return f"a lambda (line {expr.lineno} of it) cannot be sent to the process pool; {mend}"
    if isinstance(expr, ast.Name) and expr.id in local:
        return (f"{expr.id}() is defined inside the handler and cannot be sent to the process "
                f"pool; {mend}")
    value = _resolve(expr, function)
    if value is None:
        return None
    try:
        pickle.dumps(value)
    except Exception as exc:
        return f"{ast.unparse(expr)} cannot be sent to the process pool ({exc}); {mend}"
    return None


def _resolve(expr: ast.expr, function: Callable[..., Any]) -> Any:
    if isinstance(expr, ast.Name):
        return getattr(function, "__globals__", {}).get(expr.id)
    if isinstance(expr, ast.Attribute):
        owner = _resolve(expr.value, function)
        return None if owner is None else getattr(owner, expr.attr, None)
    return None
