# SPDX-License-Identifier: MIT
"""Conditions and ranges of a request (RFC 9110, sections 13 and 14). Private."""

from __future__ import annotations

import re
from typing import Optional

from _snacgi import Request

from ._dates import when
from .exceptions import PreconditionFailed, RequestedRangeNotSatisfiable

# One way only to match each character: a header of 100 kB must not take its square.
_TAG = re.compile(r'[ \t,]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?=,|$)')
_RANGE = re.compile(r"(\d*)-(\d*)", re.ASCII)


def _time(text: Optional[str]) -> Optional[float]:
    time = when(text)
    return None if time is None else time.timestamp()


def _names(header: str, tag: Optional[str], weak: bool) -> bool:
    # True when the list of tags has `tag`, or is "*".
    if header.strip() == "*":
        return tag is not None
    at = 0
    while (match := _TAG.match(header, at)) is not None:
        if match[2] == tag and (weak or not match[1]):
            return True
        at = match.end()
    return False


def passes(request: Request, tag: Optional[str], modified: Optional[float]) -> bool:
    """False: the client has it already (304). PreconditionFailed: it wants another one (412)."""
    headers = request.headers
    whole = None if modified is None else int(modified)
    match, none_match = headers.get("If-Match"), headers.get("If-None-Match")
    if match is not None:
        if not _names(match, tag, False):
            raise PreconditionFailed()
    else:
        before = _time(headers.get("If-Unmodified-Since"))
        if before is not None and whole is not None and whole > before:
            raise PreconditionFailed()
    if none_match is not None:
        if not _names(none_match, tag, True):
            return True
        if request.method not in ("GET", "HEAD"):
            raise PreconditionFailed()
        return False
    since = _time(headers.get("If-Modified-Since")) if request.method in ("GET", "HEAD") else None
    return since is None or whole is None or whole > since


def _still(condition: str, tag: Optional[str], modified: Optional[float]) -> bool:
    # If-Range: is it the very same that the client has a part of?
    condition = condition.strip()
    if condition.startswith(('"', "W/")):
        return _names(condition, tag, False)
    when = _time(condition)
    return when is not None and modified is not None and int(modified) == when


def part_of(request: Request, size: int, tag: Optional[str], modified: Optional[float]) -> Optional[tuple[int, int]]:
    """(start, end) of the one range that is asked for; None: the whole, for want of a range, because it
    is malformed, one of several, or of another state. RequestedRangeNotSatisfiable: nothing lies there."""
    header = request.headers.get("Range")
    if header is None or request.method != "GET":
        return None
    unit, equals, ranges = header.partition("=")
    match = _RANGE.fullmatch(ranges.strip())
    if unit.strip().lower() != "bytes" or not equals or match is None or match[0] == "-" or max(map(len, match.groups())) > 18:
        return None
    condition = request.headers.get("If-Range")
    if condition is not None and not _still(condition, tag, modified):
        return None
    if match[1]:
        start = int(match[1])
        end = min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    else:
        start, end = max(0, size - int(match[2])), size
    if start >= size or start >= end:
        raise RequestedRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"})
    return start, end
