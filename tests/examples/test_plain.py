# SPDX-License-Identifier: MIT
"""Each example's own tests, as its reader runs them: plain pytest in the folder. One
process for each, because an application's routes belong to the process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from daemon import BUILD
from served import EXAMPLES

NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/test_*.py"))


def test_there_are_examples() -> None:
    assert {"todo"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_by_plain_pytest(name: str) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    env["PYTHONPATH"] = str(BUILD / "python")
    got = subprocess.run([sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "-W", "error", "--strict-markers", "."],
                         cwd=EXAMPLES / name, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert got.returncode == 0 and " skipped" not in got.stdout, got.stdout
