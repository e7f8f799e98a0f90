# SPDX-License-Identifier: MIT
"""Typed handlers in the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

from daemon import Daemon

Snacgi = Callable[..., Daemon]


def test_each_kind_of_handler(snacgi: Snacgi) -> None:
    daemon = snacgi(app="typed")
    answer = daemon.get("/typed/a?n=3&tag=x&tag=y")
    assert answer.json() == {"name": "a", "n": 3, "tags": ["x", "y"], "limit": 5}
    item = {"name": "a", "price": 1.5, "inside": {"name": "b", "price": 0.0, "inside": None}}
    assert daemon.post("/typed/async", item).json() == item
    assert daemon.post("/typed/pool", {"a": 1, "b": 2}).json() == {"sum": 3}

    answer = daemon.get("/typed/a?n=x&limit=0")
    assert answer.status == 422
    assert [(e["loc"], e["type"]) for e in answer.json()["detail"]] == [
        (["query", "n"], "int_parsing"), (["query", "limit"], "greater_than_equal")]
    answer = daemon.post("/typed/async", {"name": ""})
    assert answer.status == 422 and answer.json()["detail"][0]["loc"] == ["body", "name"]
    assert daemon.post("/typed/pool", {"a": "x"}).status == 422
    assert "Traceback" not in daemon.log()


def test_an_annotation_that_nobody_fills_ends_the_start(snacgi: Snacgi, tmp: Path) -> None:
    app = tmp / "wrong"
    app.mkdir()
    (app / "wrong.py").write_text("import snacgi\n\n@snacgi.get('/')\ndef f(z: complex): ...\n")
    daemon = snacgi(app=app, wait=False)
    assert daemon.wait() != 0
    daemon.expected_exit = None
    assert f"{app}/wrong.py:3: wrong.f: the parameter 'z' cannot be filled: complex" in daemon.log()


def test_the_document_and_its_page(snacgi: Snacgi) -> None:
    daemon = snacgi(app="typed")
    answer = daemon.get("/openapi.json")
    assert answer.header("Content-Type") == "application/json"
    made = answer.json()
    assert made["openapi"] == "3.1.0" and made["info"]["title"] == "Typed"
    assert made["paths"]["/typed/{name}"]["get"]["summary"] == "Says what it was given."
    native = made["paths"]["/native/hello"]["get"]
    assert native["summary"] == "Says hello." and native["description"] == "In C.\n\nWith <b>nothing</b> \"else\"."
    (parameter,) = made["paths"]["/native/users/{id}"]["get"]["parameters"]
    assert parameter == {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
    assert "/openapi.json" not in made["paths"] and "Item" in made["components"]["schemas"]
    answer = daemon.get("/docs")
    assert b'content="openapi.json"' in answer.body
    assert (answer.header("Content-Security-Policy") or "").startswith("default-src 'none'; script-src 'sha256-")
    assert snacgi(app="basic").get("/openapi.json").status == 404
