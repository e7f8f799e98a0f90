# SPDX-License-Identifier: MIT
"""The Request object, made without the daemon."""

import asyncio
import collections.abc
import gc
import pickle
import weakref

import pytest

from snacgi import BadRequest, HTTPException, Request, exceptions


def test_plain():
    r = Request()
    assert (r.method, r.path, r.query_string, r.body, r.data) == ("GET", "/", b"", None, b"")
    assert r.path_params == {} and r.query_params == {}
    assert r.remote_addr == "127.0.0.1" and r.scheme == "http" and r.host == "localhost"
    assert r.content_length is None and r.content_type == "" and not r.is_json
    assert r.id == "0" * 16
    assert repr(r) == "<Request GET '/'>"


@pytest.mark.parametrize(
    "path, decoded",
    [("/a%20b", "/a b"), ("/a b", "/a b"), ("/caf%C3%A9", "/café"), ("/café", "/café"), ("/a+b", "/a+b")],
)
def test_path(path, decoded):
    assert Request(path=path).path == decoded


@pytest.mark.parametrize("path", ["/a/../b", "/%00", "/%ff", "/%zz", "/%2e%2e/x"])
def test_path_that_the_server_refuses(path):
    with pytest.raises(ValueError, match="not a path"):
        Request(path=path)


def test_query():
    r = Request(path="/s?a=1&a=2&b=x+y%21&c&d=&%C3%A9=%C3%BC&bad=%ff%zz", query_string="z=9")
    assert r.path == "/s"
    assert r.query_params == {
        "a": "1", "b": "x y!", "c": "", "d": "", "é": "ü", "bad": "\ufffd%zz", "z": "9",
    }  # fmt: skip
    assert r.query_params is r.query_params
    assert r.args.getlist("a") == ["1", "2"] and r.args["a"] == "1"
    assert r.args.get("a", type=int) == 1 and r.args.get("b", 7, type=int) == 7
    assert r.args.get("none") is None and "none" not in r.args
    assert r.args.getlist("a", type=int) == [1, 2]
    assert r.args.to_dict() == r.query_params
    assert Request(query_string={"q": ["1", "2"]}).args.getlist("q") == ["1", "2"]
    assert Request(query_string=b"q=1").query_string == b"q=1"


def test_headers():
    r = Request(headers=[("X-Foo", "a"), ("x-foo", "b"), ("Cookie", "a=1"), ("cookie", "b=2"), ("Accept", "é")])
    h = r.headers
    assert h is r.headers
    assert h["x-foo"] == h["X-FOO"] == h.get("X-Foo") == "a, b"
    assert h["Cookie"] == "a=1; b=2" and h["accept"] == "é"
    assert "x-FOO" in h and "nope" not in h and 5 not in h and "é" not in h and "x\0" not in h
    assert h.get("nope") is None and h.get("nope", "d") == "d" and h.get("x" * 1000) is None
    assert h.get("X-Foo", type=int) is None
    assert h.getlist("x-foo") == ["a, b"] and h.getlist("nope") == []
    with pytest.raises(KeyError):
        h["nope"]
    assert dict(h) == dict(h.items()) == {"Host": "localhost", "X-Foo": "a, b", "Cookie": "a=1; b=2", "Accept": "é"}
    assert list(h) == h.keys() and len(h) == 4 and len(h.values()) == 4
    assert isinstance(h, collections.abc.Mapping)
    with pytest.raises(TypeError):
        h["X-New"] = "1"
    with pytest.raises(TypeError):
        type(h)()


def test_repeated_parameters_are_folded():
    # As HAProxy sends them: one parameter for each line. Only the wire can do that, so
    # the names differ in a way that the canonical form does not hide.
    r = Request(environ={"HTTP_PROXY": "evil", "HTTP_CONTENT_TYPE": "evil", "CONTENT_TYPE": "text/plain"})
    assert "proxy" not in r.headers and r.headers["content-type"] == "text/plain"
    assert "HTTP_PROXY" not in r.environ


def test_content_type():
    r = Request(headers={"Content-Type": "Application/JSON; charset=utf-8"}, body="{}")
    assert r.content_type == "Application/JSON; charset=utf-8"
    assert r.mimetype == "application/json" and r.is_json and r.content_length == 2
    assert Request(headers={"Content-Type": "application/problem+json"}).is_json
    assert not Request(headers={"Content-Type": "text/json"}).is_json
    assert r.headers["content-type"] == r.content_type and r.headers["Content-Length"] == "2"


def test_body():
    r = Request("POST", body={"a": [1, None, "é"]})
    assert r.body == {"a": [1, None, "é"]} and r.body is r.body
    assert r.is_json and r.json == r.get_json() == r.body
    assert r.data == r.get_data() and r.get_data(as_text=True) == r.data.decode()
    assert Request(body="[1]").body == [1]  # whatever the content type
    assert Request(body=b"  null ").body is None
    assert Request(body=b" 5\r\n\t").body == 5
    assert Request(body=b"\xef\xbb\xbf[1]").body == [1]
    assert Request(body="[1]".encode("utf-16")).body == [1]
    assert Request(body=bytearray(b"1.5")).body == 1.5
    assert Request(body='"\\ud800"').body == "\ud800"


