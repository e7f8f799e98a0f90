# SPDX-License-Identifier: MIT
"""send_file and send_from_directory: Flask's and Werkzeug's names and rules. What is decided here is
the head; the bytes are sent by C, or by the web server where the configuration says so."""

from __future__ import annotations

import errno
import io
import mimetypes
import os
import posixpath
import stat
import sys
import unicodedata
from datetime import datetime, timezone
from time import time
from typing import IO, Any, Callable, Iterator, Optional, Union
from urllib.parse import quote
from zlib import adler32

from _snacgi import File, Request, Response

from . import _conditional
from ._dates import http_date
from ._globals import now_or_none
from .exceptions import NotFound

_Path = Union[str, "os.PathLike[str]"]
_MaxAge = Union[int, Callable[[Optional[str]], Optional[int]], None]

#: Set by the daemon from python.send_file and python.send_file_from: the header, and directories
#: (absolute, without links) with the location that stands for each, longest first.
_offload: dict[str, Any] = {"header": "", "map": []}

_METHODS = {"x-accel-redirect": "X-Accel-Redirect", "x-sendfile": "X-Sendfile"}


def configure(method: str, entries: list[str]) -> None:
    """ValueError: an entry that is no "DIRECTORY = LOCATION"."""
    found = []
    for entry in entries:
        directory, equals, location = (part.strip() for part in entry.partition("="))
        if not os.path.isabs(directory):
            raise ValueError(f"python.send_file_from: {entry!r} does not begin with an absolute directory")
        if method == "x-accel-redirect" and not location.startswith("/"):
            raise ValueError(f"python.send_file_from: {entry!r} names no location of the web server: write"
                             f' "{directory} = /internal/"')
        if method == "x-sendfile" and equals:
            raise ValueError(f"python.send_file_from: {entry!r}: X-Sendfile takes the path itself: write"
                             f' "{directory}"')
        found.append((os.path.realpath(directory), location))
    found.sort(key=lambda one: len(one[0]), reverse=True)
    _offload.update(header=_METHODS.get(method, ""), map=found)


def _offloaded(path: str) -> Optional[tuple[str, str]]:
    # The header that lets the web server send it: (name, value); None: we send it.
    if not _offload["header"]:
        return None
    real = os.path.realpath(path)
    for directory, location in _offload["map"]:
        inside = directory.rstrip("/") + "/"
        if real.startswith(inside):
            if _offload["header"] == "X-Sendfile":
                return "X-Sendfile", quote(real) if not real.isascii() or "%" in real else real
            return _offload["header"], location.rstrip("/") + "/" + quote(real[len(inside):])
    return None


# ---- what is sent ----------------------------------------------------------------


