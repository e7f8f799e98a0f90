# SPDX-License-Identifier: MIT
"""Files as answers, from the directory that the test names."""

from __future__ import annotations

import gzip
import os
from typing import Any

from snacgi import Request, route, send_file, send_from_directory

HERE = os.environ.get("FILES_DIR", os.path.dirname(__file__))


@route("/file/<path:name>")
def from_directory(request: Request, name: str) -> Any:
    return send_from_directory(HERE, name, as_attachment="attach" in request.args)


@route("/async/file/<path:name>")
async def async_from_directory(request: Request, name: str) -> Any:
    return send_from_directory(HERE, name)


@route("/opened/<name>")
def opened(request: Request, name: str) -> Any:
    file = open(os.path.join(HERE, name), "rb")
    file.read(int(request.args.get("skip", "0")))
    return send_file(file, "text/plain", etag="own", max_age=60)


@route("/unpacked/<name>")
def unpacked(request: Request, name: str) -> Any:
    return send_file(gzip.open(os.path.join(HERE, name)), "text/plain")


@route("/own")
def own(request: Request) -> Any:
    return send_file("app.py")
