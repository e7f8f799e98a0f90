# SPDX-License-Identifier: MIT
"""snacgi.testing.TestClient: what it sends, and that answers are the daemon's."""

import asyncio
import contextvars
import io
import threading

import pytest

from snacgi import Response, abort, get, post, route
from snacgi.testing import TestClient


def square(n):
    return n * n


def test_sync_and_path_params(client):
    @get("/users/<int:user_id>/<name>")
    def user(request):
        return {"params": request.path_params, "path": request.path}

    response = client.get("/users/7/J%C3%B6rg")
    assert response.status_code == 200 and response.mimetype == "application/json"
    assert response.json == {"params": {"user_id": 7, "name": "Jörg"}, "path": "/users/7/Jörg"}
    assert response.request.path_params == {"user_id": 7, "name": "Jörg"}
    assert response.text == response.data.decode()
    assert client.get("/users/x/y").status_code == 404


def test_methods(client):
    @route("/m", methods=["GET", "POST"])
    def m(request):
        return request.method

    assert client.post("/m").text == "POST"
    head = client.head("/m")
    assert head.status_code == 200 and head.data == b"" and head.headers["Content-Length"] == "4"
    refused = client.put("/m")
    assert refused.status_code == 405 and refused.headers["Allow"] == "GET, HEAD, POST, OPTIONS"
    assert refused.json["status"] == 405
    options = client.options("/m")
    assert options.status_code == 200 and options.headers["Allow"] == "GET, HEAD, POST, OPTIONS"
    for method in ("patch", "delete"):
        assert getattr(client, method)("/m").status_code == 405


def test_the_more_specific_route_wins(client):
    @get("/a/<name>")
    def general(request):
        return "general"

    @get("/a/b")
    def specific(request):
        return "specific"

    assert client.get("/a/b").text == "specific" and client.get("/a/c").text == "general"


def test_the_same_rule_twice_is_said(client):
    for _ in range(2):
        get("/twice")(lambda request: "")
    with pytest.raises(ValueError, match="twice"):
        client.get("/twice")


def test_routes_may_come_later(client):
    get("/one")(lambda request: "1")
    assert client.get("/one").text == "1" and client.get("/two").status_code == 404
    get("/two")(lambda request: "2")
    assert client.get("/two").text == "2"


def test_async(client):
    seen = []
    var = contextvars.ContextVar("var", default=None)

    async def later():
        await asyncio.sleep(0)
        seen.append("later")

    @get("/a")
    async def handler(request):
        seen.append((threading.current_thread().name, var.get()))
        task = asyncio.create_task(later())
        await task
        var.set("inside")
        assert asyncio.current_task() is not task
        return {"ok": True}

    var.set("outside")
    assert client.get("/a").json == {"ok": True}
    assert seen == [("snacgi-test-loop", "outside"), "later"] and var.get() == "outside"


def test_async_client_inside_a_running_loop(client):
    @get("/a")
    async def handler(request):
        await asyncio.sleep(0)
        return "a"

    async def main():
        return client.get("/a").text

    assert asyncio.run(main()) == "a"


def test_context_of_sync_handlers_is_their_own(client):
    var = contextvars.ContextVar("var", default="default")

    @get("/s")
    def handler(request):
        before = var.get()
        var.set("inside")
        return before

    assert [client.get("/s").text for _ in range(2)] == ["default", "default"]


def test_pool_travels_by_pickle(client):
    @post("/p", use_process_pool=True)
    def pooled(request, pool):
        return [pool.submit(square, n).result() for n in request.body]

    @post("/q", use_process_pool=True)
    async def pooled_async(request, pool):
        return await asyncio.get_running_loop().run_in_executor(pool, square, request.body[0])

    @post("/lambda", use_process_pool=True)
    def bad(request, pool):
        return pool.submit(lambda: 1).result()

    assert client.post("/p", json=[1, 2, 3]).json == [1, 4, 9]
    assert client.post("/q", json=[5]).json == 25
    with pytest.raises(Exception, match="pickle"):
        client.post("/lambda")


def test_exceptions(registry):
    @get("/http")
    def http(request):
        abort(418, "short")

    @get("/error")
    def error(request):
        raise KeyError("boom")

    @get("/async-error")
    async def async_error(request):
        raise KeyError("boom")

    @get("/wrong")
    def wrong(request):
        return object()

    with TestClient() as client:
        assert client.get("/http").status_code == 418 and client.get("/http").json["error"] == "short"
        for path in ("/error", "/async-error"):
            with pytest.raises(KeyError, match="boom"):
                client.get(path)
        with pytest.raises(TypeError, match="returned an object of type object"):
            client.get("/wrong")
    with TestClient(raise_server_exceptions=False) as client:
        for path in ("/error", "/async-error", "/wrong"):
            assert client.get(path).status_code == 500


