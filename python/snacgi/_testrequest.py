# SPDX-License-Identifier: MIT
"""What a browser would send for a test client's arguments: forms, files, cookies. Private."""

from __future__ import annotations

import base64
import json as _json
import mimetypes
import os
import time
from http.cookies import CookieError, SimpleCookie
from typing import Any, Iterable, Iterator, Mapping, Optional
from urllib.parse import urlencode

from ._dates import when


def _flat(source: Any) -> Iterator[tuple[str, Any]]:
    # (name, value) of a mapping whose values may be lists, a MultiDict, or pairs.
    if source is None:
        return
    if hasattr(source, "lists"):
        source = list(source.lists())
    for name, value in source.items() if isinstance(source, Mapping) else source:
        if isinstance(value, list):
            for one in value:
                yield str(name), one
        else:
            yield str(name), value


def _is_file(value: Any) -> bool:
    return hasattr(value, "read") or isinstance(value, tuple)


def _file(value: Any) -> tuple[bytes, str, str]:
    # (content, filename, content type) of a stream, or of a tuple that begins with one.
    stream, *rest = value if isinstance(value, tuple) else (value,)
    if isinstance(stream, str) and rest:  # ("name", content): the order of requests and httpx
        stream, rest[0] = rest[0], stream
    content = stream.read() if hasattr(stream, "read") else stream
    if isinstance(content, str):
        content = content.encode()
    if not isinstance(content, (bytes, bytearray)):
        raise TypeError(f"a file is (stream or bytes, filename), not {type(stream).__name__}")
    name = rest[0] if rest else getattr(stream, "name", None)
    name = os.path.basename(name) if isinstance(name, str) else "file"
    kind = rest[1] if len(rest) > 1 else mimetypes.guess_type(name)[0] or "application/octet-stream"
    return bytes(content), name, kind


def _quoted(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def multipart(fields: Iterable[tuple[str, Any]]) -> tuple[bytes, str]:
    """(body, content type) of a multipart/form-data form, as RFC 7578 and browsers have it."""
    parts: list[bytes] = []
    encoded: list[tuple[str, bytes]] = []
    for name, value in fields:
        head = f'Content-Disposition: form-data; name="{_quoted(name)}"'
        if _is_file(value):
            content, filename, kind = _file(value)
            head += f'; filename="{_quoted(filename)}"\r\nContent-Type: {kind}'
        else:
            content = value if isinstance(value, bytes) else str(value).encode()
        encoded.append((head, content))
    boundary = "snacgi-boundary"
    while any(boundary.encode() in content for _, content in encoded):
        boundary += "-x"
    for head, content in encoded:
        parts.append(f"--{boundary}\r\n{head}\r\n\r\n".encode() + content + b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def basic_auth(username: str, password: str) -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def body_of(data: Any, json: Any, files: Any, content_type: Optional[str] = None) -> tuple[bytes, Optional[str]]:
    """(body, content type) for the client's arguments. A multipart type needs no boundary: fields get one."""
    multi = (json is None and content_type is not None and content_type.startswith("multipart/")
             and "boundary=" not in content_type)
    body, kind = _body_of(data, json, files, multi)
    return body, kind if multi and kind else content_type or kind


def _body_of(data: Any, json: Any, files: Any, multi: bool) -> tuple[bytes, Optional[str]]:
    if json is not None:
        if data is not None or files is not None:
            raise TypeError("json goes without data and files")
        return _json.dumps(json).encode(), "application/json"
    if isinstance(data, str):
        data = data.encode()
    if isinstance(data, (bytes, bytearray, memoryview)):
        if files is not None:
            raise TypeError("data must be a dict when there are files")
        return bytes(data), None
    if hasattr(data, "read"):
        content = data.read()
        return content.encode() if isinstance(content, str) else content, None
    fields = list(_flat(data))
    uploads = [(name, v if _is_file(v) else (v, name)) for name, v in _flat(files)]
    if uploads or (multi and fields) or any(_is_file(value) for _, value in fields):
        return multipart([*fields, *uploads])
    if fields:
        return urlencode(fields).encode(), "application/x-www-form-urlencoded"
    return b"", None


class CookieJar:
    """What one client has been told to send back: by domain, path and name."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str, str], tuple[str, bool]] = {}

    def set(self, name: str, value: str, domain: str, path: str = "/", secure: bool = False) -> None:
        self._cookies[domain, path, name] = value, secure

    def delete(self, name: str, domain: str, path: str = "/") -> None:
        self._cookies.pop((domain, path, name), None)

    def get(self, name: str, domain: str, path: str = "/") -> Optional[str]:
        found = self._cookies.get((domain, path, name))
        return None if found is None else found[0]

    def take(self, headers: Iterable[str], host: str) -> None:
        """Obeys Set-Cookie headers of an answer from `host`."""
        for header in headers:
            try:
                parsed: SimpleCookie[str] = SimpleCookie(header)
            except CookieError:
                continue
            for name, morsel in parsed.items():
                domain = (morsel["domain"] or host).lstrip(".").lower()
                path = morsel["path"] or "/"
                if _is_over(morsel["max-age"], morsel["expires"]):
                    self.delete(name, domain, path)
                else:
                    self.set(name, morsel.value, domain, path, bool(morsel["secure"]))

    def header(self, host: str, path: str, secure: bool) -> str:
        """The Cookie header for a request; '' when there is none. Longer paths first."""
        fit = [
            (len(prefix), name, value)
            for (domain, prefix, name), (value, only_secure) in self._cookies.items()
            if (host == domain or host.endswith("." + domain))
            and (path == prefix or path.startswith(prefix if prefix.endswith("/") else prefix + "/"))
            and (secure or not only_secure)
        ]
        fit.sort(key=lambda cookie: -cookie[0])
        return "; ".join(f"{name}={value}" for _, name, value in fit)


def _is_over(max_age: str, expires: str) -> bool:
    try:
        if max_age:
            return int(max_age) <= 0
    except ValueError:
        return False
    end = when(expires)
    return end is not None and end.timestamp() <= time.time()
