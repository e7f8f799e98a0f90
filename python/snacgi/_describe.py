# SPDX-License-Identifier: MIT
"""What a route says of itself in the OpenAPI document: the options of @route for it, checked. Private."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Optional

#: Options of route() that are for the document only.
OPTIONS = ("tags", "summary", "description", "operation_id", "deprecated", "include_in_schema", "responses")

#: Native routes, as the daemon tells them: (rule, methods, name, summary, description).
native: list[tuple[str, str, str, str, str]] = []


@dataclass(frozen=True)
class Doc:
    """The options; None: what the function itself says."""

    tags: Optional[tuple[str, ...]] = None
    summary: Optional[str] = None
    description: Optional[str] = None
    operation_id: Optional[str] = None
    deprecated: bool = False
    include_in_schema: bool = True
    responses: Mapping[int, Any] = field(default_factory=dict)  #: status: a text, or description and model


def _text(name: str, value: Any) -> Optional[str]:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {value!r}")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return value


def _tags(name: str, value: Any) -> Optional[tuple[str, ...]]:
    if isinstance(value, str) or not all(isinstance(tag, str) for tag in value or ()):
        raise TypeError(f"{name} must be a list of str, not {value!r}")
    return None if value is None else tuple(value)


def _responses(name: str, value: Any) -> Mapping[int, Any]:
    for status, what in (value or {}).items():
        if not isinstance(status, int) or not 100 <= status <= 599:
            raise ValueError(f"{name} is a dict by status: {{404: \"no such user\"}}, not {status!r}")
        if not isinstance(what, str) and not (isinstance(what, dict) and set(what) <= {"description", "model"}):
            raise TypeError(f"{name}[{status}] is a text, or a dict of 'description' and 'model', not {what!r}")
    return dict(value or {})


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "tags": _tags, "summary": _text, "description": _text, "operation_id": _text, "deprecated": _flag,
    "include_in_schema": _flag, "responses": _responses,
}

_NOTHING = Doc()


def doc_of(options: Mapping[str, Any]) -> Doc:
    """Those of route()'s options that are for the document."""
    given = {name: _CHECKS[name](name, options[name]) for name in OPTIONS if name in options}
    return Doc(**given) if given else _NOTHING
