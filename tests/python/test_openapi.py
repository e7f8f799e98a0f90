# SPDX-License-Identifier: MIT
"""The OpenAPI document of typed and untyped routes, and the page that shows it."""

import base64
import datetime
import enum
import hashlib
import re
import typing
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Optional, TypedDict, Union

import pytest

import snacgi
from openapi_rules import check
from snacgi import App, Blueprint, Body, Cookie, Field, File, Form, Header, Path, Query, Request, Response, get, post, route


class Color(enum.Enum):
    RED = "red"


@dataclass
class Item:
    """Something with a price."""

    name: Annotated[str, Field(min_length=1, description="shown <b>first</b>")]
    price: Annotated[Optional[float], Field(ge=0)] = None
    color: Color = Color.RED
    parts: "list[Item]" = field(default_factory=list)
    sizes: tuple[int, str] = (1, "a")


class Note(TypedDict, total=False):
    text: str
    to: Union[int, str]


@pytest.fixture
def document(client):
    from snacgi import openapi

    def document(**about):
        made = openapi(**about)
        check(made)
        return made

    return document


def test_a_route_without_types(document):
    @get("/users/<int:user_id>/<uuid:key>/<path:rest>")
    def get_user(request: Request):
        """A user,
        by its number.

        With all that is known.
        """
        return {}

    @route("/plain", methods=["GET", "DELETE"])
    def plain(request):
        return {}

    made = document(title="t", version="2")
    assert made["info"] == {"title": "t", "version": "2"} and "components" not in made
    user = made["paths"]["/users/{user_id}/{key}/{rest}"]["get"]
    assert user["summary"] == "A user, by its number." and user["description"] == "With all that is known."
    assert user["operationId"] == "get_user" and list(user["responses"]) == ["200"]
    assert [(p["name"], p["schema"]) for p in user["parameters"]] == [
        ("user_id", {"type": "integer"}), ("key", {"type": "string", "format": "uuid"}), ("rest", {"type": "string"})]
    plain = made["paths"]["/plain"]
    assert plain["get"]["operationId"] == "plain_get" and plain["delete"]["operationId"] == "plain_delete"
    assert plain["get"]["summary"] == "Plain" and "parameters" not in plain["get"]


def test_arguments_of_converters(document):
    @get("/c/<int(min=1, max=9):n>/<any(a,'b>c'):x>/<string(length=2):cc>-<string(minlength=2):s>")
    def c(n, x, cc, s): ...

    ((path, item),) = document()["paths"].items()
    assert path == "/c/{n}/{x}/{cc}-{s}"
    assert [p["schema"] for p in item["get"]["parameters"]] == [
        {"type": "integer", "minimum": 1, "maximum": 9}, {"type": "string", "enum": ["a", "b>c"]},
        {"type": "string", "minLength": 2, "maxLength": 2}, {"type": "string", "minLength": 2}]


def test_typed_parameters_and_bodies(document):
    @post("/i/<int:n>")
    def add(n: Annotated[int, Path(ge=1, description="number")], item: Item, q: list[int] = [], at: Optional[datetime.date] = None,
            user_agent: Annotated[Optional[str], Header()] = None, c: Annotated[str, Cookie(alias="session")] = "x",
            secret: Annotated[str, Query(include_in_schema=False)] = "", old: Annotated[int, Query(deprecated=True, le=9, example=3)] = 1,
            kind: Literal["a", "b"] = "a") -> list[Item]:
        return [item]

    made = document()
    operation = made["paths"]["/i/{n}"]["post"]
    assert operation["parameters"] == [
        {"name": "n", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}, "description": "number"},
        {"name": "q", "in": "query", "required": False, "schema": {"type": "array", "items": {"type": "integer"}, "default": []}},
        {"name": "at", "in": "query", "required": False,
         "schema": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}},
        {"name": "user-agent", "in": "header", "required": False, "schema": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        {"name": "session", "in": "cookie", "required": False, "schema": {"type": "string", "default": "x"}},
        {"name": "old", "in": "query", "required": False, "deprecated": True,
         "schema": {"type": "integer", "maximum": 9, "examples": [3], "default": 1}},
        {"name": "kind", "in": "query", "required": False, "schema": {"enum": ["a", "b"], "type": "string", "default": "a"}},
    ]
    assert operation["requestBody"] == {
        "required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}}}
    assert list(operation["responses"]) == ["200", "422"]
    assert operation["responses"]["200"]["content"]["application/json"]["schema"] == {
        "type": "array", "items": {"$ref": "#/components/schemas/Item"}}
    assert made["components"]["schemas"]["Item"] == {
        "type": "object", "title": "Item", "description": "Something with a price.", "required": ["name"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "description": "shown <b>first</b>"},
            "price": {"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}], "default": None},
            "color": {"$ref": "#/components/schemas/Color", "default": "red"},
            "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
            "sizes": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2,
                      "maxItems": 2, "default": [1, "a"]}}}
    assert set(made["components"]["schemas"]) == {"Item", "Color", "HTTPValidationError", "ValidationError"}


