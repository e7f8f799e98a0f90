# SPDX-License-Identifier: MIT
"""Exceptions as answers."""

import asyncio
import datetime
import json
import sys

import pytest

import _snacgi
from snacgi import HTTPException, Request, Response, abort, exceptions


def raised(func, *args, **kwargs):
    try:
        func(*args, **kwargs)
    except BaseException as e:  # noqa: B036
        return e


def test_family(answer):
    for code, cls in exceptions.default_exceptions.items():
        a = answer(raised(abort, code))
        page = json.loads(a.body)
        assert a.status == code == page["status"] and a["content-type"] == "application/json"
        assert page["error"] == cls.description
        assert str(code) in str(cls()) and cls().name in repr(cls())
    assert {400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 429, 500, 501, 503} <= set(exceptions.default_exceptions)


def test_description_and_page(answer, browser):
    e = raised(abort, 404, "no <such> user")
    assert isinstance(e, exceptions.NotFound) and e.description == "no <such> user"
    assert json.loads(answer(e).body)["error"] == "no <such> user"
    a = answer(e, browser)
    assert a["content-type"] == "text/html; charset=utf-8" and b"no &lt;such&gt; user" in a.body
    assert answer(exceptions.NotFound(description="é\ud800")).status == 500  # cannot be sent: logged


def test_headers(answer):
    assert answer(exceptions.MethodNotAllowed(["GET", "POST"]))["allow"] == "GET, POST"
    assert answer(exceptions.Unauthorized(www_authenticate='Basic realm="x"'))["www-authenticate"] == 'Basic realm="x"'
    assert answer(raised(abort, 503, retry_after=5))["retry-after"] == "5"
    when = datetime.datetime(2026, 1, 2, 3, 4, 5)
    assert answer(exceptions.TooManyRequests(retry_after=when))["retry-after"] == "Fri, 02 Jan 2026 03:04:05 GMT"
    assert answer(raised(abort, 403, headers={"X-Why": "1"}))["x-why"] == "1"
    assert answer(raised(abort, 403, headers=[("X-Why", "2")]))["x-why"] == "2"


def test_abort(answer):
    a = answer(raised(abort, Response("later", 202)))
    assert a.status == 202 and a.body == b"later"
    assert answer(HTTPException(response=Response("x", 200))).body == b"x"
    for code in (200, 302, 499, 1000, "x", None):
        with pytest.raises(LookupError):
            abort(code)


def test_own_classes(answer, capfd):
    class Teapot(HTTPException):
        code = 418
        description = "short and stout"

    assert answer(Teapot()).status == 418

    class Custom(HTTPException):
        code = 400

        def get_response(self, environ=None, scope=None):
            return Response("custom", 499)

    a = answer(Custom())
    assert a.status == 499 and a.body == b"custom"

    class NoCode(HTTPException):
        pass

    assert answer(NoCode()).status == 500
    assert "NoCode has no code" in capfd.readouterr().err

    class BadCode(HTTPException):
        code = 42

    assert answer(BadCode()).status == 500
    assert "code must be from 200 to 599" in capfd.readouterr().err

    class Broken(HTTPException):
        code = 400

        def get_headers(self, environ=None, scope=None):
            return [("X", "a\r\nb")]

    assert answer(Broken()).status == 500
    assert exceptions.NotFound().get_response().status_code == 404


@pytest.mark.parametrize(
    "exception",
    [ValueError("secret"), SystemExit(1), KeyboardInterrupt("secret"), GeneratorExit(), RecursionError(),
     asyncio.CancelledError(), StopIteration(5)],
)  # fmt: skip
def test_everything_else_is_500(answer, capfd, browser, exception):
    def handler():
        raise exception

    for request in (None, browser):
        a = answer(raised(handler), request)
        assert a.status == 500 and b"secret" not in a.body and b"Traceback" not in a.body
        log = capfd.readouterr().err
        assert "app.handler failed" in log and type(exception).__name__ in log and "raise exception" in log


def test_no_memory_is_503(answer, capfd):
    a = answer(MemoryError("secret"))
    assert a.status == 503 and a["retry-after"] == "1" and b"secret" not in a.body


def test_log_has_the_request_id(answer, capfd, browser):
    answer(ValueError(), browser)
    # 0 is the id of a request made by hand; the page shows it too
    assert browser.id.encode() in answer(ValueError(), browser).body


def test_debug_shows_the_traceback(answer):
    try:
        _snacgi.configure(debug=True)
        assert "ZeroDivisionError" in json.loads(answer(raised(lambda: 1 / 0)).body)["error"]
    finally:
        _snacgi.configure()
    assert b"ZeroDivisionError" not in answer(raised(lambda: 1 / 0)).body


class Nasty(Exception):
    def __str__(self):
        raise RuntimeError("not even this")

    __repr__ = __str__


def test_exception_that_cannot_be_shown(answer, capfd):
    assert answer(Nasty()).status == 500
    assert "Nasty" in capfd.readouterr().err


def test_text_that_cannot_be_encoded(answer, capfd):
    assert answer(ValueError("\ud800\n\r\x1b[31m")).status == 500
    log = capfd.readouterr().err
    assert "\\ud800" in log and "\x1b" not in log


def test_chained(answer, capfd):
    def handler():
        try:
            {}["inner"]
        except KeyError as e:
            raise ValueError("outer") from e

    answer(raised(handler))
    log = capfd.readouterr().err
    assert "KeyError: 'inner'" in log and "ValueError: outer" in log and "direct cause" in log


def test_deep_recursion(answer):
    def handler():
        return handler()

    assert answer(raised(handler)).status == 500
    assert sys.getrecursionlimit() > 0


def test_bad_request_from_the_body(answer):
    a = answer(raised(lambda: Request("POST", body="{").body))
    assert a.status == 400 and "line 1 column 2" in json.loads(a.body)["error"]


def test_out_of_memory_may_be_tried_again(answer, capfd):
    def handler():
        raise MemoryError

    a = answer(raised(handler))
    assert a.status == 503 and a["retry-after"] == "1" and json.loads(a.body)["status"] == 503
    assert "MemoryError" in capfd.readouterr().err
