# SPDX-License-Identifier: MIT
"""Containers with werkzeug's names: a dict that remembers every value of a repeated key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Generator, Iterable, Iterator, Optional

from _snacgi import RequestHeaders

Mapping.register(RequestHeaders)


class AwaitableBool(int):
    """True or False, at once or awaited."""

    def __await__(self) -> Generator[Any, Any, bool]:
        return bool(self)
        yield  # what makes this a generator

    def __repr__(self) -> str:
        return repr(bool(self))


class MultiDict(dict[str, str]):
    """``d[key]`` is the first value; ``getlist`` gives all. Do not change it.

    A key that is missing is a BadRequestKeyError, which is a KeyError, and 400 when nobody
    catches it.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__()
        self._pairs = list(pairs)
        for key, value in self._pairs:
            self.setdefault(key, value)

    def __missing__(self, key: str) -> str:
        from .exceptions import BadRequestKeyError  # imports the core, which imports this

        raise BadRequestKeyError(key)

    def get(
        self, key: str, default: Any = None, type: Optional[Callable[[str], Any]] = None
    ) -> Any:
        """The first value, through ``type`` when given; ``default`` when it is absent or ``type`` raises ValueError."""
        try:
            value = self[key]
        except KeyError:
            return default
        if type is None:
            return value
        try:
            return type(value)
        except ValueError:
            return default

    def getlist(self, key: str, type: Optional[Callable[[str], Any]] = None) -> list[Any]:
        """Every value of ``key``; those for which ``type`` raises ValueError are left out."""
        values: list[Any] = []
        for name, value in self._pairs:
            if name != key:
                continue
            try:
                values.append(value if type is None else type(value))
            except ValueError:
                pass
        return values

    def items(self, multi: bool = False) -> Any:
        """(key, first value) for each key; with ``multi`` every pair in its order."""
        return list(self._pairs) if multi else super().items()

    def listvalues(self) -> Iterator[list[str]]:
        """Every value, for each key."""
        for key in self:
            yield self.getlist(key)

    def lists(self) -> Iterator[tuple[str, list[str]]]:
        """(key, every value) for each key."""
        for key in self:
            yield key, self.getlist(key)

    def to_dict(self, flat: bool = True) -> dict[str, Any]:
        """A plain dict: of first values, or of lists when not ``flat``."""
        return dict(self) if flat else dict(self.lists())
