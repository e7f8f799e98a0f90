# SPDX-License-Identifier: MIT
"""What `snacgi check` finds in an application that has been imported. Private."""

from __future__ import annotations

import ast
import inspect
import pickle
import textwrap
from typing import Any, Callable, Iterator

from . import _routing
from ._blueprint import unregistered


def findings() -> list[str]:
    """What would fail only in the middle of a request; each text ends with the mend."""
    found = [f"blueprint {b.name!r} has routes and is never registered: register_blueprint(it)"
             for b in unregistered()]
    for route in _routing.registry:
        if route.use_process_pool:
            where = f"{route.file}:{route.line}: {route.name}"
            found += [f"{where}: {text}" for text in _check_pool_handler(route)]
    return found


def _check_pool_handler(route: _routing.Route) -> Iterator[str]:
    """Looks at the functions that the handler passes to its pool, its second argument unless it
    is typed. Only what is written as a name, an attribute or a lambda in it can be judged."""
    function = inspect.unwrap(route.handler)
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
    typed = route.passing.typed
    name = typed.pool if typed else args[1].arg if len(args) > 1 else ""
    if not name:
        yield ("it takes no pool: use_process_pool=True passes it as the second argument; write "
               f"def {definition.name}(request, pool)")
        return
    local = {n.name for n in ast.walk(definition) if n is not definition
             and isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
    for submitted in _submitted(definition, name):
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
