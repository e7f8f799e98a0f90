# SPDX-License-Identifier: MIT
"""Handlers that read their body while it arrives, and one that tells how far they are."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import Any

from snacgi import Request, post, route
from snacgi.exceptions import ClientDisconnected, HTTPException

seen: dict[str, Any] = {}
gates: dict[str, threading.Event] = {}


@route("/seen/<name>")
def tell(request: Request, name: str) -> Any:
    return {"seen": seen.get(name)}


@post("/open/<name>")
def open_gate(request: Request, name: str) -> Any:
    gates.setdefault(name, threading.Event()).set()
    return {}


@post("/sum/<name>", stream=True)
def total(request: Request, name: str) -> Any:
    size, sha = 0, hashlib.sha256()
    seen[name] = 0
    try:
        while piece := request.stream.read1(65536):
            size += len(piece)
            sha.update(piece)
            seen[name] = size
    except BaseException as exc:
        seen[name] = type(exc).__name__
        raise
    return {"size": size, "sha": sha.hexdigest()}


@post("/async/sum/<name>", stream=True)
async def async_total(request: Request, name: str) -> Any:
    size, sha = 0, hashlib.sha256()
    seen[name] = 0
    try:
        async for piece in request.stream:
            size += len(piece)
            sha.update(piece)
            seen[name] = size
    except BaseException as exc:
        seen[name] = type(exc).__name__
        raise
    return {"size": size, "sha": sha.hexdigest()}


@post("/gated/<name>", stream=True)
def gated(request: Request, name: str) -> Any:
    """Reads nothing until its gate is open."""
    seen[name] = "waits"
    gates.setdefault(name, threading.Event()).wait()
    return {"size": len(request.stream.read())}


@post("/async/gated/<name>", stream=True)
async def async_gated(request: Request, name: str) -> Any:
    seen[name] = "waits"
    await asyncio.to_thread(gates.setdefault(name, threading.Event()).wait)
    return {"size": len(await request.stream.read())}


@post("/early", stream=True)
def early(request: Request) -> Any:
    return {"read": len(request.stream.read(int(request.args.get("read", "0"))))}


@post("/async/early", stream=True)
async def async_early(request: Request) -> Any:
    return {"read": len(await request.stream.read(int(request.args.get("read", "0"))))}


@post("/lines", stream=True)
def lines(request: Request) -> Any:
    return [line.decode() for line in request.stream]


@post("/async/lines", stream=True)
async def async_lines(request: Request) -> Any:
    found = [(await request.stream.readexactly(2)).decode()]
    while line := await request.stream.readline():
        found.append(line.decode())
    return found


@post("/json", stream=True)
def json_body(request: Request) -> Any:
    return {"body": request.body, "json": request.get_json(silent=True), "length": request.content_length}


@post("/form", stream=True)
def form(request: Request) -> Any:
    return {"fields": request.form.to_dict(),
            "files": {name: len(file.read()) for name, file in request.files.items()}}


@post("/whole")
def whole(request: Request) -> Any:
    first = request.stream.readline()
    return [first.decode(), request.stream.read().decode(), len(request.data)]


@post("/async/form", stream=True)
async def async_form(request: Request) -> Any:
    try:
        return request.form.to_dict()
    except RuntimeError as exc:
        return {"error": str(exc)}


@post("/caught", stream=True)
def caught(request: Request) -> Any:
    try:
        return {"size": len(request.stream.read())}
    except HTTPException as exc:
        return {"caught": type(exc).__name__, "gone": isinstance(exc, ClientDisconnected)}, 418


@post("/gone/<name>", stream=True)
def gone(request: Request, name: str) -> Any:
    """Answers after its peer has left."""
    seen[name] = "waits"
    while not request.is_disconnected():
        gates.setdefault("never", threading.Event()).wait(0.01)
    seen[name] = "disconnected"
    return {"nobody": "reads this"}


@route("/async/gone/<name>", methods=["POST"])
async def async_gone(request: Request, name: str) -> Any:
    seen[name] = "waits"
    try:
        while not await request.is_disconnected():
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        seen[name] = "cancelled " + str(bool(request.is_disconnected()))
        return {"nobody": "reads this"}
    return {}
