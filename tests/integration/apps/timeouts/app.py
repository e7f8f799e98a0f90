# SPDX-License-Identifier: MIT
"""Handlers that do not return until a file is there, each in a way of its own;
tests open the gate, or see to it that it is never needed."""

import asyncio
import ctypes
import os
import time
from typing import Any

from snacgi import BackgroundTask, Request, Response, on_shutdown, route, send_file

import jobs

marks: list = []
gates: list = []


def arrive(request: Request) -> str:
    """Says that the handler runs; returns the name of the gate's file."""
    gate = request.query_params["gate"]
    gates.append(gate)
    with open(gate + ".here", "a") as file:
        file.write("x")
    return gate


@on_shutdown
def shut_down() -> None:
    if gates:
        ended("on_shutdown", gates[-1])


def opened(gate: str) -> bool:
    return os.path.exists(gate)


@route("/quick")
def quick(request: Request) -> dict:
    return {"pid": os.getpid()}


@route("/async/quick")
async def async_quick(request: Request) -> dict:
    return {"pid": os.getpid()}


@route("/mark/<int:n>")
def mark(request: Request) -> dict:
    marks.append(request.path_params["n"])
    return {"n": marks[-1]}


@route("/async/mark/<int:n>")
async def async_mark(request: Request) -> dict:
    return mark(request)


@route("/marks")
def show_marks(request: Request) -> dict:
    return {"marks": marks}


def wait(request: Request) -> dict:
    gate = arrive(request)
    while not opened(gate):
        time.sleep(0.005)
    return {"opened": True}


route("/wait")(wait)
route("/wait/short", timeout=0.2)(wait)
route("/wait/long", timeout=3600)(wait)


@route("/async/wait")
async def async_wait(request: Request) -> dict:
    gate = arrive(request)
    while not opened(gate):
        await asyncio.sleep(0.005)
    return {"opened": True}


route("/async/wait/short", timeout=0.2)(async_wait)


@route("/async/block", timeout=3600)
async def async_block(request: Request) -> dict:
    return wait(request)


# ---- handlers over their time, each in a way of its own ------------------------------


def spin(request: Request) -> dict:
    """On the CPU, in Python."""
    gate = arrive(request)
    try:
        while True:
            for _ in range(1000):
                pass
    finally:
        ended("spin", gate)


def ended(what: str, gate: str) -> None:
    with open(f"{gate}.ended", "a") as file:
        file.write(what + "\n")


route("/spin")(spin)


@route("/async/spin")
async def async_spin(request: Request) -> dict:
    return spin(request)


@route("/stubborn")
def stubborn(request: Request) -> dict:
    """Swallows whatever comes, until the gate opens."""
    gate = arrive(request)
    while not opened(gate):
        try:
            while not opened(gate):
                time.sleep(0.002)
        except BaseException as error:
            ended(type(error).__name__, gate)
    return {"opened": True}


@route("/in-c")
def in_c(request: Request) -> dict:
    """In C without the GIL, where no exception arrives."""
    gate = arrive(request)
    ctypes.CDLL(None).pause()
    return {"gate": gate}


@route("/pieces/in-c")
def pieces_in_c(request: Request) -> Any:
    yield "first"
    yield str(in_c(request))


@route("/async/in-c")
async def async_in_c(request: Request) -> dict:
    return in_c(request)


@route("/hold")
def hold(request: Request) -> dict:
    """In C with the GIL, whatever comes before it is there."""
    lib = ctypes.PyDLL(None)
    arrive(request)
    while True:
        try:
            while True:
                lib.pause()
        except BaseException:
            pass


@route("/async/hold")
async def async_hold(request: Request) -> dict:
    return hold(request)


@route("/async/wait-after-cancel")
async def async_stubborn(request: Request) -> dict:
    gate = arrive(request)
    while not opened(gate):
        try:
            await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            ended("CancelledError", gate)
    return {"opened": True}


# ---- after the answer ------------------------------------------------------------------


def work(request: Request, name: str) -> BackgroundTask:
    return BackgroundTask({"wait": note_wait, "spin": spin, "stubborn": stubborn, "in-c": in_c, "async-wait": note_async_wait,
                           "async-spin": async_spin}[name], request)


def note_wait(request: Request) -> None:
    try:
        wait(request)
        ended("done", request.args["gate"])
    except BaseException as error:
        ended(type(error).__name__, request.args["gate"])
        raise


async def note_async_wait(request: Request) -> None:
    try:
        await async_wait(request)
        ended("done", request.args["gate"])
    except BaseException as error:
        ended(type(error).__name__, request.args["gate"])
        raise


@route("/after/<name>")
def after(request: Request, name: str) -> Response:
    return Response("answered", background=work(request, name))


@route("/async/after/<name>")
async def async_after(request: Request, name: str) -> Response:
    return Response("answered", background=work(request, name))


@route("/after/file/<name>")
def after_file(request: Request, name: str) -> Response:
    response = send_file(__file__)
    response.background = work(request, name)
    return response


@route("/after/silent")
def after_silent(request: Request) -> Response:
    def pieces() -> Any:
        yield "first"
        while True:
            time.sleep(0.005)

    return Response(pieces(), background=work(request, "wait"))


@route("/late/<int:ms>")
def late(request: Request) -> dict:
    """Returns about when its time is over: an exception on its way must not hit another."""
    end = time.monotonic() + request.path_params["ms"] / 1000
    while time.monotonic() < end:
        pass
    return {"late": True}


@route("/pool/pid", use_process_pool=True)
def pool_pid(request: Request, pool) -> dict:
    return {"pid": pool.submit(os.getpid).result()}


@route("/pool/wait", use_process_pool=True)
def pool_wait(request: Request, pool) -> dict:
    return pool.submit(jobs.wait, request.query_params["gate"]).result()


@route("/async/pool/wait", use_process_pool=True)
async def async_pool_wait(request: Request, pool) -> dict:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(pool, jobs.wait, request.query_params["gate"])
