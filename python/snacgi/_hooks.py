# SPDX-License-Identifier: MIT
"""What runs around handlers, and at the start and the end: recorded here, run by _bind and
_life. Names and order are Flask's; a Scope is the whole application, or one blueprint."""

from __future__ import annotations

import functools
import inspect
import sys
from typing import Any, Callable, Optional, TypeVar, Union

from . import exceptions
from .exceptions import HTTPException

Function = TypeVar("Function", bound=Callable[..., Any])


def is_async(func: Any) -> bool:
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(getattr(type(func), "__call__", None))


def takes(func: Any) -> tuple[int, int]:
    """(how many arguments it needs, how many it takes at most)."""
    try:
        parameters = inspect.signature(func).parameters.values()
    except (TypeError, ValueError):
        return 0, 99
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    most = 99 if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(positional)
    return sum(p.default is p.empty for p in positional), most


def _check(func: Any, what: str, arguments: int, shown: str, fewer: bool = False) -> None:
    if not callable(func):
        raise TypeError(f"@{what} goes above a function, not above {type(func).__name__}")
    least, most = takes(func)
    if least > arguments or (most < arguments and not fewer):
        name = getattr(func, "__qualname__", repr(func))
        raise TypeError(f"{name} cannot be called as @{what} calls it: write def {name.rpartition('.')[2]}({shown})")


class Scope:
    """The hooks of the application or of a blueprint."""

    def __init__(self) -> None:
        self.before: list[Callable[..., Any]] = []
        self.after: list[Callable[..., Any]] = []
        self.teardown: list[Callable[..., Any]] = []
        self.errors: dict[Optional[int], dict[type[BaseException], Callable[..., Any]]] = {}

    def __bool__(self) -> bool:
        return bool(self.before or self.after or self.teardown or self.errors)

    def before_request(self, f: Function) -> Function:
        """Decorator: called before each handler, with the request if it has a parameter.

        What it returns, when it is not None, is the answer, and the handler is not called.
        """
        _check(f, "before_request", 1, "request", fewer=True)
        self.before.append(f)
        return f

    def after_request(self, f: Function) -> Function:
        """Decorator: called with the Response of each handler, returns the one to send.

        The one registered last is called first; not called when the request has failed
        with an exception that nobody handles, but for its 500 page.
        """
        _check(f, "after_request", 1, "response")
        self.after.append(f)
        return f

    def teardown_request(self, f: Function) -> Function:
        """Decorator: called at the end of each request, with the exception that nobody has
        handled, or None. The one registered last is called first."""
        _check(f, "teardown_request", 1, "exc")
        self.teardown.append(f)
        return f

    def errorhandler(self, code_or_exception: Union[int, type[BaseException]]) -> Callable[[Function], Function]:
        """Decorator: answers the errors of that status, or exceptions of that class.

        The function gets the exception; what it returns is the answer, as a handler's.
        500 stands for every exception that no other one handles: it gets an
        InternalServerError, whose original_exception is the one raised.
        """

        def register(f: Function) -> Function:
            self.register_error_handler(code_or_exception, f)
            return f

        return register

    def register_error_handler(self, code_or_exception: Union[int, type[BaseException]], f: Callable[..., Any]) -> None:
        """As errorhandler(), without a decorator."""
        code, cls = _code_and_class(code_or_exception)
        _check(f, "errorhandler", 1, "error")
        self.errors.setdefault(code, {})[cls] = f


def _code_and_class(key: Any) -> tuple[Optional[int], type[BaseException]]:
    if isinstance(key, int) and not isinstance(key, bool):
        if key not in exceptions.default_exceptions:
            raise ValueError(f"{key} is not the status of an error: no exception has it")
        return key, exceptions.default_exceptions[key]
    if isinstance(key, type) and issubclass(key, Exception):
        code = getattr(key, "code", None) if issubclass(key, HTTPException) or _of_werkzeug(key) else None
        return code, key
    if isinstance(key, Exception):
        raise TypeError(f"errorhandler takes a class or a status, not the exception {key!r}")
    raise TypeError(f"errorhandler takes a status (404) or an exception class, not {key!r}")


def _of_werkzeug(cls: type[BaseException]) -> Any:
    # Werkzeug's HTTPException, when that is a base of the class; else None.
    base: Any = getattr(sys.modules.get("werkzeug.exceptions"), "HTTPException", None)
    return base if base is not None and issubclass(cls, base) else None


def _like_of(code: Optional[int]) -> list[type]:
    # Werkzeug's classes for that status, when it has been imported: who has a handler for one of them means
    # what abort() raises as well.
    theirs: Any = sys.modules.get("werkzeug.exceptions")
    if theirs is None:
        return []
    cls = theirs.default_exceptions.get(code, theirs.HTTPException)
    return [one for one in cls.__mro__ if issubclass(one, theirs.HTTPException)]


@functools.lru_cache(maxsize=256)
def _both(ours: Any, theirs: Any) -> type:
    def get_body(self: Any, *args: Any) -> Any:
        like = theirs(description=self.description)  # whose description is HTML
        like.code = self.code
        return like.get_body(*args)

    return type(ours.__name__, (ours, theirs), {"__module__": ours.__module__, "__qualname__": ours.__qualname__,
                                                "get_body": getattr(ours, "get_body", get_body)})


def _as_both(exc: BaseException) -> BaseException:
    # What abort() raises, for a handler that asks isinstance(e, werkzeug.exceptions.HTTPException).
    likes = _like_of(exc.code) if isinstance(exc, HTTPException) else []
    if likes and not isinstance(exc, likes[0]):
        try:
            ours: Any = type(exc)
            exc.__class__ = _both(ours, likes[0])
        except TypeError:  # a class that has no others beside it
            pass
    return exc


def find_error_handler(exc: BaseException, scopes: tuple[Scope, ...]) -> Optional[tuple[Callable[..., Any], BaseException]]:
    """The handler for `exc`, and what it gets: by status before by class, the blueprint's before the
    application's, the nearest class first. One of Werkzeug's is of its own classes, and then of those of the
    answer that it stands for, which handlers for these get; one of ours is of its own, and then of Werkzeug's
    that have its status, and is an instance of these as well where the handler is not for one of ours. None
    for what abort(Response) raises: that is the answer."""
    answer = exceptions.answer_of(exc)
    if answer is not None and answer.response is not None and getattr(exc, "code", None) is None:
        return None
    line: list[tuple[type, BaseException]] = [(cls, exc) for cls in type(exc).__mro__]
    if answer is exc:
        at = type(exc).__mro__.index(HTTPException) + 1
        line[at:at] = [(cls, exc) for cls in _like_of(answer.code)]
    elif answer is not None:
        at = type(exc).__mro__.index(_of_werkzeug(type(exc))) + 1
        line[at:at] = [(cls, answer) for cls in type(answer).__mro__ if issubclass(cls, HTTPException)]
    code = (answer.code or getattr(exc, "code", None)) if answer is not None else None
    for wanted in (code, None) if code is not None else (None,):
        for scope in scopes:
            by_class = scope.errors.get(wanted, {})
            for cls, shown in line if by_class else ():
                if cls in by_class:
                    return by_class[cls], shown if issubclass(cls, HTTPException) else _as_both(shown)
    return None


#: The application's.
app_scope = Scope()

before_request = app_scope.before_request
after_request = app_scope.after_request
teardown_request = app_scope.teardown_request
errorhandler = app_scope.errorhandler
register_error_handler = app_scope.register_error_handler
