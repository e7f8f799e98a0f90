# SPDX-License-Identifier: MIT
"""@route: checks a handler and records it.

Recording is all that happens here, in the daemon, in pool workers and in plain
Python alike; the daemon reads the list after it has imported the modules. What
is wrong with a handler is said here, where its line is on the traceback.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Optional, TypeVar

import _snacgi

Handler = TypeVar("Handler", bound=Callable[..., Any])

_OPTIONS = ("methods", "use_process_pool", "endpoint", "timeout", "idempotent")

_LONGEST = 86400  # seconds, as in snacgi.conf


@dataclass(frozen=True)
class Route:
    """One rule of one handler, as the server reads it."""

    rule: str
    methods: tuple[str, ...]
    handler: Callable[..., Any]
    name: str  #: "module.qualname", for the log
    is_async: bool  #: decided once, here
    use_process_pool: bool
    endpoint: str
    file: str
    line: int
    timeout: Optional[float] = None  #: seconds; None: timeouts.request
    idempotent: bool = False  #: a pool call whose process died may run once more


#: In the order of registration.
registry: list[Route] = []


def _unwrap_partial(func: Any) -> Any:
    while isinstance(func, functools.partial):
        func = func.func
    return func


def _code_of(func: Any) -> Any:
    # The code object that a traceback would show: of the innermost function.
    func = inspect.unwrap(_unwrap_partial(func))
    if not hasattr(func, "__code__") and hasattr(type(func), "__call__"):
        func = inspect.unwrap(getattr(type(func), "__call__"))
    return getattr(func, "__code__", None)


def _name_of(func: Any) -> str:
    func = _unwrap_partial(func)
    if not hasattr(func, "__qualname__"):
        func = type(func)
    return f"{func.__module__}.{func.__qualname__}"


def _test(func: Any, test: Callable[[Any], bool]) -> bool:
    func = _unwrap_partial(func)
    return test(func) or (
        not inspect.isroutine(func) and not inspect.isclass(func) and test(getattr(type(func), "__call__", None))
    )


def _check_signature(func: Any, name: str, pool: bool) -> None:
    # The server calls handler(request) or handler(request, pool).
    try:
        parameters = list(inspect.signature(func).parameters.values())
    except (TypeError, ValueError):
        return  # a C function that tells nothing about itself
    positional = [
        p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    any_number = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    need = 2 if pool else 1
    if len(positional) < need and not any_number:
        if pool and positional:
            raise TypeError(
                f"{name} has use_process_pool=True and so must take the pool as its second"
                f" parameter: def {name.rpartition('.')[2]}({positional[0].name}, pool)"
            )
        wanted = "request, pool" if pool else "request"
        raise TypeError(
            f"{name} takes no parameter for the request: write def"
            f" {name.rpartition('.')[2]}({wanted})"
        )
    required = [p for p in positional if p.default is p.empty]
    if len(required) > need:
        extra = required[need].name
        if extra in ("pool", "executor"):
            mend = "add use_process_pool=True to @route"
        else:
            mend = f"read request.path_params[{extra!r}], or give it a default"
        raise TypeError(f"{name} has a parameter {extra!r} that nobody fills: {mend}")
    for p in parameters:
        if p.kind is p.KEYWORD_ONLY and p.default is p.empty:
            raise TypeError(f"{name} has a parameter {p.name!r} that nobody fills: give it a default")


def _check_handler(func: Any, pool: bool) -> str:
    if not callable(func):
        raise TypeError(
            f"@route goes above a function, not above {type(func).__name__}"
            + (" (put @staticmethod below @route)" if isinstance(func, (staticmethod, classmethod)) else "")
        )
    if inspect.isclass(func):
        raise TypeError(f"@route goes above a function; {func.__qualname__} is a class")
    name = _name_of(func)
    if _test(func, inspect.isgeneratorfunction) or _test(func, inspect.isasyncgenfunction):
        raise TypeError(f"{name} is a generator (it has yield): return the whole body")
    _check_signature(func, name, pool)
    return name


def _check_methods(methods: Optional[Iterable[str]]) -> tuple[str, ...]:
    if methods is None:
        return ("GET",)
    if isinstance(methods, (str, bytes)):
        raise TypeError(f"methods must be a list of str: methods=[{methods!r}]")
    checked: list[str] = []
    for method in methods:
        if not isinstance(method, str):
            raise TypeError(f"methods must be a list of str, and holds {method!r}")
        if not method.isalpha():
            raise ValueError(f"unknown method {method!r} in methods")
        _snacgi.check_methods(method)
        if method.upper() not in checked:
            checked.append(method.upper())
    if not checked:
        raise ValueError("methods is empty: leave it out for GET")
    return tuple(checked)


def _check_timeout(timeout: Any) -> Optional[float]:
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be seconds, int or float, not {timeout!r}")
    if not 0.001 <= timeout <= _LONGEST:
        raise ValueError(f"timeout must be from 0.001 to {_LONGEST} seconds, not {timeout!r}")
    return float(timeout)


def _refuse_options(options: dict[str, Any]) -> None:
    import difflib

    for option in options:
        near = difflib.get_close_matches(option, _OPTIONS, 1, 0.4)
        hint = f": did you mean {near[0]!r}?" if near else f" (known: {', '.join(_OPTIONS)})"
        raise TypeError(f"route() has no option {option!r}{hint}")


def route(
    rule: str,
    methods: Optional[Iterable[str]] = None,
    use_process_pool: bool = False,
    endpoint: Optional[str] = None,
    timeout: Optional[float] = None,
    idempotent: bool = False,
    **options: Any,
) -> Callable[[Handler], Handler]:
    """Decorator: this function answers requests whose path matches ``rule``.

    rule: "/users/<int:user_id>"; converters string, int, float, uuid, path.
    methods: list of names; GET when left out (HEAD and OPTIONS follow by themselves).
    use_process_pool: the handler's second argument is the process pool, a
        concurrent.futures.Executor.
    endpoint: a name for the route; the function's name when left out.
    timeout: seconds that the function may take, in place of the configuration's
        timeouts.request; then the client is answered 504 and the function is
        ended where that is possible.
    idempotent: with use_process_pool, a call whose process died is run once more, by
        another process, before it fails.

    The function is called with the Request and is returned unchanged, so that
    several rules can stand above one function and tests can call it. A function
    written ``async def`` runs on the event loop. As Flask's ``app.route``.

    Raises TypeError or ValueError when the rule, an option or the function's
    parameters are wrong.
    """
    if callable(rule) and not isinstance(rule, str):
        raise TypeError("write @route('/path'): the rule is missing")
    if options:
        _refuse_options(options)
    _snacgi.check_rule(rule)
    names = _check_methods(methods)
    if not isinstance(use_process_pool, bool):
        raise TypeError(f"use_process_pool must be True or False, not {use_process_pool!r}")
    if not isinstance(idempotent, bool):
        raise TypeError(f"idempotent must be True or False, not {idempotent!r}")
    if idempotent and not use_process_pool:
        raise TypeError("idempotent=True speaks of calls in the process pool: add use_process_pool=True")
    if endpoint is not None and not isinstance(endpoint, str):
        raise TypeError(f"endpoint must be str, not {endpoint!r}")
    timeout = _check_timeout(timeout)

    def register(func: Handler) -> Handler:
        name = _check_handler(func, use_process_pool)
        code = _code_of(func)
        registry.append(
            Route(
                rule=rule,
                methods=names,
                handler=func,
                name=name,
                is_async=_test(func, inspect.iscoroutinefunction),
                use_process_pool=use_process_pool,
                endpoint=endpoint if endpoint is not None else name.rpartition(".")[2],
                file=code.co_filename if code is not None else "",
                line=code.co_firstlineno if code is not None else 0,
                timeout=timeout,
                idempotent=idempotent,
            )
        )
        return func

    return register


def get(rule: str, **options: Any) -> Callable[[Handler], Handler]:
    """route() for GET."""
    return _shortcut("GET", rule, options)


def post(rule: str, **options: Any) -> Callable[[Handler], Handler]:
    """route() for POST."""
    return _shortcut("POST", rule, options)


def put(rule: str, **options: Any) -> Callable[[Handler], Handler]:
    """route() for PUT."""
    return _shortcut("PUT", rule, options)


def patch(rule: str, **options: Any) -> Callable[[Handler], Handler]:
    """route() for PATCH."""
    return _shortcut("PATCH", rule, options)


def delete(rule: str, **options: Any) -> Callable[[Handler], Handler]:
    """route() for DELETE."""
    return _shortcut("DELETE", rule, options)


def _shortcut(method: str, rule: str, options: dict[str, Any]) -> Callable[[Handler], Handler]:
    if "methods" in options:
        raise TypeError("use route() for methods=")
    return route(rule, methods=[method], **options)
