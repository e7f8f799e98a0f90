# SPDX-License-Identifier: MIT
"""Typed handlers: where values come from, what they become, and every error at once."""

import datetime
import decimal
import enum
import functools
import io
import subprocess
import sys
import types
import uuid
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NewType, Optional, TypedDict, Union

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import snacgi
from snacgi import Body, Cookie, Field, File, Form, Header, Path, Query, Request, RequestValidationError, get, post


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Point:
    x: int
    y: Annotated[int, Field(ge=0, alias="Y")] = 0


@dataclass
class Item:
    name: Annotated[str, Field(min_length=2, max_length=5, pattern="^[a-z]+$")]
    price: decimal.Decimal
    at: Optional[datetime.datetime] = None
    tags: list[str] = field(default_factory=list)
    points: dict[str, Point] = field(default_factory=dict)
    inside: "Optional[Item]" = None

    def __post_init__(self):
        if self.name == "no":
            raise ValueError("not that one")


class Note(TypedDict, total=False):
    text: str
    level: Level


UserId = NewType("UserId", int)


def errors(response):
    assert response.status_code == 422, response.text
    assert response.mimetype == "application/json"
    assert set(response.json) == {"detail"}
    for one in response.json["detail"]:
        assert set(one) == {"type", "loc", "msg"}
    return [(".".join(map(str, one["loc"])), one["type"]) for one in response.json["detail"]]


# ---- where from ------------------------------------------------------------------


def test_path_query_and_body(client):
    @post("/shops/<shop>/<int:row>")
    def add(shop: UserId, row: int, item: Item, dry: bool = False, request: Request = None):
        assert isinstance(item, Item) and isinstance(request, Request)
        return [shop, row, item.name, dry]

    answer = client.post("/shops/7/3", query_string="dry=yes", json={"name": "ab", "price": "1.50"})
    assert answer.json == [7, 3, "ab", True]
    assert errors(client.post("/shops/x/3?dry=perhaps", json={"price": "x", "name": "ABCDEFG"})) == [
        ("path.shop", "int_parsing"), ("query.dry", "bool_parsing"), ("body.name", "string_too_long"),
        ("body.price", "decimal_parsing")]


def test_markers(client):
    @get("/m/<int:n>")
    def m(n: Annotated[int, Path(ge=5)], term: Annotated[str, Query(alias="q", min_length=1)],
          user_agent: Annotated[str, Header()], x: Annotated[list[int], Header(alias="X-N")] = (),
          session: Annotated[Optional[str], Cookie()] = None, old: int = Query(4, le=4)):
        return [n, term, user_agent, list(x), session, old]

    answer = client.get("/m/5?q=a", headers=[("User-Agent", "t")], cookies={"session": "s"})
    assert answer.json == [5, "a", "t", [], "s", 4]
    assert errors(client.get("/m/4?term=a&old=5")) == [
        ("path.n", "greater_than_equal"), ("query.q", "missing"), ("header.user-agent", "missing"),
        ("query.old", "less_than_equal")]


def test_several_bodies_are_embedded(client):
    @post("/two")
    def two(first: Point, second: Annotated[int, Body()], third: Annotated[Any, Body()] = 3):
        return [first.x, second, third]

    @post("/embed")
    def embed(point: Annotated[Point, Body(embed=True)]):
        return point

    @post("/whole")
    def whole(numbers: Annotated[list[int], Body(max_length=2)]):
        return numbers

    assert client.post("/two", json={"first": {"x": 1}, "second": 2}).json == [1, 2, 3]
    assert errors(client.post("/two", json={"first": {"x": 1.5, "Y": -1}})) == [
        ("body.first.x", "int_from_float"), ("body.first.Y", "greater_than_equal"), ("body.second", "missing")]
    assert errors(client.post("/two", json=[1])) == [("body", "dict_type")]
    assert errors(client.post("/two")) == [("body.first", "missing"), ("body.second", "missing")]
    assert client.post("/embed", json={"point": {"x": 1}}).json == {"x": 1, "Y": 0}
    assert client.post("/whole", json=[1, "2"]).json == [1, 2]
    assert errors(client.post("/whole", json=[1, 2, 3])) == [("body", "too_long")]


