# SPDX-License-Identifier: MIT
"""What else Flask's users look for in requests and responses: beside Werkzeug's own, where it has the same."""

from datetime import datetime, timedelta, timezone

import pytest
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request as TheirRequest
from werkzeug.wrappers import Response as TheirResponse

from snacgi import BackgroundTask, BackgroundTasks, Blueprint, Request, Response, get, register_blueprint, request, route
from snacgi.testing import TestClient

HEADERS = {"User-Agent": "me/1.0", "Referer": "http://a/b", "Origin": "http://a", "Accept": "text/html;q=0.5, application/json",
           "Accept-Language": "de, en;q=0.5", "Accept-Encoding": "gzip", "Accept-Charset": "utf-8", "If-None-Match": '"a", W/"b"',
           "If-Match": "*", "If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT", "If-Unmodified-Since": "Thu, 01 Jan 2026 00:00:00 GMT",
           "Date": "Thu, 01 Jan 2026 00:00:01 GMT", "Range": "bytes=0-9", "Cache-Control": "no-cache, max-age=5"}
SAME = ["base_url", "host_url", "url_root", "root_url", "root_path", "script_root", "full_path", "is_secure", "referrer", "origin",
        "remote_user", "if_modified_since", "if_unmodified_since", "date", "mimetype_params"]


@pytest.mark.parametrize("path, base", [("/a/b?x=1&x=2", "http://localhost"), ("/", "https://example.org:8443"), ("/a b?", "http://h")])
def test_requests_as_werkzeugs(path, base):
    theirs = TheirRequest(EnvironBuilder(path, base, headers=HEADERS, environ_base={"REMOTE_USER": "eve"},
                                         content_type="text/plain; charset=latin-1").get_environ())
    ours = Request("GET", base + path, headers={**HEADERS, "Content-Type": "text/plain; charset=latin-1"}, environ={"REMOTE_USER": "eve"})
    for name in SAME:
        assert getattr(ours, name) == getattr(theirs, name), name
    assert str(ours.user_agent) == ours.user_agent.string == theirs.user_agent.string
    for name in ("accept_mimetypes", "accept_languages", "accept_encodings", "accept_charsets", "if_match", "if_none_match", "range",
                 "cache_control"):
        assert str(getattr(ours, name)) == str(getattr(theirs, name)), name
    assert ours.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"
    assert ours.cache_control.max_age == 5 and "a" in ours.if_none_match and ours.range.ranges == [(0, 10)]


def test_full_path_is_utf8():
    raw = {"QUERY_STRING": "x=ä".encode().decode("latin-1")}
    theirs = TheirRequest({**EnvironBuilder("/a").get_environ(), **raw})
    assert Request("GET", "/a", environ=raw).full_path == theirs.full_path == "/a?x=ä"
    assert Request("GET", "/a", environ={"QUERY_STRING": "x=\xff"}).full_path == "/a?x=\ufffd"


def test_without_headers():
    ours = Request()
    for name in ("authorization", "referrer", "origin", "remote_user", "range", "date", "if_modified_since", "endpoint", "url_rule", "blueprint"):
        assert getattr(ours, name) is None, name
    assert not ours.user_agent and ours.blueprints == [] and not ours.is_secure and dict(ours.values) == {}
    assert ours.accept_mimetypes.best_match(["a/b"]) is None
    with pytest.raises(AttributeError):
        ours.endpoint = "x"


@pytest.mark.parametrize("header, type, name, password, token", [
    ("Basic ZXZlOnM6ZQ==", "basic", "eve", "s:e", None), ("bAsIc w6Q6w7Y=", "basic", "ä", "ö", None),
    ("Bearer abc.def==", "bearer", None, None, "abc.def=="), ("Token  x", "token", None, None, "x"),
    ('Digest username="eve", realm="a b", nonce=x', "digest", "eve", None, None)])
def test_authorization(header, type, name, password, token):
    found = Request(headers={"Authorization": header}).authorization
    assert (found.type, found.username, found.password, found.token) == (type, name, password, token)
    assert "s:e" not in repr(found)
    if type == "digest":
        assert found.realm == found["realm"] == found.get("realm") == "a b" and "nonce" in found


@pytest.mark.parametrize("header", ["", "Basic", "Basic !!", "Basic ZXZl", "Basic /w==", " "])
def test_no_authorization(header):
    assert Request(headers={"Authorization": header}).authorization is None


def test_values(client):
    route("/v", methods=["GET", "POST"])(lambda: [request.values["a"], request.values.getlist("a"), request.values.get("b")])
    assert client.get("/v?a=1").json == ["1", ["1"], None]
    assert client.post("/v?a=1", data={"a": "2", "b": "3"}).json == ["1", ["1", "2"], "3"]
    assert client.post("/v?a=1", json={"a": 2}).json == ["1", ["1"], None]


def test_the_route(client):
    inner, outer = Blueprint("inner", __name__), Blueprint("outer", __name__, url_prefix="/o")

    def show(request):
        return [request.endpoint, str(request.url_rule), request.url_rule.endpoint, request.blueprint, request.blueprints]

    inner.get("/i/<int:n>")(show)
    outer.register_blueprint(inner)
    register_blueprint(outer)
    get("/x/", endpoint="named", strict_slashes=False)(show)
    assert client.get("/o/i/5").json == ["outer.inner.show", "/o/i/<int:n>", "outer.inner.show", "outer.inner", ["outer.inner", "outer"]]
    assert client.get("/x").json == ["named", "/x/", "named", None, []]


