# SPDX-License-Identifier: MIT
"""The Python package holds to mypy's strict rules, and so do its users' eyes:
it ships py.typed."""

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
    got = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file=", "--cache-dir",
         f"{cache}/.mypy_cache" if cache else os.devnull, *(a for p in packages for a in ("-p", p))],
        cwd=root / "python", env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if got.returncode != 0:
        out += got.stdout.splitlines() or [f"mypy ended with {got.returncode}"]
    return out


BROKEN: list[tuple[dict[str, str], str]] = [
    ({"python/snacgi/__init__.py": "def f(x):\n    return x\n", "python/snacgi/py.typed": ""}, "annotation"),
    ({"python/snacgi/__init__.py": "x: int = 'a'\n", "python/snacgi/py.typed": ""}, "Incompatible types"),
    ({"python/snacgi/__init__.py": ""}, "py.typed"),
]
GOOD: dict[str, str] = {"python/snacgi/__init__.py": "x: int = 1\n", "python/snacgi/py.typed": ""}