def test_lists_of_the_query(client):
    @get("/l")
    def lists(n: list[int], s: Optional[Sequence[str]] = None, t: set[int] = frozenset(), p: tuple[int, float] = (0, 0.0)):
        return [n, s, sorted(t), p[0] + p[1]]

    assert client.get("/l?n=1&n=2&s=a&t=3&t=3&p=1&p=2.5").json == [[1, 2], ["a"], [3], 3.5]
    assert client.get("/l?n=1").json == [[1], None, [], 0.0]
    assert errors(client.get("/l?n=1&n=x&p=1")) == [("query.n.1", "int_parsing"), ("query.p.1", "missing")]
    assert errors(client.get("/l")) == [("query.n", "missing")]


def test_forms_and_files(client):
    pytest.importorskip("werkzeug")

    @post("/f")
    def form(age: Annotated[int, Form()], tag: Annotated[list[str], Form()], doc: Annotated[bytes, File()],
             other: Annotated[Any, File()] = None):
        return [age, tag, doc.decode(), other and other.filename]

    answer = client.post("/f", data={"age": "4", "tag": ["a", "b"], "doc": (io.BytesIO(b"hi"), "d.txt")})
    assert answer.json == [4, ["a", "b"], "hi", None]
    assert errors(client.post("/f", data={"age": "x"})) == [
        ("body.age", "int_parsing"), ("body.tag", "missing"), ("body.doc", "missing")]


def test_the_body_is_no_json_or_none(client):
    @post("/b")
    def body(point: Point):
        return point

    @post("/o")
    def optional(point: Optional[Point] = None):
        return repr(point)

    assert errors(client.post("/b", data="{")) == [("body", "json_invalid")]
    assert errors(client.post("/b", data=b"\xff{")) == [("body", "json_invalid")]
    assert errors(client.post("/b")) == [("body", "missing")]
    assert errors(client.post("/b", json=[1])) == [("body", "dataclass_type")]
    assert errors(client.post("/b", data="null")) == [("body", "missing")]
    assert client.post("/o").text == client.post("/o", data="null").text == "None"


def test_deep_nesting_is_no_crash(client):
    @post("/deep")
    def deep(item: Item):
        return item

    body = '{"name":"ab","price":1,"inside":' * 900 + "null" + "}" * 900
    assert client.post("/deep", data=body).status_code in (200, 422)


# ---- what it becomes ----------------------------------------------------------------


@pytest.mark.parametrize("annotation, text, value", [
    (int, " -12 ", -12), (int, "7.0", 7), (float, "1e3", 1000.0), (bool, "off", False), (str, "", ""),
    (datetime.datetime, "2024-05-06T07:08:09Z", datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.timezone.utc)),
    (datetime.date, "2024-05-06", datetime.date(2024, 5, 6)), (datetime.time, "07:08", datetime.time(7, 8)),
    (uuid.UUID, "12345678-1234-5678-1234-567812345678", uuid.UUID("12345678123456781234567812345678")),
    (decimal.Decimal, "1.10", decimal.Decimal("1.10")), (Color, "red", Color.RED), (Level, "2", Level.HIGH),
    (Literal["a", 3], "3", 3), (Union[int, str], "x", "x"), (Union[int, str], "5", 5), (Optional[int], "5", 5),
    (UserId, "5", 5), (Annotated[Any, Query()], "5", "5"), (list[Level], "1", [Level.LOW]),
])
def test_text(client, annotation, text, value):
    seen = []

    @get("/t")
    def t(v: annotation):
        seen.append(v)

    assert client.get("/t", query_string={"v": text}).status_code == 204
    assert seen == [value] and type(seen[0]) is type(value)


