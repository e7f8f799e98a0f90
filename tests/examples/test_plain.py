# SPDX-License-Identifier: MIT
"""Each example's own tests, as its reader runs them: plain pytest in the folder, with
snacgi on PATH. One process for each, because an application's routes belong to the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from daemon import SNACGI
from served import EXAMPLES, copied

NAMES = sorted({path.parent.name for path in EXAMPLES.glob("*/test_*.py")})


def test_there_are_examples() -> None:
    assert {"analysis", "todo"} <= {*NAMES}


@pytest.mark.limit(300)  # pandas is imported anew by each `snacgi request`
@pytest.mark.parametrize("name", NAMES)
def test_by_plain_pytest(name: str, module_tmp: Path) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    env.pop("PYTHONPATH")
    env["PATH"] = f"{SNACGI.parent}:{env['PATH']}"
    got = subprocess.run([sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "-W", "error", "--strict-markers", "."],
                         cwd=copied(name, module_tmp), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert got.returncode == 0 and " skipped" not in got.stdout, got.stdout
