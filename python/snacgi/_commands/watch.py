# SPDX-License-Identifier: MIT
"""What of an application has changed on disk, by looking: times and sizes of
its Python files, modules in C and configuration. A look at a few hundred files
costs a millisecond, and works on every file system."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterable

_SUFFIXES = (".py", ".so")
_SKIPPED = {"__pycache__", "node_modules"}

Seen = dict[str, tuple[int, int]]


def look(roots: Iterable[Path]) -> Seen:
    """Every file that matters below `roots` (files or directories), with its time and size."""
    seen: Seen = {}
    for root in roots:
        if not root.is_dir():
            _note(seen, str(root))
            continue
        for folder, folders, files in os.walk(root):
            # A virtual environment is not what is being written.
            folders[:] = [f for f in folders if f not in _SKIPPED and not f.startswith(".")
                          and not os.path.exists(os.path.join(folder, f, "pyvenv.cfg"))]
            for name in files:
                if name.endswith(_SUFFIXES):
                    _note(seen, os.path.join(folder, name))
    return seen


def _note(seen: Seen, path: str) -> None:
    try:
        status = os.stat(path)
    except OSError:
        return
    seen[path] = (status.st_mtime_ns, status.st_size)


def changed(before: Seen, after: Seen) -> list[str]:
    """New, changed and vanished files."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
