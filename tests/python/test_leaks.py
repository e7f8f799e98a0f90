# SPDX-License-Identifier: MIT
"""Objects and memory after many requests: as many as before."""

import gc
import sys

import pytest

import _snacgi
from snacgi import Headers, Request, Response, abort, exceptions


def body_errors():
    for body in (b"{", b"\xff", b"[1] x"):
        try:
            Request(body=body).body
        except exceptions.BadRequest:
            pass


def fields():
    r = Request(
        "POST", "/a/b?x=1&x=2&y", headers=[("X-A", "1"), ("X-B", "é")], body={"a": [1, "b", None]}, path_params={"i": 1}
    )
    for name in dir(type(r)):
        if not name.startswith("__"):
            value = getattr(r, name)
    del value
    r.headers.items(), r.headers.get("x-a"), r.headers.get("none"), list(r.headers), len(r.headers), repr(r.headers)
    r.get_data(cache=False), r.get_json(cache=False), r.get_data(as_text=True)
    r.user = "x"


def results():
    r = Request()
    for result in (
        {"a": [1, 2.5, "x", None, {"b": "é€"}]}, [1], "text", b"bytes", None, 5, "y" * 20000, b"z" * 20000,
        ({"a": 1}, 201), ({"a": 1}, 201, {"X": "1"}), ("x", [("A", "1")]), Response("x", 404, {"A": "1"}),
        (Response("x"), 200, {"A": "1"}), ValueError("x"), exceptions.NotFound("x"),
    ):  # fmt: skip
        _snacgi.answer(r, result)


def wrong_results():
    loop: list = []
    loop.append(loop)
    for result in (object(), {"a": object()}, float("nan"), loop, ("x", 1), ("x", 200, 5), {"\ud800": 1}, {"a": {b"k": 1}}):
        _snacgi.answer(None, result)
    loop.clear()


def bad_requests():
    for kwargs in ({"environ": {"": "x"}}, {"path": "/%00"}, {"body": object()}, {"environ": {"a": 1}}):
        try:
            Request(**kwargs)
        except (TypeError, ValueError):
            pass


def objects():
    h = Headers({"a": "1", "b": ["2", "3"]})
    h["a"] = "2"
    h.update({"b": "5"})
    h.add("c", 1)
    del h["c"]
    h.keys(), h.values(), h.items(), list(h), repr(h), h == Headers(h)
    for source in ({"a": "\n"}, [("a",)], 5):
        try:
            Headers(source)
        except (TypeError, ValueError):
            pass
    r = Response(["a", b"b"], 200, h, "text/plain")
    r.status, r.data, r.json if r.data == b"1" else None, r.content_type, r.mimetype, repr(r)
    r.headers = h
    r.data = b"x"
    for kwargs in ({"response": 5}, {"status": 5}, {"headers": 5}, {"mimetype": 5}):
        try:
            Response(**kwargs)
        except (TypeError, ValueError):
            pass
    try:
        abort(404, headers={"a": "b"})
    except exceptions.HTTPException as e:
        _snacgi.answer(None, e)


def functions():
    _snacgi.check_rule("/a/<int:b>/<c>")
    _snacgi.check_methods("GET, POST")
    for call in (lambda: _snacgi.check_rule("x"), lambda: _snacgi.check_methods("X"), lambda: _snacgi.check_rule(5)):
        try:
            call()
        except (TypeError, ValueError):
            pass


@pytest.mark.parametrize("work", [body_errors, fields, results, wrong_results, bad_requests, objects, functions])
def test_no_leak(work, capfd):
    def blocks(rounds):
        for _ in range(rounds):
            work()
        gc.collect()
        return sys.getallocatedblocks(), len(gc.get_objects())

    # Caches of the interpreter grow at first, so the quietest of some windows counts:
    # one object lost a round would be 300 in every one.
    grown = []
    last = blocks(30)
    for _ in range(3):
        now = blocks(300)
        grown.append((now[0] - last[0], now[1] - last[1]))
        last = now
    capfd.readouterr()
    assert min(n for n, _ in grown) < 150 and min(n for _, n in grown) < 150, grown


def test_resident_memory_of_large_bodies(capfd):
    def resident():
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * 4096

    def work():
        _snacgi.answer(None, b"x" * 1_000_000)
        _snacgi.answer(None, {"a": "x" * 1_000_000})
        Request(body=b'"' + b"x" * 1_000_000 + b'"').body

    for _ in range(5):
        work()
    before = resident()
    for _ in range(40):
        work()
    assert resident() - before < 20_000_000
