# SPDX-License-Identifier: MIT
"""Runs every lint over the tree, and over small broken trees to show that each
can fail. Prints TAP."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import compiles
import distributed
import heads
import includes
import man
import strict

LINTS: list[tuple[str, ModuleType]] = [
    ("layers", includes),
    ("heads", heads),
    ("manual pages", man),
    ("types", strict),
    ("compiles", compiles),
    ("distribution", distributed),
]


def findings(lint: ModuleType, tree: dict[str, str]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in tree.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        found: list[str] = lint.check(Path(folder))
        return found


def main() -> int:
    root = Path(os.environ.get("SN_TOP_SRCDIR") or Path(__file__).resolve().parents[2]).resolve()
    count = 0

    def line(good: bool, name: str, notes: list[str]) -> None:
        nonlocal count
        count += 1
        print(f"{'ok' if good else 'not ok'} {count} - {name}")
        if not good:
            for note in notes:
                print(f"# {note}")

    for name, lint in LINTS:
        found = lint.check(root)
        line(not found, f"{name}: the tree", found)
        cache, os.environ["SN_TOP_BUILDDIR"] = os.environ.get("SN_TOP_BUILDDIR"), ""
        for n, (tree, word) in enumerate(lint.BROKEN):
            found = findings(lint, tree)
            line(any(word in one for one in found), f"{name}: finds broken tree {n + 1}", [f"wanted {word!r}", *found])
        found = findings(lint, lint.GOOD)
        line(not found, f"{name}: is content with a good tree", found)
        if cache:
            os.environ["SN_TOP_BUILDDIR"] = cache
        sys.stdout.flush()
    print(f"1..{count}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
