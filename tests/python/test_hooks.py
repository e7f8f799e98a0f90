# SPDX-License-Identifier: MIT
"""Hooks, error handlers, g and current_request, by the test client."""

import asyncio
import contextvars
import logging
import subprocess
import sys
import threading

import pytest

import snacgi
from snacgi import HTTPException, Response, _bind, _hooks, _json, abort, current_request, g, get, post
from snacgi import after_request, before_request, errorhandler, teardown_request
from snacgi.exceptions import BadRequest, InternalServerError, NotFound
from snacgi.testing import TestClient


@pytest.fixture
def quiet(scope):
    with TestClient(raise_server_exceptions=False) as client:
        yield client


def both(rule, body):
    """A sync and an async route with the same body."""

    async def asynchronous(request):
        await asyncio.sleep(0)
        return body(request)

    get("/sync" + rule)(body)
    get("/async" + rule)(asynchronous)
    return "/sync" + rule, "/async" + rule


def test_order(client):
    log = []
    before_request(lambda: log.append("before 1"))
    before_request(lambda request: log.append("before 2 " + request.path))
    after_request(lambda response: (log.append("after 1"), response)[1])
    after_request(lambda response: (log.append("after 2"), response)[1])
    teardown_request(lambda exc: log.append(f"teardown 1 {exc}"))
    teardown_request(lambda exc: log.append(f"teardown 2 {exc}"))
    for path in both("/x", lambda request: log.append("handler")):
        log.clear()
        assert client.get(path).status_code == 204
        assert log == ["before 1", "before 2 " + path, "handler", "after 2", "after 1", "teardown 2 None", "teardown 1 None"]


def test_before_request_may_answer(client):
    before_request(lambda: ({"error": "no"}, 401) if current_request.path != "/open" else None)
    get("/open")(lambda request: "open")
    get("/closed")(lambda request: "closed")
    assert client.get("/open").text == "open"
    assert client.get("/closed").status_code == 401 and client.get("/closed").json == {"error": "no"}


def test_after_request_sees_and_changes_every_answer(client):
    seen = []

    @after_request
    def add(response):
        assert isinstance(response, Response)
        seen.append((response.status_code, response.content_type))
        response.headers["X-After"] = "yes"
        return response

    both("/json", lambda request: ({"a": [1, None, "ü"]}, 201, {"X-Own": "1"}))
    get("/text")(lambda request: "text")
    get("/bytes")(lambda request: b"b")
    get("/none")(lambda request: None)
    get("/http")(lambda request: abort(403, "no"))
    get("/big")(lambda request: "x" * 100000)
    for path in ("/sync/json", "/async/json"):
        response = client.get(path)
        assert response.data == '{"a":[1,null,"ü"]}'.encode() and response.status_code == 201
        assert response.headers["X-After"] == "yes" and response.headers["X-Own"] == "1"
    for path, status in (("/text", 200), ("/bytes", 200), ("/none", 204), ("/http", 403), ("/nowhere", 404)):
        response = client.get(path)
        assert response.status_code == status and response.headers["X-After"] == "yes", path
    assert client.get("/http").json["error"] == "no"
    assert client.get("/big").data == b"x" * 100000
    assert client.options("/text").headers["X-After"] == "yes" and client.options("/text").headers["Allow"]
    assert client.post("/text").status_code == 405 and client.post("/text").headers["X-After"] == "yes"
    assert (200, "text/html; charset=utf-8") in seen and (201, "application/json") in seen


def test_after_request_must_return_the_response(client, quiet):
    after_request(lambda response: None)
    get("/x")(lambda request: "x")
    with pytest.raises(TypeError, match=r"<lambda> \(after_request\) returned NoneType"):
        client.get("/x")
    assert quiet.get("/x").status_code == 500


