# SPDX-License-Identifier: MIT
"""Converters of one's own for rules, by Werkzeug's names.

    from snacgi import route, url_map
    from snacgi.routing import BaseConverter, ValidationError

    class ListConverter(BaseConverter):
        def to_python(self, value):
            return value.split("+")

        def to_url(self, values):
            return "+".join(super(ListConverter, self).to_url(value) for value in values)

    url_map.converters["list"] = ListConverter

    @route("/tags/<list:tags>")
    def tags(tags): ...
"""

from __future__ import annotations

import re
from collections import UserDict
from typing import Any

__all__ = ["BaseConverter", "UrlMap", "ValidationError"]

_BUILT_IN = ("any", "default", "float", "int", "path", "string", "uuid")


class ValidationError(ValueError):
    """Of to_python(): the text is not one, and the answer 404. Of to_url(): the value has none."""


class BaseConverter:
    """What a converter is derived from; it is made once for each variable of a rule.

    regex: what the text must be, all of it. part_isolating: False when it may hold "/",
    which a "/" in regex says by itself. Arguments of the rule, <list(sep=","):x>, are
    those of __init__ behind the map.
    """

    regex = "[^/]+"
    part_isolating = True
    weight = 100  #: taken because Werkzeug has it; not used

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "regex" in cls.__dict__ and "part_isolating" not in cls.__dict__:
            cls.part_isolating = "/" not in cls.regex

    def __init__(self, map: Any, *args: Any, **kwargs: Any) -> None:
        self.map = map

    def to_python(self, value: str) -> Any:
        """The value of a text that regex matches; ValidationError: there is none."""
        return value

    def to_url(self, value: Any) -> str:
        """The text of a value, with percent signs where a path needs them."""
        from urllib.parse import quote  # light to import until somebody builds URLs

        return quote(str(value), safe="!$&'()*+,/:;=@~")


class Converters(UserDict[str, Any]):
    """Names and classes."""

    def __setitem__(self, name: str, cls: Any) -> None:
        if not isinstance(name, str) or not name.isidentifier() or not name.isascii():
            raise ValueError(f"a converter's name is a word of ASCII letters, digits and '_', not {name!r}")
        if name in _BUILT_IN:
            raise ValueError(f"{name!r} is built in; choose another name")
        if not isinstance(cls, type) or not all(hasattr(cls, part) for part in ("to_python", "to_url", "regex")):
            raise TypeError(f"converters[{name!r}] takes a class derived from snacgi.routing.BaseConverter, not {cls!r}")
        re.compile(getattr(cls, "regex"))
        super().__setitem__(name, cls)


class UrlMap:
    """What is common to all rules, by the names that Flask's app.url_map has.

    strict_slashes: a path that lacks the slash at its rule's end is redirected, one that
    has a slash too many is not found; False: both are found. converters: those of one's
    own, for rules that are registered afterwards.
    """

    def __init__(self) -> None:
        self.strict_slashes = True
        self.converters = Converters()
