# SPDX-License-Identifier: MIT
"""From a recorded route to the callable that a request is given to.

The daemon and the test client both call what ``bind`` returns, with the request
and, where the route asked for it, the pool. Without hooks that is the handler
itself. With hooks it is a pipeline, written once as a coroutine function: around a
sync handler nothing in it ever waits, and it is driven by hand. Private.
"""

from __future__ import annotations

import contextvars
import logging
import re
import sys
from typing import Any, Awaitable, Callable, Coroutine, Mapping, Optional, Sequence, TypeVar

import _snacgi
from _snacgi import Request, Response

from ._hooks import Scope, app_scope, find_error_handler, is_async, takes
from ._routing import Route
from ._streaming import AsyncGuarded, Guarded, is_async_source, is_streamed
from .exceptions import HTTPException, InternalServerError, MethodNotAllowed, NotFound, answer_of

_log = logging.getLogger("snacgi")
Result = TypeVar("Result")


def bind(route: Route, propagate: bool = False) -> Callable[..., Any]:
    """What to call for a request of `route`. `propagate`: exceptions that nobody handles are
    raised, also where a handler for 500 would answer them."""
    scopes = tuple(scope for scope in (*route.scopes, app_scope) if scope)
    call = _called_with(route)
    if route.converters:
        call = _with_converters(call, route.converters, route.is_async)
    if route.defaults:
        call = _with_defaults(call, route.defaults)
    if scopes:
        return _Pipeline(call, route.name, route.is_async, scopes, propagate).callable()
    if "snacgi._globals" in sys.modules:
        return _with_request(call, route.is_async)
    return call


def _called_with(route: Route) -> Callable[..., Any]:
    call = _called(route)
    if not route.is_async_generator:
        return call

    async def begin(*args: Any) -> Any:
        return call(*args)

    return begin


def _called(route: Route) -> Callable[..., Any]:
    # As handler(request[, pool]), whatever parameters the handler has.
    handler, passing = route.handler, route.passing
    names, keyword = passing.values, passing.request_name
    if passing.typed:
        return passing.typed.bind(handler, route.is_async and not route.is_async_generator)
    if passing.request and not names:
        return handler
    if not passing.request and not names:
        return lambda request: handler()
    if not passing.request:
        return lambda request: handler(**_values(request, names))
    if keyword:
        return lambda request: handler(**{keyword: request}, **_values(request, names))
    if passing.all_values:
        return lambda request, *pool: handler(request, *pool, **request.path_params)
    return lambda request, *pool: handler(request, *pool, **_values(request, names))


def _with_converters(call: Callable[..., Any], converters: Mapping[str, Any], asynchronous: bool) -> Callable[..., Any]:
    patterns = {name: re.compile(converter.regex) for name, converter in converters.items()}

    def convert(request: Request) -> None:
        params = request.path_params
        for name, converter in converters.items():
            text = params[name]
            if not patterns[name].fullmatch(text):
                raise NotFound("there is nothing at this path")
            try:
                params[name] = converter.to_python(text)
            except ValueError as exc:
                if type(exc).__name__ != "ValidationError":  # Werkzeug has one of its own
                    raise
                raise NotFound("there is nothing at this path") from None

    def converted(request: Request, *pool: Any) -> Any:
        convert(request)
        return call(request, *pool)

    async def converted_async(request: Request, *pool: Any) -> Any:
        convert(request)
        return await call(request, *pool)

    return converted_async if asynchronous else converted


def _with_defaults(call: Callable[..., Any], defaults: Mapping[str, Any]) -> Callable[..., Any]:
    def filled(request: Request, *pool: Any) -> Any:
        params = request.path_params
        for name, value in defaults.items():
            params.setdefault(name, value)
        return call(request, *pool)

    return filled


def _values(request: Request, names: tuple[str, ...]) -> dict[str, Any]:
    params = request.path_params
    return {name: params[name] for name in names}


