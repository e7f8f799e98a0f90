# SPDX-License-Identifier: MIT
"""JSON Schema (2020-12, as OpenAPI 3.1 has it) of annotations. Knows the same types as _convert. Private."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import inspect
import json
import types
import typing
import uuid
from typing import Any, Literal, Optional, Union

import _snacgi

from . import _json, _models
from ._convert import _DICTS, _LISTS, NoneType, Unsupported, _limits_of, fields_of, is_fields, is_typed_dict, members_of
from ._params import NOTHING, Marker

Schema = dict[str, Any]

_REF = "#/components/schemas/"

_PLAIN: dict[Any, Schema] = {
    str: {"type": "string"}, int: {"type": "integer"}, float: {"type": "number"}, bool: {"type": "boolean"},
    None: {"type": "null"}, NoneType: {"type": "null"}, Any: {}, object: {}, bytes: {"type": "string", "format": "binary"},
    decimal.Decimal: {"anyOf": [{"type": "number"}, {"type": "string"}]}, uuid.UUID: {"type": "string", "format": "uuid"},
    datetime.datetime: {"type": "string", "format": "date-time"}, datetime.date: {"type": "string", "format": "date"},
    datetime.time: {"type": "string", "format": "time"},
}

_LIMITS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum",
           "multiple_of": "multipleOf", "pattern": "pattern"}


def as_json(value: Any) -> Any:
    """`value` as JSON would have it; NOTHING when it cannot be."""
    try:
        return json.loads(_snacgi.dumps([value], _json.default))[0]
    except (TypeError, ValueError, RecursionError):
        return NOTHING


def _type_of(values: list[Any]) -> Schema:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", NoneType: "null"}
    found = sorted({names[type(value)] for value in values if type(value) in names})
    return {} if not found else {"type": found[0] if len(found) == 1 else found}


class Schemas:
    """Makes schemas; classes with fields go into `components` and are referred to."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}
        self._names: dict[Any, str] = {}

    def of(self, annotation: Any) -> Schema:
        """Never fails: what is not known is {}, anything."""
        origin, args = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is typing.Annotated:
            return self.annotated(args[0], annotation.__metadata__)
        if origin in (Union, types.UnionType):
            made = [self.of(arg) for arg in args]
            return {"anyOf": [one for at, one in enumerate(made) if one not in made[:at]]}
        if origin is Literal:
            return {"enum": list(args), **_type_of(list(args))}
        if hasattr(annotation, "__supertype__"):
            return self.of(annotation.__supertype__)
        if type(annotation).__name__ == "TypeAliasType":
            return self.of(annotation.__value__)
        try:
            if annotation in _PLAIN:
                return dict(_PLAIN[annotation])
        except TypeError:  # not hashable
            return {}
        return self._container(origin or annotation, args) if origin or not isinstance(annotation, type) or annotation in (
            *_LISTS, *_DICTS) else self._class(annotation)

    def annotated(self, annotation: Any, metadata: tuple[Any, ...]) -> Schema:
        """With limits and description of Query(), Field() and their like."""
        schema, more = self.of(annotation), {}
        members = [m for m in members_of(annotation) if m not in (None, NoneType)]
        what = "Length" if str in members else "Items" if any((typing.get_origin(m) or m) in _LISTS for m in members) else "Properties"
        for name, limit in _limits_of(metadata).items():
            value = as_json(limit)
            if value is not NOTHING:
                key = _LIMITS.get(name) or name.partition("_")[0] + what
                more[key] = float(value) if isinstance(limit, decimal.Decimal) else value
        for marker in metadata:
            if isinstance(marker, Marker):
                if marker.description and not marker.where:
                    more["description"] = marker.description
                if marker.example is not NOTHING and as_json(marker.example) is not NOTHING:
                    more["examples"] = [as_json(marker.example)]
                if marker.deprecated and not marker.where:
                    more["deprecated"] = True
        # The limits of an Optional are those of the other one.
        inner = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
        if len(inner) == 1 and "anyOf" in schema:
            inner[0].update(more)
            return schema
        return {**schema, **more}

    def _container(self, kind: Any, args: tuple[Any, ...]) -> Schema:
        if kind in _LISTS:
            if kind is tuple and args and args[-1] is not ...:
                return {"type": "array", "prefixItems": [self.of(arg) for arg in args], "minItems": len(args),
                        "maxItems": len(args)}
            unique = {"uniqueItems": True} if kind in (set, frozenset) else {}
            return {"type": "array", "items": self.of(args[0]) if args else {}, **unique}
        if kind in _DICTS:
            return {"type": "object", **({"additionalProperties": self.of(args[1])} if args else {})}
        return {}

    # ---- classes ---------------------------------------------------------------

    def name_of(self, cls: Any, wanted: str) -> str:
        """A name in the components that is the class's own."""
        name = self._names.get(cls)
        if name is None:
            name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in wanted)
            if name in self.components:
                name = f"{cls.__module__.replace('.', '__')}__{name}" if hasattr(cls, "__module__") else name
            base, n = name, 2
            while name in self.components:
                name, n = f"{base}_{n}", n + 1
            self._names[cls] = name
            self.components[name] = {}  # taken: a field may be of the same class
        return name

    def _class(self, cls: Any) -> Schema:
        if cls in self._names:
            return {"$ref": _REF + self._names[cls]}
        if issubclass(cls, enum.Enum):
            name = self.name_of(cls, cls.__name__)
            values = [v for v in (as_json(member.value) for member in cls) if v is not NOTHING]
            self.components[name] = {"title": cls.__name__, "enum": values, **_type_of(values)}
        elif is_fields(cls):
            name = self.name_of(cls, cls.__name__)
            self.components[name] = self._fields(cls)
        else:
            found = _models.schema(cls) if _models.is_model(cls) else None
            if found is None:
                return {}
            name = self._model(cls, *found)
        return {"$ref": _REF + name}

    def _fields(self, cls: Any) -> Schema:
        schema: Schema = {"type": "object", "title": cls.__name__, "properties": {}}
        text = own_doc(cls)
        if text:
            schema["description"] = text
        try:
            fields = fields_of(cls)
        except Unsupported:
            return schema
        defaults = {} if is_typed_dict(cls) else {f.name: f.default for f in dataclasses.fields(cls)}
        for field, annotation, _, wire in fields:
            one = self.of(annotation)
            default = as_json(defaults.get(field, NOTHING)) if defaults.get(field, NOTHING) not in (
                NOTHING, dataclasses.MISSING) else NOTHING
            schema["properties"][wire] = one if default is NOTHING else {**one, "default": default}
        required = [wire for _, _, needed, wire in fields if needed]
        if required:
            schema["required"] = required
        return schema

    def _model(self, cls: Any, schema: Schema, defs: dict[str, Schema]) -> str:
        # What its package calls #/$defs/X becomes a component, under a free name.
        if str(schema.get("$ref", "")).startswith("#/$defs/"):
            schema = defs[schema["$ref"][8:]]
        if self._same(cls.__name__, schema):  # another model has brought it along
            self._names[cls] = cls.__name__
            return cls.__name__  # type: ignore[no-any-return]
        name = self.name_of(cls, cls.__name__)
        names = {}
        for key, one in defs.items():
            names[key] = name if key == cls.__name__ else key if self._same(key, one) else self.name_of((cls, key), key)
        for key, one in {**defs, cls.__name__: schema}.items():
            self.components[names.get(key, name)] = _renamed(one, names)
        return name

    def _same(self, name: str, schema: Schema) -> bool:
        return bool(self.components.get(name) == _renamed(schema, {}))


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        out = {k: _renamed(v, names) for k, v in value.items()}
        ref = value.get("$ref")
        if isinstance(ref, str) and ref.startswith("#/$defs/"):
            out["$ref"] = _REF + names.get(ref[8:], ref[8:])
        if isinstance(out.get("items"), list):  # pydantic 1 writes an older JSON Schema
            out["prefixItems"] = out.pop("items")
        return out
    return [_renamed(one, names) for one in value] if isinstance(value, list) else value


def own_doc(cls: Any) -> Optional[str]:
    """The class's docstring, but not the signature that dataclass puts there."""
    text = cls.__dict__.get("__doc__")
    if not text or (dataclasses.is_dataclass(cls) and text.startswith(f"{cls.__name__}(")):
        return None
    return inspect.cleandoc(text)