@pytest.mark.parametrize(
    "body, text",
    [
        (b"{", "line 1 column 2"),
        (b'{"a":1,}', "line 1 column 8"),
        (b"[1] x", "Extra data: line 1 column 5"),
        (b"\n\n  nope", "line 3 column 3"),
        (b" ", "line 1 column 2"),
        (b'"\xff"', "can't decode byte 0xff in position 1"),
        (b"[NaN]", "NaN is not JSON"),
        (b"-Infinity", "-Infinity is not JSON"),
        (b"[" * 100000, "recursion"),
        (b"9" * 5000, "4300 digits"),
        (b"\x00", ""),
    ],
)
def test_malformed_body(body, text):
    r = Request("POST", body=body)
    for _ in range(2):
        with pytest.raises(BadRequest) as caught:
            r.body
        assert caught.value.code == 400
        assert caught.value.description.startswith("the body is not JSON: ")
        assert text in caught.value.description
    assert r.data == body
    assert r.get_json(force=True, silent=True) is None


def test_get_json_as_flask():
    with pytest.raises(exceptions.UnsupportedMediaType):
        Request("POST", body="{}").json
    assert Request("POST", body="{}").get_json(silent=True) is None
    assert Request("POST", body="{}").get_json(force=True) == {}
    with pytest.raises(BadRequest, match="empty"):
        Request("POST", headers={"Content-Type": "application/json"}).json
    with pytest.raises(HTTPException):
        Request("POST", headers={"Content-Type": "application/json"}, body="{").get_json()


def test_path_params():
    given = {"id": 7}
    r = Request(path_params=given)
    assert r.path_params == {"id": 7} and r.view_args is r.path_params
    r.path_params["x"] = 1
    assert given == {"id": 7}


def test_environ_wins():
    r = Request(environ={"REMOTE_ADDR": "10.0.0.1", "HTTPS": "on", "HTTP_HOST": "example.org", "X": "é"})
    assert r.remote_addr == "10.0.0.1" and r.scheme == "https" and r.host == "example.org"
    assert r.url == "https://example.org/"
    assert r.environ["X"] == "é" and r.environ["REQUEST_METHOD"] == "GET"
    r = Request(environ={"REMOTE_ADDR": "", "HTTP_HOST": "", "SERVER_NAME": "h", "SERVER_PORT": "8080"})
    assert r.remote_addr is None and r.host == "h:8080"
    assert Request(environ={"HTTPS": "off"}).scheme == "http"


@pytest.mark.parametrize("url", ["http://localhost/a%20b?x=%2F", "https://example.org:8443/", "http://localhost/"])
def test_url(url):
    assert Request(path=url).url == url


def test_url_without_request_uri():
    r = Request(environ={"REQUEST_URI": "", "DOCUMENT_URI": "/a b", "QUERY_STRING": "q=1"})
    assert r.path == "/a b" and r.url == "http://localhost/a%20b?q=1"


@pytest.mark.parametrize(
    "arguments, error",
    [
        ({"method": 5}, TypeError),
        ({"path": b"/"}, TypeError),
        ({"body": object()}, TypeError),
        ({"nope": 1}, TypeError),
        ({"environ": {"A=B": "1"}}, ValueError),
        ({"environ": {"": "1"}}, ValueError),
        ({"environ": {"A": "\0"}}, ValueError),
        ({"environ": {"A": 1}}, TypeError),
        ({"environ": {1: "A"}}, TypeError),
        ({"method": ""}, ValueError),
        ({"headers": {"X": "a\0b"}}, ValueError),
    ],
)
def test_bad_arguments(arguments, error):
    with pytest.raises(error):
        Request(**arguments)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "STRANGE"])
def test_methods(method):
    assert Request(method).method == method
    assert Request(method.lower()).method == method


def test_attributes():
    r = Request()
    r.user = "alice"
    assert r.user == "alice" and r.__dict__ == {"user": "alice"}
    del r.user
    with pytest.raises(AttributeError):
        r.user
    for name in ("method", "body", "path"):
        with pytest.raises(AttributeError):
            setattr(r, name, 1)


def test_weakref_and_cycles():
    r = Request()
    ref = weakref.ref(r)
    r.me = r
    del r
    gc.collect()
    assert ref() is None

    r = Request(body={"a": 1})
    ref = weakref.ref(r)
    r.body["request"] = r
    del r
    gc.collect()
    assert ref() is None

    r = Request()
    ref = weakref.ref(r)
    r.__dict__["loop"] = [r]
    del r
    gc.collect()
    assert ref() is None


def test_reused_objects_are_clean():
    for i in range(500):
        r = Request(body={"i": i})
        assert r.body == {"i": i}
        r.tag = i
        r = Request()
        assert not hasattr(r, "tag") and r.body is None


def test_subclass():
    class Mine(Request):
        extra = 1

        def twice(self):
            return self.path * 2

    refs = []
    for _ in range(50):
        r = Mine("POST", "/a", body=[1])
        assert isinstance(r, Request) and r.twice() == "/a/a" and r.body == [1]
        r.other = r
        refs.append(weakref.ref(r))
    del r
    gc.collect()
    assert all(ref() is None for ref in refs)


def test_headers_outlive_the_request():
    h = Request(headers={"X": "1"}).headers
    for _ in range(200):
        Request()
    assert h["x"] == "1"


def test_pickle_says_what_to_do():
    with pytest.raises(TypeError, match="pass the values"):
        pickle.dumps(Request())


def test_in_async_code():
    async def handler(request):
        await asyncio.sleep(0)
        return request.body

    assert asyncio.run(handler(Request(body=[1]))) == [1]
