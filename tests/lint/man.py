# SPDX-License-Identifier: MIT
"""Manual pages are correct mdoc."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tree import files

PAGE = re.compile(r".*\.[1-9](\.in)?$")
# What depends on the manuals that this machine has, and not on the page.
IGNORED = re.compile(r"outdated mandoc\.db|STYLE: referenced manual not found")


def check(root: Path) -> list[str]:
    tool = shutil.which("mandoc")
    if tool is None:
        return ["mandoc is not installed: see tests/setup-debian.sh"]
    pages = [path for path in files(root) if PAGE.match(path.name) and path.parts[0] in ("man", "doc")]
    out = []
    for path in pages:
        got = subprocess.run([tool, "-Tlint", "-Wstyle", str(root / path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in got.stdout.splitlines():
            if not IGNORED.search(line):
                out.append(line.replace(f"{root}/", ""))
    return out


PAGE_OK = """.Dd November 23, 2026
.Dt X 8
.Os
.Sh NAME
.Nm x
.Nd what x is
.Sh DESCRIPTION
The
.Nm
program.
"""
BROKEN: list[tuple[dict[str, str], str]] = [
    ({"man/x.8": PAGE_OK + ".Xx unknown macro\n"}, "man/x.8"),
    ({"man/x.8": PAGE_OK.replace(".Sh NAME\n", "")}, "man/x.8"),
    ({"man/x.8": PAGE_OK + ".Bl -tag\n.It x\n"}, "man/x.8"),
]
GOOD: dict[str, str] = {"man/x.8": PAGE_OK}
