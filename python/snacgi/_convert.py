# SPDX-License-Identifier: MIT
"""From text or JSON to the type that an annotation names. Private.

A converter is made once for an annotation and called with (value, loc, errors): it returns
the value, or appends what is wrong and returns anything. Rules, names of errors and
messages are pydantic 2's, so that clients see what FastAPI would tell them.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import math
import re
import types
import typing
import uuid
from typing import Any, Callable, Literal, Optional, Sequence, Union

from . import _models
from ._params import LENGTHS, NUMBERS, Marker

Loc = tuple[Union[str, int], ...]
Convert = Callable[[Any, Loc, "Errors"], Any]

NoneType = type(None)

_DIGITS = 4300  # of a number in text; as Python's own limit, which 3.10 has not in all versions


class Unsupported(TypeError):
    """An annotation that no request can fill."""


class TooMany(Exception):
    """Enough is wrong: nobody reads a million errors, and their list must not eat the memory."""


class _Tries:
    """What alternatives may still find wrong. `size`, asked when that is used up, is the request's, which
    has two more for each byte: a long list of int | str has one for each of its texts."""

    def __init__(self, size: Callable[[], int]) -> None:
        self.left, self.size = 10000, size

    def used_up(self) -> bool:
        if self.left < 0 and self.size is not _nothing:
            self.left += 2 * self.size()
            self.size = _nothing
        return self.left < 0


def _nothing() -> int:
    return 0


class Errors(list[dict[str, Any]]):
    """What is wrong with a request: up to `most`, and up to a number in proportion to its `size` with what
    alternatives of a Union have found, which could try each other at every level of a deep body."""

    most = 100

    def __init__(self, size: Callable[[], int] = _nothing, tries: Optional[_Tries] = None) -> None:
        super().__init__()
        self._tries = _Tries(size) if tries is None else tries

    def trial(self) -> Errors:
        """For an alternative that may be dropped again."""
        return Errors(tries=self._tries)

    @property
    def exhausted(self) -> bool:
        return self._tries.used_up()

    def tell(self, kind: str, loc: Sequence[Union[str, int]], text: str) -> None:
        """Raises TooMany when this was the last one."""
        self._tries.left -= 1
        self.append({"type": kind, "loc": list(loc), "msg": text})
        if len(self) >= self.most or self.exhausted:
            raise TooMany


def error(errors: Errors, loc: Loc, kind: str, text: str) -> None:
    errors.tell(kind, loc, text)


# ---- plain values --------------------------------------------------------------


def _any(value: Any, loc: Loc, errors: Errors) -> Any:
    return value


def _str(value: Any, loc: Loc, errors: Errors) -> Any:
    if not isinstance(value, str):
        error(errors, loc, "string_type", "Input should be a valid string")
    return value


_is_integer = re.compile(r"[+-]?\d+(\.0+)?", re.ASCII).fullmatch


def _int(value: Any, loc: Loc, errors: Errors) -> Any:
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _DIGITS:
            return error(errors, loc, "int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size")
        if _is_integer(text):
            return int(text.partition(".")[0])
        return error(errors, loc, "int_parsing", "Input should be a valid integer, unable to parse string as an integer")
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if value.is_integer():
            return int(value)
        return error(errors, loc, "int_from_float", "Input should be a valid integer, got a number with a fractional part")
    return error(errors, loc, "int_type", "Input should be a valid integer")


def _float(value: Any, loc: Loc, errors: Errors) -> Any:
    if isinstance(value, str) and "_" in value:
        value = ""  # Python would take 1_000
    if not isinstance(value, (str, int, float)):
        return error(errors, loc, "float_type", "Input should be a valid number")
    try:
        number = float(value)
    except ValueError:
        return error(errors, loc, "float_parsing", "Input should be a valid number, unable to parse string as a number")
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):  # the answer could not hold it either
        return error(errors, loc, "finite_number", "Input should be a finite number")
    return number


_BOOLS = {**dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
          **dict.fromkeys(("0", "false", "f", "no", "n", "off"), False)}


def _bool(value: Any, loc: Loc, errors: Errors) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.lower() in _BOOLS:
        return _BOOLS[value.lower()]
    if isinstance(value, (str, int, float)):
        return error(errors, loc, "bool_parsing", "Input should be a valid boolean, unable to interpret input")
    return error(errors, loc, "bool_type", "Input should be a valid boolean")


def _none(value: Any, loc: Loc, errors: Errors) -> Any:
    if value is not None:
        error(errors, loc, "none_required", "Input should be None")


def _decimal(value: Any, loc: Loc, errors: Errors) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return error(errors, loc, "decimal_type", "Decimal input should be an integer, float, string or Decimal object")
    text = str(value)
    try:
        number = decimal.Decimal(text if "_" not in text and len(text) <= _DIGITS else "")
    except decimal.InvalidOperation:
        return error(errors, loc, "decimal_parsing", "Input should be a valid decimal")
    if not number.is_finite():
        return error(errors, loc, "finite_number", "Input should be a finite number")
    return number


def _iso(cls: Any, name: str) -> Convert:
    def convert(value: Any, loc: Loc, errors: Errors) -> Any:
        if type(value) is cls:
            return value
        if not isinstance(value, str):
            return error(errors, loc, f"{name}_type", f"Input should be a valid {name}")
        text = value
        if cls is not datetime.date and text[-1:] in ("Z", "z"):  # 3.10 does not know it
            text = text[:-1] + "+00:00"
        try:
            return cls.fromisoformat(text)
        except ValueError:
            return error(errors, loc, f"{name}_parsing", f"Input should be a valid {name} in ISO 8601 format")

    return convert


def _uuid(value: Any, loc: Loc, errors: Errors) -> Any:
    if isinstance(value, uuid.UUID):
        return value
    if not isinstance(value, str):
        return error(errors, loc, "uuid_type", "UUID input should be a string, bytes or UUID object")
    try:
        return uuid.UUID(value)
    except ValueError:
        return error(errors, loc, "uuid_parsing", "Input should be a valid UUID")


PLAIN: dict[Any, Convert] = {
    Any: _any, object: _any, str: _str, int: _int, float: _float, bool: _bool, None: _none, NoneType: _none,
    decimal.Decimal: _decimal, uuid.UUID: _uuid, datetime.datetime: _iso(datetime.datetime, "datetime"),
    datetime.date: _iso(datetime.date, "date"), datetime.time: _iso(datetime.time, "time"),
}


def _one_of(choices: list[Any], kind: str, text: bool) -> Convert:
    """`choices`: pairs of the value on the wire and what stands for it."""
    shown = [repr(wire) for wire, _ in choices]
    expected = "Input should be " + " or ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))

    def convert(value: Any, loc: Loc, errors: Errors) -> Any:
        for wire, stands in choices:
            if type(value) is type(wire) and value == wire:
                return stands
        for wire, stands in choices if text else ():
            if not isinstance(wire, str) and str(wire).lower() == str(value).lower():
                return stands
        return error(errors, loc, kind, expected)

    return convert


# ---- limits -----------------------------------------------------------------------


def _limits_of(metadata: tuple[Any, ...]) -> dict[str, Any]:
    # Of our markers, of annotated_types' Ge and its like, and of pydantic's Field().
    limits: dict[str, Any] = {}
    for one in metadata:
        if isinstance(one, type):
            continue
        if not isinstance(one, Marker) and isinstance(getattr(one, "metadata", None), (list, tuple)):
            limits.update(_limits_of(tuple(one.metadata)))
        for name in (*NUMBERS, *LENGTHS, "pattern"):
            value = getattr(one, name, None)
            if value is not None:
                limits[name] = value
    return limits


_COMPARE: dict[str, tuple[str, str, Callable[[Any, Any], bool]]] = {
    "gt": ("greater_than", "greater than", lambda value, limit: bool(value > limit)),
    "ge": ("greater_than_equal", "greater than or equal to", lambda value, limit: bool(value >= limit)),
    "lt": ("less_than", "less than", lambda value, limit: bool(value < limit)),
    "le": ("less_than_equal", "less than or equal to", lambda value, limit: bool(value <= limit)),
    "multiple_of": ("multiple_of", "a multiple of", lambda value, limit: not value % limit),
}


def _compare(convert: Convert, name: str, limit: Any) -> Convert:
    kind, words, fits = _COMPARE[name]

    def checked(value: Any, loc: Loc, errors: Errors) -> Any:
        before = len(errors)
        value = convert(value, loc, errors)
        if len(errors) == before and value is not None:
            try:
                good = fits(value, limit)
            except (TypeError, ArithmeticError):  # a time without a zone beside one with; 1e99999 % 7
                good = False
            if not good:
                error(errors, loc, kind, f"Input should be {words} {limit}")
        return value

    return checked


def _length(convert: Convert, name: str, limit: int) -> Convert:
    words = "at least" if name == "min_length" else "at most"

    def checked(value: Any, loc: Loc, errors: Errors) -> Any:
        before = len(errors)
        value = convert(value, loc, errors)
        if len(errors) > before or value is None:
            return value
        n = len(value)
        if (n < limit) if name == "min_length" else (n > limit):
            kind = "too_short" if name == "min_length" else "too_long"
            s = "" if limit == 1 else "s"
            if isinstance(value, str):
                error(errors, loc, f"string_{kind}", f"String should have {words} {limit} character{s}")
            else:
                error(errors, loc, kind, f"{type(value).__name__.capitalize()} should have {words} {limit} item{s}"
                      f" after validation, not {n}")
        return value

    return checked


def _pattern(convert: Convert, pattern: str) -> Convert:
    search = re.compile(pattern).search

    def checked(value: Any, loc: Loc, errors: Errors) -> Any:
        before = len(errors)
        value = convert(value, loc, errors)
        if len(errors) == before and isinstance(value, str) and not search(value):
            error(errors, loc, "string_pattern_mismatch", f"String should match pattern '{pattern}'")
        return value

    return checked


_COMPARABLE = (int, float, decimal.Decimal, datetime.datetime, datetime.date, datetime.time)


def limited(convert: Convert, annotation: Any, limits: dict[str, Any]) -> Convert:
    """`convert`, and then the limits; Unsupported when the type has no such limit."""
    members = [member for member in members_of(annotation) if member not in (None, NoneType)]
    for name, limit in limits.items():
        if name in NUMBERS:
            fits = all(member in _COMPARABLE for member in members)
        elif name == "pattern":
            fits = all(member is str for member in members)
        else:
            fits = all(member is str or typing.get_origin(member) in _SIZED or member in _SIZED for member in members)
        if not fits:
            raise Unsupported(f"{name}={limit!r} does not go with {shown(annotation)}")
        if name in NUMBERS:
            convert = _compare(convert, name, limit)
        elif name == "pattern":
            try:
                convert = _pattern(convert, limit)
            except re.error as exc:
                raise Unsupported(f"pattern={limit!r} is not a regular expression: {exc}") from None
        else:
            convert = _length(convert, name, limit)
    return convert


# ---- containers ----------------------------------------------------------------------

_LISTS: dict[Any, Callable[[Any], Any]] = {
    list: list, set: set, frozenset: frozenset, tuple: tuple,
    collections.abc.Sequence: list, collections.abc.Iterable: list, collections.abc.Collection: list,
}
_DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_SIZED = (*_LISTS, *_DICTS)


def is_list(annotation: Any) -> bool:
    """A list of any kind, or that or None."""
    return any((typing.get_origin(m) or m) in _LISTS for m in members_of(annotation))


def members_of(annotation: Any) -> list[Any]:
    """The alternatives of a Union, without Annotated; else the one type."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return [m for arg in typing.get_args(annotation) for m in members_of(arg)]
    return [annotation]


