# SPDX-License-Identifier: MIT
"""Dates in headers. Private. email.utils writes them too, but imports sockets and random numbers, which
every start of a server would wait for: it is there for reading them."""

from __future__ import annotations

from datetime import date, datetime, timezone
from time import gmtime
from typing import Optional, Union

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(when: Union[date, int, float]) -> str:
    """RFC 9110, section 5.6.7 (IMF-fixdate), whatever the locale. A datetime is UTC when naive, a date
    its midnight; a number is a Unix time in seconds. What is less than a second is left out."""
    if isinstance(when, date):
        if not isinstance(when, datetime):
            when = datetime(when.year, when.month, when.day)
        if when.tzinfo is None:
            when = when.replace(tzinfo=timezone.utc)
        t = when.utctimetuple()
    else:
        t = gmtime(when)
    return (f"{_DAYS[t.tm_wday]}, {t.tm_mday:02} {_MONTHS[t.tm_mon - 1]} {t.tm_year:04} "
            f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} GMT")


def when(text: Optional[str]) -> Optional[datetime]:
    """A header's date; None: there is none, or it is malformed."""
    if not text:
        return None
    from email.utils import parsedate_to_datetime

    try:
        time = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)