# ---- responses ------------------------------------------------------------------------


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
SETS = [("location", "/x"), ("content_encoding", "gzip"), ("content_location", "/y"), ("accept_ranges", "none"), ("age", timedelta(seconds=5)),
        ("age", 5), ("date", NOW), ("expires", NOW), ("last_modified", NOW.date()), ("last_modified", NOW), ("last_modified", NOW.timestamp()), ("retry_after", 120),
        ("retry_after", NOW), ("allow", ["GET", "PUT"]), ("vary", "Cookie"), ("content_language", ["de", "en"]),
        ("access_control_allow_origin", "*"), ("access_control_allow_credentials", True), ("access_control_allow_headers", ["X-A", "X-B"]),
        ("access_control_allow_methods", ["GET"]), ("access_control_expose_headers", ["X-A"]), ("access_control_max_age", 600)]


@pytest.mark.parametrize("name, value", SETS)
def test_headers_as_werkzeugs(name, value):
    ours, theirs = Response("x"), TheirResponse("x")
    empty = getattr(ours, name)
    assert (str(empty), bool(empty)) == (str(getattr(theirs, name)), False)
    setattr(ours, name, value)
    setattr(theirs, name, value)
    header = name.replace("_", "-")
    assert ours.headers[header] == theirs.headers[header]
    if value != 120:  # counts from now
        assert str(getattr(ours, name)) == str(getattr(theirs, name))
    setattr(ours, name, None)
    assert header not in ours.headers


def test_sets_and_cache_control_write_into_the_header():
    r = Response("x")
    r.vary.add("Cookie")
    r.vary.add("Accept")
    assert r.headers["Vary"] == "Cookie, Accept"
    r.cache_control.max_age = 60
    r.cache_control.public = True
    assert set(r.headers["Cache-Control"].split(", ")) == {"max-age=60", "public"}
    r.cache_control.max_age = r.cache_control.public = None
    assert "Cache-Control" not in r.headers
    with pytest.raises(AttributeError, match="cannot be set"):
        r.is_json = True
    assert not r.is_json and r.is_sequence and Response("[]", mimetype="application/problem+json").is_json
    assert not Response(iter("ab")).is_sequence
    assert [*Response(["a", b"b"]).iter_encoded()] == [b"ab"] and [b"a", b"b"] == [*Response(iter("ab")).iter_encoded()]


def test_etags(client):
    ours, theirs = Response("text"), TheirResponse("text")
    assert ours.get_etag() == (None, None)
    ours.add_etag()
    theirs.add_etag()
    assert ours.headers["ETag"] == theirs.headers["ETag"] and ours.get_etag() == theirs.get_etag()
    ours.set_etag("x", weak=True)
    assert ours.headers["ETag"] == 'W/"x"' and ours.get_etag() == ("x", True)
    ours.add_etag()
    assert ours.get_etag() == ("x", True)
    with pytest.raises(ValueError):
        ours.set_etag('a"b')

    @get("/e")
    def tagged():
        answer = Response("text")
        answer.add_etag()
        answer.last_modified = NOW
        return answer.make_conditional(request)

    whole = client.get("/e")
    assert (whole.status_code, whole.text) == (200, "text")
    for header, value in (("If-None-Match", whole.headers["ETag"]), ("If-Modified-Since", whole.headers["Last-Modified"])):
        same = client.get("/e", headers={header: value})
        assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", whole.headers["ETag"])
    assert client.get("/e", headers={"If-None-Match": '"other"'}).status_code == 200
    assert client.get("/e", headers={"If-Match": '"other"'}).status_code == 412
    with pytest.raises(RuntimeError, match="needs a Request"):
        Response().make_conditional()
    with pytest.raises(ValueError, match="send_file"):
        Response().make_conditional(Request(), accept_ranges=True)


def test_a_304_closes_its_source(client):
    closed = []

    class Source:
        def __iter__(self):
            return iter([b"text"])

        def close(self):
            closed.append(1)

    @get("/s")
    def streamed():
        answer = Response(Source())
        answer.set_etag("v")
        return answer.make_conditional(request)

    same = client.get("/s", headers={"If-None-Match": '"v"'})
    assert (same.status_code, same.data, closed) == (304, b"", [1])
    assert client.get("/s").data == b"text" and closed == [1, 1]


def test_call_on_close(client):
    done = []

    @get("/c")
    def handler():
        answer = Response("x", background=lambda: done.append(1))
        answer.call_on_close(lambda: done.append(2))

        @answer.call_on_close
        def third():
            done.append(3)

        return answer

    assert client.get("/c").text == "x" and done == [1, 2, 3]
    assert TestClient().get("/c").text == "x"


def test_call_on_close_leaves_a_shared_background_alone(client):
    done = []
    shared = BackgroundTasks([BackgroundTask(done.append, 1)])

    @get("/shared")
    def handler():
        answer = Response("x", background=shared)
        answer.call_on_close(lambda: done.append(2))
        return answer

    for _ in range(2):
        client.get("/shared")
    assert done == [1, 2, 1, 2] and len(shared.tasks) == 1
