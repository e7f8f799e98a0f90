# SPDX-License-Identifier: MIT
"""Fixtures: daemons, each in a directory of its own; and a limit on how long a
test may take, so that a hang is a failure with a stack and not a silence."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from daemon import SNACGI, Daemon, Leaks  # noqa: E402

LIMIT = int(os.environ.get("SN_TEST_LIMIT", "150"))


def pytest_configure(config: Any) -> None:
    config.addinivalue_line("markers", "limit(seconds): this test may take longer than others")
    config.addinivalue_line("markers", "basic: belongs to the part that every compiler and sanitizer runs")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class TooLong(BaseException):
    """Not an Exception: a test that catches those must not catch this."""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    marker = item.get_closest_marker("limit")
    seconds = marker.args[0] if marker else LIMIT

    def ring(*_: object) -> None:
        signal.alarm(seconds)  # once more, for what the first one cuts short
        raise TooLong(f"longer than {seconds} s")

    old = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


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


@pytest.fixture
def snacgi(tmp: Path) -> Iterator[Callable[..., Daemon]]:
    """Starts a daemon: snacgi(conf={...}); several in one test are fine."""
    started: list[Daemon] = []

    def start(wait: bool = True, **options: Any) -> Daemon:
        options.setdefault("name", f"d{len(started)}")
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
