# SPDX-License-Identifier: MIT
"""@route: checks a handler and records it.

Recording is all that happens here, in the daemon, in pool workers and in plain
Python alike; the daemon reads the list after it has imported the modules. What
is wrong with a handler is said here, where its line is on the traceback.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Mapping, NoReturn, Optional, TypeVar

import _snacgi

from . import _describe
from ._describe import Doc, doc_of
from ._rules import Variable, parts_of
from ._signature import Passing, passing_of
from .routing import UrlMap

Handler = TypeVar("Handler", bound=Callable[..., Any])

_OPTIONS = ("methods", "use_process_pool", "endpoint", "timeout", "idempotent", "stream", "strict_slashes",
            "defaults", *_describe.OPTIONS)

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
    stream: bool = False  #: the handler begins before the body has come
    is_async_generator: bool = False  #: it has yield: what it returns is not awaited
    passing: Passing = Passing()  #: what the handler is called with
    scopes: tuple[Any, ...] = ()  #: of its blueprints, the innermost first
    doc: Doc = Doc()  #: for the OpenAPI document
    strict_slashes: Optional[bool] = None  #: None: as url_map has it
    defaults: Optional[Mapping[str, Any]] = None  #: values of variables that the rule has not
    pattern: str = ""  #: the rule as the core reads it
    converters: Mapping[str, Any] = field(default_factory=dict)  #: of one's own, by variables

    def __str__(self) -> str:
        return self.rule

    @property
    def lax_slash(self) -> bool:
        """Does a slash more or less at the path's end not matter?"""
        return not (url_map.strict_slashes if self.strict_slashes is None else self.strict_slashes)


url_map = UrlMap()

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


def _check_handler(func: Any) -> str:
    if not callable(func):
        raise TypeError(
            f"@route goes above a function, not above {type(func).__name__}"
            + (" (put @staticmethod below @route)" if isinstance(func, (staticmethod, classmethod)) else "")
        )
    if inspect.isclass(func):
        raise TypeError(f"@route goes above a function; {func.__qualname__} is a class")
    name = _name_of(func)
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


def _refuse_option(option: str) -> NoReturn:
    import difflib

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
    stream: bool = False,
    strict_slashes: Optional[bool] = None,
    defaults: Optional[Mapping[str, Any]] = None,
    **options: Any,
) -> Callable[[Handler], Handler]:
    """Decorator: this function answers requests whose path matches ``rule``.

    rule: "/users/<int:user_id>"; converters string, int, float, uuid, any and path, with
        Werkzeug's arguments: "<int(min=1):id>", "<any(a,b):x>", "<string(length=2):cc>".
    methods: list of names; GET when left out (HEAD and OPTIONS follow by themselves).
    use_process_pool: the handler's second argument is the process pool, a
        concurrent.futures.Executor.
    endpoint: a name for the route; the function's name when left out.
    timeout: seconds that the function may take, in place of the configuration's
        timeouts.request; then the client is answered 504 and the function is
        ended where that is possible.
    idempotent: with use_process_pool, a call whose process died is run once more, by
        another process, before it fails.
    strict_slashes: False: a slash more or less at the path's end does not matter. True: the
        path that lacks one is redirected. url_map.strict_slashes when left out.
    defaults: values for variables that the rule does not have, as another one of the
        function has them.
    stream: the function begins when the request's head is there, and reads the body
        from request.stream while it arrives, however large it is.
    tags, summary, description, operation_id, deprecated, include_in_schema, responses:
        for the OpenAPI document, see enable_docs().

    The function is called with the Request, and with those of the rule's variables
    that it has parameters for, by name; it is returned unchanged, so that several rules can stand above one function and tests can call it. A function
    written ``async def`` runs on the event loop. One that has ``yield`` gives its answer's
    body piece by piece. As Flask's ``app.route``.

    Raises TypeError or ValueError when the rule, an option or the function's
    parameters are wrong.
    """
    options = dict(options, methods=methods, use_process_pool=use_process_pool, endpoint=endpoint,
                   timeout=timeout, idempotent=idempotent, stream=stream, strict_slashes=strict_slashes,
                   defaults=defaults)
    checked = check_options(rule, options)
    variables = variables_of(rule)

    def register(func: Handler) -> Handler:
        registry.append(make_route(rule, variables, func, checked))
        return func

    return register


