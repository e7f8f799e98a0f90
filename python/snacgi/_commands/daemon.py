# SPDX-License-Identifier: MIT
"""The daemon as a child: which program, and which of its options a command hands on."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn, Optional


def fail(text: str) -> NoReturn:
    """Ends with a message that says what to do."""
    sys.stderr.write(f"snacgi: {text}\n")
    sys.exit(1)


def program() -> str:
    """The daemon that runs this command."""
    found = os.environ.get("SNACGI_PROGRAM") or shutil.which("snacgi")
    if not found:
        fail("the snacgi program is not on PATH; install it, or set SNACGI_PROGRAM")
    return found


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options that mean what they mean for `snacgi serve`."""
    parser.add_argument("-c", "--config", metavar="FILE", help="read this configuration")
    parser.add_argument("--python-dir", metavar="DIR", help="directory of Python modules")
    parser.add_argument("--module", metavar="NAME", action="append", default=[],
                        help="import this module; repeatable (default: all of them)")
    parser.add_argument("--venv", metavar="DIR", help="virtual environment")


def serve_options(given: argparse.Namespace) -> list[str]:
    """Those options again, for a child that is alone and out of the running daemon's way."""
    out = ["--no-supervisor", "--processes", "1", "--private"]
    if given.config:
        out += ["-c", given.config]
    if given.python_dir:
        out += ["--python-dir", given.python_dir]
    for name in given.module:
        out += ["--module", name]
    if given.venv:
        out += ["--venv", given.venv]
    return out


def application_here() -> Optional[str]:
    """What is meant where nothing is named: the directory python, or app.py."""
    if Path("python").is_dir():
        return "python"
    return "app.py" if Path("app.py").is_file() else None


def take_application_here(given: argparse.Namespace, option: str) -> None:
    """For who names neither an application nor a configuration."""
    if given.config or given.python_dir or given.module:
        return
    found = application_here()
    if found is None:
        fail(f"there is neither a directory python nor app.py here; name {option}")
    take_application(given, found)


def take_application(given: argparse.Namespace, app: Optional[str]) -> None:
    """`app.py` or a directory in the place of --python-dir and --module."""
    if app is None:
        return
    path = Path(app)
    if given.python_dir or given.module:
        fail(f"{app} and --python-dir or --module say the same twice; leave one out")
    if path.is_dir():
        given.python_dir = str(path)
    elif path.suffix == ".py" and path.is_file():
        if not path.stem.isidentifier():
            fail(f"{app} cannot be imported: a module's name is letters, digits and _; rename the file")
        given.python_dir = str(path.parent)
        given.module = [path.stem]
    elif path.exists():
        fail(f"{app} is neither a .py file nor a directory")
    else:
        fail(f"there is no {app}; `snacgi new` begins an application")
