# SPDX-License-Identifier: MIT
"""Whatever a reader copies out of README or a manual works."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from docs import TOP, fenced, is_python, literal, read

pytestmark = pytest.mark.filterwarnings("error")
MANUAL = "man/snacgi-python.7"
PYTHON = [("README.md", b) for b in fenced("README.md", "python")] + [(MANUAL, b) for b in literal(MANUAL) if is_python(b)]


def run(block: str, name: str = "example") -> Any:
    module = types.ModuleType(name)
    sys.modules[name] = module  # as an import would: functions are found by name
    exec(compile(block, f"<{name}>", "exec"), module.__dict__)
    return module


def ask(handler: Any, *args: Any, **request: Any) -> Any:
    from snacgi import Request

    result = handler(Request(**request), *args)
    return asyncio.run(result) if asyncio.iscoroutine(result) else result


def block_with(text: str, page: str = MANUAL) -> str:
    found = [b for p, b in PYTHON if p == page and text in b]
    assert len(found) == 1, f"{page} has {len(found)} blocks with {text!r}"
    return found[0]


def test_there_are_examples() -> None:
    assert sum(p == "README.md" for p, _ in PYTHON) >= 1
    assert sum(p == MANUAL for p, _ in PYTHON) >= 4


@pytest.mark.parametrize("place, block", PYTHON, ids=[f"{p}-{n}" for n, (p, _) in enumerate(PYTHON)])
def test_python_blocks_compile(place: str, block: str) -> None:
    compile(block, place, "exec")


@pytest.mark.parametrize("place", ["README.md", MANUAL])
def test_first_endpoint(place: str) -> None:
    module = run(next(b for p, b in PYTHON if p == place and "get_user" in b))
    assert ask(module.get_user, path="/users/7", path_params={"user_id": 7}) == {"user_id": 7}


def test_the_four_kinds() -> None:
    module = run(block_with("# async and pool"), "kinds")
    with ThreadPoolExecutor(1) as pool:
        body = {"numbers": [1, 2, 3]}
        assert ask(module.hello, path="/hello?name=Ada") == {"hello": "Ada"}
        assert ask(module.sleep, path="/sleep?duration=0") == {"slept": True}
        assert ask(module.squares, pool, method="POST", body=body) == {"squares": [1, 4, 9]}
        assert ask(module.async_squares, pool, method="POST", body=body) == {"squares": [1, 4, 9]}


def test_exceptions() -> None:
    from snacgi import HTTPException

    module = run(block_with("short and stout"))
    for user, code in ((101, 404), (0, 418)):
        with pytest.raises(HTTPException) as caught:
            ask(module.get_user, path_params={"user_id": user})
        assert caught.value.code == code
    assert ask(module.get_user, path_params={"user_id": 7}) == {"user_id": 7}


def test_blueprint() -> None:
    from snacgi import _routing
    from snacgi.testing import TestClient

    _routing.registry.clear()
    run(block_with("register_blueprint(notes)"), "notes")
    with TestClient() as client:
        assert client.get("/notes/7").json == {"id": 7, "self": "/notes/7"}
    _routing.registry.clear()


def test_hooks() -> None:
    from snacgi import _hooks, _routing
    from snacgi.testing import TestClient

    _routing.registry.clear()
    run(block_with("def mark(response)"), "hooks")
    try:
        with TestClient() as client:
            assert client.get("/me").status_code == 401
            assert client.get("/me", headers={"X-User": "Ada"}).json == {"user": "Ada"}
            answer = client.get("/nowhere", headers={"X-User": "Ada"})
            assert answer.json == {"error": "there is nothing at this path"} and answer.headers["X-Seen-By"] == "Ada"
    finally:
        _routing.registry.clear()
        _hooks.app_scope.__dict__.update(_hooks.Scope().__dict__)


def test_testing_a_handler() -> None:
    run(block_with("@route('/users/<int:user_id>', methods=['GET'])"), "app")
    run(block_with("def test_user():")).test_user()


def test_testing_by_client() -> None:
    from snacgi import _routing

    _routing.registry.clear()
    run(block_with("@route('/users/<int:user_id>', methods=['GET'])"), "app")
    run(block_with("def test_user_by_client")).test_user_by_client()


# ---- C -------------------------------------------------------------------------


def c_blocks() -> list[str]:
    return fenced("README.md", "c")


def compiles(source: str, tmp_path: Path) -> None:
    file = tmp_path / "example.c"
    file.write_text(source)
    compiler = shlex.split(os.environ.get("CC") or shutil.which("cc") or "gcc")
    got = subprocess.run([*compiler, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{TOP}/include", str(file)],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert got.returncode == 0, got.stdout


def test_c_program_and_module(tmp_path: Path) -> None:
    program, module = c_blocks()
    assert "main(int argc" in program and module.startswith("SN_MODULE(")
    compiles(program, tmp_path)
    assert "in the place of `main`" in read("README.md")
    compiles(program[:program.index("int\nmain(")] + module, tmp_path)


def test_c_program_is_the_example() -> None:
    """What README shows is built, installed against and asked elsewhere in make check."""
    example = read("examples/c/hello.c")
    for piece in c_blocks()[0].split("\n\n"):
        if "routes[]" not in piece:
            assert piece.strip() in example, piece


# ---- around them -----------------------------------------------------------------


def test_nginx_takes_the_configuration(tmp_path: Path) -> None:
    nginx = shutil.which("nginx")
    assert nginx, "nginx is not installed: see tests/setup-debian.sh"
    block = fenced("README.md", "nginx")[0].replace("listen 8080", f"listen unix:{tmp_path}/http.sock")
    location = next(b for b in literal("man/snacgi.8") if "fastcgi_pass" in b)
    (tmp_path / "fastcgi_params").write_text("fastcgi_param REQUEST_METHOD $request_method;\n")
    for n, http in enumerate([block, f"server {{ listen unix:{tmp_path}/h2.sock; {location} }}"]):
        conf = tmp_path / f"nginx{n}.conf"
        temps = " ".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf.write_text(f"pid {tmp_path}/pid; error_log stderr; events {{ }}\nhttp {{ access_log off; {temps}\n{http}\n}}\n")
        got = subprocess.run([nginx, "-t", "-p", str(tmp_path), "-c", str(conf)], stderr=subprocess.PIPE, text=True)
        assert got.returncode == 0, got.stderr


def daemon() -> list[str]:
    return [f"{os.environ['SN_TOP_BUILDDIR']}/src/snacgi"]


def test_configuration_of_readme(tmp_path: Path) -> None:
    """`snacgi check` finds every key of README's file right; only the module is not there."""
    text = read("README.md")
    conf = re.search(r"cat > snacgi.conf <<'END'\n(.*?)^END$", text, re.M | re.S)
    assert conf
    (tmp_path / "snacgi.conf").write_text(conf[1].replace("/tmp/snacgi.sock", str(tmp_path / "s.sock")))
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "app.py").write_text(fenced("README.md", "python")[0])
    got = subprocess.run([*daemon(), "check", "-c", str(tmp_path / "snacgi.conf")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert "hello.so" in got.stdout and got.stdout.count("error:") == 1, got.stdout
    (tmp_path / "snacgi.conf").write_text((tmp_path / "snacgi.conf").read_text().replace('"hello.so"', ""))
    got = subprocess.run([*daemon(), "routes", "-c", str(tmp_path / "snacgi.conf")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert got.returncode == 0 and "/users/<int:user_id>" in got.stdout, got.stdout
