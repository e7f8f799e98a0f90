# SPDX-License-Identifier: MIT
"""request.stream in plain Python, where the body is complete."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from snacgi import Request, post
from snacgi.testing import TestClient

pytestmark = pytest.mark.usefixtures("registry")


def test_a_complete_body() -> None:
    request = Request("POST", "/", body=b"one\ntwo\nthree")
    assert request.stream is request.stream
    assert request.stream.readline() == b"one\n"
    assert list(request.stream) == [b"two\n", b"three"]
    assert request.stream.read() == b"" and request.data == b"one\ntwo\nthree"
    assert Request().stream.read() == b""


def test_streaming_routes() -> None:
    @post("/sync", stream=True)
    def sync(request: Request) -> Any:
        return [request.stream.read(3).decode(), request.stream.read().decode(), request.get_json()]

    @post("/async", stream=True)
    async def awaited(request: Request) -> Any:
        stream = request.stream
        first = await stream.readline()
        exact = await stream.readexactly(2)
        some = await stream.read1(1)
        nothing = await stream.read(0) + await stream.read1(0) + await stream.readline(0)
        part = await stream.readline(2)
        rest = sum([len(piece) async for piece in stream])
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await stream.readexactly(1)
        return [first.decode(), exact.decode(), some.decode(), nothing.decode(), part.decode(), rest,
                caught.value.partial.decode(), (await stream.read()).decode()]

    with TestClient() as client:
        assert client.post("/sync", json={"a": 1}).json == ['{"a', '": 1}', {"a": 1}]
        answer = client.post("/async", data=b"line\nabcde\n" + b"x" * 100_000)
        assert answer.json == ["line\n", "ab", "c", "", "de", 100_001, "", ""]


def test_read1_without_a_size() -> None:
    """What has come, all of it, as io.BufferedReader's."""

    @post("/", stream=True)
    async def handler(request: Request) -> Any:
        line = await request.stream.readline()
        return [line.decode(), (await request.stream.read1(-1)).decode(), (await request.stream.read1(-1)).decode()]

    with TestClient() as client:
        assert client.post("/", data=b"line\nrest").json == ["line\n", "rest", ""]


def test_the_option_is_checked() -> None:
    with pytest.raises(TypeError, match="stream must be True or False"):
        post("/x", stream=1)
