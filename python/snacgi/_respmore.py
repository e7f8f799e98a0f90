# SPDX-License-Identifier: MIT
"""Further attributes and methods of a Response, by Flask's and Werkzeug's names: mostly headers, with
values instead of text. Private: the core calls what is here when a handler asks."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any, Callable, Iterable, Iterator, Mapping, Optional, Union

from _snacgi import Request, Response

from . import _conditional
from ._background import BackgroundTask, BackgroundTasks, _each
from ._dates import http_date, when
from ._forms import _werkzeug

_Property = tuple[Callable[[Response], Any], Callable[[Response, Any], None]]


def _put(response: Response, header: str, text: Optional[str]) -> None:
    if text is None or text == "":
        if header in response.headers:
            del response.headers[header]
    else:
        response.headers[header] = text


def _text(header: str) -> _Property:
    return lambda response: response.headers.get(header), lambda response, value: _put(response, header, value)


def _number(header: str, read: Callable[[int], Any] = int) -> _Property:
    def get(response: Response) -> Any:
        text = response.headers.get(header, "")
        return read(int(text)) if text.isascii() and text.isdigit() else None

    def put(response: Response, value: Any) -> None:
        if isinstance(value, timedelta):
            value = int(value.total_seconds())
        _put(response, header, None if value is None else str(int(value)))

    return get, put


def _date(header: str) -> _Property:
    def put(response: Response, value: Union[date, int, float, str, None]) -> None:
        _put(response, header, http_date(value) if isinstance(value, (date, int, float)) else value)

    return lambda response: when(response.headers.get(header)), put


def _retry_after(response: Response) -> Optional[datetime]:
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=int(text))
    return when(text)


def _set_retry_after(response: Response, value: Any) -> None:
    _put(response, "Retry-After", http_date(value) if isinstance(value, datetime) else None if value is None else str(value))


def _set(header: str, or_none: bool = False) -> _Property:
    # A Werkzeug HeaderSet, whose changes go into the header.
    def get(response: Response) -> Any:
        if or_none and header not in response.headers:
            return None
        parse = _werkzeug("http", header.lower()).parse_set_header
        return parse(response.headers.get(header), lambda changed: _put(response, header, changed.to_header()))

    def put(response: Response, value: Union[str, Iterable[str], None]) -> None:
        _put(response, header, value if isinstance(value, str) or value is None else ", ".join(value))

    return get, put


def _cache_control(response: Response) -> Any:
    kind = _werkzeug("datastructures", "cache_control").ResponseCacheControl
    parse = _werkzeug("http", "cache_control").parse_cache_control_header
    return parse(response.headers.get("Cache-Control"),
                 lambda changed: _put(response, "Cache-Control", changed.to_header()), kind)


def _read_only(name: str) -> Callable[[Response, Any], None]:
    def put(response: Response, value: Any) -> None:
        raise AttributeError(f"{name} cannot be set")

    return put


def _is_json(response: Response) -> bool:
    kind = response.mimetype or ""
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _credentials(response: Response, value: Optional[bool]) -> None:
    _put(response, "Access-Control-Allow-Credentials", "true" if value else None)


_CORS = "Access-Control-"
_PROPERTIES: Mapping[str, _Property] = {
    "location": _text("Location"),
    "content_encoding": _text("Content-Encoding"),
    "content_location": _text("Content-Location"),
    "accept_ranges": _text("Accept-Ranges"),
    "content_language": _set("Content-Language"),
    "allow": _set("Allow"),
    "vary": _set("Vary"),
    "age": _number("Age", lambda seconds: timedelta(seconds=seconds)),
    "date": _date("Date"),
    "expires": _date("Expires"),
    "last_modified": _date("Last-Modified"),
    "retry_after": (_retry_after, _set_retry_after),
    "cache_control": (_cache_control, _read_only("cache_control")),
    "access_control_allow_origin": _text(_CORS + "Allow-Origin"),
    "access_control_allow_credentials": (
        lambda response: response.headers.get(_CORS + "Allow-Credentials") == "true", _credentials),
    "access_control_allow_headers": _set(_CORS + "Allow-Headers", True),
    "access_control_allow_methods": _set(_CORS + "Allow-Methods", True),
    "access_control_expose_headers": _set(_CORS + "Expose-Headers", True),
    "access_control_max_age": _number(_CORS + "Max-Age"),
    "is_json": (_is_json, _read_only("is_json")),
    "is_sequence": (lambda response: not response.is_streamed, _read_only("is_sequence")),
}


def get(response: Response, name: str) -> Any:
    return _PROPERTIES[name][0](response)


def put(response: Response, name: str, value: Any) -> None:
    _PROPERTIES[name][1](response, value)


def adopt(value: Any) -> Response:
    """A Response of Werkzeug's as one of ours."""
    body = value.iter_encoded() if value.is_streamed else value.get_data()
    headers = [pair for pair in value.headers.to_wsgi_list() if value.is_streamed or pair[0] != "Content-Length"]
    closing = value._on_close or hasattr(value.response, "close")
    return Response(body, value.status, headers, background=value.close if closing else None)


# ---- methods ------------------------------------------------------------------------


def set_etag(response: Response, etag: str, weak: bool = False) -> None:
    """Sets ETag: `etag` in quotes. ValueError: it has some itself."""
    if '"' in etag:
        raise ValueError(f"an ETag has no quotes in it: {etag!r}")
    response.headers["ETag"] = ('W/"%s"' if weak else '"%s"') % etag


def get_etag(response: Response) -> tuple[Optional[str], Optional[bool]]:
    """(the ETag, whether it is weak); (None, None) when there is none."""
    text = response.headers.get("ETag", "")
    weak = text[:2] in ("W/", "w/")
    tag = text[2:] if weak else text
    if len(tag) < 2 or tag[0] != '"' or tag[-1] != '"':
        return None, None
    return tag[1:-1], weak


def add_etag(response: Response, overwrite: bool = False, weak: bool = False) -> None:
    """Sets the ETag by the body, unless there is one."""
    if overwrite or "ETag" not in response.headers:
        import hashlib  # and libcrypto with it: a start would wait for it

        set_etag(response, hashlib.sha1(response.get_data()).hexdigest(), weak)


def make_conditional(response: Response, request_or_environ: Any = None, accept_ranges: Any = False,
                     complete_length: Optional[int] = None) -> Response:
    """By ETag and Last-Modified: 304 without a body when the client has it already, 412 when it wants another
    one. Returns the same Response. Ranges are send_file()'s."""
    if accept_ranges not in (False, "none"):
        raise ValueError("make_conditional() sends no ranges: use send_file()")
    from ._globals import now_or_none  # who has it makes every request current, see _bind

    request = request_or_environ if isinstance(request_or_environ, Request) else now_or_none()
    if request is None:
        raise RuntimeError("make_conditional() needs a Request, or a request that is being answered")
    modified = when(response.headers.get("Last-Modified"))
    if request.method in ("GET", "HEAD") and not _conditional.passes(
            request, get_etag(response)[0], modified.timestamp() if modified else None):
        response.status_code = 304
    return response


def iter_encoded(response: Response) -> Iterator[bytes]:
    """The body's pieces, as bytes."""
    for piece in response.response:
        yield piece.encode() if isinstance(piece, str) else bytes(piece)


def call_on_close(response: Response, func: Callable[[], Any]) -> Callable[[], Any]:
    """func() when the answer is out, after `background`, which it becomes a part of. May be a decorator."""
    before: Any = response.background  # may be other answers', too: it stays as it is
    response.background = BackgroundTasks([*([] if before is None else _each(before)), BackgroundTask(func)])
    return func