@pytest.mark.parametrize("annotation, text, kind", [
    (int, "", "int_parsing"), (int, "1_0", "int_parsing"), (int, "\u0663", "int_parsing"),
    (int, "9" * 5000, "int_parsing_size"), (float, "nan", "finite_number"), (float, "1e999", "finite_number"),
    (float, "x", "float_parsing"), (bool, "2", "bool_parsing"), (datetime.date, "2024-13-01", "date_parsing"),
    (datetime.datetime, "now", "datetime_parsing"), (uuid.UUID, "x", "uuid_parsing"),
    (decimal.Decimal, "NaN", "finite_number"), (decimal.Decimal, "", "decimal_parsing"), (Color, "RED", "enum"),
    (Literal["a", "b"], "c", "literal_error"), (Optional[int], "", "int_parsing"),
])
def test_text_that_is_wrong(client, annotation, text, kind):
    @get("/t")
    def t(v: annotation):
        raise AssertionError

    assert [k for _, k in errors(client.get("/t", query_string={"v": text}))] == [kind]


@pytest.mark.parametrize("annotation, value, kind", [
    (int, "5", None), (int, 5.0, None), (int, 5.5, "int_from_float"), (int, None, "int_type"), (int, [1], "int_type"),
    (str, 5, "string_type"), (float, 5, None), (float, True, None), (bool, 1, None), (bool, "on", None),
    (bool, [], "bool_type"), (datetime.date, 5, "date_type"), (uuid.UUID, 5, "uuid_type"),
    (decimal.Decimal, 1.5, None), (decimal.Decimal, True, "decimal_type"), (Color, "blue", None),
    (Literal[1], True, "literal_error"), (list[int], {}, "list_type"), (set[int], [[1]], "int_type"),
    (set[Any], [[1]], "set_item_not_hashable"), (dict[str, int], {"a": "x"}, "int_parsing"), (dict[int, str], {"1": "a"}, None),
    (tuple[int, ...], [1, 2], None), (tuple[int, str], [1], "missing"), (tuple[int], [1, 2], "too_long"),
    (Note, {"level": 3}, "enum"), (Note, {}, None), (Note, [], "dict_type"), (None, 1, "none_required"),
    (Union[int, Point], {"x": 1}, None), (Annotated[int, Field(multiple_of=5)], 12, "multiple_of"),
    (Annotated[float, Field(gt=1)], 1, "greater_than"), (Annotated[float, Field(lt=1)], 1, "less_than"),
])
def test_json(client, annotation, value, kind):
    @post("/j")
    def j(v: Annotated[annotation, Body(embed=True)]):
        return "taken"

    answer = client.post("/j", json={"v": value})
    assert (answer.text if kind is None else errors(answer)[0][1]) == (kind or "taken")


def test_union_keeps_what_json_says(client):
    @post("/u")
    def u(v: Annotated[Union[str, int, Point], Body()]):
        return {"is": type(v).__name__}

    told = [client.post("/u", data=text).json["is"] for text in ('"5"', "5", '{"x":5}')]
    assert told == ["str", "int", "Point"]


def test_fields_of_a_dataclass(client):
    @post("/i")
    def add(item: Item):
        return item

    full = {"name": "abc", "price": "2.50", "at": "2024-01-02T03:04:05+00:00", "tags": ["t"],
            "points": {"p": {"x": 1, "Y": 2}}, "inside": {"name": "in", "price": 1}, "unknown": 1}
    answer = client.post("/i", json=full).json
    assert answer["points"] == {"p": {"x": 1, "Y": 2}} and answer["inside"]["name"] == "in"
    assert errors(client.post("/i", json={**full, "points": {"p": {}}, "tags": [1], "at": "x", "inside": {"name": 1}})) == [
        ("body.at", "datetime_parsing"), ("body.tags.0", "string_type"), ("body.points.p.x", "missing"),
        ("body.inside.name", "string_type"), ("body.inside.price", "missing")]
    answer = client.post("/i", json={"name": "no", "price": 1})
    assert errors(answer) == [("body", "value_error")]
    assert answer.json["detail"][0]["msg"] == "Value error, not that one"


def test_defaults_are_not_shared(client):
    @get("/d")
    def d(n: list[int] = Query([1]), made: list[int] = Query(default_factory=lambda: [3])):
        n.append(2)
        made.append(4)
        return n + made

    assert client.get("/d").json == client.get("/d").json == [1, 2, 3, 4]


