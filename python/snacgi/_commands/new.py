# SPDX-License-Identifier: MIT
"""`snacgi new`: begins an application: a module with endpoints, its test, a
configuration, and with --c a table of endpoints in C with their Makefile and test."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from . import daemon

_APP = '''\
"""{name}: endpoints. `snacgi dev app.py` serves them while you write."""

from snacgi import Request, abort, route


@route("/")
def index(request: Request) -> dict:
    return {{"name": "{name}"}}


@route("/squares/<int:n>")
def square(request: Request) -> dict:
    n = request.path_params["n"]
    if abs(n) > 10**9:
        abort(400, "n is too large: at most 1000000000")
    return {{"n": n, "square": n * n}}
'''

_TEST = '''\
"""Run by: pytest"""

import app  # noqa: F401  (its routes register)
from snacgi.testing import TestClient


def test_index():
    with TestClient() as client:
        assert client.get("/").json == {{"name": "{name}"}}


def test_square():
    with TestClient() as client:
        assert client.get("/squares/7").json == {{"n": 7, "square": 49}}
        assert client.get("/squares/9999999999").status_code == 400
        assert client.get("/squares/seven").status_code == 404
'''

_CONFTEST = '''\
"""pytest finds the snacgi package where the snacgi program has it."""

import subprocess
import sys

try:
    import snacgi  # noqa: F401
except ImportError:
    sys.path.append(subprocess.check_output(["snacgi", "--python-path"], text=True).strip())
'''

_CONF = '''\
# See snacgi.conf(5). Start: snacgi -c snacgi.conf; in front: snacgi print-config nginx -c snacgi.conf
listen = ( {{ protocol = "fastcgi"; address = "unix:snacgi.sock"; }} );
python = {{ dir = "."; modules = [ "app" ]; }};
'''

_NATIVE_CONF = '''\
native = {{ modules = [ "./native.so" ]; }};
'''

_NATIVE = '''\
/* {name}: endpoints in C; see snacgi(3). Any of these comes before one in Python. */
#include <snacgi.h>

/* GET /native/squares/<int:n> */
static int
square(sn_request *req, sn_response *res)
{{
	int64_t n;

	if (sn_request_value_int(req, "n", &n) < 0 || n > 1000000000 || n < -1000000000)
		return sn_response_error(res, 400, "n is too large: at most 1000000000");
	sn_response_type(res, "application/json");
	return sn_response_printf(res, "{{\\"n\\":%lld,\\"square\\":%lld}}", (long long)n, (long long)(n * n));
}}

static const sn_route routes[] = {{
	{{ .rule = "/native/squares/<int:n>", .handler = square, SN_HERE }},
	{{ 0 }}
}};

SN_MODULE("{name}", routes, NULL, NULL);
'''

_MAKEFILE = '''\
CFLAGS ?= -O2 -g -Wall -Wextra
PKG_CONFIG ?= pkg-config

native.so: native.c
	$(CC) $(CPPFLAGS) $(CFLAGS) $(shell $(PKG_CONFIG) --cflags snacgi) $(LDFLAGS) -shared -fPIC -o $@ native.c \\
		$(shell $(PKG_CONFIG) --libs snacgi)

check: native.so
	pytest

clean:
	rm -f native.so

.PHONY: check clean
'''

_NATIVE_TEST = '''\
"""The endpoints in C, asked through the server; `make` first."""

import json
import subprocess


def ask(path):
    """(exit status, body): the status is 0 below 400."""
    out = subprocess.run(["snacgi", "request", "-q", "-c", "snacgi.conf", "GET", path], stdout=subprocess.PIPE)
    return out.returncode, json.loads(out.stdout)


def test_square():
    assert ask("/native/squares/7") == (0, {{"n": 7, "square": 49}})
    assert ask("/native/squares/9999999999")[0] == 1


def test_both_languages_agree():
    assert ask("/native/squares/12") == ask("/squares/12")
'''

_README = '''\
# {name}

    snacgi dev app.py               serve while writing: http://127.0.0.1:8000/
    pytest                          the tests
    snacgi request --app app.py GET /squares/7
    snacgi -c snacgi.conf           serve behind a web server: snacgi print-config nginx -c snacgi.conf
'''

_NATIVE_README = '''\
    make                            build native.so, the endpoints in C
    snacgi dev -c snacgi.conf       serve both
'''


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(prog="snacgi new", description="Begins an application in a new directory.")
    out.add_argument("directory", metavar="DIR", help="is made; its last part is the application's name")
    out.add_argument("--c", action="store_true", help="with endpoints in C, a Makefile and their test")
    return out


def files(name: str, native: bool) -> dict[str, str]:
    """What is written, by file name."""
    out = {"app.py": _APP, "test_app.py": _TEST, "conftest.py": _CONFTEST, "snacgi.conf": _CONF, "README.md": _README}
    if native:
        out["snacgi.conf"] += _NATIVE_CONF
        out["README.md"] += _NATIVE_README
        out.update({"native.c": _NATIVE, "Makefile": _MAKEFILE, "test_native.py": _NATIVE_TEST})
    return {file: (text if file in ("conftest.py", "Makefile") else text.format(name=name)) for file, text in out.items()}


def main(arguments: list[str]) -> int:
    given = parser().parse_args(arguments)
    folder = Path(given.directory)
    name = folder.resolve().name
    if not name.replace("-", "_").replace(".", "_").isidentifier():
        daemon.fail(f"'{name}' is no name for an application; use letters, digits, - and _")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            daemon.fail(f"{folder} is not empty; nothing was written")
        for file, text in files(name, given.c).items():
            (folder / file).write_text(text)
    except OSError as error:
        daemon.fail(f"{error.filename}: {error.strerror}")
    sys.stdout.write(f"{folder} is made. Now:\n  cd {os.path.relpath(folder)} && "
                     f"{'make && snacgi dev -c snacgi.conf' if given.c else 'snacgi dev app.py'}\n")
    return 0
