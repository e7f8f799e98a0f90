# SPDX-License-Identifier: MIT
"""What the chaos run asks: every handler notes the request's number and its own process
in a ledger, does a little of what its lane is for, and answers with what it was sent."""

import asyncio
import json
import os
import time
import zlib
from concurrent.futures import Executor
from typing import Any, AsyncIterator, Iterator

from snacgi import Request, route

LEDGER = os.open(os.environ["CHAOS_LEDGER"], os.O_WRONLY | os.O_APPEND)


def note(number: int) -> None:
    os.write(LEDGER, b"%d %d\n" % (number, os.getpid()))


def checksum(fill: str) -> int:
    return zlib.crc32(fill.encode())


def answer(sent: dict[str, Any], crc: int) -> dict[str, Any]:
    return {"n": sent["n"], "nonce": sent["nonce"], "crc": crc, "pid": os.getpid()}


@route("/sync", methods=["POST"])
def sync(request: Request) -> dict[str, Any]:
    sent = request.body
    note(sent["n"])
    time.sleep(sent["n"] % 16 / 1000)
    return answer(sent, checksum(sent["fill"]))


@route("/async", methods=["POST"])
async def in_the_loop(request: Request) -> dict[str, Any]:
    sent = request.body
    note(sent["n"])
    await asyncio.sleep(sent["n"] % 64 / 1000)
    return answer(sent, checksum(sent["fill"]))


@route("/pool", methods=["POST"], use_process_pool=True)
def in_a_process(request: Request, pool: Executor) -> dict[str, Any]:
    sent = request.body
    note(sent["n"])
    return answer(sent, pool.submit(checksum, sent["fill"]).result())


def pieces(sent: dict[str, Any]) -> Iterator[str]:
    yield f'{{"n": {sent["n"]}, "nonce": "{sent["nonce"]}", "fill": "'
    for at in range(0, len(sent["fill"]), 7000):
        yield sent["fill"][at:at + 7000]
    yield '"}'


@route("/stream", methods=["POST"], stream=True)
def in_pieces(request: Request) -> Iterator[str]:
    sent = json.loads(request.stream.read())
    note(sent["n"])
    for piece in pieces(sent):
        yield piece
        time.sleep(sent["n"] % 4 / 1000)


@route("/stream/async", methods=["POST"], stream=True)
async def in_pieces_by_the_loop(request: Request) -> AsyncIterator[str]:
    sent = json.loads(await request.stream.read())
    note(sent["n"])
    for piece in pieces(sent):
        yield piece
        await asyncio.sleep(sent["n"] % 16 / 1000)


@route("/pids")
def pids(request: Request) -> dict[str, int]:
    return {"pid": os.getpid()}
