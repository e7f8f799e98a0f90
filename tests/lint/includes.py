# SPDX-License-Identifier: MIT
"""The order of layers, read off the #include lines of src/: a folder includes
its own headers and those of the folders below it, and nothing else. And one
door for each dependency."""

from __future__ import annotations

import re
from pathlib import Path

from tree import files, text

BELOW: dict[str, set[str]] = {
    "base": set(),
    "http": {"base"},
    "conf": {"base"},
    "queue": {"base"},
    "transport": {"base", "http"},
    "route": {"base", "http"},
    "native": {"base", "http"},
    "pyrt": {"base", "http", "queue"},
    "server": {"base", "http", "conf", "queue", "transport", "route", "native", "pyrt"},
    "main.c": {"server", "conf"},
}
# Single headers that another layer may see: the matcher's small interface.
MORE = {("pyrt", "route/matcher.h")}
# System headers that have one door each.
DOORS: dict[str, str] = {
    "Python.h": r"src/pyrt/py\.h",
    "fcgiapp.h": r"src/native/fcgx(_\w+)?\.[ch]|include/snacgi-fcgx\.h|examples/c/.*|bench/peers/.*|tests/.*",
    "fcgi_stdio.h": r"examples/c/.*",
    "libconfig.h": r"src/conf/file\.c",
    "fastcgi.h": r"src/transport/fastcgi\.c|tests/.*",
}
# Headers that stay inside their folder though others may include the folder.
INNER = {"pyrt/py.h": "pyrt", "pyrt/core/core.h": "pyrt"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def layer(path: Path) -> str | None:
    """The layer of src/LAYER/...; 'main.c' for that one file."""
    if path.parts[0] != "src" or len(path.parts) < 2:
        return None
    return path.parts[1]


def target(root: Path, path: Path, name: str) -> Path | None:
    """The file of the tree that an include means; None: not one of ours."""
    for base in (path.parent, Path("src"), Path("include")):
        found = base / name
        if (root / found).is_file():
            return Path(*found.parts)
    return None


def check(root: Path) -> list[str]:
    out = []
    for path in files(root):
        if path.suffix not in (".c", ".h"):
            continue
        source = text(root, path) or ""
        mine = layer(path)
        for match in INCLUDE.finditer(source):
            quote, name = match.groups()
            where = f"{path}:{source.count(chr(10), 0, match.start()) + 1}"
            if name in DOORS and not re.fullmatch(DOORS[name], path.as_posix()):
                out.append(f"{where}: <{name}> has one door ({DOORS[name]}): include that instead")
            ours = target(root, path, name)
            if ours is None:
                if quote == '"' and name != "config.h" and path.parts[0] in ("src", "include"):
                    out.append(f'{where}: "{name}" is not in the tree; system headers take <>')
                continue
            if mine is None:
                continue
            theirs = layer(ours)
            short = Path(*ours.parts[1:]).as_posix()
            if ours.parts[0] == "include":
                continue  # the public headers are everybody's
            if theirs is None or mine not in BELOW:
                out.append(f"{where}: {path} is in no layer; add it to tests/lint/includes.py and the architecture page")
            elif theirs != mine and theirs not in BELOW[mine] and (mine, short) not in MORE:
                out.append(f"{where}: {mine} must not see {short}: below it are {', '.join(sorted(BELOW[mine])) or 'none'}")
            elif theirs != mine and (name.endswith("_priv.h") or INNER.get(short, mine) != mine):
                out.append(f"{where}: {short} is for its own folder only")
    return out


# What each broken tree must be caught for.
BROKEN: list[tuple[dict[str, str], str]] = [
    ({"src/base/a.c": '#include "http/b.h"\n', "src/http/b.h": ""}, "must not see http/b.h"),
    ({"src/pyrt/a.c": '#include "route/router.h"\n', "src/route/router.h": ""}, "must not see"),
    ({"src/transport/a.c": '#include "native/n.h"\n', "src/native/n.h": ""}, "must not see"),
    ({"src/main.c": '#include "base/err.h"\n', "src/base/err.h": ""}, "must not see"),
    ({"src/server/a.c": '#include "conf/x_priv.h"\n', "src/conf/x_priv.h": ""}, "own folder only"),
    ({"src/server/a.c": '#include "pyrt/py.h"\n', "src/pyrt/py.h": "#include <Python.h>\n"}, "own folder only"),
    ({"src/pyrt/a.c": "#include <Python.h>\n"}, "one door"),
    ({"src/native/other.c": " #  include <fcgiapp.h>\n"}, "one door"),
    ({"src/conf/conf.c": "#include <libconfig.h>\n"}, "one door"),
    ({"src/odd/a.c": '#include "base/b.h"\n', "src/base/b.h": ""}, "in no layer"),
    ({"src/base/a.c": '#include "base/absent.h"\n'}, "not in the tree"),
]
GOOD: dict[str, str] = {
    "src/base/err.h": "#include <snacgi.h>\n",
    "include/snacgi.h": "",
    "include/snacgi-fcgx.h": "#include <fcgiapp.h>\n",
    "src/http/a.c": '#include "base/err.h"\n#include "http/a.h"\n#include "a_priv.h"\n#include "config.h"\n',
    "src/http/a.h": "",
    "src/http/a_priv.h": "",
    "src/route/matcher.h": '#include "http/a.h"\n',
    "src/pyrt/py.h": "#include <Python.h>\n",
    "src/pyrt/core/m.c": '#include "pyrt/py.h"\n#include "route/matcher.h"\n',
    "src/native/fcgx.c": "#include <fcgiapp.h>\n",
    "src/conf/file.c": "#include <libconfig.h>\n",
    "src/main.c": "#include <snacgi.h>\n",
}
