# SPDX-License-Identifier: MIT
"""Everything in the tree is in the tarball: each file is named in a makefile
fragment, or lies in a folder that is distributed whole."""

from __future__ import annotations

import re
from pathlib import Path

from tree import files, text

# What automake takes along by itself, and what is for developers of a clone only.
OWN = re.compile(r"(.*/)?(local\.mk|Makefile\.am|configure\.ac|\.gitignore|\.gitattributes|.*~|.*\.log|.*\.trs)|m4/.*\.m4|\.ci/.*|\.github/.*|src/\w+\.pc\.in")


def check(root: Path) -> list[str]:
    paths = list(files(root))
    named: set[str] = set()
    for path in paths:
        if path.name in ("local.mk", "Makefile.am"):
            lines = (text(root, path) or "").replace("\\\n", " ")
            named |= {re.sub(r"^\$\((top_)?srcdir\)/", "", word) for word in re.split(r"[\s=:]+", lines)}
    out = []
    for path in paths:
        whole = {parent.as_posix() for parent in path.parents}
        if path.as_posix() not in named and not whole & named and not OWN.fullmatch(path.as_posix()):
            out.append(f"{path}: in no makefile fragment: make dist leaves it out")
    return out


BROKEN: list[tuple[dict[str, str], str]] = [
    ({"Makefile.am": "X = src/a.c\n", "src/a.c": "", "src/b.h": ""}, "src/b.h"),
]
GOOD: dict[str, str] = {"Makefile.am": "X = src/a.c \\\n  src/b.h\nEXTRA_DIST = data\n", "src/a.c": "", "src/b.h": "", "data/x/y": ""}