def bind_missing(propagate: bool = False) -> Optional[Callable[[Request], Any]]:
    """What answers a request that no route takes, where the application has hooks; else None."""
    if not app_scope:
        return None
    return _Pipeline(missing, "snacgi", False, (app_scope,), propagate).callable()


def missing(request: Request) -> Any:
    """The answer to a request that no route takes."""
    if request._slash is not None:
        return "the path has a slash at its end", 308, {"Location": request._slash}
    allowed = request._allowed
    if allowed is None:
        raise NotFound("there is nothing at this path")
    if request.method == "OPTIONS":
        return b"", 200, {"Allow": allowed}
    raise MethodNotAllowed(allowed.split(", "), "this path does not take that method")


def _with_request(handler: Callable[..., Any], asynchronous: bool) -> Callable[..., Any]:
    from ._globals import enter

    def call(request: Request, *pool: Any) -> Any:
        enter(request)
        return handler(request, *pool)

    async def call_async(request: Request, *pool: Any) -> Any:
        enter(request)
        return await handler(request, *pool)

    return call_async if asynchronous else call


def _name_of(func: Any) -> str:
    return f"{getattr(func, '__module__', '?')}.{getattr(func, '__qualname__', type(func).__qualname__)}"


def _callable_from(func: Callable[..., Any], asynchronous: bool) -> Callable[..., Awaitable[Any]]:
    # As a coroutine function. Around a sync handler an async hook runs in a loop of its own.
    if not is_async(func):

        async def call(*args: Any) -> Any:
            return func(*args)

    elif asynchronous:

        async def call(*args: Any) -> Any:
            return await func(*args)

    else:

        async def call(*args: Any) -> Any:
            return _run(func(*args))

    return call


def _run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    import asyncio  # at every start it would cost more than the interpreter

    if asyncio._get_running_loop() is None:
        return asyncio.run(coroutine)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, "snacgi-hook") as thread:  # a loop cannot run within another
        context = contextvars.copy_context()
        return thread.submit(lambda: context.run(lambda: asyncio.run(coroutine))).result()


