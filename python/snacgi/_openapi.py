# SPDX-License-Identifier: MIT
"""The OpenAPI 3.1 document of all routes, and where it is served. Imported when it is asked for."""

from __future__ import annotations

import inspect
import re
import typing
from typing import Any, Iterable, Iterator, Optional

import _snacgi
from _snacgi import Request, Response

from . import _describe, _routing
from ._params import NOTHING
from ._routing import Route
from ._rules import Variable, parts_of
from ._schema import Schema, Schemas, as_json
from ._typed import Parameter, resolve

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

_CONVERTED = {"int": {"type": "integer"}, "float": {"type": "number"}, "uuid": {"type": "string", "format": "uuid"}}

_ARGUMENTS = {"min": "minimum", "max": "maximum", "minlength": "minLength", "maxlength": "maxLength"}

_INVALID: Schema = {
    "type": "object", "title": "HTTPValidationError",
    "properties": {"detail": {"type": "array", "items": {"$ref": "#/components/schemas/ValidationError"}}},
}
_INVALID_ONE: Schema = {
    "type": "object", "title": "ValidationError", "required": ["loc", "msg", "type"],
    "properties": {"loc": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
                   "msg": {"type": "string"}, "type": {"type": "string"}},
}


class _Document:
    """Collects operations."""

    def __init__(self) -> None:
        self.schemas = Schemas()
        self.schemas.components.update(HTTPValidationError=_INVALID, ValidationError=_INVALID_ONE)
        self.paths: dict[str, dict[str, Any]] = {}
        self.shapes: dict[str, tuple[str, list[str]]] = {}  #: the path without names: the path, and its names
        self.ids: set[str] = set()
        self.invalid = False  #: whether an operation refers to the two above

    def path_of(self, rule: str) -> tuple[str, dict[str, str], list[Variable]]:
        """The path, new names of variables, and the variables. Paths that differ only in names
        are one path for OpenAPI."""
        parts = parts_of(rule)
        variables = [part for part in parts if isinstance(part, Variable)]
        shape = "".join(part if isinstance(part, str) else "{}" for part in parts)
        if shape not in self.shapes:
            path = "".join(part if isinstance(part, str) else "{%s}" % part.name for part in parts)
            self.shapes[shape] = path, [v.name for v in variables]
        path, names = self.shapes[shape]
        return path, {v.name: name for v, name in zip(variables, names)}, variables

    def add(self, rule: str, methods: Iterable[str], make: Any) -> None:
        path, names, variables = self.path_of(rule)
        item = self.paths.setdefault(path, {})
        methods = [method.lower() for method in methods if method.lower() in _METHODS]
        for method in methods:
            operation = make(variables, names)
            if method in item:  # the same path and method by other converters, or behind a native route
                also = f"`{rule}`: {operation.get('summary', '')}"
                item[method]["description"] = "\n\n".join(filter(None, (item[method].get("description"), also)))
                continue
            operation["operationId"] = self.unique(operation["operationId"], method if len(methods) > 1 else "")
            item[method] = operation

    def unique(self, wanted: str, method: str) -> str:
        base = name = re.sub(r"[^A-Za-z0-9_]+", "_", f"{wanted}_{method}" if method else wanted).strip("_") or "operation"
        n = 2
        while name in self.ids:
            name, n = f"{base}_{n}", n + 1
        self.ids.add(name)
        return name

    # ---- native routes ---------------------------------------------------------

    def add_native(self, rule: str, methods: str, name: str, summary: str, description: str) -> None:
        def make(variables: list[Variable], names: dict[str, str]) -> dict[str, Any]:
            told = {"summary": summary, "description": description}
            return {
                **{key: text for key, text in told.items() if text},
                "operationId": name if name != rule else f"{methods.partition(',')[0].lower()}{rule}",
                "parameters": [_in_path(names[v.name], _schema_of(v)) for v in variables],
                "responses": {"200": {"description": "Successful Response"}},
            }

        self.add(rule, methods.split(", "), make)

    # ---- routes in Python ----------------------------------------------------------

    def add_route(self, route: Route) -> None:
        if route.doc.include_in_schema:
            self.add(route.rule, route.methods, lambda variables, names: self.operation(route, variables, names))

    def operation(self, route: Route, variables: list[Variable], names: dict[str, str]) -> dict[str, Any]:
        doc = route.doc
        group, _, function = route.endpoint.rpartition(".")
        first, rest = _docstring(route.handler)
        made: dict[str, Any] = {
            "tags": list(doc.tags if doc.tags is not None else (group,) if group else ()),
            "summary": doc.summary or first or function.replace("_", " ").title(),
            "description": doc.description if doc.description is not None else rest,
            "operationId": doc.operation_id or route.endpoint,
            "deprecated": doc.deprecated,
            "parameters": list(self.parameters(route, variables, names)),
            "requestBody": self.body(route),
            "responses": self.responses(route),
        }
        return {key: value for key, value in made.items() if value or key == "responses"}

    def parameters(self, route: Route, variables: list[Variable], names: dict[str, str]) -> Iterator[dict[str, Any]]:
        typed = {p.name: p for p in _filled(route)}
        for v in variables:
            p = typed.get(v.name)
            if p is None or p.where != "path":
                yield _in_path(names[v.name], _schema_of(v))
            else:
                yield {**_in_path(names[v.name], self.schemas.of(p.annotation)), **_about(p)}
        for p in typed.values():
            if p.where in ("query", "header", "cookie") and p.marker.include_in_schema:
                yield {"name": p.alias, "in": p.where, "required": p.required, "schema": self.schema_of(p), **_about(p)}

    def schema_of(self, p: Parameter) -> Schema:
        schema = self.schemas.of(p.annotation)
        default = NOTHING if p.required else as_json(p.fallback())
        return schema if default in (NOTHING, None) else {**schema, "default": default}

    def body(self, route: Route) -> Optional[dict[str, Any]]:
        filled = [p for p in _filled(route) if p.marker.include_in_schema]
        bodies = [p for p in filled if p.where == "body"]
        forms = [p for p in filled if p.where in ("form", "file")]
        if not bodies and not forms:
            return None
        if bodies and route.passing.typed is not None and not route.passing.typed.embed:
            schema, kind, needed = self.schema_of(bodies[0]), "application/json", bodies[0].required
        else:
            fields = bodies or forms
            schema = {"type": "object", "properties": {p.alias: {**self.form_field(p), **_about(p)} for p in fields}}
            required = [p.alias for p in fields if p.required]
            if required:
                schema["required"] = required
            needed = bool(required)
            kind = ("application/json" if bodies else "multipart/form-data" if any(p.where == "file" for p in forms)
                    else "application/x-www-form-urlencoded")
        about = {"description": bodies[0].marker.description} if len(bodies) == 1 and bodies[0].marker.description else {}
        return {**about, "required": needed, "content": {kind: {"schema": schema}}}

    def form_field(self, p: Parameter) -> Schema:
        if p.where != "file":
            return self.schema_of(p)
        one: Schema = {"type": "string", "format": "binary"}
        return {"type": "array", "items": one} if p.many else one

    def responses(self, route: Route) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for status, what in route.doc.responses.items():
            about: dict[str, Any] = {"description": what} if isinstance(what, str) else what
            made[str(status)] = {"description": about.get("description") or _phrase(status)}
            if about.get("model") is not None:
                made[str(status)]["content"] = {"application/json": {"schema": self.schemas.of(about["model"])}}
        good = next((one for status, one in made.items() if status[0] == "2"), None)
        returned = _returned(route.handler)
        if good is None:
            good = made["204" if returned is None else "200"] = {"description": "Successful Response"}
        if "content" not in good and returned not in (None, inspect.Parameter.empty):
            content = self.content(returned)
            if content:
                good["content"] = content
        if _filled(route):
            self.invalid = True
            made.setdefault("422", {"description": "Validation Error", "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/HTTPValidationError"}}}})
        return dict(sorted(made.items()))

    def content(self, returned: Any) -> Optional[dict[str, Any]]:
        """Of a result of that type, as the answer is made of it."""
        if typing.get_origin(returned) is tuple:  # (body, status), (body, status, headers)
            returned = typing.get_args(returned)[0]
        if isinstance(returned, type) and issubclass(returned, Response):
            return None
        if returned in (str, bytes):
            return {"text/html" if returned is str else "application/octet-stream": {"schema": {"type": "string"}}}
        return {"application/json": {"schema": self.schemas.of(returned)}}


