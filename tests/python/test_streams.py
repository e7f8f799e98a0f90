# SPDX-License-Identifier: MIT
"""Answers in pieces: what counts as one, and the test client's way through them."""

import asyncio
import contextvars
import gc
import io
import threading
import types
import weakref

import pytest

import _snacgi
import snacgi
from snacgi import Request, Response, abort, current_request, get, route, stream_with_context
from snacgi._streaming import drive
from snacgi.testing import TestClient

variable = contextvars.ContextVar("variable", default="unset")


def test_response_of_an_iterable():
    r = Response(x for x in ("é", b"a"))
    assert r.is_streamed and r.content_length is None and repr(r) == "<Response streamed [200 OK]>"
    assert r.data == "éa".encode() and not r.is_streamed and r.content_length == 3
    r.response = iter([b"x"])
    assert r.is_streamed and r.get_data(as_text=True) == "x" and r.response == [b"x"]
    r.response = io.BytesIO(b"a\nb")
    assert r.is_streamed
    r.data = "whole"
    assert not r.is_streamed and r.data == b"whole"
    with pytest.raises(TypeError, match="must be str, bytes or an iterable"):
        Response({"a": 1})
    with pytest.raises(TypeError, match="not int"):
        Response(iter([5])).data


def test_an_async_source_has_no_data():
    async def pieces():
        yield "x"

    r = Response(pieces())
    assert r.is_streamed
    with pytest.raises(RuntimeError, match="nobody awaits"):
        r.data


def test_a_response_in_a_cycle_goes():
    class Source:
        def __iter__(self):
            return iter(())

    source = Source()
    source.response = Response(source)
    gone = weakref.ref(source)
    del source
    gc.collect()
    assert gone() is None


def test_head_of_a_stream():
    head, source = _snacgi.answer(Request(), iter(["a"]))
    assert b"Content-Length" not in head and b"text/html; charset=utf-8" in head and next(source) == "a"
    head, _ = _snacgi.answer(Request(), (iter("a"), 201, {"Content-Type": "text/csv", "Content-Length": "1"}))
    assert head.startswith(b"Status: 201") and b"text/csv" in head and b"Content-Length: 1\r\n" in head


@pytest.fixture(params=["sync", "async"])
def kind(request):
    return request.param


def register(kind, rule, notes, pieces, then=None):
    """A handler that gives `pieces`, then raises `then`."""
    if kind == "sync":

        @route(rule)
        def handler(request):
            variable.set("handler")

            def generate():
                try:
                    for piece in pieces:
                        notes.append(f"made {piece!r} {variable.get()}")
                        yield piece
                    if then:
                        raise then
                finally:
                    notes.append("closed")

            return generate()

    else:

        @route(rule)
        async def handler(request):
            variable.set("handler")

            async def generate():
                try:
                    for piece in pieces:
                        await asyncio.sleep(0)
                        notes.append(f"made {piece!r} {variable.get()}")
                        yield piece
                    if then:
                        raise then
                finally:
                    notes.append("closed")

            return generate()


def test_pieces_come_one_by_one(client, kind):
    notes = []
    register(kind, "/x", notes, ["a", b"", b"b", "c"])
    answer = client.get("/x")
    assert answer.status_code == 200 and answer.is_streamed and notes == ["made 'a' handler"]
    pieces = answer.iter_encoded()
    assert next(pieces) == b"a" and len(notes) == 1
    assert next(pieces) == b"" and next(pieces) == b"b" and len(notes) == 3
    assert answer.data == b"c" and notes[-1] == "closed" and notes.count("closed") == 1
    assert client.get("/x").text == "abc" and notes.count("closed") == 2


def test_a_client_that_leaves(client, kind):
    notes = []
    register(kind, "/x", notes, ["a"] * 5)
    with client.get("/x") as answer:
        assert next(answer.iter_encoded()) == b"a"
    assert notes == ["made 'a' handler", "closed"]
    answer.close()
    assert notes.count("closed") == 1
    client.head("/x")
    assert len(notes) == (2 if kind == "async" else 2)


class OfAnAsyncGenerator:
    """What `async for` makes of it is another object, which has to be closed too."""

    def __init__(self, notes):
        self.notes = notes

    async def __aiter__(self):
        try:
            for piece in "abc":
                yield piece
        finally:
            self.notes.append("iterator")

    async def aclose(self):
        self.notes.append("source")


