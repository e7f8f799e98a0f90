# SPDX-License-Identifier: MIT
"""How long a test may take, so that a hang is a failure with a stack and not a
silence. For a conftest.py to import the hooks from."""

from __future__ import annotations

import os
import resource
import signal
from typing import Any, Iterator

import pytest

LIMIT = int(os.environ.get("SN_TEST_LIMIT", "150"))


def pytest_configure(config: Any) -> None:
    config.addinivalue_line("markers", "limit(seconds): this test may take longer than others")
    config.addinivalue_line("markers", "basic: belongs to the part that every compiler and sanitizer runs")
    config.addinivalue_line("markers", "unsanitized: says something of a build without sanitizers only, and is no test of another")
    config.addinivalue_line("markers", "wires: runs over FastCGI and over SCGI")
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
