# SPDX-License-Identifier: MIT
"""doc/from-flask.md: each row of its tables is true of snacgi. A test is named after its row;
a row without a test fails, and so does a test without a row."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import decimal
import enum
import io
import os
import re
import subprocess
import uuid
from concurrent.futures import Executor
from typing import Annotated, Any, Callable, Iterator, TypedDict

import numpy
import pytest
import snacgi
from docs import page, read, schema
from snacgi import Blueprint, Cookie, File, Form, Header, Path, Query, Request, Response, abort, errorhandler, g, get, post, request, route, url_for
from snacgi.testing import TestClient

PAGE = "doc/from-flask.md"
ROWS = {name: cell for name, cell in re.findall(r"^\| ([^|\-][^|]*) \|[^|]*\|[^|]*\| ([^|]+) \|$", read(PAGE), re.M) if name.strip()}
TESTS: dict[str, Callable[..., None]] = {}


def row(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def keep(test: Callable[..., None]) -> Callable[..., None]:
        assert name not in TESTS, name
        TESTS[name] = test
        return test

    return keep


@pytest.fixture
def client() -> Iterator[TestClient]:
    from snacgi import _blueprint, _hooks, _routing

    def nothing() -> None:
        _routing.registry.clear()
        _hooks.app_scope.__dict__.update(_hooks.Scope().__dict__)
        _blueprint._names.clear()

    nothing()
    try:
        yield TestClient()
    finally:
        nothing()


def test_every_row_has_a_test() -> None:
    assert set(TESTS) == set(ROWS)


def test_every_name_is_there() -> None:
    """What a cell of snacgi's column calls or marks with exists."""
    for cell in ROWS.values():
        for code in re.findall(r"`([^`]+)`", cell):
            for name in re.findall(r"^@?(\w+)\(", code):
                assert hasattr(snacgi, name), code


def ask(client: TestClient, handler: Callable[..., Any], rule: str = "/x", target: str = "", method: str = "GET", **options: Any) -> Any:
    route(rule, methods=[method])(handler)
    return client.open(target or rule, method, **options)


# ---- application and routes ---------------------------------------------------------------


@row("application")
def application(client: TestClient) -> None:
    app = snacgi.App(__name__)

    @app.route("/by-app")
    def by_app() -> str:
        return "app"

    get("/without")(lambda: "none")
    assert (client.get("/by-app").text, client.get("/without").text) == ("app", "none")
    for name in ("before_request", "after_request", "teardown_request", "errorhandler", "register_blueprint", "add_url_rule", "config"):
        assert hasattr(app, name), name


@row("configuration of its own")
def configuration(client: TestClient) -> None:
    os.environ["FLASK_PAGE__SIZE"] = "5"
    app = snacgi.App(__name__)
    assert app.config.from_prefixed_env() and app.config["PAGE"] == {"SIZE": 5}
    del os.environ["FLASK_PAGE__SIZE"]


@row("the application elsewhere")
def elsewhere(client: TestClient) -> None:
    snacgi.App(__name__).config["X"] = "x"
    assert ask(client, lambda: snacgi.current_app.config["X"]).text == "x"


@row("outside of requests")
def outside(client: TestClient) -> None:
    with snacgi.App(__name__).app_context():
        g.x = 1
        assert g.x == 1 and not snacgi.has_request_context()


@row("route")
def routes(client: TestClient) -> None:
    route("/x", methods=["POST"])(lambda: "route")
    post("/y")(lambda: "post")
    assert (client.post("/x").text, client.post("/y").text, client.get("/x").status_code) == ("route", "post", 405)


@row("variables")
def variables(client: TestClient) -> None:
    assert ask(client, lambda user_id: [user_id], "/users/<int:user_id>", "/users/7").json == [7]
    assert client.get("/users/x").status_code == 404


@row("variables with limits")
def variables_with_limits(client: TestClient) -> None:
    assert ask(client, lambda page: [page], "/a/<int(min=1):page>", "/a/1").json == [1]
    assert client.get("/a/0").status_code == 404

    @get("/b/<int:page>")
    def annotated(page: Annotated[int, Path(ge=1)]) -> list[int]:
        return [page]

    assert (client.get("/b/1").json, client.get("/b/0").status_code) == ([1], 422)


