# SPDX-License-Identifier: MIT
"""The Python side of the benchmark: the same small JSON answer as bench/table.c,
by a sync and by an async handler, and the handlers that get in others' way."""

import asyncio
import time
from typing import Any

from snacgi import Request, route


@route("/users/<int:user_id>")
def user(request: Request) -> dict[str, Any]:
    return {"user_id": request.path_params["user_id"], "name": "user", "active": True}


@route("/async/users/<int:user_id>")
async def async_user(request: Request) -> dict[str, Any]:
    return {"user_id": request.path_params["user_id"], "name": "user", "active": True}


@route("/parked/<float:seconds>")
async def parked(request: Request) -> dict[str, Any]:
    await asyncio.sleep(request.path_params["seconds"])
    return {"parked": True}


@route("/blocked/<int:ms>")
def blocked(request: Request) -> dict[str, Any]:
    """Waits without the GIL, as a database's answer is waited for."""
    time.sleep(request.path_params["ms"] / 1000)
    return {"blocked": True}


@route("/burn/<int:ms>")
def burn(request: Request) -> dict[str, Any]:
    """Computes in Python: the interpreter hands the GIL on every 5 ms if asked."""
    end = time.perf_counter() + request.path_params["ms"] / 1000
    n = 0
    while time.perf_counter() < end:
        n += 1
    return {"burnt": n}


@route("/hold/<int:ms>")
def hold(request: Request) -> dict[str, Any]:
    """Holds the GIL in C, piece by piece of about a fifth of a second at most."""
    end = time.perf_counter() + request.path_params["ms"] / 1000
    while time.perf_counter() < end:
        sum(range(min(request.path_params["ms"], 200) * 40_000))
    return {"held": True}
