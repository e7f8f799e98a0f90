# SPDX-License-Identifier: MIT
"""jsonify, make_response, redirect, and cookies of answers."""

import datetime
import decimal
from email.utils import format_datetime, formatdate
from http.cookies import SimpleCookie

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snacgi import Response, jsonify, make_response, redirect
from snacgi._dates import http_date


@pytest.mark.parametrize(
    "args, kwargs, text",
    [
        ((), {}, b"{}"),
        ((), {"a": 1, "b": None}, b'{"a":1,"b":null}'),
        (({"a": [1]},), {}, b'{"a":[1]}'),
        ((1, "x"), {}, b'[1,"x"]'),
        (([],), {}, b"[]"),
        (("text",), {}, b'"text"'),
        ((None,), {}, b"null"),
        ((decimal.Decimal("1.5"),), {}, b'"1.5"'),
    ],
)
def test_jsonify(args, kwargs, text):
    response = jsonify(*args, **kwargs)
    assert response.data == text and response.mimetype == "application/json" and response.status_code == 200


def test_jsonify_refuses():
    with pytest.raises(TypeError):
        jsonify(1, a=2)
    with pytest.raises(TypeError):
        jsonify(object())


def test_make_response():
    assert make_response().status_code == 200 and make_response().data == b""
    own = Response("x")
    assert make_response(own) is own
    response = make_response({"a": 1}, 201, {"X-A": "b"})
    assert response.json == {"a": 1} and response.status_code == 201 and response.headers["X-A"] == "b"
    assert make_response(jsonify(1), 202).status_code == 202
    assert make_response("text").content_type == "text/html; charset=utf-8"
    with pytest.raises(TypeError, match=r"make_response\(\) returned an object of type object"):
        make_response(object())


def test_redirect():
    response = redirect('/a?b=1&c="ü"<x>')
    assert response.status_code == 302 and response.headers["Location"] == "/a?b=1&c=%22%C3%BC%22%3Cx%3E"
    assert b"<x>" not in response.data and response.mimetype == "text/html"
    assert redirect("https://example.org/", 308).status_code == 308
    with pytest.raises(ValueError, match="200 is not the status of a redirect"):
        redirect("/", 200)
    assert "\n" not in redirect("/a\r\nX: y").headers["Location"]


def cookie(*args, **kwargs):
    response = Response()
    response.set_cookie(*args, **kwargs)
    return response.headers["Set-Cookie"]


def test_set_cookie():
    assert cookie("a") == "a=; Path=/"
    assert cookie("a", "b", 60, path=None) == "a=b; Max-Age=60"
    assert cookie("a", "b", datetime.timedelta(minutes=1), secure=True, httponly=True, samesite="lax") == (
        "a=b; Max-Age=60; Secure; HttpOnly; Path=/; SameSite=Lax"
    )
    when = datetime.datetime(2030, 1, 2, 3, 4, 5)
    for expires in (when, when.replace(tzinfo=datetime.timezone.utc), 1893553445):
        assert cookie("a", expires=expires) == "a=; Expires=Wed, 02 Jan 2030 03:04:05 GMT; Path=/"
    assert cookie("a", domain="example.org", path="/x y") == "a=; Domain=example.org; Path=/x%20y"


@pytest.mark.parametrize("value", ["plain", "a b", 'q"\\', "a;b,c", "\x00\n"])
def test_values_come_back(value):
    header = cookie("k", value)
    assert ";" not in header.partition("; Path")[0] and "\n" not in header
    assert SimpleCookie(header)["k"].value == value


@pytest.mark.parametrize(
    "args, options, error",
    [
        (("a b",), {}, "not a cookie's name"),
        (("",), {}, "not a cookie's name"),
        (("a",), {"samesite": "maybe"}, "samesite"),
        (("a",), {"expires": "x; Domain=evil"}, "Expires cannot hold"),
        (("a", "x" * 5000), {}, "browsers drop"),
    ],
)
def test_wrong_cookies(args, options, error):
    with pytest.raises(ValueError, match=error):
        cookie(*args, **options)


def test_delete_cookie():
    response = Response()
    response.delete_cookie("a", "/x")
    assert response.headers["Set-Cookie"] == "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/x"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 253402300799), st.datetimes(), st.timezones())
def test_dates_are_the_library_s(seconds, naive, zone):
    utc = datetime.timezone.utc
    assert http_date(naive.date()) == http_date(datetime.datetime(naive.year, naive.month, naive.day))
    assert http_date(seconds) == formatdate(seconds, usegmt=True)
    assert http_date(naive) == format_datetime(naive.replace(tzinfo=utc), usegmt=True)
    try:
        aware = naive.replace(tzinfo=zone)
        expected = format_datetime(aware.astimezone(utc), usegmt=True)
    except OverflowError:
        return  # its UTC is not within the years 1 to 9999
    assert http_date(aware) == expected