@row("own converters")
def converters(client: TestClient) -> None:
    from snacgi.routing import BaseConverter

    class ListConverter(BaseConverter):
        def to_python(self, value: str) -> Any:
            return value.split("+")

    snacgi.url_map.converters["list"] = ListConverter
    try:
        assert ask(client, lambda tags: tags, "/tags/<list:tags>", "/tags/a+b").json == ["a", "b"]
    finally:
        del snacgi.url_map.converters["list"]


@row("their values")
def values(client: TestClient) -> None:
    def annotated(user_id: int) -> list[int]:
        return [user_id]

    assert ask(client, lambda user_id: [user_id], "/a/<user_id>", "/a/7").json == ["7"]
    assert ask(client, annotated, "/b/<user_id>", "/b/7").json == [7]
    assert ask(client, lambda request: request.path_params, "/c/<int:user_id>", "/c/7").json == {"user_id": 7}


@row("several rules")
def several_rules(client: TestClient) -> None:
    @get("/a")
    @get("/b")
    def both() -> str:
        return "both"

    assert client.get("/a").text == client.get("/b").text == "both"


def shop(client: TestClient) -> TestClient:
    blueprint = Blueprint("shop", __name__, url_prefix="/shop")

    @blueprint.get("/items/<int:item_id>")
    def item(item_id: int) -> dict[str, Any]:
        return {"here": url_for(".item", item_id=item_id), "whole": url_for("shop.item", item_id=item_id, _external=True)}

    snacgi.register_blueprint(blueprint)
    return client


@row("groups of routes")
def groups(client: TestClient) -> None:
    assert shop(client).get("/shop/items/7").status_code == 200


@row("joining them")
def joining(client: TestClient) -> None:
    assert client.get("/shop/items/7").status_code == 404
    assert shop(client).get("/shop/items/7").status_code == 200


@row("address of a route")
def address(client: TestClient) -> None:
    assert shop(client).get("/shop/items/7", headers={"Host": "example.org"}).json == {"here": "/shop/items/7", "whole": "http://example.org/shop/items/7"}


@row("a slash that the path lacks")
def slash(client: TestClient) -> None:
    get("/a/")(lambda: "slash")
    get("/b/", strict_slashes=False)(lambda: "no matter")
    answer = client.get("/a")
    assert (answer.status_code, answer.headers["Location"].endswith("/a/"), client.get("/b").text) == (308, True, "no matter")


