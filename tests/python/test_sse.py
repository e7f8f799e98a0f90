# SPDX-License-Identifier: MIT
"""Server-sent events: how they are written, pings, and their end."""

import asyncio

import pytest

from snacgi import Response, SSEMessage, SSEResponse, get


@pytest.mark.parametrize(
    "message, sent",
    [
        (SSEMessage("a"), b"data: a\n\n"),
        (SSEMessage(""), b"data: \n\n"),
        (SSEMessage("a\nb\r\nc\rd"), b"data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (SSEMessage({"a": [1, "\n"]}), b'data: {"a":[1,"\\n"]}\n\n'),
        (SSEMessage(5), b"data: 5\n\n"),
        (SSEMessage(b"\xc3\xa9"), "data: é\n\n".encode()),
        (SSEMessage("x", event="e", id=7, retry=100, comment="c\nd"),
         b": c\n: d\nid: 7\nevent: e\nretry: 100\ndata: x\n\n"),
        (SSEMessage(comment="ping"), b": ping\n\n"),
    ],
)
def test_written(message, sent):
    assert message.encode() == sent


def test_wrong_messages():
    for name in ("event", "id"):
        with pytest.raises(ValueError, match=f"{name} must not hold a line end"):
            SSEMessage("x", **{name: "a\nb"})
    with pytest.raises(TypeError, match="retry must be milliseconds"):
        SSEMessage("x", retry="5")
    with pytest.raises(TypeError, match="made of an iterable of events"):
        SSEResponse("text")
    with pytest.raises(ValueError, match="ping must be seconds"):
        SSEResponse([], ping=0)


def test_head():
    r = SSEResponse([], headers={"Cache-Control": "private"})
    assert isinstance(r, Response) and r.is_streamed and r.mimetype == "text/event-stream"
    assert r.headers["X-Accel-Buffering"] == "no" and r.headers.getlist("Cache-Control") == ["private"]
    assert SSEResponse([]).headers["Cache-Control"] == "no-cache"


def test_sync_events(client):
    notes = []

    @get("/x")
    def events(request):
        def generate():
            try:
                start = int(request.headers.get("Last-Event-ID", 0))
                yield SSEMessage("first", id=start + 1)
                yield None
                yield {"a": 1}
            finally:
                notes.append("closed")

        return SSEResponse(generate())

    answer = client.get("/x", headers={"Last-Event-ID": "6"})
    assert list(answer.iter_encoded()) == [b":\n\n", b"id: 7\ndata: first\n\n", b": ping\n\n", b'data: {"a":1}\n\n']
    assert notes == ["closed"]
    with client.get("/x") as answer:
        pieces = answer.iter_encoded()
        assert next(pieces) == b":\n\n" and next(pieces) == b"id: 1\ndata: first\n\n"
    assert notes == ["closed", "closed"]


def test_async_events_and_pings(client):
    notes, gate = [], []

    @get("/x")
    async def events(request):
        go = asyncio.Event()
        gate.append((asyncio.get_running_loop(), go))

        async def generate():
            try:
                yield "first"
                await go.wait()
                yield "last"
            finally:
                await asyncio.sleep(0)
                notes.append("closed")

        return SSEResponse(generate(), ping=0.01)

    pieces = client.get("/x").iter_encoded()
    assert next(pieces) == b":\n\n" and next(pieces) == b"data: first\n\n"
    assert next(pieces) == b": ping\n\n" and next(pieces) == b": ping\n\n"
    loop, go = gate[0]
    loop.call_soon_threadsafe(go.set)
    rest = list(pieces)
    assert rest[-1] == b"data: last\n\n" and set(rest[:-1]) <= {b": ping\n\n"} and notes == ["closed"]
    with client.get("/x", query_string="again") as answer:
        pieces = answer.iter_encoded()
        assert next(pieces) == b":\n\n" and next(pieces) == b"data: first\n\n"
    assert notes == ["closed", "closed"]


def test_what_a_source_raises(client):
    @get("/x")
    async def events(request):
        async def generate():
            yield "first"
            raise KeyError("midway")

        return SSEResponse(generate())

    pieces = client.get("/x").iter_encoded()
    assert next(pieces) == b":\n\n" and next(pieces) == b"data: first\n\n"
    with pytest.raises(KeyError):
        next(pieces)


class Source:
    """Of either kind; counts how often it is closed."""

    closed = 0

    def __iter__(self):
        return iter(["a"])

    def close(self):
        self.closed += 1


class AsyncSource:
    closed = 0

    async def __aiter__(self):
        yield "a"

    async def aclose(self):
        self.closed += 1


@pytest.mark.parametrize("make", [Source, AsyncSource])
def test_a_source_is_closed_once(client, make):
    made = []

    def answer():
        made.append(make())
        return SSEResponse(made[-1])

    @get("/sync")
    def sync():
        return answer()

    @get("/async")
    async def asynchronous():
        return answer()

    path = "/sync" if make is Source else "/async"
    assert client.get(path).data.endswith(b"data: a\n\n")
    client.head(path)
    with client.get(path) as response:
        next(response.iter_encoded())
    assert [source.closed for source in made] == [1, 1, 1]


def test_a_source_is_closed_before_its_task_has_begun():
    async def run():
        source = AsyncSource()
        events = SSEResponse(source).response
        assert await events.__anext__() == b":\n\n"
        await events.aclose()
        return source.closed

    assert asyncio.run(run()) == 1
