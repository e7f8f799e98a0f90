# SPDX-License-Identifier: MIT
"""request.url, put together again from what the front server sent."""

from __future__ import annotations

from urllib.parse import quote

from _snacgi import Request


def build(request: Request) -> str:
    uri = request.environ.get("REQUEST_URI", "")
    if "://" in uri.partition("?")[0]:
        return uri  # absolute form
    if not uri.startswith("/"):
        uri = quote(request.path, safe="/:@!$&'()*+,;=~")
        if request.query_string:
            uri += "?" + request.query_string.decode("latin-1")
    return f"{request.scheme}://{request.host}{uri}"
