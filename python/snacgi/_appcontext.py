# SPDX-License-Identifier: MIT
"""Contexts outside of requests, with Flask's names: g and current_app in scripts and tests. Private."""

from __future__ import annotations

import logging
from contextvars import Token
from typing import TYPE_CHECKING, Any, Optional

from _snacgi import Request

from . import _globals
from ._hooks import app_scope, is_async

if TYPE_CHECKING:
    from ._blueprint import App

_log = logging.getLogger("snacgi")


class Context:
    """Within it `g` is there and, of app.test_request_context(), the request. At its end
    teardown_request() and teardown_appcontext() functions are called."""

    def __init__(self, app: App, request: Request) -> None:
        self.app, self.request = app, request
        self._tokens: list[Token[Request]] = []

    def push(self) -> None:
        self._tokens.append(_globals.enter(self.request))

    def pop(self, exc: Optional[BaseException] = None) -> None:
        for f in reversed(app_scope.teardown):
            try:
                if is_async(f):
                    import asyncio

                    asyncio.run(f(exc))
                else:
                    f(exc)
            except Exception:
                _log.exception("%s (teardown_request) failed", getattr(f, "__qualname__", f))
        _globals.leave(self._tokens.pop())

    def __enter__(self) -> Context:
        self.push()
        return self

    def __exit__(self, kind: Any, exc: Optional[BaseException], tb: Any) -> None:
        self.pop(exc)


def app_context(app: App) -> Context:
    request = Request()
    request._no_request = True
    return Context(app, request)


def test_request_context(app: App, path: str, method: str, query_string: Any, data: Any, json: Any, headers: Any,
                         base_url: Optional[str]) -> Context:
    from ._testrequest import body_of
    from .testing import find_route

    body, kind = body_of(data, json, None)
    sent = list(headers.items() if hasattr(headers, "items") else headers or ())
    if kind and not any(name.lower() == "content-type" for name, _ in sent):
        sent.append(("Content-Type", kind))
    if base_url and path.startswith("/"):
        path = base_url.rstrip("/") + path
    request = Request(method.upper(), path, query_string, sent, body)
    request._route = find_route(request)
    return Context(app, request)
