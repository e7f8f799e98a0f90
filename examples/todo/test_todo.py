# SPDX-License-Identifier: MIT
"""Run by: pytest. Every test has a database of its own; no server is needed."""

import sqlite3
from pathlib import Path
from typing import Any, Iterator

import pytest
import todo
from snacgi.testing import TestClient


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(todo, "DATABASE", str(tmp_path / "todo.db"))
    with TestClient() as client:  # runs on_startup: the schema is made
        yield client


def make(client: TestClient, **values: Any) -> Any:
    answer = client.post("/todos", json={"title": "milk", **values})
    assert answer.status_code == 201, answer.text
    return answer.json


def test_create_and_read(client: TestClient) -> None:
    answer = client.post("/todos", json={"title": " milk ", "due": "2030-01-31"})
    assert answer.status_code == 201
    assert answer.headers["Location"] == answer.json["url"] == "/todos/1"
    found = client.get(answer.json["url"]).json
    assert found.pop("created")
    assert found == {"id": 1, "title": "milk", "due": "2030-01-31", "done": False, "url": "/todos/1"}


def test_update(client: TestClient) -> None:
    url = make(client, due="2030-01-31")["url"]
    assert client.patch(url, json={"done": True}).json["done"] is True
    changed = client.patch(url, json={"title": "bread", "due": None}).json
    assert (changed["title"], changed["due"], changed["done"]) == ("bread", None, True)
    assert client.get(url).json == changed


def test_delete(client: TestClient) -> None:
    url = make(client)["url"]
    answer = client.delete(url)
    assert (answer.status_code, answer.data) == (204, b"")
    assert [client.open(url, method, json={}).status_code for method in ("GET", "PATCH", "DELETE")] == [404, 404, 404]


@pytest.mark.parametrize("todo_id", ["1", str(2**63), "9" * 40])
def test_not_there(client: TestClient, todo_id: str) -> None:
    answer = client.get(f"/todos/{todo_id}")
    assert (answer.status_code, answer.json["error"]) == (404, f"there is no todo {todo_id}")


def test_pages(client: TestClient) -> None:
    for n in range(5):
        make(client, title=f"t{n}", done=n == 3)
    pages, url = [], "/todos?per_page=2"
    while url:
        page = client.get(url).json
        assert page["total"] == 5
        pages.append([one["title"] for one in page["todos"]])
        url = page["next"]
    assert pages == [["t0", "t1"], ["t2", "t3"], ["t4"]]
    assert client.get("/todos?page=9").json == {"todos": [], "total": 5, "page": 9, "next": None}


def test_filter_goes_along_with_the_pages(client: TestClient) -> None:
    for n in range(5):
        make(client, title=f"t{n}", done=n == 3)
    first = client.get("/todos?done=false&per_page=3").json
    second = client.get(first["next"]).json
    assert [one["title"] for one in first["todos"] + second["todos"]] == ["t0", "t1", "t2", "t4"]
    assert [one["title"] for one in client.get("/todos?done=true").json["todos"]] == ["t3"]


def test_batch_is_all_or_nothing(client: TestClient) -> None:
    answer = client.post("/todos/batch", json=[{"title": "a"}, {"title": "b", "done": True}])
    assert answer.status_code == 201
    assert [(one["title"], one["done"]) for one in answer.json["todos"]] == [("a", False), ("b", True)]
    answer = client.post("/todos/batch", json=[{"title": "c"}, {"title": ""}])
    assert (answer.status_code, answer.json["fields"]) == (422, {"1.title": "must be a text of 1 to 200 characters"})
    assert client.get("/todos").json["total"] == 2


@pytest.mark.parametrize(
    "body, fields",
    [
        ({}, {"title"}),
        ([], {"body"}),
        ("milk", {"body"}),
        ({"title": " "}, {"title"}),
        ({"title": "x" * 201}, {"title"}),
        ({"title": 7, "done": 1, "due": "tomorrow", "colour": "red"}, {"title", "done", "due", "colour"}),
        ({"title": "x", "due": 20300131}, {"due"}),
    ],
)
def test_invalid_values(client: TestClient, body: Any, fields: set[str]) -> None:
    answer = client.post("/todos", json=body)
    assert (answer.status_code, set(answer.json["fields"])) == (422, fields)
    assert client.get("/todos").json["total"] == 0


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "page=\u0663", "page=" + "9" * 30, "per_page=101", "done=perhaps"])
def test_invalid_queries(client: TestClient, query: str) -> None:
    answer = client.get(f"/todos?{query}")
    assert (answer.status_code, list(answer.json["fields"])) == (422, [query.split("=")[0]])


def test_malformed(client: TestClient) -> None:
    assert client.post("/todos", data='{"title":', content_type="application/json").status_code == 400
    assert client.post("/todos", data="title=milk").status_code == 415
    assert client.put("/todos/1", json={}).status_code == 405


def test_a_failed_update_leaves_no_transaction(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    url = make(client)["url"]

    def broken(row: sqlite3.Row) -> dict[str, Any]:
        raise RuntimeError("on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(todo, "shown", broken)
        with pytest.raises(RuntimeError):
            client.patch(url, json={"title": "bread"})
    assert client.get(url).json["title"] == "milk"
    assert client.patch(url, json={"title": "bread"}).json["title"] == "bread"


def test_every_connection_is_closed(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[sqlite3.Connection] = []
    connect = todo.connect

    def counted() -> sqlite3.Connection:
        opened.append(connect())
        return opened[-1]

    monkeypatch.setattr(todo, "connect", counted)
    url = make(client)["url"]
    client.get(url)
    client.get("/todos/99")
    client.get("/nowhere")  # asks no database
    assert len(opened) == 3
    for db in opened:
        with pytest.raises(sqlite3.ProgrammingError):
            db.execute("SELECT 1")