NOTES = """
from __future__ import annotations
from typing import Annotated, TypedDict
try:
    from typing import NotRequired, Required
except ImportError:
    from typing_extensions import NotRequired, Required
from snacgi import Field

class Base(TypedDict):
    a: int
    b: NotRequired[int]
    c: NotRequired[Annotated[int, Field(ge=3, alias="C")]]
    d: Annotated[NotRequired[int], Field(ge=3)]

class Late(Base, total=False):
    e: int
    f: Required[int]
"""


@pytest.mark.parametrize("first", ["from __future__ import annotations", ""])
def test_keys_that_may_be_missing(client, monkeypatch, first):
    module = types.ModuleType("notes_of_a_user")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(NOTES.replace("from __future__ import annotations", first), "notes", "exec", dont_inherit=True), module.__dict__)

    @post("/n")
    def n(v: module.Late) -> module.Late:
        return v

    assert client.post("/n", json={"a": 1, "f": 2}).json == {"a": 1, "f": 2}
    assert client.post("/n", json={"a": 1, "b": 2, "C": 3, "d": 4, "e": 5, "f": 6}).json == {
        "a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}
    assert errors(client.post("/n", json={"C": 1, "d": 1})) == [
        ("body.a", "missing"), ("body.C", "greater_than_equal"), ("body.d", "greater_than_equal"), ("body.f", "missing")]
    schema = snacgi.openapi()["components"]["schemas"]["Late"]
    assert schema["required"] == ["a", "f"] and list(schema["properties"]) == ["a", "b", "C", "d", "e", "f"]


def test_long_bodies_of_alternatives(client):
    @dataclass
    class Wide:
        a: int
        b: int
        c: int
        d: int

    @post("/u")
    def u(v: list[Union[int, float, uuid.UUID, str, Wide, None]]):
        return len(v)

    @post("/w")
    def w(v: list[Union[Wide, Point]]):
        return len(v)

    @get("/q")
    def q(v: Annotated[list[Union[int, datetime.date, str]], Query()]):
        return len(v)

    assert client.post("/u", json=[""] * 30001).json == 30001
    assert client.post("/w", json=[{"x": 1}] * 10001).json == 10001
    assert client.get("/q?v=" + "&v=" * 10001).json == 10002


def test_errors_are_bounded(client):
    @dataclass
    class A:
        x: Any

    @dataclass
    class B:
        x: Any
        y: int

    A.__annotations__["x"] = B.__annotations__["x"] = Union[A, B]

    @post("/many")
    def many(n: Annotated[list[int], Body()]):
        return len(n)

    @post("/union")
    def union(a: A):
        return 1

    assert len(errors(client.post("/many", json=["x"] * 100000))) == 100
    body = {"x": 1}
    for _ in range(60):  # each level may be one or the other: twice as much work a level
        body = {"x": body, "y": 1}
    assert 0 < len(errors(client.post("/union", json=body))) <= 100


def test_keys_with_lone_surrogates(client):
    @post("/k")
    def k(n: dict[str, int]):
        return len(n)

    answer = client.post("/k", data=b'{"\\ud800": "x"}')
    assert errors(answer) == [("body.?", "int_parsing")]


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
                        st.sampled_from(["name", "price", "at", "tags", "points", "inside", "x", "Y", "p"]), inner, max_size=6),
                    max_leaves=20)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=JSON, query=st.text(max_size=20))
def test_whatever_comes_is_taken_or_refused(client, body, query):
    if not snacgi._routing.registry:

        @post("/any")
        def anything(item: Item, when: datetime.datetime = datetime.datetime.min, n: Union[int, float, uuid.UUID, None] = None,
                     level: Level = Level.LOW, d: decimal.Decimal = decimal.Decimal(0)):
            return [item, when, level, str(d)]

    name = ("when", "n", "level", "d")[len(query) % 4]
    answer = client.post("/any", query_string={name: query}, json=body)
    assert answer.status_code in (200, 422), answer.text


# ---- kinds of handlers -----------------------------------------------------------------


