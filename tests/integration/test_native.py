# SPDX-License-Identifier: MIT
"""Native handlers through the installed library: examples built with
pkg-config, modules, libfcgi code, an embedder; and a server without Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator

import fcgi
import pytest
from daemon import BUILD, SANITIZED, SRC, Daemon, environment, wait_until
from wire import Address, Closed

Snacgi = Callable[..., Daemon]


def test_without_python(snacgi: Snacgi) -> None:
    """No Python directory: no interpreter, no pool; and the sanitizer looks for leaks too."""
    daemon = snacgi(app=None, supervisor=False)
    assert daemon.get("/native/hello").json() == {"hello": "native"}
    assert daemon.post("/native/echo", {"a": [1, 2]}).json() == {"a": [1, 2]}
    assert daemon.get("/native/blocking?ms=1").text == "rested"
    assert daemon.get("/native/pull?size=200000").body == b"p" * 200_000
    assert daemon.get("/nowhere").status == 404


def make(*args: str, cwd: Path, env: dict[str, str]) -> None:
    out = subprocess.run(["make", *args], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         timeout=140)
    assert out.returncode == 0, out.stdout[-4000:]


@pytest.fixture(scope="module")
def installed(module_tmp: Path) -> Iterator[Path]:
    """The build, installed: prefix at configure time, DESTDIR at install time."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    root = module_tmp / "root"
    make("install", f"DESTDIR={root}", "-s", cwd=BUILD, env=env)
    (pc,) = root.glob("**/snacgi.pc")
    yield root / str(pc.relative_to(root).parents[2])


def pkg_config(prefix: Path) -> dict[str, str]:
    env = environment()
    root = str(prefix)
    while not os.path.isdir(os.path.join(root, "usr")) and os.path.basename(root) != "root":
        root = os.path.dirname(root)
    env.update(PKG_CONFIG_PATH=":".join(str(p.parent) for p in prefix.glob("**/snacgi.pc")), PKG_CONFIG_SYSROOT_DIR=root,
               PKG_CONFIG_ALLOW_SYSTEM_CFLAGS="1")
    return env


def library(prefix: Path) -> str:
    (path,) = {p.parent for p in prefix.glob("**/libsnacgi.so")}
    return str(path)


def test_what_is_installed(installed: Path) -> None:
    for name in ("bin/snacgi", "include/snacgi.h", "include/snacgi-fcgx.h"):
        assert (installed / name).exists(), name
    assert list(installed.glob("**/libsnacgi.so.0")) and list(installed.glob("**/snacgi.pc"))
    (package,) = installed.glob("**/snacgi/python")
    for name in ("snacgi/__init__.py", "snacgi/py.typed", "snaxum/__init__.py"):
        assert (package / name).exists(), name
    assert list(package.glob("_snacgi*.so"))
    for page in ("man8/snacgi.8", "man5/snacgi.conf.5", "man3/snacgi.3", "man7/snacgi-python.7"):
        assert list(installed.glob(f"share/man/{page}*")), page


def test_only_the_header_is_exported(installed: Path) -> None:
    out = subprocess.run(["nm", "-D", "--defined-only", f"{library(installed)}/libsnacgi.so"], check=True, text=True,
                         stdout=subprocess.PIPE).stdout
    names = {line.split()[-1].partition("@")[0] for line in out.splitlines()}
    header = (SRC / "include" / "snacgi.h").read_text() + (SRC / "include" / "snacgi-fcgx.h").read_text()
    odd = {n for n in names if n not in header and not n.startswith(("_", "__"))}
    assert not odd, sorted(odd)[:20]


@pytest.fixture(scope="module")
def examples(installed: Path, module_tmp: Path) -> Path:
    """examples/c, copied away from the tree, built as its README tells, with pkg-config only."""
    work = module_tmp / "examples-c"
    shutil.copytree(SRC / "examples" / "c", work)
    env = pkg_config(installed)
    if SANITIZED:
        env["CFLAGS"] = env["LDFLAGS"] = " ".join(
            flag for flag in (BUILD / "Makefile").read_text().split("\nSAN_CFLAGS = ")[1].split("\n")[0].split())
    make(cwd=work, env=env)
    return work