def test_error_handlers_by_code_and_class(client):
    class Mine(Exception):
        pass

    class Special(Mine):
        pass

    errorhandler(404)(lambda e: ({"code": e.code, "said": e.description}, 404))
    errorhandler(Mine)(lambda e: (f"mine {e}", 409))
    errorhandler(HTTPException)(lambda e: (f"http {e.code}", e.code))

    def fail(request):
        raise Special("s")

    for path in both("/mine", fail):
        assert client.get(path).text == "mine s" and client.get(path).status_code == 409
    get("/404")(lambda request: abort(404, "own"))
    get("/400")(lambda request: abort(400))
    assert client.get("/404").json == {"code": 404, "said": "own"}
    assert client.get("/nowhere").json == {"code": 404, "said": "there is nothing at this path"}
    assert client.get("/400").text == "http 400"
    assert client.post("/400").text == "http 405" and client.post("/400").status_code == 405


def test_error_handler_may_return_the_exception(client):
    errorhandler(BadRequest)(lambda e: e)
    get("/400")(lambda request: abort(400, "as it is"))
    assert client.get("/400").status_code == 400 and client.get("/400").json["error"] == "as it is"


def test_500_gets_the_original(client, quiet, capfd):
    @errorhandler(500)
    def oops(e):
        assert isinstance(e, InternalServerError)
        return f"oops {type(e.original_exception).__name__}", 500

    def fail(request):
        raise KeyError("x")

    for path in both("/fail", fail):
        assert quiet.get(path).text == "oops KeyError"
        with pytest.raises(KeyError):
            client.get(path)
    get("/wrong")(lambda request: object())
    assert quiet.get("/wrong").text == "oops TypeError"
    logged = capfd.readouterr().err
    assert logged.count("KeyError: 'x'") == 2 and "returned an object of type object" in logged


def test_a_handler_for_exception_takes_everything(client):
    errorhandler(Exception)(lambda e: (type(e).__name__, 418))

    def fail(request):
        raise KeyError("x")

    for path in both("/fail", fail):
        assert client.get(path).text == "KeyError"
    assert client.get("/nowhere").text == "NotFound"


def test_a_handler_for_werkzeugs_class_takes_what_abort_raises(client):
    """Flask's own examples have it so, and change and return what get_response() gives."""
    from werkzeug import exceptions as theirs

    @snacgi.errorhandler(theirs.HTTPException)
    def generic(error):
        response = error.get_response()
        response.data = f"{error.code} {error.name}: {error.description}"
        response.content_type = "text/plain"
        response.headers["X-Seen"] = "1"
        return response

    @snacgi.errorhandler(theirs.Conflict)
    def conflict(error):
        return "conflict", 409

    def raises(exc):
        raise exc

    get("/ours")(lambda: snacgi.abort(404, "nothing"))
    get("/theirs")(lambda: theirs.abort(404, "nothing"))
    get("/conflict")(lambda: snacgi.abort(409))
    get("/own")(lambda: raises(Own()))
    for path in ("/ours", "/theirs"):
        answer = client.get(path)
        assert (answer.status_code, answer.text) == (404, "404 Not Found: nothing"), path
        assert answer.headers["Content-Type"].startswith("text/plain") and answer.headers["X-Seen"] == "1"
    assert client.get("/nowhere").text.startswith("404 Not Found: ")
    assert (client.get("/conflict").text, client.get("/own").status_code) == ("conflict", 418)
    get("/whole")(lambda: snacgi.abort(Response("as it is", 402)))
    assert (client.get("/whole").status_code, client.get("/whole").text) == (402, "as it is")
    snacgi.errorhandler(snacgi.exceptions.NotFound)(lambda error: ("ours", 404))
    assert client.get("/ours").text == "ours"


class Own(snacgi.HTTPException):
    code = 418


