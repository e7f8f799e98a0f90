# SPDX-License-Identifier: MIT
"""Typed handlers: what each parameter is filled from, decided when the handler is registered.

Imported only where a handler has an annotation that asks for it; all others are called
as before. Where a value comes from is FastAPI's rule: a variable of the rule by its name,
a class with fields from the JSON body, anything else from the query; markers say otherwise.
Private.
"""

from __future__ import annotations

import concurrent.futures
import copy
import inspect
import typing
from dataclasses import dataclass
from typing import Any, Callable, Collection, Optional, Sequence

import _snacgi
from _snacgi import Request

from . import _models
from ._convert import Convert, Errors, Loc, TooMany, Unsupported, converter, error, is_fields, is_list, members_of
from ._params import NOTHING, Marker
from .exceptions import BadRequest, RequestValidationError

#: What the rule's converters give; of the application's own ones nobody knows.
_GIVEN = {"string": str, "path": str, "any": str, "int": int, "float": float}

_FORMS = ("form", "file")


@dataclass(frozen=True)
class Parameter:
    """One that is filled from the request."""

    name: str
    where: str  #: "path", "query", "header", "cookie", "form", "file" or "body"
    alias: str  #: what the client calls it
    annotation: Any
    convert: Convert
    marker: Marker
    many: bool  #: repeated values make a list
    default: Any  #: NOTHING: it is required

    def fallback(self) -> Any:
        factory = self.marker.default_factory
        if factory is not None:
            return factory()
        return copy.deepcopy(self.default) if isinstance(self.default, (list, dict, set)) else self.default

    @property
    def required(self) -> bool:
        return self.default is NOTHING and self.marker.default_factory is None


@dataclass(frozen=True)
class Plan:
    """How a typed handler is called."""

    order: tuple[tuple[str, str], ...]  #: (what: "request", "pool", "value" or "plain", the name)
    positional: int  #: so many of them are passed by place
    parameters: tuple[Parameter, ...]
    rest: tuple[str, ...]  #: variables of the path that go into **kwargs
    embed: bool  #: the body is an object of the parameters' names

    @property
    def pool(self) -> str:
        """The parameter that is the pool."""
        return next((name for what, name in self.order if what == "pool"), "")

    def bind(self, handler: Callable[..., Any], asynchronous: bool) -> Callable[..., Any]:
        """As handler(request[, pool])."""
        arguments = self._arguments()

        def call(request: Request, *pool: Any) -> Any:
            positional, named = arguments(request, pool)
            return handler(*positional, **named)

        async def call_async(request: Request, *pool: Any) -> Any:
            positional, named = arguments(request, pool)
            return await handler(*positional, **named)

        return call_async if asynchronous else call

    def _arguments(self) -> Callable[[Request, Sequence[Any]], tuple[list[Any], dict[str, Any]]]:
        """What makes the arguments of a request, with all that can be known before it. It raises
        RequestValidationError with everything that is wrong."""
        from_request = [name for what, name in self.order if what == "request"]
        from_pool = [name for what, name in self.order if what == "pool"]
        from_path = [*(name for what, name in self.order if what == "plain"), *self.rest]
        first = [name for _, name in self.order[: self.positional]]
        sources = [(p, _SOURCES[p.where], ("body" if p.where in _FORMS else p.where, p.alias))
                   for p in self.parameters if p.where != "body"]
        bodies = [p for p in self.parameters if p.where == "body"]

        def fill(request: Request, errors: Errors, values: dict[str, Any]) -> None:
            for p, source, loc in sources:
                values[p.name] = _fill(p, source(request, p), loc, errors)
            if bodies:
                self._fill_bodies(request, bodies, values, errors)

        def arguments(request: Request, pool: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
            errors = Errors(lambda: len(request.query_string) + (request.content_length or 0))
            values: dict[str, Any] = {}
            try:
                fill(request, errors, values)
            except TooMany:
                pass
            if errors:
                raise RequestValidationError(errors)
            for name in from_request:
                values[name] = request
            for name in from_pool:
                values[name] = pool[0]
            if from_path:
                params = request.path_params
                for name in from_path:
                    values[name] = params[name]
            return [values.pop(name) for name in first] if first else [], values

        return arguments

    def _fill_bodies(self, request: Request, bodies: list[Parameter], values: dict[str, Any], errors: Errors) -> None:
        try:
            body = request.body
        except BadRequest as exc:
            if type(exc) is not BadRequest:
                raise
            return error(errors, ("body",), "json_invalid", f"JSON decode error: {exc.description}")
        absent = body is None  # null is no body, as in FastAPI
        if not self.embed:
            (p,) = bodies
            values[p.name] = _fill(p, NOTHING if absent else body, ("body",), errors)
            return
        if not absent and not isinstance(body, dict):
            return error(errors, ("body",), "dict_type", "Input should be a valid dictionary")
        for p in bodies:
            values[p.name] = _fill(p, NOTHING if absent else body.get(p.alias, NOTHING), ("body", p.alias), errors)


def _fill(p: Parameter, value: Any, loc: Loc, errors: Errors) -> Any:
    if value is not NOTHING:
        try:
            return p.convert(value, loc, errors)
        except RecursionError:
            return error(errors, loc, "recursion_loop", "Input is nested too deeply")
    if p.required:
        return error(errors, loc, "missing", "Field required")
    return p.fallback()


def _from_path(request: Request, p: Parameter) -> Any:
    return request.path_params[p.alias]


def _repeated(source: Any, p: Parameter) -> Any:
    if p.many:
        return source.getlist(p.alias) or NOTHING
    return source.get(p.alias, NOTHING)


#: Called with (request, parameter), return the raw value or NOTHING.
_SOURCES: dict[str, Callable[[Request, Parameter], Any]] = {
    "path": _from_path,
    "query": lambda request, p: _repeated(request.args, p),
    "header": lambda request, p: _repeated(request.headers, p),
    "cookie": lambda request, p: request.cookies.get(p.alias, NOTHING),
    "form": lambda request, p: _repeated(request.form, p),
    "file": lambda request, p: _repeated(request.files, p),
}


# ---- registration ------------------------------------------------------------------


def _function_of(func: Any) -> Any:
    from ._routing import _unwrap_partial

    func = inspect.unwrap(_unwrap_partial(func))
    if not hasattr(func, "__globals__"):
        func = inspect.unwrap(getattr(func, "__func__", None) or getattr(type(func), "__call__", func))
    return func


def resolve(func: Any, name: str, annotation: Any) -> Any:
    """What an annotation means, with the names that it uses. NameError and its like."""

    def holder() -> None: ...

    holder.__annotations__ = {name: annotation}
    function = _function_of(func)
    names = dict(getattr(function, "__globals__", {}))
    for free, cell in zip(getattr(getattr(function, "__code__", None), "co_freevars", ()), function.__closure__ or ()):
        try:
            names[free] = cell.cell_contents
        except ValueError:  # not assigned yet
            pass
    return typing.get_type_hints(holder, names, include_extras=True)[name]


def _is(annotation: Any, cls: type) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, cls)


