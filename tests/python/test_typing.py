# SPDX-License-Identifier: MIT
"""Strict mypy on the package, and on an application that uses it."""

import os
import re
import subprocess
import sys

import pytest

import snacgi

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = os.path.dirname(os.path.realpath(os.path.dirname(snacgi.__file__)))

APPLICATION = """
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Annotated, Any, Optional
from snacgi import Body, Field, Header, Headers, Query, Request, Response, abort, get, post, route

@route('/users/<int:user_id>', methods=['GET'])
def get_user(request: Request) -> dict[str, Any]:
    agent: str = request.headers.get('User-Agent', '')
    page: str = request.query_params.get('page', '1')
    if not agent:
        abort(400, 'no agent')
    return {'user_id': request.path_params['user_id'], 'page': page}

@route('/squares', methods=['POST'], use_process_pool=True)
async def squares(request: Request, pool: Executor) -> tuple[list[int], int, dict[str, str]]:
    return request.body['numbers'], 201, {'X-A': 'b'}

@post('/r')
def response(request: Request) -> Response:
    r = Response('x', 404, Headers({'A': 'b'}), mimetype='text/plain')
    r.status_code = 200
    r.headers['X'] = '1'
    reveal_type(get_user)
    return r

@dataclass
class Item:
    name: Annotated[str, Field(min_length=1)]

@get('/typed/<int:n>')
async def typed(n: int, item: Item, q: Annotated[list[int], Query(le=3)], agent: Optional[str] = Header(None),
                page: int = Query(1, ge=1), raw: Annotated[Any, Body()] = None) -> Item:
    return item
"""


def mypy(tmp_path, *args):
    pytest.importorskip("mypy")
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", os.path.join(HERE, "mypy.ini"), "--cache-dir",
         str(tmp_path / "cache"), *args],
        env={**os.environ, "MYPYPATH": SOURCES}, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip


def test_strict(tmp_path):
    (tmp_path / "app.py").write_text(APPLICATION)
    packages = [os.path.join(SOURCES, name) for name in ("snacgi", "snaxum", "_snacgi.pyi")]
    done = mypy(tmp_path, *packages, "app.py")
    assert done.returncode == 0, done.stdout + done.stderr
    # The decorator does not hide a handler's type.
    assert "def (request: _snacgi.Request) -> builtins.dict[builtins.str, Any]" in done.stdout


def test_stubs_name_what_there_is():
    import _snacgi

    with open(os.path.join(SOURCES, "_snacgi.pyi")) as f:
        stub = f.read()
    for name in dir(_snacgi):
        if not name.startswith("__"):
            assert f"class {name}" in stub or f"def {name}(" in stub, name
    for cls in (_snacgi.Request, _snacgi.Response, _snacgi.Headers, _snacgi.RequestHeaders):
        body = re.split(r"\n(?=\S)", stub[re.search(rf"^class {cls.__name__}\b", stub, re.M).start() :])[0]
        for name in vars(cls):
            if not name.startswith("__"):
                assert f" {name}(" in body or f"{name}:" in body, f"{cls.__name__}.{name}"