def shown(annotation: Any) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) and not typing.get_args(annotation) else str(annotation)


def _list(make: Callable[[Any], Any], item: Convert, name: str) -> Convert:
    def convert(value: Any, loc: Loc, errors: Errors) -> Any:
        if not isinstance(value, list):
            return error(errors, loc, f"{name}_type", f"Input should be a valid {name}")
        items = [item(one, (*loc, at), errors) for at, one in enumerate(value)]
        try:
            return make(items)
        except TypeError:
            return error(errors, loc, f"{name}_item_not_hashable", f"Items of a {name} should be hashable")

    return convert


def _tuple(items: list[Convert]) -> Convert:
    def convert(value: Any, loc: Loc, errors: Errors) -> Any:
        if not isinstance(value, list):
            return error(errors, loc, "tuple_type", "Input should be a valid tuple")
        if len(value) > len(items):
            return error(errors, loc, "too_long",
                         f"Tuple should have at most {len(items)} items after validation, not {len(value)}")
        for at in range(len(value), len(items)):
            error(errors, (*loc, at), "missing", "Field required")
        return tuple(item(one, (*loc, at), errors) for at, (item, one) in enumerate(zip(items, value)))

    return convert


def _dict(key: Convert, item: Convert) -> Convert:
    def convert(value: Any, loc: Loc, errors: Errors) -> Any:
        if not isinstance(value, dict):
            return error(errors, loc, "dict_type", "Input should be a valid dictionary")
        return {key(k, (*loc, k, "[key]"), errors): item(v, (*loc, k), errors) for k, v in value.items()}

    return convert


