# SPDX-License-Identifier: MIT
"""Routes whose pool calls are killed, hang and are counted."""

from __future__ import annotations

import asyncio
import os

from jobs import die, hang, once, where

from snacgi import Request, route

seen: set[int] = set()


@route("/where", use_process_pool=True)
def get_where(request: Request, pool) -> dict:
    seen.add(id(pool))
    return {"pid": pool.submit(where).result(), "pools": len(seen)}


@route("/die/<int:number>", use_process_pool=True)
def get_die(request: Request, pool) -> dict:
    pool.submit(die, request.path_params["number"]).result()
    return {}


@route("/caught", use_process_pool=True)
def caught(request: Request, pool) -> dict:
    from concurrent.futures.process import BrokenProcessPool

    try:
        pool.submit(die, 9).result()
    except BrokenProcessPool:
        return {"caught": True}
    return {}


@route("/once", use_process_pool=True, idempotent=True)
def get_once(request: Request, pool) -> dict:
    return {"try": pool.submit(once, request.query_params["file"]).result()}


@route("/async/once", use_process_pool=True, idempotent=True)
async def async_once(request: Request, pool) -> dict:
    return {"try": await asyncio.get_running_loop().run_in_executor(pool, once, request.query_params["file"])}


@route("/hang", use_process_pool=True)
def get_hang(request: Request, pool) -> dict:
    return {"hung": pool.submit(hang, request.query_params["file"]).result()}


@route("/hang/<float:seconds>", use_process_pool=True)
def hang_for(request: Request, pool) -> dict:
    short = pool.with_timeout(request.path_params["seconds"])
    return {"hung": short.submit(hang, request.query_params["file"]).result()}


@route("/async/hang", use_process_pool=True)
async def async_hang(request: Request, pool) -> dict:
    return {"hung": await asyncio.get_running_loop().run_in_executor(pool, hang, request.query_params["file"])}


@route("/plain")
def plain(request: Request) -> dict:
    return {"pid": os.getpid()}
