# SPDX-License-Identifier: MIT
"""The files of the source tree, as lints see them: no build products, no tool's
own files. Works in a clone and in an unpacked tarball alike."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator

SKIPPED = {".git", "autom4te.cache", "build-aux", "__pycache__", "corpus", ".mypy_cache", ".pytest_cache", ".hypothesis"}
# What autotools write into the tree.
GENERATED = {"configure", "aclocal.m4", "config.h.in", "Makefile.in", "libtool.m4", "ltoptions.m4", "ltsugar.m4", "ltversion.m4",
             "lt~obsolete.m4", "configure~"}


def files(root: Path) -> Iterator[Path]:
    """Paths relative to the root, sorted."""
    for folder, names, here in os.walk(root):
        base = Path(folder)
        names[:] = sorted(n for n in names if n not in SKIPPED and not (base / n / "config.status").exists()
                          and not n.startswith("build"))
        for name in sorted(here):
            path = base / name
            if name not in GENERATED and path.is_file() and not path.is_symlink():
                yield path.relative_to(root)


def text(root: Path, path: Path) -> str | None:
    """None for what is not text."""
    data = (root / path).read_bytes()
    if b"\0" in data[:8000]:
        return None
    return data.decode("utf-8", errors="replace")
