# SPDX-License-Identifier: MIT
"""The Python package holds to mypy's strict rules, and so do the examples over it; its
users' eyes too: it ships py.typed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def check(root: Path) -> list[str]:
    packages = [p for p in ("snacgi", "snaxum") if (root / "python" / p).is_dir()]
    out = [f"python/{p}/py.typed is missing" for p in packages if not (root / "python" / p / "py.typed").exists()]
    env = {**os.environ, "MYPYPATH": str(root / "python")}
    env.pop("PYTHONPATH", None)
    # The cache must not be in a source tree that may be read-only.
    cache = os.environ.get("SN_TOP_BUILDDIR")

    def mypy(folder: Path, *what: str) -> list[str]:
        config = folder / "mypy.ini"
        got = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", f"--config-file={config if config.exists() else ''}",
             "--cache-dir", f"{cache}/.mypy_cache" if cache else os.devnull, *what],
            cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return [] if got.returncode == 0 else got.stdout.splitlines() or [f"mypy ended with {got.returncode}"]

    out += mypy(root / "python", *(a for p in packages for a in ("-p", p)))
    # Each example by itself, as its reader would: module names are a folder's own.
    for folder in sorted({path.parent for path in (root / "examples").glob("*/*.py")}):
        out += [f"{folder.relative_to(root)}/{line}" for line in mypy(folder, *sorted(path.name for path in folder.glob("*.py")))]
    return out


GOOD: dict[str, str] = {"python/snacgi/__init__.py": "x: int = 1\n", "python/snacgi/py.typed": ""}
BROKEN: list[tuple[dict[str, str], str]] = [
    ({"python/snacgi/__init__.py": "def f(x):\n    return x\n", "python/snacgi/py.typed": ""}, "annotation"),
    ({"python/snacgi/__init__.py": "x: int = 'a'\n", "python/snacgi/py.typed": ""}, "Incompatible types"),
    ({"python/snacgi/__init__.py": ""}, "py.typed"),
    ({**GOOD, "examples/a/app.py": "import snacgi\ny: str = snacgi.x\n"}, "examples/a/app.py:2: error: Incompatible types"),
]