def test_forms_embedded_bodies_and_results(document):
    @post("/f")
    def form(a: Annotated[int, Form()], b: Annotated[list[Any], File()] = []) -> None: ...

    @post("/g")
    def plain_form(a: Annotated[str, Form()] = "") -> Response: ...

    @post("/e")
    def embedded(a: Item, b: Annotated[Note, Body(description="more")]) -> tuple[Note, int]: ...

    @get("/h")
    async def page() -> str: ...

    paths = document()["paths"]
    schema = paths["/f"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert schema["properties"]["b"] == {"type": "array", "items": {"type": "string", "format": "binary"}}
    assert schema["required"] == ["a"] and list(paths["/f"]["post"]["responses"]) == ["204", "422"]
    assert list(paths["/g"]["post"]["requestBody"]["content"]) == ["application/x-www-form-urlencoded"]
    assert not paths["/g"]["post"]["requestBody"]["required"] and "content" not in paths["/g"]["post"]["responses"]["200"]
    schema = paths["/e"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["a", "b"] and schema["properties"]["b"]["description"] == "more"
    assert paths["/e"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Note")
    assert list(paths["/h"]["get"]["responses"]["200"]["content"]) == ["text/html"]


def test_options_of_a_route(document):
    @get("/o", tags=["t", "u"], summary="s", description="d", operation_id="own", deprecated=True,
         responses={404: "no such thing", 201: {"description": "made", "model": Item}, 599: {}})
    def o(request): ...

    @get("/hidden", include_in_schema=False)
    def hidden(n: int): ...

    shop = Blueprint("shop", url_prefix="/shop")

    @shop.get("/<x>", deprecated=True)
    def show(x): ...

    snacgi.register_blueprint(shop)
    paths = document()["paths"]
    assert "/hidden" not in paths
    assert paths["/o"]["get"] == {
        "tags": ["t", "u"], "summary": "s", "description": "d", "operationId": "own", "deprecated": True,
        "responses": {"201": {"description": "made", "content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/Item"}}}}, "404": {"description": "no such thing"},
            "599": {"description": "Status 599"}}}
    assert paths["/shop/{x}"]["get"]["tags"] == ["shop"] and paths["/shop/{x}"]["get"]["operationId"] == "shop_show"


@pytest.mark.parametrize("options, match", [
    ({"tags": "x"}, "tags must be a list"), ({"summary": 3}, "summary must be str"), ({"deprecated": 1}, "True or False"),
    ({"responses": {"404": "x"}}, "dict by status"), ({"responses": {404: 3}}, r"responses\[404\]"), ({"tag": []}, "did you mean 'tags'"),
])
def test_wrong_options(registry, options, match):
    with pytest.raises((TypeError, ValueError), match=match):
        get("/x", **options)


