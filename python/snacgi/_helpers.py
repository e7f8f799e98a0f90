# SPDX-License-Identifier: MIT
"""jsonify, make_response, redirect, and cookies of answers: Flask's and Werkzeug's names."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from html import escape
from typing import Any, Optional, Union
from urllib.parse import quote

import _snacgi
from _snacgi import Response

from ._dates import http_date

_REDIRECTS = (301, 302, 303, 305, 307, 308)
_COOKIE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_COOKIE_PLAIN = re.compile(r"[\w!#$%&'()*+\-./:<=>?@\[\]^`{|}~]*", re.ASCII)
_COOKIE_ESCAPED = re.compile(r"[^ \w!#$%&'()*+\-./:<=>?@\[\]^`{|}~]", re.ASCII)


def jsonify(*args: Any, **kwargs: Any) -> Response:
    """A Response with JSON: of the one argument, of a list of several, or of a dict of the
    named ones. TypeError when both kinds are given."""
    if args and kwargs:
        raise TypeError("jsonify() takes values or named values, not both")
    value: Any = kwargs if not args else args[0] if len(args) == 1 else list(args)
    if isinstance(value, (dict, list, int, float)):
        return _snacgi.respond(None, value, "jsonify", True)
    # In a list, so that text and None are JSON, too; its brackets are taken off again.
    listed = _snacgi.respond(None, [value], "jsonify", True)
    text = listed.data.strip()
    return Response(text[1:-1].strip(), mimetype="application/json")


def make_response(*args: Any) -> Response:
    """The Response that a handler's result becomes: make_response(body, status, headers)."""
    if not args:
        return Response()
    result = args[0] if len(args) == 1 else args
    return result if isinstance(result, Response) else _snacgi.respond(None, result, "make_response()", True)


def redirect(location: str, code: int = 302, Response: Optional[type[Response]] = None) -> Response:
    """A Response that sends the client to `location`. ValueError: `code` is no redirect."""
    if code not in _REDIRECTS:
        raise ValueError(f"{code} is not the status of a redirect: one of {', '.join(map(str, _REDIRECTS))}")
    target = quote(location, safe="!#$%&'()*+,/:;=?@[]~")
    shown = escape(location)
    body = (f"<!doctype html>\n<html lang=en>\n<title>Redirecting...</title>\n<h1>Redirecting...</h1>\n"
            f'<p>You should be redirected automatically to the target URL: <a href="{escape(target)}">{shown}</a>.'
            " If not, click the link.\n")
    return (Response or _snacgi.Response)(body, code, {"Location": target}, mimetype="text/html")


def _cookie_value(value: str) -> str:
    if _COOKIE_PLAIN.fullmatch(value):
        return value
    data = value.encode()
    text = data.decode("latin-1")

    def octal(match: re.Match[str]) -> str:
        char = match[0]
        return "\\" + char if char in '"\\' else f"\\{ord(char):03o}"

    return '"' + _COOKIE_ESCAPED.sub(octal, text) + '"'


def _attribute(name: str, value: str) -> str:
    if re.search(r"[;\x00-\x1f\x7f]", value):
        raise ValueError(f"a cookie's {name} cannot hold {value!r}")
    return f"{name}={value}"


def set_cookie(
    response: Response,
    key: str,
    value: str = "",
    max_age: Union[int, timedelta, None] = None,
    expires: Union[str, datetime, int, float, None] = None,
    path: Optional[str] = "/",
    domain: Optional[str] = None,
    secure: bool = False,
    httponly: bool = False,
    samesite: Optional[str] = None,
) -> None:
    """Adds Set-Cookie; arguments are Werkzeug's.

    max_age: seconds or a timedelta. expires: a datetime (UTC when naive) or a Unix time.
    samesite: "Strict", "Lax" or "None". ValueError: what cannot stand in a cookie.
    """
    if not isinstance(key, str) or not _COOKIE_NAME.fullmatch(key):
        raise ValueError(f"not a cookie's name: {key!r}")
    parts = [f"{key}={_cookie_value(value)}"]
    if domain:
        parts.append(_attribute("Domain", domain.partition(":")[0].lstrip(".").encode("idna").decode("ascii")))
    if isinstance(expires, (datetime, int, float)):
        expires = http_date(expires)
    if expires is not None:
        parts.append(_attribute("Expires", expires))
    if max_age is not None:
        parts.append(f"Max-Age={int(max_age.total_seconds() if isinstance(max_age, timedelta) else max_age)}")
    if secure:
        parts.append("Secure")
    if httponly:
        parts.append("HttpOnly")
    if path is not None:
        parts.append(_attribute("Path", quote(path, safe="%!$&'()*+,/:=@")))
    if samesite is not None:
        samesite = samesite.title()
        if samesite not in ("Strict", "Lax", "None"):
            raise ValueError(f"samesite is 'Strict', 'Lax' or 'None', not {samesite!r}")
        parts.append(f"SameSite={samesite}")
    header = "; ".join(parts)
    if len(header) > 4093:
        raise ValueError(f"the cookie {key!r} has {len(header)} characters; browsers drop one above 4093")
    response.headers.add("Set-Cookie", header)


def delete_cookie(
    response: Response,
    key: str,
    path: Optional[str] = "/",
    domain: Optional[str] = None,
    secure: bool = False,
    httponly: bool = False,
    samesite: Optional[str] = None,
) -> None:
    """Tells the client to forget a cookie: path and domain must be as they were."""
    set_cookie(response, key, "", 0, 0, path, domain, secure, httponly, samesite)