def drive_by_hand(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What it returns; around a sync handler nothing in it ever waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise RuntimeError("a hook around a sync handler has awaited")


async def _in_thread(guarded: Guarded) -> None:
    """Primes it outside the event loop, which its first piece may not hold up."""
    import asyncio

    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    primed = loop.run_in_executor(None, context.run, guarded.prime)
    try:
        await asyncio.shield(primed)
    except asyncio.CancelledError:  # nobody else will close it
        primed.add_done_callback(lambda _: loop.run_in_executor(None, context.run, guarded.close))
        raise
    finally:
        for variable, value in context.items() if primed.done() else ():
            if variable.get(context) is not value:  # context: as a default that no variable has
                variable.set(value)


class _Pipeline:
    """before_request, the handler, after_request, teardown_request, and errors."""

    def __init__(self, handler: Callable[..., Any], name: str, asynchronous: bool, scopes: tuple[Scope, ...],
                 propagate: bool) -> None:
        from ._globals import enter

        def ready(functions: Sequence[Callable[..., Any]]) -> list[tuple[Callable[..., Awaitable[Any]], str]]:
            return [(_callable_from(f, asynchronous), _name_of(f)) for f in functions]

        outer_first = scopes[::-1]
        self.enter = enter
        self.handler, self.name = handler, name
        self.asynchronous, self.propagate, self.scopes = asynchronous, propagate, scopes
        self.before = [(_callable_from(f, asynchronous), _name_of(f), takes(f)[0] > 0)
                       for scope in outer_first for f in scope.before]
        self.after = ready([f for scope in scopes for f in reversed(scope.after)])
        self.teardown = ready([f for scope in scopes for f in reversed(scope.teardown)])
        #: Results become a Response here when somebody wants to see it, or its failing.
        self.rescues = any(scope.errors for scope in scopes)
        self.responds = bool(self.after) or self.rescues

    def callable(self) -> Callable[..., Any]:
        run = self.run
        if self.asynchronous:
            return run

        return lambda request, *pool: drive_by_hand(run(request, *pool))

    async def run(self, request: Request, *pool: Any) -> Any:
        self.enter(request)
        failure: Optional[BaseException] = None
        streams = False
        try:
            try:
                result = await self.answer(request, pool)
            except Exception as exc:
                result, failure = await self.rescue(request, exc)
            for f, name in self.after:
                result = await f(result)
                if not isinstance(result, Response):
                    raise TypeError(f"{name} (after_request) returned {type(result).__name__}, not the Response")
            if self.teardown and is_streamed(result):
                result = self.torn_down_later(request, result, failure)
                streams = True
            return result
        except BaseException as exc:
            failure = exc
            raise
        finally:
            if not streams:
                await self.tear_down(failure)

    async def tear_down(self, failure: Optional[BaseException]) -> None:
        for f, name in self.teardown:
            try:
                await f(failure)
            except Exception:
                _log.exception("%s (teardown_request) failed", name)

    def torn_down_later(self, request: Request, result: Any, failure: Optional[BaseException]) -> Any:
        """What comes in pieces as a Response whose end runs the hooks."""
        response = self.response(request, result, self.name)
        source: Any = response.response
        if is_async_source(source):

            async def end(exc: Optional[BaseException]) -> None:
                await self.tear_down(exc or failure)

            response.response = guard = source if isinstance(source, AsyncGuarded) else AsyncGuarded(source)
            guard.end = end
        else:
            run = _run if self.asynchronous else drive_by_hand
            response.response = guarded = source if isinstance(source, Guarded) else Guarded(source)

            def end_now(exc: Optional[BaseException]) -> None:
                run(self.tear_down(exc or failure))

            guarded.end = end_now
        return response

    async def begun(self, request: Request, response: Response) -> Response:
        """The same; an answer in pieces with the first one, so that its failing is an error of
        the handler's."""
        if not is_streamed(response) or request.method == "HEAD" or response.status_code in (204, 304):
            return response
        source: Any = response.response
        if not is_async_source(source):
            response.response = guarded = Guarded(source)
            if self.asynchronous:
                await _in_thread(guarded)
            else:
                guarded.prime()
        elif self.asynchronous:
            response.response = guard = AsyncGuarded(source)
            await guard.prime()
        return response

    async def answer(self, request: Request, pool: tuple[Any, ...]) -> Any:
        name = self.name
        for f, hook, with_request in self.before:
            result = await (f(request) if with_request else f())
            if result is not None:
                name = hook
                break
        else:
            result = self.handler(request, *pool)
            if self.asynchronous:
                result = await result
        if not self.responds:
            return result
        response = self.response(request, result, name)
        return await self.begun(request, response) if self.rescues else response

    def response(self, request: Request, result: Any, name: str) -> Response:
        return result if isinstance(result, Response) else _snacgi.respond(request, result, name, True)

    async def rescue(self, request: Request, exc: Exception) -> tuple[Any, Optional[BaseException]]:
        """(the answer, the exception when nobody has handled it); or raises it."""
        found = find_error_handler(exc, self.scopes)
        if found is not None:
            return await self.handled(*found, request), None
        exc = answer_of(exc) or exc  # Werkzeug's
        if isinstance(exc, HTTPException):
            if not self.after:
                raise exc
            return _snacgi.respond(request, exc, self.name), None
        if self.propagate:
            raise exc
        wrapped = InternalServerError(original_exception=exc)
        found = find_error_handler(wrapped, self.scopes)
        if found is None:
            return _snacgi.respond(request, exc, self.name), exc  # logs it
        _snacgi.respond(request, exc, self.name)  # for its line in the log
        return await self.handled(*found, request), exc

    async def handled(self, handler: Callable[..., Any], exc: BaseException, request: Request) -> Response:
        result = await _callable_from(handler, self.asynchronous)(exc)
        if isinstance(result, Exception):  # `return e`, as Flask's own examples have it
            result = answer_of(result) or result
            if isinstance(result, HTTPException):
                return _snacgi.respond(request, result, self.name)
        return self.response(request, result, _name_of(handler))