def test_paths_that_differ_in_names_only(document):
    @get("/a/<int:n>")
    def by_number(n): ...

    @get("/a/<name>")
    def by_name(name): ...

    @post("/a/<other>")
    def change(other: str, q: int = 1): ...

    paths = document()["paths"]
    assert list(paths) == ["/a/{n}"] and "`/a/<name>`: By Name" in paths["/a/{n}"]["get"]["description"]
    assert paths["/a/{n}"]["post"]["parameters"][0]["name"] == "n"


def test_classes_of_one_name(document):
    def another():
        @dataclass
        class Item:
            other: int

        return Item

    other = another()
    other.__module__ = "my.own"

    @post("/1")
    def first(i: Item): ...

    @post("/2")
    def second(i: other): ...

    @post("/3")
    def third(i: other) -> Item: ...

    schemas = document()["components"]["schemas"]
    assert set(schemas) == {"Item", "my.own__Item".replace(".", "__"), "Color", "HTTPValidationError", "ValidationError"}


def test_what_is_not_known_is_anything(document):
    T = typing.TypeVar("T")

    @get("/x")
    def x(request) -> "Nowhere": ...  # noqa: F821

    @get("/y")
    def y(request, pool: Executor = None) -> list[T]: ...

    assert "content" not in document()["paths"]["/x"]["get"]["responses"]["200"]


def test_pydantic_1(document):
    pydantic = pytest.importorskip("pydantic")
    if not pydantic.VERSION.startswith("1."):
        return  # tests/extra has the other

    class Price(pydantic.BaseModel):
        amount: pydantic.conint(gt=0)
        pair: tuple[int, str] = (1, "a")

    class Thing(pydantic.BaseModel):
        price: Price
        things: "list[Thing]" = []

    Thing.update_forward_refs(Thing=Thing)

    @post("/thing")
    def thing(thing: Thing) -> Price: ...

    schemas = document()["components"]["schemas"]
    assert set(schemas) == {"Price", "Thing", "HTTPValidationError", "ValidationError"}
    assert schemas["Thing"]["properties"]["price"] == {"$ref": "#/components/schemas/Price"}


# ---- served --------------------------------------------------------------------------


def test_nobody_serves_it_unasked(client):
    App("x")
    assert client.get("/openapi.json").status_code == client.get("/docs").status_code == 404


def test_served_and_fresh(client):
    App("My <API>", openapi=True, version="3")

    @get("/later")
    def later(request): ...

    made = client.get("/openapi.json")
    assert made.mimetype == "application/json" and made.json["info"] == {"title": "My <API>", "version": "3"}
    assert list(made.json["paths"]) == ["/later"] and made.json["servers"] == [{"url": "./"}]
    check(made.json)

    @get("/even/later")
    def even_later(request): ...

    assert list(client.get("/openapi.json").json["paths"]) == ["/later", "/even/later"]


def test_own_places(client):
    snacgi.enable_docs(openapi_url="/meta/v1/api.json", docs_url="/help", servers=None)
    assert client.get("/meta/v1/api.json").json["servers"] == [{"url": "../../"}]
    assert 'content="meta/v1/api.json"' in client.get("/help").text
    with pytest.raises(ValueError, match="begins with '/'"):
        snacgi.enable_docs(openapi_url="x")
    with pytest.raises(TypeError, match="openapi=True"):
        App("x", title="y")
    with pytest.raises(TypeError, match="no 'static_folder'"):
        App("x", openapi=True, static_folder="y")


def test_the_page_can_do_nothing_else(client):
    """Texts of the document cannot become markup, and the browser would run none of it."""
    snacgi.enable_docs(title='</title><script>alert("x")</script>', description="<img src=x onerror=alert(1)>")
    page = client.get("/docs")
    assert page.mimetype == "text/html" and "<script>alert" not in page.text
    assert page.text.count("<script>") == page.text.count("<style>") == 1
    policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
    for tag, name in (("script", "script-src"), ("style", "style-src")):
        text = re.search(f"<{tag}>(.*?)</{tag}>", page.text, re.S)[1]
        assert policy[name] == f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    script = re.search("<script>(.*?)</script>", page.text, re.S)[1]
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "setTimeout", "javascript:", "srcdoc"):
        assert way not in script, way
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", page.text)
