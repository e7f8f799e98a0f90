# SPDX-License-Identifier: MIT
"""deploy/ holds what print-config prints for the defaults, and every one of its
servers has its pages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs import TOP, page

NAMES = sorted(p.name for p in (TOP / "deploy" / "templates").iterdir())


def test_files_are_what_is_printed(tmp_path: Path) -> None:
    program = f"{os.environ['SN_TOP_BUILDDIR']}/src/snacgi"
    subprocess.run([str(TOP / "deploy" / "print-all"), program, str(tmp_path)], check=True)
    made = {p.relative_to(tmp_path).as_posix(): p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
    assert len(made) == len(NAMES) - 1  # the service has the places of the build: test_print_units.py
    for name, text in made.items():
        assert (TOP / "deploy" / name).read_text() == text, f"deploy/{name}: run make deploy-files"
        assert not re.search(r"@[A-Z_]+@", text), name
        folder, _, file = name.partition("/")
        assert f"`{file}`" in (TOP / "deploy" / folder / "README.md").read_text(), f"deploy/{folder}/README.md names no {file}"


@pytest.mark.parametrize("name", NAMES)
def test_manual_names_every_server(name: str) -> None:
    assert f"‘{name}’" in page("man/snacgi.8") or f"“{name}”" in page("man/snacgi.8") or f"`{name}'" in page("man/snacgi.8")


def test_caddy_has_no_deadline() -> None:
    """Its time-outs are those of a whole answer, and it tells nobody that the rest is missing."""
    for name in ("caddy", "caddy-minimal"):
        text = (TOP / "deploy" / "templates" / name).read_text()
        assert not re.search(r"^\s*(read|write)_timeout", text, re.M)


def test_configuration_of_the_container(tmp_path: Path) -> None:
    """`snacgi check` has no objection. Changed is where things are."""
    text = (TOP / "deploy" / "container" / "snacgi.conf").read_text()
    (tmp_path / "snacgi.conf").write_text(re.sub("/opt/app|/run/snacgi", str(tmp_path), text))
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "app.py").write_text("from snacgi import route\n\n@route('/')\ndef hello(request):\n    return {}\n")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    got = subprocess.run([f"{os.environ['SN_TOP_BUILDDIR']}/src/snacgi", "check", "-c", str(tmp_path / "snacgi.conf")],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert got.returncode == 0 and ": 0 errors, 0 warnings" in got.stdout, got.stdout


def test_table_of_front_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOP / "tests" / "servers"))
    from table import filled

    page = (TOP / "doc" / "front-servers.md").read_text()
    assert filled(page) == page, "run make doc-tables"
