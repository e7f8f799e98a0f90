# SPDX-License-Identifier: MIT
"""App: its configuration, current_app, and contexts outside of requests, as in Flask."""

import ast
import asyncio
import datetime
import io
import json
import types

import pytest

import snacgi
from snacgi import App, Blueprint, abort, current_app, g, get, has_request_context, register_blueprint, request, testing, url_for


@pytest.fixture
def app(scope):
    return App(__name__)


def test_config(app, tmp_path, monkeypatch):
    config = app.config
    assert dict(config) == {"DEBUG": False, "TESTING": False, "SECRET_KEY": None}
    assert (app.debug, app.testing, app.secret_key, app.root_path) == (False, False, None, __file__.rpartition("/")[0])
    app.secret_key = "s"
    app.testing = True
    assert config["SECRET_KEY"] == "s" and config["TESTING"]
    assert config.from_mapping({"A": 1, "b": 2}, C=3, d=4) and (config["A"], config["C"]) == (1, 3) and "b" not in config and "d" not in config

    class Settings:
        A = 5
        lower = 6

    config.from_object(Settings)
    monkeypatch.setitem(__import__("sys").modules, "some_settings", types.SimpleNamespace(E=7, Settings=Settings))
    config.from_object("some_settings")
    assert (config["A"], config["E"]) == (5, 7)
    for name in ("no_such_settings", "some_settings:No", "test_app.No"):
        with pytest.raises(ImportError):
            config.from_object(name)
    assert config.from_mapping([("A", 8), ("b", 9)]) and config["A"] == 8 and "b" not in config
    for name in ("some_settings:Settings", "some_settings.Settings"):
        config["A"] = 0
        config.from_object(name)
        assert config["A"] == 5
    (tmp_path / "some_package").mkdir()
    (tmp_path / "some_package" / "c.py").write_text("import no_such_module_at_all\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ImportError, match="no_such_module_at_all"):
        config.from_object("some_package.c")

    config.root_path = str(tmp_path)
    (tmp_path / "c.py").write_text("F = __file__\nlower = 1\n")
    (tmp_path / "c.json").write_text('{"G": 8, "h": 9}')
    assert config.from_pyfile("c.py") and config["F"] == str(tmp_path / "c.py")
    assert config.from_file("c.json", json.load) and config["G"] == 8 and "h" not in config
    assert not config.from_pyfile("none.py", silent=True) and not config.from_file("none.json", json.load, silent=True)
    with pytest.raises(FileNotFoundError):
        config.from_pyfile("none.py")
    monkeypatch.setenv("SETTINGS", "c.py")
    config.pop("F")
    assert config.from_envvar("SETTINGS") and "F" in config and not config.from_envvar("NO_SETTINGS", silent=True)
    with pytest.raises(RuntimeError, match="NO_SETTINGS"):
        config.from_envvar("NO_SETTINGS")
    for name, value in (("MY_N", "5"), ("MY_TEXT", "x y"), ("MY_DB__host", '"h"'), ("MY_DB__PORT", "1")):
        monkeypatch.setenv(name, value)
    assert config.from_prefixed_env("MY")
    assert (config["N"], config["TEXT"], config["DB"]) == (5, "x y", {"host": "h", "PORT": 1})
    config.clear()
    assert config.from_prefixed_env("MY", loads=ast.literal_eval) and config["TEXT"] == "x y" and config["N"] == 5
    config.from_mapping(MAIL_HOST="m", MAIL_PORT=2)
    assert config.get_namespace("MAIL_") == {"host": "m", "port": 2}
    assert config.get_namespace("MAIL_", lowercase=False, trim_namespace=False) == {"MAIL_HOST": "m", "MAIL_PORT": 2}


def test_current_app(client):
    app = App("first")
    notes = Blueprint("notes", __name__)
    app.config["PAGE"] = 5
    notes.get("/page")(lambda: [current_app.config["PAGE"], current_app.name])
    register_blueprint(notes)
    assert client.get("/page").json == [5, "first"]
    assert App("second") and current_app.name == "second" and bool(current_app) and "second" in repr(current_app)
    current_app.debug = True
    assert current_app.config["DEBUG"]


def test_app_context(app):
    seen = []
    app.teardown_appcontext(lambda exc: seen.append((g.get("db"), type(exc).__name__)))

    @app.teardown_request
    async def later(exc):
        seen.append("async")

    with app.app_context():
        g.db = "open"
        assert not has_request_context()
        with app.app_context():
            assert "db" not in g
    assert seen == ["async", (None, "NoneType"), "async", ("open", "NoneType")]
    with pytest.raises(KeyError), app.app_context():
        raise KeyError("x")
    assert seen[-1] == (None, "KeyError")
    with pytest.raises(RuntimeError, match="no request is being answered"):
        g.db


def test_app_context_has_no_request(app):
    get("/users/<int:user_id>", endpoint="user")(lambda user_id: "")
    with app.app_context():
        assert not request and url_for("user", user_id=1) == "/users/1" and repr(g) == "<g {}>"
        with pytest.raises(RuntimeError, match="no request is being answered"):
            request.path
        with pytest.raises(RuntimeError, match="_external"):
            url_for("user", user_id=1, _external=True)
    assert repr(g) == "<g of no request>"


def test_app_context_in_a_handler_keeps_the_request(app, client):
    @get("/x")
    def handler():
        g.a = 1
        with app.app_context():
            g.b = 2
            return [request.path, has_request_context(), "a" in g, url_for("handler", _external=True)]

    @app.after_request
    def after(response):
        response.headers["X-G"] = repr(g)
        return response

    with app.app_context():
        g.c = 3
        response = client.get("/x")
    assert response.json == ["/x", True, False, "http://localhost/x"] and response.headers["X-G"] == "<g {'a': 1}>"


def test_async_teardown_in_an_event_loop(app):
    seen = []

    @app.teardown_appcontext
    async def later(exc):
        await asyncio.sleep(0)
        seen.append(g.db)

    async def handler():
        with app.app_context():
            g.db = "open"

    asyncio.run(handler())
    assert seen == ["open"]


def test_a_teardown_that_is_interrupted_leaves_no_context(app):
    @app.teardown_appcontext
    def interrupted(exc):
        raise KeyboardInterrupt

    for context in (app.app_context(), app.test_request_context("/")):
        with pytest.raises(KeyboardInterrupt), context:
            g.a = 1
        assert not request and repr(g) == "<g of no request>"


def test_teardown_that_fails_is_logged(app, caplog):
    app.teardown_appcontext(lambda exc: abort(500))
    with app.app_context():
        pass
    assert "(teardown_request) failed" in caplog.text


def test_test_request_context(app):
    called = []
    app.before_request(lambda: called.append("hook"))
    notes = Blueprint("notes", __name__, url_prefix="/notes")
    notes.post("/<int:n>")(lambda n: called.append(n))
    notes.get("/<int:n>")(lambda n: called.append(n))
    ended = []
    app.teardown_request(lambda exc: ended.append("app"))
    notes.teardown_request(lambda exc: ended.append("notes"))
    app.register_blueprint(notes)
    with app.test_request_context("/notes/5?a=1", method="POST", json={"b": 2}, headers={"X-A": "c"}, base_url="https://example.org"):
        assert has_request_context() and request.args["a"] == "1" and request.json == {"b": 2} and request.headers["X-A"] == "c"
        assert (request.endpoint, request.blueprint, request.view_args) == ("notes.<lambda>", "notes", {"n": 5})
        assert request.url == "https://example.org/notes/5?a=1"
        assert url_for(".<lambda>", n=6, _external=True) == "https://example.org/notes/6"
    with app.test_request_context("/nowhere", data={"x": "y"}, method="post"):
        assert request.endpoint is None and request.form["x"] == "y"
    assert not has_request_context() and called == [] and ended == ["notes", "app", "app"]
    notes = Blueprint("more", __name__)
    notes.get("/nowhere")(lambda: None)
    app.register_blueprint(notes)
    with app.test_request_context("/nowhere"):  # routes of later on are found
        assert request.endpoint == "more.<lambda>"


def test_test_request_context_makes_the_rules_once(app, monkeypatch):
    get("/x")(lambda: None)
    monkeypatch.setattr("snacgi.testing.bind", None)
    made = []
    monkeypatch.setattr("snacgi.testing.Matcher", lambda rules, make=testing.Matcher: made.append(1) or make(rules))
    for _ in range(2):
        with app.test_request_context("/x"):
            assert request.endpoint == "<lambda>"
    assert made == [1]


@pytest.mark.parametrize("name", ["Flask", "render_template", "session", "Depends"])
def test_names_that_are_not_here(name):
    with pytest.raises(ImportError, match=f"snacgi has no {name}: "):
        exec(f"from snacgi import {name}", {})
    with pytest.raises(AttributeError, match=f"snacgi has no {name}: "):
        getattr(snacgi, name)
    assert not hasattr(snacgi, name) and getattr(snacgi, name, 5) == 5
    with pytest.raises(AttributeError):
        snacgi.no_such_name


def test_handlers_see_has_request_context(client):
    get("/x")(lambda: [has_request_context()])
    assert client.get("/x").json == [True]


def test_json(app, client, monkeypatch):
    from snacgi import _json

    monkeypatch.setattr(_json, "_own", [])
    day = datetime.date(2026, 1, 2)
    assert app.json.dumps({"b": day, "a": "ü"}) == '{"b":"2026-01-02","a":"ü"}' and app.json.loads("[1]") == [1]
    assert app.json.dumps({"b": day, "a": 1}, sort_keys=True) == '{"a": 1, "b": "2026-01-02"}'
    assert app.json.response(a=1).json == {"a": 1}
    app.json.sort_keys = False
    assert app.json.sort_keys is False
    with pytest.raises(ValueError, match="json_dumps"):
        app.json.sort_keys = True
    with pytest.raises(AttributeError):
        app.json.other = 1
    app.json.default = lambda obj: f"<{type(obj).__name__}>" if isinstance(obj, App) else NotImplemented
    get("/x")(lambda: {"app": app})
    assert client.get("/x").json == {"app": "<App>"}


def test_json_by_keywords_writers_and_files(app):
    assert app.json.dumps({"a": {1}}, default=list) == '{"a": [1]}'
    for value, text in ((None, "null"), ("a", '"a"'), (True, "true"), (1, "1"), ([], "[]")):
        assert app.json.dumps(value) == text
    file = io.StringIO()
    app.json.dump({"a": 1}, file)
    assert file.getvalue() == '{"a":1}' and app.json.load(io.StringIO(file.getvalue())) == app.json.load(io.BytesIO(b'{"a":1}')) == {"a": 1}
    with pytest.raises(ValueError, match="NaN"):
        app.json.loads("NaN")
    with pytest.raises(AttributeError, match="json_dumps"):
        app.json = app.json
    try:
        snacgi.json_dumps(lambda value, default: json.dumps(value, default=default, indent=1))
        assert app.json.dumps({"a": datetime.date(2026, 1, 2)}) == '{\n "a": "2026-01-02"\n}'
    finally:
        snacgi.json_dumps(None)