def _union(members: list[tuple[Any, Convert]]) -> Convert:
    """In order, but a JSON value that is of a member's very type is taken as that."""

    def convert(value: Any, loc: Loc, errors: Errors) -> Any:
        if not isinstance(value, str):
            for tp, _ in members:
                if isinstance(tp, type) and tp in PLAIN and type(value) is tp:
                    return value
        failed: list[Errors] = []
        for _, one in members:
            tried = errors.trial()
            try:
                result = one(value, loc, tried)
            except TooMany:
                pass
            if not tried:
                return result
            failed.append(tried)
            if errors.exhausted:
                break
        for (tp, _), found in zip(members, failed):
            for told in found if tp not in (None, NoneType) else ():
                errors.tell(told["type"], told["loc"], told["msg"])

    return convert


# ---- classes ----------------------------------------------------------------------------


class _Fields:
    """Makes an object of a dataclass, or a dict for a TypedDict, of a JSON object."""

    def __init__(self, cls: Any) -> None:
        self.cls, self.typed_dict = cls, is_typed_dict(cls)
        self.fields: list[tuple[str, str, Convert, bool]] = []

    def fill(self) -> None:
        for name, annotation, required, wire in fields_of(self.cls):
            self.fields.append((name, wire, converter(annotation), required))

    def __call__(self, value: Any, loc: Loc, errors: Errors) -> Any:
        if not isinstance(value, dict):
            if self.typed_dict:
                return error(errors, loc, "dict_type", "Input should be a valid dictionary")
            return error(errors, loc, "dataclass_type",
                         f"Input should be a dictionary or an instance of {self.cls.__name__}")
        before, found = len(errors), {}
        for name, wire, convert, required in self.fields:
            if wire in value:
                found[name] = convert(value[wire], (*loc, wire), errors)
            elif required:
                error(errors, (*loc, wire), "missing", "Field required")
        if len(errors) > before or self.typed_dict:
            return found
        try:
            return self.cls(**found)
        except (ValueError, AssertionError) as exc:  # of its __post_init__
            return error(errors, loc, "value_error", f"Value error, {exc}")


