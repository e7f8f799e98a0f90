# SPDX-License-Identifier: MIT
"""`snacgi shell`: a Python prompt in which the application's modules are
imported and a test client waits."""

from __future__ import annotations

import argparse
import code
import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from . import daemon

_SKIPPED = ("conftest", "setup")


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        prog="snacgi shell", description="Opens a Python prompt with the application imported, and a test client in "
        "it: client.get('/').")
    out.add_argument("app", nargs="?", metavar="FILE|DIR", help="a module or a directory of modules (default: python, or app.py)")
    out.add_argument("--venv", metavar="DIR", help="virtual environment")
    out.add_argument("-e", "--execute", metavar="CODE", help="run this instead of a prompt")
    return out


def modules(path: Path) -> list[str]:
    """Those that the daemon would import."""
    if path.is_file():
        return [path.stem]
    names = {p.stem for p in path.glob("*.py")} | {p.parent.name for p in path.glob("*/__init__.py")}
    return sorted(n for n in names if n.isidentifier() and n not in _SKIPPED
                  and not n.startswith(("_", "test_")) and not n.endswith("_test"))


def enter_venv(venv: str, arguments: list[str]) -> None:
    """Goes on in the environment's interpreter."""
    python = os.path.join(venv, "bin", "python")
    if os.path.realpath(sys.prefix) == os.path.realpath(venv):
        return
    if not os.access(python, os.X_OK):
        daemon.fail(f"{venv} is no virtual environment; make one: {sys.executable} -m venv {venv}")
    os.execv(python, [python, "-m", "snacgi._commands", "shell", *arguments])


def show(error: BaseException) -> None:
    """The traceback from the user's own code on: how it came to run is of no interest."""
    trace = error.__traceback__
    while trace and (trace.tb_frame.f_code.co_filename == __file__ or "importlib" in trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)


def main(arguments: list[str]) -> int:
    given = parser().parse_args(arguments)
    if given.venv:
        enter_venv(given.venv, arguments)
    path = Path(given.app or daemon.application_here() or "python")
    if not path.exists():
        daemon.fail(f"there is no {path}; name a module, app.py, or its directory")
    sys.path.insert(0, str((path if path.is_dir() else path.parent).resolve()))
    names: dict[str, Any] = {}
    for name in modules(path):
        try:
            names[name] = importlib.import_module(name)
        except BaseException as error:
            show(error)
            daemon.fail(f"module {name} could not be imported")
    from snacgi.testing import TestClient

    with TestClient() as client:
        names["client"] = client
        if given.execute is not None:
            try:
                exec(compile(given.execute, "<execute>", "exec"), names)
            except Exception as error:
                show(error)
                return 1
            return 0
        try:
            import readline  # noqa: F401  (history and editing, where Python has them)
        except ImportError:
            pass
        code.interact(f"Imported: {', '.join(n for n in names if n != 'client') or 'nothing'}. "
                      "Try client.get('/').json; Ctrl-D ends.", local=names, exitmsg="")
    return 0