class _Planner:
    """Sorts a handler's parameters."""

    def __init__(self, func: Any, pool: bool, converters: dict[str, str]) -> None:
        self.func, self.pool, self.converters = func, pool, converters
        self.parameters: list[Parameter] = []
        self.order: list[tuple[str, str]] = []
        self.positional = 0  #: so many arguments are passed by place
        self.left_alone = False  #: a parameter that keeps its default stood before
        self.leading = True  #: only the request and the pool stood so far
        self.needed = False  #: something is to be converted
        self.has: set[str] = set()

    def plan(self, signature: list[inspect.Parameter]) -> Optional[Plan]:
        """None: nothing to convert, the handler is an ordinary one."""
        rest: tuple[str, ...] = ()
        for p in signature:
            if p.kind is p.VAR_KEYWORD:
                named = {q.name for q in signature}
                rest = tuple(v for v in self.converters if v not in named)
            elif p.kind is not p.VAR_POSITIONAL:
                self.sort(p)
        if not self.needed:
            return None
        if any(p.kind is p.VAR_POSITIONAL for p in signature):
            raise Unsupported("a handler with typed parameters takes no *args")
        if self.pool and "pool" not in self.has:
            raise Unsupported("use_process_pool=True needs a parameter for the pool: pool: concurrent.futures.Executor")
        places = {p.where for p in self.parameters}
        if "body" in places and places.intersection(_FORMS):
            raise Unsupported("a body is JSON or a form, not both: Body() and Form() do not go together")
        bodies = [p for p in self.parameters if p.where == "body"]
        return Plan(tuple(self.order), self.positional, tuple(self.parameters), rest,
                    len(bodies) > 1 or any(p.marker.embed for p in bodies))

    def sort(self, p: inspect.Parameter) -> None:
        what = self.kind_of(p)
        if not what:
            self.leading, self.left_alone = False, True
            return
        # The request comes by place where it is the first, as to other handlers: a decorator's
        # wrapper may call it something else.
        self.leading = self.leading and what in ("request", "pool") and p.kind is not p.KEYWORD_ONLY
        if self.leading or p.kind is p.POSITIONAL_ONLY:
            if self.positional < len(self.order) or self.left_alone:
                raise Unsupported(f"the parameter {p.name!r} can only be passed by place, and others before it are not")
            self.positional += 1
        self.has.add(what)
        self.order.append((what, p.name))

    def kind_of(self, p: inspect.Parameter) -> str:
        annotation, marker = self.annotation_of(p)
        if p.name in self.converters and (marker is None or marker.where in ("", "path")):
            return self.variable(p, annotation, marker)
        if marker is None:
            if "request" not in self.has and self.is_request(p, annotation):
                return "request"
            if "pool" not in self.has and self.pool and (_is(annotation, concurrent.futures.Executor)
                                                         or p.name in ("pool", "executor") or annotation is p.empty):
                return "pool"
            if annotation is p.empty:
                if p.default is not p.empty:
                    return ""  # it keeps its default, as in a handler without types
                raise Unsupported(f"nobody fills the parameter {p.name!r}: give it an annotation, or a default")
        if annotation is p.empty:
            annotation = str
        return self.typed(p, annotation, marker)

    def annotation_of(self, p: inspect.Parameter) -> tuple[Any, Optional[Marker]]:
        annotation = p.annotation
        if isinstance(annotation, str) and annotation.rpartition(".")[2].strip("'\"") == "Request":
            return Request, None  # perhaps imported for the type checker only
        if annotation is not p.empty:
            try:
                annotation = resolve(self.func, p.name, annotation)
            except (NameError, AttributeError, TypeError, SyntaxError) as exc:
                raise Unsupported(f"the annotation of the parameter {p.name!r} cannot be resolved: {exc}") from None
        marker = p.default if isinstance(p.default, Marker) else None
        if typing.get_origin(annotation) is typing.Annotated:
            found = [one for one in annotation.__metadata__ if isinstance(one, Marker) and one.where]
            if len(found) + (marker is not None) > 1:
                raise Unsupported(f"the parameter {p.name!r} has more than one of Query(), Body() and their like")
            marker = found[0] if found else marker
        return annotation, marker

    def is_request(self, p: inspect.Parameter, annotation: Any) -> bool:
        return (_is(annotation, Request) or p.name in ("request", "req") or annotation in (Any, object)
                or (annotation is p.empty and p.default is p.empty))

    def variable(self, p: inspect.Parameter, annotation: Any, marker: Optional[Marker]) -> str:
        given = _GIVEN.get(self.converters[p.name])
        plain = annotation is p.empty or annotation is Any or annotation is given
        if marker is not None and marker.alias not in (None, p.name):
            raise Unsupported(f"Path() of {p.name!r} takes no alias: the rule has the name")
        if not plain and not (marker is None and given is None):
            self.add(p, "path", annotation, marker or Marker("path"))
            return "value"
        return "plain"

    def typed(self, p: inspect.Parameter, annotation: Any, marker: Optional[Marker]) -> str:
        if marker is None:
            body = _wants_body(annotation)
            try:
                self.add(p, "body" if body else "query", annotation, Marker("body" if body else "query"))
            except Unsupported:
                if p.default is p.empty or body:
                    raise
                return ""  # something of the handler's own, with a default
            return "value"
        if marker.where == "path":
            raise Unsupported(f"the rule has no variable {p.name!r} for its Path()")
        self.add(p, marker.where, annotation, marker)
        return "value"

    def add(self, p: inspect.Parameter, where: str, annotation: Any, marker: Marker) -> None:
        default = p.default
        if default is p.empty:
            default = marker.default
        elif isinstance(default, Marker):
            default = default.default
            if typing.get_origin(annotation) is not typing.Annotated:
                annotation = typing.Annotated[annotation, marker]
        try:
            convert = _convert_of(where, annotation)
        except Unsupported as exc:
            raise Unsupported(f"the parameter {p.name!r} cannot be filled: {exc}") from None
        alias = marker.alias or (p.name.replace("_", "-") if where == "header" and marker.convert_underscores else p.name)
        many = where in ("query", "header", *_FORMS) and is_list(annotation)
        self.parameters.append(Parameter(p.name, where, alias, annotation, convert, marker, many, default))
        self.needed = True


