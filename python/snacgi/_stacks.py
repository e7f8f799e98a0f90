# SPDX-License-Identifier: MIT
"""Where a slow handler stands, for the log. Private."""

from __future__ import annotations

import sys
import traceback
from typing import Any


def of_thread(ident: int) -> str:
    """The stack of a thread, the innermost call last; "" when there is none."""
    frame = sys._current_frames().get(ident)
    return "".join(traceback.format_stack(frame)) if frame is not None else ""


def of_coroutine(coro: Any) -> str:
    """The same of a coroutine that waits: each that awaits the next, then what the last one
    awaits."""
    lines: list[str] = []
    while coro is not None:
        frame = None
        for kind in ("cr", "gi", "ag"):
            frame = frame or getattr(coro, kind + "_frame", None)
        if frame is None:
            lines.append(f"  awaits {coro!r:.200}\n")
            break
        lines += traceback.StackSummary.extract([(frame, frame.f_lineno)]).format()
        awaited = None
        for name in ("cr_await", "gi_yieldfrom", "ag_await"):
            awaited = awaited or getattr(coro, name, None)
        coro = awaited
    return "".join(lines)
