# SPDX-License-Identifier: MIT
"""Handlers that end their process, or stop all of Python."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
from pathlib import Path

from snacgi import Request, route

lock = threading.Lock()


@route("/pid")
def pid(request: Request) -> dict:
    return {"pid": os.getpid()}


@route("/crash")
def crash(request: Request) -> dict:
    ctypes.string_at(0)  # as a C extension with a fault
    return {}


@route("/async/crash")
async def async_crash(request: Request) -> dict:
    ctypes.string_at(0)
    return {}


@route("/wait")
async def wait(request: Request) -> dict:
    Path(request.query_params["file"]).touch()
    await asyncio.sleep(600)
    return {}


@route("/deadlock")
def deadlock(request: Request) -> dict:
    lock.acquire()
    lock.acquire()
    return {}


@route("/async/deadlock")
async def async_deadlock(request: Request) -> dict:
    lock.acquire()
    lock.acquire()
    return {}


@route("/gil")
def gil(request: Request) -> dict:
    Path(request.query_params["file"]).touch()
    ctypes.PyDLL(None).sleep(600)  # unlike CDLL: the GIL is kept
    return {}
