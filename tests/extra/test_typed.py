# SPDX-License-Identifier: MIT
"""Typed handlers with what Debian does not have: pydantic 2 and msgspec; and the document before
openapi-spec-validator. Over the extension module, as tests/python."""

import dataclasses
import datetime
import decimal
import uuid
from typing import Annotated, Literal, Optional, Union

import msgspec
import openapi_spec_validator
import pydantic
import pytest
from snacgi import Body, Field, Query, _routing, get, openapi, post
from snacgi.testing import TestClient

assert pydantic.VERSION.startswith("2."), pydantic.VERSION


@pytest.fixture
def client():
    saved = _routing.registry[:]
    _routing.registry.clear()
    with TestClient() as client:
        yield client
    _routing.registry[:] = saved


def errors(response):
    assert response.status_code == 422, response.text
    return [(".".join(map(str, one["loc"])), one["type"]) for one in response.json["detail"]]


class Price(pydantic.BaseModel):
    amount: Annotated[decimal.Decimal, pydantic.Field(gt=0)]
    when: Optional[datetime.date] = None


class Thing(pydantic.BaseModel):
    name: str = pydantic.Field(alias="Name", min_length=2)
    id: uuid.UUID
    prices: list[Price] = []
    inside: "Optional[Thing]" = None

    @pydantic.field_validator("name")
    @classmethod
    def lower(cls, value):
        if value != value.lower():
            raise ValueError("lower case only")
        return value


class Names(pydantic.RootModel[list[str]]):
    pass


@pydantic.dataclasses.dataclass
class Strict:
    n: Annotated[int, pydantic.Field(ge=3)]


class Node(msgspec.Struct):
    n: Annotated[int, msgspec.Meta(ge=1)]
    at: Optional[datetime.datetime] = None
    nodes: "list[Node]" = []


@dataclasses.dataclass
class Mixed:
    price: Price
    node: Optional[Node] = None


ID = "12345678-1234-5678-1234-567812345678"


def test_pydantic_2(client):
    @post("/thing")
    def thing(thing: Thing) -> Thing:
        assert isinstance(thing.id, uuid.UUID)
        return thing

    @post("/two")
    async def two(first: Price, second: list[Price], names: Names, strict: Optional[Strict] = None):
        return {"first": first, "n": len(second), "names": names, "strict": strict}

    whole = {"Name": "ab", "id": ID, "prices": [{"amount": "1.50", "when": "2024-01-02"}],
             "inside": {"Name": "cd", "id": ID, "prices": [], "inside": None}}
    assert client.post("/thing", json=whole).json == whole
    wrong = {"Name": "AB", "prices": [{"amount": -1}, 3], "inside": []}
    assert errors(client.post("/thing", json=wrong)) == [
        ("body.Name", "value_error"), ("body.id", "missing"), ("body.prices.0.amount", "greater_than"),
        ("body.prices.1", "model_type"), ("body.inside", "model_type")]
    answer = client.post("/two", json={"first": {"amount": 1}, "second": [], "names": ["a"], "strict": {"n": 3}})
    assert answer.json == {"first": {"amount": "1", "when": None}, "n": 0, "names": ["a"], "strict": {"n": 3}}
    answer = client.post("/two", json={"first": {}, "second": [{"amount": 0}], "names": [1], "strict": {"n": 2}})
    assert [loc for loc, _ in errors(answer)] == ["body.first.amount", "body.second.0.amount", "body.names.0", "body.strict.n"]


def test_limits_by_pydantic_and_annotated_types(client):
    from annotated_types import Ge, Len

    @get("/l")
    def limits(a: Annotated[int, pydantic.Field(gt=3)] = 4, b: Annotated[int, Ge(2)] = 2,
               c: Annotated[list[str], Len(1, 2)] = ["x"]):
        return [a, b, c]

    assert client.get("/l").json == [4, 2, ["x"]]
    assert errors(client.get("/l?a=3&b=1&c=1&c=2&c=3")) == [
        ("query.a", "greater_than"), ("query.b", "greater_than_equal"), ("query.c", "too_long")]


def test_msgspec(client):
    @post("/node")
    def node(node: Node, deep: Annotated[bool, Query()] = False) -> Node:
        return node

    @post("/mixed")
    def mixed(mixed: Mixed):
        return mixed

    assert client.post("/node", json={"n": 1, "at": "2024-01-02T03:04:05Z", "nodes": [{"n": 2}]}).json == {
        "n": 1, "at": "2024-01-02T03:04:05Z", "nodes": [{"n": 2, "at": None, "nodes": []}]}
    assert errors(client.post("/node?deep=x", json={"n": 1, "nodes": [{"n": 1}, {}]})) == [
        ("query.deep", "bool_parsing"), ("body.nodes.1.n", "missing")]
    assert errors(client.post("/node", json={"n": "x"})) == [("body.n", "value_error")]
    assert errors(client.post("/node", json=[])) == [("body", "value_error")]
    assert client.post("/mixed", json={"price": {"amount": "1"}, "node": {"n": 1}}).json == {
        "price": {"amount": "1", "when": None}, "node": {"n": 1, "at": None, "nodes": []}}
    assert errors(client.post("/mixed", json={"price": {}, "node": {"n": 0}})) == [
        ("body.price.amount", "missing"), ("body.node.n", "value_error")]


def test_msgspec_keys_that_are_no_text(client):
    class Counts(msgspec.Struct):
        by_number: dict[int, str]
        by_day: dict[datetime.date, int] = {}

    @post("/counts")
    def counts(counts: Counts):
        return [[*counts.by_number], [day.year for day in counts.by_day]]

    assert client.post("/counts", json={"by_number": {"1": "a", "-2": "b"}, "by_day": {"2024-01-02": 3}}).json == [[1, -2], [2024]]
    assert errors(client.post("/counts", json={"by_number": {"x": "a"}}))[0][1] == "value_error"


def test_the_document_is_valid(client):
    @post("/things/<int(min=1):n>/<any(a,b):kind>", responses={201: {"description": "made", "model": Thing}, 404: "none"})
    def things(n: int, kind: str, thing: Thing, q: list[int] = [], at: Optional[datetime.date] = None) -> Price: ...

    @post("/nodes")
    def nodes(node: Node, other: Union[Price, Node], names: Names) -> list[Node]: ...

    @post("/mixed")
    def mixed(mixed: Mixed, how: Literal["x", 1] = "x", limit: Annotated[int, Query(ge=1, example=3)] = 1) -> Mixed: ...

    @get("/plain/<path:rest>")
    def plain(request, rest): ...

    @post("/body")
    def body(body: Annotated[dict[str, Annotated[int, Field(ge=1)]], Body(max_length=3)]) -> tuple[Price, int]: ...

    made = openapi(title="All", version="1")
    openapi_spec_validator.validate(made)
    schemas = made["components"]["schemas"]
    assert {"Thing", "Price", "Node", "Mixed", "Names"} <= set(schemas)
    assert not [name for name in schemas if "__" in name]  # each class once
    assert schemas["Thing"]["properties"]["inside"]["anyOf"][0] == {"$ref": "#/components/schemas/Thing"}
    assert schemas["Node"]["properties"]["nodes"]["items"] == {"$ref": "#/components/schemas/Node"}
