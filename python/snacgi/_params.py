# SPDX-License-Identifier: MIT
"""Query, Path, Body and their like: where a typed handler's argument comes from, and its limits.

    from typing import Annotated
    from snacgi import Query, get

    @get("/items")
    def items(limit: Annotated[int, Query(ge=1, le=100)] = 20): ...

Names and arguments are FastAPI's. Nothing here looks at a request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Optional

#: No default was given.
NOTHING: Any = type("NOTHING", (), {"__repr__": lambda self: "NOTHING", "__bool__": lambda self: False})()

#: Limits of numbers, and of the length of text and lists.
NUMBERS = ("gt", "ge", "lt", "le", "multiple_of")
LENGTHS = ("min_length", "max_length")


#: Set by Field(alias=): only then has the writer of answers to look for aliases.
aliased = False


@dataclass(frozen=True)
class Marker:
    """What Query() and its like return."""

    where: str  #: "query", "path", "body", "header", "cookie", "form", "file", or "" (Field)
    default: Any = NOTHING
    default_factory: Optional[Callable[[], Any]] = None
    alias: Optional[str] = None
    description: Optional[str] = None
    example: Any = NOTHING
    deprecated: bool = False
    include_in_schema: bool = True
    embed: bool = False
    convert_underscores: bool = True
    gt: Any = None
    ge: Any = None
    lt: Any = None
    le: Any = None
    multiple_of: Any = None
    min_length: Optional[int] = None
    max_length: Optional[int] = None
    pattern: Optional[str] = None


def _marker(where: str, default: Any, options: dict[str, Any]) -> Marker:
    if default is ...:  # FastAPI's older way to say "required"
        default = NOTHING
    try:
        marker = Marker(where, default, **options)
    except TypeError:
        known = set(Marker.__dataclass_fields__) - {"where", "default"}
        unknown = ", ".join(sorted(set(options) - known))
        name = where.capitalize() or "Field"
        raise TypeError(f"{name}() has no option {unknown} (known: {', '.join(sorted(known))})") from None
    if marker.default_factory is not None and default is not NOTHING:
        raise TypeError(f"{where.capitalize() or 'Field'}() takes a default or a default_factory, not both")
    return marker


# They return Any, so that `limit: int = Query(20)` type-checks, as with FastAPI's.


def Query(default: Any = NOTHING, **options: Any) -> Any:
    """From the query: ``Annotated[int, Query(ge=1)]``.

    Options of all of these: default, default_factory, alias (the name the client uses), gt,
    ge, lt, le, multiple_of (numbers), min_length, max_length (text and lists), pattern (a
    regular expression that text must contain), description, example, deprecated and
    include_in_schema (for the OpenAPI document).
    """
    return _marker("query", default, options)


def Path(default: Any = NOTHING, **options: Any) -> Any:
    """A variable of the rule; options as for Query(), no default."""
    if default not in (NOTHING, ...):
        raise TypeError("Path() takes no default: the rule always has the value")
    return _marker("path", NOTHING, options)


def Header(default: Any = NOTHING, **options: Any) -> Any:
    """A header: of the parameter's name with ``-`` for ``_``, unless convert_underscores=False."""
    return _marker("header", default, options)


def Cookie(default: Any = NOTHING, **options: Any) -> Any:
    """A cookie (by Werkzeug)."""
    return _marker("cookie", default, options)


def Form(default: Any = NOTHING, **options: Any) -> Any:
    """A field of a form (by Werkzeug)."""
    return _marker("form", default, options)


def File(default: Any = NOTHING, **options: Any) -> Any:
    """A file of a form: Werkzeug's FileStorage, or its content where the annotation is bytes."""
    return _marker("file", default, options)


def Body(default: Any = NOTHING, **options: Any) -> Any:
    """The JSON body; with embed=True, or beside others, the value under the parameter's name."""
    return _marker("body", default, options)


def Field(default: Any = NOTHING, **options: Any) -> Any:
    """Limits, description and alias of a dataclass's or TypedDict's field:
    ``Annotated[int, Field(ge=1)]``. A dataclass's alias is its name in answers, too."""
    global aliased
    if default is not NOTHING:
        raise TypeError("Field() takes no default: write it in the class")
    aliased |= bool(options.get("alias"))
    return _marker("", default, options)
