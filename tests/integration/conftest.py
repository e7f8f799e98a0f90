# SPDX-License-Identifier: MIT
"""Fixtures: daemons, each in a directory of its own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from daemon import SANITIZED, SNACGI, Daemon, Leaks  # noqa: E402
from limit import pytest_configure, pytest_runtest_protocol  # noqa: E402,F401


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A skipped test counts as failed; what says nothing of this build is not asked of it."""
    gone = [item for item in items if SANITIZED and item.get_closest_marker("unsanitized")]
    if gone:
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if item not in gone]


def new_directory() -> Path:
    # Short: a Unix socket's path has 107 bytes.
    return Path(tempfile.mkdtemp(prefix="snacgi-", dir=os.environ.get("TMPDIR") or "/tmp"))


@pytest.fixture
def tmp() -> Iterator[Path]:
    path = new_directory()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def module_tmp() -> Iterator[Path]:
    path = new_directory()
    yield path
    shutil.rmtree(path, ignore_errors=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What depends on the protocol, or might, is marked `wires` and run over each."""
    if metafunc.definition.get_closest_marker("wires"):
        metafunc.parametrize("wire", ["fastcgi", "scgi"], indirect=True)


@pytest.fixture
def wire(request: pytest.FixtureRequest) -> str:
    """The protocol of a daemon's listener, where the test names none."""
    return str(getattr(request, "param", "fastcgi"))


@pytest.fixture
def snacgi(tmp: Path, wire: str) -> Iterator[Callable[..., Daemon]]:
    """Starts a daemon: snacgi(conf={...}); several in one test are fine."""
    started: list[Daemon] = []

    def start(wait: bool = True, **options: Any) -> Daemon:
        options.setdefault("name", f"d{len(started)}")
        options.setdefault("listen", [f"{wire}+unix"])
        daemon = Daemon(options.pop("tmp", tmp), **options)
        started.append(daemon)
        return daemon.start(wait)

    yield start
    failures = []
    for daemon in reversed(started):
        sys.stderr.write(f"--- {daemon.log_file}\n{daemon.log()[-8000:]}\n")
        try:
            daemon.stop()
        except AssertionError as error:
            failures.append(error)
    if failures:
        raise failures[0]


@pytest.fixture(scope="module")
def shared_daemon(module_tmp: Path) -> Iterator[Daemon]:
    """One daemon for the tests of a module, with a listener of every kind."""
    listen = [f"{protocol}+{kind}" for protocol in ("fastcgi", "scgi") for kind in ("unix", "tcp4", "tcp6")]
    daemon = Daemon(module_tmp, listen=listen, supervisor=True)
    daemon.start()
    # What is made on first use (a blocking thread, a spool) is no leak.
    for target in ("/native/hello", "/hello", "/native/blocking?ms=1", "/pool?n=2", "/sleep?duration=0"):
        daemon.get(target)
    yield daemon
    daemon.stop()


@pytest.fixture
def server(shared_daemon: Daemon) -> Iterator[Daemon]:
    """The module's daemon; after each test it must live and have leaked nothing."""
    size = shared_daemon.log_file.stat().st_size
    with Leaks(shared_daemon):
        yield shared_daemon
    with open(shared_daemon.log_file, "rb") as log:
        log.seek(size)
        sys.stderr.write(f"--- log\n{log.read()[-6000:].decode(errors='replace')}\n")
    shared_daemon.check()


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    assert SNACGI.exists(), f"{SNACGI} is not built; set SN_TOP_BUILDDIR"
