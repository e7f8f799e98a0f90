# SPDX-License-Identifier: MIT
"""Answers in pieces. What generators do is noted in a file, in order."""

import asyncio
import contextvars
import os
import time

import snacgi
from snacgi import BackgroundTask, BackgroundTasks, Response, abort, current_request, g, get, send_file

WHERE = os.environ.get("STREAMS_LOG")
variable = contextvars.ContextVar("variable", default="unset")


def note(text):
    if WHERE:
        with open(WHERE, "a") as f:
            f.write(text + "\n")


def number(name, default=0):
    return int(current_request.args.get(name, default))


def wait_for(path):
    end = time.monotonic() + 60
    while not os.path.exists(path) and time.monotonic() < end:
        time.sleep(0.005)


@snacgi.teardown_request
def teardown(exc):
    if current_request.path.startswith(("/sync", "/async", "/handed")):
        note(f"teardown {current_request.path} {type(exc).__name__ if exc else None}")


@get("/plain")
def plain(request):
    return {"plain": True}


# ---- the same in both kinds ------------------------------------------------------


@get("/sync/pieces")
def pieces(request):
    g.who = "sync"
    variable.set("sync")

    def generate():
        note("began")
        try:
            for n in range(number("n", 3)):
                yield f"{n} {g.who} {variable.get()} {current_request.path}\n"
        finally:
            note("closed")

    return generate()


@get("/async/pieces")
async def async_pieces(request):
    g.who = "async"
    variable.set("async")

    async def generate():
        note("began")
        try:
            for n in range(number("n", 3)):
                await asyncio.sleep(0)
                yield f"{n} {g.who} {variable.get()} {current_request.path}\n"
        finally:
            await asyncio.sleep(0)
            note("closed")

    return generate()


@get("/handed/pieces")
async def handed_pieces(request):
    g.who = "handed"
    variable.set("handed")
    return pieces(request)


@get("/sync/yields")
def yields(request):
    yield "a "
    yield b""
    yield bytearray(b"b ")
    yield memoryview(b"c")


@get("/async/yields")
async def async_yields(request):
    for piece in ("a ", b"", bytearray(b"b "), memoryview(b"c")):
        yield piece


@get("/sync/large")
def large(request):
    block, n = b"x" * number("size", 100_000), number("n", 60)

    def generate():
        try:
            for i in range(n):
                yield b"%07d" % i + block[7:]
        finally:
            note(f"closed large {request.args.get('id')}")

    return Response(generate(), mimetype="application/octet-stream")


@get("/async/large")
async def async_large(request):
    block, n = b"x" * number("size", 100_000), number("n", 60)

    async def generate():
        try:
            for i in range(n):
                yield b"%07d" % i + block[7:]
        finally:
            note(f"closed large {request.args.get('id')}")

    return Response(generate(), mimetype="application/octet-stream")


@get("/sync/gate")
def gate(request):
    wait_for(request.args.get("head", "/"))
    yield "first\n"
    wait_for(request.args["gate"])
    yield "last\n"


@get("/handed/gate", stream=True)
async def handed_gate(request):
    return gate(request)


@get("/sync/reads", stream=True)
def reads(request):
    return {"read": len(request.stream.read())}


@get("/async/gate")
async def async_gate(request):
    while not os.path.exists(request.args.get("head", "/")):
        await asyncio.sleep(0.005)
    yield "first\n"
    while not os.path.exists(request.args["gate"]):
        await asyncio.sleep(0.005)
    yield "last\n"


@get("/sync/breaks")
def breaks(request):
    try:
        for n in range(number("after", 2)):
            yield f"{n}\n"
        if request.args.get("how") == "type":
            yield 5
        if request.args.get("how") == "abort":
            abort(404)
        raise KeyError("in the middle")
    finally:
        note("closed")


@get("/async/breaks")
async def async_breaks(request):
    try:
        for n in range(number("after", 2)):
            yield f"{n}\n"
        if request.args.get("how") == "type":
            yield 5
        if request.args.get("how") == "abort":
            abort(404)
        raise KeyError("in the middle")
    finally:
        note("closed")


@get("/sync/announced")
def announced(request):
    return Response((b"x" * 10 for _ in range(number("n"))), headers={"Content-Length": "30"})


@get("/async/announced")
async def async_announced(request):
    async def pieces():
        for _ in range(number("n")):
            yield b"x" * 10

    return Response(pieces(), headers={"Content-Length": "30"})


@get("/sync/status")
def status(request):
    return pieces(request), number("status"), {"X-Own": "1"}


@get("/async/status")
async def async_status(request):
    return await async_pieces(request), number("status"), {"X-Own": "1"}


@get("/sync/odd")
def odd(request):
    return async_yields(request)


class Source:
    """Not a generator: an iterable whose close() counts."""

    def __iter__(self):
        return iter(["a", "b"])

    def close(self):
        note("closed source")


@get("/sync/source")
def source(request):
    return Response(Source())


def later(what, gate=None):
    if gate:
        wait_for(gate)
    note(f"later {what} {current_request.path}")


async def later_async(what, gate=None):
    while gate and not os.path.exists(gate):
        await asyncio.sleep(0.005)
    note(f"later {what} {current_request.path}")


@get("/sync/background")
def background(request):
    tasks = BackgroundTasks()
    tasks.add_task(later, 1, request.args.get("gate"))
    tasks.add_task(later_async, 2)
    return Response("answered", background=tasks)


@get("/async/background")
async def async_background(request):
    tasks = BackgroundTasks([BackgroundTask(later_async, 1, request.args.get("gate"))])
    tasks.add_task(later, 2)
    return Response("answered", background=tasks)


@get("/handed/background")
async def handed_background(request):
    return Response("answered", background=BackgroundTask(later, 1))


def with_file(request):
    response = send_file(request.args["file"], mimetype="text/plain")
    response.background = BackgroundTask(later_async, request.args["id"])
    return response


@get("/sync/background-file")
def background_file(request):
    return with_file(request)


@get("/async/background-file")
async def async_background_file(request):
    return with_file(request)


@get("/sync/breaks-background")
def breaks_background(request):
    return Response(breaks(request), background=BackgroundTask(later, request.args["id"], request.args["gate"]))


@get("/async/breaks-background")
async def async_breaks_background(request):
    return Response(async_breaks(request), background=BackgroundTask(later_async, request.args["id"], request.args["gate"]))


@get("/sync/background-fails")
def background_fails(request):
    return Response("answered", background=BackgroundTask(abort, 418))


@get("/async/background-fails")
async def async_background_fails(request):
    async def fail():
        raise KeyError("later")

    return Response("answered", background=fail)


# ---- until the client leaves, or the server stops ----------------------------------


@get("/sync/endless")
def endless(request):
    note("began endless")
    try:
        while True:
            yield b"x" * 1000
            if request.args.get("slow"):
                time.sleep(0.01)
    finally:
        note("closed endless")


@get("/sync/late")
def late(request):
    note("arrived")
    wait_for(request.args["gate"])
    return endless(request)


@get("/async/late")
async def async_late(request):
    note("arrived")
    while not os.path.exists(request.args["gate"]):
        await asyncio.sleep(0.005)
    return async_endless(request)


@get("/async/endless")
async def async_endless(request):
    note("began endless")
    try:
        while True:
            yield b"x" * 1000
            if request.args.get("slow"):
                await asyncio.sleep(0.01)
    finally:
        await asyncio.sleep(0)
        note("closed endless")
