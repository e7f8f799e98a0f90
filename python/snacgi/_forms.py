# SPDX-License-Identifier: MIT
"""request.form, files and cookies, by Werkzeug's parsers, which are imported when a handler
first asks. What the peer did wrong is a 400 or 413; that Werkzeug is missing is said. Private."""

from __future__ import annotations

import functools
import importlib
import io
import re
from typing import Any, NoReturn, Optional

from _snacgi import Request

from . import exceptions

#: Set by the daemon from limits.form_parts, limits.form_memory and limits.memory_body.
_limits = {"parts": 1000, "memory": 500 * 1024, "file": 64 * 1024}

_TOO_MUCH = "the form has more or larger fields than allowed (limits.form_parts, limits.form_memory)"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def configure(parts: int, memory: int, file: int) -> None:
    _limits.update(parts=parts, memory=memory, file=file)


def _werkzeug(module: str, what: str) -> Any:
    try:
        return importlib.import_module("werkzeug." + module)
    except ImportError as exc:
        raise RuntimeError(
            f"request.{what} needs Werkzeug, which cannot be imported ({exc}); install it: apt-get install"
            " python3-werkzeug, or in the venv: pip install werkzeug"
        ) from exc


def _refuse(status: int, text: str) -> NoReturn:
    raise exceptions.default_exceptions[status](text)


@functools.lru_cache(maxsize=None)
def _spool() -> Any:
    import tempfile

    class Spool(tempfile.SpooledTemporaryFile[bytes]):
        # Ends with the request that it belongs to; no handler is asked to close it, and none
        # shall be warned of it.
        def __del__(self) -> None:
            self.close()

    return Spool


def _stream(*about: Any, **more: Any) -> Any:
    # A file of the form: in memory up to a size, then in an unlinked file.
    return _spool()(max_size=max(1, _limits["file"]), mode="rb+")


def _body(request: Request, mimetype: str) -> tuple[Any, Optional[int]]:
    # The stream that is parsed, and its length where that is known.
    if request._arriving == "async":
        raise RuntimeError("a form cannot be parsed while it arrives in an async handler: leave out stream=True,"
                           " or write a handler that is not async")
    if request._arriving and mimetype == "multipart/form-data":
        return request.stream, request.content_length
    data = request.stream.read(_limits["memory"] + 1) if request._arriving else request.get_data(cache=False)
    if mimetype == "application/x-www-form-urlencoded":
        if len(data) > _limits["memory"]:
            _refuse(413, "the form is larger than allowed (limits.form_memory)")
        if data.count(b"&") >= _limits["parts"]:
            _refuse(413, "the form has more fields than allowed (limits.form_parts)")
    return io.BytesIO(data), len(data)


def parse(request: Request) -> tuple[Any, Any]:
    """(form, files) of a body that is a form; both empty when it is none."""
    formparser = _werkzeug("formparser", "form")
    http = importlib.import_module("werkzeug.http")
    mimetype, options = http.parse_options_header(request.content_type)
    body, size = _body(request, mimetype)
    parser = formparser.FormDataParser(_stream, max_form_memory_size=_limits["memory"], silent=False,
                                       max_form_parts=_limits["parts"])
    try:
        _, form, files = parser.parse(body, mimetype, size, options)
    except importlib.import_module("werkzeug.exceptions").RequestEntityTooLarge:
        _refuse(413, _TOO_MUCH)
    except NameError as exc:  # Debian's 2.2.2-3+deb12u1 raises by a name that it forgot to import
        if "RequestEntityTooLarge" not in str(exc):
            raise
        _refuse(413, _TOO_MUCH)
    except (ValueError, LookupError) as exc:
        _refuse(400, f"the form is malformed: {exc}")
    for file in (file for _, several in files.lists() for file in several):
        if file.filename and _CONTROL.search(file.filename):
            _refuse(400, "a file's name has control characters in it")
    return form, files


def cookies(request: Request) -> Any:
    """The request's cookies; what is no cookie is left out, as browsers' own parsers do."""
    return _werkzeug("http", "cookies").parse_cookie(request.headers.get("Cookie", ""))
