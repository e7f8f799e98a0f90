# SPDX-License-Identifier: MIT
"""Fixtures: a front server for each column of the table, and the verdict on a case,
which is held against expected.py and written down for the table."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, ContextManager, Iterator, Optional

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

from apache import Apache  # noqa: E402
from daemon import BUILD  # noqa: E402
from expected import expected  # noqa: E402
from fronts import VARIANTS, Front, Nginx, Variant  # noqa: E402
from others import Caddy, HAProxy, Lighttpd  # noqa: E402
from limit import pytest_configure, pytest_runtest_protocol  # noqa: E402,F401

SERVERS: dict[str, type[Front]] = {"nginx": Nginx, "apache": Apache, "caddy": Caddy, "lighttpd": Lighttpd, "haproxy": HAProxy}
RESULTS = BUILD / "tests" / "servers" / "results"


@contextmanager
def started(variant: Variant, kind: Optional[type[Front]] = None) -> Iterator[Front]:
    # Short: a Unix socket's path has 107 bytes.
    top = Path(tempfile.mkdtemp(prefix="snacgi-", dir=os.environ.get("TMPDIR") or "/tmp"))
    top.chmod(0o755)
    front = (kind or SERVERS[variant.server])(top / "front", variant)
    front.start()
    try:
        yield front
        front.stop()
    finally:
        front.kill()
        shutil.rmtree(top, ignore_errors=True)


@pytest.fixture(scope="session", params=[pytest.param(v, id=v.name, marks=pytest.mark.xdist_group(v.name)) for v in VARIANTS])
def running(request: pytest.FixtureRequest) -> Iterator[Front]:
    with started(request.param) as front:
        yield front


@pytest.fixture
def another() -> Callable[..., ContextManager[Front]]:
    """For a configuration that is no column of the table."""
    return started


@pytest.fixture
def front(running: Front) -> Iterator[Front]:
    yield running
    running.check()


@pytest.fixture
def gate(running: Front, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory in which endpoints and test tell one another how far they are."""
    path = Path(tempfile.mkdtemp(prefix="gate-", dir=running.directory))
    path.chmod(0o777)
    yield path
    (path / "open").touch()


@pytest.fixture
def want(running: Front, request: pytest.FixtureRequest) -> Callable[[str], str]:
    return lambda case: expected(running.variant.name, case)


@pytest.fixture
def verdict(running: Front) -> Callable[[str, Any], None]:
    """verdict(case, outcome): the outcome has to be what expected.py says."""

    def judge(case: str, outcome: Any) -> None:
        wanted = expected(running.variant.name, case)
        folder = RESULTS / running.variant.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / case).write_text(str(outcome))
        assert str(outcome) == wanted, f"{running.variant.name}, {case}: {outcome}, expected {wanted}\n{running.log()}"

    return judge