@pytest.mark.parametrize("background", [False, True])
def test_the_iterator_of_a_source_is_closed(client, background):
    notes = []

    @get("/x")
    async def handler(request):
        return Response(OfAnAsyncGenerator(notes), background=(lambda: notes.append("work")) if background else None)

    with client.get("/x") as answer:
        assert next(answer.iter_encoded()) == b"a"
    assert notes == ["iterator", "source"] + ["work"] * background


def test_the_daemon_closes_the_iterator():
    class Out:
        bodyless = False

        def write(self, piece):
            return False  # its client has gone

        def after(self):
            return 0.0  # no limit

    async def run():
        await drive(Out(), OfAnAsyncGenerator(notes))
        assert notes == ["iterator", "source"]

    notes = []
    asyncio.run(run())


def test_what_is_closed_without_a_loop_closes_its_source():
    """As the daemon does when it stops: the loop has ended before the stream."""
    class Out:
        bodyless = False

        def after(self):
            return 5.0

    class Source:
        def __aiter__(self):
            return self

        def __anext__(self):
            return iterate()

        async def aclose(self):
            notes.append("source")

    @types.coroutine
    def iterate():
        yield

    notes = []
    stream = drive(Out(), Source())
    stream.send(None)
    stream.close()
    assert notes == ["source"]


def test_failing_midway_is_raised(client, kind):
    notes = []
    register(kind, "/x", notes, ["a"], KeyError("midway"))
    answer = client.get("/x")
    assert answer.status_code == 200
    with pytest.raises(KeyError, match="midway"):
        answer.data
    assert notes.count("closed") == 1


def test_failing_at_first(scope, capfd, kind):
    register(kind, "/x", [], [""], KeyError("first"))
    register(kind, "/gone", [], [], snacgi.exceptions.NotFound())
    register(kind, "/wrong", [], [5])
    with TestClient() as client:
        with pytest.raises(KeyError):
            client.get("/x")
        assert client.get("/gone").status_code == 404
        with pytest.raises(TypeError, match="gave an object of type int: yield bytes or str"):
            client.get("/wrong")
    with TestClient(raise_server_exceptions=False) as client:
        assert client.get("/x").status_code == 500 and client.get("/wrong").status_code == 500
    assert "KeyError: 'first'" in capfd.readouterr().err


def test_error_handlers_answer_what_fails_at_first(client, kind):
    notes = []
    register(kind, "/x", notes, [""], KeyError("first"))

    @snacgi.errorhandler(KeyError)
    def failed(exc):
        return {"error": str(exc)}, 418

    answer = client.get("/x")
    assert answer.status_code == 418 and answer.json == {"error": "'first'"} and notes.count("closed") == 1


def test_a_sync_generator_begins_outside_the_event_loop(client):
    began, go, notes = threading.Event(), threading.Event(), []

    @snacgi.errorhandler(KeyError)
    def failed(exc):
        return {"error": str(exc)}, 418

    @get("/x")
    async def handler(request):
        def generate():
            began.set()
            notes.append(go.wait(5))
            variable.set("first")
            yield current_request.path
            yield variable.get()

        asyncio.get_running_loop().run_in_executor(None, lambda: (began.wait(5), loop.call_soon_threadsafe(go.set)))
        return generate()

    @get("/fails")
    async def fails(request):
        def generate():
            raise KeyError("first")
            yield

        return generate()

    loop = client._loop.get()
    assert client.get("/x").text == "/xfirst" and notes == [True]
    assert client.get("/fails").status_code == 418


def test_a_sync_generator_that_is_not_waited_for_is_closed(client):
    go, closed = threading.Event(), threading.Event()
    snacgi.errorhandler(KeyError)(lambda exc: "failed")

    @get("/x")
    async def handler(request):
        def generate():
            try:
                loop.call_soon_threadsafe(lambda: (task.cancel(), go.set()))
                go.wait(5)
                yield "a"
            finally:
                closed.set()

        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        return generate()

    with pytest.raises(asyncio.CancelledError):
        client.get("/x")
    assert closed.wait(5)


@pytest.mark.parametrize("handled", [False, True])
def test_empty_pieces_before_the_first_are_not_kept(client, kind, handled):
    if handled:
        snacgi.errorhandler(KeyError)(lambda exc: (str(exc), 418))
    register(kind, "/x", [], ["", b"", memoryview(b""), "a", "", "b"])
    register(kind, "/fails", [], ["", memoryview(b"")], KeyError("first"))
    assert list(client.get("/x").iter_encoded()) == [b"a", b"", b"b"]
    if handled:
        assert client.get("/fails").status_code == 418