def _filled(route: Route) -> tuple[Parameter, ...]:
    return () if route.passing.typed is None else route.passing.typed.parameters


def _schema_of(v: Variable) -> Schema:
    """By the rule's own converter and its arguments."""
    if v.converter == "any":
        return {"type": "string", "enum": [str(one) for one in v.args]}
    schema: Schema = dict(_CONVERTED.get(v.converter, {"type": "string"}))
    schema.update((_ARGUMENTS[key], value) for key, value in v.kwargs.items() if key in _ARGUMENTS and value is not None)
    if v.converter == "string" and isinstance(v.kwargs.get("length"), int):
        schema.update(minLength=v.kwargs["length"], maxLength=v.kwargs["length"])
    return schema


def _in_path(name: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _about(p: Parameter) -> dict[str, Any]:
    about: dict[str, Any] = {"description": p.marker.description} if p.marker.description else {}
    return {**about, "deprecated": True} if p.marker.deprecated else about


def _phrase(status: int) -> str:
    import http

    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def _docstring(handler: Any) -> tuple[str, str]:
    """(the first paragraph in one line, the rest)."""
    text = inspect.getdoc(inspect.unwrap(_routing._unwrap_partial(handler))) or ""
    first, _, rest = text.partition("\n\n")
    return " ".join(first.split()), rest.strip()


def _returned(handler: Any) -> Any:
    """The annotation of the result; Parameter.empty when there is none that can be told."""
    try:
        function = inspect.unwrap(_routing._unwrap_partial(handler))
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            return inspect.Parameter.empty  # a stream, of a type that only the answer says
        annotation = inspect.signature(handler).return_annotation
        return annotation if annotation is inspect.Parameter.empty else _none(resolve(handler, "return", annotation))
    except (TypeError, ValueError, NameError, AttributeError, SyntaxError):
        return inspect.Parameter.empty


def _none(annotation: Any) -> Any:
    return None if annotation is type(None) else annotation


def openapi(*, title: str = "snacgi", version: str = "0.1.0", description: Optional[str] = None,
            servers: Iterable[str] = ()) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the routes that are registered now, native ones of the
    daemon included."""
    document = _Document()
    for native in _describe.native:
        document.add_native(*native)
    for route in _routing.registry:
        document.add_route(route)
    components = dict(sorted(document.schemas.components.items()))
    if not document.invalid:
        del components["HTTPValidationError"], components["ValidationError"]
    info = {"title": title, "version": version, **({"description": description} if description else {})}
    made: dict[str, Any] = {"openapi": "3.1.0", "info": info, "servers": [{"url": url} for url in servers],
                            "paths": document.paths, "components": {"schemas": components}}
    return {key: value for key, value in made.items() if key in ("openapi", "info", "paths") or value != {"schemas": {}} and value}


class _Served:
    """The document, made when it is first asked for and again when there are other routes."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.made_of: Optional[list[Route]] = None
        self.text = b""

    def __call__(self, request: Request) -> Response:
        registry = _routing.registry
        if self.made_of is None or self.made_of != registry:
            made_of = registry[:]
            self.text, self.made_of = _snacgi.dumps(openapi(**self.options)), made_of
        return Response(self.text, mimetype="application/json")


def _relative(origin: str, target: str) -> str:
    """From the page at `origin` to `target`, so that it holds below any prefix."""
    return "../" * (origin.count("/") - 1) + target.lstrip("/") or "./"


def enable_docs(*, openapi_url: str = "/openapi.json", docs_url: Optional[str] = "/docs", title: str = "snacgi",
                version: str = "0.1.0", description: Optional[str] = None, servers: Optional[Iterable[str]] = None) -> None:
    """Serves the OpenAPI document of all routes at `openapi_url`, and a page that shows it
    at `docs_url` (None: no page). Without this call neither exists.

    title, version, description: of the API. servers: URLs of it, in the place of the one
    where the document itself was found. Raises what is wrong with the arguments.
    """
    for name, url in (("openapi_url", openapi_url), ("docs_url", docs_url)):
        if url is not None and (not isinstance(url, str) or not url.startswith("/") or "<" in url):
            raise ValueError(f"{name} is a path without variables that begins with '/', not {url!r}")
    for name, text in (("title", title), ("version", version)):
        if not isinstance(text, str):
            raise TypeError(f"{name} must be str, not {text!r}")
    if servers is None:
        servers = [_relative(openapi_url, "/")]
    options = {"title": title, "version": version, "description": description, "servers": list(servers)}
    served = _Served(options)

    def openapi_json(request: Request) -> Response:
        return served(request)

    _routing.route(openapi_url, endpoint="openapi", include_in_schema=False)(openapi_json)
    if docs_url is not None:
        from ._docs import page

        shown = page(title, _relative(docs_url, openapi_url))

        def docs(request: Request) -> Response:
            return shown()

        _routing.route(docs_url, endpoint="docs", include_in_schema=False)(docs)
