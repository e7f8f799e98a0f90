# SPDX-License-Identifier: MIT
"""The arguments of Request(...) as the CGI parameters of RFC 3875 section 4.1."""

from __future__ import annotations

import json
from typing import Any, Iterable, Mapping, Optional, Union
from urllib.parse import quote, urlencode, urlsplit


def _pairs(headers: Union[Mapping[str, Any], Iterable[tuple[str, Any]], None]) -> list[tuple[str, str]]:
    if headers is None:
        return []
    source = headers.items() if hasattr(headers, "items") else headers
    return [(str(name), str(value)) for name, value in source]


def _body(body: Any) -> tuple[bytes, Optional[str]]:
    # The bytes, and the Content-Type that goes with them.
    if body is None:
        return b"", None
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body), None
    if isinstance(body, str):
        return body.encode(), None
    if isinstance(body, (dict, list, int, float)):
        return json.dumps(body).encode(), "application/json"
    raise TypeError(f"body must be bytes, str, or a JSON value, not {type(body).__name__}")


def _query(query: Any) -> str:
    if isinstance(query, bytes):
        return query.decode("latin-1")
    if isinstance(query, str):
        return query
    return urlencode(query, doseq=True)


def parts(
    method: str = "GET",
    path: str = "/",
    query_string: Any = "",
    headers: Union[Mapping[str, Any], Iterable[tuple[str, Any]], None] = None,
    body: Any = b"",
    path_params: Optional[Mapping[str, Any]] = None,
    environ: Optional[Mapping[str, str]] = None,
) -> tuple[dict[str, str], bytes, Optional[dict[str, Any]]]:
    """(parameters, body, path_params) of the request that these arguments describe."""
    if not isinstance(method, str) or not isinstance(path, str):
        raise TypeError("method and path must be str")
    url = urlsplit(path) if "://" in path else None
    if url is not None:
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    query = _query(query_string)
    if "?" in path:
        path, _, inline = path.partition("?")
        query = f"{inline}&{query}" if query and inline else inline or query
    # Escapes stay; what cannot stand in a URL is escaped.
    uri = quote(path, safe="/%:@!$&'()*+,;=~")
    query = quote(query, safe="/?%:@!$&'()*+,;=~[]")
    data, content_type = _body(body)
    cgi = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REQUEST_METHOD": method.upper(),
        "REQUEST_URI": f"{uri}?{query}" if query else uri,
        "QUERY_STRING": query,
        "REQUEST_SCHEME": url.scheme if url is not None else "http",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": url.netloc if url is not None else "localhost",
    }
    if data:
        cgi["CONTENT_LENGTH"] = str(len(data))
    if content_type:
        cgi["CONTENT_TYPE"] = content_type
    seen: set[str] = set()
    for name, value in _pairs(headers):
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        if key in seen:
            value = cgi[key] + ("; " if key == "HTTP_COOKIE" else ", ") + value
        seen.add(key)
        cgi[key] = value
    if environ is not None:
        cgi.update(environ)
    return cgi, data, None if path_params is None else dict(path_params)
