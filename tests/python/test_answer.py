# SPDX-License-Identifier: MIT
"""What a handler returns, and what goes out."""

import http
import types

import pytest

import _snacgi
from snacgi import Headers, Request, Response

JSON = "application/json"
HTML = "text/html; charset=utf-8"


@pytest.mark.parametrize(
    "result, status, content_type, body",
    [
        ({"a": 1}, 200, JSON, b'{"a":1}'),
        ({}, 200, JSON, b"{}"),
        ([1, "é"], 200, JSON, '[1,"é"]'.encode()),
        ([], 200, JSON, b"[]"),
        (5, 200, JSON, b"5"),
        (0, 200, JSON, b"0"),
        (1.5, 200, JSON, b"1.5"),
        (True, 200, JSON, b"true"),
        (False, 200, JSON, b"false"),
        ("<p>é", 200, HTML, "<p>é".encode()),
        ("", 200, HTML, b""),
        (b"\0\xff", 200, "application/octet-stream", b"\0\xff"),
        (b"", 200, "application/octet-stream", b""),
        (bytearray(b"x"), 200, "application/octet-stream", b"x"),
        (memoryview(b"xyz")[::2], 200, "application/octet-stream", b"xz"),
        (None, 204, None, b""),
        (("x", 201), 201, HTML, b"x"),
        (({"e": 1}, 404), 404, JSON, b'{"e":1}'),
        (("x", "404 Not Found"), 404, HTML, b"x"),
        (("x", "418"), 418, HTML, b"x"),
        (("x", http.HTTPStatus.CREATED), 201, HTML, b"x"),
        (("x", None), 200, HTML, b"x"),
        (("x", None, None), 200, HTML, b"x"),
        ((None, 404), 404, None, b""),
        ((None, 205), 205, None, b""),
        (("", 204), 204, None, b""),
        (Response(), 200, HTML, b""),
        (Response("x", 400, mimetype="text/plain"), 400, "text/plain; charset=utf-8", b"x"),
        ((Response("x", 400), 500), 500, HTML, b"x"),
    ],
)
def test_results(answer, result, status, content_type, body):
    a = answer(result)
    assert (a.status, a.body) == (status, body)
    if content_type:
        assert a["content-type"] == content_type
    if status != 204:
        assert a["content-length"] == str(len(body))


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "1", "X-B": 2},
        [("X-A", "1"), ("X-B", "2")],
        (("X-A", "1"), ("X-B", b"2")),
        Headers([("X-A", "1"), ("X-B", "2")]),
        types.MappingProxyType({"X-A": "1", "X-B": "2"}),
    ],
)
def test_header_sources(answer, headers):
    for result in (("x", 200, headers), (Response("x", headers=headers), 200)):
        a = answer(result)
        assert a.status == 200 and a["X-A"] == "1" and a["X-B"] == "2"


def test_two_element_tuple_with_headers(answer):
    a = answer(({"a": 1}, {"X-A": "1", "Content-Type": "application/problem+json"}))
    assert a.status == 200 and a["X-A"] == "1" and a["content-type"] == "application/problem+json"
    assert answer(("x", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]))["set-cookie"] == "a=1, b=2"
    assert answer(("x", {"Set-Cookie": ["a=1", "b=2"]}))["set-cookie"] == "a=1, b=2"


def test_tuple_headers_win_over_the_response(answer):
    r = Response("x", headers={"X-A": "old", "X-B": "kept"}, content_type="text/plain")
    a = answer((r, {"x-a": "new", "Content-Type": "text/css"}))
    assert a["x-a"] == "new" and a["x-b"] == "kept" and a["content-type"] == "text/css"


def test_framing_is_the_servers(answer):
    a = answer(("abc", {"Content-Length": "99", "Transfer-Encoding": "chunked", "Connection": "close"}))
    assert a.status == 200 and a["content-length"] == "3"
    assert a["transfer-encoding"] is None and a["connection"] is None


@pytest.mark.parametrize(
    "result, text",
    [
        (object(), "app.handler returned an object of type object"),
        ({1, 2}, "of type set"),
        ({1: 2}.keys(), "of type dict_keys: return list() of it for JSON, or Response() of it for a streamed body"),
        ((iter([]), 200, {"Content-Length": "many"}), "Content-Length is no number: 'many'"),
        ((1,), "a tuple of 1"),
        ((1, 2, 3, 4), "a tuple of 4"),
        (("x", 99), "a status must be from 200 to 599, not 99"),
        (("x", 600), "not 600"),
        (("x", 100), "not 100"),
        (("x", 10**30), "a status must be"),
        (("x", "nope"), "a status must be"),
        (("x", ""), "a status must be"),
        (("x", True), "a status must be int"),
        (("x", 2.5), "a status must be int"),
        (("x", 200, "X: 1"), "headers must be a dict or a list"),
        (("x", 200, 5), "headers must be a dict or a list"),
        (("x", 200, [("A",)]), "headers must be a dict or a list of"),
        (("x", 200, {"X-A": "a\r\nX-Evil: 1"}), "must not hold CR, LF or NUL"),
        (("x", 200, {"X-A\r\nX-Evil": "1"}), "must not hold CR, LF or NUL"),
        (("x", 200, {"X-A": "a\nb"}), "must not hold CR, LF or NUL"),
        (("x", 200, {"X-A": "a\0"}), "must not hold CR, LF or NUL"),
        (("x", 200, {"X-A": "€"}), "must be latin-1"),
        (("x", 200, {"X A": "1"}), "not a header that can be sent: X A"),
        (("x", 200, {"": "1"}), "not a header that can be sent"),
        (("x", 200, {"Status": "1"}), "not a header that can be sent: Status"),
        (("x", 200, {"X-A": None}), "a header's value must be str, not NoneType"),
        (("x", 200, {"X-A": "b" * 5000}), "headers are larger than"),
        ({"a": float("nan")}, "$.a is NaN"),
        ("\ud800", "surrogates not allowed"),
    ],
)
def test_wrong_results(answer, capfd, result, text):
    a = answer(result)
    assert a.status == 500 and a["X-Evil"] is None
    assert text.encode() not in a.body
    log = capfd.readouterr().err
    assert "app.handler failed" in log and text in log


def test_forgotten_await(answer, capfd, recwarn):
    async def inner():
        return {}

    assert answer(inner()).status == 500
    assert "of type coroutine: nobody awaited it" in capfd.readouterr().err
    assert not recwarn.list


@pytest.mark.parametrize("size", [16384, 16385, 300000])
@pytest.mark.parametrize("make", [lambda n: b"x" * n, lambda n: "x" * n, lambda n: bytearray(b"x" * n), lambda n: Response(b"x" * n)])
def test_large_bodies(answer, make, size):
    for _ in range(3):
        a = answer(make(size))
        assert a.status == 200 and a.body == b"x" * size and a["content-length"] == str(size)


def test_head_request_has_the_length_and_no_body(answer):
    a = answer({"a": 1}, Request("HEAD"))
    assert a.status == 200 and a.body == b"" and a["content-length"] == "7"


def test_nan_as_null_and_other_writer(answer):
    try:
        _snacgi.configure(nan_null=True)
        assert answer({"a": float("nan")}).body == b'{"a":null}'
        _snacgi.configure(dumps=lambda obj, default: b"<%d>" % len(obj))
        assert answer({"a": 1}).body == b"<1>"
        _snacgi.configure(dumps=lambda obj, default: default({1}))
        assert answer({"a": 1}).status == 500
        _snacgi.configure(dumps=lambda obj, default: "text")
        assert answer([1]).body == b"text"
    finally:
        _snacgi.configure()
