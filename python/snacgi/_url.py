# SPDX-License-Identifier: MIT
"""request.url, put together again from what the front server sent; and url_for()."""

from __future__ import annotations

import re
from typing import Any, Iterator, Optional
from urllib.parse import quote, urlencode

from _snacgi import Request

from . import _routing

_SAFE = "!$&'()*+,:;=@~"
_VARIABLE = re.compile(r"<(?:(\w+)(?:\(.*?\))?:)?(\w+)>")


def build(request: Request) -> str:
    uri = request.environ.get("REQUEST_URI", "")
    if "://" in uri.partition("?")[0]:
        return uri  # absolute form
    if not uri.startswith("/"):
        uri = quote(request.path, safe="/:@!$&'()*+,;=~")
        if request.query_string:
            uri += "?" + request.query_string.decode("latin-1")
    return f"{request.scheme}://{request.host}{uri}"


class BuildError(LookupError):
    """url_for() finds no rule for the endpoint and the values."""


def _fill(rule: str, values: dict[str, Any]) -> Iterator[str]:
    at = 0
    for found in _VARIABLE.finditer(rule):
        yield quote(rule[at : found.start()], safe="/" + _SAFE)
        text = str(values[found[2]])
        yield quote(text, safe="/" + _SAFE if found[1] == "path" else _SAFE)
        at = found.end()
    yield quote(rule[at:], safe="/" + _SAFE)


def _request_for(what: str) -> Request:
    from . import _globals

    request = _globals._request.get(None)
    if request is None:
        raise RuntimeError(f"url_for() with {what} needs a request that is being answered")
    return request


def url_for(endpoint: str, *, _anchor: Optional[str] = None, _method: Optional[str] = None,
            _scheme: Optional[str] = None, _external: Optional[bool] = None, **values: Any) -> str:
    """The path of the route with that endpoint, filled with values.

    What the rule has no variable for becomes the query; None is left out. ".name" is an
    endpoint of the blueprint that answers now. _external: a whole URL, with the scheme
    and host of the request that is being answered. Raises BuildError, a LookupError.
    """
    if endpoint.startswith("."):
        own: str = getattr(_request_for("'.'"), "_endpoint", "")
        endpoint = own.rpartition(".")[0] + endpoint if "." in own else endpoint[1:]
    values = {name: value for name, value in values.items() if value is not None}
    fit = None
    wanted: set[str] = set()
    for route in _routing.registry:
        if route.endpoint != endpoint or (_method is not None and _method.upper() not in route.methods):
            continue
        names = {found[2] for found in _VARIABLE.finditer(route.rule)}
        if names <= values.keys() and (fit is None or len(names) > len(wanted)):
            fit, wanted = route, names
    if fit is None:
        raise _no_route(endpoint, values)
    url = "".join(_fill(fit.rule, values))
    query = urlencode({name: value for name, value in values.items() if name not in wanted}, doseq=True)
    if query:
        url += "?" + query
    if _anchor is not None:
        url += "#" + quote(_anchor, safe=_SAFE + "/?")
    if _external or _scheme:
        request = _request_for("_external")
        url = f"{_scheme or request.scheme}://{request.host}{url}"
    return url


def _no_route(endpoint: str, values: dict[str, Any]) -> BuildError:
    rules = [r.rule for r in _routing.registry if r.endpoint == endpoint]
    if rules:
        return BuildError(f"url_for({endpoint!r}): {', '.join(rules)} needs other values than {sorted(values)}")
    import difflib

    near = difflib.get_close_matches(endpoint, [r.endpoint for r in _routing.registry], 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return BuildError(f"url_for({endpoint!r}): no route has that endpoint{hint}")
