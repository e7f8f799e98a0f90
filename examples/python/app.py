# SPDX-License-Identifier: MIT
"""Endpoints in Python, one for each way to run: a plain function, a coroutine,
and both with the process pool. ./demo.sh serves them beside the ones in C."""

import asyncio
import importlib.util
from concurrent.futures import Executor
from typing import Any

from snacgi import Request, route


@route('/users/<int:user_id>', methods=['GET'])
def get_user(request: Request) -> dict[str, Any]:
    """An ordinary function: runs on a dispatch thread."""
    return {"user_id": request.path_params["user_id"]}


def compute(numbers: list[int]) -> list[int]:
    """Runs in a pool process: found by its name, so it stands at the top of a module."""
    return [number * number for number in numbers]


@route('/squares', methods=['POST'], use_process_pool=True)
def squares(request: Request, pool: Executor) -> dict[str, Any]:
    """CPU work in another process: other requests keep this one's interpreter."""
    return {"squares": pool.submit(compute, request.body["numbers"]).result()}


@route('/sleep')
async def sleep(request: Request) -> dict[str, Any]:
    """async def: runs on the event loop; ten thousand of these may wait at once."""
    await asyncio.sleep(float(request.query_params.get("duration", "1.0")))
    return {"slept": True}


@route('/async/squares', methods=['POST'], use_process_pool=True)
async def async_squares(request: Request, pool: Executor) -> dict[str, Any]:
    """Both: the loop goes on while the pool computes."""
    loop = asyncio.get_running_loop()
    return {"squares": await loop.run_in_executor(pool, compute, request.body["numbers"])}


# Only where numpy is installed; a real application would just import it.
if importlib.util.find_spec("numpy") is not None:
    import numpy

    @route('/numpy/statistics', methods=['POST'])
    def statistics(request: Request) -> dict[str, Any]:
        """Arrays and numpy's own numbers become JSON as they are."""
        values = numpy.asarray(request.body["numbers"], dtype=float)
        return {"mean": values.mean(), "std": values.std(), "cumulated": values.cumsum()}
