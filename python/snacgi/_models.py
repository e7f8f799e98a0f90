# SPDX-License-Identifier: MIT
"""Models of pydantic 1, pydantic 2 and msgspec, recognised only where somebody else has imported
those packages: from JSON, to JSON, and their JSON Schema. Private."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Callable, Optional

if TYPE_CHECKING:
    from ._convert import Errors

_PYDANTICS = ("pydantic", "pydantic.v1")  # the latter: version 1 inside version 2


def _kind(cls: Any) -> str:
    """"pydantic1", "pydantic2", "msgspec", or "" for a class that is none."""
    if not isinstance(cls, type):
        return ""
    for name in _PYDANTICS:
        base = getattr(sys.modules.get(name), "BaseModel", None)
        if isinstance(base, type) and issubclass(cls, base):
            return "pydantic2" if hasattr(cls, "model_validate") else "pydantic1"
    base = getattr(sys.modules.get("msgspec"), "Struct", None)
    return "msgspec" if isinstance(base, type) and issubclass(cls, base) else ""


def is_model(cls: Any) -> bool:
    return bool(_kind(cls))


def _told(errors: Errors, loc: tuple[Any, ...], found: list[dict[str, Any]]) -> None:
    for one in found:
        errors.tell(one["type"], [*loc, *one["loc"]], one["msg"])


def _pydantic1(cls: Any) -> Callable[..., Any]:
    def convert(value: Any, loc: tuple[Any, ...], errors: Errors) -> Any:
        try:
            return cls.parse_obj(value)
        except ValueError as exc:
            found = getattr(exc, "errors", None)
            if found is None:
                raise
            _told(errors, loc, [{**one, "loc": [part for part in one["loc"] if part != "__root__"]} for one in found()])

    return convert


def _pydantic2(cls: Any) -> Callable[..., Any]:
    def convert(value: Any, loc: tuple[Any, ...], errors: Errors) -> Any:
        try:
            return cls.model_validate(value)
        except ValueError as exc:
            found = getattr(exc, "errors", None)
            if found is None:
                raise
            _told(errors, loc, found(include_url=False, include_context=False, include_input=False))

    return convert


_AT = re.compile(r" - at `(\$.*|key in .*)`\Z", re.S)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


def _msgspec(cls: Any) -> Callable[..., Any]:
    msgspec: Any = sys.modules["msgspec"]

    def convert(value: Any, loc: tuple[Any, ...], errors: Errors) -> Any:
        try:
            return msgspec.convert(value, cls, str_keys=True)  # as JSON's are
        except msgspec.ValidationError as exc:  # tells the first one only
            text = str(exc)
            at = _AT.search(text)
            steps = [int(index) if index else name for name, index in _STEP.findall(at[1])] if at else []
            missing = re.match(r"Object missing required field `([^`]+)`", text)
            if missing:
                errors.tell("missing", [*loc, *steps, missing[1]], "Field required")
            else:
                errors.tell("value_error", [*loc, *steps], text[: at.start()] if at else text)

    return convert


def converter(cls: Any) -> Optional[Callable[..., Any]]:
    """As _convert.converter; None: the class is no model."""
    kind = _kind(cls)
    if not kind:
        return None
    return {"pydantic1": _pydantic1, "pydantic2": _pydantic2, "msgspec": _msgspec}[kind](cls)


def plain(obj: Any) -> Any:
    """The model as dicts, lists and what else JSON answers know; NotImplemented: it is none."""
    kind = _kind(type(obj))
    if kind == "pydantic2":
        return obj.model_dump(mode="json", by_alias=True)
    if kind == "pydantic1":
        made = obj.dict(by_alias=True)
        return made["__root__"] if "__root__" in getattr(type(obj), "__fields__", ()) else made
    if kind == "msgspec":
        msgspec: Any = sys.modules["msgspec"]
        return msgspec.to_builtins(obj)
    return NotImplemented


def schema(cls: Any) -> Optional[tuple[dict[str, Any], dict[str, Any]]]:
    """(JSON Schema, the schemas that it refers to as #/$defs/NAME); None: the class is no model."""
    kind = _kind(cls)
    if kind == "pydantic2":
        made: dict[str, Any] = cls.model_json_schema(ref_template="#/$defs/{model}")
        return made, made.pop("$defs", {})
    if kind == "pydantic1":
        made = cls.schema(ref_template="#/$defs/{model}")
        return made, made.pop("definitions", {})
    if kind == "msgspec":
        msgspec: Any = sys.modules["msgspec"]
        (made,), defs = msgspec.json.schema_components([cls], ref_template="#/$defs/{name}")
        return made, defs
    return None