def test_async_pool_and_hooks(client):
    @get("/async")
    async def a(n: int):
        return {"n": n}

    @get("/pool", use_process_pool=True)
    def p(n: int, pool: Executor):
        return {"n": pool.submit(abs, n).result()}

    @get("/pool/<n>", use_process_pool=True)
    async def q(request, pool, n: int):
        return {"n": pool.submit(abs, n).result(), "method": request.method}

    seen = []

    @snacgi.errorhandler(RequestValidationError)
    def wrong(error):
        seen.append(error.errors())
        return {"wrong": [e["loc"] for e in error.errors()]}, 400

    assert client.get("/async?n=3").json == {"n": 3}
    assert client.get("/pool?n=-3").json == {"n": 3}
    assert client.get("/pool/-4").json == {"n": 4, "method": "GET"}
    for path in ("/async", "/pool"):
        answer = client.get(path)
        assert (answer.status_code, answer.json) == (400, {"wrong": [["query", "n"]]})
    assert len(seen) == 2


def test_check_knows_the_pool_of_a_typed_handler(registry):
    from snacgi._runtime import check

    @get("/a", use_process_pool=True)
    def a(n: int, m: int, *, pool: Executor):
        return pool.submit(lambda: n).result()

    (finding, lambda_) = check()
    assert "inside another function" in finding and "a lambda (line 3 of it)" in lambda_


def test_positional_only_and_rest(client):
    @get("/p/<a>/<b>/<c>")
    def p(request, a: int, /, b: str, *, n: int = 3, **rest):
        return [a, b, n, rest]

    assert client.get("/p/1/2/3").json == [1, "2", 3, {"c": "3"}]


def test_decorators_of_others(client):
    def logged(f):
        @functools.wraps(f)
        def wrapper(first, *args, **kwargs):
            seen.append(first.method)
            return f(first, *args, **kwargs)

        return wrapper

    seen = []

    @get("/w")
    @logged
    def w(req: Request, n: int, cache=7):
        return [req.path, n, cache]

    assert client.get("/w?n=2").json == ["/w", 2, 7] and seen == ["GET"]


def test_defaults_and_converters_of_ones_own(client):
    from snacgi import url_map
    from snacgi.routing import BaseConverter

    class Words(BaseConverter):
        def to_python(self, value):
            return value.split("+")

    url_map.converters["words"] = Words
    try:

        @snacgi.route("/all/", defaults={"page": 1})
        @snacgi.route("/all/<words:w>/<page>", defaults={"more": None})
        def every(page: int, n: int = 2, w: Optional[list[str]] = None, **rest: Any):
            return [page, n, w, rest]

    finally:
        del url_map.converters["words"]
    assert client.get("/all/?n=5").json == [1, 5, None, {}]
    assert client.get("/all/a+b/7").json == [7, 2, ["a", "b"], {"more": None}]
    assert errors(client.get("/all/a/x?n=y")) == [("path.page", "int_parsing"), ("query.n", "int_parsing")]


def test_streams(client):
    @get("/s")
    def s(n: int):
        for i in range(n):
            yield f"{i}"

    @get("/a")
    async def a(n: int):
        for i in range(n):
            yield f"{i}"

    assert client.get("/s?n=3").text == client.get("/a?n=3").text == "012"
    assert errors(client.get("/s?n=x")) == errors(client.get("/a?n=x")) == [("query.n", "int_parsing")]


def test_blueprint(client):
    shop = snacgi.Blueprint("shop", url_prefix="/shop/<city>")

    @shop.get("/<n>")
    def get_n(city: str, n: int, q: float = 0.5):
        return [city, n, q]

    snacgi.register_blueprint(shop)
    assert client.get("/shop/x/7?q=2").json == ["x", 7, 2.0]
    assert errors(client.get("/shop/x/y")) == [("path.n", "int_parsing")]


# ---- what stays as it was ------------------------------------------------------------------


