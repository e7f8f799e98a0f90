# SPDX-License-Identifier: MIT
"""Values of the path as arguments, blueprints, url_for, App."""

import asyncio

import pytest

import snacgi
from snacgi import App, Blueprint, BuildError, _blueprint, abort, get, register_blueprint, route, url_for


# ---- values of the path as arguments ------------------------------------------------


def test_values_by_name(client):
    get("/a/<int:x>/<y>")(lambda request, y, x: [request.path, x, y])
    get("/b/<int:x>/<y>")(lambda request, x: x)
    get("/c/<int:x>/<y>")(lambda x, y: [x, y])
    get("/d/<int:x>")(lambda x, request: [x, request.path])
    get("/e/<int:x>/<y>")(lambda **values: values)
    get("/f/<int:x>")(lambda request, *, x: x)
    get("/g/<int:x>")(lambda request, x=None: x)
    get("/h")(lambda request, x=5: x)
    get("/i")(lambda: "nothing")
    get("/j/<int:x>")(lambda: "not asked for")
    assert client.get("/a/1/z").json == ["/a/1/z", 1, "z"]
    assert client.get("/b/1/z").json == 1
    assert client.get("/c/1/z").json == [1, "z"]
    assert client.get("/d/1").json == [1, "/d/1"]
    assert client.get("/e/1/z").json == {"x": 1, "y": "z"}
    assert client.get("/f/1").json == 1 and client.get("/g/1").json == 1 and client.get("/h").json == 5
    assert client.get("/i").text == "nothing" and client.get("/j/1").text == "not asked for"
    assert client.get("/a/" + "9" * 5000 + "/z").status_code == 404


def test_values_by_name_async_and_pool(client):
    @get("/a/<int:x>")
    async def a(x):
        await asyncio.sleep(0)
        return x

    @get("/p/<int:x>", use_process_pool=True)
    def p(request, pool, x):
        return pool.submit(abs, -x).result()

    @get("/q/<int:x>", use_process_pool=True)
    async def q(request, pool, x):
        return await asyncio.get_running_loop().run_in_executor(pool, abs, -x)

    assert [client.get(f"/{kind}/7").json for kind in "apq"] == [7, 7, 7]


def test_the_same_function_for_several_rules(client):
    @route("/<int:page>")
    @route("/")
    def pages(request, page=1):
        return page

    assert client.get("/").json == 1 and client.get("/3").json == 3


@pytest.mark.parametrize(
    "handler, options, error",
    [
        (lambda request, z: 1, {}, "'z' that nobody fills: no variable of the rule"),
        (lambda x, request, pool: 1, {"use_process_pool": True}, "put the request and the pool before"),
        (lambda x, pool: 1, {"use_process_pool": True}, "must take the pool"),
        (lambda request, *, z: 1, {}, "'z' that nobody fills"),
    ],
)
def test_parameters_that_do_not_fit(registry, handler, options, error):
    with pytest.raises(TypeError, match=error):
        route("/<int:x>", **options)(handler)


# ---- blueprints -----------------------------------------------------------------------


def test_prefix_and_names(client, registry):
    bp = Blueprint("shop", __name__, url_prefix="/shop/")
    bp.get("/items/<int:item>")(lambda item: item)
    bp.route("", methods=["GET", "POST"], endpoint="root")(lambda: "root")
    bp.add_url_rule("/x", "named", lambda: "x")
    assert client.get("/shop").status_code == 404
    register_blueprint(bp)
    assert client.get("/shop/items/7").json == 7 and client.post("/shop").text == "root"
    assert [(r.rule, r.endpoint) for r in registry] == [
        ("/shop/items/<int:item>", "shop.<lambda>"),
        ("/shop", "shop.root"),
        ("/shop/x", "shop.named"),
    ]


def test_prefix_with_a_variable(client):
    bp = Blueprint("texts")
    bp.get("/hello")(lambda lang: lang)
    register_blueprint(bp, url_prefix="/<lang>")
    assert client.get("/de/hello").text == "de"


