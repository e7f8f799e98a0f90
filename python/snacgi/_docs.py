# SPDX-License-Identifier: MIT
"""The page that shows the OpenAPI document: one file, no network, nothing but its own script
allowed. Private."""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
from typing import Callable

from _snacgi import Response


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _policy(text: str) -> str:
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.S)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    return (f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; connect-src 'self';"
            " base-uri 'none'; form-action 'none'; frame-ancestors 'none'")


def page(title: str, document: str) -> Callable[[], Response]:
    """Makes the answers with the page. `document`: its URL, relative to the page."""
    with open(os.path.join(os.path.dirname(__file__), "_docs.html"), encoding="utf-8") as file:
        text = file.read()
    policy = _policy(text)
    for mark, value in (("@TITLE@", title), ("@OPENAPI@", document)):
        text = text.replace(mark, html.escape(value, quote=True))
    headers = {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
    return lambda: Response(text, headers=headers, mimetype="text/html")