def hints_of(cls: Any) -> dict[str, Any]:
    """The class's annotations; Unsupported when one names what is not there."""
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as exc:
        raise Unsupported(f"the annotations of {cls.__qualname__} cannot be resolved: {exc}") from None


def alias_of(annotation: Any) -> Optional[str]:
    if typing.get_origin(annotation) is typing.Annotated:
        for one in annotation.__metadata__:
            if isinstance(one, Marker) and one.alias:
                return one.alias
    return None


def fields_of(cls: Any) -> list[tuple[str, Any, bool, str]]:
    """(name, annotation, whether it is required, name on the wire) of a dataclass or TypedDict."""
    hints = hints_of(cls)
    if is_typed_dict(cls):
        found = []
        for name, hint in hints.items():
            bare, required = _bare(hint)
            # The class knows whether it is total, but has read no annotation that was text.
            found.append((name, bare, name in cls.__required_keys__ if required is None else required, alias_of(bare) or name))
        return found
    missing = dataclasses.MISSING
    return [(f.name, hints[f.name], f.default is missing and f.default_factory is missing,
             alias_of(hints[f.name]) or f.name) for f in dataclasses.fields(cls) if f.init]


def _bare(hint: Any) -> tuple[Any, Optional[bool]]:
    """Without Required[...] and NotRequired[...], of typing (3.11) or typing_extensions, inside and outside
    of Annotated; and which of them it has been, or None."""
    annotated: Any = typing.Annotated
    metadata: tuple[Any, ...] = ()
    required: Optional[bool] = None
    while True:
        origin = typing.get_origin(hint)
        name = getattr(origin, "_name", "")
        if origin is typing.Annotated:
            metadata = (*hint.__metadata__, *metadata)
        elif name not in ("Required", "NotRequired", "ReadOnly"):
            return annotated[(hint, *metadata)] if metadata else hint, required
        elif name != "ReadOnly":
            required = name == "Required"
        hint = typing.get_args(hint)[0]