def test_hooks_of_a_blueprint_are_its_own(client):
    log = []
    outer, inner = Blueprint("outer", url_prefix="/o"), Blueprint("inner", url_prefix="/i")
    for name, scope in (("outer", outer), ("inner", inner)):
        scope.before_request(lambda name=name: log.append(f"before {name}"))
        scope.teardown_request(lambda exc, name=name: log.append(f"teardown {name}"))

        @scope.after_request
        def after(response, name=name):
            log.append(f"after {name}")
            return response

    snacgi.before_request(lambda: log.append("before app"))
    inner.before_app_request(lambda: log.append("before app 2"))
    inner.errorhandler(404)(lambda e: ("inner 404", 404))
    outer.errorhandler(403)(lambda e: ("outer 403", 403))
    outer.app_errorhandler(404)(lambda e: ("app 404", 404))
    inner.get("/x")(lambda: abort(int(snacgi.current_request.args["code"])))
    get("/plain")(lambda: "plain")
    outer.register_blueprint(inner)
    register_blueprint(outer)
    assert client.get("/o/i/x?code=404").text == "inner 404"
    assert log == ["before app", "before app 2", "before outer", "before inner", "after inner", "after outer",
                   "teardown inner", "teardown outer"]  # fmt: skip
    assert client.get("/o/i/x?code=403").text == "outer 403"
    log.clear()
    assert client.get("/plain").text == "plain" and client.get("/nowhere").text == "app 404"
    assert log == ["before app", "before app 2"] * 2


def test_blueprint_twice(client):
    bp = Blueprint("bp")
    bp.get("/x")(lambda: "x")
    register_blueprint(bp, url_prefix="/1")
    with pytest.raises(ValueError, match="'bp' is registered already; give another name"):
        register_blueprint(bp, url_prefix="/2")
    register_blueprint(bp, url_prefix="/2", name="again")
    assert client.get("/2/x").text == "x" and url_for("again.<lambda>") == "/2/x"
    with pytest.raises(RuntimeError, match="registered already; do this before"):
        bp.get("/late")


@pytest.mark.parametrize(
    "use, error",
    [
        (lambda: Blueprint("a.b"), "without '.'"),
        (lambda: Blueprint("a", url_prefix="x"), "write '/x'"),
        (lambda: Blueprint("a", url_prefix="/<int:>"), "rule"),
        (lambda: Blueprint("a").get("x"), "begins with '/'"),
        (lambda: Blueprint("a").get("/x", method="GET"), "did you mean 'methods'"),
        (lambda: Blueprint("a").get("/x", methods=["GET"]), "use route"),
        (lambda: register_blueprint("a"), "takes a Blueprint"),
    ],
)
def test_wrong_blueprints(scope, use, error):
    with pytest.raises((TypeError, ValueError), match=error):
        use()


def test_errors_of_a_blueprint_name_the_place(scope, registry):
    bp = Blueprint("bp")
    bp.get("/x")(lambda request, nobody: 1)
    with pytest.raises(TypeError, match=r"test_blueprint.py:\d+: in blueprint 'bp': .*'nobody' that nobody fills"):
        register_blueprint(bp)
    assert not registry


def test_check_finds_forgotten_blueprints(scope):
    bp = Blueprint("forgotten")
    bp.get("/x")(lambda: 1)
    assert bp in _blueprint.unregistered()
    register_blueprint(bp)
    assert bp not in _blueprint.unregistered()


# ---- url_for ------------------------------------------------------------------------------


def test_url_for(client):
    @route("/users/<int:user>/<path:rest>")
    @route("/users/<int:user>")
    @route("/users")
    def users(request):
        return snacgi.url_for("users", _external=True)

    assert url_for("users") == "/users" and url_for("users", user=None) == "/users"
    assert url_for("users", user=7) == "/users/7"
    assert url_for("users", user=7, rest="a b/ü") == "/users/7/a%20b/%C3%BC"
    assert url_for("users", user=7, q=["1", "&"], _anchor="x y") == "/users/7?q=1&q=%26#x%20y"
    get("/n/<name>", endpoint="name")(lambda: "")
    assert url_for("name", name="a/b?") == "/n/a%2Fb%3F"
    assert client.get("https://example.org/users").text == "https://example.org/users"
    with pytest.raises(BuildError, match="did you mean 'users'"):
        url_for("user")
    with pytest.raises(BuildError, match="/n/<name> needs other values"):
        url_for("name")
    with pytest.raises(RuntimeError, match="a request that is being answered"):
        url_for("users", _external=True)


# ---- App ------------------------------------------------------------------------------------


def test_app(client):
    app = App(__name__)
    app.get("/x")(lambda: "x")
    assert client.get("/x").text == "x" and app.test_client().get("/x").text == "x"
    assert app.url_for("<lambda>") == "/x" and app.name == __name__
    with pytest.raises(RuntimeError, match="the server runs the application"):
        app.run(debug=True)
    with pytest.raises(TypeError, match="'static_folder'"):
        App(__name__, static_folder="x")
