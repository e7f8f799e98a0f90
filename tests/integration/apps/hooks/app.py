# SPDX-License-Identifier: MIT
"""Hooks, error handlers and the application's life, in the daemon."""

import asyncio
import os

import snacgi
from snacgi import HTTPException, abort, current_request, g, get

WHERE = os.environ.get("HOOKS_LOG")
state = {"lifespan": False, "ready": []}
in_worker = False


def note(text):
    if WHERE:
        with open(WHERE, "a") as f:
            f.write(text + "\n")


@snacgi.on_startup
def first():
    state["ready"].append("sync")
    note("startup")


@snacgi.on_startup
async def second():
    await asyncio.sleep(0)
    state["ready"].append("async")
    if os.environ.get("HOOKS_FAIL"):
        raise RuntimeError("the database is not there")


@snacgi.lifespan
async def life():
    task = asyncio.current_task()
    state["lifespan"] = True
    yield
    assert asyncio.current_task() is task
    note("lifespan ended")


@snacgi.on_shutdown
async def async_end():
    note("async shutdown")


@snacgi.on_shutdown
def end():
    note("shutdown")


@snacgi.worker_init
def worker():
    global in_worker
    in_worker = True


@snacgi.before_request
def before():
    g.path = current_request.path


@snacgi.after_request
def after(response):
    response.headers["X-After"] = g.path
    return response


@snacgi.errorhandler(HTTPException)
def failed(error):
    return {"code": error.code, "said": error.description}, error.code, error.get_headers()


@snacgi.errorhandler(500)
def broken(error):
    return {"original": type(error.original_exception).__name__}, 500


@get("/state")
def show(request):
    return state


@get("/async")
async def in_loop(request):
    def in_thread():
        return g.path + current_request.path

    loop = asyncio.get_running_loop()
    return {"executor": await loop.run_in_executor(None, in_thread), "own": g.path}


@get("/fail")
def fail(request):
    raise KeyError("x")


@get("/async/fail")
async def async_fail(request):
    raise KeyError("x")


@get("/teapot")
async def teapot(request):
    abort(418, "short")


def was_initialised():
    return in_worker


@get("/pool", use_process_pool=True)
def pooled(request, pool):
    return pool.submit(was_initialised).result()


@snacgi.post("/form")
def form(request):
    return {"fields": request.form.to_dict(), "cookies": request.cookies.to_dict()}


@get("/late")
async def late(request):
    note("late begins")
    while not os.path.exists(request.args["gate"]):
        await asyncio.sleep(0.01)
    note("late ends")
    return {"lifespan": state["lifespan"]}


@get("/branch/")
def branch():
    return "branch"
