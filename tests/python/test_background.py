# SPDX-License-Identifier: MIT
"""Work after the response, in the test client; the daemon's own is in the integration tests."""

import asyncio

import pytest

from snacgi import BackgroundTask, BackgroundTasks, Response, current_request, get, send_file
from snacgi.testing import TestClient


@pytest.fixture(params=["sync", "async"])
def make(request, client):
    """make(rule, background, body): a handler of either kind."""

    def make(rule, background, body="x"):
        if request.param == "sync":

            @get(rule)
            def handler():
                return Response(body() if callable(body) else body, background=background)

        else:

            @get(rule)
            async def handler():
                return Response(body() if callable(body) else body, background=background)

    return make


def test_is_done_when_the_answer_is_there(client, make):
    done = []

    def sync(n):
        done.append((n, current_request.path))

    async def asynchronous(n):
        await asyncio.sleep(0)
        done.append((n, current_request.path))

    tasks = BackgroundTasks([BackgroundTask(sync, 1)])
    tasks.add_task(asynchronous, n=2)
    make("/several", tasks)
    make("/sync", BackgroundTask(sync, 3))
    make("/async", BackgroundTask(asynchronous, 4))
    make("/plain", lambda: done.append((5, current_request.path)))
    answer = client.get("/several")
    assert answer.data == b"x" and not answer.is_streamed and answer.headers["Content-Length"] == "1"
    assert done == [(1, "/several"), (2, "/several")]
    for path in ("/sync", "/async", "/plain"):
        assert client.get(path).data == b"x"
    assert [n for n, _ in done[2:]] == [3, 4, 5]
    assert client.head("/sync").headers["Content-Length"] == "1" and done[-1] == (3, "/sync")


def test_after_a_stream(client, make):
    done = []

    def pieces():
        yield "a"
        done.append("made")
        yield "b"

    make("/x", lambda: done.append("later"), pieces)
    answer = client.get("/x")
    assert done == []
    assert answer.data == b"ab" and done == ["made", "later"]


def test_after_a_file(client, make, tmp_path):
    done = []

    async def later():
        done.append(current_request.path)

    (tmp_path / "f.txt").write_bytes(b"content")

    @get("/f")
    def handler():
        response = send_file(tmp_path / "f.txt")
        response.background = later
        return response

    for headers, status, body in ((None, 200, b"content"), ({"Range": "bytes=1-2"}, 206, b"on")):
        answer = client.get("/f", headers=headers)
        assert (answer.status_code, answer.headers["Content-Length"], done) == (status, str(len(body)), [])
        assert answer.data == body and done == ["/f"]
        done.clear()
    client.get("/f").close()
    assert client.head("/f").headers["Content-Length"] == "7" and done == ["/f"] * 2


def test_failing_is_raised_to_the_test(client, make):
    make("/x", BackgroundTask(int, "x"))
    with pytest.raises(ValueError):
        client.get("/x")


def test_wrong_work():
    with pytest.raises(TypeError, match="background must be a BackgroundTask"):
        Response("x", background=5)
    with pytest.raises(TypeError, match="made of a function, not of int"):
        BackgroundTask(5)
    r = Response("x")
    assert r.background is None
    r.background = print
    assert r.background is print
    with TestClient():
        pass
