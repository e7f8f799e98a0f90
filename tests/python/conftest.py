# SPDX-License-Identifier: MIT
"""Tests of the package in plain Python: no daemon, the extension module only.

Run with PYTHONPATH=<build tree>/python, or with SN_TOP_BUILDDIR set.
"""

import os
import sys

if "SN_TOP_BUILDDIR" in os.environ:
    sys.path.insert(0, os.path.join(os.environ["SN_TOP_BUILDDIR"], "python"))
    os.environ["PYTHONPATH"] = sys.path[0]  # for the tests that start a Python of their own

import pytest

import _snacgi
from snacgi import Request, _routing


class Answer:
    """What the daemon would have sent."""

    def __init__(self, head: bytes, body: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        assert lines[-2:] == ["", ""]
        self.headers = [tuple(line.split(": ", 1)) for line in lines[:-2]]
        assert self.headers[0][0] == "Status"
        self.status = int(self.headers.pop(0)[1].split()[0])
        self.body = body

    def __getitem__(self, name):
        values = [v for n, v in self.headers if n.lower() == name.lower()]
        return ", ".join(values) if values else None


@pytest.fixture
def answer():
    def answer(result, request=None, name="app.handler"):
        return Answer(*_snacgi.answer(request, result, name))

    return answer


@pytest.fixture
def registry():
    """The list of routes, empty, and restored afterwards."""
    saved = _routing.registry[:]
    _routing.registry.clear()
    yield _routing.registry
    _routing.registry[:] = saved


@pytest.fixture
def scope(registry):
    """No hooks and no blueprint, and the former ones again afterwards."""
    from snacgi import _blueprint, _hooks

    saved, names = dict(_hooks.app_scope.__dict__), dict(_blueprint._names)
    _hooks.app_scope.__init__()
    _blueprint._names.clear()
    yield _hooks.app_scope
    _hooks.app_scope.__dict__.update(saved)
    _blueprint._names.update(names)


@pytest.fixture
def client(scope):
    from snacgi.testing import TestClient

    with TestClient() as client:
        yield client


@pytest.fixture
def browser():
    return Request(headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