def _wants_body(annotation: Any) -> bool:
    for member in members_of(annotation):
        if is_fields(member) or _models.is_model(member) or (typing.get_origin(member) or member) is dict:
            return True
        if is_list(member) and any(_wants_body(arg) for arg in typing.get_args(member)):
            return True
    return False


def _as_it_is(value: Any, loc: Loc, errors: Errors) -> Any:
    return value


def _read(value: Any, loc: Loc, errors: Errors) -> Any:
    return [one.read() for one in value] if isinstance(value, list) else value.read()


def _convert_of(where: str, annotation: Any) -> Convert:
    if where == "file":
        reads = any(bytes in (member, *typing.get_args(member)) for member in members_of(annotation))
        return _read if reads else _as_it_is
    if where != "path":
        return converter(annotation, text=where != "body")
    # The rule has converted it perhaps: then it is a number already.
    convert = converter(annotation, text=True)
    if str in members_of(annotation):
        return lambda value, loc, errors: convert(str(value), loc, errors)
    return convert


def plan_of(func: Any, name: str, pool: bool, rule: str, signature: list[inspect.Parameter],
            own: Collection[str] = ()) -> Optional[Plan]:
    """The handler's plan; None: it has nothing to convert. TypeError with file and line."""
    from ._routing import _code_of

    converters = {variable[0]: variable[1] for variable in _snacgi.check_rule(rule)}
    converters.update(dict.fromkeys(own, ""))
    try:
        return _Planner(func, pool, converters).plan(signature)
    except Unsupported as exc:
        code = _code_of(func)
        where = f"{code.co_filename}:{code.co_firstlineno}: " if code is not None else ""
        raise TypeError(f"{where}{name}: {exc}") from None
