# SPDX-License-Identifier: MIT
"""JSON where the core's own reader and writer ask for help.

Reading: the standard library's reader, except that NaN and Infinity are
refused, as the writer refuses them. Writing: what common objects become; their
modules are never imported here, only recognised when somebody else did.
"""

from __future__ import annotations

import functools
import json
import sys
from typing import Any, Callable, NoReturn, Optional, TypeVar

import _snacgi

Function = TypeVar("Function", bound=Callable[..., Any])

from . import _params


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def loads(data: bytes) -> Any:
    """json.loads of bytes in UTF-8, UTF-16 or UTF-32; ValueError names the position."""
    return _decoder.decode(data.decode(json.detect_encoding(data)))


def _numpy(obj: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return _refuse
    if isinstance(obj, numpy.ndarray):
        if obj.dtype.kind in "mM":  # each by the lines below: NaT is null
            return list(obj)
        return obj.tolist()
    if isinstance(obj, numpy.generic):
        if obj.dtype.kind in "mM":
            return None if numpy.isnat(obj) else str(obj)
        return obj.item()
    return _refuse


def _frames(obj: Any) -> Any:
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        if isinstance(obj, pandas.DataFrame):
            return obj.to_dict(orient="records")
        if isinstance(obj, (pandas.Series, pandas.Index)):
            return obj.tolist()
        if obj is pandas.NA:
            return None
    polars = sys.modules.get("polars")
    if polars is not None:
        if isinstance(obj, polars.DataFrame):
            return obj.to_dicts()
        if isinstance(obj, polars.Series):
            return obj.to_list()
    return _refuse


def _standard(obj: Any) -> Any:
    datetime = sys.modules.get("datetime")
    if datetime is not None and isinstance(obj, (datetime.date, datetime.time)):
        text = obj.isoformat()  # datetime is a date
        return None if text == "NaT" else text  # pandas has a datetime that is none
    uuid = sys.modules.get("uuid")
    if uuid is not None and isinstance(obj, uuid.UUID):
        return str(obj)
    decimal = sys.modules.get("decimal")
    if decimal is not None and isinstance(obj, decimal.Decimal):
        return str(obj)
    enum = sys.modules.get("enum")
    if enum is not None and isinstance(obj, enum.Enum):
        return obj.value
    dataclasses = sys.modules.get("dataclasses")
    if dataclasses is not None and dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        if _params.aliased:
            cls: Any = type(obj)
            return {wire: getattr(obj, name) for name, wire in _wire_names(cls)}
        return {field.name: getattr(obj, field.name) for field in dataclasses.fields(obj)}
    return _refuse


@functools.lru_cache(maxsize=1024)
def _wire_names(cls: Any) -> list[tuple[str, str]]:
    # Of a dataclass's fields, where some class of the application has Field(alias=).
    import dataclasses

    from ._convert import Unsupported, alias_of, hints_of

    try:
        hints = hints_of(cls)
    except Unsupported:
        hints = {}
    return [(field.name, alias_of(hints.get(field.name)) or field.name) for field in dataclasses.fields(cls)]


def _model(obj: Any) -> Any:
    if "pydantic" not in sys.modules and "msgspec" not in sys.modules:
        return _refuse
    from ._models import plain

    made = plain(obj)
    return _refuse if made is NotImplemented else made


_refuse: Any = object()

_own: list[Callable[[Any], Any]] = []


def json_default(function: Function) -> Function:
    """Decorator: the function is asked what stands for an object that JSON does not know.

    It is asked before what the package does with dates, numpy and so on, the last one
    registered first, and raises TypeError, or returns NotImplemented, for an object
    that is not its own. As the standard library's json.dumps(default=).
    """
    if not callable(function):
        raise TypeError(f"json_default goes above a function, not above {type(function).__name__}")
    _own.append(function)
    return function


def json_dumps(function: Optional[Function]) -> Optional[Function]:
    """Another writer of JSON for all answers: json_dumps(orjson.dumps).

    It is called as function(value, default=f) and returns bytes or str; f is what
    json_default() describes. Its rules for NaN, keys and spaces apply. None: the
    package's own.
    """
    if function is not None and not callable(function):
        raise TypeError(f"json_dumps takes a function such as orjson.dumps, not {function!r}")
    _snacgi.set_dumps(function)
    return function


def default(obj: Any) -> Any:
    """What stands for ``obj`` in JSON; TypeError when nothing does.

    What the application's own functions say (json_default), the last one first; else numpy scalars and arrays, pandas and polars frames (a list of records) and
    series, date, time and datetime (ISO 8601), UUID and Decimal (text), Enum
    (its value), dataclasses (an object), models of pydantic and msgspec.
    """
    for function in reversed(_own):
        try:
            value = function(obj)
        except TypeError:
            continue
        if value is not NotImplemented:
            return value
    for known in (_standard, _model, _numpy, _frames):
        value = known(obj)
        if value is not _refuse:
            return value
    raise TypeError("not JSON")
