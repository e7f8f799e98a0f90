# SPDX-License-Identifier: MIT
"""For the row with a busy pool: one route that computes in a pool process."""

import asyncio
import time
from typing import Any

from snacgi import Request, route


def compute(ms: int) -> int:
    end = time.perf_counter() + ms / 1000
    n = 0
    while time.perf_counter() < end:
        n += 1
    return n


@route("/pool/<int:ms>", use_process_pool=True)
async def in_pool(request: Request, pool: Any) -> dict[str, Any]:
    return {"burnt": await asyncio.get_running_loop().run_in_executor(pool, compute, request.path_params["ms"])}
