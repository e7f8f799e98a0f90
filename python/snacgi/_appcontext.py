# SPDX-License-Identifier: MIT
"""Contexts outside of requests, with Flask's names: g and current_app in scripts and tests. Private."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional

from _snacgi import Request

from . import _globals
from ._bind import _Pipeline, drive_by_hand, missing
from ._hooks import app_scope
from ._newrequest import _pairs

if TYPE_CHECKING:
    from ._blueprint import App


class Context:
    """Within it `g` is there and, of app.test_request_context(), the request. At its end
    teardown_request() and teardown_appcontext() functions are called."""

    def __init__(self, app: App, request: Optional[Request]) -> None:
        self.app, self.request = app, request
        self._left: list[Callable[[], None]] = []

    def push(self) -> None:
        if self.request is not None:
            request = _globals.enter(self.request)
            self._left.append(lambda: _globals.leave(request))
        else:
            own = _globals.own_g.set((_globals.now_or_none(), {}))
            self._left.append(lambda: _globals.own_g.reset(own))

    def pop(self, exc: Optional[BaseException] = None) -> None:
        route = self.request._route if self.request is not None else None
        try:
            scopes = (*(route.scopes if route is not None else ()), app_scope)
            drive_by_hand(_Pipeline(missing, "snacgi", False, scopes, False).tear_down(exc))
        finally:
            self._left.pop()()

    def __enter__(self) -> Context:
        self.push()
        return self

    def __exit__(self, kind: Any, exc: Optional[BaseException], tb: Any) -> None:
        self.pop(exc)


def app_context(app: App) -> Context:
    return Context(app, None)


def test_request_context(app: App, path: str, method: str, query_string: Any, data: Any, json: Any, headers: Any,
                         base_url: Optional[str]) -> Context:
    from ._testrequest import body_of
    from .testing import find_route

    body, kind = body_of(data, json, None)
    sent = _pairs(headers)
    if kind and not any(name.lower() == "content-type" for name, _ in sent):
        sent.append(("Content-Type", kind))
    if base_url and path.startswith("/"):
        path = base_url.rstrip("/") + path
    request = Request(method.upper(), path, query_string, sent, body)
    request._route = find_route(request)
    return Context(app, request)
