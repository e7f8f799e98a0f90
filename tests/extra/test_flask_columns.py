# SPDX-License-Identifier: MIT
"""doc/from-flask.md: its column for Flask, under Flask itself. A test is named after its row; each row
whose cell has code, or says what Flask does, has one."""

import asyncio
import dataclasses
import datetime
import decimal
import enum
import io
import json
import os
import re
import sys
import uuid
from pathlib import Path

import flask
import numpy
import pytest
import werkzeug.middleware.proxy_fix
from flask import Blueprint, Flask, Response, abort, g, jsonify, make_response, redirect, request, send_file, send_from_directory, stream_with_context, url_for

PAGE = (Path(__file__).resolve().parents[2] / "doc" / "from-flask.md").read_text()
CELLS = {name: cell for name, cell in re.findall(r"^\| ([^|\-][^|]*) \| ([^|]+) \|", PAGE, re.M) if name.strip()}
#: What is no claim about Flask's own behaviour.
OTHERS = re.compile(r"Celery and others|(by hand, or )?(by )?an extension|none|no|depends on the server|gunicorn behind nginx|`flask \w+( --debug)?`")
ROWS = {name for name, cell in CELLS.items() if not OTHERS.fullmatch(cell.strip())}
TESTS = {}


def row(name):
    def keep(test):
        assert name not in TESTS, name
        TESTS[name] = test
        return test

    return keep


@pytest.fixture
def app():
    app = Flask(__name__)
    app.url_map.strict_slashes = True
    return app


def ask(app, handler, rule="/x", target="", method="GET", **options):
    app._got_first_request = False  # it would take no route any more
    app.add_url_rule(rule, handler.__name__ + str(len(app.view_functions)), handler, methods=[method])
    return app.test_client(use_cookies=False).open(target or rule, method=method, **options)


def test_every_row_has_a_test():
    assert set(TESTS) == ROWS


@pytest.mark.parametrize("name", sorted(CELLS))
def test_row(name, app):
    if name in ROWS:
        TESTS[name](app)
    else:  # the commands are there
        for command in re.findall(r"`flask (\w+)", CELLS[name]):
            assert command in app.cli.list_commands(None) or command in flask.cli.FlaskGroup().commands, command


# ---- application and routes ---------------------------------------------------------------


@row("application")
def application(app):
    assert isinstance(Flask(__name__), flask.Flask)
    for name in ("route", "before_request", "after_request", "teardown_request", "errorhandler", "register_blueprint", "add_url_rule", "config"):
        assert hasattr(app, name), name


@row("configuration of its own")
def configuration(app):
    os.environ["FLASK_PAGE__SIZE"] = "5"
    assert app.config.from_prefixed_env() and app.config["PAGE"] == {"SIZE": 5}
    del os.environ["FLASK_PAGE__SIZE"]


@row("the application elsewhere")
def elsewhere(app):
    app.config["X"] = "x"
    assert ask(app, lambda: flask.current_app.config["X"]).text == "x"


@row("outside of requests")
def outside(app):
    with app.app_context():
        g.x = 1
        assert g.x == 1 and not flask.has_request_context()


@row("route")
def routes(app):
    @app.route("/x", methods=["POST"])
    def x():
        return "x"

    client = app.test_client()
    assert (client.post("/x").text, client.get("/x").status_code) == ("x", 405)


@row("variables")
def variables(app):
    assert ask(app, lambda user_id: [user_id], "/users/<int:user_id>", "/users/7").json == [7]
    assert app.test_client().get("/users/x").status_code == 404


@row("variables with limits")
def variables_with_limits(app):
    assert ask(app, lambda page: [page], "/a/<int(min=1):page>", "/a/1").json == [1]
    assert app.test_client().get("/a/0").status_code == 404


@row("own converters")
def converters(app):
    class ListConverter(werkzeug.routing.BaseConverter):
        def to_python(self, value):
            return value.split("+")

    app.url_map.converters["list"] = ListConverter
    assert ask(app, lambda tags: tags, "/tags/<list:tags>", "/tags/a+b").json == ["a", "b"]


@row("their values")
def values(app):
    def user(user_id):
        return [user_id]

    assert ask(app, user, "/users/<user_id>", "/users/7").json == ["7"]


@row("several rules")
def several_rules(app):
    @app.route("/a")
    @app.route("/b")
    def both():
        return "both"

    client = app.test_client()
    assert client.get("/a").text == client.get("/b").text == "both"


def shop(app):
    blueprint = Blueprint("shop", __name__, url_prefix="/shop")

    @blueprint.get("/items/<int:item_id>")
    def item(item_id):
        return {"here": url_for(".item", item_id=item_id), "whole": url_for("shop.item", item_id=item_id, _external=True)}

    app.register_blueprint(blueprint)
    return app.test_client()


