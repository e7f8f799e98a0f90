# SPDX-License-Identifier: MIT
"""The request that is being answered, and g, by context variable.

So they hold in sync handlers, in tasks, and in the threads of asyncio.to_thread and
of run_in_executor(None, ...), which the server gives a copy of the context. Only
where this module was imported, or a hook exists, is the variable set at all: a
plain handler pays nothing.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Iterator, Optional

from _snacgi import Request

_request: ContextVar[Request] = ContextVar("snacgi.request")
#: Of app.app_context(): the request that is answered there, if any, and what g holds while it is that one.
own_g: ContextVar[tuple[Optional[Request], dict[str, Any]]] = ContextVar("snacgi.g")

enter = _request.set
leave = _request.reset

_OUTSIDE = (
    "no request is being answered here: current_request and g are for handlers, hooks, and what they"
    " call; in a thread of your own run the function by contextvars.copy_context().run()"
)


def _now() -> Request:
    try:
        return _request.get()
    except LookupError:
        raise RuntimeError(_OUTSIDE) from None


def now_or_none() -> Optional[Request]:
    """The request that is being answered here."""
    return _request.get(None)


def has_request_context() -> bool:
    """True while a request is being answered here, or within app.test_request_context()."""
    return now_or_none() is not None


class _CurrentApp:
    """Stands for the App that was made last (Flask's `current_app`)."""

    __slots__ = ()

    def _get_current_object(self) -> Any:
        from . import _blueprint

        if _blueprint.last_app is None:
            raise RuntimeError("there is no App: current_app stands for the one that App(__name__) makes")
        return _blueprint.last_app

    def __getattr__(self, name: str) -> Any:
        return getattr(self._get_current_object(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._get_current_object(), name, value)

    def __bool__(self) -> bool:
        from . import _blueprint

        return _blueprint.last_app is not None

    def __repr__(self) -> str:
        return repr(self._get_current_object()) if self else "<no App>"


class _CurrentRequest:
    """Stands for the request that is being answered (Flask's `request`)."""

    __slots__ = ()

    def _get_current_object(self) -> Request:
        return _now()

    def __getattr__(self, name: str) -> Any:
        return getattr(_now(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_now(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_now(), name)

    def __bool__(self) -> bool:
        return _request.get(None) is not None

    def __eq__(self, other: object) -> bool:
        return _now() == other

    def __hash__(self) -> int:
        return hash(_now())

    def __repr__(self) -> str:
        return repr(_now()) if self else "<no request>"


def _names() -> dict[str, Any]:
    # Of g: kept with the request, so that every thread and task that answers it sees the same.
    own = own_g.get(None)
    if own is not None and own[0] is now_or_none():
        return own[1]
    here: dict[str, Any] = _now().__dict__
    names: dict[str, Any] = here.setdefault("_g", {})
    return names


_MISSING: Any = object()


class _G:
    """A namespace that lasts as long as the request, with the methods of Flask's g."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return _names()[name]
        except KeyError:
            raise AttributeError(f"g has no {name!r} in this request") from None

    def __setattr__(self, name: str, value: Any) -> None:
        _names()[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del _names()[name]
        except KeyError:
            raise AttributeError(f"g has no {name!r} in this request") from None

    def get(self, name: str, default: Any = None) -> Any:
        return _names().get(name, default)

    def pop(self, name: str, default: Any = _MISSING) -> Any:
        return _names().pop(name) if default is _MISSING else _names().pop(name, default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        return _names().setdefault(name, default)

    def __contains__(self, name: object) -> bool:
        return name in _names()

    def __iter__(self) -> Iterator[str]:
        return iter(_names())

    def __repr__(self) -> str:
        try:
            return f"<g {_names()!r}>"
        except RuntimeError:
            return "<g of no request>"


if TYPE_CHECKING:
    current_request: Request
else:
    current_request = _CurrentRequest()
request = current_request  # Flask's name
g: Any = _G()
current_app: Any = _CurrentApp()