def start(command: list[Any], tmp: Path, prefix: Path) -> subprocess.Popen[bytes]:
    env = environment()
    env["LD_LIBRARY_PATH"] = library(prefix)
    with open(tmp / "program.log", "wb") as log:
        return subprocess.Popen([str(one) for one in command], cwd=tmp, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def first_answer(process: subprocess.Popen[bytes], address: Address, target: str, tmp: Path) -> Any:
    def attempt() -> Any:
        assert process.poll() is None, (tmp / "program.log").read_text()
        try:
            return fcgi.ask(address, "GET", target)
        except (OSError, Closed):
            return None

    return wait_until(attempt, "an answer")


@pytest.mark.limit(300)
def test_program_with_its_own_table(examples: Path, installed: Path, tmp: Path) -> None:
    """hello.c: a table, sn_main, about 30 lines."""
    lines = [line for line in (SRC / "examples" / "c" / "hello.c").read_text().splitlines() if line.strip()]
    assert len(lines) <= 60
    process = start([examples / "hello", "-l", f"unix:{tmp}/h.sock"], tmp, installed)
    try:
        answer = first_answer(process, Address("fastcgi", "unix", path=f"{tmp}/h.sock"), "/hello", tmp)
        assert answer.status == 200 and b"ello" in answer.body
    finally:
        process.terminate()
        assert process.wait(60) == 0, (tmp / "program.log").read_text()


def test_installed_daemon_serves_python(installed: Path, tmp: Path) -> None:
    """Installed under another root, the package is found where configure put it only if
    that is where it is; PYTHONPATH-free use is what the installed-prefix test is for."""
    out = subprocess.run([str(installed / "bin" / "snacgi"), "--version"], env={**environment(), "LD_LIBRARY_PATH": library(installed)},
                         stdout=subprocess.PIPE, text=True, timeout=60)
    assert out.returncode == 0 and "snacgi" in out.stdout


# ---- libfcgi -----------------------------------------------------------------------------


def demo_module() -> Path:
    found = sorted(BUILD.glob("examples/**/demo_native.so"))
    assert found, "examples/c has no demo_native.so"
    return found[0]


def test_demo_module(snacgi: Snacgi) -> None:
    daemon = snacgi(app=None, native=[demo_module()])
    assert daemon.get("/native/hello").status == 200
    assert daemon.get("/native/users/7").status == 200
    assert daemon.post("/native/echo", {"a": 1}).json()["echo"] == {"a": 1}
    assert daemon.get("/native/stream").status == 200
    assert daemon.get("/native/slow?ms=1").status == 200


def test_fcgx_example(snacgi: Snacgi) -> None:
    """The classic libfcgi echo, ported by its signature: environment, body, answers."""
    daemon = snacgi(app=None, native=[demo_module()])
    out = subprocess.run([str(BUILD / "src" / "snacgi"), "routes", "-c", str(daemon.conf_file)], env=environment(), text=True,
                         stdout=subprocess.PIPE, timeout=60).stdout
    rule = next(word for line in out.splitlines() for word in line.split() if word.startswith("/") and "fcgx" in word)
    answer = daemon.ask("POST", f"{rule}?a=b", b"the whole body", {"X-Thing": "seen"})
    assert answer.status == 200
    assert "the whole body" in answer.text
    assert "QUERY_STRING=a=b" in answer.text and "HTTP_X_THING=seen" in answer.text
    with daemon.connect() as conn:
        for n in range(20):
            body = b"z" * (n * 9000)
            assert conn.ask("POST", rule, body).body.count(b"z") >= n * 9000


def test_embedded(examples: Path, installed: Path, tmp: Path) -> None:
    """embed.c: options in code; run, ask, inspect, stop."""
    process = start([examples / "embed", f"unix:{tmp}/e.sock"], tmp, installed)
    try:
        wait_until(lambda: process.poll() is not None or (tmp / "e.sock").exists(), "the embedder listens")
        if process.poll() is None:
            answer = first_answer(process, Address("fastcgi", "unix", path=f"{tmp}/e.sock"), "/embedded", tmp)
            assert answer.status == 200 and b"call 1" in answer.body
    finally:
        if process.poll() is None:
            process.terminate()
        assert process.wait(60) == 0, (tmp / "program.log").read_text()
    counted = re.search(r"answered (\d+) requests", (tmp / "program.log").read_text())
    assert counted and int(counted[1]) >= 1, "the counts outlive the stop"