def variables_of(rule: str) -> list[str]:
    """The names of the rule's variables; raises what is wrong with it, and where it stands."""
    try:
        return [name for name, _ in _snacgi.check_rule(pattern_of(rule)[0])]
    except ValueError as exc:
        raise ValueError(f"{_caller()}{exc}") from None


def pattern_of(rule: str) -> tuple[str, dict[str, Any]]:
    """The rule as the core reads it, with string or path in the place of converters of one's
    own, and these by their variables."""
    if not url_map.converters or not isinstance(rule, str):
        return rule, {}
    pattern, own = "", {}
    for part in parts_of(rule):
        if isinstance(part, Variable) and part.converter in url_map.converters:
            cls = url_map.converters[part.converter]
            try:
                own[part.name] = converter = cls(url_map, *part.args, **part.kwargs)
            except Exception as exc:
                raise ValueError(f"rule {rule!r}: {part.written}: {type(exc).__name__}: {exc}") from exc
            kind = "string" if getattr(converter, "part_isolating", True) else "path"
            pattern += f"<{kind}:{part.name}>"
        else:
            pattern += part if isinstance(part, str) else part.written
    return pattern, own


def _caller() -> str:
    # "app.py:12: ", of the line outside the package that is being executed.
    frame: Any = sys._getframe(1)
    package = os.path.dirname(__file__)
    while frame is not None and os.path.dirname(frame.f_code.co_filename) == package:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}: " if frame is not None else ""


def check_options(rule: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Arguments of route() that are wrong whatever the function is; the others, made ready."""
    if callable(rule) and not isinstance(rule, str):
        raise TypeError("write @route('/path'): the rule is missing")
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown:
        _refuse_option(unknown[0])
    pool, endpoint = options.get("use_process_pool", False), options.get("endpoint")
    idempotent = options.get("idempotent", False)
    methods = _check_methods(options.get("methods"))
    if not isinstance(pool, bool):
        raise TypeError(f"use_process_pool must be True or False, not {pool!r}")
    if not isinstance(options.get("stream", False), bool):
        raise TypeError(f"stream must be True or False, not {options['stream']!r}")
    if not isinstance(idempotent, bool):
        raise TypeError(f"idempotent must be True or False, not {idempotent!r}")
    if idempotent and not pool:
        raise TypeError("idempotent=True speaks of calls in the process pool: add use_process_pool=True")
    if endpoint is not None and not isinstance(endpoint, str):
        raise TypeError(f"endpoint must be str, not {endpoint!r}")
    strict, defaults = options.get("strict_slashes"), options.get("defaults")
    if strict is not None and not isinstance(strict, bool):
        raise TypeError(f"strict_slashes must be True or False, not {strict!r}")
    if defaults is not None and not (isinstance(defaults, Mapping) and all(isinstance(name, str) for name in defaults)):
        raise TypeError(f"defaults must be a dict of variables' names and values, not {defaults!r}")
    return {"methods": methods, "use_process_pool": pool, "endpoint": endpoint, "idempotent": idempotent,
            "stream": options.get("stream", False), "timeout": _check_timeout(options.get("timeout")),
            "strict_slashes": strict, "defaults": dict(defaults) if defaults else None, "doc": doc_of(options)}


def make_route(rule: str, variables: list[str], func: Any, options: dict[str, Any],
               scopes: tuple[Any, ...] = (), prefix: str = "") -> Route:
    """The record of `func` for a rule; TypeError when its parameters do not fit."""
    name = _check_handler(func)
    code = _code_of(func)
    endpoint = options["endpoint"]
    pattern, converters = pattern_of(rule)
    return Route(
        **{**options, "endpoint": prefix + (endpoint if endpoint is not None else name.rpartition(".")[2])},
        rule=rule,
        handler=func,
        name=name,
        is_async=_test(func, inspect.iscoroutinefunction) or _test(func, inspect.isasyncgenfunction),
        is_async_generator=_test(func, inspect.isasyncgenfunction),
        file=code.co_filename if code is not None else "",
        line=code.co_firstlineno if code is not None else 0,
        passing=passing_of(func, name, options["use_process_pool"], variables, pattern, options["defaults"] or {},
                           {*(options["defaults"] or ()), *converters}),
        pattern=pattern,
        converters=converters,
        scopes=scopes,
    )


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
