# SPDX-License-Identifier: MIT
"""A to-do service over SQLite.

    snacgi dev todo.py          serve while writing; README.md has the questions to ask

A connection for each request: opened when a handler first asks, kept in g, closed when the
request ends. SQLite in WAL mode lets readers go on beside the one writer."""

import datetime
import os
import sqlite3
from contextlib import contextmanager
from typing import Any, Iterator, Optional

from snacgi import Blueprint, Response, abort, g, jsonify, on_startup, register_blueprint, request, teardown_request, url_for

DATABASE = os.environ.get("TODO_DATABASE", "todo.db")
SCHEMA = """
CREATE TABLE IF NOT EXISTS todos (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    due TEXT,
    done INTEGER NOT NULL DEFAULT 0,
    created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS todos_by_state ON todos (done, id);
"""
PAGE, LARGEST_PAGE, LARGEST_BATCH = 20, 100, 500
LARGEST_ID = 2**63 - 1  # SQLite's; the rule <int:...> takes any number of digits

todos = Blueprint("todos", __name__, url_prefix="/todos")


# ---- the database ------------------------------------------------------------------


def connect() -> sqlite3.Connection:
    # Autocommit: transactions are where the code says BEGIN. Who finds the database locked
    # waits for the writer, 30 s at most; a request may take 60.
    db = sqlite3.connect(DATABASE, timeout=30, isolation_level=None)
    db.row_factory = sqlite3.Row
    return db


@on_startup
def create_schema() -> None:
    """Once in each server process; what fails here ends the start."""
    db = connect()
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(SCHEMA)
    db.close()


def get_db() -> sqlite3.Connection:
    if "db" not in g:
        g.db = connect()
    db: sqlite3.Connection = g.db
    return db


@teardown_request
def close_db(error: Optional[BaseException]) -> None:
    db = g.pop("db", None)
    if db is not None:
        db.close()


@contextmanager
def transaction() -> Iterator[sqlite3.Connection]:
    """All of it or nothing. IMMEDIATE: waits for its turn here, not in the middle."""
    db = get_db()
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
        db.execute("COMMIT")
    except BaseException:  # HandlerTimeout too
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def shown(row: sqlite3.Row) -> dict[str, Any]:
    return {**dict(row), "done": bool(row["done"]), "url": url_for("todos.read", todo_id=row["id"])}


def find(todo_id: int) -> sqlite3.Row:
    row = get_db().execute("SELECT * FROM todos WHERE id = ?", (todo_id,)).fetchone() if todo_id <= LARGEST_ID else None
    if row is None:
        abort(404, f"there is no todo {todo_id}")
    found: sqlite3.Row = row
    return found


# ---- what clients send ----------------------------------------------------------------


class Invalid(Exception):
    """What is wrong, by field."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(errors)
        self.errors = errors


@todos.errorhandler(Invalid)
def invalid(error: Invalid) -> tuple[dict[str, Any], int]:
    return {"error": "the values are not valid", "fields": error.errors}, 422


def checked(data: Any, place: str = "") -> dict[str, Any]:
    """The columns that `data` sets, or Invalid with everything that is wrong."""
    if not isinstance(data, dict):
        raise Invalid({place or "body": "must be an object"})
    out: dict[str, Any] = {}
    errors = {place + name: "is not known" for name in data if name not in ("title", "due", "done")}
    if "title" in data:
        title = data["title"].strip() if isinstance(data["title"], str) else ""
        if 1 <= len(title) <= 200:
            out["title"] = title
        else:
            errors[place + "title"] = "must be a text of 1 to 200 characters"
    if "due" in data:
        try:
            out["due"] = None if data["due"] is None else datetime.date.fromisoformat(data["due"]).isoformat()
        except (TypeError, ValueError):
            errors[place + "due"] = "must be a date, YYYY-MM-DD, or null"
    if "done" in data:
        if isinstance(data["done"], bool):
            out["done"] = data["done"]
        else:
            errors[place + "done"] = "must be true or false"
    if errors:
        raise Invalid(errors)
    return out


def number(name: str, default: int, largest: int) -> int:
    """A number of the query, 1 to `largest`."""
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 12 and 1 <= int(text) <= largest):
        raise Invalid({name: f"must be a number from 1 to {largest}"})
    return int(text)


def insert(db: sqlite3.Connection, values: dict[str, Any]) -> sqlite3.Row:
    row = {"due": None, "done": False, **values}
    found: sqlite3.Row = db.execute("INSERT INTO todos (title, due, done) VALUES (:title, :due, :done) RETURNING *", row).fetchone()
    return found


def with_title(values: dict[str, Any], place: str = "") -> dict[str, Any]:
    if "title" not in values:
        raise Invalid({place + "title": "is missing"})
    return values


# ---- the endpoints ----------------------------------------------------------------------


@todos.get("")
def index() -> dict[str, Any]:
    """?done=true or false, ?page= and ?per_page="""
    page, size = number("page", 1, 10**9), number("per_page", PAGE, LARGEST_PAGE)
    done = request.args.get("done")
    if done not in (None, "true", "false"):
        raise Invalid({"done": "must be true or false"})
    where, values = ("WHERE done = ?", [done == "true"]) if done else ("", [])
    db = get_db()
    db.execute("BEGIN")  # both questions see the same state
    total = db.execute(f"SELECT count(*) FROM todos {where}", values).fetchone()[0]
    rows = db.execute(f"SELECT * FROM todos {where} ORDER BY id LIMIT ? OFFSET ?", [*values, size, (page - 1) * size]).fetchall()
    db.execute("COMMIT")
    more = {"done": done} if done else {}
    following = url_for(".index", page=page + 1, per_page=size, **more) if page * size < total else None
    return {"todos": [shown(row) for row in rows], "total": total, "page": page, "next": following}


@todos.post("")
def create() -> Response:
    values = with_title(checked(request.get_json()))
    with transaction() as db:
        todo = shown(insert(db, values))
    response = jsonify(todo)
    response.status_code = 201
    response.headers["Location"] = todo["url"]
    return response


@todos.post("/batch")
def create_many() -> tuple[dict[str, Any], int]:
    """A list of todos: all of them are made, or none."""
    data = request.get_json()
    if not isinstance(data, list) or not 1 <= len(data) <= LARGEST_BATCH:
        raise Invalid({"body": f"must be a list of 1 to {LARGEST_BATCH} todos"})
    with transaction() as db:
        made = [insert(db, with_title(checked(one, f"{n}."), f"{n}.")) for n, one in enumerate(data)]
    return {"todos": [shown(row) for row in made]}, 201


@todos.get("/<int:todo_id>")
def read(todo_id: int) -> dict[str, Any]:
    return shown(find(todo_id))


@todos.patch("/<int:todo_id>")
def update(todo_id: int) -> dict[str, Any]:
    values = checked(request.get_json())
    with transaction() as db:
        new = {**dict(find(todo_id)), **values}
        db.execute("UPDATE todos SET title = :title, due = :due, done = :done WHERE id = :id", new)
        return shown(find(todo_id))


@todos.delete("/<int:todo_id>")
def delete(todo_id: int) -> None:
    with transaction() as db:
        find(todo_id)
        db.execute("DELETE FROM todos WHERE id = ?", (todo_id,))


register_blueprint(todos)