class _Content:
    """An open file, or something with read(): what there is to send, and what is known of it."""

    def __init__(self, name: Optional[str] = None) -> None:
        self.name = name
        self.fd = -1
        self.offset = 0
        self.size: Optional[int] = None
        self.mtime: Optional[float] = None
        self.stream: Any = None
        self.path: Optional[str] = None

    def body(self, start: int, length: Optional[int]) -> Any:
        """Gives it away."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            return File(fd, self.offset + start, length or 0)
        if isinstance(self.stream, bytes):
            return self.stream[start:start + (length or 0)]
        stream, self.stream = self.stream, None
        return _Pieces(stream)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        elif hasattr(self.stream, "close"):
            self.stream.close()


class _Pieces:
    # No generator: one that was never begun closes nothing.

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        piece = self._stream.read(65536) if self._stream is not None else b""
        if not piece:
            self.close()
            raise StopIteration
        return piece

    def close(self) -> None:
        stream, self._stream = self._stream, None
        if hasattr(stream, "close"):
            stream.close()


def _open(path: str) -> _Content:
    # Regular files only: a FIFO would hang, a device never end.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
    except BaseException:
        os.close(fd)
        raise
    content = _Content(os.path.basename(path))
    content.fd, content.path, content.size, content.mtime = fd, path, status.st_size, status.st_mtime
    return content


def _wrap(file: Any) -> _Content:
    # An open file, or anything with read(), from where it stands.
    if isinstance(file, io.TextIOBase):
        raise ValueError("Files must be opened in binary mode or use BytesIO.")
    content = _Content()
    if isinstance(file, io.BytesIO):
        content.stream = file.read()
        content.size = len(content.stream)
        return content
    if not hasattr(file, "read"):
        raise TypeError(f"send_file() takes a path or a binary file, not {type(file).__name__}")
    content.stream = file
    if type(file) in (io.BufferedReader, io.FileIO, io.BufferedRandom):
        # others with fileno(), GzipFile for one, read something else than is in there
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode):
            content.offset = file.tell()
            content.size = max(0, status.st_size - content.offset)
            content.fd = os.dup(file.fileno())
            file.close()
    return content


# ---- the head -----------------------------------------------------------------------


def _disposition(name: str, as_attachment: bool) -> str:
    kind = "attachment" if as_attachment else "inline"
    simple = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    simple = "".join(c for c in simple if c >= " " and c != "\x7f")
    token = bool(simple) and all(c.isalnum() or c in "!#$&+-.^_`|~" for c in simple)
    escaped = simple.replace("\\", "\\\\").replace('"', '\\"')
    value = f"{kind}; filename=" + (simple if token else f'"{escaped}"')
    if simple != name:
        value += f"; filename*=UTF-8''{quote(name, safe='!#$&+-.^_`|~')}"
    return value


def _set_type(response: Response, name: Optional[str], mimetype: Optional[str], as_attachment: bool) -> None:
    if mimetype is None:
        if name is None:
            raise TypeError("Unable to detect the MIME type because a file name is not available. Either set"
                            " 'download_name', pass a file path instead of a file, or set 'mimetype'.")
        mimetype, encoding = mimetypes.guess_type(name)
        # not for attachments: browsers would save a tar.gz unpacked
        if encoding is not None and not as_attachment:
            response.headers["Content-Encoding"] = encoding
    response.mimetype = mimetype or "application/octet-stream"


def _set_age(response: Response, max_age: _MaxAge, path: Optional[str]) -> None:
    if callable(max_age):
        max_age = max_age(path)
    if max_age is None:
        response.headers["Cache-Control"] = "no-cache"
        return
    response.headers["Cache-Control"] = f"public, max-age={max_age}" if max_age > 0 else f"no-cache, max-age={max_age}"
    response.headers["Expires"] = http_date(time() + max_age)


def _timestamp(value: Union[datetime, int, float, None]) -> Optional[float]:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()
    return value


def _etag_of(content: _Content, etag: Union[bool, str]) -> Optional[str]:
    if isinstance(etag, str):
        return etag
    if not etag or content.path is None:
        return None
    check = adler32(content.path.encode(errors="surrogateescape")) & 0xFFFFFFFF
    return f"{content.mtime}-{content.size}-{check}"


def _answer(content: _Content, request: Optional[Request], mimetype: Optional[str], as_attachment: bool,
            download_name: Optional[str], conditional: bool, etag: Union[bool, str],
            last_modified: Union[datetime, int, float, None], max_age: _MaxAge) -> Response:
    response = Response()
    name = download_name if download_name is not None else content.name
    _set_type(response, name, mimetype, as_attachment)
    if name is not None:
        response.headers["Content-Disposition"] = _disposition(name, as_attachment)
    elif as_attachment:
        raise TypeError("No name provided for attachment. Either set 'download_name' or pass a file path"
                        " instead of a file.")
    modified = _timestamp(last_modified)
    modified = content.mtime if modified is None else modified
    if modified is not None:
        response.headers["Last-Modified"] = http_date(modified)
    _set_age(response, max_age, content.path)
    tag = _etag_of(content, etag)
    if tag is not None:
        response.headers["ETag"] = f'"{tag}"'
    if conditional and request is not None and not _conditional.passes(request, tag, modified):
        response.status_code = 304
        return response
    offloaded = _offloaded(content.path) if content.path is not None else None
    if offloaded:
        response.headers[offloaded[0]] = offloaded[1]
        return response
    start, length = 0, content.size
    if conditional and content.size is not None:
        response.headers["Accept-Ranges"] = "bytes"
        part = None if request is None else _conditional.part_of(request, content.size, tag, modified)
        if part is not None:
            start, length = part[0], part[1] - part[0]
            response.status_code = 206
            response.headers["Content-Range"] = f"bytes {start}-{part[1] - 1}/{content.size}"
    if length is not None:
        response.headers["Content-Length"] = length
    response.response = content.body(start, length)
    return response


def _resolve(path: _Path, depth: int) -> str:
    # Relative to the module that asks, as Flask's are to the application's.
    text = os.fspath(path)
    if os.path.isabs(text):
        return text
    here = sys._getframe(depth).f_globals.get("__file__")
    return os.path.join(os.path.dirname(os.path.abspath(here)) if here else os.getcwd(), text)


def send_file(
    path_or_file: Union[_Path, IO[bytes]],
    mimetype: Optional[str] = None,
    as_attachment: bool = False,
    download_name: Optional[str] = None,
    conditional: bool = True,
    etag: Union[bool, str] = True,
    last_modified: Union[datetime, int, float, None] = None,
    max_age: _MaxAge = None,
) -> Response:
    """A Response with a file: its path (relative to the calling module's directory), or a file opened for
    bytes, which is read from where it stands and closed. Arguments are Flask's.

    mimetype: guessed from the name when None. as_attachment: browsers offer to save it. download_name:
    for that. conditional: answers 304, 206, 416 and 412 as the request asks. etag: False, or one of
    your own. max_age: seconds for which clients may keep it; None: they ask each time.

    Raises what opening the file raises; a file that is not a regular one is an OSError.
    """
    if isinstance(path_or_file, (str, os.PathLike)):
        content = _open(_resolve(path_or_file, 2))
    else:
        content = _wrap(path_or_file)
    try:
        return _answer(content, now_or_none(), mimetype, as_attachment, download_name, conditional, etag,
                       last_modified, max_age)
    finally:  # what was not given away
        content.close()


def safe_join(directory: str, *pathnames: str) -> Optional[str]:
    """A path below `directory`; None when a part of it would lead out. As Werkzeug's."""
    parts = [directory or "."]
    for name in pathnames:
        if name != "":
            name = posixpath.normpath(name)
        if os.path.isabs(name) or name == ".." or name.startswith("../"):
            return None
        parts.append(name)
    return posixpath.join(*parts)


# What a path can be to blame for.
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.ELOOP, errno.ENAMETOOLONG,
              errno.EACCES, errno.EPERM, errno.ENXIO)


def send_from_directory(directory: _Path, path: _Path, **kwargs: Any) -> Response:
    """send_file() of a path that a client has given, inside `directory` (relative to the calling module's).
    NotFound: it leads out, is no regular file, or must not be opened. What is no fault of the path's, as
    too many open files, is raised as it is."""
    joined = safe_join(_resolve(directory, 2), os.fspath(path))
    if joined is None or "\0" in joined:
        raise NotFound()
    try:
        return send_file(joined, **kwargs)
    except OSError as exc:
        if exc.errno not in _NOT_THERE:
            raise
        raise NotFound() from None
