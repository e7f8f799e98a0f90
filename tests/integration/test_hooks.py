# SPDX-License-Identifier: MIT
"""Hooks, error handlers and the application's life, in the daemon."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Callable

import fcgi
from daemon import Daemon, wait_until
from wire import environ

Snacgi = Callable[..., Daemon]


def test_hooks_and_error_handlers(snacgi: Snacgi) -> None:
    daemon = snacgi(app="hooks")
    assert daemon.get("/state").json() == {"lifespan": True, "ready": ["sync", "async"]}
    answer = daemon.get("/async")
    assert answer.json() == {"executor": "/async/async", "own": "/async"} and answer.header("X-After") == "/async"
    for path in ("/fail", "/async/fail"):
        answer = daemon.get(path)
        assert answer.status == 500 and answer.json() == {"original": "KeyError"} and answer.header("X-After") == path
    assert daemon.log().count("KeyError: 'x'") == 2
    answer = daemon.get("/teapot")
    assert answer.status == 418 and answer.json() == {"code": 418, "said": "short"}
    assert daemon.get("/pool").json() is True


def test_what_no_route_takes_comes_to_the_hooks(snacgi: Snacgi) -> None:
    daemon = snacgi(app="hooks")
    answer = daemon.get("/nowhere")
    assert answer.status == 404 and answer.json()["code"] == 404 and answer.header("X-After") == "/nowhere"
    answer = daemon.post("/state", {"a": 1})
    assert answer.status == 405 and answer.header("Allow") == "GET, HEAD, OPTIONS" and answer.json()["code"] == 405
    answer = daemon.ask("OPTIONS", "/state")
    assert answer.status == 200 and answer.header("Allow") == "GET, HEAD, OPTIONS" and answer.header("X-After") == "/state"
    assert daemon.get("/native/hello").header("X-After") is None


def test_the_life_ends_after_the_last_handler(snacgi: Snacgi, tmp: Path) -> None:
    log, gate = tmp / "log", tmp / "gate"
    daemon = snacgi(app="hooks", env={"HOOKS_LOG": str(log)})
    conn = daemon.connect()
    conn.send(fcgi.request(environ("GET", f"/late?gate={gate}"), b"", 1, True))
    wait_until(lambda: "late begins" in log.read_text(), "the handler")
    daemon.signal(signal.SIGTERM)
    daemon.wait_log("SIGTERM|stopping")
    gate.touch()
    assert conn.response().json() == {"lifespan": True}
    conn.close()
    daemon.wait()
    assert log.read_text().split("\n") == ["startup", "late begins", "late ends", "lifespan ended", "async shutdown", "shutdown", ""]


def test_a_start_that_fails_is_told(snacgi: Snacgi, tmp: Path) -> None:
    log = tmp / "log"
    daemon = snacgi(app="hooks", wait=False, env={"HOOKS_LOG": str(log), "HOOKS_FAIL": "1"})
    assert daemon.wait() != 0
    daemon.expected_exit = None
    assert "the database is not there" in daemon.log() and "on_startup" in daemon.log()
    assert "shutdown" not in log.read_text()


def test_a_ported_flask_application(snacgi: Snacgi) -> None:
    app = Path(__file__).resolve().parents[1] / "python"
    daemon = snacgi(app=app, conf={"python": {"modules": ["ported"]}})
    assert daemon.get("/").json() == {"notes": "/notes/", "user": "anonymous"}
    made = daemon.post("/notes/", {"text": "new"})
    assert made.status == 201 and made.header("Location") == "/notes/4"
    assert daemon.get("/notes/4").json() == {"id": 4, "text": "new"}
    assert daemon.get("/notes/99").json() == {"error": "not found", "path": "/notes/99"}


def test_forms_within_their_limits(snacgi: Snacgi) -> None:
    daemon = snacgi(app="hooks", conf={"limits": {"form_parts": 3, "form_memory": 2000}})
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": "a=1; b=2"}
    answer = daemon.ask("POST", "/form", b"x=1&y=%C3%BC&z=", headers=kind)
    assert answer.json() == {"fields": {"x": "1", "y": "\u00fc", "z": ""}, "cookies": {"a": "1", "b": "2"}}
    assert daemon.ask("POST", "/form", b"a&b&c&d", headers=kind).status == 413
    assert daemon.ask("POST", "/form", b"a=" + b"x" * 2000, headers=kind).status == 413
    kind["Content-Type"] = "multipart/form-data; boundary=b"
    assert daemon.ask("POST", "/form", b"--b garbage", headers=kind).status == 400