def test_a_handler_without_types_is_called_as_before(registry):
    from snacgi._bind import _called_with

    @get("/a")
    def a(request: Request) -> dict:
        return {}

    @get("/b/<int:n>")
    def b(request, n: int, extra=3):
        return n

    @get("/c", use_process_pool=True)
    def c(request: "Request", pool: Executor):
        return 1

    assert all(r.passing.typed is None for r in registry)
    assert _called_with(registry[0]) is a and _called_with(registry[2]) is c


def test_nothing_is_imported_for_others():
    code = ("import sys, snacgi\n@snacgi.get('/<int:n>')\ndef f(request: snacgi.Request, n: int) -> dict: return {}\n"
            "assert not {'snacgi._typed', 'snacgi._convert', 'pydantic', 'msgspec'} & set(sys.modules), sys.modules\n"
            "@snacgi.get('/q')\ndef g(q: int): return q\n"
            "assert not {'pydantic', 'msgspec'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_own_defaults_stay(client):
    class Cache:
        pass

    @get("/k")
    def k(n: int, cache: Cache = Cache(), plain=7):
        return [n, type(cache).__name__, plain]

    assert client.get("/k?n=1&cache=x&plain=y").json == [1, "Cache", 7]


# ---- registration ----------------------------------------------------------------------------


def test_refused_at_registration(registry):
    def bad(match, rule="/x", **options):
        def check(f):
            with pytest.raises(TypeError, match=match) as caught:
                snacgi.route(rule, **options)(f)
            assert str(caught.value).startswith(f"{__file__}:{f.__code__.co_firstlineno}: "), caught.value

        return check

    @bad("'a' cannot be filled: complex")
    def _(a: complex): ...

    @bad("'a' cannot be resolved: name 'Nowhere'")
    def _(a: "Nowhere"): ...  # noqa: F821

    @bad("ge=1 does not go with str")
    def _(a: Annotated[str, Query(ge=1)]): ...

    @bad("pattern='\\(' is not a regular expression")
    def _(a: Annotated[str, Query(pattern="(")]): ...

    @bad("the rule has no variable 'a'")
    def _(a: Annotated[int, Path()]): ...

    @bad("more than one of")
    def _(a: Annotated[int, Query()] = Query(3)): ...

    @bad("needs a parameter for the pool", use_process_pool=True)
    def _(a: int): ...

    @bad("JSON or a form")
    def _(a: Point, b: Annotated[str, Form()]): ...

    @bad("nobody fills the parameter 'b'")
    def _(request, a: int, b): ...

    @bad("'a' can only be passed by place")
    def _(own=3, a: int = 4, /): ...

    @bad(r"no \*args")
    def _(a: int, *more): ...

    assert registry == []
    with pytest.raises(TypeError, match="Query.. has no option least"):
        Query(least=3)
    with pytest.raises(TypeError, match="no default"):
        Path(3)


def test_refused_in_a_blueprint(scope):
    shop = snacgi.Blueprint("shop")

    @shop.get("/x")
    def x(a: complex): ...

    with pytest.raises(TypeError, match="complex"):
        snacgi.register_blueprint(shop)


# ---- models ------------------------------------------------------------------------------------


def test_pydantic_1(client):
    pydantic = pytest.importorskip("pydantic")
    if not pydantic.VERSION.startswith("1."):
        return  # tests/extra has the other

    class Price(pydantic.BaseModel):
        amount: pydantic.conint(gt=0)
        when: Optional[datetime.date] = None

    class Thing(pydantic.BaseModel):
        name: str
        prices: list[Price] = pydantic.Field([], alias="all")

    @post("/thing")
    def thing(thing: Thing):
        assert isinstance(thing, Thing)
        return thing

    @post("/things")
    def things(things: list[Thing]):
        return {"n": len(things), "first": things[0]}

    good = {"name": "a", "all": [{"amount": 3, "when": "2024-01-02"}]}
    assert client.post("/thing", json=good).json == good
    assert client.post("/things", json=[good]).json == {"n": 1, "first": good}
    assert errors(client.post("/thing", json={"all": [{"amount": 0}]})) == [
        ("body.name", "value_error.missing"), ("body.all.0.amount", "value_error.number.not_gt")]
    assert errors(client.post("/things", json=[good, 3])) == [("body.1", "type_error")]
