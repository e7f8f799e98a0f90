# SPDX-License-Identifier: MIT
"""Prints the suite's table from what the tests wrote into a directory; `--write FILE`
puts what expected.py promises into a page instead (doc/front-servers.md)."""

from __future__ import annotations

import sys
from pathlib import Path

from expected import LIMITS, expected, promised, tables


def seen(folder: Path) -> dict[str, dict[str, str]]:
    out: dict[str, dict[str, str]] = {}
    for name in LIMITS:
        for path in (folder / name).glob("*"):
            got, wanted = path.read_text(), expected(name, path.name)
            out.setdefault(name, {})[path.name] = got if got == wanted else f"WRONG: {got}, not {wanted}"
    return out


BEGIN, END = "<!-- table: make doc-tables -->\n", "<!-- end of table -->\n"


def filled(page: str) -> str:
    """The page, its table made anew."""
    head, _, rest = page.partition(BEGIN)
    return head + BEGIN + tables(promised()) + END + rest.partition(END)[2]


if __name__ == "__main__":
    if sys.argv[1] == "--write":
        file = Path(sys.argv[2])
        file.write_text(filled(file.read_text()))
    else:
        sys.stdout.write(tables(seen(Path(sys.argv[1]))))
