# SPDX-License-Identifier: MIT
"""The basic suite, over every protocol, every kind of socket, kept and unkept."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterator

import fcgi
import pytest
import scgi
from daemon import Daemon
from wire import Address, Response

WAYS = [
    (protocol, kind, kept)
    for protocol in ("fastcgi", "scgi")
    for kind in ("unix", "tcp4", "tcp6")
    for kept in ((False, True) if protocol == "fastcgi" else (False,))
]

pytestmark = pytest.mark.basic

Ask = Callable[..., Response]


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]}-{way[1]}-{'kept' if way[2] else 'unkept'}")
def ask(request: pytest.FixtureRequest, server: Daemon) -> Iterator[Ask]:
    """ask(method, target, body, headers): the same question by every way."""
    protocol, kind, kept = request.param
    address: Address = next(a for a in server.addresses if (a.protocol, a.kind) == (protocol, kind))
    if kept:
        with fcgi.Connection(address) as conn:
            yield conn.ask
        return
    client: Any = fcgi.ask if protocol == "fastcgi" else scgi.ask

    def once(*args: Any, **more: Any) -> Response:
        answer: Response = client(address, *args, **more)
        return answer

    yield once


def post(ask: Ask, target: str, value: Any) -> Response:
    return ask("POST", target, json.dumps(value).encode(), {"Content-Type": "application/json"})


def test_python_sync(ask: Ask) -> None:
    answer = ask("GET", "/users/7")
    assert (answer.status, answer.reason) == (200, "OK")
    assert answer.header("Content-Type") == "application/json"
    assert answer.body == b'{"user_id":7}'
    assert answer.header("Content-Length") == "13"


def test_python_async(ask: Ask) -> None:
    assert ask("GET", "/sleep?duration=0.01").json() == {"slept": True}
    assert ask("GET", "/task").json() == {"task": True}


def test_python_pool(ask: Ask) -> None:
    assert post(ask, "/squares", {"numbers": [1, 2, 3]}).json() == {"squares": [1, 4, 9]}
    assert post(ask, "/async/squares", {"numbers": [5, -6]}).json() == {"squares": [25, 36]}


def test_native(ask: Ask) -> None:
    assert ask("GET", "/native/hello").json() == {"hello": "native"}
    assert ask("GET", "/native/users/41").json() == {"user_id": 41}
    assert ask("GET", "/native/text").text == "from the context"
    assert ask("GET", "/native/blocking?ms=1").text == "rested"
    assert post(ask, "/native/echo", {"deep": [1, {"ü": None}]}).json() == {"deep": [1, {"ü": None}]}


def test_many_in_a_row(ask: Ask) -> None:
    for n in range(40):
        assert ask("GET", f"/users/{n}").json() == {"user_id": n}
        assert ask("GET", f"/native/users/{n}").json() == {"user_id": n}


@pytest.mark.parametrize("lane", ["", "/native"])
def test_query_and_headers(ask: Ask, lane: str) -> None:
    target = f"{lane}/show?q=one%20two&q=second&plus=a+b&empty=&header=x-thing&u=%C3%BC"
    shown = ask("GET", target, None, {"X-Thing": "a value", "Cookie": "a=1; b=2"}).json()
    assert shown["method"] == "GET"
    assert shown["path"] == f"{lane}/show"
    if lane:
        assert shown["query"] == target.partition("?")[2]
        assert shown["q"] == "one two"
        assert shown["header"] == "a value"
    else:
        assert shown["query"]["q"] == "one two"
        assert shown["query"]["plus"] == "a b"
        assert shown["query"]["empty"] == ""
        assert shown["query"]["u"] == "ü"
        headers = {name.lower(): value for name, value in shown["headers"].items()}
        assert headers["x-thing"] == "a value"
        assert headers["cookie"] == "a=1; b=2"
        assert ask("GET", "/header?name=X-ThInG", None, {"x-thing": "any case"}).json() == {"value": "any case"}


@pytest.mark.parametrize("lane", ["", "/native"])
@pytest.mark.parametrize("size", [0, 1, 1000, 65535, 65536, 65537, 3_000_000])
def test_body_sizes(ask: Ask, lane: str, size: int) -> None:
    """In memory, at the edge of the spool, and spooled."""
    body = bytes(n * 7 % 251 for n in range(min(size, 5020))) * (size // 5020 + 1)
    body = body[:size]
    shown = ask("POST", f"{lane}/show", body).json()
    assert shown["length"] == size
    assert shown["sum"] == sum(body) % 65536


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 200_000, 5_000_000])
def test_answer_sizes(ask: Ask, size: int) -> None:
    answer = ask("GET", f"/size/{size}")
    assert answer.status == 200
    assert len(answer.body) == size
    assert answer.body == (b"0123456789abcdef" * (size // 16 + 1))[:size]
    streamed = ask("GET", f"/native/pull?size={size}")
    assert streamed.body == b"p" * size
    assert streamed.header("Content-Length") == str(size)
    unknown = ask("GET", f"/native/pull?size={size}&known=0")
    assert unknown.body == b"p" * size
    assert unknown.header("Content-Length") in (None, str(size))


def test_blocking_stream(ask: Ask) -> None:
    assert ask("GET", "/native/send?chunks=100&size=50000").body == b"s" * 5_000_000


@pytest.mark.parametrize("name,status,kind,body", [
    ("dict", 200, "application/json", '{"a":1,"ü":"é"}'.encode()),
    ("list", 200, "application/json", b'[1,"two",3.5,null,true]'),
    ("int", 200, "application/json", b"42"),
    ("float", 200, "application/json", b"1.5"),
    ("true", 200, "application/json", b"true"),
    ("str", 200, "text/html", "<p>grüß dich</p>".encode()),
    ("bytes", 200, "application/octet-stream", b"\x00\x01\xff"),
    ("none", 204, None, b""),
    ("status", 201, "application/json", b'{"made":true}'),
    ("headers", 202, "text/plain", b"text"),
    ("response", 203, "text/css", b"made"),
    ("empty", 200, "text/html", b""),
    ("304", 304, None, b""),
    ("204", 204, None, b""),
])
@pytest.mark.parametrize("lane", ["result", "aresult"])
def test_results(ask: Ask, lane: str, name: str, status: int, kind: str | None, body: bytes) -> None:
    answer = ask("GET", f"/{lane}/{name}")
    assert answer.status == status
    assert answer.body == body
    if kind is not None:
        assert (answer.header("Content-Type") or "").partition(";")[0] == kind
    if kind == "text/html":
        assert answer.header("Content-Type") == "text/html; charset=utf-8"
    if name == "headers":
        assert answer.header("X-One") == "1"
    if name == "response":
        assert answer.header("X-Two") == "2"


def test_repeated_answer_headers(ask: Ask) -> None:
    answer = ask("GET", "/result/pairs")
    assert [v for k, v in answer.headers if k.lower() == "set-cookie"] == ["a=1", "b=2"]


@pytest.mark.parametrize("target", ["/users/7", "/result/str", "/size/100000", "/native/hello", "/native/pull?size=100000"])
def test_head(ask: Ask, target: str) -> None:
    full = ask("GET", target)
    head = ask("HEAD", target)
    assert head.status == 200
    assert head.header("Content-Length") == full.header("Content-Length") == str(len(full.body))
    assert head.header("Content-Type") == full.header("Content-Type")


def test_not_found(ask: Ask) -> None:
    for target in ("/nowhere", "/users/", "/users/x", "/users/7/", "/native/users/x", "/"):
        assert ask("GET", target).status == 404, target
        assert ask("POST", target, b"{}").status == 404, target


@pytest.mark.parametrize("target,method,allow", [
    ("/only-get", "POST", {"GET", "HEAD", "OPTIONS"}),
    ("/squares", "GET", {"POST", "OPTIONS"}),
    ("/native/hello", "DELETE", {"GET", "HEAD", "OPTIONS"}),
    ("/native/echo", "GET", {"POST", "OPTIONS"}),
    ("/both", "DELETE", {"GET", "HEAD", "POST", "PUT", "OPTIONS"}),
])
def test_method_not_allowed(ask: Ask, target: str, method: str, allow: set[str]) -> None:
    """Allow is the union over the native and the Python table."""
    answer = ask(method, target)
    assert answer.status == 405
    assert answer.allow() == allow
    options = ask("OPTIONS", target)
    assert options.status in (200, 204)
    assert options.allow() == allow
    assert options.body == b""


def test_unknown_methods(ask: Ask) -> None:
    for method in ("BREW", "get", "PROPFIND", "X" * 300):
        assert ask(method, "/only-get").status in (405, 501), method
        assert ask(method, "/nowhere").status in (404, 405, 501), method


def test_one_path_two_tables(ask: Ask) -> None:
    assert ask("GET", "/both").text == "python get"
    assert ask("POST", "/both").text == "from the context"
    assert ask("PUT", "/both").text == "python put"


@pytest.mark.parametrize("body", [b"{", b"{}x", b"\xff", b'{"a":NaN', b"'a'", b"[1,]", b"\x00"])
def test_malformed_json(ask: Ask, body: bytes) -> None:
    answer = ask("POST", "/json", body)
    assert answer.status == 400
    assert b"Traceback" not in answer.body
    assert ask("POST", "/native/echo", body).status == 400
    # Only who looks at the body is told.
    assert ask("POST", "/ignored", body).status == 200


def test_json_whatever_the_type(ask: Ask) -> None:
    for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded", ""):
        answer = ask("POST", "/json", b'{"a": [1, "\xc3\xbc"]}', {"Content-Type": kind})
        assert answer.json() == {"body": {"a": [1, "ü"]}}
    assert ask("POST", "/json", b"").json() == {"body": None}
    assert ask("GET", "/json").json() == {"body": None}


def test_converters(ask: Ask) -> None:
    big = "123456789012345678901234567890"
    assert ask("GET", f"/users/{big}").json() == {"user_id": int(big)}
    assert ask("GET", f"/native/users/{big}").status == 404
    assert ask("GET", "/float/1.25").json() == {"value": 1.25}
    assert ask("GET", "/float/1").status == 404
    uuid = "12345678-1234-5678-1234-567812345678"
    assert ask("GET", f"/uuid/{uuid}").json() == {"value": uuid, "type": "UUID"}
    assert ask("GET", "/uuid/12345678").status == 404
    assert ask("GET", "/files/a/b/c.txt").json() == {"name": "a/b/c.txt", "path": "/files/a/b/c.txt"}
    assert ask("GET", "/native/files/a/b").json() == {"name": "a/b", "path": "/native/files/a/b"}
    assert ask("GET", "/one/%C3%BC%20x/end").json()["name"] == "ü x"
    assert ask("GET", "/one/%C3%BC%20x/end").json()["path"] == "/one/ü x/end"


@pytest.mark.parametrize("lane", ["raise", "araise"])
@pytest.mark.parametrize("name", ["value", "system", "keyboard", "base", "recursion", "memory", "cancelled"])
def test_raising_handler(ask: Ask, server: Daemon, lane: str, name: str) -> None:
    """500 (503 for want of memory) with a request id that leads to the traceback in the log,
    and nowhere else."""
    answer = ask("GET", f"/{lane}/{name}")
    assert answer.status == (503 if name == "memory" else 500)
    assert b"Traceback" not in answer.body and b"secret" not in answer.body
    assert b"app.py" not in answer.body and answer.stderr == b""
    page = answer.json()
    rid = page["request_id"]
    assert rid
    server.wait_log(rid)
    server.wait_log("Traceback")
    assert ask("GET", "/users/1").status == 200


@pytest.mark.parametrize("lane", ["/raise/", "/araise/"])
def test_http_exceptions(ask: Ask, lane: str) -> None:
    teapot = ask("GET", f"{lane}http")
    assert teapot.status == 418
    assert "short and stout" in teapot.text


def test_abort(ask: Ask) -> None:
    for code in (400, 401, 403, 404, 409, 410, 422, 429, 500, 503):
        answer = ask("GET", f"/abort/{code}")
        assert answer.status == code
        assert "the handler's own words" in json.dumps(answer.json())


def test_error_page_by_accept(ask: Ask) -> None:
    page = ask("GET", "/nowhere", None, {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.status == 404
    assert (page.header("Content-Type") or "").startswith("text/html")
    assert ask("GET", "/nowhere", None, {"Accept": "application/json"}).json()["status"] == 404


@pytest.mark.parametrize("name", ["crlf", "lf", "nul", "crname", "colonname", "hugehead"])
def test_header_injection_refused(ask: Ask, name: str) -> None:
    for lane in ("result", "aresult"):
        answer = ask("GET", f"/{lane}/{name}")
        assert answer.status == 500
        assert b"X-Injected" not in answer.raw


def test_header_injection_refused_native(ask: Ask) -> None:
    answer = ask("GET", "/native/inject")
    assert answer.text == "9"
    assert b"X-Injected" not in answer.raw


@pytest.mark.parametrize("name", ["nan", "inf", "surrogate", "object", "tuple", "badstatus"])
def test_wrong_results(ask: Ask, name: str) -> None:
    answer = ask("GET", f"/result/{name}")
    assert answer.status == 500
    assert b"Traceback" not in answer.body


def test_framing_headers_are_the_servers(ask: Ask) -> None:
    assert ask("GET", "/result/transfer").body == b"x"
    answer = ask("GET", "/result/length")
    assert (answer.status, answer.body, answer.header("Content-Length")) in ((200, b"four", "4"), (500, answer.body, answer.header("Content-Length")))


@pytest.mark.parametrize("code,status", [(404, 404), (503, 503), (599, 599), (1, 500), (200, 500), (600, 500), (-1, 503), (-2, 500)])
def test_native_errors(ask: Ask, code: int, status: int) -> None:
    assert ask("GET", f"/native/fail?code={code}").status == status


def test_send_only_on_blocking_threads(ask: Ask) -> None:
    assert ask("GET", "/native/send-refused").text == "-2"
