# SPDX-License-Identifier: MIT
"""A Flask application whose import line alone was changed behaves as with Flask."""

import importlib
import sys

import pytest


@pytest.fixture
def client(scope, monkeypatch):
    monkeypatch.syspath_prepend(__file__.rpartition("/")[0])
    sys.modules.pop("ported", None)
    ported = importlib.import_module("ported")
    with ported.app.test_client() as client:
        yield client


def behaves(client):
    """The same with Flask itself (tests/extra/test_flask.py)."""
    assert client.get("/").get_json() == {"notes": "/notes/", "user": "anonymous"}
    assert [n["id"] for n in client.get("/notes/").json] == [1, 2]
    assert [n["id"] for n in client.get("/notes/", query_string={"page": 2}).json] == [3]
    assert [n["id"] for n in client.get("/notes/?page=x").json] == [1, 2]
    made = client.post("/notes/", json={"text": "new"}, headers={"X-User": "ada"})
    assert made.status_code == 201 and made.headers["Location"] == "/notes/4" and made.headers["X-User"] == "ada"
    assert client.get("/notes/4").json == {"id": 4, "text": "new"}
    assert client.post("/notes/", json={}).status_code == 400
    assert client.post("/notes/", data="x").status_code == 415
    assert client.post("/notes/", data="{", content_type="application/json").status_code == 400
    assert client.put("/notes/4", json={"text": "changed"}).json["text"] == "changed"
    assert client.get("/notes/latest", follow_redirects=True).json["text"] == "changed"
    assert client.delete("/notes/4").status_code == 204
    for path in ("/notes/4", "/nowhere"):
        missing = client.get(path)
        assert missing.status_code == 404 and missing.json == {"error": "not found", "path": path}
        assert missing.headers["X-User"] == "anonymous"
    assert client.delete("/notes/").status_code == 405
    asked = {"Accept": "application/json, text/html;q=0.5", "User-Agent": "me"}
    about = client.get("/about?x=1&x=2", headers=asked)
    assert about.json == {"made": "notes!", "endpoint": "about", "base": "http://localhost/about", "root": "http://localhost/",
                          "path": "/about?x=1&x=2", "x": ["1", "2"], "agent": "me", "kind": "application/json"}
    assert about.headers["Cache-Control"] == "max-age=60" and about.headers["ETag"] == '"v1"'
    again = client.get("/about", headers={"If-None-Match": '"v1"'})
    assert again.status_code == 304 and again.data == b""
    assert client.get("/private").status_code == 401
    assert client.get("/private", headers={"Authorization": "Basic YWRhOnNlc2FtZQ=="}).json == {"hello": "ada"}


def test_ported(client):
    behaves(client)
    assert sys.modules["ported"].ended == ["anonymous"] * 4 + ["ada"] + ["anonymous"] * 15
    client.post("/login")
    assert client.get_cookie("session") == "abc"
