# SPDX-License-Identifier: MIT
"""app.json, with the names of Flask's provider: the server's own JSON. Private."""

from __future__ import annotations

import json
from typing import IO, Any, Callable

from _snacgi import Response

from . import _json
from ._helpers import jsonify

#: What answers are like; Flask's attributes for it may be set to just that.
_IS = {"sort_keys": False, "ensure_ascii": False, "compact": True, "mimetype": "application/json"}


class AppJSON:
    """dumps(), dump(), loads(), load(), response(); and ``default``, which is json_default() when it is set."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Text as answers have it, by the writer of json_dumps() too; with arguments as json.dumps() has it."""
        if not kwargs:
            return jsonify(obj).data.decode()
        kwargs.setdefault("default", _json.default)
        return json.dumps(obj, **kwargs)

    def dump(self, obj: Any, fp: IO[str], **kwargs: Any) -> None:
        """dumps() into a file."""
        fp.write(self.dumps(obj, **kwargs))

    def loads(self, s: Any, **kwargs: Any) -> Any:
        """As json.loads(), but NaN and Infinity are no JSON: as in a request's body."""
        kwargs.setdefault("parse_constant", _json._refuse_constant)
        return json.loads(s, **kwargs)

    def load(self, fp: IO[Any], **kwargs: Any) -> Any:
        """loads() of a file."""
        return self.loads(fp.read(), **kwargs)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """As jsonify()."""
        return jsonify(*args, **kwargs)

    @property
    def default(self) -> Callable[[Any], Any]:
        return _json.default

    def __getattr__(self, name: str) -> Any:
        if name in _IS:
            return _IS[name]
        raise AttributeError(f"app.json has no {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "default":
            _json.json_default(value)
        elif name not in _IS:
            raise AttributeError(f"app.json has no {name!r}")
        elif value != _IS[name]:
            raise ValueError(f"app.json.{name} is {_IS[name]!r}; for another kind of JSON set a writer for all answers:"
                             " json_dumps(lambda value, default: json.dumps(value, default=default, sort_keys=True))")
