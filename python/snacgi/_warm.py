# SPDX-License-Identifier: MIT
"""What requests need is imported before the first of them: an import opens files and takes memory, and
where these have run out it is the request that fails. Private.

Not what takes long and only some handlers use: Werkzeug's parsers, asyncio without async routes,
email.utils, which reads dates, and hashlib."""

from __future__ import annotations

import importlib
from typing import Iterable

from ._routing import Route


def warm(routes: Iterable[Route]) -> None:
    """None of them may import _globals, by which bind() knows that the application wants its requests current."""
    names = {"snacgi._helpers", "snacgi._json", "snacgi._reqmore", "snacgi._respmore", "snacgi._url"}
    for route in routes:
        if route.stream:
            names.add("snacgi._stream")
        if "<uuid" in route.pattern:
            names.add("uuid")
    for name in sorted(names):
        importlib.import_module(name)
