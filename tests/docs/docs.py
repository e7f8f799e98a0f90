# SPDX-License-Identifier: MIT
"""Reading the documentation: code blocks, manual pages as plain text, the
places in the sources where the truth stands."""

from __future__ import annotations

import os
import re
import subprocess
from functools import lru_cache
from pathlib import Path

TOP = Path(os.environ.get("SN_TOP_SRCDIR") or Path(__file__).resolve().parents[2])


@lru_cache(maxsize=None)
def read(name: str) -> str:
    return (TOP / name).read_text(encoding="utf-8")


def fenced(name: str, language: str) -> list[str]:
    """The blocks of a Markdown file in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", read(name), re.M | re.S)


def literal(page: str) -> list[str]:
    """The displayed blocks of a manual page, as its reader sees them."""
    blocks = re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed$", read(page), re.M | re.S)
    return [b.replace("\\e", "\\").replace("\\&", "").replace("\\-", "-") for b in blocks]


def is_python(block: str) -> bool:
    return re.search(r"^(from|import|def|async def|@\w+\()", block, re.M) is not None and "=None" not in block


@lru_cache(maxsize=None)
def page(name: str) -> str:
    """A manual page as text, its words on one line each side of a blank."""
    text = subprocess.run(["mandoc", "-Tutf8", "-Owidth=1000", str(TOP / name)], stdout=subprocess.PIPE, check=True, text=True).stdout
    return re.sub(r".\x08", "", text)


def section(name: str, title: str) -> str:
    found = re.search(rf"^{title}\n(.*?)(?=^\S)", page(name), re.M | re.S)
    assert found, f"{name} has no section {title}"
    return found[1]


def schema() -> dict[str, str]:
    """Every key of the configuration and its default, from src/conf's table."""
    text = read("src/conf/schema.c")
    table = text[text.index("const struct sn_key sn_conf_keys"):text.index("/* ---- names")]
    keys: dict[str, str] = {}
    for name, rest in re.findall(r'^\t(?:KEY\(|WORD\(|\{ )"([\w.]+)",(.*?)(?=^\t(?:KEY|WORD|\{)|^#|^\};)', table, re.M | re.S):
        words = re.findall(r'"((?:[^"\\]|\\.)*)"', rest)
        keys[name] = words[-2]  # the last one is the example
    assert len(keys) > 40, keys
    return keys
