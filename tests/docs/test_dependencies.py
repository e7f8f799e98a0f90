# SPDX-License-Identifier: MIT
"""The messages that doc/python-dependencies.md explains are the ones that come."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest
from docs import TOP, fenced, read

PAGE = "doc/python-dependencies.md"
SNACGI = Path(os.environ["SN_TOP_BUILDDIR"]) / "src" / "snacgi"


def messages() -> list[str]:
    table = read(PAGE).split("| Message | Mend |")[1].split("\n\n")[0]
    return re.findall(r"^\| `([^`]+)`", table, re.M)


def environment(tmp: Path, change: Callable[[Path], None]) -> Path:
    """As python3 -m venv makes it, without the time that ensurepip takes."""
    venv = tmp / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=120)
    change(venv)
    return venv


def edit(venv: Path, pattern: str, new: str) -> None:
    path = venv / "pyvenv.cfg"
    path.write_text(re.sub(pattern, new, path.read_text(), flags=re.M))


def other_version(venv: Path) -> None:
    edit(venv, r"^version = .*", "version = 3.7.3")


def no_packages(venv: Path) -> None:
    (site,) = (venv / "lib").glob("python3.*")
    site.rename(venv / "lib" / "python3.0")


CASES: dict[str, Callable[[Path], None]] = {
    "python.venv: there is no directory": lambda venv: venv.rename(venv.with_name("away")) and None,
    "is not a virtual environment": lambda venv: (venv / "pyvenv.cfg").unlink(),
    "is for Python 3.7.3, but snacgi is linked with Python": other_version,
    "site-packages; make the environment again": no_packages,
    "/bin/python cannot be run": lambda venv: (venv / "bin" / "python").unlink(),
    "was made by the Python in": lambda venv: edit(venv, r"^home = .*", "home = /opt/other/bin"),
    "ModuleNotFoundError: No module named": lambda venv: None,
}


def test_every_message_is_tried() -> None:
    assert set(messages()) == set(CASES)


@pytest.mark.parametrize("message", CASES)
def test_message(tmp_path: Path, message: str) -> None:
    code = tmp_path / "python"
    code.mkdir()
    (code / "app.py").write_text("import nowhere_installed\n" if "ModuleNotFound" in message else "")
    venv = environment(tmp_path, CASES[message])
    out = subprocess.run([str(SNACGI), "check", "--python-dir", str(code), "--venv", str(venv)], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    assert message in " ".join(out.stdout.split()), out.stdout
    assert (out.returncode == 0) == ("made by" in message)


def test_pyproject_is_one() -> None:
    (block,) = fenced(PAGE, "toml")
    assert "[project]" in block and re.search(r'^dependencies = \[".*"\]$', block, re.M)


def test_container_uses_the_same_lock() -> None:
    assert "requirements.lock" in (TOP / "deploy" / "container" / "Dockerfile").read_text()
