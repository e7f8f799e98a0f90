# SPDX-License-Identifier: MIT
"""request.url, put together again from what the front server sent; and url_for()."""

from __future__ import annotations

import re
from typing import Any, Iterator, Optional
from urllib.parse import quote, unquote, urlencode

from _snacgi import Request

from . import _routing
from ._rules import Variable, parts_of

_SAFE = "!$&'()*+,:;=@~"


def build(request: Request) -> str:
    uri = request.environ.get("REQUEST_URI", "")
    if "://" in uri.partition("?")[0]:
        return uri  # absolute form
    if not uri.startswith("/"):
        uri = quote(request._mount + request.path, safe="/:@!$&'()*+,;=~")
        if request.query_string:
            uri += "?" + request.query_string.decode("latin-1")
    return f"{request.scheme}://{request.host}{request._prefix}{uri}"


def root(request: Request) -> str:
    """What is in front of the path, escaped."""
    return request._prefix + quote(request._mount, safe="/" + _SAFE)


class BuildError(LookupError):
    """url_for() finds no rule for the endpoint and the values."""


def _own_text(part: Variable, converter: Any, value: Any) -> str:
    text: str = converter.to_url(value)
    if not re.fullmatch(converter.regex, unquote(text)):
        raise ValueError(f"{part.name}={value!r} does not fit {part.written}")
    return text


def _fill(route: _routing.Route, values: dict[str, Any]) -> Iterator[str]:
    for part in parts_of(route.rule):
        if isinstance(part, str):
            yield quote(part, safe="/" + _SAFE)
        elif part.name in route.converters:
            yield _own_text(part, route.converters[part.name], values[part.name])
        else:
            text = part.text(route.pattern, values[part.name])
            yield quote(text, safe=_SAFE if part.converter == "string" else "/" + _SAFE)


def _names_of(rule: str) -> set[str]:
    return {part.name for part in parts_of(rule) if not isinstance(part, str)}


def _choose(endpoint: str, method: Optional[str], values: dict[str, Any]) -> tuple[str, set[str]]:
    # The path, and the names of the values in it: of the rule that takes the most of them.
    fitting = []
    for route in _routing.registry:
        defaults = route.defaults or {}
        if (route.endpoint == endpoint and (method is None or method.upper() in route.methods)
                and all(values.get(name, value) == value for name, value in defaults.items())):
            fitting.append((route, _names_of(route.rule), defaults))
    failures = []
    for route, names, defaults in sorted(fitting, key=lambda fit: (-len(fit[1] | fit[2].keys()), -len(fit[2]))):
        if names <= values.keys():
            try:
                return "".join(_fill(route, values)), names | defaults.keys()
            except ValueError as exc:
                failures.append(str(exc))
    raise _no_route(endpoint, values, failures)


def _current() -> Optional[Request]:
    from . import _globals

    return _globals.now_or_none()


def _request_for(what: str) -> Request:
    request = _current()
    if request is None:
        raise RuntimeError(f"url_for() with {what} needs a request that is being answered")
    return request


def url_for(endpoint: str, *, _anchor: Optional[str] = None, _method: Optional[str] = None,
            _scheme: Optional[str] = None, _external: Optional[bool] = None, **values: Any) -> str:
    """The path of the route with that endpoint, filled with values.

    What the rule has no variable for becomes the query; None is left out. ".name" is an
    endpoint of the blueprint that answers now. _external: a whole URL, with the scheme
    and host of the request that is being answered. Raises BuildError, a LookupError, also
    for a value that the rule's converter would not take.
    """
    if endpoint.startswith("."):
        own = _request_for("'.'").endpoint or ""
        endpoint = own.rpartition(".")[0] + endpoint if "." in own else endpoint[1:]
    values = {name: value for name, value in values.items() if value is not None}
    url, wanted = _choose(endpoint, _method, values)
    query = urlencode({name: value for name, value in values.items() if name not in wanted}, doseq=True)
    if query:
        url += "?" + query
    if _anchor is not None:
        url += "#" + quote(_anchor, safe=_SAFE + "/?")
    request = _current()
    if request is not None:
        url = root(request) + url
    if _external or _scheme:
        request = _request_for("_external")
        url = f"{_scheme or request.scheme}://{request.host}{url}"
    return url


def _no_route(endpoint: str, values: dict[str, Any], failures: list[str]) -> BuildError:
    if failures:
        return BuildError(f"url_for({endpoint!r}): {'; '.join(failures)}")
    rules = [r.rule for r in _routing.registry if r.endpoint == endpoint]
    if rules:
        return BuildError(f"url_for({endpoint!r}): {', '.join(rules)} needs other values than {sorted(values)}")
    import difflib

    near = difflib.get_close_matches(endpoint, [r.endpoint for r in _routing.registry], 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return BuildError(f"url_for({endpoint!r}): no route has that endpoint{hint}")
