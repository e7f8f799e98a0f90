# SPDX-License-Identifier: MIT
"""What the front servers' suite asks of Python: how a request arrived, and the
answers that a front server might treat as special."""

import asyncio
import os
import time
import zlib
from pathlib import Path

from snacgi import Request, Response, route, url_for


@route("/echo", methods=["GET", "POST", "PUT"])
@route("/echo/<name>", methods=["GET", "POST", "PUT"])
def echo(request: Request) -> dict:
    data = request.data
    return {
        "method": request.method,
        "path": request.path,
        "root": request.script_root,
        "name": request.path_params.get("name"),
        "query": request.query_string.decode(),
        "args": [[key, request.args.getlist(key)] for key in request.args],
        "headers": {name.lower(): value for name, value in request.headers.items()},
        "type": request.content_type,
        "scheme": request.scheme,
        "host": request.host,
        "remote": request.remote_addr,
        "server": request.environ.get("SERVER_NAME"),
        "length": len(data),
        "crc": zlib.crc32(data),
    }


@route("/json", methods=["POST"])
def json(request: Request) -> dict:
    return {"got": request.body}


@route("/users/<int:user_id>")
def user(request: Request) -> dict:
    return {"user_id": request.path_params["user_id"]}


@route("/url")
def url(request: Request) -> dict:
    return {"url": url_for("user", user_id=7), "own": request.url}


@route("/slash/")
def slash(request: Request) -> dict:
    return {"query": request.query_string.decode()}


@route("/status/<int:code>", methods=["GET", "POST"])
def status(request: Request) -> Response:
    return Response("" if request.path_params["code"] in (204, 304) else "said so", status=request.path_params["code"])


@route("/gated/sync")
def gated(request: Request):
    """As /native/gated: some bytes at once, and the end when the gate is open."""
    gate = Path(request.args["gate"])
    yield b"g" * int(request.args["size"])
    (gate / "sent").touch()
    end = time.monotonic() + 60
    while not (gate / "open").exists() and time.monotonic() < end:
        time.sleep(0.005)
    yield b"end"


@route("/gated/async")
async def gated_async(request: Request):
    gate = Path(request.args["gate"])
    yield b"g" * int(request.args["size"])
    (gate / "sent").touch()
    while not (gate / "open").exists():
        await asyncio.sleep(0.005)
    yield b"end"


@route("/redirect")
def redirect(request: Request) -> Response:
    return Response("", status=302, headers={"Location": request.args["to"]})


@route("/cookies")
def cookies(request: Request) -> tuple:
    return {"cookie": request.headers.get("Cookie")}, 200, [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Path=/")]


@route("/waits")
async def waits(request: Request) -> dict:
    """Says by files when it has begun, when it was cancelled, when it came to its end."""
    gate = Path(request.args["gate"])
    (gate / "begun").touch()
    try:
        while not (gate / "open").exists():
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        (gate / "cancelled").touch()
        raise
    (gate / "finished").touch()
    return {"pid": os.getpid()}