def test_what_is_sent(client):
    @route("/echo", methods=["GET", "POST"])
    def echo(request):
        return {
            "args": request.args.to_dict(flat=False),
            "type": request.content_type,
            "data": request.get_data(as_text=True),
            "x": request.headers.get("X-A"),
            "host": request.host,
            "scheme": request.scheme,
            "addr": request.remote_addr,
        }

    got = client.get("/echo?a=1", query_string={"b": ["2", "3"]}, headers={"X-A": "y"}).json
    assert got["args"] == {"a": ["1"], "b": ["2", "3"]} and got["x"] == "y"
    assert (got["host"], got["scheme"], got["addr"]) == ("localhost", "http", "127.0.0.1")
    got = client.get("https://example.com:8443/echo", environ_overrides={"REMOTE_ADDR": "10.0.0.1"}).json
    assert (got["host"], got["scheme"], got["addr"]) == ("example.com:8443", "https", "10.0.0.1")
    got = client.post("/echo", json={"a": "ü"}).json
    assert got["type"] == "application/json" and got["data"] == '{"a": "\\u00fc"}'
    got = client.post("/echo", data="text", content_type="text/plain").json
    assert got["type"] == "text/plain" and got["data"] == "text"
    got = client.post("/echo", data={"a": ["1", "2"], "b": "&"}).json
    assert got["type"] == "application/x-www-form-urlencoded" and got["data"] == "a=1&a=2&b=%26"
    with pytest.raises(TypeError, match="json goes without"):
        client.post("/echo", json=1, data=b"x")
    client.headers["X-A"] = "always"
    assert client.get("/echo").json["x"] == "always"


def test_files_are_multipart(client):
    @post("/up")
    def up(request):
        return Response(request.data, mimetype="text/plain", headers={"X-Type": request.content_type})

    sent = client.post(
        "/up", data={"a": "1", "f": (io.BytesIO(b"con\r\ntent"), 'n"\r\nX: y.txt'), "g": (b"{}", "g.json", "text/x")}
    )
    boundary = sent.headers["X-Type"].partition("boundary=")[2]
    assert sent.data == (
        '--{0}\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        '--{0}\r\nContent-Disposition: form-data; name="f"; filename="n%22%0D%0AX: y.txt"\r\n'
        "Content-Type: text/plain\r\n\r\ncon\r\ntent\r\n"
        '--{0}\r\nContent-Disposition: form-data; name="g"; filename="g.json"\r\n'
        "Content-Type: text/x\r\n\r\n{{}}\r\n--{0}--\r\n".format(boundary).encode()
    )
    sent = client.post("/up", files={"f": b"--snacgi-boundary"})
    assert sent.headers["X-Type"].endswith("boundary=snacgi-boundary-x")


def test_cookies(client):
    @get("/set")
    def set_(request):
        return "", 200, [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Path=/deep; Secure")]

    @get("/deep/show")
    @get("/show")
    def show(request):
        return request.headers.get("Cookie", "")

    @get("/del")
    def del_(request):
        return "", {"Set-Cookie": "a=; Max-Age=0; Path=/"}

    client.get("/set")
    assert client.get_cookie("a") == "1"
    assert client.get("/show").text == "a=1" and client.get("/deep/show").text == "a=1"
    assert client.get("https://localhost/deep/show").text == "b=2; a=1"
    assert client.get("/show", cookies={"c": "3"}).text == "a=1; c=3"
    assert client.get("http://other/show").text == ""
    client.set_cookie("d", "4")
    assert client.get("/show").text == "a=1; d=4"
    client.delete_cookie("d")
    client.get("/del")
    assert client.get("/show").text == ""


def test_redirects(client):
    @route("/from", methods=["GET", "POST"])
    def from_(request):
        return "", 302, {"Location": "/to?x=1"}

    @route("/keep", methods=["POST"])
    def keep(request):
        return "", 307, {"Location": "to"}

    @route("/to", methods=["GET", "POST"])
    def to(request):
        return request.method + request.query_string.decode() + request.get_data(as_text=True)

    get("/loop")(lambda request: ("", 302, {"Location": "/loop"}))
    assert client.get("/from").status_code == 302
    response = client.post("/from", data=b"body", follow_redirects=True)
    assert response.text == "GETx=1" and [r.status_code for r in response.history] == [302]
    assert client.post("/keep", data=b"body", follow_redirects=True).text == "POSTbody"
    with pytest.raises(RuntimeError, match="more than 20 redirects"):
        client.get("/loop", follow_redirects=True)


def test_values_outlive_client_and_table(registry):
    get("/v/<path:rest>")(lambda request: "")
    with TestClient() as client:
        request = client.get("/v/a/b").request
    del client
    registry.clear()
    assert request.path_params == {"rest": "a/b"}


def test_auth_base_url_and_multipart(client):
    @route("/x", methods=["GET", "POST"])
    def show(request):
        auth = request.authorization
        return [request.url, auth and [auth.username, auth.password], request.mimetype, dict(request.form)]

    assert client.get("/x", auth=("eve", "p:w"), headers={"X-A": "1"}).json == ["http://localhost/x", ["eve", "p:w"], "", {}]
    assert client.get("/x", base_url="https://example.org:1/").json[0] == "https://example.org:1/x"
    assert client.post("/x", data={"a": "b"}, content_type="multipart/form-data").json[2:] == ["multipart/form-data", {"a": "b"}]
    assert client.post("/x", data=b"x", content_type="multipart/form-data").status_code == 400
    post("/kind")(lambda request: [request.content_type, request.data.decode()])
    assert client.post("/kind", json=[1], content_type="multipart/mixed").json == ["multipart/mixed", "[1]"]
