# SPDX-License-Identifier: MIT
"""Every Python file of the tree compiles: also those that no test runs, as the benchmark's."""

from __future__ import annotations

from pathlib import Path

FOLDERS = ("bench", "examples", "python", "tests")


def check(root: Path) -> list[str]:
    out = []
    for path in sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py")):
        try:
            compile(path.read_text(), str(path.relative_to(root)), "exec", dont_inherit=True)
        except SyntaxError as error:
            out.append(f"{path.relative_to(root)}:{error.lineno}: {error.msg}")
    return out


GOOD: dict[str, str] = {"bench/run.py": "from __future__ import annotations\n"}
BROKEN: list[tuple[dict[str, str], str]] = [
    ({"bench/proc.py": "from __future__ import contextlib\n"}, "bench/proc.py:1: future feature contextlib is not defined"),
    ({"tests/a/b.py": "def f(:\n"}, "tests/a/b.py:1"),
]