def test_hooks_around_a_stream(client, kind):
    notes = []
    register(kind, "/x", notes, ["a", "b"])

    @snacgi.after_request
    def after(response):
        notes.append(f"after {response.is_streamed}")
        response.headers["X-After"] = "1"
        return response

    @snacgi.teardown_request
    def teardown(exc):
        notes.append(f"teardown {exc!r} {current_request.path}")

    answer = client.get("/x")
    assert answer.headers["X-After"] == "1" and "teardown None /x" not in notes
    assert answer.data == b"ab"
    assert notes == ["after True", "made 'a' handler", "made 'b' handler", "closed", "teardown None /x"]


def test_teardown_hears_of_what_fails_midway(client, kind):
    notes = []
    register(kind, "/x", [], ["a"], KeyError("midway"))

    @snacgi.teardown_request
    def teardown(exc):
        notes.append(repr(exc))

    answer = client.get("/x")
    with pytest.raises(KeyError):
        answer.data
    assert notes == ["KeyError('midway')"]


def test_functions_that_yield(client):
    @get("/sync/<name>")
    def sync(name):
        yield name
        yield f" {current_request.path}"

    @get("/async")
    async def asynchronous(request):
        yield "a"
        await asyncio.sleep(0)
        yield "b"

    assert client.get("/sync/x").text == "x /sync/x"
    assert client.get("/async").text == "ab"


def test_stream_with_context(client):
    @get("/a")
    def a(request):
        return Response(stream_with_context(x for x in "ab"))

    @get("/b")
    def b(request):
        @stream_with_context
        def generate(n):
            yield from "x" * n

        return generate(3)

    assert client.get("/a").text == "ab" and client.get("/b").text == "xxx"


def test_wrong_ways_are_told(client):
    @get("/sync")
    def sync(request):
        async def pieces():
            yield "x"

        return pieces()

    @get("/keys")
    def keys(request):
        return {"a": 1}.keys()

    with pytest.raises(TypeError, match="Response\\(\\) of it for a streamed body"):
        client.get("/keys")
    with pytest.raises(TypeError, match="write it with async def"):
        client.get("/sync")


def test_an_error_has_no_stream(answer, capfd):
    from snacgi import HTTPException

    a = answer(HTTPException(response=Response(iter("ab"))))
    assert a.status == 500 and "cannot be a stream" in capfd.readouterr().err


class Notes(list):
    def __init__(self):
        self.asked = threading.Event()  # for what will not come


@pytest.fixture
def life(kind, scope, monkeypatch):
    """Notes of a stream that never ends by itself, with teardown, background work and a shutdown hook."""
    from snacgi import _life

    monkeypatch.setattr(_life, "shutdown", [])
    notes = Notes()

    def generate():
        try:
            while True:
                yield "x"
        finally:
            notes.append("closed")

    async def generate_async():
        try:
            yield "x"
            notes.asked.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            notes.append("closed")

    def answer():
        pieces = generate() if kind == "sync" else generate_async()
        return Response(pieces, background=lambda: notes.append("work"))

    if kind == "sync":
        get("/x")(lambda request: answer())
    else:

        @get("/x")
        async def handler(request):
            return answer()

    snacgi.teardown_request(lambda exc: notes.append(f"teardown {exc!r}"))
    snacgi.on_shutdown(lambda: notes.append("shutdown"))
    return notes


def test_leaving_the_client_closes_what_is_open(life):
    with TestClient() as client:
        answer = client.get("/x")
        pieces = answer.iter_encoded()
        assert next(pieces) == b"x" and life == []
    assert life == ["closed", "teardown None", "work", "shutdown"]
    assert list(pieces) == []
    answer.close()


@pytest.mark.parametrize("kind", ["async"])
def test_leaving_the_client_closes_what_nobody_holds(life):
    with TestClient() as client:
        client.get("/x")
        gc.collect()
    assert life == ["closed", "teardown None", "work", "shutdown"]


@pytest.mark.parametrize("kind", ["async"])
def test_leaving_the_client_ends_who_waits_for_a_piece(life):
    raised, asked = [], life.asked

    def wait():
        try:
            raised.append(next(pieces))
        except BaseException as exc:
            raised.append(type(exc))

    with TestClient() as client:
        answer = client.get("/x")
        pieces = answer.iter_encoded()
        assert next(pieces) == b"x"
        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        assert asked.wait(5)
    thread.join(5)
    assert raised == [asyncio.CancelledError] and life == ["closed", "teardown CancelledError()", "work", "shutdown"]


def test_a_source_whose_aiter_fails(client):
    class Source:
        def __aiter__(self):
            raise KeyError("aiter")

    @get("/x")
    async def handler(request):
        return Response(Source())

    with pytest.raises(KeyError, match="aiter"):
        client.get("/x")
