# SPDX-License-Identifier: MIT
"""Rules taken apart for those who build URLs from them. Matching is the C core's, which
has checked every rule that comes here. Private."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Mapping, Union

import _snacgi

_VARIABLE = re.compile(r"""<(?:(\w+)(\((?:[^"')]|"[^"]*"|'[^']*')*\))?:)?(\w+)>""")
_ARGUMENT = re.compile(r"""\s*(?:(\w+)\s*=\s*)?("[^"]*"|'[^']*'|[^,\s"']+)\s*(?:,|$)""")
_WORDS: Mapping[str, Any] = {"None": None, "True": True, "False": False}


@dataclass(frozen=True)
class Variable:
    """<converter(args, **kwargs):name>, as it is written."""

    name: str
    converter: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    written: str

    def text(self, rule: str, value: Any) -> str:
        """What stands for the value in a path; ValueError when none would be matched."""
        try:
            text = self._text(value)
        except (TypeError, ValueError, OverflowError):
            text = ""
        # what is quoted later is no slash of the path
        shown = text.replace("/", "x") if self.converter == "string" else text
        if "\0" in text or not _snacgi.rule_takes(rule, self.name, shown):
            raise ValueError(f"{self.name}={value!r} does not fit {self.written}")
        return text

    def _text(self, value: Any) -> str:
        if self.converter == "int":
            digits = self.args[0] if self.args else self.kwargs.get("fixed_digits", 0)
            return str(int(value)).zfill(digits)
        if self.converter == "float":
            text = str(float(value))
            if "e" in text:  # 1e+16
                text = format(Decimal(text), "f")
                text += "" if "." in text else ".0"
            return text
        return str(value)


def _value(text: str) -> Any:
    # As Werkzeug reads arguments.
    if text[0] in "\"'":
        return text[1:-1]
    if text in _WORDS:
        return _WORDS[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _arguments(text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    args, kwargs = [], {}
    for name, value in _ARGUMENT.findall(text):
        if name:
            kwargs[name] = _value(value)
        else:
            args.append(_value(value))
    return tuple(args), kwargs


@functools.lru_cache(maxsize=4096)
def parts_of(rule: str) -> tuple[Union[str, Variable], ...]:
    """The rule's texts and variables in order."""
    parts: list[Union[str, Variable]] = []
    at = 0
    for found in _VARIABLE.finditer(rule):
        if found.start() > at:
            parts.append(rule[at : found.start()])
        args, kwargs = _arguments(found[2][1:-1]) if found[2] else ((), {})
        converter = found[1] or "string"
        parts.append(Variable(found[3], "string" if converter == "default" else converter, args, kwargs, found[0]))
        at = found.end()
    if at < len(rule):
        parts.append(rule[at:])
    return tuple(parts)
