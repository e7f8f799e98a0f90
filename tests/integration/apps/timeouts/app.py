# SPDX-License-Identifier: MIT
"""Handlers that do not return until a file is there, each in a way of its own;
tests open the gate, or see to it that it is never needed."""

import asyncio
import os
import time

from snacgi import Request, route

marks: list = []


def arrive(request: Request) -> str:
    """Says that the handler runs; returns the name of the gate's file."""
    gate = request.query_params["gate"]
    with open(gate + ".here", "a") as file:
        file.write("x")
    return gate


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
