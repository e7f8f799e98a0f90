# SPDX-License-Identifier: MIT
"""What `make install` or the package has put there, as a user meets it: nothing
of the source or build tree is looked at, and nothing but Debian's python3 is there."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator

import pytest
from tools import ask, wheel

# Set by tests/install/run from make's variables, or by debian.sh.
AT = {name: Path(os.environ[f"SN_AT_{name.upper()}"]) for name in
      ("bin", "lib", "include", "man", "doc", "units", "python", "templates", "source")}
PYTHON = os.environ.get("SN_PYTHON") or "/usr/bin/python3"
ENV = {k: v for k, v in os.environ.items() if not k.startswith(("SN_", "SNACGI", "PYTHON", "LD_", "MAKE", "MFLAGS", "VIRTUAL_ENV"))}


def answer(process: subprocess.Popen[bytes], path: str, target: str) -> bytes:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, "it ended"
        data = ask(path, target)
        if data:
            return data
        time.sleep(0.05)
    raise AssertionError("no answer")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Any]:
    """Starts a program on a Unix socket, with a Python endpoint; ends it."""
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "app.py").write_text(
        "import os\nfrom snacgi import route\n"
        "@route('/users/<int:n>')\ndef user(request):\n    return {'n': request.path_params['n']}\n"
        "@route('/pool', use_process_pool=True)\ndef pool(request, pool):\n    return pool.submit(abs, -7).result()\n")
    started: list[subprocess.Popen[bytes]] = []
    # A Unix socket's path has 107 bytes, and pytest's directories are long.
    short = Path(f"/tmp/snacgi-{os.getpid()}-{tmp_path.name[:20]}.sock")

    def start(program: Path, *args: str) -> tuple[subprocess.Popen[bytes], str]:
        process = subprocess.Popen([str(program), "-l", f"unix:{short}", *args], cwd=tmp_path, env=ENV, stdin=subprocess.DEVNULL)
        started.append(process)
        return process, str(short)

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not short.exists()


def test_serves_python(app: Any) -> None:
    process, path = app(AT["bin"] / "snacgi")
    assert b'{"n":7}' in answer(process, path, "/users/7")
    assert b"\r\n\r\n7" in answer(process, path, "/pool"), "the pool's processes find the package too"


def test_commands(tmp_path: Path) -> None:
    snacgi = str(AT["bin"] / "snacgi")
    # `new` leaves bytecode behind, which `make uninstall` has to find.
    for command in (["--version"], ["--help"], ["new", "mine"], ["print-config", "nginx", "-l", "unix:/run/x.sock"],
                    ["check", "-c", str(AT["doc"] / "examples" / "snacgi.conf")], [str(AT["bin"] / "snacgi-bench"), "--help"]):
        line = command if command[0].startswith("/") else [snacgi, *command]
        out = subprocess.run(line, cwd=tmp_path, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        assert out.returncode == 0, f"{line}: {out.stdout}"


@pytest.mark.parametrize("page", ["man1/snacgi-bench.1", "man3/snacgi.3", "man5/snacgi.conf.5", "man7/snacgi-python.7", "man8/snacgi.8"])
def test_manual(page: str) -> None:
    assert any((AT["man"] / f"{page}{end}").is_file() for end in ("", ".gz"))


def test_files() -> None:
    for path in (AT["include"] / "snacgi.h", AT["include"] / "snacgi-fcgx.h", AT["lib"] / "libsnacgi.so",
                 AT["lib"] / "pkgconfig" / "snacgi.pc", AT["python"] / "snacgi" / "py.typed", AT["python"] / "snaxum" / "__init__.py",
                 AT["units"] / "snacgi.socket", AT["templates"] / "nginx", AT["doc"] / "examples" / "snacgi.conf",
                 AT["doc"] / "examples" / "todo" / "todo.py", AT["doc"] / "examples" / "analysis" / "smooth.c"):
        assert path.is_file(), path
    for name in "README.md", "architecture.md", "starting.md":
        assert any((AT["doc"] / f"{name}{end}").is_file() for end in ("", ".gz")), name
    assert f"ExecStart={AT['bin']}/snacgi " in (AT["units"] / "snacgi.service").read_text()


def test_package_in_plain_python() -> None:
    code = "import snacgi; from snacgi import Request; print(Request(path='/x?a=1').query_params['a'])"
    out = subprocess.run([PYTHON, "-c", code], env={**ENV, "PYTHONPATH": str(AT["python"])}, stdout=subprocess.PIPE, text=True, timeout=60)
    assert out.stdout == "1\n"


def test_a_program_with_the_library(app: Any, tmp_path: Path) -> None:
    """README's lines: cc, pkg-config and nothing else; the example's own Makefile."""
    work = tmp_path / "c"
    shutil.copytree(AT["source"] / "examples" / "c", work)
    for made in work.glob("*.so"):
        made.unlink()
    env = {**ENV, "PKG_CONFIG_PATH": str(AT["lib"] / "pkgconfig"), "LDFLAGS": f"-Wl,-rpath,{AT['lib']}"}
    work.chmod(0o755)
    out = subprocess.run(["make", "-C", str(work), "hello", "embed", "demo_native.so"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    assert out.returncode == 0, out.stdout
    assert "warning" not in out.stdout
    shutil.copytree(AT["source"] / "examples" / "analysis", tmp_path / "analysis", ignore=shutil.ignore_patterns("*.so", "*.la", "*.lo"))
    (tmp_path / "analysis").chmod(0o755)
    out = subprocess.run(["make", "-C", str(tmp_path / "analysis")], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    assert out.returncode == 0 and "warning" not in out.stdout, out.stdout
    process, path = app(work / "hello")
    assert b"Hello, " in answer(process, path, "/hello")
    assert b'{"n":7}' in answer(process, path, "/users/7")


def test_container_steps(app: Any, tmp_path: Path) -> None:
    """The environment from a lock file, as the Dockerfile makes it, and its configuration; another hash is refused."""
    container = AT["source"] / "deploy" / "container"
    path, digest = wheel(tmp_path)
    env = {**ENV, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    for good, one in ((False, "0" * 64), (True, digest)):
        (tmp_path / "requirements.lock").write_text(f"ours==1.0 --hash=sha256:{one}\n")
        out = subprocess.run([str(container / "steps"), "venv", str(tmp_path / "requirements.lock"), str(tmp_path / "venv")], env=env,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
        assert (out.returncode == 0) == good, out.stdout
    (tmp_path / "python" / "locked.py").write_text("import ours\nfrom snacgi import route\n@route('/word')\ndef word(request):\n    return ours.WORD\n")
    text = (container / "snacgi.conf").read_text()
    (tmp_path / "snacgi.conf").write_text(text.replace("/opt/app", str(tmp_path)).replace("/run/snacgi", str(tmp_path)))
    out = subprocess.run([str(AT["bin"] / "snacgi"), "check", "-c", str(tmp_path / "snacgi.conf")], env=ENV,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert out.returncode == 0, out.stdout
    process, sock = app(AT["bin"] / "snacgi", "-c", str(tmp_path / "snacgi.conf"))
    assert b"\r\n\r\nlocked" in answer(process, sock, "/word")
    entry = re.search(r"^ENTRYPOINT (.*)$", (container / "Dockerfile").read_text(), re.M)
    assert entry and json.loads(entry[1]) == ["/opt/snacgi/bin/snacgi", "-c", "/opt/app/snacgi.conf"]
