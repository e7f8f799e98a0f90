# SPDX-License-Identifier: MIT
"""Further attributes of a Request, by Flask's and Werkzeug's names, computed when a handler asks. What
only Werkzeug can parse is parsed by it. Private: the core calls get()."""

from __future__ import annotations

import base64
import binascii
import functools
from datetime import datetime
from typing import Any, Callable, Optional

from _snacgi import Request

from . import _routing, _url
from ._datastructures import MultiDict
from ._dates import when
from ._forms import _werkzeug

class UserAgent:
    """The User-Agent header: str() of it, or ``string``."""

    def __init__(self, string: str) -> None:
        self.string = string

    def to_header(self) -> str:
        return self.string

    def __str__(self) -> str:
        return self.string

    def __bool__(self) -> bool:
        return bool(self.string)

    def __repr__(self) -> str:
        return f"<UserAgent {self.string!r}>"


class Authorization:
    """The Authorization header: ``type`` in lower case, and ``username`` and ``password`` of "basic", else
    ``token``, or ``parameters`` where there are some (``digest``)."""

    def __init__(self, type: str, parameters: Optional[dict[str, str]] = None, token: Optional[str] = None) -> None:
        self.type, self.parameters, self.token = type, parameters or {}, token

    def get(self, name: str, default: Any = None) -> Any:
        return self.parameters.get(name, default)

    def __getitem__(self, name: str) -> Optional[str]:
        return self.parameters.get(name)

    def __contains__(self, name: object) -> bool:
        return name in self.parameters

    def __getattr__(self, name: str) -> Optional[str]:  # username, password, realm, nonce ...
        if name.startswith("_"):
            raise AttributeError(name)
        return self.parameters.get(name)

    def __repr__(self) -> str:  # never what is secret
        return f"<Authorization {self.type} {list(self.parameters)}>"


def _authorization(request: Request) -> Optional[Authorization]:
    kind, _, rest = request.headers.get("Authorization", "").strip().partition(" ")
    kind, rest = kind.lower(), rest.strip()
    if not kind:
        return None
    if kind == "basic":
        try:
            name, colon, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        return Authorization(kind, {"username": name, "password": password}) if colon else None
    if "=" in rest.rstrip("="):
        parameters: dict[str, str] = _werkzeug("http", "authorization").parse_dict_header(rest)
        return Authorization(kind, parameters)
    return Authorization(kind, None, rest)


def _time(header: str) -> Callable[[Request], Optional[datetime]]:
    def parse(request: Request) -> Optional[datetime]:
        return when(request.headers.get(header))

    return parse


def _accept(header: str, kind: str) -> Callable[[Request], Any]:
    def parse(request: Request) -> Any:
        name = header.lower().replace("-", "_")
        text = request.headers.get(header)
        classes = _werkzeug("datastructures", name)
        return _werkzeug("http", name).parse_accept_header(text, getattr(classes, kind))

    return parse


def _tags(header: str) -> Callable[[Request], Any]:
    def parse(request: Request) -> Any:
        return _werkzeug("http", header.lower().replace("-", "_")).parse_etags(request.headers.get(header))

    return parse


def _range(request: Request) -> Any:
    return _werkzeug("http", "range").parse_range_header(request.headers.get("Range"))


def _cache_control(request: Request) -> Any:
    kind = _werkzeug("datastructures", "cache_control").RequestCacheControl
    return _werkzeug("http", "cache_control").parse_cache_control_header(request.headers.get("Cache-Control"), None, kind)


def _mimetype_params(request: Request) -> dict[str, str]:
    params: dict[str, str] = _werkzeug("http", "mimetype_params").parse_options_header(request.content_type)[1]
    return params


# ---- the route ----------------------------------------------------------------------


@functools.cache
def _table() -> dict[tuple[str, str], _routing.Route]:
    # The daemon's routes, which are what they are from its start on; the test client tells its own.
    table: dict[tuple[str, str], _routing.Route] = {}
    for route in _routing.registry:
        for method in route.methods:
            table.setdefault((route.pattern, method), route)
    return table


def _route(request: Request) -> Optional[_routing.Route]:
    here = request.__dict__
    if "_route" not in here:
        pattern, method = request._pattern, request.method
        route = None if pattern is None else _table().get((pattern, method))
        if route is None and method == "HEAD" and pattern is not None:  # one of its own wins over GET's
            route = _table().get((pattern, "GET"))
        here["_route"] = route
    found: Optional[_routing.Route] = here["_route"]
    return found


def _endpoint(request: Request) -> Optional[str]:
    route = _route(request)
    return None if route is None else route.endpoint


def _blueprint(request: Request) -> Optional[str]:
    return (_endpoint(request) or "").rpartition(".")[0] or None


def _blueprints(request: Request) -> list[str]:
    names = (_blueprint(request) or "").split(".")
    return [".".join(names[:n]) for n in range(len(names), 0, -1)] if names[0] else []


# ---- its URL --------------------------------------------------------------------------


def _full_path(request: Request) -> str:
    return f"{request.path}?{request.query_string.decode(errors='replace')}"


def _host_url(request: Request) -> str:
    return f"{request.scheme}://{request.host}/"


def _root_url(request: Request) -> str:
    return f"{request.scheme}://{request.host}{_url.root(request)}/"


def _values(request: Request) -> MultiDict:
    pairs = list(request.args.items(multi=True))
    if request.method in ("POST", "PUT", "PATCH") and request.mimetype in (
            "application/x-www-form-urlencoded", "multipart/form-data"):
        pairs += request.form.items(multi=True)
    return MultiDict(pairs)


_GET: dict[str, Callable[[Request], Any]] = {
    "endpoint": _endpoint,
    "url_rule": _route,
    "blueprint": _blueprint,
    "blueprints": _blueprints,
    "base_url": lambda request: request.url.partition("?")[0],
    "host_url": _host_url,
    "url_root": _root_url,
    "root_url": _root_url,
    "full_path": _full_path,
    "is_secure": lambda request: request.scheme == "https",
    "values": _values,
    "authorization": _authorization,
    "user_agent": lambda request: UserAgent(request.headers.get("User-Agent", "")),
    "referrer": lambda request: request.headers.get("Referer"),
    "origin": lambda request: request.headers.get("Origin"),
    "remote_user": lambda request: request.environ.get("REMOTE_USER") or None,
    "mimetype_params": _mimetype_params,
    "accept_mimetypes": _accept("Accept", "MIMEAccept"),
    "accept_languages": _accept("Accept-Language", "LanguageAccept"),
    "accept_charsets": _accept("Accept-Charset", "CharsetAccept"),
    "accept_encodings": _accept("Accept-Encoding", "Accept"),
    "if_match": _tags("If-Match"),
    "if_none_match": _tags("If-None-Match"),
    "if_modified_since": _time("If-Modified-Since"),
    "if_unmodified_since": _time("If-Unmodified-Since"),
    "date": _time("Date"),
    "range": _range,
    "cache_control": _cache_control,
}


def get(request: Request, name: str) -> Any:
    """The attribute `name`."""
    return _GET[name](request)