_classes: dict[Any, _Fields] = {}


def _fields_converter(cls: Any) -> Convert:
    known = _classes.get(cls)
    if known is None:
        known = _classes[cls] = _Fields(cls)  # before its fields: one may be of its own type
        try:
            known.fill()
        except BaseException:
            del _classes[cls]
            raise
    return known


def is_typed_dict(annotation: Any) -> bool:
    # typing_extensions' own class of it is not known to typing.
    return isinstance(annotation, type) and issubclass(annotation, dict) and hasattr(annotation, "__required_keys__")


def is_fields(annotation: Any) -> bool:
    """A dataclass or a TypedDict."""
    return isinstance(annotation, type) and (dataclasses.is_dataclass(annotation) or is_typed_dict(annotation))


# ---- the one door --------------------------------------------------------------------------


def converter(annotation: Any, text: bool = False) -> Convert:
    """For values of JSON, or for `text`. Unsupported: no request can fill that type."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return limited(converter(args[0], text), args[0], _limits_of(annotation.__metadata__))
    if origin in (Union, types.UnionType):
        return _union([(m, converter(m, text)) for m in args])
    if origin is Literal:
        return _one_of([(wire, wire) for wire in args], "literal_error", text)
    if hasattr(annotation, "__supertype__"):  # NewType
        return converter(annotation.__supertype__, text)
    if type(annotation).__name__ == "TypeAliasType":
        return converter(annotation.__value__, text)
    try:
        if annotation in PLAIN:
            return PLAIN[annotation]
    except TypeError:  # not hashable
        pass
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _one_of([(member.value, member) for member in annotation], "enum", text)
    kind = origin or annotation
    if kind in _LISTS:
        if kind is tuple and args and args[-1] is not ...:
            return _tuple([converter(arg, text) for arg in args])
        name = kind.__name__ if kind in (set, frozenset, tuple) else "list"
        return _list(_LISTS[kind], converter(args[0] if args else Any, text), name)
    if not text and kind in _DICTS:
        key, item = args or (Any, Any)
        return _dict(converter(key, True), converter(item))
    if not text and is_fields(annotation):
        return _fields_converter(annotation)
    model = None if text else _models.converter(annotation)
    if model is None:
        raise Unsupported(f"{shown(annotation)} is not a type that {'text' if text else 'a request'} can be converted to")
    return model
