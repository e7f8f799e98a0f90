# SPDX-License-Identifier: MIT
"""Every source says its licence in its first lines; no file names a path of
the machine on which it was written."""

from __future__ import annotations

import re
from pathlib import Path

from tree import files, text

# Put together here, so that this file does not name them itself.
PLACES = re.compile("|".join([
    r"/" + r"work/(main|shared|\w+/)",
    r"/" + r"root/",
    r"/" + r"home/\w+/",
    r"\.py" + r"env/",
    r"/tmp/" + r"(w|wire|confroute|native|pycore|pyrt|harness|server|lead)/",
]))


def licensed(path: Path, source: str) -> bool:
    """Sources and scripts; not data, prose or lists."""
    return path.suffix in (".c", ".h", ".py", ".pyi", ".sh", ".ac", ".m4") or source.startswith("#!")


def check(root: Path) -> list[str]:
    out = []
    for path in files(root):
        source = text(root, path)
        if source is None:
            continue
        head = "\n".join(source.splitlines()[:3])
        if licensed(path, source) and source.strip() and "SPDX-License-Identifier: MIT" not in head:
            out.append(f"{path}:1: no 'SPDX-License-Identifier: MIT' in the first three lines")
        if path.parts[0] in ("src", "include") and path.suffix in (".c", ".h"):
            if not re.match(r"/\* SPDX-License-Identifier: MIT\n \*\n( \*[^\n]*\n){1,80}? \*/", source):
                out.append(f"{path}:1: the head does not say what this file is")
        for match in PLACES.finditer(source):
            out.append(f"{path}:{source.count(chr(10), 0, match.start()) + 1}: names a place on one machine: {match.group()}")
    return out


HEAD = "/* SPDX-License-Identifier: MIT\n *\n * What this is.\n */\n"
BROKEN: list[tuple[dict[str, str], str]] = [
    ({"src/base/a.c": "int x;\n"}, "no 'SPDX"),
    ({"tool": "#!/bin/sh\ntrue\n"}, "no 'SPDX"),
    ({"src/base/a.c": "/* SPDX-License-Identifier: MIT */\nint x;\n"}, "does not say"),
    ({"README.md": "see /" + "work/main/x\n"}, "names a place"),
    ({"x.py": "# SPDX-License-Identifier: MIT\nP = '/" + "root/x'\n"}, "names a place"),
]
GOOD: dict[str, str] = {
    "src/base/a.c": HEAD + "int x;\n",
    "a.sh": "#!/bin/sh\n# SPDX-License-Identifier: MIT\n",
    "python/p/__init__.py": "",
    "README.md": "in /tmp/x.sock, /usr/bin and framework/main\n",
}