def test_flasks_pass_through_of_werkzeugs_exceptions(client):
    theirs = pytest.importorskip("werkzeug.exceptions")
    get("/own")(lambda: abort(404, "own"))
    get("/key/<key>")(lambda key, request: request.args[key])
    get("/no")(lambda: 1 // 0)
    seen = []

    @errorhandler(Exception)
    def handler(e):
        seen.append((type(e).__name__, isinstance(e, theirs.NotFound), isinstance(e, HTTPException)))
        return e if isinstance(e, theirs.HTTPException) else "failed"

    assert (client.get("/own").status_code, client.get("/own").json["error"]) == (404, "own")
    assert client.get("/key/a").status_code == 400 and client.get("/nowhere").status_code == 404 and client.get("/no").text == "failed"
    assert seen == [("NotFound", True, True)] * 2 + [("BadRequestKeyError", False, True), ("NotFound", True, True), ("ZeroDivisionError", False, False)]
    errorhandler(Exception)(lambda e: e.get_body())
    get("/told")(lambda: abort(404, "<b>"))
    assert client.get("/told").text == theirs.NotFound("<b>").get_body()


def test_responses_of_werkzeug(client):
    from werkzeug.wrappers import Response as Theirs

    get("/whole")(lambda: Theirs("text", 201, {"X-A": "1"}, mimetype="text/plain"))
    get("/pieces")(lambda: (Theirs(iter(["a", "b"]), mimetype="text/csv"), 202))
    get("/empty")(lambda: Theirs(status=304))
    whole = client.get("/whole")
    assert (whole.status_code, whole.text, whole.headers["X-A"], whole.headers["Content-Length"]) == (201, "text", "1", "4")
    pieces = client.get("/pieces")
    assert (pieces.status_code, pieces.mimetype, pieces.data) == (202, "text/csv", b"ab")
    assert client.get("/empty").status_code == 304


def test_responses_of_werkzeug_before_json_default(client, monkeypatch):
    theirs = pytest.importorskip("werkzeug.exceptions")
    get("/whole")(lambda: theirs.NotFound().get_response())
    get("/pieces")(lambda: pytest.importorskip("werkzeug").Response(iter(["a", "b"]), 201, mimetype="text/html"))
    get("/caught")(lambda: abort(403))
    get("/other")(lambda: ...)
    errorhandler(403)(lambda e: theirs.Forbidden().get_response())
    monkeypatch.setattr(_json, "_own", [str])  # takes everything
    for path, status in (("/whole", 404), ("/pieces", 201), ("/caught", 403)):
        answer = client.get(path)
        assert (answer.status_code, answer.mimetype) == (status, "text/html"), path
    assert client.get("/other").json == "Ellipsis"


def test_responses_of_werkzeug_are_closed(client):
    from werkzeug.wrappers import Response as Theirs

    done = []

    class Source:
        def __iter__(self):
            return iter([b"abc", b"def"])

        def close(self):
            done.append("source")

    def handler(request):
        body = {"whole": "abcdef", "list": ["abc", "def"], "pieces": Source()}[request.args["what"]]
        answer = Theirs(body, headers={"Content-Length": "6"})
        answer.call_on_close(lambda: done.append("called"))
        return answer

    for path in both("/theirs", handler):
        for what in ("whole", "list", "pieces"):
            done.clear()
            answer = client.get(f"{path}?what={what}")
            assert (answer.data, answer.headers["Content-Length"]) == (b"abcdef", "6"), what
            assert done == (["source", "called"] if what == "pieces" else ["called"]), what
        done.clear()
        assert client.head(f"{path}?what=pieces").data == b"" and done == ["source", "called"]


def test_hooks_keep_the_length_of_a_stream(client):
    from werkzeug.wrappers import Response as Theirs

    done, length = [], {"Content-Length": "2"}
    get("/theirs")(lambda: Theirs(iter(["a", "b"]), headers=length))
    get("/ours")(lambda: (Response(iter(["a", "b"]), headers=length), 201))
    get("/tuple")(lambda: (iter(["a", "b"]), length))
    get("/work")(lambda: (Response("ab", background=lambda: done.append(1)), 201))
    get("/unknown")(lambda: iter(["a", "b"]))
    after_request(lambda response: response)
    for path in ("/theirs", "/ours", "/tuple", "/work", "/unknown"):
        answer = client.get(path)
        assert (answer.text, answer.headers.get("Content-Length")) == ("ab", None if path == "/unknown" else "2"), path
    assert done == [1]


def test_nothing_is_imported_to_refuse_a_result():
    code = """import sys, snacgi, _snacgi
_snacgi.answer(snacgi.Request(), object(), "f")
assert not {"snacgi._respmore", "werkzeug"} & set(sys.modules)"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_errors_of_werkzeug(client):
    theirs = pytest.importorskip("werkzeug.exceptions")

    class Gone(theirs.Gone):
        pass

    class Both(theirs.Conflict, ValueError):
        pass

    ready = theirs.NotFound(response=pytest.importorskip("werkzeug").Response("r", 404))
    failures = {"404": theirs.NotFound("own"), "410": theirs.Gone(), "gone": Gone(), "409": Both(),
                "400": theirs.BadRequestKeyError("k"), "ready": ready, "key": KeyError("x")}

    def fail(request):
        raise failures[request.args["what"]]

    paths = both("/fail", fail)

    def told(what):
        (said,) = {client.get(f"{path}?what={what}").text for path in paths}
        return said

    errorhandler(Exception)(lambda e: f"any {type(e).__module__} {type(e).__name__}")
    assert told("404") == "any werkzeug.exceptions NotFound" and told("key") == "any builtins KeyError"
    errorhandler(KeyError)(lambda e: f"key {type(e).__module__}")
    assert told("400") == "key werkzeug.exceptions" and told("key") == "key builtins"
    errorhandler(HTTPException)(lambda e: f"http {type(e).__module__} {e.code}")  # ours is nearer than Exception
    assert told("404") == "http snacgi.exceptions 404" and told("409") == "http snacgi.exceptions 409"
    assert told("400") == "http snacgi.exceptions 400" and told("key") == "key builtins"
    errorhandler(theirs.HTTPException)(lambda e: f"theirs {type(e).__module__} {e.code}")
    assert told("404") == "theirs werkzeug.exceptions 404" and client.get("/nowhere").text == "http snacgi.exceptions 404"
    errorhandler(404)(lambda e: f"404 {type(e).__module__} {e.description}")  # a status before every class
    assert told("404") == "404 snacgi.exceptions own" and told("410") == "theirs werkzeug.exceptions 410"
    errorhandler(410)(lambda e: "410")
    errorhandler(Gone)(lambda e: "nearest")
    assert told("410") == "410" and told("gone") == "nearest"
    errorhandler(theirs.NotFound)(lambda e: e)  # it is sent as it is
    assert client.get(paths[0] + "?what=404").json["error"] == "own"
    assert client.get(paths[0] + "?what=404").status_code == 404 and told("ready") == "r"


def test_teardown_gets_what_nobody_handled(quiet, caplog):
    seen = []
    teardown_request(lambda exc: seen.append(type(exc)))
    errorhandler(ValueError)(lambda e: "handled")

    @teardown_request
    def broken(exc):
        raise RuntimeError("in teardown")

    def fail(request):
        raise (ValueError if "v" in request.args else KeyError)("x")

    for path in both("/fail", fail):
        assert quiet.get(path).status_code == 500 and quiet.get(path + "?v=1").text == "handled"
    assert seen == [KeyError, type(None)] * 2
    assert "broken (teardown_request) failed" in caplog.text and "in teardown" in caplog.text


def test_async_hooks(client):
    log = []

    @before_request
    async def before():
        await asyncio.sleep(0)
        g.user = current_request.path

    @after_request
    async def after(response):
        await asyncio.sleep(0)
        response.headers["X-User"] = g.user
        return response

    @errorhandler(KeyError)
    async def error(e):
        await asyncio.sleep(0)
        return "key", 400

    def handler(request):
        if request.args:
            raise KeyError
        return g.user

    for path in both("/x", handler):
        assert client.get(path).text == path and client.get(path).headers["X-User"] == path
        assert client.get(path + "?a=1").text == "key"


def test_async_hooks_around_a_sync_handler_in_an_event_loop(client):
    seen = []

    @before_request
    async def before():
        await asyncio.sleep(0)
        seen.append(current_request.path)

    @teardown_request
    async def teardown(exc):
        await asyncio.sleep(0)
        seen.append(g.user)

    @get("/x")
    def handler(request):
        g.user = "ada"
        return "x"

    async def inside():
        return client.get("/x").text

    assert asyncio.run(inside()) == "x" and seen == ["/x", "ada"]


def test_g_and_current_request(client):
    pool_threads = []

    def deep():
        pool_threads.append(threading.current_thread().name)
        return g.name + current_request.args["x"]

    @get("/sync")
    def sync(request):
        assert current_request == request and snacgi.request.path == "/sync" and current_request
        assert "name" not in g and g.get("name", 1) == 1
        g.name = "a"
        current_request.mine = 1
        assert request.mine == 1 and list(g) == ["name"]
        found = []
        thread = threading.Thread(target=contextvars.copy_context().run, args=(lambda: found.append(deep()),))
        thread.start()
        thread.join()
        assert g.pop("name") == "a" and g.setdefault("name", "b") == "b"
        del g.name
        with pytest.raises(AttributeError, match="no 'name' in this request"):
            g.name
        return found

    @get("/async")
    async def asynchronous(request):
        g.name = "b"
        await asyncio.sleep(0)
        assert current_request == request
        return [await asyncio.to_thread(deep), await asyncio.create_task(inner())]

    async def inner():
        return deep()

    assert client.get("/sync?x=1").json == ["a1"]
    assert client.get("/async?x=2").json == ["b2", "b2"]
    with pytest.raises(RuntimeError, match="no request is being answered"):
        current_request.path
    assert not current_request and repr(current_request) == "<no request>"


@pytest.mark.parametrize(
    "use, error",
    [
        (lambda: errorhandler(99), "99 is not the status of an error"),
        (lambda: errorhandler("404"), "takes a status"),
        (lambda: errorhandler(NotFound()), "takes a class"),
        (lambda: before_request(lambda a, b: None), "def <lambda>.request"),
        (lambda: after_request(lambda: None), "response"),
        (lambda: teardown_request(None), "above a function"),
    ],
)
def test_what_is_wrong_is_said_at_once(scope, use, error):
    with pytest.raises((TypeError, ValueError), match=error):
        use_ = use()
        if callable(use_):
            use_(lambda e: None)
    assert not scope


def test_the_plain_path_is_the_handler(scope, monkeypatch):
    monkeypatch.delitem(__import__("sys").modules, "snacgi._globals")

    @get("/x")
    def handler(request):
        return "x"

    assert _bind.bind(_hooks_route()) is handler and _bind.bind_missing() is None


def _hooks_route():
    from snacgi import _routing

    return _routing.registry[-1]


# ---- the application's life ---------------------------------------------------------


@pytest.fixture
def life(registry, monkeypatch):
    from snacgi import _life

    for name in ("startup", "shutdown", "lifespans", "_worker_init"):
        monkeypatch.setattr(_life, name, [])
    return []


def test_life(life):
    snacgi.on_startup(lambda: life.append("start"))

    @snacgi.on_startup
    async def start():
        life.append("async start")

    @snacgi.lifespan
    async def outer():
        life.append("outer")
        yield
        life.append("outer ends")

    @snacgi.lifespan
    async def inner():
        life.append("inner")
        yield
        life.append("inner ends")

    @snacgi.on_shutdown
    async def end():
        life.append("async end")

    snacgi.on_shutdown(lambda: life.append("end"))
    get("/x")(lambda request: life.append("request"))
    with TestClient() as client:
        assert life == ["start", "async start", "outer", "inner"]
        client.get("/x")
    assert life[4:] == ["request", "inner ends", "outer ends", "async end", "end"]
    TestClient().get("/x")
    assert len(life) == 10, "only `with` has a life"


def test_a_start_that_fails(life):
    @snacgi.lifespan
    async def failing():
        raise RuntimeError("no database")
        yield

    snacgi.on_shutdown(lambda: life.append("end"))
    with pytest.raises(RuntimeError, match="no database"):
        TestClient().__enter__()
    assert life == []


def test_wrong_functions_for_life(life):
    async def coroutine():
        pass

    with pytest.raises(TypeError, match="is no lifespan: write async def with one yield"):
        snacgi.lifespan(coroutine)
    with pytest.raises(TypeError, match="no event loop"):
        snacgi.worker_init(coroutine)
    with pytest.raises(TypeError, match="on_startup"):
        snacgi.on_startup(lambda app: None)


def test_what_is_imported_before_the_first_request_makes_none_current():
    """It would cost every request, and keep the last one alive: only who asks for current_request has it."""
    code = "import sys, snacgi._runtime as r; r.collect(); sys.exit('snacgi._globals' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