@row("groups of routes")
def groups(app):
    assert shop(app).get("/shop/items/7").status_code == 200


@row("joining them")
def joining(app):
    client = app.test_client()
    assert client.get("/shop/items/7").status_code == 404
    assert shop(Flask(__name__)).get("/shop/items/7").status_code == 200


@row("address of a route")
def address(app):
    assert shop(app).get("/shop/items/7", headers={"Host": "example.org"}).json == {"here": "/shop/items/7", "whole": "http://example.org/shop/items/7"}


@row("a slash that the path lacks")
def slash(app):
    app.add_url_rule("/a/", "a", lambda: "slash")
    answer = app.test_client().get("/a")
    assert (answer.status_code, answer.headers["Location"].endswith("/a/")) == (308, True)


@row("HEAD and OPTIONS")
def head(app):
    answer = ask(app, lambda: "text", method="GET")
    client = app.test_client()
    assert answer.text == "text" and (client.head("/x").status_code, client.head("/x").data) == (200, b"")
    assert set(client.options("/x").headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


@row("async handler")
def async_handler(app):
    loops = []

    async def waits():
        loops.append(asyncio.get_running_loop())
        return "waited"

    assert ask(app, waits).text == app.test_client().get("/x").text == "waited"
    assert loops[0] is not loops[1]


@row("blocking handler")
def blocking(app):
    assert ask(app, lambda: "text").text == "text"


# ---- the request --------------------------------------------------------------------------


@row("the request")
def the_request(app):
    assert ask(app, lambda: request.path).text == "/x"


@row("query")
def query(app):
    assert ask(app, lambda: [request.args.get("page", 1, type=int)], target="/x?page=3").json == [3]
    assert app.test_client().get("/x?page=a").json == [1]


@row("repeated keys")
def repeated(app):
    assert ask(app, lambda: request.args.getlist("tag"), target="/x?tag=a&tag=b").json == ["a", "b"]


@row("JSON body")
def json_body(app):
    assert ask(app, lambda: request.get_json(), method="POST", json={"a": 1}).json == {"a": 1}


@row("raw body")
def raw_body(app):
    assert ask(app, lambda: request.get_data(), method="POST", data=b"raw").data == b"raw"


@row("form fields")
def form(app):
    assert ask(app, lambda: request.form["name"], method="POST", data={"name": "Eve"}).text == "Eve"
    assert app.test_client().post("/x").status_code == 400


@row("uploads")
def uploads(app):
    def upload():
        kept = io.BytesIO()
        request.files["file"].save(kept)
        return kept.getvalue()

    assert ask(app, upload, method="POST", data={"file": (io.BytesIO(b"content"), "a.txt")}).data == b"content"


@row("large uploads")
def large_uploads(app):
    assert ask(app, lambda: request.stream.read(65536), method="POST", data=b"a" * 100_000).data == b"a" * 65536


@row("headers")
def headers(app):
    assert ask(app, lambda: request.headers["User-Agent"], headers={"User-Agent": "me"}).text == "me"


@row("cookies")
def cookies(app):
    assert ask(app, lambda: request.cookies.get("sid", ""), headers={"Cookie": "sid=1"}).text == "1"


@row("client's address")
def client_address(app):
    assert ask(app, lambda: request.remote_addr, environ_overrides={"REMOTE_ADDR": "192.0.2.1"}).text == "192.0.2.1"


@row("behind further proxies")
def proxies(app):
    app.wsgi_app = werkzeug.middleware.proxy_fix.ProxyFix(app.wsgi_app, x_for=1)
    assert ask(app, lambda: request.remote_addr, headers={"X-Forwarded-For": "192.0.2.1, 192.0.2.2"}).text == "192.0.2.2"


@row("mounted at a path")
def mounted(app):
    assert ask(app, lambda: f"{request.script_root} {request.path}", environ_overrides={"SCRIPT_NAME": "/app"}).text == "/app /x"


@row("per request storage")
def storage(app):
    @app.before_request
    def before():
        g.user = "Eve"

    assert ask(app, lambda: g.user).text == "Eve"


# ---- the answer ---------------------------------------------------------------------------


@row("dict and list")
def dict_and_list(app):
    assert ask(app, lambda: {"a": 1}).json == {"a": 1}
    assert ask(app, lambda: [1], "/l").json == [1]


@row("text")
def text(app):
    assert ask(app, lambda: "text").content_type.startswith("text/html")


@row("None")
def none(app):
    assert ask(app, lambda: None).status_code == 500


@row("number")
def number(app):
    assert ask(app, lambda: 5).status_code == 500


@row("status and headers")
def status(app):
    answer = ask(app, lambda: ("made", 201, {"X-A": "1"}))
    assert (answer.status_code, answer.headers["X-A"]) == (201, "1")


@row("whole answer")
def whole(app):
    answer = ask(app, lambda: Response("no", 404, mimetype="text/plain"))
    assert (answer.status_code, answer.mimetype) == (404, "text/plain")


@row("JSON by name")
def by_name(app):
    assert ask(app, lambda: jsonify(a=1)).json == {"a": 1}


@row("adding to an answer")
def adding(app):
    def handler():
        answer = make_response("text")
        answer.headers["X-A"] = "1"
        return answer

    assert ask(app, handler).headers["X-A"] == "1"


@row("redirect")
def redirects(app):
    assert ask(app, lambda: redirect("/y")).status_code == 302


@row("cookie")
def cookie(app):
    def handler():
        answer = make_response("text")
        answer.set_cookie("a", "b", max_age=60)
        return answer

    assert ask(app, handler).headers["Set-Cookie"].startswith("a=b; ")


@row("streamed answer")
def streamed(app):
    def handler():
        return (piece for piece in ("a", "b"))

    assert ask(app, handler).text == "ab"


@row("a file")
def file(app):
    answer = ask(app, lambda: send_file(__file__, as_attachment=True))
    assert answer.headers["Content-Disposition"].startswith("attachment") and answer.data == Path(__file__).read_bytes()


@row("a file of a directory")
def directory(app):
    handler = lambda name: send_from_directory(Path(__file__).parent, name)  # noqa: E731
    assert ask(app, handler, "/f/<path:name>", "/f/" + Path(__file__).name).status_code == 200
    assert app.test_client().get("/f/../run").status_code == 404


@row("context in a stream")
def context(app):
    def handler():
        def generate():
            yield request.path

        return stream_with_context(generate())

    assert ask(app, handler).text == "/x"


@row("numpy and frames")
def frames(app):
    assert ask(app, lambda: {"a": numpy.arange(3).tolist()}).json == {"a": [0, 1, 2]}
    assert ask(app, lambda: {"a": numpy.arange(3)}, "/array").status_code == 500


@row("dates, UUID, Decimal, Enum, dataclass")
def dates(app):
    class Colour(enum.Enum):
        RED = "red"

    @dataclasses.dataclass
    class Point:
        x: int

    works = [datetime.date(2024, 1, 2), uuid.UUID(int=0), decimal.Decimal("1.5"), Point(1)]
    for n, value in enumerate([*works, Colour.RED]):
        assert ask(app, lambda value=value: {"v": value}, f"/{n}").status_code == (200 if value in works else 500)


@row("JSON of other types")
def other_types(app):
    app.json.default = lambda value: f"<{type(value).__name__}>"
    assert ask(app, lambda: {"a": object()}).json == {"a": "<object>"}


@row("another JSON library")
def another(app):
    class Provider(flask.json.provider.JSONProvider):
        def dumps(self, value, **options):
            return json.dumps(value) + " "

    app.json = Provider(app)
    assert ask(app, lambda: {"a": 1}).data == b'{"a": 1} '


@row("NaN")
def nan(app):
    assert b"NaN" in ask(app, lambda: {"a": float("nan")}).data


# ---- errors and hooks ---------------------------------------------------------------------


@row("end with a status")
def end(app):
    answer = ask(app, lambda: abort(404, "no such user"))
    assert answer.status_code == 404 and "no such user" in answer.text


@row("shape of errors")
def shape(app):
    assert app.test_client().get("/nowhere").mimetype == "text/html"


@row("handler for a status")
def status_handler(app):
    app.errorhandler(404)(lambda error: ("mine", 404))
    assert app.test_client().get("/nowhere").text == "mine"


@row("handler for a class")
def class_handler(app):
    app.errorhandler(ValueError)(lambda error: ("mine", 400))
    assert ask(app, lambda: int("x")).text == "mine"


@row("before each request")
def before(app):
    app.before_request(lambda: "before")
    assert ask(app, lambda: "handler").text == "before"


@row("after each request")
def after(app):
    def mark(response):
        response.headers["X-A"] = "1"
        return response

    app.after_request(mark)
    assert ask(app, lambda: "handler").headers["X-A"] == "1"


@row("in the end")
def in_the_end(app):
    seen = []
    app.teardown_request(seen.append)
    ask(app, lambda: "handler")
    assert seen == [None]


# ---- around it ----------------------------------------------------------------------------


@row("test client")
def client_of_tests(app):
    assert ask(app, lambda: "text").text == "text" and "flask" in sys.modules
