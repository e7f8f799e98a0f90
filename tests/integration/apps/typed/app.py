# SPDX-License-Identifier: MIT
"""Typed handlers, sync, async and with the pool."""

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Annotated, Optional

from snacgi import App, Field, Query, Request, get, post

App("Typed", openapi=True)


@dataclass
class Item:
    name: Annotated[str, Field(min_length=1)]
    price: float = 0.0
    inside: "Optional[Item]" = None


@get("/typed/<name>")
def sync(name: str, n: int, tag: list[str] = [], limit: Annotated[int, Query(ge=1)] = 5):
    """Says what it was given."""
    return {"name": name, "n": n, "tags": tag, "limit": limit}


@post("/typed/async")
async def asynchronous(item: Item, request: Request) -> Item:
    return item


@post("/typed/pool", use_process_pool=True)
def pooled(numbers: dict[str, int], pool: Executor):
    return {"sum": pool.submit(sum, list(numbers.values())).result()}