@row("HEAD and OPTIONS")
def head(client: TestClient) -> None:
    get("/x")(lambda: "text")
    assert (client.head("/x").status_code, client.head("/x").data) == (200, b"")
    assert set(client.options("/x").headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


@row("async handler")
def async_handler(client: TestClient) -> None:
    loops = []

    async def waits() -> str:
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return "waited"

    with client:
        assert ask(client, waits).text == client.get("/x").text == "waited"
    assert loops[0] is loops[1]


@row("blocking handler")
def blocking(client: TestClient) -> None:
    import threading

    assert ask(client, lambda: threading.current_thread().name).status_code == 200
    assert "`python.dispatch_workers`" in ROWS["blocking handler"] and "python.dispatch_workers" in schema()


@row("computing handler")
def computing(client: TestClient) -> None:
    @get("/x", use_process_pool=True)
    def computes(request: Request, pool: Executor) -> list[int]:
        return [pool.submit(abs, -7).result()]

    assert client.get("/x").json == [7]


# ---- the request ------------------------------------------------------------------------------


@row("the request")
def the_request(client: TestClient) -> None:
    assert ask(client, lambda: request.path, "/a").text == "/a"
    assert ask(client, lambda request: request.path, "/b").text == "/b"


@row("query")
def query(client: TestClient) -> None:
    def annotated(page: int = 1) -> list[int]:
        return [page]

    for rule, handler in (("/a", lambda: [request.args.get("page", 1, type=int)]), ("/b", annotated)):
        assert ask(client, handler, rule).json == [1]
        assert client.get(rule + "?page=3").json == [3]


@row("repeated keys")
def repeated(client: TestClient) -> None:
    def annotated(tag: list[str] = Query([])) -> list[str]:
        return tag

    assert ask(client, lambda: request.args.getlist("tag"), "/a", "/a?tag=x&tag=y").json == ["x", "y"]
    assert ask(client, annotated, "/b", "/b?tag=x&tag=y").json == ["x", "y"]


@dataclasses.dataclass
class Item:
    name: str
    price: float = 0.0


@row("JSON body")
def json_body(client: TestClient) -> None:
    def annotated(item: Item) -> list[str]:
        return [item.name]

    for rule, handler in (("/a", lambda: [request.get_json()["name"]]), ("/b", annotated), ("/c", lambda request: [request.body["name"]])):
        assert ask(client, handler, rule, method="POST", json={"name": "n"}).json == ["n"]
    assert client.post("/a", data='{"name":"n"}', content_type="text/plain").status_code == 415
    assert client.post("/c", data='{"name":"n"}', content_type="text/plain").json == ["n"]


@row("raw body")
def raw_body(client: TestClient) -> None:
    assert ask(client, lambda: request.get_data(), method="POST", data=b"\0\xff").data == b"\0\xff"
    assert ask(client, lambda: request.data, "/b", method="POST", data=b"\0\xff").data == b"\0\xff"


@row("form fields")
def form(client: TestClient) -> None:
    def annotated(name: str = Form()) -> str:
        return name

    assert ask(client, lambda: request.form["name"], "/a", method="POST", data={"name": "n"}).text == "n"
    assert ask(client, annotated, "/b", method="POST", data={"name": "n"}).text == "n"


@row("uploads")
def uploads(client: TestClient) -> None:
    def annotated(file: bytes = File()) -> bytes:
        return file

    def saved() -> bytes:
        out = io.BytesIO()
        request.files["file"].save(out)
        return out.getvalue()

    for rule, handler in (("/a", saved), ("/b", annotated)):
        assert ask(client, handler, rule, method="POST", data={"file": (io.BytesIO(b"content"), "name.txt")}).data == b"content"


@row("large uploads")
def large(client: TestClient) -> None:
    @post("/a", stream=True)
    def sync(request: Request) -> list[int]:
        return [len(part) for part in iter(lambda: request.stream.read(65536), b"")]

    @post("/b", stream=True)
    async def waits(request: Request) -> list[int]:
        return [sum([len(part) async for part in request.stream])]

    with client:
        assert client.post("/a", data=b"x" * 100_000).json == [65536, 34464]
        assert client.post("/b", data=b"x" * 100_000).json == [100_000]


@row("headers")
def headers(client: TestClient) -> None:
    def annotated(user_agent: str = Header()) -> str:
        return user_agent

    assert ask(client, lambda: request.headers["user-agent"], "/a", headers={"User-Agent": "me"}).text == "me"
    assert ask(client, annotated, "/b", headers={"User-Agent": "me"}).text == "me"


@row("cookies")
def cookies(client: TestClient) -> None:
    def annotated(sid: str = Cookie()) -> str:
        return sid

    assert ask(client, lambda: request.cookies.get("sid"), "/a", cookies={"sid": "7"}).text == "7"
    assert ask(client, annotated, "/b", cookies={"sid": "7"}).text == "7"


@row("client's address")
def remote_addr(client: TestClient) -> None:
    assert ask(client, lambda: request.remote_addr, environ_overrides={"REMOTE_ADDR": "192.0.2.7"}).text == "192.0.2.7"


@row("mounted at a path")
def mounted(client: TestClient) -> None:
    # What it does: tests/integration/test_paths.py and tests/servers/test_mounted.py.
    assert ask(client, lambda: f"<{request.script_root}>").text == "<>"
    assert "listen.prefix" in page("man/snacgi.conf.5")


@row("behind further proxies")
def proxies(client: TestClient) -> None:
    # What it does: tests/integration and tests/servers.
    assert "`proxy.hops`" in ROWS["behind further proxies"] and "proxy.hops" in schema()


@row("validation")
def validation(client: TestClient) -> None:
    def annotated(page: int, item: Item) -> str:
        return ""

    answer = ask(client, annotated, method="POST", target="/x?page=one", json={"price": "x"})
    assert answer.status_code == 422
    assert [one["loc"] for one in answer.json["detail"]] == [["query", "page"], ["body", "name"], ["body", "price"]]


@row("models")
def models(client: TestClient) -> None:
    from pydantic import BaseModel

    class Model(BaseModel):
        name: str

    class Typed(TypedDict):
        name: str

    for n, kind in enumerate((Item, Model, Typed)):

        def annotated(item: Any) -> Any:
            return item

        annotated.__annotations__["item"] = kind
        assert ask(client, annotated, f"/{n}", method="POST", json={"name": "n"}).json["name"] == "n"
        assert client.post(f"/{n}", json={}).status_code == 422
    assert "msgspec" in read("man/snacgi-python.7")


@row("is the client gone")
def gone(client: TestClient) -> None:
    async def awaited(request: Request) -> list[bool]:
        return [await request.is_disconnected()]

    assert ask(client, lambda request: [bool(request.is_disconnected())], "/a").json == [False]
    assert ask(client, awaited, "/b").json == [False]


@row("per request storage")
def storage(client: TestClient) -> None:
    @snacgi.before_request
    def before(request: Request) -> None:
        assert "user" not in g
        g.user = request.user = "Ada"

    assert ask(client, lambda request: [g.user, request.user]).json == ["Ada", "Ada"]
    assert client.get("/x").status_code == 200


# ---- the answer ------------------------------------------------------------------------------------


@row("dict and list")
def dict_and_list(client: TestClient) -> None:
    for n, value in enumerate(({"a": 1}, [1, 2])):
        answer = ask(client, lambda: value, f"/{n}")
        assert (answer.json, answer.mimetype) == (value, "application/json")


@row("text")
def text(client: TestClient) -> None:
    answer = ask(client, lambda: "<b>")
    assert (answer.text, answer.content_type) == ("<b>", "text/html; charset=utf-8")


@row("None")
def none(client: TestClient) -> None:
    assert ask(client, lambda: None).status_code == 204


@row("number")
def number(client: TestClient) -> None:
    assert ask(client, lambda: 7.5).json == 7.5


@row("status and headers")
def status(client: TestClient) -> None:
    answer = ask(client, lambda: ({"a": 1}, 201, {"X-A": "1"}))
    assert (answer.status_code, answer.headers["X-A"], answer.json) == (201, "1", {"a": 1})


@row("whole answer")
def whole(client: TestClient) -> None:
    answer = ask(client, lambda: Response("text", 404, mimetype="text/plain"))
    assert (answer.status_code, answer.mimetype, answer.text) == (404, "text/plain", "text")


@row("JSON by name")
def by_name(client: TestClient) -> None:
    assert ask(client, lambda: snacgi.jsonify(a=1)).json == {"a": 1}


@row("adding to an answer")
def adding(client: TestClient) -> None:
    def handler() -> Response:
        response = snacgi.make_response({"a": 1})
        response.headers["X-A"] = "1"
        return response

    assert ask(client, handler).headers["X-A"] == "1"


@row("redirect")
def redirect(client: TestClient) -> None:
    answer = ask(client, lambda: snacgi.redirect("/y"))
    assert (answer.status_code, answer.headers["Location"]) == (302, "/y")


@row("cookie")
def cookie(client: TestClient) -> None:
    def handler() -> Response:
        response = snacgi.make_response("")
        response.set_cookie("a", "b", max_age=60)
        return response

    assert ask(client, handler).headers["Set-Cookie"].startswith("a=b; ") and "Max-Age=60" in client.get("/x").headers["Set-Cookie"]


@row("streamed answer")
def streamed(client: TestClient) -> None:
    def pieces() -> Iterator[str]:
        yield "a"
        yield "b"

    async def waits() -> Any:
        yield "c"
        yield "d"

    with client:
        assert ask(client, lambda: pieces(), "/a").text == "ab"
        assert ask(client, pieces, "/b").text == "ab"
        assert ask(client, waits, "/c").text == "cd"


@row("server-sent events")
def events(client: TestClient) -> None:
    answer = ask(client, lambda: snacgi.SSEResponse(iter(["one", "two"])))
    assert (answer.mimetype, answer.text.count("data: ")) == ("text/event-stream", 2)


@row("a file")
def a_file(client: TestClient) -> None:
    answer = ask(client, lambda: snacgi.send_file(__file__, as_attachment=True))
    assert answer.data.startswith(b"# SPDX") and answer.headers["Content-Disposition"].startswith("attachment")


@row("a file of a directory")
def of_a_directory(client: TestClient) -> None:
    here, name = os.path.split(os.path.abspath(__file__))
    assert ask(client, lambda name: snacgi.send_from_directory(here, name), "/<path:name>", f"/{name}").data.startswith(b"# SPDX")
    assert client.get("/none.py").status_code == 404


@row("work after the answer")
def after_the_answer(client: TestClient) -> None:
    done: list[str] = []

    tasks = snacgi.BackgroundTasks()
    for name in "bc":
        tasks.add_task(done.append, name)
    with client:
        assert ask(client, lambda: Response("sent", background=snacgi.BackgroundTask(done.append, "a")), "/a").text == "sent"
        assert ask(client, lambda: Response("sent", background=tasks), "/b").text == "sent"
    assert done == ["a", "b", "c"]


@row("context in a stream")
def context(client: TestClient) -> None:
    def pieces() -> Iterator[str]:
        yield request.path
        yield g.user

    def handler() -> Iterator[str]:
        g.user = "Ada"
        return pieces()

    assert ask(client, handler).text == "/xAda"


@row("numpy and frames")
def arrays(client: TestClient) -> None:
    import pandas

    value = {"array": numpy.arange(3), "mean": numpy.float64(1.5), "frame": pandas.DataFrame({"a": [1, 2]})}
    assert ask(client, lambda: value).json == {"array": [0, 1, 2], "mean": 1.5, "frame": [{"a": 1}, {"a": 2}]}


class Colour(enum.Enum):
    RED = "red"


@row("dates, UUID, Decimal, Enum, dataclass")
def other_types(client: TestClient) -> None:
    value = [datetime.date(2030, 1, 31), uuid.UUID(int=7), decimal.Decimal("1.10"), Colour.RED, Item("n")]
    assert ask(client, lambda: value).json == ["2030-01-31", str(uuid.UUID(int=7)), "1.10", "red", {"name": "n", "price": 0.0}]


OTHER_TYPES = """
import snacgi
from snacgi.testing import TestClient
class Money: pass
snacgi.json_default(lambda obj: "7 EUR" if isinstance(obj, Money) else NotImplemented)
snacgi.get("/")(lambda: [Money()])
print(TestClient().get("/").text, end="")
"""
OTHER_LIBRARY = """
import json, snacgi
from snacgi.testing import TestClient
snacgi.json_dumps(lambda v, default: json.dumps(v, default=default, sort_keys=True))
snacgi.get("/")(lambda: {"b": 2, "a": 1})
print(TestClient().get("/").text, end="")
"""


@row("JSON of other types")
def own_types(client: TestClient) -> None:
    out = subprocess.run([os.environ.get("SN_PYTHON") or "/usr/bin/python3", "-c", OTHER_TYPES], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert out == '["7 EUR"]'


@row("another JSON library")
def another_library(client: TestClient) -> None:
    out = subprocess.run([os.environ.get("SN_PYTHON") or "/usr/bin/python3", "-c", OTHER_LIBRARY], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert out == '{"a": 1, "b": 2}' and "python.json" in schema()


@row("NaN")
def nan(client: TestClient) -> None:
    with pytest.raises(ValueError, match=r"\$\.rows\[1\]"):
        ask(client, lambda: {"rows": [1.0, float("nan")]})
    assert "python.nan" in read("man/snacgi-python.7")


# ---- errors and hooks --------------------------------------------------------------------------------


@row("end with a status")
def end(client: TestClient) -> None:
    answer = ask(client, lambda: abort(404, "no such user"))
    assert (answer.status_code, answer.json["error"]) == (404, "no such user")


@row("shape of errors")
def shape(client: TestClient) -> None:
    assert list(client.get("/nowhere").json) == ["error", "status", "request_id"]
    assert client.get("/nowhere", headers={"Accept": "text/html"}).mimetype == "text/html"


@row("handler for a status")
def for_status(client: TestClient) -> None:
    errorhandler(404)(lambda error: ("mine", 404))
    assert client.get("/nowhere").text == "mine"


@row("handler for a class")
def for_class(client: TestClient) -> None:
    errorhandler(ValueError)(lambda error: (str(error), 400))
    answer = ask(client, lambda: [int("x")])
    assert (answer.status_code, "invalid literal" in answer.text) == (400, True)


@row("before each request")
def before(client: TestClient) -> None:
    snacgi.before_request(lambda: ("not now", 503))
    assert ask(client, lambda: "handler").text == "not now"


@row("after each request")
def after(client: TestClient) -> None:
    @snacgi.after_request
    def mark(response: Response) -> Response:
        response.headers["X-Seen"] = "1"
        return response

    assert ask(client, lambda: "handler").headers["X-Seen"] == "1"


@row("in the end")
def in_the_end(client: TestClient) -> None:
    seen: list[Any] = []
    snacgi.teardown_request(lambda error: seen.append(error))
    ask(client, lambda: "handler")
    assert seen == [None]


LIFE = """
import snacgi
from snacgi.testing import TestClient
order = []
snacgi.on_startup(lambda: order.append("start"))
snacgi.on_shutdown(lambda: order.append("stop"))
@snacgi.lifespan
async def span():
    order.append("in")
    yield
    order.append("out")
snacgi.get("/")(lambda: order)
with TestClient() as client:
    print(client.get("/").json)
print(order)
"""


@row("start and stop")
def life(client: TestClient) -> None:
    out = subprocess.run([os.environ.get("SN_PYTHON") or "/usr/bin/python3", "-c", LIFE], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert out == "['start', 'in']\n['start', 'in', 'out', 'stop']\n"


# ---- around it ----------------------------------------------------------------------------------------


OPENAPI = """
import snacgi
from snacgi.testing import TestClient
@snacgi.get("/books/<int:book_id>")
def book(book_id: int): return {}
snacgi.enable_docs()
with TestClient() as client:
    print(list(client.get("/openapi.json").json["paths"]), client.get("/docs").status_code)
"""


@row("OpenAPI")
def openapi(client: TestClient) -> None:
    out = subprocess.run([os.environ.get("SN_PYTHON") or "/usr/bin/python3", "-c", OPENAPI], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "/books/{book_id}" in out and out.endswith(" 200\n"), out


@row("test client")
def test_client(client: TestClient) -> None:
    assert ask(snacgi.testing.TestClient(), lambda: "text").text == "text"


def snacgi_command(*args: str) -> str:
    got = subprocess.run([f"{os.environ['SN_TOP_BUILDDIR']}/src/snacgi", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert got.returncode == 0, got.stdout
    return got.stdout


def of_the_command_line(name: str, word: str, *help_of: str) -> None:
    @row(name)
    def test(client: TestClient) -> None:
        assert re.search(rf"`snacgi {word}\b", ROWS[name])
        assert re.search(rf"\b{word.replace('-', '.')}\b", snacgi_command(*help_of, "--help"))


# What they do: tests/integration/test_commands.py, test_cli.py, test_reload.py.
of_the_command_line("developing", "dev", "dev")
of_the_command_line("prompt", "shell", "shell")
of_the_command_line("a begun application", "new", "new")
of_the_command_line("list of routes", "routes")
of_the_command_line("new code without a lost request", "reload")


@row("serving")
def serving(client: TestClient) -> None:
    assert "`snacgi -c snacgi.conf`" in ROWS["serving"] and "-c, --config" in snacgi_command("--help")


# ---- the rest of the page ------------------------------------------------------------------------------


def test_the_import_line() -> None:
    from docs import fenced

    (block,) = fenced(PAGE, "python")
    exec(compile(block, PAGE, "exec"), {})
    assert block.strip() in read("tests/python/ported.py"), "the application that is ported in the tests begins so"


@pytest.mark.parametrize("name", sorted(TESTS))
def test_row(name: str, client: TestClient) -> None:
    TESTS[name](client)
