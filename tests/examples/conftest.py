# SPDX-License-Identifier: MIT
"""Fixtures of the integration tests, for the examples."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from limit import pytest_configure, pytest_runtest_protocol  # noqa: E402,F401


@pytest.fixture(scope="module")
def module_tmp() -> Iterator[Path]:
    # Short: a Unix socket's path has 107 bytes.
    path = Path(tempfile.mkdtemp(prefix="snacgi-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)
