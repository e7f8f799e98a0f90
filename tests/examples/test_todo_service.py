# SPDX-License-Identifier: MIT
"""The to-do service behind nginx, by its own snacgi.conf: two processes over one database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Iterator

import pytest
from served import Served


@pytest.fixture(scope="module")
def todo(module_tmp: Path) -> Iterator[Served]:
    served = Served(module_tmp, "todo", "/todos", {"TODO_DATABASE": str(module_tmp / "todo.db")}).start()
    yield served
    served.stop()


@pytest.mark.basic
def test_one_from_birth_to_death(todo: Served) -> None:
    status, made = todo.json("POST", "/todos", {"title": "milk", "due": "2030-01-31"})
    assert (status, made["title"], made["done"]) == (201, "milk", False)
    assert todo.json("GET", made["url"]) == (200, made)
    assert todo.json("PATCH", made["url"], {"done": True}) == (200, {**made, "done": True})
    assert made["id"] in [one["id"] for one in todo.json("GET", "/todos?done=true")[1]["todos"]]
    assert todo.json("DELETE", made["url"]) == (204, None)
    assert todo.json("GET", made["url"])[0] == 404


def test_errors_arrive_as_they_are(todo: Served) -> None:
    status, answer = todo.json("POST", "/todos", {"title": "", "colour": "red"})
    assert (status, set(answer["fields"])) == (422, {"title", "colour"})
    assert todo.nginx.ask("POST", "/todos", b"{", {"Content-Type": "application/json"})[0] == 400
    assert todo.nginx.ask("POST", "/todos", b"title=milk")[0] == 415
    assert todo.json("PUT", "/todos/1", {})[0] == 405
    assert todo.json("GET", "/todos?page=0")[0] == 422


def test_many_writers(todo: Served) -> None:
    """Two processes, eight threads each, one writer at a time: nobody is refused, nothing
    is lost, and a batch is not seen in part."""
    before = todo.json("GET", "/todos")[1]["total"]

    def write(n: int) -> list[int]:
        if n % 4 == 3:
            assert todo.json("POST", "/todos/batch", [{"title": "kept"}, {"title": ""}])[0] == 422
        assert (todo.json("GET", "/todos?per_page=1")[1]["total"] - before) % 3 == 0
        status, answer = todo.json("POST", "/todos/batch", [{"title": f"{n}.{part}"} for part in range(3)])
        assert status == 201, answer
        return [one["id"] for one in answer["todos"]]

    with ThreadPoolExecutor(12) as clients:
        made = [todo_id for three in clients.map(write, range(48)) for todo_id in three]
    assert len(set(made)) == 144
    seen, page = 0, "/todos?per_page=100"
    while page:
        answer = todo.json("GET", page)[1]
        seen, page = seen + len(answer["todos"]), answer["next"]
    assert seen == answer["total"] == before + 144


def test_started_again_it_has_what_it_had(module_tmp: Path) -> None:
    for expected in ([], ["milk"]):
        folder = module_tmp / f"run{len(expected)}"
        folder.mkdir()
        served = Served(folder, "todo", "/todos", {"TODO_DATABASE": str(module_tmp / "again.db")}).start()
        try:
            assert [one["title"] for one in served.json("GET", "/todos")[1]["todos"]] == expected
            if not expected:
                assert served.json("POST", "/todos", {"title": "milk"})[0] == 201
        finally:
            served.stop()
