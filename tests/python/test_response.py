# SPDX-License-Identifier: MIT
"""The Response and Headers objects."""

import gc
import weakref

import pytest

from snacgi import Headers, Response


def test_defaults():
    r = Response()
    assert (r.status_code, r.status, r.data) == (200, "200 OK", b"")
    assert r.content_type == "text/html; charset=utf-8" and r.mimetype == "text/html"
    assert repr(r) == "<Response 0 bytes [200 OK]>"


@pytest.mark.parametrize("body", ["é", "é".encode(), bytearray("é".encode()), ["é"], ["", "é".encode()], ("é",)])
def test_bodies(body):
    r = Response(body)
    assert r.data == "é".encode() and r.get_data() == r.data and r.get_data(as_text=True) == "é"
    assert r.content_length == 2


@pytest.mark.parametrize("body", [5, {}, object(), [1], "\ud800"])
def test_bad_bodies(body):
    with pytest.raises((TypeError, UnicodeEncodeError)):
        Response(body)


def test_order_of_arguments():
    r = Response("x", 404, {"X-A": "1"}, "text/plain", "text/css")
    assert r.status == "404 Not Found" and r.headers["x-a"] == "1" and r.content_type == "text/css"
    assert Response(response="x", status="201 Created").status_code == 201


@pytest.mark.parametrize(
    "mimetype, content_type",
    [
        ("text/plain", "text/plain; charset=utf-8"),
        ("application/json", "application/json"),
        ("image/svg+xml", "image/svg+xml; charset=utf-8"),
        ("application/xml", "application/xml; charset=utf-8"),
        ("text/plain; charset=latin-1", "text/plain; charset=latin-1"),
    ],
)
def test_mimetype(mimetype, content_type):
    assert Response(mimetype=mimetype).content_type == content_type
    r = Response()
    r.mimetype = mimetype
    assert r.content_type == content_type


def test_setters():
    r = Response("x", headers={"Content-Type": "a/b"})
    assert r.content_type == r.mimetype == "a/b"
    r.status_code = 503
    assert r.status == "503 Service Unavailable"
    r.status = "404 whatever"
    assert r.status_code == 404
    r.data = "äh"
    assert r.data == "äh".encode()
    r.set_data(b"1")
    assert r.json == r.get_json() == 1
    r.headers = {"X": "1"}
    assert r.headers.items() == [("X", "1")] and r.content_type is None and r.mimetype is None
    r.anything = 1
    assert r.anything == 1
    for name, value in [("status_code", 99), ("status", "x"), ("data", 5), ("headers", 5), ("mimetype", 5), ("content_type", "a\nb")]:
        with pytest.raises((TypeError, ValueError)):
            setattr(r, name, value)
    for name in ("status", "data", "headers", "content_type", "mimetype"):
        with pytest.raises(AttributeError):
            delattr(r, name)


@pytest.mark.parametrize("status", [99, 600, -1, "abc", "20", "2000", 2**70])
def test_bad_status(status):
    with pytest.raises(ValueError, match="from 200 to 599"):
        Response(status=status)


def test_subclass_cycles_and_weakrefs():
    class Mine(Response):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.me = self

    r = Mine("x", 201)
    assert r.status_code == 201
    ref = weakref.ref(r)
    del r
    gc.collect()
    assert ref() is None


def test_headers():
    h = Headers({"A": "1", "b": ["2", "3"], "c": 4})
    assert h["a"] == "1" and h.getlist("B") == h.get_all("b") == ["2", "3"] and h["C"] == "4"
    assert h.get("none") is None and h.get("none", 5) == 5 and h.get("a", type=int) == 1
    assert h.get("a", 0, type=lambda v: int(v, 0) if v != "1" else int("x")) == 0
    assert "B" in h and "none" not in h and 5 not in h and len(h) == 4
    assert list(h) == h.keys() == ["A", "b", "b", "c"] and h.values() == ["1", "2", "3", "4"]
    h["B"] = "9"
    assert h.items() == [("A", "1"), ("B", "9"), ("c", "4")]
    h.set("New", b"5")
    h.add("new", 6.5)
    assert h.getlist("new") == ["5", "6.5"]
    assert h.setdefault("new", "x") == "5" and h.setdefault("d", "y") == "y"
    del h["new"]
    h.remove("d")
    h.remove("none")
    h.extend([("A", "2")])
    h.update({"a": "3", "e": "4"})
    assert h.items() == [("B", "9"), ("c", "4"), ("a", "3"), ("e", "4")]
    assert h == Headers(h.items()) and h != Headers()
    assert repr(Headers(a="1") if False else Headers({"a": "1"})) == "Headers([('a', '1')])"
    h.extend(h)
    assert len(h) == 8
    with pytest.raises(KeyError):
        h["none"]
    with pytest.raises(TypeError):
        hash(h)


@pytest.mark.parametrize(
    "source, error",
    [
        (5, TypeError), ("ab", TypeError), ([1], TypeError), ([("a",)], TypeError), ({"a": None}, TypeError),
        ({"a": object()}, TypeError), ({"a": "x\ry"}, ValueError), ({"a": "x\ny"}, ValueError),
        ({"a": "x\0y"}, ValueError), ({"a\n": "x"}, ValueError),
        ({"€": "x"}, ValueError), ({5.5: {}}, TypeError),
    ],
)  # fmt: skip
def test_bad_headers(source, error):
    with pytest.raises(error):
        Headers(source)


def test_text_subclasses_are_flattened():
    class Text(str):
        pass

    t = Text("v")
    t.loop = t
    assert type(Headers({"a": t})["a"]) is str
